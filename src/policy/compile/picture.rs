//! `media:` and `body:` of a route: an answer that is a picture as a whole.

use super::Compiler;
use crate::policy::Selector;
use crate::policy::model::{Field, Form, Locator, Route};
use crate::policy::syntax::Fields;
use crate::terms::{CategoryId, Picture};

/// How a picture is called where a member has its selector.
const WHOLE: &str = "the body";

impl Compiler<'_> {
    /// Reads `media` and `body`. The body is bound to its category as a member would be, so that all
    /// rules about categories hold for it.
    pub(super) fn picture(&mut self, fields: &mut Fields<'_>, route: &mut Route) {
        let (media, body) = (fields.take("media"), fields.take("body"));
        let (Some(media), Some(body)) = (media, body) else {
            if let Some(node) = media.or(body) {
                let message = "`media` says of which types a body is, `body` of which category";
                let help = Some("write both".to_owned());
                self.findings.error_with("T104", &node.place, message, help);
            }
            return;
        };
        for item in media.list(self.findings, "a list of media types") {
            let Some(name) = item.text(self.findings, "a media type") else { continue };
            if let Some(kind) = Picture::of_media_type(name) {
                route.media.push(kind);
            } else {
                let message = format!("`{name}` is no type whose metadata can be taken out");
                let help = "`image/jpeg`, `image/png` and `image/webp` are; what cannot be minimized \
                            is not passed on";
                self.findings.error_with("T104", &item.place, message, Some(help.to_owned()));
            }
        }
        for key in ["each", "fields", "open", "derive", "region", "request_fields", "parties_only"]
        {
            if fields.has(key) {
                let message = format!("a picture has no members for `{key}`");
                self.findings.error("T104", &media.place, message);
            }
        }
        let in_document =
            |locator: &Locator| matches!(locator, Locator::Document(_) | Locator::Element(_));
        if let Some(subject) = route.subjects.iter().find(|one| in_document(&one.locator)) {
            let message = "a picture does not say whose it is";
            let help = "name the person by `path:`, `query:` or `header:`".to_owned();
            self.findings.error_with("T106", &subject.place, message, Some(help));
        }
        if let Some((category, of, _)) = self.category_of(body, route) {
            let selector = Selector { segments: Vec::new(), text: WHOLE.to_owned() };
            let place = body.place.clone();
            route.fields.push(Field {
                selector,
                category,
                of,
                subtree: true,
                form: Form::Value,
                place,
            });
        }
    }

    /// A picture leaves without metadata where it is the body. As a member of JSON it would leave with
    /// them, so that one category is not both.
    pub(super) fn pictures_in_json(&mut self, routes: &[Route]) {
        let pictures: Vec<&CategoryId> = routes
            .iter()
            .filter(|route| !route.media.is_empty())
            .flat_map(|route| &route.fields)
            .map(|field| &field.category)
            .collect();
        let members = routes.iter().filter(|route| route.media.is_empty());
        for field in members.flat_map(|route| &route.fields) {
            if pictures.contains(&&field.category) {
                let message = format!(
                    "`{}` is a picture elsewhere, and nobody takes metadata out of a member",
                    field.category
                );
                let help = "give the member a category of its own".to_owned();
                self.findings.error_with("T104", &field.place, message, Some(help));
            }
        }
    }
}
