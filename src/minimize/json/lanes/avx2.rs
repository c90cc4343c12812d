//! Two registers of 32 bytes.

use std::arch::x86_64::{
    __m256i, _mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_set1_epi8,
    _mm256_cmpeq_epi8, _mm256_max_epu8, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
    _mm256_setr_epi8, _mm256_setr_epi64x, _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_sub_epi8,
};

use super::{BLOCK, Classes};

/// Whether this machine has what the functions here are compiled for.
pub(in super::super) fn is_available() -> bool {
    std::is_x86_feature_detected!("avx2")
        && std::is_x86_feature_detected!("pclmulqdq")
        && std::is_x86_feature_detected!("bmi1")
        && std::is_x86_feature_detected!("bmi2")
        && std::is_x86_feature_detected!("lzcnt")
        && std::is_x86_feature_detected!("popcnt")
}

/// Half a block. Compiles to one load.
#[inline]
#[target_feature(enable = "avx2")]
fn half(block: &[u8; BLOCK], at: usize) -> __m256i {
    let word = |offset: usize| {
        let bytes = block[at + offset..].first_chunk().copied().unwrap_or_default();
        i64::from_le_bytes(bytes)
    };
    _mm256_setr_epi64x(word(0), word(8), word(16), word(24))
}

/// The highest bit of each byte.
#[inline]
#[target_feature(enable = "avx2")]
fn mask(low: __m256i, high: __m256i) -> u64 {
    let low = u64::from(_mm256_movemask_epi8(low).cast_unsigned());
    let high = u64::from(_mm256_movemask_epi8(high).cast_unsigned());
    low | high << 32
}

/// The classes of a block.
#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn classes(block: &[u8; BLOCK]) -> Classes {
    let (low, high) = (half(block, 0), half(block, 32));
    let every = |byte: u8| _mm256_set1_epi8(byte.cast_signed());
    let equal = |byte: u8| {
        let wanted = every(byte);
        mask(_mm256_cmpeq_epi8(low, wanted), _mm256_cmpeq_epi8(high, wanted))
    };
    // With bit 5 set, `[` is `{` and `]` is `}`; no other byte becomes either.
    let (low_curly, high_curly) =
        (_mm256_or_si256(low, every(0x20)), _mm256_or_si256(high, every(0x20)));
    let bracket = |byte: u8| {
        let wanted = every(byte);
        mask(_mm256_cmpeq_epi8(low_curly, wanted), _mm256_cmpeq_epi8(high_curly, wanted))
    };
    let at_most = |low: __m256i, high: __m256i, bound: u8| {
        let bound = every(bound);
        mask(
            _mm256_cmpeq_epi8(_mm256_max_epu8(low, bound), bound),
            _mm256_cmpeq_epi8(_mm256_max_epu8(high, bound), bound),
        )
    };
    // Looked up by a byte's low half, white space finds itself; bytes from 0x80 find 0.
    #[rustfmt::skip]
    let blanks = _mm256_setr_epi8(
        0x20, 0, 0, 0, 0, 0, 0, 0, 0, 9, 10, 0, 0, 13, 0, 0,
        0x20, 0, 0, 0, 0, 0, 0, 0, 0, 9, 10, 0, 0, 13, 0, 0,
    );
    let zero = every(b'0');
    Classes {
        quote: equal(b'"'),
        backslash: equal(b'\\'),
        control: at_most(low, high, 0x1f),
        white: mask(
            _mm256_cmpeq_epi8(_mm256_shuffle_epi8(blanks, low), low),
            _mm256_cmpeq_epi8(_mm256_shuffle_epi8(blanks, high), high),
        ),
        comma: equal(b','),
        colon: equal(b':'),
        open: bracket(b'{'),
        close: bracket(b'}'),
        curly: mask(_mm256_slli_epi16::<2>(low), _mm256_slli_epi16::<2>(high)),
        digit: at_most(_mm256_sub_epi8(low, zero), _mm256_sub_epi8(high, zero), 9),
    }
}

/// [`super::parities`] as one carry-less multiplication by all ones.
#[inline]
#[target_feature(enable = "pclmulqdq,sse2")]
pub(in super::super) fn parities(bits: u64) -> u64 {
    let bits = _mm_set_epi64x(0, bits.cast_signed());
    _mm_cvtsi128_si64(_mm_clmulepi64_si128::<0>(bits, _mm_set1_epi8(-1))).cast_unsigned()
}
