//! What an authority asks for to see that a name is ours, for as long as it asks.
//!
//! Nothing is answered that no order of ours waits for. Source: RFC 8555 §8.3, RFC 8737 §3.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::super::certificates::ByName;

/// The protocol that an authority offers in a handshake, and nothing besides.
pub(in crate::gateway) const ALPN: &[u8] = b"acme-tls/1";

/// Where tokens are asked for on the plaintext listener.
const PLACE: &str = "/.well-known/acme-challenge/";

/// Questions that are open.
#[derive(Default)]
pub(in crate::gateway) struct Challenges(Mutex<Open>);

#[derive(Default)]
struct Open {
    /// Answers by token.
    tokens: HashMap<String, String>,
    /// Certificates by name.
    names: HashMap<String, Arc<CertifiedKey>>,
}

impl Challenges {
    /// What is said at this path, if an order waits for it.
    pub(in crate::gateway) fn at(&self, path: &str) -> Option<String> {
        let token = path.strip_prefix(PLACE)?;
        self.open().tokens.get(token).cloned()
    }

    /// Answers a token until what this gives is dropped.
    pub(super) fn say(self: &Arc<Self>, token: String, answer: String) -> Held {
        self.open().tokens.insert(token.clone(), answer);
        Held { challenges: Arc::clone(self), what: What::Token(token) }
    }

    /// Shows this certificate under a name until what this gives is dropped.
    pub(super) fn show(self: &Arc<Self>, name: String, certificate: CertifiedKey) -> Held {
        self.open().names.insert(name.clone(), Arc::new(certificate));
        Held { challenges: Arc::clone(self), what: What::Name(name) }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Nothing panics between two writes to it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Challenges")
    }
}

/// Keeps an answer there.
pub(super) struct Held {
    challenges: Arc<Challenges>,
    what: What,
}

enum What {
    Token(String),
    Name(String),
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut open = self.challenges.open();
        match &self.what {
            What::Token(token) => drop(open.tokens.remove(token)),
            What::Name(name) => drop(open.names.remove(name)),
        }
    }
}

/// Shows an authority what it asks for, and everybody else a certificate.
#[derive(Debug)]
pub(in crate::gateway) struct Challenged {
    /// For everybody else.
    pub(in crate::gateway) served: Arc<ByName>,
    /// For authorities.
    pub(in crate::gateway) challenges: Arc<Challenges>,
}

impl ResolvesServerCert for Challenged {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_asked = hello
            .alpn()
            .is_some_and(|mut offered| offered.next() == Some(ALPN) && offered.next().is_none());
        if !is_asked {
            return self.served.resolve(hello);
        }
        let name = hello.server_name()?.to_ascii_lowercase();
        self.challenges.open().names.get(&name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_answered_only_while_an_order_waits_for_it() {
        let challenges = Arc::new(Challenges::default());
        let held = challenges.say("t1".into(), "t1.thumb".into());
        assert_eq!(challenges.at("/.well-known/acme-challenge/t1").as_deref(), Some("t1.thumb"));
        for other in ["/.well-known/acme-challenge/", "/.well-known/acme-challenge/t2", "/t1", "t1"]
        {
            assert_eq!(challenges.at(other), None, "{other}");
        }
        drop(held);
        assert_eq!(challenges.at("/.well-known/acme-challenge/t1"), None);
    }
}
