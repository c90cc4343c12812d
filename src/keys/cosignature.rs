//! Cosignatures: a witness' word that a checkpoint continues all that it has seen of a ledger, with the time
//! at which it saw it. Source: C2SP tlog-cosignature, signature type `0x04` (Ed25519, RFC 8032).

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use jiff::Timestamp;

use super::note::{Signature, key_id, parts, read_key, write_key};

/// A timestamped Ed25519 signature by a witness.
const TYPE: u8 = 4;

/// What cosignatures are checked with. Reads and prints as `name+5f00c3a1+base64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessKey {
    name: String,
    public: [u8; 32],
}

impl WitnessKey {
    /// The name of the witness.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When this witness cosigned a note, the last time if it did so more than once; `None`: it did not, or
    /// a cosignature in its name is wrong.
    #[must_use]
    pub fn cosigned(&self, note: &str) -> Option<Timestamp> {
        let (text, lines) = parts(note)?;
        let mut last = None;
        for line in lines {
            let line = Signature::read(line)?;
            if self.is_of(&line) {
                last = last.max(Some(self.time(text, &line)?));
            }
        }
        last
    }

    /// Those of the lines that a witness answered which are its cosignatures of this note's text, each with
    /// its line feed. Others are passed over, as the protocol asks.
    #[must_use]
    pub fn cosignatures(&self, note: &str, answered: &str) -> String {
        let Some((text, _)) = parts(note) else { return String::new() };
        let is_good = |line: &&str| {
            let signature = line.strip_suffix('\n').and_then(Signature::read);
            signature.is_some_and(|line| self.is_of(&line) && self.time(text, &line).is_some())
        };
        answered.split_inclusive('\n').filter(is_good).collect()
    }

    fn is_of(&self, line: &Signature<'_>) -> bool {
        line.name == self.name && line.id == key_id(&self.name, TYPE, &self.public)
    }

    /// The time that a cosignature of this text states; `None`: it is none.
    fn time(&self, text: &str, line: &Signature<'_>) -> Option<Timestamp> {
        let (time, signature) = line.bytes.split_first_chunk::<8>()?;
        let second = i64::try_from(u64::from_be_bytes(*time)).ok()?;
        let signed = format!("cosignature/v1\ntime {second}\n{text}");
        let public = UnparsedPublicKey::new(&ED25519, self.public);
        public.verify(signed.as_bytes(), signature).ok()?;
        Timestamp::from_second(second).ok()
    }
}

impl fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_key(f, (&self.name, &self.public), TYPE)
    }
}

impl FromStr for WitnessKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let key = read_key(text, TYPE).map(|(name, public)| Self { name, public });
        key.ok_or(
            "a witness' key is its name, 8 hexadecimal digits and base64 of type 4, between `+`",
        )
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    use super::*;
    use crate::terms::hex;

    /// The example of the specification.
    const NOTE: &str = "example.com/behind-the-sofa\n20852163\n\
        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

    fn key(kind: u8) -> Result<WitnessKey, &'static str> {
        let public = [7; 32];
        let id = hex(&key_id("witness.example.invalid/w1", kind, &public));
        let mut typed = [kind; 33];
        typed[1..].copy_from_slice(&public);
        let typed = BASE64_STANDARD.encode(typed);
        format!("witness.example.invalid/w1+{id}+{typed}").parse()
    }

    #[test]
    fn a_key_of_a_witness_is_of_its_own_type() {
        let witness = key(TYPE).expect("a key");
        assert_eq!(witness.to_string().parse(), Ok(witness.clone()));
        assert!(key(1).is_err(), "one of an author is none");
        assert!(witness.to_string().replace('+', "-").parse::<WitnessKey>().is_err());
        assert_eq!(witness.cosigned(NOTE), None, "nobody cosigned it");
        let line = format!("\u{2014} {} AAAA\n", witness.name());
        assert_eq!(witness.cosignatures(NOTE, &line), "");
        assert_eq!(witness.cosignatures("no note", &line), "");
    }
}
