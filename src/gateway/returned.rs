//! What a recipient was given and sends back: cursors, and tokens in paths, queries and bodies.
//!
//! What opens is put in its place before anything is decided, so that the decision is about the person
//! meant and the backend gets the value it knows. It stands in no log, error or ledger entry.

use std::sync::Arc;

use crate::action::pseudonym::TokenKeys;
use crate::decide::{Caller, effective_purposes};
use crate::keys::KeyRing;
use crate::policy::Policy;
use crate::policy::model::Route;
use crate::terms::{CategoryId, Personal, PurposeId, RecipientId};

/// Opens what one recipient sends back.
pub(super) struct Opener<'a> {
    keys: &'a KeyRing,
    policy: &'a Policy,
    recipient: &'a RecipientId,
    /// Whose tokens it may send.
    issued_to: Vec<RecipientId>,
}

impl<'a> Opener<'a> {
    /// For a request that is not decided yet. Where no purpose holds, none but the recipient's own
    /// tokens open: the request will be refused for that.
    pub(super) fn before(
        keys: &'a KeyRing,
        policy: &'a Policy,
        caller: &'a Caller,
        route: &Route,
        declared: &[PurposeId],
    ) -> Self {
        let recipient = &caller.recipient;
        let purposes = policy
            .recipients
            .get(recipient)
            .and_then(|found| effective_purposes(found, route, caller, declared).ok());
        let issued_to = policy.resolved_by(recipient, &purposes.unwrap_or_default());
        Self { keys, policy, recipient, issued_to }
    }

    /// What was sealed as a cursor of this domain.
    pub(super) fn cursor(&self, domain: &CategoryId, sealed: &str) -> Option<Personal<String>> {
        self.keys.open_cursor(self.policy, self.recipient, domain, sealed)
    }

    /// The value of the category that a token stands for.
    pub(super) fn token(&self, category: &CategoryId, token: &str) -> Option<Personal<String>> {
        self.keys.keys_of_tokens(self.policy, &self.issued_to, category).open(token)
    }

    /// For each member of a body that holds values of a category, what opens tokens there; `None` where
    /// nobody is ever given one.
    pub(super) fn members(&self, members: &[Option<CategoryId>]) -> Vec<Option<Arc<TokenKeys>>> {
        let opens = |category: &CategoryId| {
            let issued = self.policy.issues_tokens_of(category);
            issued
                .then(|| Arc::new(self.keys.keys_of_tokens(self.policy, &self.issued_to, category)))
        };
        members.iter().map(|member| member.as_ref().and_then(opens)).collect()
    }
}
