//! Where a list goes on: sealed, so that nobody builds one or reads what is in it.
//!
//! A cursor holds the place after the last row that was shown and not a number of rows, so that rows
//! which come or go meanwhile are neither shown twice nor passed over. It is of one list and one caller,
//! and good until the gateway starts anew.

use aes_siv::siv::Aes256Siv;
use aes_siv::{Key, KeyInit as _};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// Longest cursor that is looked at; ours have some hundred letters.
const CURSOR_BYTES: usize = 512;

/// Seals and opens cursors.
pub(super) struct Cursors(Zeroizing<[u8; 64]>);

impl Cursors {
    /// With a key of this process.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0; 64]);
        getrandom::fill(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// The place as a cursor of this list for this caller; `None`: it could not be sealed.
    pub(super) fn seal(&self, list: &str, caller: &str, place: &[&str]) -> Option<String> {
        let place = serde_json::to_vec(place).ok()?;
        let sealed = self.cipher().encrypt([list.as_bytes(), caller.as_bytes()], &place).ok()?;
        Some(BASE64_URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The place that a cursor holds; `None`: it is none of this list, caller and process.
    pub(super) fn open(&self, list: &str, caller: &str, cursor: &str) -> Option<Vec<String>> {
        if cursor.len() > CURSOR_BYTES {
            return None;
        }
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let place = self.cipher().decrypt([list.as_bytes(), caller.as_bytes()], &sealed).ok()?;
        serde_json::from_slice(&place).ok()
    }

    fn cipher(&self) -> Aes256Siv {
        Aes256Siv::new(&Key::<Aes256Siv>::from(*self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_of_one_list_one_caller_and_one_process() {
        let cursors = Cursors::new().expect("random bytes");
        let sealed = cursors.seal("requests", "dpo", &["2026-01-01T00:00:00Z", "rq_1"]);
        let sealed = sealed.expect("sealed");
        assert!(!sealed.contains("rq_1"));
        let open = |list, caller, cursor: &str| cursors.open(list, caller, cursor);
        let place = open("requests", "dpo", &sealed).expect("ours");
        assert_eq!(place, ["2026-01-01T00:00:00Z", "rq_1"]);
        assert_eq!(open("orders", "dpo", &sealed), None);
        assert_eq!(open("requests", "desk", &sealed), None);
        assert_eq!(Cursors::new().expect("random").open("requests", "dpo", &sealed), None);
        let changed = format!("{}A", &sealed[..sealed.len() - 1]);
        let long = sealed.repeat(20);
        for cursor in ["", "x", "====", changed.as_str(), long.as_str()] {
            if cursor != sealed {
                assert_eq!(open("requests", "dpo", cursor), None, "{cursor}");
            }
        }
    }
}
