//! Internationalised domain names as A-labels, so that `münchen.example` and
//! `xn--mnchen-3ya.example` are one mailbox. Source: RFC 3492, RFC 5890.

use unicode_normalization::UnicodeNormalization;

/// Longest label and longest name. Source: RFC 1035 §2.3.4.
const LABEL: usize = 63;
const NAME: usize = 253;

/// Appends the domain in lower case, each label in ASCII. `None` if it is no domain name.
pub(super) fn ascii_domain(domain: &str, out: &mut String) -> Option<()> {
    let begin = out.len();
    // The four dots that IDNA treats alike. Source: RFC 3490 §3.1.
    for label in domain.split(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}']) {
        if out.len() > begin {
            out.push('.');
        }
        let start = out.len();
        if label.is_ascii() {
            out.extend(label.chars().map(|letter| letter.to_ascii_lowercase()));
        } else {
            encode_folded(label, out)?;
        }
        let ascii = &out[start..];
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if ascii.is_empty() || ascii.len() > LABEL || !ascii.bytes().all(plain) {
            return None;
        }
    }
    (out.len() - begin <= NAME).then_some(())
}

fn encode_folded(label: &str, out: &mut String) -> Option<()> {
    let folded: String = label.nfkc().flat_map(char::to_lowercase).nfc().collect();
    if folded.is_ascii() {
        out.push_str(&folded);
        return Some(());
    }
    out.push_str("xn--");
    encode(&folded, out)
}

/// Appends the punycode of `label`. Source: RFC 3492 §6.3.
fn encode(label: &str, out: &mut String) -> Option<()> {
    let code_points: Vec<u32> = label.chars().map(u32::from).collect();
    let basic = label.chars().filter(char::is_ascii).count();
    out.extend(label.chars().filter(char::is_ascii));
    if basic > 0 {
        out.push('-');
    }
    let basic = u32::try_from(basic).ok()?;
    let (mut n, mut delta, mut bias, mut done) = (128_u32, 0_u32, 72_u32, basic);
    while usize::try_from(done).ok()? < code_points.len() {
        let next = code_points.iter().copied().filter(|point| *point >= n).min()?;
        delta = delta.checked_add((next - n).checked_mul(done + 1)?)?;
        n = next;
        for &point in &code_points {
            if point < n {
                delta = delta.checked_add(1)?;
            }
            if point == n {
                let mut q = delta;
                let mut k = 36_u32;
                loop {
                    let t = k.saturating_sub(bias).clamp(1, 26);
                    if q < t {
                        break;
                    }
                    out.push(digit(t + (q - t) % (36 - t))?);
                    q = (q - t) / (36 - t);
                    k += 36;
                }
                out.push(digit(q)?);
                bias = adapt(delta, done + 1, done == basic);
                delta = 0;
                done += 1;
            }
        }
        delta = delta.checked_add(1)?;
        n += 1;
    }
    Some(())
}

fn adapt(delta: u32, points: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > 455 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}

fn digit(value: u32) -> Option<char> {
    char::from_digit(value, 36).map(|sign| match sign {
        // `from_digit` counts 0–9 a–z, punycode a–z 0–9.
        '0'..='9' => char::from(b'a' + sign as u8 - b'0'),
        letter => {
            let position = letter as u8 - b'a' + 10;
            char::from(if position < 26 { b'a' + position } else { b'0' + position - 26 })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_become_lower_case_a_labels() {
        let long = "a".repeat(64);
        let cases = [
            ("Example.COM", Some("example.com")),
            ("münchen.example", Some("xn--mnchen-3ya.example")),
            ("mu\u{308}nchen.example", Some("xn--mnchen-3ya.example")),
            ("XN--MNCHEN-3YA.example", Some("xn--mnchen-3ya.example")),
            ("例え。テスト", Some("xn--r8jz45g.xn--zckzah")),
            // RFC 3492 §7.1 (L) and (B).
            ("3年b組金八先生.example", Some("xn--3b-ww4c5e180e575a65lsy2b.example")),
            ("他们为什么不说中文.example", Some("xn--ihqwcrb4cv8a8dqg056pqjye.example")),
            ("", None),
            ("a..b", None),
            ("a_b.example", None),
            ("a b.example", None),
            ("example.com.", None),
            (&long, None),
        ];
        for (domain, expected) in cases {
            let mut name = String::new();
            let name = ascii_domain(domain, &mut name).map(|()| name);
            assert_eq!(name.as_deref(), expected, "{domain}");
        }
    }
}
