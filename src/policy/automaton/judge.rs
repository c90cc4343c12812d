//! Whether a filter holds for a value, read from the value's own text.
//!
//! No document is built and no number is rounded. What cannot be told, since a member on the way is
//! doubled or a number has an exponent beyond all use, is *undecided* (`None`): neither true nor false,
//! and neither is what depends on it. Values come from whoever answers; nothing of them is kept.

mod decimal;
mod json;

use std::borrow::Cow;
use std::cmp::Ordering;

use decimal::Decimal;
use json::{Children, Malformed, unquoted};

use crate::policy::path::filter::{Child, Comparison, Filter, Operand, Relative};

/// Deepest comparison of arrays and objects; deeper ones are undecided.
const DEEPEST: usize = 64;

/// True, false, or undecided.
pub(super) type Truth = Option<bool>;

/// Whether `filter` holds for the value in `text`, which is JSON.
pub(super) fn judge(filter: &Filter, text: &[u8]) -> Truth {
    match filter {
        Filter::AnyOf(parts) => any(parts.iter().map(|part| judge(part, text))),
        Filter::AllOf(parts) => all(parts.iter().map(|part| judge(part, text))),
        Filter::Not(inner) => judge(inner, text).map(|truth| !truth),
        Filter::Exists(query) => find(query, text).ok().map(|found| found.is_some()),
        Filter::Compare(left, comparison, right) => {
            let (left, right) = (operand(left, text).ok()?, operand(right, text).ok()?);
            let (left, right) = (left.as_ref(), right.as_ref());
            match comparison {
                Comparison::Equal => same(left, right),
                Comparison::Unequal => same(left, right).map(|truth| !truth),
                Comparison::Less => less(left, right),
                Comparison::Greater => less(right, left),
                Comparison::AtMost => any([less(left, right), same(left, right)]),
                Comparison::AtLeast => any([less(right, left), same(left, right)]),
            }
        }
    }
}

/// True if one is, whatever the undecided ones are.
fn any(truths: impl IntoIterator<Item = Truth>) -> Truth {
    all(truths.into_iter().map(|truth| truth.map(|truth| !truth))).map(|none| !none)
}

/// False if one is, whatever the undecided ones are.
fn all(truths: impl IntoIterator<Item = Truth>) -> Truth {
    let mut all = Some(true);
    for truth in truths {
        match truth {
            Some(false) => return Some(false),
            Some(true) => {}
            None => all = None,
        }
    }
    all
}

/// Why nothing can be said of a query.
struct Undecided;

impl From<Malformed> for Undecided {
    fn from(_: Malformed) -> Self {
        Self
    }
}

