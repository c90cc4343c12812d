//! A strict scanner of the part of RFC 9535 that can be decided while a document streams by.
//!
//! Grammar: RFC 9535 appendix A. It knows where each fault stands, which the other parser does not.

mod filter;

use super::{PathSegment, SelectorError, Step};

/// Largest index. Source: RFC 9535 §2.1, RFC 7493 §2.2 (I-JSON).
const LARGEST: u64 = (1 << 53) - 1;

/// The segments of `$…`.
pub(super) fn segments(text: &str) -> Result<Vec<PathSegment>, SelectorError> {
    Scanner { characters: text.chars().collect(), at: 0 }.query()
}

struct Scanner {
    characters: Vec<char>,
    at: usize,
}

/// An integer of a selector, with its sign.
#[derive(Clone, Copy)]
struct Int {
    negative: bool,
    magnitude: u64,
}

impl Scanner {
    fn query(mut self) -> Result<Vec<PathSegment>, SelectorError> {
        if !self.take('$') {
            return Err(self.fault("a selector begins with `$`"));
        }
        let mut segments = Vec::new();
        while self.peek().is_some() {
            let blank_at = self.at;
            self.blanks();
            if self.peek().is_none() {
                self.at = blank_at;
                return Err(self.fault("blanks at the end"));
            }
            segments.push(self.segment(blank_at)?);
        }
        Ok(segments)
    }

    fn segment(&mut self, blank_at: usize) -> Result<PathSegment, SelectorError> {
        if self.peek() == Some('[') {
            return Ok(PathSegment { descendant: false, steps: self.bracketed()? });
        }
        if !self.take('.') {
            return Err(if self.at > blank_at {
                self.fault("a blank inside a member name; write `['a b']`")
            } else {
                self.fault("`.` or `[` expected")
            });
        }
        let descendant = self.take('.');
        if descendant && self.peek() == Some('[') {
            return Ok(PathSegment { descendant, steps: self.bracketed()? });
        }
        let step = if self.take('*') { Step::Wildcard } else { Step::Name(self.shorthand()?) };
        Ok(PathSegment { descendant, steps: vec![step] })
    }

    /// `member-name-shorthand`.
    fn shorthand(&mut self) -> Result<String, SelectorError> {
        let mut name = String::new();
        while let Some(c) = self.peek() {
            let first = c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
            if !(first || (c.is_ascii_digit() && !name.is_empty())) {
                break;
            }
            name.push(c);
            self.at += 1;
        }
        if name.is_empty() {
            return Err(self.fault("a member name expected; write `['…']` for other characters"));
        }
        Ok(name)
    }

    fn bracketed(&mut self) -> Result<Vec<Step>, SelectorError> {
        self.at += 1;
        let mut steps = Vec::new();
        loop {
            self.blanks();
            steps.push(self.step()?);
            self.blanks();
            if self.take(']') {
                return Ok(steps);
            }
            if !self.take(',') {
                return Err(self.fault("`,` or `]` expected"));
            }
        }
    }

    fn step(&mut self) -> Result<Step, SelectorError> {
        match self.peek() {
            Some('*') => {
                self.at += 1;
                Ok(Step::Wildcard)
            }
            Some(quote @ ('\'' | '"')) => Ok(Step::Name(self.literal(quote)?)),
            Some('?') => self.filter(),
            Some('-' | ':' | '0'..='9') => self.index_or_slice(),
            _ => Err(self.fault("a name in quotes, an index, a slice or `*` expected")),
        }
    }

