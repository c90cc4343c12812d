//! How far a route is in force.

/// Whether what the rules decide for a route takes effect. Whatever it is, nothing leaves that the
/// rules do not release: the modes before the last release nothing at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Requests are judged and counted; the backend is not asked.
    Observe,
    /// Answers are fetched, minimized and counted as well, and thrown away.
    Shadow,
    /// Answers leave.
    #[default]
    Enforce,
}

impl Mode {
    /// The word in the rules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Shadow => "shadow",
            Self::Enforce => "enforce",
        }
    }
}
