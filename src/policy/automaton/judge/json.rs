//! The children of an array or object in JSON text that is known to be JSON.
//!
//! If it is not, which the caller rules out, reading ends with [`Malformed`]; it never goes on by
//! guess and never panics.

use std::borrow::Cow;

use memchr::memchr2;

/// The text is no JSON.
#[derive(Debug)]
pub(super) struct Malformed;

/// One child after the other.
pub(super) struct Children<'a> {
    text: &'a [u8],
    at: usize,
}

/// A member's name with its quotes, and the value.
type Found<'a> = (Option<&'a [u8]>, &'a [u8]);

impl<'a> Children<'a> {
    /// `text` begins with `[` or `{`.
    pub(super) const fn of(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The next child; `None` behind the last.
    pub(super) fn next(&mut self) -> Result<Option<Found<'a>>, Malformed> {
        let object = self.text.first() == Some(&b'{');
        let first = self.at == 0;
        self.at = blanks(self.text, self.at + usize::from(first));
        match self.text.get(self.at).ok_or(Malformed)? {
            b']' | b'}' => return Ok(None),
            b',' if !first => self.at = blanks(self.text, self.at + 1),
            _ if first => {}
            _ => return Err(Malformed),
        }
        let mut name = None;
        if object {
            let end = end_of_string(self.text, self.at)?;
            name = Some(&self.text[self.at..end]);
            let colon = blanks(self.text, end);
            if self.text.get(colon) != Some(&b':') {
                return Err(Malformed);
            }
            self.at = blanks(self.text, colon + 1);
        }
        let begin = self.at;
        self.at = end_of_value(self.text, begin)?;
        if self.at == begin {
            return Err(Malformed);
        }
        Ok(Some((name, &self.text[begin..self.at])))
    }
}

/// A string without quotes and escapes.
pub(super) fn unquoted(string: &[u8]) -> Result<Cow<'_, [u8]>, Malformed> {
    let inside =
        string.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).ok_or(Malformed)?;
    if memchr::memchr(b'\\', inside).is_none() {
        return Ok(Cow::Borrowed(inside));
    }
    let unescaped: String = serde_json::from_slice(string).map_err(|_| Malformed)?;
    Ok(Cow::Owned(unescaped.into_bytes()))
}

fn blanks(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

fn end_of_string(text: &[u8], begin: usize) -> Result<usize, Malformed> {
    if text.get(begin) != Some(&b'"') {
        return Err(Malformed);
    }
    let mut at = begin + 1;
    loop {
        let rest = text.get(at..).ok_or(Malformed)?;
        at += memchr2(b'"', b'\\', rest).ok_or(Malformed)?;
        if text[at] == b'"' {
            return Ok(at + 1);
        }
        at += 2;
    }
}

fn end_of_value(text: &[u8], begin: usize) -> Result<usize, Malformed> {
    let mut at = begin;
    let mut depth = 0_usize;
    loop {
        match text.get(at) {
            Some(b'"') => {
                at = end_of_string(text, at)?;
                if depth == 0 {
                    return Ok(at);
                }
            }
            Some(b'[' | b'{') => {
                depth += 1;
                at += 1;
            }
            Some(b']' | b'}') if depth > 0 => {
                depth -= 1;
                at += 1;
                if depth == 0 {
                    return Ok(at);
                }
            }
            Some(b']' | b'}' | b',' | b' ' | b'\t' | b'\n' | b'\r') if depth == 0 => return Ok(at),
            Some(_) => at += 1,
            None if depth == 0 => return Ok(at),
            None => return Err(Malformed),
        }
    }
}
