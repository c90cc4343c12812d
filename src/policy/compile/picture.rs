//! `media:` and `body:` of a route: an answer that is a picture as a whole, and `strip` of a category.

use super::Compiler;
use crate::policy::Selector;
use crate::policy::model::{Field, Form, Limit, Locator, Route};
use crate::policy::syntax::Fields;
use crate::terms::{CategoryPattern, Picture};

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

    /// `strip` of categories holds for pictures, which leave without metadata. Where such a category is
    /// a member of JSON, nothing takes it out: the category is withheld.
    pub(super) fn strips(&mut self, routes: &[Route]) {
        for (category, place) in std::mem::take(&mut self.stripped) {
            let beside = |route: &&Route| {
                route.media.is_empty() && route.fields.iter().any(|one| one.category == category)
            };
            if routes.iter().find(beside).is_none() {
                continue;
            }
            let what = format!("{category}: strip");
            let because = self.refuse(&place, what, format!("{category} is withheld"));
            self.withheld.push(Limit::Withheld {
                categories: vec![CategoryPattern::new(category.as_str())],
                except_to: Vec::new(),
                roles: Vec::new(),
                because,
            });
        }
    }
}
