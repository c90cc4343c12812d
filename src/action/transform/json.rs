//! JSON strings: which bytes must be escaped, found many at a time, and everything between copied in
//! one go. Source: RFC 8259 §7.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Bytes looked at together: one vector register of every machine that this runs on.
const LANES: usize = 16;

/// Writes a JSON string. Quotation mark, reverse solidus and the control characters below U+0020
/// are escaped; all else stands as UTF-8.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    write_escaped(text, out);
    out.push(b'"');
}

/// Writes what stands between the quotation marks.
pub(super) fn write_escaped(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    loop {
        let (plain, from) = rest.split_at(plain_bytes(rest));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = from.split_first() else { return };
        escape(byte, out);
        rest = after;
    }
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    let letter = match byte {
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        0..=0x1f => {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[high], HEX[low]]);
            return;
        }
        _ => byte,
    };
    out.extend_from_slice(&[b'\\', letter]);
}

/// How many bytes can be copied as they are before the first that cannot.
fn plain_bytes(bytes: &[u8]) -> usize {
    let (chunks, _) = bytes.as_chunks::<LANES>();
    // No early way out inside a chunk: that is what lets the compiler look at all its bytes at once.
    let clean = |chunk: &&[u8; LANES]| !chunk.iter().fold(false, |any, &b| any | must_escape(b));
    let before = LANES * chunks.iter().take_while(clean).count();
    let tail = &bytes[before..];
    before + tail.iter().position(|&byte| must_escape(byte)).unwrap_or(tail.len())
}

const fn must_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}
