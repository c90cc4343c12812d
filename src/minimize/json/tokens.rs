//! The tokenizer: strict RFC 8259, pushed, any chunk boundary.
//!
//! In comes UTF-8 that was already checked; out come tokens whose bytes are `input[start..at]`, so
//! that what is copied is copied as it stands. A scalar or a member name that crosses a boundary
//! comes in pieces; nothing is buffered here and the state is a few words. Numbers are text: no
//! value is ever computed from them.

use super::numbers::{self, NumberState};
use super::text::{self, Escape};
use super::{JsonLimits, Malformed, MalformedKind};

/// What was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// The input is used up.
    Input,
    /// The document is complete.
    End,
    /// A run of white space.
    Blank,
    /// `{` or `[`.
    Open {
        /// `{`.
        object: bool,
    },
    /// `}` or `]`.
    Close,
    /// `,`
    Comma,
    /// `:`
    Colon,
    /// A scalar or a member name, or a part of one.
    Scalar(Piece),
}

/// A part of a scalar or member name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) kind: Kind,
    /// It begins here.
    pub(super) first: bool,
    /// It ends here; the piece may be empty.
    pub(super) last: bool,
    /// An escape was met, in this piece or before it.
    pub(super) escaped: bool,
}

/// What a piece is part of. Texts come with their quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Name,
    String,
    Number,
    True,
    False,
    Null,
}

/// What the grammar allows next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Value,
    ElementOrClose,
    NameOrClose,
    Name,
    Colon,
    Separator,
    Nothing,
}

/// The scalar or name that the last input ended in.
#[derive(Clone, Copy, Debug)]
enum Inside {
    Nothing,
    Text { name: bool, escape: Escape, escaped: bool, length: usize },
    Number(NumberState),
    Literal { kind: Kind, matched: usize },
}

pub(super) struct Tokens {
    expect: Expect,
    inside: Inside,
    /// For each open container whether it is an object.
    objects: Vec<bool>,
    /// Bytes taken since the document's start.
    offset: u64,
    members: u64,
    limits: JsonLimits,
}

impl Tokens {
    pub(super) fn new(limits: JsonLimits) -> Self {
        Self {
            expect: Expect::Value,
            inside: Inside::Nothing,
            objects: Vec::with_capacity(usize::from(limits.depth).min(32)),
            offset: 0,
            members: 0,
            limits,
        }
    }

    /// Begins a new document, as if at `offset` of a larger one.
    pub(super) fn restart(&mut self, offset: u64) {
        self.expect = Expect::Value;
        self.inside = Inside::Nothing;
        self.objects.clear();
        self.offset = offset;
        self.members = 0;
    }

    /// How many containers are open.
    #[inline]
    pub(super) fn depth(&self) -> usize {
        self.objects.len()
    }

    /// Bytes taken since the document's start.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next token of `input` from `at` on. `last`: nothing follows this input.
    #[inline]
    pub(super) fn next(
        &mut self,
        input: &[u8],
        at: &mut usize,
        last: bool,
    ) -> Result<Token, Malformed> {
        let start = *at;
        let token = match self.inside {
            Inside::Nothing => match input.get(start) {
                Some(byte) => self.begin(*byte, input, at)?,
                None if last => return self.end(),
                None => return Ok(Token::Input),
            },
            Inside::Text { .. } | Inside::Number(_) | Inside::Literal { .. } => {
                if start == input.len() && !last {
                    return Ok(Token::Input);
                }
                self.go_on(input, at, last)?
            }
        };
        self.offset += (*at - start) as u64;
        Ok(token)
    }

    #[inline]
    fn begin(&mut self, byte: u8, input: &[u8], at: &mut usize) -> Result<Token, Malformed> {
        match byte {
            b'"' => {
                let name = match self.expect {
                    Expect::Name | Expect::NameOrClose => true,
                    Expect::Value | Expect::ElementOrClose => false,
                    Expect::Colon | Expect::Separator | Expect::Nothing => {
                        return Err(self.syntax(0));
                    }
                };
                *at += 1;
                self.text(name, Escape::None, false, 1, true, input, at)
            }
            b',' if self.expect == Expect::Separator => {
                let object = self.objects.last() == Some(&true);
                self.expect = if object { Expect::Name } else { Expect::Value };
                *at += 1;
                Ok(Token::Comma)
            }
            b':' if self.expect == Expect::Colon => {
                self.members += 1;
                if self.members > self.limits.members {
                    return Err(self.malformed(MalformedKind::Members, 0));
                }
                self.expect = Expect::Value;
                *at += 1;
                Ok(Token::Colon)
            }
            b' ' | b'\n' | b'\r' | b'\t' => {
                *at += 1;
                while let Some(b' ' | b'\n' | b'\r' | b'\t') = input.get(*at) {
                    *at += 1;
                }
                Ok(Token::Blank)
            }
            b'{' | b'[' if self.expects_value() => {
                if self.objects.len() >= usize::from(self.limits.depth) {
                    return Err(self.malformed(MalformedKind::Depth, 0));
                }
                let object = byte == b'{';
                self.objects.push(object);
                self.expect = if object { Expect::NameOrClose } else { Expect::ElementOrClose };
                *at += 1;
                Ok(Token::Open { object })
            }
            b'}' | b']' => {
                let object = byte == b'}';
                let empty = if object { Expect::NameOrClose } else { Expect::ElementOrClose };
                if self.objects.last() != Some(&object)
                    || (self.expect != Expect::Separator && self.expect != empty)
                {
                    return Err(self.syntax(0));
                }
                self.objects.pop();
                self.value_ended();
                *at += 1;
                Ok(Token::Close)
            }
            b'-' | b'0'..=b'9' if self.expects_value() => {
                self.number(NumberState::START, true, input, at, false)
            }
            b't' if self.expects_value() => self.literal(Kind::True, 0, true, input, at),
            b'f' if self.expects_value() => self.literal(Kind::False, 0, true, input, at),
            b'n' if self.expects_value() => self.literal(Kind::Null, 0, true, input, at),
            _ => Err(self.syntax(0)),
        }
    }

