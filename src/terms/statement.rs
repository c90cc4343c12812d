//! What a data subject has said: the records that registers keep and gates read.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::{
    Case, CategoryId, CategoryPattern, ConsentStatus, Country, DecisionId, Digest, LegalOrder,
    PurposeId, RecipientId,
};

/// A purpose or a subtree of purposes (`marketing.*`, `*`), as objections and withdrawals name them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PurposePattern(Arc<str>);

impl PurposePattern {
    /// Takes the pattern as written.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it covers `purpose`. A plain name also covers what lies beneath it, since what a
    /// person refuses as a whole they refuse in each part.
    #[must_use]
    pub fn covers(&self, purpose: &PurposeId) -> bool {
        super::category::covers(&self.0, purpose.as_str())
            || purpose
                .as_str()
                .strip_prefix(self.as_str())
                .is_some_and(|rest| rest.starts_with('.'))
    }
}

impl fmt::Debug for PurposePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One change of a consent. Events are ordered by `at`; a terminal one wins a tie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsentEvent {
    /// When it happened, by the clock of the system that asked.
    pub at: Timestamp,
    /// The state it led to.
    pub status: ConsentStatus,
}

/// A consent: subject × purpose × recipients × text of the purpose.
/// Source: ISO/IEC TS 27560 consent record; GDPR Art. 7.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// The record's own id; no personal value.
    pub id: Arc<str>,
    /// The one purpose it was given for; it never covers what lies beneath.
    pub purpose: PurposeId,
    /// Digest of the purpose's text as it was shown. `None`: not recorded, so never current.
    pub purpose_text_digest: Option<Digest>,
    /// The recipients it names; empty when the purpose's scope does not ask for any.
    pub recipients: Vec<RecipientId>,
    /// Narrowing to categories; empty means all that the purpose needs.
    pub categories: Vec<CategoryId>,
    /// Whether it was given in so many words (Art. 9(2)(a)).
    pub explicit: bool,
    /// When it stops by itself.
    pub expires_at: Option<Timestamp>,
    /// Its history, oldest first.
    pub events: Vec<ConsentEvent>,
}

impl Consent {
    /// Its state at `now`: a terminal event wins over every other, whatever their times, so that
    /// neither an event delivered out of order nor a clock that steps back can revive what was
    /// withdrawn.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> ConsentStatus {
        if let Some(ended) = self.events.iter().find(|event| event.status.is_terminal()) {
            return ended.status;
        }
        let last = self.events.iter().filter(|event| event.at <= now).max_by_key(|event| event.at);
        match last {
            None => ConsentStatus::Unknown,
            Some(event)
                if event.status.is_valid() && self.expires_at.is_some_and(|end| end <= now) =>
            {
                ConsentStatus::Expired
            }
            Some(event) => event.status,
        }
    }
}

/// The data subject took back every consent for a purpose and what lies beneath it, whether or not it is
/// known here. Source: GDPR Art. 7(3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// For what.
    pub purpose: PurposePattern,
    /// Only as far as a consent names this one; `None`: for whomever.
    pub recipient: Option<RecipientId>,
    /// When: it ends what was given until then.
    pub at: Timestamp,
}

/// The data subject was shown the text of a purpose. Source: GDPR Art. 13, 14.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What about.
    pub purpose: PurposeId,
    /// Digest of the text shown.
    pub purpose_text_digest: Option<Digest>,
    /// When.
    pub shown_at: Timestamp,
}

/// The data subject objected. Source: GDPR Art. 21.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// To what.
    pub purpose: PurposePattern,
    /// Since when.
    pub since: Timestamp,
}

