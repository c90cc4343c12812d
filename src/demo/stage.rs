//! The stage: a folder with everything a gateway needs for one policy, made for development.
//!
//! In it: an authority and certificates, a credential for every recipient of the policy, a key
//! ring, the rules and `tamis.yaml`. A folder that is there already is used again: keys, registers
//! and ledger stay as they are; certificates, tokens and consents are renewed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hyper::header::{AUTHORIZATION, HeaderName};
use jiff::{SignedDuration, Timestamp};

use super::client::{Client, ClientError};
use super::script::Show;
use super::settings::{Settings, StageListen};
use super::statements;
use crate::identity::development::{Authority, DevelopmentError, TokenClaims, TokenSigner};
use crate::keys::{KeyRing, NoteSigner, WebhookSecret};
use crate::policy::model::Authenticator;
use crate::policy::{Diagnostics, Policy};
use crate::terms::{Digest, RecipientId, UpstreamId};

/// The audience of the stage's tokens.
pub(super) const AUDIENCE: &str = "tamis";

/// How long tokens last; they are made anew with every start.
const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// The name of its ledger in checkpoints.
const LEDGER_NAME: &str = "demo.example.invalid/ledger";

/// Names of the server's certificate; `gateway` is its name beside docker-compose.yml.
const SERVER_NAMES: [&str; 4] = ["localhost", "127.0.0.1", "::1", "gateway"];

/// Why a stage cannot be set.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A file cannot be read or written.
    #[error("cannot use {}", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// A part of the stage could not be made; names the part.
    #[error("cannot make {0}")]
    Part(&'static str, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The rules are rejected.
    #[error("the rules are rejected:\n{0}")]
    Rules(Diagnostics),
    /// The policy has no such recipient.
    #[error("the policy has no recipient {0}")]
    Recipient(String),
}

/// How a recipient of the stage proves who it is. All paths are of files in the stage's folder.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A client certificate and its key.
    Certificate {
        /// The chain, PEM.
        chain: PathBuf,
        /// The key, PEM.
        key: PathBuf,
    },
    /// A JSON Web Token.
    Token(PathBuf),
    /// An API key.
    ApiKey(PathBuf),
}

/// A set stage.
pub struct Stage {
    dir: PathBuf,
    policy: Policy,
}

impl Stage {
    /// Makes the folder, or makes it fit for use again. `upstream` is the backend's URL.
    ///
    /// # Errors
    /// See [`StageError`].
    pub fn prepare(
        show: Show,
        dir: &Path,
        upstream: &str,
        listen: StageListen,
    ) -> Result<Self, StageError> {
        let now = Timestamp::now();
        fs::create_dir_all(dir).map_err(|error| StageError::File(dir.into(), error))?;
        let policy = Policy::parse("rules.yaml", show.rules()).map_err(StageError::Rules)?;
        let stage = Self { dir: dir.to_owned(), policy };
        stage.write("rules.yaml", show.rules().as_bytes())?;
        stage.issue_credentials(show, now)?;
        let ring = stage.path("keyring");
        if !ring.exists() {
            KeyRing::generate(&ring).map_err(part("the key ring"))?;
        }
        let checkpoint_key = stage.path("ledger.key");
        if !checkpoint_key.exists() {
            NoteSigner::generate(&checkpoint_key, LEDGER_NAME)
                .map_err(part("the key for checkpoints"))?;
        }
        let admin_token = stage.secret("admin.token")?;
        let mut api_keys = BTreeMap::new();
        let mut issuers = BTreeSet::new();
        for (recipient, authenticator) in stage.authenticators() {
            match authenticator {
                Authenticator::ApiKey { reference } => {
                    let secret = stage.secret(&format!("{recipient}.apikey"))?;
                    api_keys.insert(reference.as_str(), Digest::of(secret.as_bytes()));
                }
                Authenticator::Jwt { issuer, .. } => {
                    issuers.insert(issuer.as_str());
                }
                Authenticator::MtlsDns(_) | Authenticator::MtlsUri(_) => {}
            }
        }
        let told = stage.policy.registers.erasure_notices.keys();
        let told: BTreeSet<&str> = told.map(RecipientId::as_str).collect();
        for file in told.iter().map(|recipient| format!("{recipient}.whsec")) {
            if !stage.path(&file).exists() {
                let made = WebhookSecret::generate().map_err(part("the secret of a webhook"))?;
                stage.write(&file, made.as_bytes())?;
            }
        }
        let upstreams = stage.policy.routes.iter().filter_map(|route| route.upstream.as_ref());
        let settings = Settings {
            listen,
            upstreams: upstreams.map(UpstreamId::as_str).collect(),
            url: upstream,
            issuers,
            api_keys,
            told,
            admin_token: Digest::of(admin_token.as_bytes()),
        };
        stage.write("tamis.yaml", settings.text().as_bytes())?;
        let registers = stage.path("registers.sqlite");
        statements::enter(&registers, &stage.policy, show.said(), now)?;
        Ok(stage)
    }