    fn index_or_slice(&mut self) -> Result<Step, SelectorError> {
        let begin = self.at;
        let start = self.int()?;
        let after_start = self.at;
        self.blanks();
        if !self.take(':') {
            self.at = after_start;
            let index = start.ok_or_else(|| self.fault("an index expected"))?;
            return Ok(Step::Index(Self::forward(index, begin)?));
        }
        self.blanks();
        let end = self.int()?;
        let after_end = self.at;
        self.blanks();
        let mut step = None;
        if self.take(':') {
            let after_colon = self.at;
            self.blanks();
            step = self.int()?;
            if step.is_none() {
                self.at = after_colon;
            }
        } else {
            self.at = after_end;
        }
        let start = start.map_or(Ok(0), |int| Self::forward(int, begin))?;
        let end = end.map(|int| Self::forward(int, begin)).transpose()?;
        let step = step.map_or(Ok(1), |int| Self::forward(int, begin))?;
        if step == 0 || end.is_some_and(|end| end <= start) {
            return Err(fault_at(begin, "this slice selects nothing"));
        }
        Ok(Step::Slice { start, end, step })
    }

    /// What counts from the array's end is unknown until the array has gone by.
    fn forward(int: Int, begin: usize) -> Result<u64, SelectorError> {
        if int.negative {
            let message = "this counts from the end of the array, which is not known while the \
                           document streams by";
            return Err(fault_at(begin, message));
        }
        Ok(int.magnitude)
    }

    fn int(&mut self) -> Result<Option<Int>, SelectorError> {
        let begin = self.at;
        let negative = self.take('-');
        let digits_at = self.at;
        let mut magnitude: u64 = 0;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            magnitude = magnitude
                .checked_mul(10)
                .and_then(|n| n.checked_add(u64::from(digit)))
                .filter(|n| *n <= LARGEST)
                .ok_or_else(|| fault_at(begin, "this number is too large"))?;
            self.at += 1;
        }
        let digits = self.at - digits_at;
        if digits == 0 {
            return if negative { Err(self.fault("a digit expected")) } else { Ok(None) };
        }
        if self.characters[digits_at] == '0' && (digits > 1 || negative) {
            return Err(fault_at(begin, "no leading zeros and no `-0`"));
        }
        Ok(Some(Int { negative, magnitude }))
    }

    /// `string-literal`, unescaped.
    fn literal(&mut self, quote: char) -> Result<String, SelectorError> {
        let begin = self.at;
        self.at += 1;
        let mut name = String::new();
        loop {
            let Some(c) = self.peek() else {
                return Err(fault_at(begin, "this quote is never closed"));
            };
            self.at += 1;
            match c {
                _ if c == quote => return Ok(name),
                '\\' => name.push(self.escape(quote)?),
                '\0'..='\u{1f}' => {
                    return Err(fault_at(self.at - 1, "a control character"));
                }
                _ => name.push(c),
            }
        }
    }

    fn escape(&mut self, quote: char) -> Result<char, SelectorError> {
        let at = self.at;
        let escaped = self.peek();
        self.at += 1;
        Ok(match escaped {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some(c @ ('/' | '\\')) => c,
            Some(c) if c == quote => c,
            Some('u') => {
                let mut units = vec![self.unit(at)?];
                if (0xD800..0xDC00).contains(&units[0]) {
                    if !(self.take('\\') && self.take('u')) {
                        return Err(fault_at(at, "half a surrogate pair"));
                    }
                    units.push(self.unit(at)?);
                }
                match char::decode_utf16(units).next() {
                    Some(Ok(c)) => c,
                    _ => return Err(fault_at(at, "half a surrogate pair")),
                }
            }
            _ => return Err(fault_at(at, "no such escape")),
        })
    }

    fn unit(&mut self, begin: usize) -> Result<u16, SelectorError> {
        let mut unit: u32 = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|c| c.to_digit(16));
            let digit = digit.ok_or_else(|| fault_at(begin, "four hexadecimal digits expected"))?;
            unit = unit << 4 | digit;
            self.at += 1;
        }
        u16::try_from(unit).map_err(|_| fault_at(begin, "four hexadecimal digits expected"))
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn fault(&self, message: &str) -> SelectorError {
        fault_at(self.at, message)
    }
}

fn fault_at(at: usize, message: &str) -> SelectorError {
    SelectorError { message: message.to_owned(), column: u32::try_from(at).ok() }
}
