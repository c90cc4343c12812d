//! A witness, written from C2SP tlog-witness and tlog-cosignature alone: it shares with the gateway nothing
//! but the key that checks a checkpoint's signature.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};
use tamis::keys::NoteKey;

use super::service::{Call, Reply, Service};

type Hash = [u8; 32];

/// What it has cosigned last, by origin.
type Seen = BTreeMap<String, (u64, Hash)>;

/// A witness of one ledger.
pub(crate) struct Witness {
    pub(crate) service: Service,
    pub(crate) seen: Arc<Mutex<Seen>>,
    key: Arc<Ed25519KeyPair>,
}

const NAME: &str = "witness.example.invalid/w1";

/// When it cosigns: a time of its own, so that tests need none.
const TIME: u64 = 1_796_090_929;

impl Witness {
    /// One that knows the ledger of this key.
    pub(crate) async fn of(ledger: &NoteKey) -> Self {
        let key = Arc::new(Ed25519KeyPair::from_seed_unchecked(&[9; 32]).expect("a seed"));
        let seen = Arc::<Mutex<Seen>>::default();
        let (ledger, signs, kept) = (ledger.clone(), Arc::clone(&key), Arc::clone(&seen));
        let service = Service::start(move |call: &Call| {
            assert_eq!((call.method.as_str(), &*call.path), ("POST", "/witness/add-checkpoint"));
            add_checkpoint(&ledger, &signs, &mut kept.lock().expect("ours"), call.text())
        })
        .await;
        Self { service, seen, key }
    }

    /// Its key as a verifier writes it.
    pub(crate) fn verifier_key(&self) -> String {
        let typed = [&[4], self.key.public_key().as_ref()].concat();
        let id = u32::from_be_bytes(key_id(&self.key));
        format!("{NAME}+{id:08x}+{}", BASE64_STANDARD.encode(typed))
    }
}

fn key_id(key: &Ed25519KeyPair) -> [u8; 4] {
    let named = [NAME.as_bytes(), b"\n\x04", key.public_key().as_ref()].concat();
    Sha256::digest(named)[..4].try_into().expect("four")
}

fn add_checkpoint(ledger: &NoteKey, key: &Ed25519KeyPair, seen: &mut Seen, body: &str) -> Reply {
    let Some((head, note)) = body.split_once("\n\n") else { return Reply::status(400) };
    let mut head = head.split('\n');
    let old = head.next().and_then(|line| line.strip_prefix("old ")).and_then(number);
    let proof: Option<Vec<Hash>> = head.map(hash).collect();
    let (Some(old), Some(proof)) = (old, proof) else { return Reply::status(400) };
    let Some((text, _)) = note.split_once("\n\n") else { return Reply::status(400) };
    let text = format!("{text}\n");
    let mut lines = text.lines();
    let (origin, size) = (lines.next().unwrap_or_default(), lines.next().and_then(number));
    let root = lines.next().and_then(hash);
    let (Some(size), Some(root)) = (size, root) else { return Reply::status(400) };
    if origin != ledger.name() {
        return Reply::status(404);
    }
    if ledger.open(note).is_err() {
        return Reply::status(403);
    }
    if old > size || proof.len() > 63 {
        return Reply::status(400);
    }
    let last = seen.get(origin).copied();
    if last.map_or(0, |(size, _)| size) != old {
        let size = format!("{}\n", last.map_or(0, |(size, _)| size));
        return Reply::Typed(409, "text/x.tlog.size", size.into_bytes());
    }
    if let Some((last_size, last_root)) = last {
        if last_size == size && last_root != root {
            return Reply::status(409);
        }
        if last_size != size && !continues((last_size, last_root), (size, root), &proof) {
            return Reply::status(422);
        }
    } else if !proof.is_empty() {
        return Reply::status(422);
    }
    seen.insert(origin.to_owned(), (size, root));
    let signed = format!("cosignature/v1\ntime {TIME}\n{text}");
    let signature = key.sign(signed.as_bytes());
    let bytes = [&key_id(key)[..], &TIME.to_be_bytes(), signature.as_ref()].concat();
    // A line of somebody else, which is to be passed over.
    let stranger = "\u{2014} stranger.example.invalid AAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
    let line = format!("{stranger}\u{2014} {NAME} {}\n", BASE64_STANDARD.encode(bytes));
    Reply::Say(200, line.into_bytes())
}

fn number(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|number| number.to_string() == text)
}

fn hash(text: &str) -> Option<Hash> {
    BASE64_STANDARD.decode(text).ok()?.try_into().ok()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::digest([&[1], &left[..], &right[..]].concat()).into()
}

/// RFC 6962 §2.1.2 by recursion: the old and the new root that a proof gives for `old` of `size` leaves.
/// `old_root` stands for a subtree that the proof leaves out.
fn roots(
    old: u64,
    size: u64,
    is_known: bool,
    old_root: Hash,
    proof: &[Hash],
) -> Option<(Hash, Hash)> {
    if old == size {
        return match (is_known, proof) {
            (true, []) => Some((old_root, old_root)),
            (false, [hash]) => Some((*hash, *hash)),
            _ => None,
        };
    }
    let middle = size.next_power_of_two() / 2;
    let (beside, rest) = proof.split_last()?;
    if old <= middle {
        let (from, to) = roots(old, middle, is_known, old_root, rest)?;
        Some((from, node(&to, beside)))
    } else {
        let (from, to) = roots(old - middle, size - middle, false, old_root, rest)?;
        Some((node(beside, &from), node(beside, &to)))
    }
}

fn continues(old: (u64, Hash), new: (u64, Hash), proof: &[Hash]) -> bool {
    roots(old.0, new.0, true, old.1, proof) == Some((old.1, new.1))
}
