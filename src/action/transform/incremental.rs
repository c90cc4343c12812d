//! Applies an action to a string that arrives in pieces, without keeping it.
//!
//! Only for actions whose result can be told from a bounded part of the value. What is written equals
//! what [`Treatment::apply`] writes for the whole string, with one exception on the safe side: `mask
//! last` blanks a text in which one character (a letter with heaped marks) has more than 256 bytes.

use std::fmt;
use std::sync::Arc;

use super::last::LastCharacters;
use super::mask::HIDDEN;
use super::{Applied, Treatment};
use crate::action::pseudonym::{Canonical, DomainKey, ShortValue};
use crate::action::{Action, Mask};

/// The treatment of one string, under way. What it keeps of the value is wiped when dropped.
pub struct Incremental {
    state: State,
}

enum State {
    /// The value does not matter.
    Fixed(&'static [u8], Applied),
    Last(Box<LastCharacters>),
    Keyed {
        key: Arc<DomainKey>,
        used_for: Keyed,
        canonical: Canonical,
        value: ShortValue,
    },
}

#[derive(Clone, Copy)]
enum Keyed {
    Pseudonym,
    Token,
}

impl fmt::Debug for Incremental {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Incremental(‹withheld›)")
    }
}

impl Treatment {
    /// The treatment of a string that will arrive in pieces. `None` where the whole value must be
    /// seen; the caller then has to gather it, up to a bound of its own, and use
    /// [`apply`](Self::apply).
    #[must_use]
    pub fn incremental(&self) -> Option<Incremental> {
        let state = match &self.action {
            Action::Blank => State::Fixed(b"", Applied::Written),
            Action::Mask(Mask::Redact | Mask::Last(0)) => State::Fixed(HIDDEN, Applied::Written),
            Action::Mask(Mask::Last(n)) => State::Last(Box::new(LastCharacters::new(*n))),
            Action::Pseudonym(_) => self.keyed(Keyed::Pseudonym)?,
            // A token on its way in is opened whole.
            Action::Token if self.opens.is_some() => return None,
            Action::Token => self.keyed(Keyed::Token)?,
            // No string is what these were made for: see `apply`.
            Action::Remove | Action::Drop | Action::Refuse => State::Fixed(b"", Applied::Blanked),
            Action::Keep
            | Action::OwnLines
            | Action::Mask(Mask::BinAndLast4 | Mask::First(_) | Mask::Length)
            | Action::Initials
            | Action::FirstWord
            | Action::Generalise(_)
            | Action::IpPrefix { .. }
            | Action::AgentFamily
            | Action::PathTemplate
            | Action::Origin
            | Action::Scrub
            | Action::Fpe => return None,
        };
        Some(Incremental { state })
    }

    fn keyed(&self, used_for: Keyed) -> Option<State> {
        let Some(key) = &self.key else { return Some(State::Fixed(b"", Applied::Blanked)) };
        Some(State::Keyed {
            key: Arc::clone(key),
            used_for,
            canonical: self.canonical,
            value: ShortValue::new(self.canonical)?,
        })
    }
}

impl Incremental {
    /// Takes in the next piece of the unescaped string. It may be cut between any two characters.
    pub fn update(&mut self, piece: &str) {
        match &mut self.state {
            State::Fixed(..) => {}
            State::Last(last) => last.update(piece),
            State::Keyed { value, .. } => value.update(piece),
        }
    }

    /// Writes what the string becomes, as JSON text.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Applied {
        let start = out.len();
        out.push(b'"');
        let applied = match &mut self.state {
            State::Fixed(text, applied) => {
                out.extend_from_slice(text);
                *applied
            }
            State::Last(last) => applied(last.finish(out)),
            State::Keyed { key, used_for, canonical, value } => {
                applied(value.value().and_then(|value| match used_for {
                    Keyed::Pseudonym => key.write_pseudonym(*canonical, value, out),
                    Keyed::Token => key.write_token(*canonical, value, out),
                }))
            }
        };
        if applied == Applied::Blanked {
            out.truncate(start + 1);
        }
        out.push(b'"');
        applied
    }
}

fn applied(written: Option<()>) -> Applied {
    if written.is_some() { Applied::Written } else { Applied::Blanked }
}
