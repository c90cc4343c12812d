//! Takes the members of a record out of its JSON one by one, so that what is left over is unknown,
//! and what is wrong is named by its field and never by its value.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::RecordError;
use crate::minimize::Strict;
use crate::terms::Digest;

/// Longest id, name or other text of a record. Longer ones are a mistake or an attack.
const TEXT_BYTES: usize = 1024;

/// Longest list in a record.
const LIST_ITEMS: usize = 256;

/// The members not taken yet.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads one JSON object.
    pub(super) fn parse(json: &[u8]) -> Result<Self, RecordError> {
        match serde_json::from_slice(json) {
            Ok(Strict(Value::Object(members))) => Ok(Self(members)),
            Ok(_) => Err(RecordError::Invalid("not an object")),
            Err(_) => Err(RecordError::Invalid("not JSON, or a member twice")),
        }
    }

    /// Fails if a member was not taken: a misspelt member is a statement that gets lost.
    pub(super) fn finish(self) -> Result<(), RecordError> {
        if self.0.is_empty() { Ok(()) } else { Err(RecordError::Invalid("unknown member")) }
    }

    /// `null` is the same as no member.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// Takes members that say nothing for us, so that they are not left over.
    pub(super) fn skip(&mut self, names: &[&str]) {
        for name in names {
            self.take(name);
        }
    }

    /// A time in whole seconds since 1970.
    pub(super) fn seconds(&mut self, name: &'static str) -> Result<Timestamp, RecordError> {
        let seconds = self.take(name).and_then(|value| value.as_i64());
        seconds
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .ok_or(RecordError::Invalid(name))
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, RecordError> {
        self.take(name).map(|value| text(value, name)).transpose()
    }

    pub(super) fn required(&mut self, name: &'static str) -> Result<String, RecordError> {
        self.text(name)?.ok_or(RecordError::Invalid(name))
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Result<bool, RecordError> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(RecordError::Invalid(name)),
        }
    }

    pub(super) fn time(&mut self, name: &'static str) -> Result<Option<Timestamp>, RecordError> {
        let text = self.text(name)?;
        text.map(|text| text.parse().map_err(|_| RecordError::Invalid(name))).transpose()
    }

    pub(super) fn digest(&mut self, name: &'static str) -> Result<Option<Digest>, RecordError> {
        let text = self.text(name)?;
        text.map(|text| Digest::parse(&text).ok_or(RecordError::Invalid(name))).transpose()
    }

    pub(super) fn texts(&mut self, name: &'static str) -> Result<Vec<String>, RecordError> {
        self.items(name)?.into_iter().map(|item| text(item, name)).collect()
    }

    pub(super) fn objects(&mut self, name: &'static str) -> Result<Vec<Self>, RecordError> {
        let object = |item| match item {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(RecordError::Invalid(name)),
        };
        self.items(name)?.into_iter().map(object).collect()
    }

    pub(super) fn object(&mut self, name: &'static str) -> Result<Option<Self>, RecordError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Self(members))),
            Some(_) => Err(RecordError::Invalid(name)),
        }
    }

    fn items(&mut self, name: &'static str) -> Result<Vec<Value>, RecordError> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) if items.len() <= LIST_ITEMS => Ok(items),
            Some(_) => Err(RecordError::Invalid(name)),
        }
    }
}

fn text(value: Value, name: &'static str) -> Result<String, RecordError> {
    match value {
        Value::String(text) if !text.is_empty() && text.len() <= TEXT_BYTES => Ok(text),
        _ => Err(RecordError::Invalid(name)),
    }
}
