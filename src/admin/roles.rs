//! Who may make which call of the admin API: one table, and nothing beside it.
//!
//! The router asks here before a handler runs. A route that is not in the table is answered to nobody,
//! so that a new handler without a row does nothing. docs/OPERATIONS.md shows the same table, and
//! tests/promises/admin/roles.rs holds both against a running gateway.

use std::collections::BTreeSet;

use crate::terms::AdminRole;
use crate::terms::AdminRole::{Auditor, ConsentDesk, Dpo, Operator, Reader};

/// What a call touches, which says whether it may go on without its entry in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Touches {
    /// Rules and documents: nobody's data.
    Nobody,
    /// It tells what is known of people. Without an entry in the ledger nothing is told.
    People,
    /// It changes the registers. What a person said is in force whether or not the ledger is there.
    Registers,
}

/// One row: a method of a path, and who may use it.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) method: &'static str,
    /// The template, as the router has it.
    pub(super) path: &'static str,
    pub(super) touches: Touches,
    pub(super) roles: &'static [AdminRole],
}

impl Rule {
    /// The role by which a caller with these may do it; `None`: it may not.
    pub(super) fn permits(&self, roles: &BTreeSet<AdminRole>) -> Option<AdminRole> {
        self.roles.iter().copied().find(|role| roles.contains(role))
    }

    /// Longest body of the call.
    pub(super) fn body_bytes(&self) -> usize {
        if self.path == "/v1/import" { IMPORT_BYTES } else { BODY_BYTES }
    }
}

/// Longest body: several times the longest record that somebody would write.
pub(super) const BODY_BYTES: usize = 64 << 10;

/// Longest import: some 50,000 records, which are one transaction.
pub(super) const IMPORT_BYTES: usize = 16 << 20;

/// Enter what people say.
const DESK: &[AdminRole] = &[ConsentDesk, Dpo];
/// Decide: orders, cases, and what gives back what somebody has forbidden.
const OFFICER: &[AdminRole] = &[Dpo];
/// Look up single people.
const LOOK_UP: &[AdminRole] = &[Reader, ConsentDesk, Dpo];
/// Look at orders and cases, which are shown without the people they name.
const FILES: &[AdminRole] = &[Reader, Dpo, Auditor];
/// Read reports that count people and name none.
const FIGURES: &[AdminRole] = &[Dpo, Auditor];
/// Look at who may call.
const OVERSIGHT: &[AdminRole] = &[Dpo, Operator, Auditor];
/// Look at what is about nobody.
const EVERY: &[AdminRole] = &[Reader, ConsentDesk, Dpo, Operator, Auditor];

const fn rule(
    method: &'static str,
    path: &'static str,
    touches: Touches,
    roles: &'static [AdminRole],
) -> Rule {
    Rule { method, path, touches, roles }
}

/// Every call there is.
pub(super) const TABLE: &[Rule] = &[
    rule("POST", "/v1/consents", Touches::Registers, DESK),
    rule("POST", "/v1/consents/{id}/withdrawal", Touches::Registers, DESK),
    rule("POST", "/v1/withdrawals", Touches::Registers, DESK),
    rule("PUT", "/v1/notices", Touches::Registers, DESK),
    rule("PUT", "/v1/objections", Touches::Registers, DESK),
    rule("POST", "/v1/objections/lift", Touches::Registers, DESK),
    rule("PUT", "/v1/restrictions", Touches::Registers, DESK),
    // The person is told before a restriction ends (GDPR Art. 18(3)), which is the officer's duty.
    rule("POST", "/v1/restrictions/lift", Touches::Registers, OFFICER),
    rule("PUT", "/v1/disputes", Touches::Registers, DESK),
    // Disputed data leave again: somebody has looked, and the person is told, as above.
    rule("POST", "/v1/disputes/resolve", Touches::Registers, OFFICER),
    rule("PUT", "/v1/erasures", Touches::Registers, DESK),
    // What somebody asked to be forgotten is given again: two officers, each in their own name.
    rule("POST", "/v1/erasures/lift", Touches::Registers, OFFICER),
    rule("PUT", "/v1/subjects", Touches::Registers, DESK),
    rule("PUT", "/v1/one-time-grants", Touches::Registers, DESK),
    rule("PUT", "/v1/orders", Touches::Registers, OFFICER),
    rule("GET", "/v1/orders", Touches::Nobody, FILES),
    rule("GET", "/v1/orders/{id}", Touches::Nobody, FILES),
    rule("POST", "/v1/orders/{id}/approval", Touches::Registers, OFFICER),
    rule("POST", "/v1/orders/{id}/lift", Touches::Registers, OFFICER),
    rule("PUT", "/v1/cases", Touches::Registers, OFFICER),
    rule("GET", "/v1/cases", Touches::Nobody, FILES),
    rule("GET", "/v1/cases/{id}", Touches::Nobody, FILES),
    rule("POST", "/v1/cases/{id}/closure", Touches::Registers, OFFICER),
    rule("GET", "/v1/requests", Touches::People, LOOK_UP),
    rule("POST", "/v1/requests/{receipt}/answer", Touches::Registers, DESK),
    // Which are given up, the report `overdue` says.
    rule("POST", "/v1/erasure-notices/{id}/retry", Touches::Registers, OFFICER),
    rule("POST", "/v1/statements/query", Touches::People, LOOK_UP),
    rule("POST", "/v1/statements/history", Touches::People, LOOK_UP),
    rule("GET", "/v1/reports/{name}", Touches::Nobody, FIGURES),
    rule("POST", "/v1/reports/{name}/query", Touches::People, OFFICER),
    // Each record of it must be one that the caller may enter alone.
    rule("POST", "/v1/import", Touches::Registers, DESK),
    // Everybody, orders and cases with the people they name.
    rule("GET", "/v1/export", Touches::People, OFFICER),
    rule("GET", "/v1/callers", Touches::Nobody, OVERSIGHT),
    rule("GET", "/v1/policy", Touches::Nobody, EVERY),
    rule("GET", "/openapi.json", Touches::Nobody, EVERY),
];

/// Whether a caller with these roles may enter records of this kind. A kind without a call of its own
/// is nobody's to enter.
pub(super) fn may_enter(kind: &str, roles: &BTreeSet<AdminRole>) -> bool {
    let path = format!("/v1/{kind}s");
    let enters = |rule: &&Rule| rule.path == path && matches!(rule.method, "PUT" | "POST");
    TABLE.iter().find(enters).is_some_and(|rule| rule.permits(roles).is_some())
}

/// The rows of a path.
pub(super) fn rules_of(path: &str) -> impl Iterator<Item = &'static Rule> {
    TABLE.iter().filter(move |rule| rule.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_stands_in_the_table_twice_and_each_has_somebody_for_it() {
        for (at, rule) in TABLE.iter().enumerate() {
            let same = |other: &&Rule| other.path == rule.path && other.method == rule.method;
            assert_eq!(TABLE.iter().position(|other| same(&other)), Some(at), "{rule:?}");
            assert!(!rule.roles.is_empty(), "{rule:?}");
        }
    }

    #[test]
    fn neither_an_operator_nor_an_auditor_meets_a_single_person() {
        for rule in TABLE.iter().filter(|rule| rule.touches != Touches::Nobody) {
            assert_eq!(rule.permits(&[Operator, Auditor].into()), None, "{rule:?}");
        }
        for rule in TABLE.iter().filter(|rule| rule.touches == Touches::Registers) {
            assert_eq!(rule.permits(&[Reader].into()), None, "{rule:?}");
        }
    }
}
