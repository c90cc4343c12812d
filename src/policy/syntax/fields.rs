//! A mapping whose keys are words of the language: each is asked for by name, and what nobody
//! asked for is an unknown key. A misspelt rule key would be a leak.

use super::findings::{Findings, closest};
use super::node::{Key, Node};
use crate::policy::Place;

/// The members of one mapping and which of them have been read.
#[derive(Debug)]
pub(in crate::policy) struct Fields<'a> {
    what: &'static str,
    place: Place,
    members: &'a [(Key, Node)],
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(what: &'static str, place: &Place, members: &'a [(Key, Node)]) -> Self {
        Self { what, place: place.clone(), members, asked: Vec::new() }
    }

    /// Where the mapping stands.
    pub(in crate::policy) fn place(&self) -> &Place {
        &self.place
    }

    /// The member of this name, if it is there.
    pub(in crate::policy) fn take(&mut self, key: &'static str) -> Option<&'a Node> {
        self.take_entry(key).map(|(_, node)| node)
    }

    /// As [`take`](Self::take), with the place of the key.
    pub(in crate::policy) fn take_entry(
        &mut self,
        key: &'static str,
    ) -> Option<(&'a Place, &'a Node)> {
        self.asked.push(key);
        self.members.iter().find(|(k, _)| k.text == key).map(|(k, node)| (&k.place, node))
    }

    /// The member of this name; its absence is an error.
    pub(in crate::policy) fn require(
        &mut self,
        findings: &mut Findings,
        key: &'static str,
    ) -> Option<&'a Node> {
        let node = self.take(key);
        if node.is_none() {
            findings.error("T102", &self.place, format!("{} has no `{key}`", self.what));
        }
        node
    }

    /// Whether a member of this name is there; does not count as reading it.
    pub(in crate::policy) fn has(&self, key: &str) -> bool {
        self.members.iter().any(|(k, _)| k.text == key)
    }

    /// Says of every member that nobody asked for that it is unknown.
    pub(in crate::policy) fn finish(self, findings: &mut Findings) {
        for (key, _) in self.members {
            if !self.asked.contains(&key.text.as_str()) {
                let help = closest(&key.text, self.asked.iter().copied());
                let message = format!("unknown key `{}` in {}", key.text, self.what);
                findings.error_with("T102", &key.place, message, help);
            }
        }
    }
}
