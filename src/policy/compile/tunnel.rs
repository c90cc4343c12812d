//! `tunnel:`, `discloses:` and `origins:` of a route: a connection through which bytes pass unseen.

use std::collections::BTreeSet;

use super::Compiler;
use crate::policy::Selector;
use crate::policy::model::{Field, Form, Policy, Route};
use crate::policy::plan::Plan;
use crate::policy::syntax::{Fields, Findings, Node};
use crate::policy::tunnel::{Tunnel, TunnelProtocol};

/// How a tunnel is called where a member has its selector.
const WITHIN: &str = "the tunnel";

/// Keys that speak of a body, which a tunnel has not.
const OF_A_BODY: [&str; 14] = [
    "each",
    "fields",
    "open",
    "derive",
    "region",
    "since",
    "request_fields",
    "request_must",
    "parties_only",
    "answer_headers",
    "aggregate",
    "media",
    "body",
    "serve",
];

impl Compiler<'_> {
    /// Reads what may be in a tunnel. It is bound to the route as members would be, so that all rules
    /// about categories hold for it.
    pub(super) fn tunnel(&mut self, fields: &mut Fields<'_>, route: &mut Route) {
        let entry = fields.take_entry("tunnel");
        let (discloses, origins) = (fields.take("discloses"), fields.take("origins"));
        let Some((place, node)) = entry else {
            if let Some(node) = discloses.or(origins) {
                let message = "`discloses` and `origins` speak of a tunnel, and this is none";
                let help =
                    "write `tunnel: websocket`, or list the members of the answer in `fields`";
                self.findings.error_with("T104", &node.place, message, Some(help.to_owned()));
            }
            return;
        };
        let Some(protocol) = self.protocol(node) else { return };
        let wrong = |compiler: &mut Self, message: String, help: Option<&str>| {
            compiler.findings.error_with("T104", place, message, help.map(str::to_owned));
        };
        if route.method != "GET" {
            let message = format!("a tunnel is asked for with GET, not {}", route.method);
            wrong(self, message, None);
        }
        for key in OF_A_BODY {
            if fields.has(key) {
                let message = format!("a tunnel has no body for `{key}`: nobody looks into it");
                wrong(self, message, Some("say under `discloses` which categories may be in it"));
            }
        }
        if fields.has("mode") && route.mode == crate::policy::Mode::Shadow {
            let help = "`mode: observe` judges requests, and opens nothing";
            wrong(self, "in a tunnel nothing can be measured".to_owned(), Some(help));
        }
        if !route.names_all_before() {
            let message = "whom a tunnel is about is known before it opens, or never";
            let help = "name each person by `path:` or `query:`".to_owned();
            self.findings.error_with("T106", place, message, Some(help));
        }
        let origins = origins.map(|node| self.origins(node)).unwrap_or_default();
        route.tunnel = Some(Tunnel { protocol, origins });
        let listed = discloses.map(|node| node.list(self.findings, "a list of categories"));
        let Some(listed) = listed.filter(|listed| !listed.is_empty()) else {
            let help = "write `discloses: [<category>, …]`: it opens for who may have all of them as \
                        they are";
            wrong(self, "what may be in this tunnel?".to_owned(), Some(help));
            return;
        };
        for node in listed {
            let Some((category, of, subtree)) = self.category_of(node, route) else { continue };
            if subtree {
                let message = "a tunnel has no members beneath others";
                self.findings.error("T104", &node.place, message);
            }
            let selector = Selector { segments: Vec::new(), text: WITHIN.to_owned() };
            let (form, place) = (Form::Value, node.place.clone());
            route.fields.push(Field { selector, category, of, subtree: true, form, place });
        }
        let message = "nothing in this tunnel is minimized, in either direction";
        let help = "whoever it opens for gets all that the backend sends; a route with `fields` is \
                    minimized";
        self.findings.warn("T213", place, message, Some(help.to_owned()));
    }

    fn protocol(&mut self, node: &Node) -> Option<TunnelProtocol> {
        if node.scalar() == Some("connect") {
            let message = "a CONNECT names a host and nobody whom it is about, so that nothing could \
                           be decided about it";
            let help = "write `tunnel: websocket` on a route with a path".to_owned();
            self.findings.error_with("T104", &node.place, message, Some(help));
            return None;
        }
        node.word(
            self.findings,
            "what a tunnel speaks",
            &[("websocket", TunnelProtocol::WebSocket)],
        )
    }

    fn origins(&mut self, node: &Node) -> BTreeSet<String> {
        let mut origins = BTreeSet::new();
        for item in node.list(self.findings, "a list of origins") {
            let Some(text) = item.text(self.findings, "an origin") else { continue };
            let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            let plain = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte)
            };
            if host.is_some_and(|host| !host.is_empty() && host.bytes().all(plain)) {
                origins.insert(text.to_owned());
            } else {
                let message = format!("`{text}` is no origin of a page");
                let help = "a scheme, a host in lower case and perhaps a port: \
                            `https://app.example.org`";
                self.findings.error_with("T102", &item.place, message, Some(help.to_owned()));
            }
        }
        origins
    }
}

/// T120: a tunnel that opens for nobody.
pub(super) fn lint(policy: &Policy, findings: &mut Findings) {
    if findings.has_error() {
        return;
    }
    for (index, route) in policy.routes.iter().enumerate() {
        if route.tunnel.is_none() {
            continue;
        }
        let mut uses = policy.recipients.iter().flat_map(|(id, recipient)| {
            recipient.purposes.iter().map(move |purpose| (id, std::slice::from_ref(purpose)))
        });
        let is_for = |purpose| route.purposes.as_ref().is_none_or(|all| all.contains(purpose));
        let opens = uses.any(|(id, purpose)| {
            let plan = is_for(&purpose[0]).then(|| Plan::build(policy, index, id, purpose));
            // What an order lists is known when there is one.
            plan.is_some_and(|plan| plan.is_ok_and(|plan| plan.passes_unseen(None)))
        });
        if !opens {
            let message = format!("`{}` opens for nobody", route.id);
            let help = "somebody must be granted all that it discloses as `keep`, for one purpose";
            findings.warn("T120", &route.place, message, Some(help.to_owned()));
        }
    }
}
