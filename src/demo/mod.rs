//! Small backends with invented people.
