//! Subject gates: what one person's statements permit. Asked once for subjects known from the
//! request, and again for every element of a list, at the moment of release.

use crate::action::Action;
use crate::policy::CellId;
use crate::terms::RefusalReason;

/// A cell that the gates tightened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// Which.
    pub cell: CellId,
    /// The action in force instead of the plan's; never less strict.
    pub action: Action,
}

/// The gates' answer for one part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It leaves, with these cells tightened.
    Release(Vec<Adjustment>),
    /// It does not leave.
    Drop(RefusalReason),
}
