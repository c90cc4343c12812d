//! Tamis, a reverse-proxy data-minimization gateway.
//!
//! # Layout, lowest layer first
//! A layer names only those above it in this list; `tests/architecture.rs` holds it.
//!
//! | layer | module | what it is |
//! |---|---|---|
//! | 0 | [`terms`] | the field's words as types |
//! | 1 | [`action`] | what may happen to a value, and the lattice of strictness |
//! | 2 | [`policy`] | rules text → `Policy` |
//! | 3 | [`decide`] | facts → `Permit` or `Refusal`; subject gates |
//! | 3 | [`minimize`] | streaming rewriters |
//! | 4 | [`observe`], [`https`] | log lines and metrics; calls to services outside |
//! | 5 | [`identity`], [`registers`], [`ledger`], [`keys`] | what deployments plug in |
//! | 6 | [`config`], [`reports`] | tamis.yaml; what ledger, registers and rules say together |
//! | 7 | [`gateway`], [`admin`] | listeners; start reading at `gateway::exchange` |
//! | 8 | [`cases`], [`demo`], [`cli`] | examples that prove rules; backends with invented people; one file a command |
//!
//! # Invariants
//! See docs/ARCHITECTURE.md; each is held by a test that names it.

pub mod action;
pub mod admin;
pub mod cases;
pub mod cli;
pub mod config;
pub mod decide;
pub mod demo;
pub mod gateway;
pub mod https;
pub mod identity;
pub mod keys;
pub mod ledger;
pub mod minimize;
pub mod observe;
pub mod policy;
pub mod registers;
pub mod reports;
pub mod terms;
