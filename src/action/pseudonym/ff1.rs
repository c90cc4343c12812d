//! Digits to other digits of the same length: FF1 with AES-256, under the key and tweak of a domain.
//!
//! The rounds are those of the `fpe` crate; the arithmetic on halves is ours, in 128 bits, so that no
//! big integers come in. Fewer than 10⁶ possible values are refused: a permutation of so few can be
//! listed. Source: NIST SP 800-38G Rev. 1, algorithm 7; docs/decisions/0008-digits-by-ff1.md.

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use fpe::ff1::{FF1, NumeralString, Operations};
use zeroize::Zeroizing;

const DECIMAL: u32 = 10;

/// Most digits of a value. A half of 35 digits stays below [`LARGEST_HALF`].
const MOST_DIGITS: usize = 70;

/// A half is below this, so that a byte more can be taken in before it is reduced.
const LARGEST_HALF: u128 = 1 << 119;

/// The permutation of one domain.
pub(super) struct Permutation {
    rounds: FF1<Aes256>,
    tweak: Vec<u8>,
}

impl Permutation {
    pub(super) fn new(key: &[u8; 32], tweak: Vec<u8>) -> Self {
        let rounds = FF1::new(key, DECIMAL).expect("10 is a radix");
        Self { rounds, tweak }
    }

    /// The image of a string of 6 to 70 ASCII digits; `None` for all else.
    pub(super) fn digits(&self, text: &[u8]) -> Option<String> {
        let mut figures = Zeroizing::new([0; MOST_DIGITS]);
        let figures = figures.get_mut(..text.len())?;
        for (figure, &sign) in figures.iter_mut().zip(text) {
            *figure = sign.is_ascii_digit().then(|| sign - b'0')?;
        }
        let permuted = encrypt(&self.rounds, DECIMAL, &self.tweak, figures)?;
        permuted.write(figures);
        Some(figures.iter().map(|figure| char::from(b'0' + figure)).collect())
    }
}

fn encrypt<Cipher: BlockCipherEncrypt + Clone + KeyInit>(
    rounds: &FF1<Cipher>,
    radix: u32,
    tweak: &[u8],
    numerals: &[u8],
) -> Option<Numerals> {
    rounds.encrypt(tweak, &Numerals::new(numerals, radix)?).ok()
}

/// A string of numerals as its two halves.
struct Numerals {
    front: Half,
    back: Half,
}

#[derive(Clone, Copy)]
struct Half {
    radix: u32,
    count: usize,
    number: u128,
}

impl Numerals {
    /// `None` for a numeral that the radix does not have, and for a string that is too long.
    fn new(numerals: &[u8], radix: u32) -> Option<Self> {
        let (front, back) = numerals.split_at(numerals.len() / 2);
        Some(Self { front: Half::new(front, radix)?, back: Half::new(back, radix)? })
    }

    /// Writes the numerals; `out` is as long as there are.
    fn write(&self, out: &mut [u8]) {
        let (front, back) = out.split_at_mut(self.front.count);
        self.front.write(front);
        self.back.write(back);
    }
}

impl NumeralString for Numerals {
    type Ops = Half;

    fn is_valid(&self, radix: u32) -> bool {
        self.front.radix == radix
    }

    fn numeral_count(&self) -> usize {
        self.front.count + self.back.count
    }

    fn split(&self) -> (Half, Half) {
        (self.front, self.back)
    }

    fn concat(front: Half, back: Half) -> Self {
        Self { front, back }
    }
}

impl Half {
    fn new(numerals: &[u8], radix: u32) -> Option<Self> {
        let count = u32::try_from(numerals.len()).ok()?;
        u128::from(radix).checked_pow(count).filter(|modulus| *modulus <= LARGEST_HALF)?;
        let mut number = 0;
        for &numeral in numerals {
            if u32::from(numeral) >= radix {
                return None;
            }
            number = number * u128::from(radix) + u128::from(numeral);
        }
        Some(Self { radix, count: numerals.len(), number })
    }

    fn write(self, out: &mut [u8]) {
        let (radix, mut rest) = (u128::from(self.radix), self.number);
        for numeral in out.iter_mut().rev() {
            *numeral = u8::try_from(rest % radix).expect("every radix here is below 256");
            rest /= radix;
        }
    }

