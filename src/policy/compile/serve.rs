//! `serve:` of a route: what the gateway answers itself, and what such a route must look like.

use super::Compiler;
use crate::policy::Policy;
use crate::policy::model::{Route, Segment, Serve};
use crate::policy::syntax::{Fields, Findings};
use crate::terms::{Objectable, Right};

/// The words for rights that can be asked for.
const RIGHTS: [(&str, Right); 3] = [
    ("erasure", Right::Erasure),
    ("restriction", Right::Restriction),
    ("rectification", Right::Rectification),
];

/// A word for what is served. Which right an inbox is for stands beside it.
#[derive(Clone, Copy)]
enum Kind {
    Whole(Serve),
    Inbox,
}

impl Compiler<'_> {
    pub(super) fn serve_of(&mut self, fields: &mut Fields<'_>, route: &mut Route) {
        let right = fields.take("right");
        let Some(node) = fields.take("serve") else {
            if let Some(node) = right {
                let message =
                    "`right` says what is asked for at a route with `serve: rights-inbox`";
                self.findings.error("T104", &node.place, message);
            }
            return;
        };
        let kinds = [
            ("subject-report", Kind::Whole(Serve::SubjectReport)),
            ("rights-inbox", Kind::Inbox),
            ("objection", Kind::Whole(Serve::Objection)),
            ("controller-contact", Kind::Whole(Serve::ControllerContact)),
            ("policy-document", Kind::Whole(Serve::PolicyDocument)),
        ];
        let kind = node.word(self.findings, "something that the gateway serves", &kinds);
        let right = right.map(|node| (node, node.word(self.findings, "a right", &RIGHTS)));
        route.serve = match (kind, right) {
            (Some(Kind::Inbox), Some((_, right))) => right.map(Serve::RightsInbox),
            (Some(Kind::Inbox), None) => {
                let help =
                    Some("write `right: erasure`, `restriction` or `rectification`".to_owned());
                let message = "which right is asked for here?";
                self.findings.error_with("T104", &node.place, message, help);
                None
            }
            (Some(Kind::Whole(serve)), right) => {
                if let Some((node, _)) = right {
                    let message = "only a route with `serve: rights-inbox` has a `right`";
                    self.findings.error("T104", &node.place, message);
                }
                Some(serve)
            }
            (None, _) => None,
        };
    }

    /// What a route that the gateway answers itself must look like.
    pub(super) fn served(&mut self, route: &Route) {
        let Some(serve) = route.serve else { return };
        let (method, parameters) = match serve {
            // People ask for a report with GET, for anything else with POST.
            Serve::ControllerContact if route.method == "GET" => ("GET", 1),
            Serve::ControllerContact => ("POST", 1),
            Serve::PolicyDocument | Serve::SubjectReport => ("GET", 0),
            Serve::RightsInbox(_) => ("POST", 0),
            Serve::Objection => ("POST", 1),
        };
        let is_parameter = |segment: &&Segment| matches!(segment, Segment::Parameter(_));
        let wrong = if route.method != method {
            format!("this is served to a {method}, not a {}", route.method)
        } else if route.template.iter().filter(is_parameter).count() != parameters {
            match parameters {
                0 => "this is served at one path, without parameters".to_owned(),
                _ if serve == Serve::ControllerContact => {
                    "this is served at a path with one parameter, the controller".to_owned()
                }
                _ => "this is served at a path with one parameter, the token".to_owned(),
            }
        } else if route.upstream.is_some() {
            "the gateway answers this itself, without an `upstream`".to_owned()
        } else if serve == Serve::Objection
            && route.purposes.as_ref().is_none_or(|all| all.len() != 1)
        {
            "to what is objected here? Write `purpose:` with one purpose".to_owned()
        } else {
            return;
        };
        self.findings.error("T104", &route.place, wrong);
    }
}

/// What served routes need of other sections.
pub(super) fn needs(policy: &Policy, findings: &mut Findings) {
    for route in &policy.routes {
        match route.serve {
            Some(Serve::SubjectReport) if !policy.ledger.subject_index => {
                let message = "a report about a person needs an index of people in the ledger";
                let help = Some("add `ledger: {subject_index: encrypted}`".to_owned());
                findings.error_with("T101", &route.place, message, help);
            }
            Some(Serve::Objection) => {
                let Some([purpose]) = route.purposes.as_deref() else { continue };
                let never = policy
                    .purposes
                    .get(purpose)
                    .is_some_and(|rules| rules.objectable == Objectable::Never);
                if never {
                    let message = format!("nobody can object to {purpose}");
                    findings.error("T101", &route.place, message);
                } else if policy.token_holders(purpose).next().is_none() {
                    let message = format!(
                        "nobody is granted a token for {purpose} that a link could stand for"
                    );
                    findings.error("T101", &route.place, message);
                }
            }
            Some(Serve::ControllerContact) if policy.about.controllers.is_empty() => {
                let message = "which controllers? None is named";
                let help =
                    "add `roles_as_processor: {controllers: {<name in the path>: <contact>}}`";
                findings.error_with("T101", &route.place, message, Some(help.to_owned()));
            }
            Some(
                Serve::SubjectReport
                | Serve::RightsInbox(_)
                | Serve::ControllerContact
                | Serve::PolicyDocument,
            )
            | None => {}
        }
    }
}
