//! In which form a report leaves.

use super::{Document, csv, html, json_ld};

/// For whom it is written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Programs.
    #[default]
    Json,
    /// Spreadsheets; no cell of it is computed.
    Csv,
    /// One page that loads nothing, to read and print.
    Html,
    /// Programs that read the W3C Data Privacy Vocabulary; the record of processing alone.
    JsonLd,
}

impl Form {
    /// Reads `json`, `csv`, `html` or `jsonld`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "json" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            "html" => Some(Self::Html),
            "jsonld" => Some(Self::JsonLd),
            _ => None,
        }
    }

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=absent",
            Self::Html => "text/html; charset=utf-8",
            Self::JsonLd => "application/ld+json",
        }
    }

    /// The report in this form; `None` where it has none.
    #[must_use]
    pub fn write(self, document: &Document) -> Option<String> {
        match self {
            Self::Json => Some(format!("{:#}\n", document.json())),
            Self::Csv => Some(csv(document)),
            Self::Html => Some(html(document)),
            Self::JsonLd => json_ld(document).map(|graph| format!("{graph:#}\n")),
        }
    }
}
