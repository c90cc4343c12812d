//! 64 bytes at once: which of them are quotes, brackets, white space, …
//!
//! A block's classes are words of 64 bits, one bit for each byte, the first byte's bit lowest. Each
//! level (AVX2, SSE2, NEON, plain Rust) gives exactly the same words; the tests compare them.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "aarch64")]
pub(super) mod neon;
pub(super) mod plain;
#[cfg(target_arch = "x86_64")]
pub(super) mod sse2;

/// Bytes in a block.
pub(super) const BLOCK: usize = 64;

/// What the bytes of a block are, whether in a string or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Classes {
    /// `"`
    pub(super) quote: u64,
    /// `\`
    pub(super) backslash: u64,
    /// Below U+0020.
    pub(super) control: u64,
    /// Space, tab, line feed, carriage return.
    pub(super) white: u64,
    /// `,`
    pub(super) comma: u64,
    /// `:`
    pub(super) colon: u64,
    /// `{` or `[`
    pub(super) open: u64,
    /// `}` or `]`
    pub(super) close: u64,
    /// Bit 5 of each byte: of a bracket, that it is curly.
    pub(super) curly: u64,
    /// `0` to `9`
    pub(super) digit: u64,
}

/// How blocks are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// x86-64 with AVX2 and carry-less multiplication: 32 bytes at a time.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Any x86-64: 16 bytes at a time.
    #[cfg(target_arch = "x86_64")]
    Sse2,
    /// Any AArch64: 16 bytes at a time.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// Rust without vector instructions: 8 bytes at a time.
    Plain,
}

impl Level {
    /// The levels that this machine can run, best first. The last is always [`Level::Plain`].
    #[must_use]
    pub fn available() -> &'static [Self] {
        #[cfg(target_arch = "x86_64")]
        {
            if avx2::is_available() {
                &[Self::Avx2, Self::Sse2, Self::Plain]
            } else {
                &[Self::Sse2, Self::Plain]
            }
        }
        #[cfg(target_arch = "aarch64")]
        {
            &[Self::Neon, Self::Plain]
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        {
            &[Self::Plain]
        }
    }

    /// The best level of this machine.
    #[must_use]
    pub fn best() -> Self {
        Self::available()[0]
    }
}

/// Each bit becomes the parity of the bits up to and with it: from quotes to what they enclose.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must become part of a loop compiled for a level")]
pub(super) fn parities(mut bits: u64) -> u64 {
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^ bits << 32
}
