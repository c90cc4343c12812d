//! What a caller of the admin API is there for. Which calls each role may make stands in one table,
//! `admin::roles`.

use std::collections::BTreeSet;
use std::fmt;

use super::Digest;

/// The role of a program or person of the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AdminRole {
    /// Looks up what a person has said, and changes nothing.
    Reader,
    /// Enters what people say.
    ConsentDesk,
    /// The data protection officer: all that concerns people, orders and cases among it.
    Dpo,
    /// Runs the gateway, and sees nobody's data.
    Operator,
    /// Looks at orders, cases and rules, and at no single person.
    Auditor,
}

impl AdminRole {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 5] =
        [Self::Reader, Self::ConsentDesk, Self::Dpo, Self::Operator, Self::Auditor];

    /// The word in `tamis.yaml`, in the ledger and in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::ConsentDesk => "consent-desk",
            Self::Dpo => "dpo",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
        }
    }

    /// The role of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

impl fmt::Display for AdminRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name in a verified client certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CertificateName {
    /// A DNS name, lower case.
    Dns(String),
    /// A URI, as written: a SPIFFE id.
    Uri(String),
}

impl CertificateName {
    /// Reads `dns:<name>`, `uri:<URI>` or `spiffe://…`, as rules write them for recipients.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
        if text.starts_with("spiffe://") {
            return plain(text).then(|| Self::Uri(text.to_owned()));
        }
        let (kind, name) = text.split_once(':')?;
        match kind {
            // A wildcard stands for many hosts, and a caller is one.
            "dns" => {
                (plain(name) && !name.contains('*')).then(|| Self::Dns(name.to_ascii_lowercase()))
            }
            "uri" => plain(name).then(|| Self::Uri(name.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "dns:{name}"),
            Self::Uri(uri) => write!(f, "uri:{uri}"),
        }
    }
}

/// A program or person that may call the admin API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminCaller {
    /// What it is there for; at least one.
    pub roles: BTreeSet<AdminRole>,
    /// SHA-256 of its bearer token.
    pub token: Option<Digest>,
    /// The name in its client certificate. A caller that has a token too must show both.
    pub certificate: Option<CertificateName>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_known_by_its_word_alone() {
        for role in AdminRole::ALL {
            assert_eq!(AdminRole::parse(role.as_str()), Some(role));
        }
        for word in ["", "DPO", "admin", "consent desk", "*"] {
            assert_eq!(AdminRole::parse(word), None, "{word}");
        }
    }

    #[test]
    fn a_name_in_a_certificate_is_one_host_or_one_uri() {
        let dns = CertificateName::Dns("desk.example.invalid".into());
        assert_eq!(CertificateName::parse("dns:Desk.example.invalid"), Some(dns));
        let uri = CertificateName::Uri("spiffe://shop/desk".into());
        for text in ["spiffe://shop/desk", "uri:spiffe://shop/desk"] {
            assert_eq!(CertificateName::parse(text), Some(uri.clone()));
        }
        for text in ["desk", "dns:", "dns:*.example.invalid", "cn:desk", "dns:a b", "uri:"] {
            assert_eq!(CertificateName::parse(text), None, "{text}");
        }
    }
}
