//! `consent_service:` of tamis.yaml: where consents are asked for, where they are not in the registers.

use std::time::Duration;

use http::Uri;

use super::file::{client_certificate, optional_path};
use super::node::Node;
use super::read::{Code, Findings, Section};
use crate::https::Trust;
use crate::registers::ConsentServiceSettings;

/// From the question to the last byte of the answer, where the settings do not say it.
const USUAL_TIMEOUT: Duration = Duration::from_secs(1);

/// How long an answer counts, where the settings do not say it: within it a withdrawal at the service has
/// its effect.
const USUAL_STALENESS: Duration = Duration::from_secs(30);

/// People whose answers are kept, where the settings do not say it.
const USUAL_PEOPLE: usize = 100_000;

/// Fewest of them that may be written: whoever is being asked about has to find room.
const FEWEST_PEOPLE: usize = 20_000;

/// Most of them that may be written.
const MOST_PEOPLE: u64 = 10_000_000;

/// The service, if there is one.
pub(super) fn consent_service(
    node: Option<&Node>,
    findings: &mut Findings,
) -> Option<ConsentServiceSettings> {
    let mut section = Section::new("consent_service", node?, findings);
    let url = section.required("url", findings).and_then(|node| {
        let url = findings.text(node)?.parse::<Uri>().ok();
        let is_plain = |url: &Uri| {
            url.scheme_str() == Some("https") && url.host().is_some() && url.query().is_none()
        };
        let url = url.filter(is_plain);
        if url.is_none() {
            let help = Some("write `https://consents.example/statements`".into());
            findings.note(Code::Value, node.location, "no https URL without a query".into(), help);
        }
        url
    });
    let authorities = optional_path(section.optional("ca"), findings);
    let certificate = section
        .optional("certificate")
        .and_then(|node| client_certificate("consent_service", node, findings));
    let token = optional_path(section.optional("token"), findings);
    let mut duration = |key, usual| match section.optional(key) {
        Some(node) => findings.duration(node),
        None => Some(usual),
    };
    let timeout = duration("timeout", USUAL_TIMEOUT);
    let max_staleness = duration("max_staleness", USUAL_STALENESS);
    let cached_people = match section.optional("cached_people") {
        Some(node) => {
            let most =
                findings.count(node, MOST_PEOPLE).and_then(|most| usize::try_from(most).ok());
            let enough = most.filter(|most| *most >= FEWEST_PEOPLE);
            if most.is_some() && enough.is_none() {
                let message = format!("fewer than {FEWEST_PEOPLE}: too few for long lists");
                findings.note(Code::Value, node.location, message, None);
            }
            enough
        }
        None => Some(USUAL_PEOPLE),
    };
    section.close(findings);
    Some(ConsentServiceSettings {
        url: url?,
        trust: Trust { authorities, certificate },
        token,
        timeout: timeout?,
        max_staleness: max_staleness?,
        cached_people: cached_people?,
    })
}
