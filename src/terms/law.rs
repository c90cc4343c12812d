//! What the law lets one rely on. Closed sets: a word that is not here is not accepted.

use serde::{Deserialize, Serialize};

/// Why a purpose is lawful. Source: GDPR Art. 6(1), 9(2)(a); DPV eu-gdpr:A6-1-*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LegalBasis {
    /// Art. 6(1)(a).
    Consent,
    /// Art. 9(2)(a): consent that says what it covers in so many words.
    ExplicitConsent,
    /// Art. 6(1)(b).
    Contract,
    /// Art. 6(1)(c).
    LegalObligation,
    /// Art. 6(1)(d).
    Vital,
    /// Art. 6(1)(e).
    PublicTask,
    /// Art. 6(1)(f); the rules name the balancing test.
    LegitimateInterests,
}

impl LegalBasis {
    /// The word that rules and ledger use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::ExplicitConsent => "explicit-consent",
            Self::Contract => "contract",
            Self::LegalObligation => "legal-obligation",
            Self::Vital => "vital",
            Self::PublicTask => "public-task",
            Self::LegitimateInterests => "legitimate-interests",
        }
    }

    /// Whether the data subject's own yes is what makes it lawful.
    #[must_use]
    pub const fn rests_on_consent(self) -> bool {
        matches!(self, Self::Consent | Self::ExplicitConsent)
    }
}

/// Whether a data subject's objection stops a purpose. Source: GDPR Art. 21.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objectable {
    /// Art. 21(2): marketing; an objection always stops it.
    Always,
    /// Art. 21(1): an objection stops it until the grounds are weighed.
    OnGrounds,
    /// Contract, legal obligation: there is no right to object.
    #[default]
    Never,
}

/// What a person asks of the controller, and not of a backend. Source: GDPR Art. 16–18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// Art. 17.
    Erasure,
    /// Art. 18.
    Restriction,
    /// Art. 16.
    Rectification,
}

impl Right {
    /// The word that rules, registers and receipts use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Erasure => "erasure",
            Self::Restriction => "restriction",
            Self::Rectification => "rectification",
        }
    }

    /// Whether asking is enough for it to hold here. What is wrong with a value only the controller
    /// can put right.
    #[must_use]
    pub const fn is_in_force_at_once(self) -> bool {
        match self {
            Self::Erasure | Self::Restriction => true,
            Self::Rectification => false,
        }
    }
}

/// The state of a consent. Only `Given` and `Renewed` permit anything. Source: W3C DPV consent status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConsentStatus {
    /// Asked for, not answered.
    Requested,
    /// Said yes.
    Given,
    /// Said yes again.
    Renewed,
    /// Said no.
    Refused,
    /// Took the yes back: terminal. Source: GDPR Art. 7(3).
    Withdrawn,
    /// Taken back by another than the data subject: terminal.
    Revoked,
    /// Its time ran out.
    Expired,
    /// Found not to have been valid: terminal.
    Invalidated,
    /// Nobody can say.
    Unknown,
}

impl ConsentStatus {
    /// Whether it permits anything at all.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        matches!(self, Self::Given | Self::Renewed)
    }

    /// Whether no later event of the same consent can make it valid again.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Withdrawn | Self::Revoked | Self::Invalidated)
    }

    /// The word that registers and commands use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Given => "given",
            Self::Renewed => "renewed",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Invalidated => "invalidated",
            Self::Unknown => "unknown",
        }
    }

    /// Reads [`as_str`](Self::as_str); a word that is none of them reads as `None`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Requested,
            Self::Given,
            Self::Renewed,
            Self::Refused,
            Self::Withdrawn,
            Self::Revoked,
            Self::Expired,
            Self::Invalidated,
            Self::Unknown,
        ]
        .into_iter()
        .find(|status| status.as_str() == word)
    }
}
