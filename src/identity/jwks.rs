//! Keys of token issuers. Source: RFC 7517.

/// A token issuer as configured.
pub struct Issuer {
    _private: (),
}

/// The present keys of one issuer.
pub struct IssuerKeys {
    _private: (),
}
