//! Where a name or a scalar begins and ends between two marks.

use super::LONG;

/// Where the text at or behind `from` begins: behind white space.
#[inline]
pub(super) fn start(window: &[u8], from: usize) -> usize {
    let mut at = from;
    while window.get(at).is_some_and(|byte| *byte <= b' ') {
        at += 1;
    }
    at
}

/// Where the text before `to` ends: before white space.
#[inline]
pub(super) fn end(window: &[u8], to: usize) -> usize {
    let mut at = to;
    while at > 0 && window[at - 1] <= b' ' {
        at -= 1;
    }
    at
}

/// How many containers are open behind a mark, of as many before it.
#[inline]
pub(super) fn depth(open: usize, mark: u8) -> usize {
    let bracket = mark | 0x20;
    open + usize::from(bracket == b'{') - usize::from(bracket == b'}')
}

/// Whether a scalar begins behind `from`, of which many bytes are there up to `to`.
pub(super) fn is_scalar_long(window: &[u8], from: usize, to: usize) -> bool {
    let start = start(&window[..to], from);
    to - start > LONG
}