    /// The gateway's settings.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.path("tamis.yaml")
    }

    /// The certificate of the authority that made all others.
    #[must_use]
    pub fn authority_file(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// The policy on the stage.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How a recipient proves who it is; the first way that the policy declares.
    ///
    /// # Errors
    /// The policy has no such recipient.
    pub fn credential(&self, recipient: &str) -> Result<Credential, StageError> {
        let (_, authenticator) = self
            .authenticators()
            .find(|(id, _)| *id == recipient)
            .ok_or_else(|| StageError::Recipient(recipient.to_owned()))?;
        let file = |kind: &str| self.path(&format!("{recipient}.{kind}"));
        Ok(match authenticator {
            Authenticator::MtlsDns(_) | Authenticator::MtlsUri(_) => {
                Credential::Certificate { chain: file("pem"), key: file("key") }
            }
            Authenticator::Jwt { .. } => Credential::Token(file("token")),
            Authenticator::ApiKey { .. } => Credential::ApiKey(file("apikey")),
        })
    }

    /// A client that asks as this recipient.
    ///
    /// # Errors
    /// See [`StageError`].
    pub fn client(&self, recipient: &str) -> Result<Client, StageError> {
        let ca = self.authority_file();
        let made: Result<Client, ClientError> = match self.credential(recipient)? {
            Credential::Certificate { chain, key } => Client::new(&ca, Some((&chain, &key))),
            Credential::Token(file) => {
                let bearer = format!("Bearer {}", read(&file)?);
                Client::new(&ca, None).and_then(|client| client.with_header(AUTHORIZATION, &bearer))
            }
            Credential::ApiKey(file) => {
                let key = read(&file)?;
                let name = HeaderName::from_static("tamis-api-key");
                Client::new(&ca, None).and_then(|client| client.with_header(name, &key))
            }
        };
        made.map_err(part("a client"))
    }

    /// The line that asks the same with curl, from the folder where the demo was started.
    ///
    /// # Errors
    /// The policy has no such recipient.
    pub fn curl(&self, recipient: &str, purpose: &str, url: &str) -> Result<String, StageError> {
        let who = match self.credential(recipient)? {
            Credential::Certificate { chain, key } => {
                format!("--cert {} --key {}", chain.display(), key.display())
            }
            Credential::Token(file) => {
                format!("-H \"Authorization: Bearer $(cat {})\"", file.display())
            }
            Credential::ApiKey(file) => format!("-H \"Tamis-Api-Key: $(cat {})\"", file.display()),
        };
        let ca = self.authority_file();
        Ok(format!(
            "curl -s --cacert {} {who} \\\n    -H 'Tamis-Purpose: {purpose}' '{url}'",
            ca.display()
        ))
    }

    /// Certificates and tokens for every recipient of the policy, by one authority and one signer.
    fn issue_credentials(&self, show: Show, now: Timestamp) -> Result<(), StageError> {
        let fault = part::<DevelopmentError>("the development credentials");
        let loaded = Authority::load(&self.dir).map_err(&fault)?;
        let authority = match loaded {
            Some(authority) => authority,
            None => Authority::create(&self.dir, now).map_err(&fault)?,
        };
        let server = authority.issue_server(&SERVER_NAMES, now).map_err(&fault)?;
        server.write(&self.dir, "server").map_err(&fault)?;
        let signer = TokenSigner::generate().map_err(&fault)?;
        self.write("jwks.json", signer.jwks().as_bytes())?;
        let expires_at = now.saturating_add(TOKEN_LIFETIME).unwrap_or(now);
        for (recipient, authenticator) in self.authenticators() {
            match authenticator {
                Authenticator::MtlsDns(name) | Authenticator::MtlsUri(name) => {
                    let issued = authority.issue_client(name, now).map_err(&fault)?;
                    issued.write(&self.dir, recipient).map_err(&fault)?;
                }
                Authenticator::Jwt { issuer, client, .. } => {
                    let claims = TokenClaims {
                        issuer,
                        audience: AUDIENCE,
                        // A token without a client is a person's own.
                        subject: Some(if client.is_some() { "clerk-1" } else { show.person() }),
                        client: client.as_deref(),
                        // Recipients that share an issuer are told apart by their purposes.
                        purposes: &self.policy.recipients[recipient].purposes,
                        issued_at: now,
                        expires_at,
                    };
                    let token = signer.sign(&claims).map_err(&fault)?;
                    self.write(&format!("{recipient}.token"), token.as_bytes())?;
                }
                Authenticator::ApiKey { .. } => {}
            }
        }
        Ok(())
    }

    fn authenticators(&self) -> impl Iterator<Item = (&str, &Authenticator)> {
        self.policy.recipients.iter().filter_map(|(id, recipient)| {
            recipient.authenticate.first().map(|authenticator| (id.as_str(), authenticator))
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes a file that only its owner may read.
    fn write(&self, name: &str, content: &[u8]) -> Result<(), StageError> {
        let path = self.path(name);
        write_private(&path, content).map_err(|error| StageError::File(path, error))
    }

    /// A random text that is made once and kept in a file.
    fn secret(&self, name: &str) -> Result<String, StageError> {
        let file = self.path(name);
        if file.exists() {
            return read(&file);
        }
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| StageError::File(file, io::Error::other(error.to_string())))?;
        let text = Digest::from_bytes(bytes).hex();
        self.write(name, text.as_bytes())?;
        Ok(text)
    }
}

fn part<E: std::error::Error + Send + Sync + 'static>(
    name: &'static str,
) -> impl Fn(E) -> StageError {
    move |error| StageError::Part(name, Box::new(error))
}

fn read(file: &Path) -> Result<String, StageError> {
    fs::read_to_string(file)
        .map(|text| text.trim().to_owned())
        .map_err(|error| StageError::File(file.into(), error))
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(content)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::Config;
    use crate::registers::Registers as _;
    use crate::terms::Personal;

    fn prepared(show: Show, dir: &Path) -> Stage {
        let listen = StageListen::around("127.0.0.1:0".parse().expect("an address"));
        Stage::prepare(show, dir, "http://127.0.0.1:9", listen).expect("prepared")
    }

    #[test]
    fn every_recipient_of_every_policy_can_prove_who_it_is() {
        for show in [Show::Letsmasak, Show::Webllet, Show::WeLock] {
            let folder = tempfile::tempdir().expect("a folder");
            let stage = prepared(show, &folder.path().join("demo"));
            Config::load(&stage.config_file()).expect("the settings are accepted");
            for recipient in stage.policy().recipients.keys() {
                stage.client(recipient.as_str()).expect("a credential that a client can use");
                let curl =
                    stage.curl(recipient.as_str(), "p", "https://localhost/").expect("a line");
                assert!(curl.contains("--cacert"), "{curl}");
            }
        }
    }

    #[test]
    fn what_must_last_is_kept_when_the_folder_is_used_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let stage = prepared(Show::Letsmasak, folder.path());
        let kept = ["ca.pem", "ca.key", "keyring", "admin.token", "advertiser.apikey"];
        let read = |name: &str| fs::read(stage.path(name)).expect(name);
        let before = kept.map(read);
        prepared(Show::Letsmasak, folder.path());
        assert!(before == kept.map(read), "a lasting file was made anew");
    }

    #[test]
    fn secrets_are_for_their_owner_only() {
        let folder = tempfile::tempdir().expect("a folder");
        prepared(Show::Letsmasak, folder.path());
        for entry in fs::read_dir(folder.path()).expect("readable").flatten() {
            let name = entry.path();
            let mode = entry.metadata().expect("metadata").permissions().mode() & 0o077;
            assert!(mode == 0 || name.extension().is_some_and(|kind| kind == "pem"), "{name:?}");
        }
    }

    #[test]
    fn the_people_of_the_tour_have_said_what_it_tells() {
        let folder = tempfile::tempdir().expect("a folder");
        let stage = prepared(Show::Letsmasak, folder.path());
        let registers = crate::registers::RegisterStore::embedded(&stage.path("registers.sqlite"))
            .expect("opened");
        let said = |id: &str| registers.statements(&Personal::new(id.into())).expect("answers");
        assert_eq!(said("u-1001").consents.len(), 2);
        assert_eq!(said("u-1003").notices.len(), 1);
        assert!(said("u-1002").consents.is_empty());
    }
}
