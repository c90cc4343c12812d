//! Selectors of one plan as one deterministic automaton over member names and element positions.
//! What each place is for is a [`Mark`]; the engine follows states and reads marks.

use super::path::Selector;

/// Position of a cell in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellId(pub u16);

/// Position of a subject role in its route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleIndex(pub u8);

/// What a selected place is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// Treated as this cell says.
    Cell {
        /// Which.
        cell: CellId,
        /// An object beneath goes the same way, whole. Without it, objects are removed.
        subtree: bool,
    },
    /// The list's elements: each is asked about.
    Each,
    /// The id of a subject stands here.
    Subject(RoleIndex),
}

/// What becomes of members that no selector names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlisted {
    /// Removed and counted: the gateway's only way.
    Remove,
    /// Copied: `tamis rewrite`, where the rules name what is to be changed.
    Keep,
}

/// The automaton would have more states than the bound allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these selectors need more than {bound} states together")]
pub struct TooLarge {
    /// The bound.
    pub bound: usize,
}

/// A compiled set of selectors.
#[derive(Debug)]
pub struct Automaton {}

impl Automaton {
    /// Compiles the selectors with their marks.
    ///
    /// # Errors
    /// [`TooLarge`].
    pub fn compile(rules: &[(Selector, Mark)], unlisted: Unlisted) -> Result<Self, TooLarge> {
        let _ = (rules, unlisted);
        todo!("engine")
    }
}