    /// The modulus of `count` numerals, and the big-endian number of `bytes` reduced by it.
    fn reduce(self, bytes: impl Iterator<Item = u8>, count: usize) -> (u128, u128) {
        let modulus = (0..count).fold(1, |power, _| power * u128::from(self.radix));
        (modulus, bytes.fold(0, |number, byte| ((number << 8) | u128::from(byte)) % modulus))
    }
}

/// The last bytes of a number, as many as FF1 asks for.
struct BigEndian {
    bytes: [u8; 16],
    start: usize,
}

impl AsRef<[u8]> for BigEndian {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

impl Operations for Half {
    type Bytes = BigEndian;

    fn numeral_count(&self) -> usize {
        self.count
    }

    fn to_be_bytes(&self, _: u32, length: usize) -> BigEndian {
        // FF1 asks for the bytes of the longer half, which `LARGEST_HALF` keeps to 15.
        BigEndian { bytes: self.number.to_be_bytes(), start: 16_usize.saturating_sub(length) }
    }

    fn add_mod_exp(self, other: impl Iterator<Item = u8>, _: u32, count: usize) -> Self {
        let (modulus, other) = self.reduce(other, count);
        Self { number: (self.number + other) % modulus, count, ..self }
    }

    fn sub_mod_exp(self, other: impl Iterator<Item = u8>, _: u32, count: usize) -> Self {
        let (modulus, other) = self.reduce(other, count);
        Self { number: (self.number + modulus - other) % modulus, count, ..self }
    }
}

#[cfg(test)]
mod tests {
    use aes::{Aes128, Aes192};
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    const ALPHABET: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

    /// What encrypts a vector's text, and takes it back: `None` if either is refused.
    fn there_and_back(
        key: &[u8],
        alphabet: &str,
        tweak: &[u8],
        text: &str,
    ) -> Option<(String, String)> {
        fn run<Cipher: BlockCipherEncrypt + Clone + KeyInit>(
            key: &[u8],
            radix: u32,
            tweak: &[u8],
            numerals: &[u8],
        ) -> Option<(Numerals, Numerals)> {
            let rounds = FF1::<Cipher>::new(key, radix).expect("a radix");
            let sealed = encrypt(&rounds, radix, tweak, numerals)?;
            let opened = rounds.decrypt(tweak, &sealed).expect("what was sealed can be opened");
            Some((sealed, opened))
        }
        let radix = u32::try_from(alphabet.len()).expect("short");
        let numerals = text
            .chars()
            .map(|sign| alphabet.find(sign).and_then(|at| u8::try_from(at).ok()))
            .collect::<Option<Vec<u8>>>()?;
        let (sealed, opened) = match key.len() {
            16 => run::<Aes128>(key, radix, tweak, &numerals),
            24 => run::<Aes192>(key, radix, tweak, &numerals),
            32 => run::<Aes256>(key, radix, tweak, &numerals),
            // No other size has a type.
            _ => None,
        }?;
        let spell = |string: &Numerals| {
            let mut out = vec![0; numerals.len()];
            string.write(&mut out);
            out.iter().map(|at| char::from(alphabet.as_bytes()[usize::from(*at)])).collect()
        };
        Some((spell(&sealed), spell(&opened)))
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2)
            .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal"))
            .collect()
    }

    #[derive(Deserialize)]
    struct Sample {
        radix: usize,
        key: String,
        tweak: String,
        plaintext: String,
        ciphertext: String,
    }

    #[test]
    fn the_samples_of_nist_hold() {
        let samples: Vec<Sample> =
            serde_json::from_str(include_str!("../../../tests/data/nist-fpe/ff1.json"))
                .expect("a vendored file");
        assert_eq!(samples.len(), 7);
        for sample in samples {
            let alphabet = &ALPHABET[..sample.radix];
            let got =
                there_and_back(&hex(&sample.key), alphabet, &hex(&sample.tweak), &sample.plaintext);
            assert_eq!(got, Some((sample.ciphertext, sample.plaintext)));
        }
    }

    #[derive(Deserialize)]
    struct Suite {
        #[serde(rename = "testGroups")]
        groups: Vec<Group>,
    }

    #[derive(Deserialize)]
    struct Group {
        alphabet: String,
        tests: Vec<Vector>,
    }

