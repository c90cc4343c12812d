//! The gate before the tokenizer: only checked UTF-8 passes, whole characters at a time.

/// How much is checked at once. A question may come back in the middle of an input and the rest is
/// then checked again; this bounds that work.
const WINDOW: usize = 16 * 1024;

/// The front part of `input` that is UTF-8, and what stopped it.
pub(super) fn checked(input: &[u8]) -> (&[u8], Stop) {
    let window = &input[..input.len().min(WINDOW)];
    if simdutf8::basic::from_utf8(window).is_ok() {
        return (window, Stop::Window);
    }
    match simdutf8::compat::from_utf8(window) {
        Ok(_) => (window, Stop::Window),
        Err(error) => {
            let valid = &window[..error.valid_up_to()];
            match error.error_len() {
                Some(_) => (valid, Stop::Invalid),
                None if window.len() < input.len() && !valid.is_empty() => (valid, Stop::Window),
                None => (valid, Stop::Split),
            }
        }
    }
}

/// Why the checked part ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The window or the input ends.
    Window,
    /// The input ends within a character.
    Split,
    /// What follows is not UTF-8.
    Invalid,
}

/// A character that an input ended in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Partial {
    bytes: [u8; 4],
    length: usize,
}

/// What a character came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Character {
    /// It needs more bytes.
    Partial,
    /// It is whole.
    Whole,
    /// It is none.
    Invalid,
}

impl Partial {
    pub(super) fn is_empty(self) -> bool {
        self.length == 0
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    /// Takes bytes until the character is whole; returns how many.
    pub(super) fn fill(&mut self, input: &[u8]) -> usize {
        let mut taken = 0;
        for byte in input {
            if self.length == self.bytes.len() || self.character() != Character::Partial {
                break;
            }
            self.bytes[self.length] = *byte;
            self.length += 1;
            taken += 1;
        }
        taken
    }

    pub(super) fn character(&self) -> Character {
        match std::str::from_utf8(self.bytes()) {
            Ok("") => Character::Partial,
            Ok(_) => Character::Whole,
            Err(error) if error.error_len().is_none() => Character::Partial,
            Err(_) => Character::Invalid,
        }
    }
}
