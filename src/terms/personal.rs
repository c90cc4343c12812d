//! Values that belong to a person. They can be compared and used, not printed.

use std::fmt;
use std::sync::Arc;

/// A personal value. `Debug` prints `‹withheld›`; there is no `Display` and no `Serialize`.
///
/// ```compile_fail
/// println!("{}", tamis::terms::Personal::new("u1"));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Personal<T>(T);

impl<T> Personal<T> {
    /// Marks `value` as personal.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. The word is long on purpose: every use is a place to review.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹withheld›")
    }
}

/// The id by which the controller knows a data subject. Source: GDPR Art. 4(1).
pub type DataSubject = Personal<Arc<str>>;

#[cfg(test)]
mod tests {
    use super::Personal;

    #[test]
    fn a_personal_value_does_not_print() {
        assert_eq!(format!("{:?}", Personal::new("CANARY")), "‹withheld›");
    }
}