    #[derive(Deserialize)]
    struct Vector {
        #[serde(rename = "tcId")]
        id: u32,
        key: String,
        tweak: String,
        msg: String,
        ct: String,
        result: String,
        flags: Vec<String>,
    }

    /// Wycheproof calls a domain between 100 and 10⁶ valid, as the first edition of the standard did;
    /// here it is refused. So is what two halves of 119 bits do not hold.
    #[test]
    fn ff1_passes_wycheproof() {
        let files = [
            include_str!("../../../tests/data/wycheproof/aes_ff1_base10_test.json"),
            include_str!("../../../tests/data/wycheproof/aes_ff1_base62_test.json"),
        ];
        let (mut held, mut refused, mut too_long) = (0, 0, 0);
        for file in files {
            let suite: Suite = serde_json::from_str(file).expect("a vendored file");
            for (group, test) in suite
                .groups
                .iter()
                .flat_map(|group| group.tests.iter().map(move |test| (group, test)))
            {
                let got =
                    there_and_back(&hex(&test.key), &group.alphabet, &hex(&test.tweak), &test.msg);
                let small = test.flags.iter().any(|flag| flag == "SmallMessageSize");
                let half = u32::try_from(test.msg.len().div_ceil(2)).expect("short");
                let radix = u128::try_from(group.alphabet.len()).expect("short");
                if test.result != "valid" || small {
                    assert_eq!(got, None, "{}", test.id);
                    refused += 1;
                } else if radix.checked_pow(half).is_none_or(|modulus| modulus > LARGEST_HALF) {
                    assert_eq!(got, None, "{}", test.id);
                    too_long += 1;
                } else {
                    assert_eq!(got, Some((test.ct.clone(), test.msg.clone())), "{}", test.id);
                    held += 1;
                }
            }
        }
        assert_eq!((held, refused, too_long), (4040, 667, 52));
    }

    fn permutation(recipient: &str) -> Permutation {
        Permutation::new(&std::array::from_fn(|at| u8::try_from(at).expect("32")), recipient.into())
    }

    #[test]
    fn what_is_no_digit_string_or_has_too_few_values_is_refused() {
        let longest = "7".repeat(MOST_DIGITS);
        let longer = "7".repeat(MOST_DIGITS + 1);
        for (text, expected) in [
            ("", false),
            ("42", false),
            ("12345", false),
            ("123456", true),
            (&longest, true),
            (&longer, false),
            ("12345a", false),
            ("-123456", false),
            ("123 456", false),
            ("１２３４５６", false),
        ] {
            let permuted = permutation("help-desk").digits(text.as_bytes());
            assert_eq!(
                permuted.map(|digits| digits.len()),
                expected.then_some(text.len()),
                "{text}"
            );
        }
    }

    #[test]
    fn two_tweaks_permute_differently() {
        let one = permutation("help-desk").digits(b"123456");
        assert_ne!(one, permutation("marketing-esp").digits(b"123456"));
        assert_eq!(one, permutation("help-desk").digits(b"123456"));
    }

    #[test]
    fn no_two_values_of_the_smallest_domain_share_one() {
        let permutation = permutation("help-desk");
        let images: std::collections::HashSet<_> = (0..1_000_000_u32)
            .step_by(97)
            .map(|value| permutation.digits(format!("{value:06}").as_bytes()))
            .collect();
        assert_eq!(images.len(), 1_000_000_usize.div_ceil(97));
        assert!(!images.contains(&None));
    }

    proptest! {
        #[test]
        fn digits_stay_digits_and_come_back(text in "[0-9]{6,70}") {
            let permutation = permutation("help-desk");
            let image = permutation.digits(text.as_bytes()).expect("digits");
            prop_assert_eq!(image.len(), text.len());
            let numerals: Vec<u8> = image.bytes().map(|sign| sign - b'0').collect();
            let sealed = Numerals::new(&numerals, DECIMAL).expect("digits");
            let opened = permutation.rounds.decrypt(&permutation.tweak, &sealed).expect("opens");
            let mut back = vec![0; text.len()];
            opened.write(&mut back);
            let back: String = back.into_iter().map(|figure| char::from(b'0' + figure)).collect();
            prop_assert_eq!(back, text);
        }
    }
}
