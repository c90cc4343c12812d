//! What an exchange should come to, said a second time and slowly: rules as plain YAML, each step of
//! docs/RULES.md as it is written there, the document as a tree. It shares no code with the engine,
//! and was written from the documents alone.

mod act;
mod cell;
mod dates;
mod filter;
mod part;
mod person;
mod request;
mod text;
mod walk;

pub(crate) use act::{PSEUDONYM, TOKEN};

use std::collections::BTreeMap;

use super::world::{COOKIES, World};
use crate::oracle::Tree;
use person::Asker;
use text::Text;

/// Rules, read.
pub(crate) struct Oracle(Text);

impl Oracle {
    pub(crate) fn new(rules: &str) -> Self {
        let text = serde_saphyr::from_str(rules);
        Self(text.unwrap_or_else(|error| panic!("the oracle cannot read its rules: {error}")))
    }

    /// What the gateway should make of this world.
    pub(crate) fn expected(&self, world: &World) -> Outcome {
        request::judge(&self.0, world).unwrap_or_else(|outcome| outcome)
    }

    /// The cookies that pass, in either direction.
    pub(crate) fn cookies(&self, world: &World) -> Vec<String> {
        let asker = Asker {
            text: &self.0,
            world,
            recipient: &self.0.recipients[world.ask.recipient],
            purposes: &[],
            cells: &BTreeMap::new(),
            filters: Vec::new(),
            order: None,
        };
        COOKIES.iter().filter(|name| asker.passes(name)).map(|name| (*name).to_owned()).collect()
    }
}

/// How an exchange ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// By this code.
    Refused(&'static str),
    /// A person cannot be told, or is in no row: whatever the code, it is one that is concealed.
    Concealed,
    /// This leaves.
    Released(Tree),
}
