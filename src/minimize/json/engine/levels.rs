//! The loop over blocks, compiled for each level; and the one place that is unsafe.
//!
//! A function compiled for instructions that a machine may not have is unsafe to call from one that is
//! not. Each call here stands behind the proof that the machine has them. There is nothing else: vector
//! loads are made of safe slices, and the functions themselves are safe.

use super::super::lanes::{self, Level};
use super::{Engine, Fault};

impl Engine {
    /// Walks so many blocks of the window. Everything in them is UTF-8.
    pub(super) fn blocks(&mut self, count: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
        #[allow(unsafe_code, reason = "a level's function is called on a machine that has it")]
        match self.level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 if lanes::avx2::is_available() => {
                // SAFETY: `is_available` found every feature that the function is compiled for.
                unsafe { self.blocks_avx2(count, out) }
            }
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 | Level::Sse2 => {
                // SAFETY: SSE2 is part of x86-64: the compiler itself takes it for granted.
                unsafe { self.blocks_sse2(count, out) }
            }
            #[cfg(target_arch = "aarch64")]
            Level::Neon => {
                // SAFETY: NEON is part of AArch64: the compiler itself takes it for granted.
                unsafe { self.blocks_neon(count, out) }
            }
            Level::Plain => self.walk_blocks(count, out, lanes::plain::classes, lanes::parities),
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,pclmulqdq,bmi1,bmi2,lzcnt,popcnt")]
    fn blocks_avx2(&mut self, count: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.walk_blocks(
            count,
            out,
            |block| lanes::avx2::classes(block),
            |bits| lanes::avx2::parities(bits),
        )
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "sse2")]
    fn blocks_sse2(&mut self, count: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.walk_blocks(count, out, |block| lanes::sse2::classes(block), lanes::parities)
    }

    #[cfg(target_arch = "aarch64")]
    #[target_feature(enable = "neon")]
    fn blocks_neon(&mut self, count: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.walk_blocks(count, out, |block| lanes::neon::classes(block), lanes::parities)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::lanes::{BLOCK, Classes, plain};
    use super::*;

    /// Classes and parities as a level finds them.
    #[allow(unsafe_code, reason = "as for `Engine::blocks`; only available levels are asked for")]
    fn found(level: Level, block: &[u8; BLOCK], bits: u64) -> (Classes, u64) {
        match level {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level is one of those that are available.
            Level::Avx2 => unsafe { (lanes::avx2::classes(block), lanes::avx2::parities(bits)) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: SSE2 is part of x86-64.
            Level::Sse2 => (unsafe { lanes::sse2::classes(block) }, lanes::parities(bits)),
            #[cfg(target_arch = "aarch64")]
            // SAFETY: NEON is part of AArch64.
            Level::Neon => (unsafe { lanes::neon::classes(block) }, lanes::parities(bits)),
            Level::Plain => (plain::classes(block), lanes::parities(bits)),
        }
    }

    #[test]
    fn every_level_finds_the_same_classes_for_every_byte_at_every_place() {
        for level in Level::available() {
            for byte in 0..=u8::MAX {
                for place in 0..BLOCK {
                    for filler in [b'x', 0xff, 0x00, b'"', 0x7f] {
                        let mut block = [filler; BLOCK];
                        block[place] = byte;
                        let bits = (1 << place) | u64::from(byte) << (place / 2);
                        let expected = found(Level::Plain, &block, bits);
                        assert_eq!(found(*level, &block, bits), expected, "{level:?} {byte}");
                    }
                }
            }
        }
    }
}
