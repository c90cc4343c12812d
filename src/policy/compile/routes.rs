//! `routes:`.

use std::collections::{BTreeMap, BTreeSet};

use super::Compiler;
use super::links::linked;
use super::member_names::named;
use crate::policy::model::{
    Derivation, Derived, Field, Form, Locator, Open, QueryParameter, Route, Segment, Subject,
    cursor_domain,
};
use crate::policy::path::Step;
use crate::policy::syntax::{Fields, Key, Node, closest};
use crate::policy::{Place, Selector};
use crate::terms::{RouteId, SubjectRole};

const METHODS: [(&str, ()); 6] =
    [("GET", ()), ("POST", ()), ("PUT", ()), ("PATCH", ()), ("DELETE", ()), ("QUERY", ())];

impl Compiler<'_> {
    pub(super) fn routes(&mut self, node: &Node) -> Vec<Route> {
        let items = node.list(self.findings, "a list of routes");
        let routes: Vec<Route> = items.iter().filter_map(|item| self.one_route(item)).collect();
        for (at, route) in routes.iter().enumerate() {
            let same = |other: &&Route| {
                other.method == route.method && same_shape(&other.template, &route.template)
            };
            if let Some(earlier) = routes[..at].iter().find(same) {
                let message =
                    format!("`{}` matches the same requests as `{}`", route.id, earlier.id);
                self.findings.error("T105", &route.place, message);
            }
        }
        routes
    }

    fn one_route(&mut self, node: &Node) -> Option<Route> {
        let mut fields = node.fields(self.findings, "a route");
        let matched = fields.require(self.findings, "match");
        let (id, method, template, place) = matched.and_then(|node| self.matched(node))?;
        let upstream = fields
            .take("upstream")
            .and_then(|node| node.text(self.findings, "a backend's name"))
            .map(crate::terms::UpstreamId::from);
        let each = fields.take("each").and_then(|node| self.each(node));
        let subjects = fields.take("subjects");
        let subjects =
            subjects.map(|node| self.subjects(node, &template, each.as_ref())).unwrap_or_default();
        let mut route = Route {
            id,
            method,
            template,
            upstream,
            serve: None,
            subjects,
            each,
            aggregate: None,
            since: Vec::new(),
            regions: Vec::new(),
            media: Vec::new(),
            tunnel: None,
            fields: Vec::new(),
            open: Vec::new(),
            answer_headers: Vec::new(),
            request: None,
            path: BTreeMap::new(),
            open_path: BTreeSet::new(),
            query: BTreeMap::new(),
            derive: Vec::new(),
            parties_only: Vec::new(),
            purposes: None,
            mode: self.mode(&mut fields),
            place,
        };
        self.aggregate(&mut fields, &mut route);
        self.picture(&mut fields, &mut route);
        self.tunnel(&mut fields, &mut route);
        self.serve_of(&mut fields, &mut route);
        route.regions = self.regions(&mut fields, &route);
        route.request = self.request(&mut fields, &route);
        route.since = self.since(&mut fields, &route);
        if let Some(node) = fields.take("fields") {
            self.fields_of(node, &mut route);
        }
        if let Some(node) = fields.take("open") {
            self.open_of(node, &mut route);
        }
        self.answer_headers(&mut fields, &mut route);
        if let Some(node) = fields.take("path") {
            for (key, node) in node.entries(self.findings, "path parameters") {
                self.path_parameter(&key.text, &key.place, &route.template);
                if node.scalar() == Some("open") {
                    route.open_path.insert(key.text.clone());
                } else if let Some(category) = self.category(node) {
                    route.path.insert(key.text.clone(), category);
                }
            }
        }
        if let Some(node) = fields.take("query") {
            for (key, node) in node.entries(self.findings, "query parameters") {
                if let Some(parameter) = self.query_parameter(key, node, &route.id) {
                    route.query.insert(key.text.clone(), parameter);
                }
            }
        }
        if let Some(node) = fields.take("derive") {
            self.derive_of(node, &mut route);
        }
        if let Some(node) = fields.take("parties_only") {
            for item in node.list(self.findings, "a list of subject roles") {
                route.parties_only.extend(self.role_of(item, &route.subjects));
            }
        }
        if let Some(node) = fields.take("age_of") {
            for (key, node) in node.entries(self.findings, "subject roles") {
                self.role_named(&key.text, &key.place, &route.subjects);
                node.word(self.findings, "a source of ages", &[("directory", ())]);
            }
        }
        if let Some(node) = fields.take("purpose") {
            let purposes = node.one_or_many(self.findings, "a purpose");
            route.purposes = Some(purposes.iter().filter_map(|node| self.purpose(node)).collect());
        }
        if let Some(node) = fields.take("rate_note") {
            node.text(self.findings, "a note");
        }
        self.served(&route);
        self.counted(&fields, &route);
        self.keeps(fields.take("keeps"));
        self.whether_complete(&fields, &route);
        fields.finish(self.findings);
        Some(route)
    }

    fn matched(&mut self, node: &Node) -> Option<(RouteId, String, Vec<Segment>, Place)> {
        let text = node.text(self.findings, "a method and a path")?;
        let malformed = |compiler: &mut Self, message: String, help: Option<String>| {
            compiler.findings.error_with("T104", &node.place, message, help);
            None
        };
        let Some((method, path)) = text.split_once(' ') else {
            let help = Some("write a method and a path, such as `GET /v2/users/{user_id}`".into());
            return malformed(self, format!("`{text}` is no method and path"), help);
        };
        if !METHODS.iter().any(|(known, ())| *known == method) {
            let help = closest(method, METHODS.iter().map(|(known, ())| *known));
            return malformed(self, format!("`{method}` is no method that is routed"), help);
        }
        let Some(template) = template(path) else {
            let help =
                Some("segments are literal or `{name}`, without query, dots or blanks".into());
            return malformed(self, format!("`{path}` is no path template"), help);
        };
        Some((RouteId::from(text), method.to_owned(), template, node.place.clone()))
    }

    pub(super) fn each(&mut self, node: &Node) -> Option<Selector> {
        let text = node.text(self.findings, "the selector of a list's elements")?;
        let selector = self.selector(text, &node.place, node.is_quoted(), None)?;
        let elements = selector
            .segments
            .last()
            .is_some_and(|segment| !segment.descendant && segment.steps == [Step::Wildcard]);
        if !elements || selector.segments.iter().any(|segment| segment.descendant) {
            let message = format!("`{text}` does not select the elements of one list");
            let help = Some("end it in `[*]`, such as `$.users[*]`".to_owned());
            self.findings.error_with("T103", &node.place, message, help);
        }
        Some(selector)
    }

    fn subjects(
        &mut self,
        node: &Node,
        template: &[Segment],
        each: Option<&Selector>,
    ) -> Vec<Subject> {
        let mut subjects = Vec::new();
        for (key, node) in node.entries(self.findings, "subject roles") {
            self.declared_name(&key.text, &key.place);
            let Some(locator) = self.locator(node, template, each) else { continue };
            subjects.push(Subject {
                role: SubjectRole::from(key.text.as_str()),
                locator,
                by_name: node.scalar().and_then(named).is_some(),
                place: key.place.clone(),
            });
        }
        subjects
    }

    fn locator(
        &mut self,
        node: &Node,
        template: &[Segment],
        each: Option<&Selector>,
    ) -> Option<Locator> {
        let text = node.text(self.findings, "where the subject's id stands")?;
        if let Some(name) = text.strip_prefix("path:") {
            self.path_parameter(name, &node.place, template);
            return Some(Locator::Path(name.to_owned()));
        }
        if let Some(name) = text.strip_prefix("query:") {
            return Some(Locator::Query(name.to_owned()));
        }
        if let Some(selector) = text.strip_prefix("body:") {
            let found = self.selector(selector, &node.place, node.is_quoted(), None)?;
            if !found.is_singular() {
                let message = format!("`{selector}` is no single member of a request's body");
                self.findings.error("T106", &node.place, message);
            }
            return Some(Locator::Body(Selector { text: text.to_owned(), ..found }));
        }
        if let Some(name) = text.strip_prefix("header:") {
            return Some(Locator::Header(name.to_ascii_lowercase()));
        }
        let selector = match named(text) {
            Some(inner) => self.names_of(text, inner, (&node.place, node.is_quoted()), each)?,
            None => self.selector(text, &node.place, node.is_quoted(), each)?,
        };
        let in_element = each.is_some_and(|each| selector.continues(each));
        Some(if in_element { Locator::Element(selector) } else { Locator::Document(selector) })
    }

    fn fields_of(&mut self, node: &Node, route: &mut Route) {
        let rows = route.each.clone();
        for (key, node) in node.entries(self.findings, "selectors with categories") {
            if let Some(inner) = named(&key.text) {
                self.names_field(key, inner, node, route);
                continue;
            }
            if let Some(inner) = linked(&key.text) {
                self.link_field(key, inner, node, route);
                continue;
            }
            let selector = self.selector_at(key, rows.as_ref());
            let Some((category, of, subtree)) = self.category_of(node, route) else { continue };
            let Some(selector) = selector else { continue };
            self.whose_it_can_be(key, &selector, of, route);
            if subtree {
                let message =
                    format!("everything beneath `{}` is released as {category}", key.text);
                let help = Some("name the members, so that new ones stay withheld".to_owned());
                self.findings.warn("T212", &key.place, message, help);
            }
            let (form, place) = (Form::Value, key.place.clone());
            route.fields.push(Field { selector, category, of, subtree, form, place });
        }
    }

    pub(super) fn category_of(
        &mut self,
        node: &Node,
        route: &Route,
    ) -> Option<(crate::terms::CategoryId, Option<usize>, bool)> {
        if !node.is_map() {
            let category = self.category(node)?;
            return match route.subjects.len() {
                0 => Some((category, None, false)),
                1 => Some((category, Some(0), false)),
                _ => {
                    let roles: Vec<String> = route
                        .subjects
                        .iter()
                        .map(|subject| format!("`{{is: {category}, of: {}}}`", subject.role))
                        .collect();
                    let message = "several people stand in this answer: whose is it";
                    let help = Some(format!("write {}", roles.join(" or ")));
                    self.findings.error_with("T106", &node.place, message, help);
                    None
                }
            };
        }
        let mut fields = node.fields(self.findings, "a field");
        let category = fields.require(self.findings, "is").and_then(|node| self.category(node));
        let of = match fields.take("of") {
            Some(node) => self.role_of(node, &route.subjects),
            None if route.subjects.len() > 1 => {
                let message = "several people stand in this answer: whose is it";
                let help = Some("write `of: <role>`".to_owned());
                self.findings.error_with("T106", &node.place, message, help);
                None
            }
            None => (!route.subjects.is_empty()).then_some(0),
        };
        let subtree = fields.take("subtree").is_some_and(|node| node.flag(self.findings));
        fields.finish(self.findings);
        category.map(|category| (category, of, subtree))
    }

    /// A person who is named in an element is asked about that element, and about nothing outside it.
    pub(super) fn whose_it_can_be(
        &mut self,
        key: &Key,
        selector: &Selector,
        of: Option<usize>,
        route: &Route,
    ) {
        let (Some(each), Some(subject)) = (&route.each, of.and_then(|of| route.subjects.get(of)))
        else {
            return;
        };
        if matches!(subject.locator, Locator::Element(_)) && !selector.continues(each) {
            let message = format!(
                "`{}` stands outside the list in which `{}` is named: whose is it",
                key.text, subject.role
            );
            let help = "select it within `@`, or say where this person is named in the document";
            self.findings.error_with("T106", &key.place, message, Some(help.to_owned()));
        }
    }

    fn open_of(&mut self, node: &Node, route: &mut Route) {
        let rows = route.each.clone();
        for item in node.list(self.findings, "a list of selectors") {
            let (node, subtree, not_personal) = if item.is_map() {
                let mut fields = item.fields(self.findings, "an open member");
                let not_personal = fields.take("not_personal");
                let subtree = match not_personal {
                    Some(_) => fields.take("subtree"),
                    None => fields.require(self.findings, "subtree"),
                };
                if let (Some(node), Some(_)) = (not_personal, subtree) {
                    let message =
                        "`not_personal` or `subtree`: a subtree holds members of any name";
                    self.findings.error("T102", &node.place, message);
                }
                fields.finish(self.findings);
                let Some(node) = not_personal.or(subtree) else { continue };
                if subtree.is_some() {
                    let message = "everything beneath is released to everybody, new members too";
                    self.findings.warn("T212", &node.place, message, None);
                }
                (node, subtree.is_some(), not_personal.is_some())
            } else {
                (item, false, false)
            };
            let Some(text) = node.text(self.findings, "a selector") else { continue };
            let (form, selector) = match linked(text) {
                Some(inner) if !subtree && !not_personal => {
                    (Form::Link, self.selector_within(text, inner, node, rows.as_ref()))
                }
                Some(_) | None => {
                    let quoted = node.is_quoted();
                    (Form::Value, self.selector(text, &node.place, quoted, rows.as_ref()))
                }
            };
            let (Some(selector), place) = (selector, node.place.clone()) else { continue };
            route.open.push(Open { selector, subtree, not_personal, form, place });
        }
    }

    fn path_parameter(&mut self, name: &str, place: &Place, template: &[Segment]) {
        let names = || {
            template.iter().filter_map(|segment| match segment {
                Segment::Parameter(name) => Some(name.as_str()),
                Segment::Literal(_) => None,
            })
        };
        if !names().any(|one| one == name) {
            let message = format!("the path has no parameter `{name}`");
            self.findings.error_with("T101", place, message, closest(name, names()));
        }
    }

    fn query_parameter(
        &mut self,
        key: &Key,
        node: &Node,
        route: &RouteId,
    ) -> Option<QueryParameter> {
        let text = node.text(self.findings, "`open`, `sealed` or a category")?;
        match text {
            "open" => Some(QueryParameter::Open),
            "sealed" => Some(QueryParameter::Sealed { domain: cursor_domain(route, &key.text) }),
            _ => self.category(node).map(QueryParameter::Category),
        }
    }

    fn derive_of(&mut self, node: &Node, route: &mut Route) {
        for (key, node) in node.entries(self.findings, "selectors with what is computed") {
            let selector = self.selector_at(key, None);
            let sealed = node.scalar().and_then(|text| text.strip_prefix("sealed "));
            let how = if let Some(parameter) = sealed {
                self.sealed(parameter, node, route)
            } else {
                let words = [("count(each)", Derivation::CountEach)];
                node.word(self.findings, "something that can be computed", &words)
            };
            if route.each.is_none() && how == Some(Derivation::CountEach) {
                let message = "`count(each)` counts a list, and the route has no `each`";
                self.findings.error("T104", &node.place, message);
            }
            if let (Some(selector), Some(how)) = (selector, how) {
                route.derive.push(Derived { selector, how, place: key.place.clone() });
            }
        }
    }

    /// A cursor for a parameter that takes it back.
    fn sealed(&mut self, parameter: &str, node: &Node, route: &Route) -> Option<Derivation> {
        if let Some(QueryParameter::Sealed { domain }) = route.query.get(parameter) {
            return Some(Derivation::Sealed { domain: domain.clone() });
        }
        let sealed =
            |(_, how): &(&String, &QueryParameter)| matches!(how, QueryParameter::Sealed { .. });
        let names = route.query.iter().filter(sealed).map(|(name, _)| name.as_str());
        let help = closest(parameter, names);
        let message = format!("the route has no sealed query parameter `{parameter}`");
        self.findings.error_with("T101", &node.place, message, help);
        None
    }

    fn role_of(&mut self, node: &Node, subjects: &[Subject]) -> Option<usize> {
        let text = node.text(self.findings, "a subject role")?;
        self.role_named(text, &node.place, subjects)
    }

    pub(super) fn role_named(
        &mut self,
        text: &str,
        place: &Place,
        subjects: &[Subject],
    ) -> Option<usize> {
        let role = subjects.iter().position(|subject| subject.role.as_str() == text);
        if role.is_none() {
            let help = closest(text, subjects.iter().map(|subject| subject.role.as_str()));
            let message = format!("the route has no subject role `{text}`");
            self.findings.error_with("T101", place, message, help);
        }
        role
    }

    /// What a route must have to release anything.
    fn whether_complete(&mut self, fields: &Fields<'_>, route: &Route) {
        if route.serve.is_some() {
            return;
        }
        self.named_in_body(route);
        if route.upstream.is_none() && !fields.has("upstream") {
            let message = format!("`{}` names no `upstream`", route.id);
            self.findings.error("T101", &route.place, message);
        }
        // Where they are wrong that is said already.
        let named = !route.subjects.is_empty() || self.findings.has_error();
        if !named && route.aggregate.is_none() && route.categories().next().is_some() {
            let message = format!("`{}` has personal fields and names no `subjects`", route.id);
            self.findings.error("T106", &route.place, message);
        }
    }

    pub(super) fn selector_at(&mut self, key: &Key, each: Option<&Selector>) -> Option<Selector> {
        self.selector(&key.text, &key.place, key.quoted, each)
    }

    pub(super) fn selector(
        &mut self,
        text: &str,
        place: &Place,
        quoted: bool,
        each: Option<&Selector>,
    ) -> Option<Selector> {
        match Selector::parse_within(text, each) {
            Ok(selector) => Some(selector),
            Err(error) => {
                let mut at = place.clone();
                if let Some(column) = error.column {
                    at.column += column + u32::from(quoted);
                    at.length = 1;
                }
                self.findings.error("T103", &at, format!("selector `{text}`: {error}"));
                None
            }
        }
    }
}

/// The segments of a path template; `None` for what could match more than it says.
fn template(path: &str) -> Option<Vec<Segment>> {
    let rest = path.strip_prefix('/')?;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    rest.split('/')
        .map(|segment| {
            if let Some(name) = segment.strip_prefix('{') {
                let name = name.strip_suffix('}')?;
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                return (!name.is_empty() && name.bytes().all(plain))
                    .then(|| Segment::Parameter(name.to_owned()));
            }
            let plain = |byte: u8| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
            };
            let dots = matches!(segment, "." | "..");
            (!segment.is_empty() && !dots && segment.bytes().all(plain))
                .then(|| Segment::Literal(segment.to_owned()))
        })
        .collect()
}

/// Whether two templates match the same paths with the same precedence.
fn same_shape(a: &[Segment], b: &[Segment]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| match (a, b) {
            (Segment::Literal(a), Segment::Literal(b)) => a == b,
            (Segment::Parameter(_), Segment::Parameter(_)) => true,
            (Segment::Literal(_), Segment::Parameter(_))
            | (Segment::Parameter(_), Segment::Literal(_)) => false,
        })
}
