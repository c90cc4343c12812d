//! Rules as plain YAML. A key that stands here is one that the oracle knows what to do with.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    #[serde(rename = "tamis")]
    _version: u32,
    #[serde(rename = "policy")]
    _policy: serde_json::Value,
    pub(super) categories: BTreeMap<String, Category>,
    pub(super) purposes: BTreeMap<String, Purpose>,
    pub(super) recipients: BTreeMap<String, Recipient>,
    pub(super) routes: Vec<Route>,
    pub(super) release: Vec<Grant>,
    #[serde(default)]
    pub(super) limits: Vec<Limit>,
    pub(super) registers: Registers,
    pub(super) transfers: Transfers,
    #[serde(default)]
    pub(super) retention: Vec<Period>,
    #[serde(default)]
    pub(super) cookies: BTreeMap<String, Cookie>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cookie {
    pub(super) class: String,
    pub(super) consent: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Period {
    pub(super) category: String,
    pub(super) after: String,
    pub(super) start: Option<String>,
    pub(super) then: Option<String>,
    #[serde(default)]
    pub(super) except_for: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Category {
    #[serde(rename = "type")]
    _type: String,
    #[serde(default)]
    pub(super) sensitive: bool,
    pub(super) alone: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Purpose {
    #[serde(rename = "text")]
    _text: String,
    pub(super) basis: Option<String>,
    #[serde(rename = "balancing")]
    _balancing: Option<String>,
    pub(super) consent_scope: Option<String>,
    pub(super) objectable: Option<String>,
    #[serde(default)]
    pub(super) survives: Vec<String>,
    pub(super) min_age: Option<u32>,
    #[serde(default)]
    pub(super) needs_case: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recipient {
    pub(super) role: String,
    pub(super) country: Option<String>,
    #[serde(rename = "authenticate")]
    _authenticate: serde_json::Value,
    pub(super) contract: Option<Contract>,
    pub(super) purposes: Vec<String>,
    pub(super) default_purpose: Option<String>,
    pub(super) phase: Option<String>,
    pub(super) party: Option<String>,
    #[serde(default)]
    pub(super) only_where: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contract {
    #[serde(rename = "ref")]
    _ref: String,
    pub(super) until: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    #[serde(rename = "match")]
    _match: String,
    #[serde(rename = "upstream")]
    _upstream: String,
    pub(super) purpose: Option<String>,
    pub(super) each: Option<String>,
    /// In the order of the file: the first is the principal one.
    pub(super) subjects: Pairs,
    /// By role: where the answer says in which country they are.
    #[serde(default)]
    pub(super) region: BTreeMap<String, String>,
    /// By pattern of categories: where their date stands.
    #[serde(default)]
    pub(super) since: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) query: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) open: Vec<String>,
    #[serde(default)]
    pub(super) derive: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) parties_only: Vec<String>,
    pub(super) fields: BTreeMap<String, Field>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Field {
    Plain(String),
    Of { is: String, of: String },
}

impl Field {
    pub(super) fn category(&self) -> &str {
        match self {
            Self::Plain(is) | Self::Of { is, .. } => is,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grant {
    pub(super) to: Vec<String>,
    #[serde(rename = "for")]
    pub(super) purposes: Vec<String>,
    pub(super) show: Show,
    #[serde(default)]
    pub(super) among: Vec<String>,
    #[serde(default)]
    pub(super) needs: Vec<String>,
    pub(super) only_subject: Option<String>,
    #[serde(default)]
    pub(super) single_subject: bool,
    #[serde(rename = "while")]
    pub(super) during: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Show {
    Word(String),
    Map(BTreeMap<String, String>),
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(super) fn list(&self) -> Vec<&str> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many.iter().map(String::as_str).collect(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limit {
    #[serde(rename = "limit")]
    pub(super) what: Option<OneOrMany>,
    pub(super) to: Option<OneOrMany>,
    #[serde(default)]
    pub(super) except_to: Vec<String>,
    pub(super) when: Option<When>,
    pub(super) third_parties: Option<Needs>,
    #[serde(default)]
    pub(super) except_for: Vec<String>,
    pub(super) sensitive: Option<Needs>,
    pub(super) together_never: Option<OneOrMany>,
    pub(super) alone_never: Option<OneOrMany>,
    pub(super) then: Option<String>,
    #[serde(rename = "minors")]
    _minors: Option<String>,
    #[serde(rename = "for")]
    pub(super) minors_for: Option<OneOrMany>,
    #[serde(rename = "unknown_age")]
    _unknown_age: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct When {
    #[serde(rename = "for")]
    pub(super) purposes: OneOrMany,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Needs {
    pub(super) needs: Vec<String>,
    #[serde(rename = "withhold")]
    _withhold: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Registers {
    #[serde(rename = "consent")]
    _consent: serde_json::Value,
    #[serde(rename = "notice")]
    _notice: serde_json::Value,
    #[serde(rename = "restriction")]
    _restriction: serde_json::Value,
    #[serde(rename = "erasure")]
    _erasure: serde_json::Value,
    #[serde(rename = "orders")]
    _orders: serde_json::Value,
    pub(super) objection: ObjectionRegister,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ObjectionRegister {
    #[serde(rename = "from")]
    _from: String,
    pub(super) gpc: Option<BTreeMap<String, OneOrMany>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Transfers {
    pub(super) region_of_subject: RegionOf,
    pub(super) regions: BTreeMap<String, OneOrMany>,
    pub(super) allowed_countries: Vec<String>,
    #[serde(rename = "otherwise")]
    _otherwise: String,
    pub(super) table: Vec<Mechanism>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegionOf {
    pub(super) from: Vec<String>,
    pub(super) unknown: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mechanism {
    pub(super) from: OneOrMany,
    pub(super) to: OneOrMany,
    #[serde(rename = "by")]
    _by: String,
    #[serde(rename = "module")]
    _module: Option<u32>,
    #[serde(rename = "ref")]
    _ref: Option<String>,
    #[serde(rename = "tia")]
    _tia: Option<String>,
    pub(super) until: Option<String>,
    #[serde(default)]
    pub(super) measure: BTreeMap<String, String>,
}

/// A map in the order of the file.
pub(super) struct Pairs(pub(super) Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Pairs;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a map")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(Visitor)
    }
}

/// Whether a pattern (`contact.*`, `*`, a plain name) covers a name.
pub(super) fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("") => true,
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}
