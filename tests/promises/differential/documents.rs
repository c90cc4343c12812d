//! Documents by chance: every shape that the grammar has, some of them broken.

use std::fmt::Write as _;

use super::random::Random;

/// Bytes that make a document doubtful where they stand by chance.
const FAULTS: &[u8] = b"\"\\{}[]:,0-.eEtn \x01\x1f\x7f\x80\xbf\xc0\xc3\xe2\xed\xf0\xf4\xffu";

impl Random {
    fn blanks(&mut self, out: &mut String, style: usize) {
        let count = match style {
            0 => 0,
            1 => usize::from(self.one_in(4)),
            _ if self.one_in(3) => self.skewed(80),
            _ => 0,
        };
        for _ in 0..count {
            out.push_str(self.pick(&[" ", " ", "\n", "\t", "\r"]));
        }
    }

    /// A string in any of its spellings.
    fn string(&mut self, text: &str, out: &mut String) {
        let plain = !self.one_in(5);
        out.push('"');
        for character in text.chars() {
            let must = matches!(character, '"' | '\\') || character < ' ';
            if must && self.below(2) == 0 && matches!(character, '"' | '\\') {
                out.push('\\');
                out.push(character);
            } else if must || (!plain && self.one_in(3)) {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = if self.below(2) == 0 {
                        write!(out, "\\u{unit:04x}")
                    } else {
                        write!(out, "\\u{unit:04X}")
                    };
                }
            } else {
                out.push(character);
            }
        }
        out.push('"');
    }

    fn text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.skewed(150) {
            text.push_str(self.pick(&[
                "a", "b", "7", " ", "Testina", "\"", "\\", "{", "}", "[", "]", ":", ",", "\n",
                "\u{7f}", "é", "ß", "₂", "漢", "\u{feff}", "\u{ffff}", "😀", "𝄞", "/",
            ]));
        }
        text
    }

    fn digits(&mut self, out: &mut String) {
        for _ in 0..=self.skewed(25) {
            out.push(char::from(b'0' + u8::try_from(self.below(10)).expect("a digit")));
        }
    }

    fn number(&mut self, out: &mut String) {
        if self.one_in(3) {
            out.push('-');
        }
        if self.one_in(4) {
            out.push('0');
        } else {
            out.push(char::from(b'1' + u8::try_from(self.below(9)).expect("a digit")));
            if self.below(2) == 0 {
                self.digits(out);
            }
        }
        if self.one_in(3) {
            out.push('.');
            self.digits(out);
        }
        if self.one_in(4) {
            out.push_str(self.pick(&["e", "E", "e+", "E-", "e-", "E+"]));
            self.digits(out);
        }
    }

    fn scalar(&mut self, out: &mut String) {
        match self.below(8) {
            0 => out.push_str("null"),
            1 => out.push_str(self.pick(&["true", "false"])),
            2..=3 => self.number(out),
            4..=5 => {
                let text = self.pick(&["x", "u1", "u2", "7", "", "Testina Musterfrau"]);
                self.string(text, out);
            }
            _ => {
                let text = self.text();
                self.string(&text, out);
            }
        }
    }

    fn value(&mut self, depth: usize, style: usize, out: &mut String) {
        let object = match if depth == 0 { 9 } else { self.below(10) } {
            0..=3 => true,
            4..=6 => false,
            _ => return self.scalar(out),
        };
        self.container(object, depth, style, out);
    }

    fn container(&mut self, object: bool, depth: usize, style: usize, out: &mut String) {
        out.push(if object { '{' } else { '[' });
        self.blanks(out, style);
        let members = if self.one_in(20) { self.below(20) } else { self.below(5) };
        for member in 0..members {
            if member > 0 {
                out.push(',');
                self.blanks(out, style);
            }
            if object {
                let name = self.name();
                self.string(name, out);
                self.blanks(out, style);
                out.push(':');
                self.blanks(out, style);
            }
            self.value(depth.saturating_sub(1), style, out);
            self.blanks(out, style);
        }
        out.push(if object { '}' } else { ']' });
    }

    /// Containers in one another, to the deepest that is allowed and a little beyond.
    fn nest(&mut self, out: &mut String) {
        let depth = 1 + self.below(131);
        let mut closing = Vec::new();
        for _ in 0..depth {
            if self.below(2) == 0 {
                out.push('[');
                closing.push("]");
            } else {
                let name = self.name();
                out.push('{');
                self.string(name, out);
                out.push(':');
                closing.push("}");
            }
        }
        self.scalar(out);
        out.extend(closing.iter().rev().copied());
    }

    /// What lists of people look like, with what rules about lists speak of.
    fn list(&mut self, style: usize, out: &mut String) {
        out.push('{');
        for member in 0..=self.below(4) {
            if member > 0 {
                out.push(',');
            }
            self.blanks(out, style);
            if self.one_in(4) {
                out.push_str(self.pick(&[r#""total":"#, r#""id":"#, r#""email":"#]));
                self.scalar(out);
            } else {
                out.push_str(self.pick(&[r#""data":"#, r#""data" : "#, r#""b":"#]));
                self.people(style, out);
            }
            self.blanks(out, style);
        }
        out.push('}');
    }

    /// The list itself: an array, or an object whose members are the elements.
    fn people(&mut self, style: usize, out: &mut String) {
        let array = !self.one_in(8);
        out.push(if array { '[' } else { '{' });
        for element in 0..self.below(5) {
            if element > 0 {
                out.push(',');
                self.blanks(out, style);
            }
            if !array {
                let name = self.name();
                self.string(name, out);
                out.push(':');
            }
            if self.one_in(6) {
                self.value(2, style, out);
            } else {
                self.container(true, 2, style, out);
            }
            self.blanks(out, style);
        }
        out.push(if array { ']' } else { '}' });
    }

    /// A document; one in three with a fault somewhere.
    pub(crate) fn document(&mut self, list: bool) -> Vec<u8> {
        let mut text = String::new();
        let style = self.below(3);
        self.blanks(&mut text, style);
        if list && !self.one_in(4) {
            self.list(style, &mut text);
        } else if self.one_in(30) {
            self.nest(&mut text);
        } else if self.one_in(10) {
            self.scalar(&mut text);
        } else {
            let (object, depth) = (!self.one_in(4), 1 + self.below(4));
            self.container(object, depth, style, &mut text);
        }
        self.blanks(&mut text, style);
        let mut bytes = text.into_bytes();
        if self.one_in(3) {
            for _ in 0..=self.skewed(3) {
                self.mutate(&mut bytes);
            }
        }
        bytes
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let at = self.below(bytes.len());
        let odd = FAULTS[self.below(FAULTS.len())];
        match self.below(7) {
            0 => bytes.truncate(at),
            1 => {
                bytes.remove(at);
            }
            2 => bytes[at] = odd,
            3 => bytes.insert(at, odd),
            4 => bytes[at] ^= 1 << self.below(8),
            5 => {
                let end = bytes.len().min(at + 1 + self.skewed(20));
                bytes.drain(at..end);
            }
            _ => {
                let end = bytes.len().min(at + 1 + self.skewed(20));
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
        }
    }
}
