//! Filters of selectors (RFC 9535 §2.3.5), as far as they look at the value itself and at single
//! places beneath it: such a filter is decided as soon as that one value has been seen.

use jsonpath_rust::parser::model::{
    Comparable, Comparison as TheirComparison, Filter as TheirFilter, FilterAtom,
    Literal as TheirLiteral, Segment, Selector, SingularQuery, SingularQuerySegment, Test,
};

/// What must be true of a value for it to be selected.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Filter {
    /// `||`; at least two.
    AnyOf(Vec<Self>),
    /// `&&`; at least two.
    AllOf(Vec<Self>),
    /// `!`.
    Not(Box<Self>),
    /// Something stands there, `null` included.
    Exists(Relative),
    /// Two values compared.
    Compare(Operand, Comparison, Operand),
}

/// A relative singular query: `@` and the way from there to at most one place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Relative(pub Vec<Child>);

/// One step of that way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Child {
    /// The member of this (unescaped) name.
    Name(String),
    /// The element at this position.
    Index(u64),
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// What stands there, or nothing.
    Relative(Relative),
    /// A string, unescaped.
    Text(String),
    /// A number as written; never rounded.
    Number(String),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Filter {
    /// How many values it looks for, literals included: what judging costs at most, in readings of
    /// the value.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::AnyOf(parts) | Self::AllOf(parts) => parts.iter().map(Self::size).sum(),
            Self::Not(inner) => inner.size(),
            Self::Exists(_) => 1,
            Self::Compare(..) => 2,
        }
    }

    /// Whether jsonpath-rust reads the same filter.
    pub(super) fn is_read_as(&self, theirs: &TheirFilter) -> bool {
        let all = |own: &[Self], theirs: &[TheirFilter]| {
            own.len() == theirs.len() && own.iter().zip(theirs).all(|(o, t)| o.is_read_as(t))
        };
        match (self, theirs) {
            (_, TheirFilter::Atom(FilterAtom::Filter { expr, not: false })) => {
                self.is_read_as(expr)
            }
            (Self::Not(own), TheirFilter::Atom(FilterAtom::Filter { expr, not: true })) => {
                own.is_read_as(expr)
            }
            (Self::AnyOf(own), TheirFilter::Or(theirs))
            | (Self::AllOf(own), TheirFilter::And(theirs)) => all(own, theirs),
            (Self::Exists(own), TheirFilter::Atom(FilterAtom::Test { expr, not: false })) => {
                own.is_tested_as(expr)
            }
            (Self::Not(own), TheirFilter::Atom(FilterAtom::Test { expr, not: true })) => {
                matches!(&**own, Self::Exists(own) if own.is_tested_as(expr))
            }
            (
                Self::Compare(left, comparison, right),
                TheirFilter::Atom(FilterAtom::Comparison(theirs)),
            ) => {
                let (their_left, their_right) = theirs.vals();
                *comparison == Comparison::of(theirs)
                    && left.is_read_as(their_left)
                    && right.is_read_as(their_right)
            }
            _ => false,
        }
    }
}

impl Comparison {
    fn of(theirs: &TheirComparison) -> Self {
        match theirs {
            TheirComparison::Eq(..) => Self::Equal,
            TheirComparison::Ne(..) => Self::Unequal,
            TheirComparison::Lt(..) => Self::Less,
            TheirComparison::Lte(..) => Self::AtMost,
            TheirComparison::Gt(..) => Self::Greater,
            TheirComparison::Gte(..) => Self::AtLeast,
        }
    }
}

impl Relative {
    fn is_tested_as(&self, theirs: &Test) -> bool {
        let Test::RelQuery(segments) = theirs else { return false };
        self.0.len() == segments.len()
            && self.0.iter().zip(segments).all(|(own, theirs)| {
                let one = match theirs {
                    Segment::Selector(one) => one,
                    Segment::Selectors(many) if many.len() == 1 => &many[0],
                    Segment::Selectors(_) | Segment::Descendant(_) => return false,
                };
                match (own, one) {
                    (Child::Name(own), Selector::Name(theirs)) => own == theirs,
                    (Child::Index(own), Selector::Index(theirs)) => {
                        u64::try_from(*theirs) == Ok(*own)
                    }
                    _ => false,
                }
            })
    }
}

impl Operand {
    fn is_read_as(&self, theirs: &Comparable) -> bool {
        match (self, theirs) {
            (Self::Relative(own), Comparable::SingularQuery(SingularQuery::Current(segments))) => {
                own.0.len() == segments.len()
                    && own.0.iter().zip(segments).all(|pair| match pair {
                        (Child::Name(own), SingularQuerySegment::Name(theirs)) => own == theirs,
                        (Child::Index(own), SingularQuerySegment::Index(theirs)) => {
                            u64::try_from(*theirs) == Ok(*own)
                        }
                        _ => false,
                    })
            }
            (Self::Text(own), Comparable::Literal(TheirLiteral::String(theirs))) => own == theirs,
            (Self::Bool(own), Comparable::Literal(TheirLiteral::Bool(theirs))) => own == theirs,
            (Self::Null, Comparable::Literal(TheirLiteral::Null)) => true,
            (Self::Number(own), Comparable::Literal(TheirLiteral::Int(theirs))) => {
                own.parse() == Ok(*theirs)
            }
            // Theirs is rounded, ours is not: the same text gives the same bits.
            (Self::Number(own), Comparable::Literal(TheirLiteral::Float(theirs))) => {
                own.parse::<f64>().is_ok_and(|own| own.to_bits() == theirs.to_bits())
            }
            _ => false,
        }
    }
}
