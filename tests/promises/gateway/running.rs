//! Stores that fail, and the end.
