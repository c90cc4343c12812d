//! What is measured, and on what: bodies generated from a seed, rules, the way through the rewriter,
//! and the peers beside it. Shared by the criterion bench, the table and the instruction counts, so
//! that all three speak of the same cases.

pub(crate) mod bodies;
pub(crate) mod drive;
pub(crate) mod peers;
pub(crate) mod rules;
