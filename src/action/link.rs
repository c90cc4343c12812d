//! Links: texts in which values of categories stand, each of which is treated as its category is.
//!
//! Who knows the routes takes a link apart ([`ReadsLinks`]); here its values are treated and it is put
//! together again. A value that cannot stand in a link once it was treated takes the whole link away:
//! half a link would lead somewhere else. Nothing of what was read is kept.
//! Source: docs/RULES.md, "Links"; docs/decisions/0011-links.md.

use std::fmt;
use std::sync::Arc;

use super::{Action, Applied, Scalar, Treatment};
use crate::terms::CategoryId;

/// Takes links apart.
pub trait ReadsLinks: fmt::Debug + Send + Sync {
    /// The parts of a link that leads to something that is catalogued, in order. `None` for every other
    /// text, and for a link that could be read in two ways.
    fn read(&self, text: &str) -> Option<Vec<Part>>;

    /// A value as it stands in a link. `None`: it cannot stand there and be read in one way only.
    fn write(&self, value: &str) -> Option<String>;
}

/// A part of a link.
pub enum Part {
    /// Says nothing about a person; as it is to be written.
    Fixed(String),
    /// A value, decoded.
    Value {
        /// What it is, or the domain of a cursor.
        of: CategoryId,
        /// The value.
        text: String,
    },
}

/// What becomes of the links at one place.
#[derive(Clone, Debug)]
pub struct Link {
    reads: Arc<dyn ReadsLinks>,
    /// What becomes of the values that may stand in them. A value of any other category takes the link
    /// away.
    values: Vec<(CategoryId, Treatment)>,
}

impl Link {
    /// Links in which values of these categories may stand.
    #[must_use]
    pub fn new(reads: Arc<dyn ReadsLinks>, values: Vec<(CategoryId, Treatment)>) -> Self {
        Self { reads, values }
    }

    /// Both together: values of either may stand in the link. Where both speak of one category and do
    /// not say the same, it takes the link away.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut values = self.values.clone();
        for (category, treatment) in &other.values {
            match values.iter_mut().find(|(known, _)| known == category) {
                Some((_, known)) if known.action == treatment.action => {}
                Some((_, known)) => known.action = Action::Remove,
                None => values.push((category.clone(), treatment.clone())),
            }
        }
        Self { reads: Arc::clone(&self.reads), values }
    }

    /// The link as it may leave; `None`: not at all.
    #[must_use]
    pub fn rewrite(&self, text: &str) -> Option<String> {
        self.rewrite_and_tell(text).map(|(link, _)| link)
    }

    /// The link as it may leave, and of what values stand in it; `None`: not at all.
    #[must_use]
    pub fn rewrite_and_tell(&self, text: &str) -> Option<(String, Vec<CategoryId>)> {
        let mut link = String::with_capacity(text.len());
        let mut told = Vec::new();
        for part in self.reads.read(text)? {
            match part {
                Part::Fixed(text) => link.push_str(&text),
                Part::Value { of, text } => {
                    let (_, treatment) = self.values.iter().find(|(known, _)| *known == of)?;
                    link.push_str(&self.reads.write(&treatment.within(&text)?)?);
                    told.push(of);
                }
            }
        }
        Some((link, told))
    }
}

impl Treatment {
    /// What a value becomes that is part of something else: of a link, or the name of a member. `None`
    /// where its action leaves no value that still tells two people apart: whoever read a masked id as
    /// an id, or a permuted one, would be led to somebody else.
    #[must_use]
    pub fn within(&self, value: &str) -> Option<String> {
        match self.action {
            Action::Keep | Action::OwnLines => Some(value.to_owned()),
            Action::Token | Action::Pseudonym(_) => {
                let mut out = Vec::new();
                if self.apply(Scalar::String(value), &mut out) == Applied::Blanked {
                    return None;
                }
                // Tokens and pseudonyms need no escapes in JSON.
                let text = String::from_utf8(out).ok()?;
                let text = text.strip_prefix('"')?.strip_suffix('"')?;
                (!text.is_empty() && !text.contains('\\')).then(|| text.to_owned())
            }
            _ => None,
        }
    }
}
