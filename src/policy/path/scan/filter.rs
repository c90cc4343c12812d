//! Filters in the strict scanner: the part of RFC 9535 §2.3.5 that looks at single places beneath
//! the value itself. Everything else is refused with its own reason.

use super::{Int, Scanner, SelectorError, fault_at};
use crate::policy::path::Step;
use crate::policy::path::filter::{Child, Comparison, Filter, Operand, Relative};

/// Deepest nesting of parentheses: more than anybody reads, and far from any stack's end.
const DEEPEST: usize = 16;

/// Most values that one filter may name: judging reads the value once for each.
const LARGEST: usize = 32;

const SEVERAL: &str = "a filter can look at single places only, and this can find several";

impl Scanner {
    /// From the question mark on.
    pub(super) fn filter(&mut self) -> Result<Step, SelectorError> {
        let begin = self.at;
        self.at += 1;
        self.blanks();
        let filter = self.any_of(0)?;
        if filter.size() > LARGEST {
            let message = format!("this filter names more than {LARGEST} values");
            return Err(fault_at(begin, &message));
        }
        Ok(Step::Filter(filter))
    }

    fn any_of(&mut self, depth: usize) -> Result<Filter, SelectorError> {
        let mut parts = vec![self.all_of(depth)?];
        while self.joined_by('|') {
            parts.push(self.all_of(depth)?);
        }
        Ok(one_or(parts, Filter::AnyOf))
    }

    fn all_of(&mut self, depth: usize) -> Result<Filter, SelectorError> {
        let mut parts = vec![self.basic(depth)?];
        while self.joined_by('&') {
            parts.push(self.basic(depth)?);
        }
        Ok(one_or(parts, Filter::AllOf))
    }

    /// Takes `||` or `&&` with the blanks around it.
    fn joined_by(&mut self, sign: char) -> bool {
        let begin = self.at;
        self.blanks();
        let found = self.take(sign) && self.take(sign);
        if found {
            self.blanks();
        } else {
            self.at = begin;
        }
        found
    }

    fn basic(&mut self, depth: usize) -> Result<Filter, SelectorError> {
        let not = self.take('!');
        if not {
            self.blanks();
        }
        let filter = if self.peek() == Some('(') {
            if depth == DEEPEST {
                return Err(self.fault("parentheses too deep"));
            }
            self.at += 1;
            self.blanks();
            let inner = self.any_of(depth + 1)?;
            self.blanks();
            if !self.take(')') {
                return Err(self.fault("`)` expected"));
            }
            inner
        } else {
            self.test(not)?
        };
        Ok(if not { Filter::Not(Box::new(filter)) } else { filter })
    }

    /// An existence test or, where no `!` stands before it, a comparison.
    fn test(&mut self, not: bool) -> Result<Filter, SelectorError> {
        let begin = self.at;
        let left = self.operand()?;
        let after = self.at;
        self.blanks();
        if let Some(comparison) = self.comparison().filter(|_| !not) {
            self.blanks();
            let right_at = self.at;
            let right = self.operand()?;
            // A query that is compared is written tighter than one that is tested.
            for (from, to) in [(begin, after), (right_at, self.at)] {
                if let Some(blank) = self.blank_in_brackets(from, to) {
                    return Err(fault_at(blank, "no blanks in these brackets"));
                }
            }
            return Ok(Filter::Compare(left, comparison, right));
        }
        self.at = after;
        match left {
            Operand::Relative(query) => Ok(Filter::Exists(query)),
            _ => Err(fault_at(begin, "a literal by itself is no test")),
        }
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let begin = self.at;
        let first = self.peek()?;
        self.at += 1;
        let equal = self.take('=');
        match (first, equal) {
            ('=', true) => Some(Comparison::Equal),
            ('!', true) => Some(Comparison::Unequal),
            ('<', true) => Some(Comparison::AtMost),
            ('<', false) => Some(Comparison::Less),
            ('>', true) => Some(Comparison::AtLeast),
            ('>', false) => Some(Comparison::Greater),
            _ => {
                self.at = begin;
                None
            }
        }
    }

