//! The YAML as written: serde mirror with places. Unknown keys are errors everywhere.
