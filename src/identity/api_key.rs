//! API keys, kept as SHA-256 and compared in constant time.

/// Hashes of API keys by reference.
#[derive(Default)]
pub struct ApiKeys {
    _private: (),
}
