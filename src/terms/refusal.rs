//! Why nothing was disclosed. Stable codes: scripts, dashboards and the ledger lean on them.

/// Who has to act for the refusal to go away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The client asked for what it may not have, or wrongly.
    Client,
    /// The backend answered what cannot be minimized, or not at all.
    Upstream,
    /// The gateway's configuration or stores.
    Operator,
}

/// The reason of a refusal. Status codes are given in `gateway/respond.rs` only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalReason {
    /// No declared authenticator recognised the caller, or two named different recipients.
    RecipientUnknown,
    /// The request itself is not understood: ambiguous path, bad header, method, authority.
    RequestMalformed,
    /// No route of the policy matches method and path.
    RouteNotCatalogued,
    /// No purpose was declared and the recipient has no default.
    PurposeRequired,
    /// The purpose is not one that this credential may use here.
    PurposeNotAllowed,
    /// Contract missing or run out.
    ContractExpired,
    /// The purpose needs a case id.
    CaseRequired,
    /// An authority without a registered order.
    OrderRequired,
    /// A query parameter that the route does not declare.
    QueryNotCatalogued,
    /// A query parameter that filters on a field which the recipient would not get in clear.
    QueryOnWithheldField,
    /// No subject of any region could be disclosed to the recipient's country.
    TransferNotCovered,
    /// The route is only observed: nothing of it leaves.
    NotInForce,
    /// No grant of the rules covers any field for this recipient and purpose.
    NothingGranted,
    /// No valid consent.
    ConsentMissing,
    /// Consent bound to an earlier text of the purpose.
    ConsentStale,
    /// Where consents come from cannot be read, so that there is none to rely on.
    ConsentUnknown,
    /// The data subject was not told.
    NoticeMissing,
    /// Processing is restricted. Source: GDPR Art. 18.
    Restricted,
    /// The data subject was erased. Source: GDPR Art. 17.
    Erased,
    /// The data subject objected. Source: GDPR Art. 21.
    Objected,
    /// A minor, or not known to be of age.
    Minor,
    /// The caller is no party of what it asks about, or asks about another person.
    NotAParty,
    /// The order or the case does not name this person.
    NotNamed,
    /// The subject's region has no mechanism to the recipient's country.
    TransferOfSubject,
    /// The retention period is over, or nobody can say since when it runs. Source: GDPR Art. 5(1)(e).
    RetentionOver,
    /// The rules drop whatever holds a member that is there, and here that is all of the answer.
    Dropped,
    /// The backend has no such thing.
    NotFound,
    /// The backend's answer cannot be minimized: type, charset, coding, grammar, size, depth.
    Unfilterable,
    /// The backend's counts are not what the rules say of an aggregate.
    AggregateGuard,
    /// The backend could not be reached or broke off.
    UpstreamUnavailable,
    /// Another controller answers this; the company only works for it. Source: GDPR Art. 28(3)(e).
    OtherController,
    /// The backend took too long.
    UpstreamTimeout,
    /// The backend answered with an error of its own.
    UpstreamError,
    /// The backend keeps failing and is not asked for a while.
    UpstreamSuspended,
    /// The request body is too large or not of a declared kind.
    RequestBody,
    /// A request's body that is not JSON, doubles a member, or lacks what the rules ask for.
    RequestContent,
    /// A request's body that was not whole in time.
    RequestLate,
    /// An answer that was not whole, or not taken, in time: it broke off.
    AnswerLate,
    /// The ledger cannot take the entry.
    LedgerUnavailable,
    /// The registers cannot be asked, or are too old.
    RegisterStale,
    /// One person asked too often within a minute, or has too many requests open.
    RateLimited,
    /// The recipient asks more often, or more at once, than the gateway answers it.
    RecipientRate,
    /// The recipient was told of as many people within an hour as the rules allow it.
    SubjectBudget,
    /// The gateway is at a limit of its own.
    Overloaded,
    /// No policy is loaded, or a defect of our own.
    PolicyInvalid,
}

