//! Keys of the ledger's index of data subjects.

use super::KeyRing;
use crate::action::pseudonym::{Domain, DomainKey, Scope, Use};

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
            period: "",
        };
        self.versions()
            .rev()
            .filter_map(|version| {
                let rows = self.key_of_version(version, &domain(Use::Pseudonym))?;
                Some((rows, self.key_of_version(version, &domain(Use::Token))?))
            })
            .collect()
    }
}
