//! Rules as a tree in the order of the file, to be changed in one place and written out as JSON,
//! which is YAML too.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A node.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    /// A text as it is written out: with quotes, unless it is a number or a truth value.
    Scalar(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

/// One step down.
#[derive(Clone, Debug)]
pub(super) struct Step {
    at: usize,
    /// The key, or what a person would call the item.
    pub(super) name: String,
}

impl Tree {
    pub(super) fn parse(text: &str) -> Self {
        serde_saphyr::from_str(text).expect("rules that load are YAML")
    }

    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Scalar(text) => Some(text.trim_matches('"')),
            Self::List(_) | Self::Map(_) => None,
        }
    }

    /// Every place beneath, in order.
    pub(super) fn paths(&self) -> Vec<Vec<Step>> {
        let mut paths = Vec::new();
        let mut here = Vec::new();
        self.collect(&mut here, &mut paths);
        paths
    }

    fn collect(&self, here: &mut Vec<Step>, paths: &mut Vec<Vec<Step>>) {
        let children: Vec<(String, &Self)> = match self {
            Self::Scalar(_) => Vec::new(),
            Self::List(items) => items.iter().map(|item| (item.called(), item)).collect(),
            Self::Map(entries) => entries.iter().map(|(key, value)| (key.clone(), value)).collect(),
        };
        for (at, (name, child)) in children.into_iter().enumerate() {
            here.push(Step { at, name });
            paths.push(here.clone());
            child.collect(here, paths);
            here.pop();
        }
    }

    fn called(&self) -> String {
        let member = |key: &str| match self {
            Self::Map(entries) => {
                entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
            }
            Self::Scalar(_) | Self::List(_) => None,
        };
        match (self.text(), member("match"), member("to"), member("for")) {
            (Some(text), ..) => text.to_owned(),
            (_, Some(route), ..) => route.text().unwrap_or_default().to_owned(),
            (_, _, Some(to), Some(purpose)) => format!("to {} for {}", to.flat(), purpose.flat()),
            _ => self.flat(),
        }
    }

    /// In one line, without what is said to people.
    fn flat(&self) -> String {
        match self {
            Self::Scalar(text) => text.trim_matches('"').to_owned(),
            Self::List(items) => items.iter().map(Self::flat).collect::<Vec<_>>().join("+"),
            Self::Map(entries) => entries
                .iter()
                .filter(|(key, _)| key != "keeps")
                .map(|(key, value)| format!("{key} {}", value.flat()))
                .collect::<Vec<_>>()
                .join(", "),
        }
    }

    pub(super) fn at(&self, path: &[Step]) -> &Self {
        path.iter().fold(self, |node, step| match node {
            Self::Scalar(_) => node,
            Self::List(items) => &items[step.at],
            Self::Map(entries) => &entries[step.at].1,
        })
    }

    fn at_mut(&mut self, path: &[Step]) -> &mut Self {
        path.iter().fold(self, |node, step| match node {
            Self::Scalar(_) => node,
            Self::List(items) => &mut items[step.at],
            Self::Map(entries) => &mut entries[step.at].1,
        })
    }

    /// All but this place.
    pub(super) fn without(&self, path: &[Step]) -> Self {
        let mut tree = self.clone();
        let Some((last, above)) = path.split_last() else { return tree };
        match tree.at_mut(above) {
            Self::Scalar(_) => {}
            Self::List(items) => drop(items.remove(last.at)),
            Self::Map(entries) => drop(entries.remove(last.at)),
        }
        tree
    }

    /// With another text in this place.
    pub(super) fn with(&self, path: &[Step], text: &str) -> Self {
        let mut tree = self.clone();
        *tree.at_mut(path) = Self::Scalar(format!("{text:?}"));
        tree
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(text) => f.write_str(text),
            Self::List(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Map(entries) => {
                f.write_str("{")?;
                for (at, (key, value)) in entries.iter().enumerate() {
                    let comma = if at > 0 { ", " } else { "" };
                    write!(f, "{comma}{}: {value}", serde_json::Value::from(key.as_str()))?;
                }
                f.write_str("}")
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Builder)
    }
}

struct Builder;

impl<'de> Visitor<'de> for Builder {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rules")
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(serde_json::Value::from(text).to_string()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_string()))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar("null".to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = entries.next_entry::<String, Tree>()? {
            map.push((key, value));
        }
        Ok(Tree::Map(map))
    }
}
