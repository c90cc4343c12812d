//! The rules as written: a tree of nodes that know where they stand, and readers that collect
//! every finding instead of stopping at the first.
//!
//! Serde stops at the first error and cannot say where a key stands, so the tree is our own. It is
//! a strict subset of YAML 1.2: no anchors, aliases, tags, merge keys or second documents; a
//! duplicate key is an error. Nothing here knows what the rules mean; `compile` does.

mod fields;
mod findings;
mod join;
mod node;
mod tree;

pub(super) use fields::Fields;
pub(super) use findings::Findings;
pub(crate) use findings::closest;
pub(super) use join::join;
pub(super) use node::{Key, Node};
pub(super) use tree::parse;