/// Processing is restricted. Source: GDPR Art. 18.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restriction {
    /// Which categories.
    pub categories: Vec<CategoryPattern>,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None`: until lifted.
    pub until: Option<Timestamp>,
    /// The person says that the data are wrong (Art. 18(1)(a)), and nothing else: it counts for
    /// whom a limit of the rules names, until it is resolved.
    pub disputed: bool,
}

/// The data subject was erased. Source: GDPR Art. 17.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// From when on nothing is disclosed.
    pub effective_at: Timestamp,
    /// Purposes that go on, such as legal claims.
    pub except: Vec<PurposePattern>,
}

/// A person lets one recipient have their data once. Source: GDPR Art. 20(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneTimeGrant {
    /// Its own id; no personal value.
    pub id: Arc<str>,
    /// What for.
    pub purpose: PurposeId,
    /// To whom.
    pub recipient: RecipientId,
    /// Since when.
    pub granted_at: Timestamp,
    /// When it ends unused.
    pub expires_at: Option<Timestamp>,
    /// The decision that used it up.
    pub used_by: Option<DecisionId>,
}

impl OneTimeGrant {
    /// Whether `decision` may rest on it at `now`: it is in date, and no other decision used it.
    #[must_use]
    pub fn is_usable(&self, decision: &DecisionId, now: Timestamp) -> bool {
        self.granted_at <= now
            && self.expires_at.is_none_or(|end| now < end)
            && self.used_by.as_ref().is_none_or(|by| by == decision)
    }
}

/// Of age or not. Unknown is treated as a minor wherever age matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AgeClass {
    /// Known to be of age.
    Adult,
    /// Known to be a minor.
    Minor,
    /// Not known.
    #[default]
    Unknown,
}

/// All that one data subject has said, and what was entered about them, as of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statements {
    /// Consents in every state.
    pub consents: Vec<Consent>,
    /// Where consents come from cannot be read just now: what rests on consent stops, and the rest
    /// goes on.
    pub consents_unknown: bool,
    /// What was taken back by purpose. The consents above are as it has left them.
    pub withdrawals: Vec<Withdrawal>,
    /// Notices shown.
    pub notices: Vec<Notice>,
    /// Objections.
    pub objections: Vec<Objection>,
    /// Restrictions.
    pub restrictions: Vec<Restriction>,
    /// The erasure, if there is one.
    pub erasure: Option<Erasure>,
    /// Grants for one use, used or not.
    pub one_time_grants: Vec<OneTimeGrant>,
    /// Orders that name them, in any state.
    pub orders: Vec<LegalOrder>,
    /// Cases that name them, in any state.
    pub cases: Vec<Case>,
    /// Age class from the subject directory.
    pub age: AgeClass,
    /// Region from the subject directory.
    pub region: Option<Country>,
}

impl Statements {
    /// Whether there are none, and none can be missing: it is as if nobody had ever heard of the person.
    #[must_use]
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }

    /// The same where consents cannot be known: none of them, and that it is unknown whether there are any.
    #[must_use]
    pub fn without_consents(&self) -> Self {
        Self { consents: Vec::new(), consents_unknown: true, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consent(events: &[(i64, ConsentStatus)], expires_at: Option<i64>) -> Consent {
        let second = |s| Timestamp::from_second(s).expect("small");
        Consent {
            id: "con_1".into(),
            purpose: PurposeId::from("share.partner"),
            purpose_text_digest: None,
            recipients: vec![],
            categories: vec![],
            explicit: false,
            expires_at: expires_at.map(second),
            events: events
                .iter()
                .map(|&(at, status)| ConsentEvent { at: second(at), status })
                .collect(),
        }
    }

    #[test]
    fn a_withdrawn_consent_is_never_revived_by_the_order_of_delivery() {
        use ConsentStatus::{Expired, Given, Renewed, Unknown, Withdrawn};
        let cases = [
            (vec![(10, Given)], None, Given),
            (vec![(10, Given), (20, Withdrawn)], None, Withdrawn),
            (vec![(20, Withdrawn), (10, Given)], None, Withdrawn),
            (vec![(20, Withdrawn), (30, Renewed)], None, Withdrawn),
            (vec![(20, Given), (20, Withdrawn)], None, Withdrawn),
            (vec![(10, Given), (200, Withdrawn)], None, Withdrawn),
            (vec![(200, Given)], None, Unknown),
            (vec![(10, Given)], Some(50), Expired),
            (vec![], None, Unknown),
        ];
        let now = Timestamp::from_second(100).expect("small");
        for (events, expires_at, expected) in cases {
            assert_eq!(consent(&events, expires_at).status(now), expected, "{events:?}");
        }
    }

    #[test]
    fn an_objection_covers_the_subtree() {
        let purpose = PurposeId::from("marketing.email");
        for (pattern, expected) in
            [("marketing.*", true), ("marketing", true), ("*", true), ("market", false)]
        {
            assert_eq!(PurposePattern::new(pattern).covers(&purpose), expected, "{pattern}");
        }
    }
}
