//! tamis.yaml → Config, all errors at once.
