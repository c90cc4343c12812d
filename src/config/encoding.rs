//! `encoding:` of tamis.yaml: whether answers are encoded for clients that accept it.

use super::forwarding::word;
use super::node::{Node, Value};
use super::read::Findings;

/// For whom answers are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerCoding {
    /// For programs: whoever shows a credential that no browser sends by itself, and does not ask from
    /// a page. Source: docs/decisions/0026-encoded-answers.md.
    #[default]
    Auto,
    /// For nobody.
    Off,
    /// For everybody. Whoever can make a client ask, and see how long answers are, can guess what
    /// stands in them beside what they put there.
    Always,
}

impl AnswerCoding {
    pub(super) fn read(node: &Node, loosenings: &mut Vec<String>, findings: &mut Findings) -> Self {
        // YAML 1.1 readers take a bare `off` for false.
        if matches!(node.value, Value::Bool(false)) {
            return Self::Off;
        }
        let words = [("auto", Self::Auto), ("off", Self::Off), ("dangerous_always", Self::Always)];
        let said = word(Some(node), &words, findings).unwrap_or_default();
        if said == Self::Always {
            loosenings.push(
                "encoding: dangerous_always: answers to browsers tell by their length".into(),
            );
        }
        said
    }
}
