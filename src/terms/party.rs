//! What a recipient is to the controller; it decides the defaults.

use serde::{Deserialize, Serialize};

/// The role of a recipient towards controller and data subject.
/// Source: GDPR Art. 4(7)–(10); DPV DataProcessor, ThirdParty, JointDataControllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The data subject asks for their own data.
    #[serde(rename = "self")]
    Own,
    /// Another person who uses the service.
    User,
    /// A part of the controller.
    Internal,
    /// Works on the controller's instructions, under contract. Source: Art. 28.
    Processor,
    /// Decides together with the controller. Source: Art. 26.
    Joint,
    /// Everyone else. Source: Art. 4(10).
    ThirdParty,
    /// A court, regulator or police force; only with an order.
    Authority,
    /// A buyer of the business.
    Successor,
    /// Anyone.
    Public,
}

impl Role {
    /// The word that rules, log and ledger use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "self",
            Self::User => "user",
            Self::Internal => "internal",
            Self::Processor => "processor",
            Self::Joint => "joint",
            Self::ThirdParty => "third-party",
            Self::Authority => "authority",
            Self::Successor => "successor",
            Self::Public => "public",
        }
    }

    /// Whether there must be a contract in date before anything is disclosed.
    #[must_use]
    pub const fn needs_contract(self) -> bool {
        match self {
            Self::Processor | Self::ThirdParty | Self::Joint | Self::Successor => true,
            Self::Own | Self::User | Self::Internal | Self::Authority | Self::Public => false,
        }
    }

    /// Whether the recipient is a natural person asking in their own name. Their recipient id may be
    /// logged, their subject id never.
    #[must_use]
    pub const fn is_person(self) -> bool {
        matches!(self, Self::Own | Self::User)
    }

    /// Whether a refusal may tell its true reason: only inside the controller.
    #[must_use]
    pub const fn may_learn_reasons(self) -> bool {
        matches!(self, Self::Internal)
    }
}
