//! Four registers of 16 bytes, on every AArch64.

use std::arch::aarch64::{
    uint8x16_t, vaddv_u8, vandq_u8, vceqq_u8, vcleq_u8, vcombine_u8, vcreate_u8, vdupq_n_u8,
    vget_high_u8, vget_low_u8, vorrq_u8, vsubq_u8, vtstq_u8,
};

use super::{BLOCK, Classes};

/// The lowest bit of each lane's place among its eight.
const PLACES: u64 = 0x8040_2010_0804_0201;

/// The classes of a block.
#[inline]
#[target_feature(enable = "neon")]
pub(in super::super) fn classes(block: &[u8; BLOCK]) -> Classes {
    let mut found = Classes::default();
    let every = |byte: u8| vdupq_n_u8(byte);
    for (quarter, bytes) in block.as_chunks::<16>().0.iter().enumerate() {
        let [low, high] = [0, 8].map(|offset: usize| {
            let word = bytes[offset..].first_chunk().copied().unwrap_or_default();
            vcreate_u8(u64::from_le_bytes(word))
        });
        let lanes = vcombine_u8(low, high);
        // Lanes are all ones or all zeros here.
        let mask = |lanes: uint8x16_t| {
            let places = vcombine_u8(vcreate_u8(PLACES), vcreate_u8(PLACES));
            let bits = vandq_u8(lanes, places);
            let low = u64::from(vaddv_u8(vget_low_u8(bits)));
            let high = u64::from(vaddv_u8(vget_high_u8(bits)));
            (low | high << 8) << (16 * quarter)
        };
        let equal = |byte: u8| vceqq_u8(lanes, every(byte));
        // With bit 5 set, `[` is `{` and `]` is `}`; no other byte becomes either.
        let curly = vorrq_u8(lanes, every(0x20));
        let white =
            vorrq_u8(vorrq_u8(equal(b' '), equal(b'\n')), vorrq_u8(equal(b'\r'), equal(b'\t')));
        found.quote |= mask(equal(b'"'));
        found.backslash |= mask(equal(b'\\'));
        found.control |= mask(vcleq_u8(lanes, every(0x1f)));
        found.white |= mask(white);
        found.comma |= mask(equal(b','));
        found.colon |= mask(equal(b':'));
        found.open |= mask(vceqq_u8(curly, every(b'{')));
        found.close |= mask(vceqq_u8(curly, every(b'}')));
        found.curly |= mask(vtstq_u8(lanes, every(0x20)));
        found.digit |= mask(vcleq_u8(vsubq_u8(lanes, every(b'0')), every(9)));
    }
    found
}