    /// Goes on with what the last input ended in.
    fn go_on(&mut self, input: &[u8], at: &mut usize, last: bool) -> Result<Token, Malformed> {
        match self.inside {
            Inside::Text { name, escape, escaped, length } if *at < input.len() => {
                self.text(name, escape, escaped, length, false, input, at)
            }
            Inside::Number(state) => self.number(state, false, input, at, last),
            Inside::Literal { kind, matched } if *at < input.len() => {
                self.literal(kind, matched, false, input, at)
            }
            Inside::Text { .. } | Inside::Literal { .. } | Inside::Nothing => {
                Err(self.malformed(MalformedKind::Incomplete, 0))
            }
        }
    }

    #[inline]
    #[allow(clippy::too_many_arguments, reason = "the state of a text, kept in registers")]
    fn text(
        &mut self,
        name: bool,
        mut escape: Escape,
        mut escaped: bool,
        mut length: usize,
        first: bool,
        input: &[u8],
        at: &mut usize,
    ) -> Result<Token, Malformed> {
        let start = *at - usize::from(first);
        let begun = *at;
        let before = length;
        let kind = if name { Kind::Name } else { Kind::String };
        let longest =
            if name { self.limits.member_name_bytes.saturating_add(1) } else { usize::MAX };
        loop {
            if escape == Escape::None {
                *at += text::plain(&input[*at..]);
            }
            length = before + (*at - begun);
            if length > longest {
                let fault = (longest - before) + (begun - start);
                return Err(self.malformed(MalformedKind::MemberName, fault));
            }
            let Some(&byte) = input.get(*at) else {
                self.inside = Inside::Text { name, escape, escaped, length };
                return Ok(Token::Scalar(Piece { kind, first, last: false, escaped }));
            };
            if escape == Escape::None && byte == b'"' {
                *at += 1;
                self.inside = Inside::Nothing;
                if name {
                    self.expect = Expect::Colon;
                } else {
                    self.value_ended();
                }
                return Ok(Token::Scalar(Piece { kind, first, last: true, escaped }));
            }
            escape = escape.step(byte).map_err(|kind| self.malformed(kind, *at - start))?;
            escaped = true;
            *at += 1;
        }
    }

    #[inline]
    fn number(
        &mut self,
        mut state: NumberState,
        first: bool,
        input: &[u8],
        at: &mut usize,
        last: bool,
    ) -> Result<Token, Malformed> {
        let start = *at;
        let ended = numbers::advance(&mut state, input, at);
        if !ended && !last {
            self.inside = Inside::Number(state);
            let piece = Piece { kind: Kind::Number, first, last: false, escaped: false };
            return Ok(Token::Scalar(piece));
        }
        if !state.is_whole() {
            let kind = if ended { MalformedKind::Syntax } else { MalformedKind::Incomplete };
            return Err(self.malformed(kind, *at - start));
        }
        self.inside = Inside::Nothing;
        self.value_ended();
        Ok(Token::Scalar(Piece { kind: Kind::Number, first, last: true, escaped: false }))
    }

    #[inline]
    fn literal(
        &mut self,
        kind: Kind,
        mut matched: usize,
        first: bool,
        input: &[u8],
        at: &mut usize,
    ) -> Result<Token, Malformed> {
        let start = *at;
        let word: &[u8] = match kind {
            Kind::True => b"true",
            Kind::False => b"false",
            Kind::Null | Kind::Name | Kind::String | Kind::Number => b"null",
        };
        while let (Some(wanted), Some(found)) = (word.get(matched), input.get(*at)) {
            if wanted != found {
                return Err(self.syntax(*at - start));
            }
            matched += 1;
            *at += 1;
        }
        let last = matched == word.len();
        if last {
            self.inside = Inside::Nothing;
            self.value_ended();
        } else {
            self.inside = Inside::Literal { kind, matched };
        }
        Ok(Token::Scalar(Piece { kind, first, last, escaped: false }))
    }

    fn end(&self) -> Result<Token, Malformed> {
        match self.expect {
            Expect::Nothing => Ok(Token::End),
            Expect::Value
            | Expect::ElementOrClose
            | Expect::NameOrClose
            | Expect::Name
            | Expect::Colon
            | Expect::Separator => Err(self.malformed(MalformedKind::Incomplete, 0)),
        }
    }

    #[inline]
    fn expects_value(&self) -> bool {
        matches!(self.expect, Expect::Value | Expect::ElementOrClose)
    }

    #[inline]
    fn value_ended(&mut self) {
        self.expect = if self.objects.is_empty() { Expect::Nothing } else { Expect::Separator };
    }

    #[cold]
    fn syntax(&self, ahead: usize) -> Malformed {
        self.malformed(MalformedKind::Syntax, ahead)
    }

    #[cold]
    fn malformed(&self, kind: MalformedKind, ahead: usize) -> Malformed {
        Malformed { kind, offset: self.offset + ahead as u64 }
    }
}
