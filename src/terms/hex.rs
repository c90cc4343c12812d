//! Bytes as hexadecimal digits, and back. What is secret stays in the caller's own memory: nothing is
//! copied here.

/// Writes `bytes` as lower-case digits behind what stands in `out`.
pub fn write_hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        for half in [byte >> 4, byte & 15] {
            out.push(char::from(b"0123456789abcdef"[usize::from(half)]));
        }
    }
}

/// The lower-case digits of `bytes`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(2 * bytes.len());
    write_hex(bytes, &mut digits);
    digits
}

/// Reads digits of either case into `bytes`, which they must fill. `None` for anything else; what stands
/// in `bytes` then means nothing.
#[must_use]
pub fn read_hex(digits: &[u8], bytes: &mut [u8]) -> Option<()> {
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    let half = |digit: u8| char::from(digit).to_digit(16).and_then(|half| u8::try_from(half).ok());
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = half(pair[0])? << 4 | half(pair[1])?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back_and_what_is_no_digit_does_not() {
        let all: Vec<u8> = (0..=255).collect();
        let digits = hex(&all);
        assert!(digits.starts_with("000102") && digits.ends_with("fdfeff"));
        for digits in [digits.clone(), digits.to_uppercase()] {
            let mut bytes = [0; 256];
            assert_eq!(read_hex(digits.as_bytes(), &mut bytes), Some(()));
            assert_eq!(bytes[..], all);
        }
        for odd in ["", "0", "000", "+f", "0x", "g0", " 0", "é"] {
            assert_eq!(read_hex(odd.as_bytes(), &mut [0]), None, "{odd:?}");
        }
    }
}
