//! Four registers of 16 bytes, on every x86-64.

use std::arch::x86_64::{
    __m128i, _mm_cmpeq_epi8, _mm_max_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
    _mm_set1_epi8, _mm_slli_epi16, _mm_sub_epi8,
};

use super::{BLOCK, Classes};

/// The classes of a block.
#[inline]
#[target_feature(enable = "sse2")]
pub(in super::super) fn classes(block: &[u8; BLOCK]) -> Classes {
    let mut found = Classes::default();
    let every = |byte: u8| _mm_set1_epi8(byte.cast_signed());
    for (quarter, bytes) in block.as_chunks::<16>().0.iter().enumerate() {
        let [low, high] = [0, 8].map(|offset: usize| {
            let word = bytes[offset..].first_chunk().copied().unwrap_or_default();
            i64::from_le_bytes(word)
        });
        let lanes = _mm_set_epi64x(high, low);
        let mask =
            |lanes: __m128i| u64::from(_mm_movemask_epi8(lanes).cast_unsigned()) << (16 * quarter);
        let equal = |byte: u8| _mm_cmpeq_epi8(lanes, every(byte));
        let at_most = |lanes: __m128i, bound: u8| {
            _mm_cmpeq_epi8(_mm_max_epu8(lanes, every(bound)), every(bound))
        };
        // With bit 5 set, `[` is `{` and `]` is `}`; no other byte becomes either.
        let curly = _mm_or_si128(lanes, every(0x20));
        let white = _mm_or_si128(
            _mm_or_si128(equal(b' '), equal(b'\n')),
            _mm_or_si128(equal(b'\r'), equal(b'\t')),
        );
        found.quote |= mask(equal(b'"'));
        found.backslash |= mask(equal(b'\\'));
        found.control |= mask(at_most(lanes, 0x1f));
        found.white |= mask(white);
        found.comma |= mask(equal(b','));
        found.colon |= mask(equal(b':'));
        found.open |= mask(_mm_cmpeq_epi8(curly, every(b'{')));
        found.close |= mask(_mm_cmpeq_epi8(curly, every(b'}')));
        found.curly |= mask(_mm_slli_epi16::<2>(lanes));
        found.digit |= mask(at_most(_mm_sub_epi8(lanes, every(b'0')), 9));
    }
    found
}