    fn operand(&mut self) -> Result<Operand, SelectorError> {
        match self.peek() {
            Some('@') => self.relative().map(Operand::Relative),
            Some('$') => Err(self.fault(
                "a filter that looks at the whole document cannot be decided while it streams by",
            )),
            Some(quote @ ('\'' | '"')) => self.literal(quote).map(Operand::Text),
            Some('-' | '0'..='9') => self.number().map(Operand::Number),
            Some('a'..='z') => self.word(),
            _ => Err(self.fault("`@`, a literal, `!` or `(` expected")),
        }
    }

    fn word(&mut self) -> Result<Operand, SelectorError> {
        let begin = self.at;
        while matches!(self.peek(), Some('a'..='z' | '0'..='9' | '_')) {
            self.at += 1;
        }
        let word: String = self.characters[begin..self.at].iter().collect();
        match (word.as_str(), self.peek()) {
            (_, Some('(')) => Err(fault_at(begin, "functions in filters are not supported")),
            ("true", _) => Ok(Operand::Bool(true)),
            ("false", _) => Ok(Operand::Bool(false)),
            ("null", _) => Ok(Operand::Null),
            _ => Err(fault_at(begin, "`@`, a literal, `!` or `(` expected")),
        }
    }

    /// `number`, as written.
    fn number(&mut self) -> Result<String, SelectorError> {
        let begin = self.at;
        self.take('-');
        let whole_at = self.at;
        let whole = self.digits()?;
        if whole > 1 && self.characters[whole_at] == '0' {
            return Err(fault_at(begin, "no leading zeros"));
        }
        if self.take('.') {
            self.digits()?;
        }
        if self.take('e') || self.take('E') {
            let _sign = self.take('-') || self.take('+');
            self.digits()?;
        }
        Ok(self.characters[begin..self.at].iter().collect())
    }

    /// How many; at least one.
    fn digits(&mut self) -> Result<usize, SelectorError> {
        let begin = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == begin { Err(self.fault("a digit expected")) } else { Ok(self.at - begin) }
    }

    fn relative(&mut self) -> Result<Relative, SelectorError> {
        self.at += 1;
        let mut way = Vec::new();
        loop {
            let begin = self.at;
            self.blanks();
            if self.take('.') {
                if matches!(self.peek(), Some('.' | '*')) {
                    return Err(self.fault(SEVERAL));
                }
                way.push(Child::Name(self.shorthand()?));
            } else if self.take('[') {
                way.push(self.bracketed_child()?);
            } else {
                self.at = begin;
                return Ok(Relative(way));
            }
        }
    }

    fn bracketed_child(&mut self) -> Result<Child, SelectorError> {
        self.blanks();
        let child = match self.peek() {
            Some(quote @ ('\'' | '"')) => Child::Name(self.literal(quote)?),
            Some('?') => return Err(self.fault("a filter within a filter is not supported")),
            Some('*' | ':') => return Err(self.fault(SEVERAL)),
            _ => {
                let begin = self.at;
                let int: Option<Int> = self.int()?;
                let int = int.ok_or_else(|| self.fault("a name in quotes or an index expected"))?;
                Child::Index(Self::forward(int, begin)?)
            }
        };
        self.blanks();
        match self.peek() {
            Some(']') => {
                self.at += 1;
                Ok(child)
            }
            Some(',' | ':') => Err(self.fault(SEVERAL)),
            _ => Err(self.fault("`]` expected")),
        }
    }

    /// The first blank next to a bracket's inner side in what has been read as one query.
    fn blank_in_brackets(&self, from: usize, to: usize) -> Option<usize> {
        let blank = |at: usize| matches!(self.characters[at], ' ' | '\t' | '\n' | '\r');
        let mut quote = None;
        let mut at = from;
        while at < to {
            match (self.characters[at], quote) {
                ('\\', Some(_)) => at += 1,
                (c, Some(open)) if c == open => quote = None,
                (_, Some(_)) => {}
                (c @ ('\'' | '"'), None) => quote = Some(c),
                ('[', None) if blank(at + 1) => return Some(at + 1),
                (']', None) if blank(at - 1) => return Some(at - 1),
                _ => {}
            }
            at += 1;
        }
        None
    }
}

fn one_or(mut parts: Vec<Filter>, several: fn(Vec<Filter>) -> Filter) -> Filter {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            several(parts)
        }
    }
}
