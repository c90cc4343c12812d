//! Keys of the ledger's index of data subjects, and tokens that come back in a link.

use super::KeyRing;
use crate::action::pseudonym::{Canonical, Domain, DomainKey, Scope, Use};
use crate::policy::Policy;
use crate::terms::{CategoryId, DataSubject, Personal, RecipientId};

/// The domain of the index. No policy is called so: their ids have no blanks. Part of the format: if
/// it changes, nobody is found in the ledger any more.
const INDEX: &str = "ledger index";

impl KeyRing {
    /// The keys of the ledger's index, one pair a version of the ring, newest first: the first finds a
    /// person's row, the second opens what stands in it.
    #[must_use]
    pub fn index_keys(&self) -> Vec<(DomainKey, DomainKey)> {
        let domain = |used_for| Domain {
            used_for,
            policy: INDEX,
            category: "subject",
            scope: Scope::Recipient,
            recipient: "ledger",
            purpose: "",
            extra: "",
        };
        self.versions()
            .rev()
            .filter_map(|version| {
                let rows = self.key_of_version(version, &domain(Use::Pseudonym))?;
                Some((rows, self.key_of_version(version, &domain(Use::Token))?))
            })
            .collect()
    }

    /// What a token stands for that this recipient got for values of this category; `None` for a token
    /// of anybody else, changed, or made up.
    #[must_use]
    pub fn open_token(
        &self,
        policy: &Policy,
        recipient: &RecipientId,
        category: &CategoryId,
        token: &str,
    ) -> Option<DataSubject> {
        let version = token.strip_prefix("tk")?.split_once('_')?.0.parse().ok()?;
        let key = self.key_of_version(
            version,
            &Domain {
                used_for: Use::Token,
                policy: &policy.id,
                category: category.as_str(),
                scope: Scope::Recipient,
                recipient: recipient.as_str(),
                purpose: "",
                extra: "",
            },
        )?;
        let canonical =
            policy.categories.get(category).map_or(Canonical::Text, |known| known.canonical);
        let value = key.open_token(canonical, token)?;
        Some(Personal::new(value.expose().as_str().into()))
    }
}