enum Value<'a> {
    Null,
    Bool(bool),
    Number(&'a [u8]),
    Text(Cow<'a, [u8]>),
    Array(&'a [u8]),
    Object(&'a [u8]),
}

impl<'a> Value<'a> {
    fn read(text: &'a [u8]) -> Result<Self, Undecided> {
        Ok(match text.first().ok_or(Undecided)? {
            b'n' => Self::Null,
            b't' => Self::Bool(true),
            b'f' => Self::Bool(false),
            b'"' => Self::Text(unquoted(text)?),
            b'[' => Self::Array(text),
            b'{' => Self::Object(text),
            _ => Self::Number(text),
        })
    }
}

fn operand<'a>(operand: &'a Operand, text: &'a [u8]) -> Result<Option<Value<'a>>, Undecided> {
    Ok(Some(match operand {
        Operand::Relative(query) => return find(query, text)?.map(Value::read).transpose(),
        Operand::Text(text) => Value::Text(Cow::Borrowed(text.as_bytes())),
        Operand::Number(number) => Value::Number(number.as_bytes()),
        Operand::Bool(value) => Value::Bool(*value),
        Operand::Null => Value::Null,
    }))
}

/// What stands at the query's place; `None`: nothing (RFC 9535 §2.3.5.2.2). A doubled member on the
/// way leaves open which of the two its reader takes.
fn find<'a>(query: &Relative, text: &'a [u8]) -> Result<Option<&'a [u8]>, Undecided> {
    let mut value = text.trim_ascii();
    for child in &query.0 {
        let mut found = None;
        match (child, value.first().ok_or(Undecided)?) {
            (Child::Name(name), b'{') => {
                let mut members = Children::of(value);
                while let Some((member, inner)) = members.next()? {
                    if *unquoted(member.ok_or(Undecided)?)? == *name.as_bytes()
                        && found.replace(inner).is_some()
                    {
                        return Err(Undecided);
                    }
                }
            }
            (Child::Index(wanted), b'[') => {
                let mut elements = Children::of(value);
                let mut at = 0;
                while let Some((_, inner)) = elements.next()? {
                    if at == *wanted {
                        found = Some(inner);
                        break;
                    }
                    at += 1;
                }
            }
            _ => {}
        }
        match found {
            Some(inner) => value = inner,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

/// RFC 9535 §2.3.5.2.2: nothing equals nothing, and no value.
fn same(a: Option<&Value<'_>>, b: Option<&Value<'_>>) -> Truth {
    match (a, b) {
        (None, None) => Some(true),
        (Some(a), Some(b)) => equal(a, b, DEEPEST),
        _ => Some(false),
    }
}

/// Only numbers and strings have an order, each among themselves.
fn less(a: Option<&Value<'_>>, b: Option<&Value<'_>>) -> Truth {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            Some(Decimal::read(a)?.order(&Decimal::read(b)?) == Ordering::Less)
        }
        // UTF-8 keeps the order of the scalar values that it spells.
        (Some(Value::Text(a)), Some(Value::Text(b))) => Some(a < b),
        _ => Some(false),
    }
}

fn equal(a: &Value<'_>, b: &Value<'_>, depth: usize) -> Truth {
    match (a, b) {
        (Value::Null, Value::Null) => Some(true),
        (Value::Bool(a), Value::Bool(b)) => Some(a == b),
        (Value::Number(a), Value::Number(b)) => {
            Some(Decimal::read(a)?.order(&Decimal::read(b)?) == Ordering::Equal)
        }
        (Value::Text(a), Value::Text(b)) => Some(a == b),
        (Value::Array(a), Value::Array(b)) => {
            let (a, b) = (elements(a).ok()?, elements(b).ok()?);
            equal_all(&a, &b, depth)
        }
        (Value::Object(a), Value::Object(b)) => {
            let (a, b) = (members(a).ok()?, members(b).ok()?);
            let doubled =
                [&a, &b].iter().any(|all| all.windows(2).any(|pair| pair[0].0 == pair[1].0));
            if doubled {
                return None;
            }
            if !a.iter().map(|(name, _)| name).eq(b.iter().map(|(name, _)| name)) {
                return Some(false);
            }
            let a: Vec<&[u8]> = a.into_iter().map(|(_, value)| value).collect();
            let b: Vec<&[u8]> = b.into_iter().map(|(_, value)| value).collect();
            equal_all(&a, &b, depth)
        }
        _ => Some(false),
    }
}

fn equal_all(a: &[&[u8]], b: &[&[u8]], depth: usize) -> Truth {
    if a.len() != b.len() {
        return Some(false);
    }
    let depth = depth.checked_sub(1)?;
    all(a.iter().zip(b).map(|(a, b)| equal(&Value::read(a).ok()?, &Value::read(b).ok()?, depth)))
}

fn elements(array: &[u8]) -> Result<Vec<&[u8]>, Undecided> {
    let mut found = Vec::new();
    let mut children = Children::of(array);
    while let Some((_, value)) = children.next()? {
        found.push(value);
    }
    Ok(found)
}

/// Unescaped name and value.
type Member<'a> = (Cow<'a, [u8]>, &'a [u8]);

/// Sorted by name, so that two objects of n members are compared in n log n steps.
fn members(object: &[u8]) -> Result<Vec<Member<'_>>, Undecided> {
    let mut found = Vec::new();
    let mut children = Children::of(object);
    while let Some((name, value)) = children.next()? {
        found.push((unquoted(name.ok_or(Undecided)?)?, value));
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::path::{Selector, Step};

    const TRUE: Truth = Some(true);
    const FALSE: Truth = Some(false);
    const UNDECIDED: Truth = None;

    fn judged(filter: &str, value: &str) -> Truth {
        let selector = Selector::parse_within(&format!("$[?{filter}]"), None)
            .unwrap_or_else(|e| panic!("{filter}: {e}"));
        let [Step::Filter(filter)] = selector.segments[0].steps.as_slice() else {
            panic!("{filter}: one filter");
        };
        judge(filter, value.as_bytes())
    }

    #[test]
    fn a_filter_holds_exactly_as_the_rfc_says() {
        for (filter, value, truth) in [
            ("@.a", r#"{"a":null}"#, TRUE),
            ("@.a", r#"{"b":1}"#, FALSE),
            ("@.a", "[1]", FALSE),
            ("@.a", r#""a""#, FALSE),
            ("@", "null", TRUE),
            ("@.a[1].b", r#"{"a":[0,{"b":0}]}"#, TRUE),
            ("@.a[1].b", r#"{"a":[{"b":0}]}"#, FALSE),
            ("@['\\u0061']", r#"{"\u0061":1}"#, TRUE),
            ("!@.a", r#"{"a":1}"#, FALSE),
            ("@.a=='x'", r#"{"a":"x"}"#, TRUE),
            ("@.a=='x'", r#" { "b" : [ "}" ] , "a" : "x" } "#, TRUE),
            ("@.a=='x'", r#"{"a":"\u0078"}"#, TRUE),
            ("@.a=='x'", r#"{"a":["x"]}"#, FALSE),
            ("@.a!='x'", "{}", TRUE),
            ("@.a==@.b", "{}", TRUE),
            ("@.a<=@.b", "{}", TRUE),
            ("@.a<@.b", "{}", FALSE),
            ("@.a==null", "{}", FALSE),
            ("@.a==1", r#"{"a":1.0}"#, TRUE),
            ("@.a==1", r#"{"a":"1"}"#, FALSE),
            ("@.a==1", r#"{"a":true}"#, FALSE),
            ("@.a==@.b", r#"{"a":9007199254740993,"b":9007199254740992}"#, FALSE),
            ("@.a==9007199254740991", r#"{"a":9007199254740991.0000000001}"#, FALSE),
            ("@.a==0.1", r#"{"a":0.1000000000000000055}"#, FALSE),
            ("@.a>=1e2", r#"{"a":100}"#, TRUE),
            ("@.a>1e2", r#"{"a":100.00000000000000000001}"#, TRUE),
            ("@.a<-1", r#"{"a":-1.5}"#, TRUE),
            ("@.a<'b'", r#"{"a":"a"}"#, TRUE),
            ("@.a<'b'", r#"{"a":1}"#, FALSE),
            // In UTF-16 the first would come before the second.
            ("@.a>'\u{ff5e}'", "{\"a\":\"\u{1f600}\"}", TRUE),
            ("@.a<true", r#"{"a":false}"#, FALSE),
            ("@.a<=true", r#"{"a":true}"#, TRUE),
            ("@.a==@.b", r#"{"a":{"x":[1,{}],"y":2},"b":{"y":2.0,"x":[1e0,{ }]}}"#, TRUE),
            ("@.a==@.b", r#"{"a":{"x":1},"b":{"x":1,"y":2}}"#, FALSE),
            ("@.a==@.b", r#"{"a":[1,2],"b":[2,1]}"#, FALSE),
            ("@.a<=@.b", r#"{"a":[1],"b":[1]}"#, TRUE),
            ("@.a<@.b", r#"{"a":[1],"b":[2]}"#, FALSE),
            ("@.a && @.b || @.c", r#"{"a":1,"c":1}"#, TRUE),
            ("@.a && (@.b || @.c)", r#"{"b":1,"c":1}"#, FALSE),
            ("!(@.a && @.b)", r#"{"a":1}"#, TRUE),
        ] {
            assert_eq!(judged(filter, value), truth, "{filter} of {value}");
        }
    }

    #[test]
    fn what_the_value_leaves_open_is_neither_true_nor_false() {
        let deep = format!(r#"{{"a":{0}{1},"b":{0}{1}}}"#, "[".repeat(70), "]".repeat(70));
        for (filter, value, truth) in [
            ("@.a==1", r#"{"a":1,"a":2}"#, UNDECIDED),
            ("@.a==1", r#"{"a":1,"\u0061":1}"#, UNDECIDED),
            ("@.a", r#"{"a":1,"a":1}"#, UNDECIDED),
            ("@.a.b==1", r#"{"a":{"b":1},"a":{"b":1}}"#, UNDECIDED),
            ("!@.a", r#"{"a":1,"a":2}"#, UNDECIDED),
            ("@.a!=1", r#"{"a":1,"a":2}"#, UNDECIDED),
            ("@.a==1 || @.b", r#"{"a":1,"a":2,"b":0}"#, TRUE),
            ("@.a==1 || @.c", r#"{"a":1,"a":2,"b":0}"#, UNDECIDED),
            ("@.a==1 && @.c", r#"{"a":1,"a":2,"b":0}"#, FALSE),
            ("@.a==@.b", r#"{"a":{"x":1,"x":2},"b":{"x":1}}"#, UNDECIDED),
            ("@.a==@.b", r#"{"a":[{"x":1,"x":2},1],"b":[{"x":1},2]}"#, FALSE),
            ("@.b==1", r#"{"a":1,"a":2,"b":1}"#, TRUE),
            ("@.a==1", r#"{"a":1e99999999999999999999}"#, UNDECIDED),
            ("@.a==@.b", deep.as_str(), UNDECIDED),
        ] {
            assert_eq!(judged(filter, value), truth, "{filter} of {value}");
        }
    }

    /// The engine hands over JSON only; but nothing may follow from text that is none.
    #[test]
    fn broken_text_is_never_judged_by_its_beginning() {
        for broken in
            ["", "{", r#"{"a""#, r#"{"a":"#, r#"{"b":1 "a":1}"#, r#"{"a\"#, "{1:2}", r#"{"b"1}"#]
        {
            assert_eq!(judged("@.a==1", broken), UNDECIDED, "{broken}");
        }
    }
}