impl RefusalReason {
    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 45] = [
        Self::RecipientUnknown,
        Self::RequestMalformed,
        Self::RouteNotCatalogued,
        Self::PurposeRequired,
        Self::PurposeNotAllowed,
        Self::ContractExpired,
        Self::CaseRequired,
        Self::OrderRequired,
        Self::QueryNotCatalogued,
        Self::QueryOnWithheldField,
        Self::TransferNotCovered,
        Self::NotInForce,
        Self::NothingGranted,
        Self::ConsentMissing,
        Self::ConsentStale,
        Self::ConsentUnknown,
        Self::NoticeMissing,
        Self::Restricted,
        Self::Erased,
        Self::Objected,
        Self::Minor,
        Self::NotAParty,
        Self::NotNamed,
        Self::TransferOfSubject,
        Self::RetentionOver,
        Self::Dropped,
        Self::NotFound,
        Self::Unfilterable,
        Self::AggregateGuard,
        Self::UpstreamUnavailable,
        Self::OtherController,
        Self::UpstreamTimeout,
        Self::UpstreamError,
        Self::UpstreamSuspended,
        Self::RequestBody,
        Self::RequestContent,
        Self::RequestLate,
        Self::AnswerLate,
        Self::LedgerUnavailable,
        Self::RegisterStale,
        Self::RateLimited,
        Self::RecipientRate,
        Self::SubjectBudget,
        Self::Overloaded,
        Self::PolicyInvalid,
    ];

    /// The stable code: metric label, log field, ledger entry, last segment of the problem `type`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::RecipientUnknown => "recipient-unknown",
            Self::RequestMalformed => "request-malformed",
            Self::RouteNotCatalogued => "route-not-catalogued",
            Self::PurposeRequired => "purpose-required",
            Self::PurposeNotAllowed => "purpose-not-allowed",
            Self::ContractExpired => "contract-expired",
            Self::CaseRequired => "case-required",
            Self::OrderRequired => "order-required",
            Self::QueryNotCatalogued => "query-not-catalogued",
            Self::QueryOnWithheldField => "query-on-withheld-field",
            Self::TransferNotCovered => "transfer-not-covered",
            Self::NotInForce => "not-in-force",
            Self::NothingGranted => "nothing-granted",
            Self::ConsentMissing => "consent-missing",
            Self::ConsentStale => "consent-stale",
            Self::ConsentUnknown => "consent-unknown",
            Self::NoticeMissing => "notice-missing",
            Self::Restricted => "restricted",
            Self::Erased => "erased",
            Self::Objected => "objected",
            Self::Minor => "minor",
            Self::NotAParty => "not-a-party",
            Self::NotNamed => "not-named",
            Self::TransferOfSubject => "transfer-of-subject",
            Self::RetentionOver => "retention-over",
            Self::Dropped => "dropped",
            Self::NotFound => "not-found",
            Self::Unfilterable => "unfilterable",
            Self::AggregateGuard => "aggregate-guard",
            Self::UpstreamUnavailable => "upstream-unavailable",
            Self::OtherController => "other-controller",
            Self::UpstreamTimeout => "upstream-timeout",
            Self::UpstreamError => "upstream-error",
            Self::UpstreamSuspended => "upstream-suspended",
            Self::RequestBody => "request-body",
            Self::RequestContent => "request-content",
            Self::RequestLate => "request-late",
            Self::AnswerLate => "answer-late",
            Self::LedgerUnavailable => "ledger-unavailable",
            Self::RegisterStale => "register-stale",
            Self::RateLimited => "rate-limited",
            Self::RecipientRate => "recipient-rate",
            Self::SubjectBudget => "subject-budget",
            Self::Overloaded => "overloaded",
            Self::PolicyInvalid => "policy-invalid",
        }
    }

    /// Whether the reason says something about a person, so that outsiders must not tell it apart
    /// from "there is no such thing" (decision 6: refusals do not talk).
    #[must_use]
    pub const fn concerns_a_subject(self) -> bool {
        match self {
            Self::ConsentMissing
            | Self::ConsentStale
            | Self::ConsentUnknown
            | Self::NoticeMissing
            | Self::Restricted
            | Self::Erased
            | Self::Objected
            | Self::Minor
            | Self::NotAParty
            | Self::NotNamed
            | Self::TransferOfSubject
            | Self::RetentionOver
            | Self::Dropped
            | Self::NotFound => true,
            Self::RecipientUnknown
            | Self::RequestMalformed
            | Self::RouteNotCatalogued
            | Self::PurposeRequired
            | Self::PurposeNotAllowed
            | Self::ContractExpired
            | Self::CaseRequired
            | Self::OrderRequired
            | Self::QueryNotCatalogued
            | Self::QueryOnWithheldField
            | Self::TransferNotCovered
            | Self::NotInForce
            | Self::NothingGranted
            | Self::OtherController
            | Self::Unfilterable
            | Self::AggregateGuard
            | Self::UpstreamUnavailable
            | Self::UpstreamTimeout
            | Self::UpstreamError
            | Self::UpstreamSuspended
            | Self::RequestBody
            | Self::RequestContent
            | Self::RequestLate
            | Self::AnswerLate
            | Self::LedgerUnavailable
            | Self::RegisterStale
            | Self::RateLimited
            | Self::RecipientRate
            | Self::SubjectBudget
            | Self::Overloaded
            | Self::PolicyInvalid => false,
        }
    }

    /// Who has to act.
    #[must_use]
    pub const fn fault(self) -> Fault {
        match self {
            Self::Unfilterable
            | Self::AggregateGuard
            | Self::UpstreamUnavailable
            | Self::UpstreamTimeout
            | Self::UpstreamError
            | Self::UpstreamSuspended => Fault::Upstream,
            Self::LedgerUnavailable
            | Self::RegisterStale
            | Self::ConsentUnknown
            | Self::Overloaded
            | Self::PolicyInvalid
            | Self::NotInForce => Fault::Operator,
            Self::RecipientUnknown
            | Self::RequestMalformed
            | Self::RouteNotCatalogued
            | Self::PurposeRequired
            | Self::PurposeNotAllowed
            | Self::ContractExpired
            | Self::CaseRequired
            | Self::OrderRequired
            | Self::QueryNotCatalogued
            | Self::QueryOnWithheldField
            | Self::TransferNotCovered
            | Self::NothingGranted
            | Self::ConsentMissing
            | Self::ConsentStale
            | Self::NoticeMissing
            | Self::Restricted
            | Self::Erased
            | Self::Objected
            | Self::Minor
            | Self::NotAParty
            | Self::NotNamed
            | Self::TransferOfSubject
            | Self::RetentionOver
            | Self::Dropped
            | Self::NotFound
            | Self::OtherController
            | Self::RequestBody
            | Self::RateLimited
            | Self::RecipientRate
            | Self::SubjectBudget
            | Self::RequestLate
            | Self::AnswerLate
            | Self::RequestContent => Fault::Client,
        }
    }
}
