//! What the gateway answers itself, from the rules in force.

use http::Method;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::respond;
use crate::policy::Policy;
use crate::policy::model::Serve;
use crate::terms::{CategoryId, Country, PurposeId, RouteId};

/// The document that a route serves, if it is one that the gateway answers itself.
pub(super) fn document(policy: &Policy, route: usize) -> Option<(RouteId, Map<String, Value>)> {
    let route = &policy.routes[route];
    let document = match route.serve? {
        Serve::PolicyDocument => policy_document(policy),
        // Not for everybody: see `rights`.
        Serve::SubjectReport
        | Serve::RightsInbox(_)
        | Serve::Objection
        | Serve::ControllerContact => return None,
    };
    Some((route.id.clone(), document))
}

/// Where a site says that it honours Global Privacy Control. Source: W3C Global Privacy Control,
/// "GPC Support Resource".
const GPC: &str = "/.well-known/gpc.json";

/// What is served at a fixed path, whatever the routes say: what problems mean; and that `Sec-GPC` is
/// honoured, where the rules say to what it objects.
pub(super) fn well_known(
    policy: &Policy,
    method: &Method,
    path: &str,
) -> Option<Map<String, Value>> {
    if method != Method::GET && method != Method::HEAD {
        return None;
    }
    if let Some(code) = path.strip_prefix(respond::PROBLEMS) {
        return respond::described(code);
    }
    if path != GPC || policy.registers.gpc_objects_to.is_empty() {
        return None;
    }
    let mut document = Map::new();
    document.insert("gpc".into(), json!(true));
    if policy.revision.parse::<Date>().is_ok() {
        document.insert("lastUpdate".into(), json!(policy.revision));
    }
    Some(document)
}

/// The policy in force: for what which categories go to which kinds of recipients, with the digest
/// of the rules. Source: GDPR Art. 13(1)(c), (e), 14(1).
fn policy_document(policy: &Policy) -> Map<String, Value> {
    let purposes: Map<String, Value> = policy
        .purposes
        .iter()
        .map(|(id, purpose)| {
            let about = json!({
                "text": purpose.text,
                "text_digest": purpose.text_digest.to_string(),
                "basis": purpose.basis.as_str(),
            });
            (id.to_string(), about)
        })
        .collect();
    // By category where there is one: who a single recipient is may be a trade secret.
    let mut recipients: Vec<Value> = policy
        .recipients
        .values()
        .map(|recipient| {
            let purposes: Vec<&str> = recipient.purposes.iter().map(PurposeId::as_str).collect();
            json!({
                "category": recipient.category.as_deref().unwrap_or(recipient.role.as_str()),
                "role": recipient.role.as_str(),
                "country": recipient.country.as_ref().map(Country::as_str),
                "purposes": purposes,
            })
        })
        .collect();
    recipients.sort_by_key(Value::to_string);
    recipients.dedup();
    let categories: Vec<&str> = policy.categories.keys().map(CategoryId::as_str).collect();
    let mut document = Map::new();
    document.insert("id".into(), json!(&*policy.id));
    document.insert("title".into(), json!(policy.title));
    document.insert("revision".into(), json!(policy.revision));
    document.insert("digest".into(), json!(policy.digest.to_string()));
    document.insert("purposes".into(), purposes.into());
    document.insert("recipients".into(), recipients.into());
    document.insert("categories".into(), json!(categories));
    document
}
