//! JSON Web Tokens. Source: RFC 7519, RFC 8725 (best current practices).
