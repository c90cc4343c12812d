//! The codes of findings, in the order of docs/RULES.md. A finding has one of these and no other;
//! tests hold that each has a case that raises it and a twin that does not.

/// One kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// Its stable name.
    pub code: &'static str,
    /// What it is about, in one line without a full stop.
    pub about: &'static str,
}

/// All of them. A new finding gets a row here and one in docs/RULES.md.
pub const CODES: &[Code] = &[
    code("T101", "a name that is not declared"),
    code(
        "T102",
        "text outside the language: an unknown or duplicate key, or none of the accepted values",
    ),
    code(
        "T103",
        "a selector that is not RFC 9535, or cannot be decided while the document streams by",
    ),
    code("T104", "a route that is none"),
    code("T105", "two routes for the same requests"),
    code("T106", "a field of which nobody can say whose it is"),
    code("T107", "an unknown action"),
    code("T108", "an included file that is not there, or a section that stands in two files"),
    code("T110", "a category that is released to nobody"),
    code("T111", "a category that is bound to no field, or to links that cannot hold it"),
    code("T120", "a grant that is never reached"),
    code("T121", "a purpose for which a recipient is granted nothing"),
    code("T122", "a limit that changes nothing"),
    code("T201", "grants that differ for one recipient, purpose and category"),
    code("T204", "actions that have nothing in common but `blank`"),
    code("T205", "sensitive data kept without explicit consent"),
    code("T210", "an open member whose name looks personal"),
    code("T211", "two selectors that can meet with different categories"),
    code("T212", "a whole subtree is released"),
    code("T213", "a tunnel, in which nothing is minimized"),
    code("T220", "an aggregate by which single people could be recognised"),
    code("T230", "a query parameter that filters on what nobody gets in clear"),
    code("T301", "a purpose without basis or balancing test"),
    code("T302", "a contract, register or approver that is missing"),
    code("T310", "a transfer mechanism that is void, ran out or soon will"),
    code("T320", "consent that is implied, bundled or taken over"),
    code("T330", "a period that is missing or too long"),
    code("T331", "a period without a date from which it counts"),
    code(
        "T340",
        "a notice of erasures that says more than its recipient is shown, or leads to nobody",
    ),
    code("T401", "a pseudonym that everybody can join"),
    code("T410", "a pseudonym that can be matched: by count, or with that of the access log"),
    code("T420", "data that link or single out in combination"),
    code("T501", "a promise that no rule names, or a name that is no promise"),
    code(
        "T601",
        "what a ledger says about the rules: members that none lists, purposes that nobody uses",
    ),
];

const fn code(code: &'static str, about: &'static str) -> Code {
    Code { code, about }
}
