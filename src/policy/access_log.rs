//! What the rules say of the access log. Part of [`model`](super::model).

use std::collections::BTreeSet;

use crate::action::pseudonym::Canonical;
use crate::terms::CategoryId;

/// How access-log fields are minimized, and how long lines are kept in which form.
/// Source: docs/OPERATIONS.md, "Access log".
#[derive(Clone, Debug)]
pub struct AccessLogRules {
    /// Fields that are written, in a fixed order.
    pub fields: Vec<String>,
    /// Network bits kept of IPv4 and IPv6 addresses.
    pub ip_prefix: (u8, u8),
    /// What the pseudonym of a visitor is made from.
    pub visitor: Vec<LogSource>,
    /// What the pseudonym of a device is made from.
    pub device: Vec<LogSource>,
    /// Where a device says which model it is, and the models that may stand in a line.
    pub device_model: Option<(LogSource, BTreeSet<String>)>,
    /// Where a device says which system it runs.
    pub os: Option<LogSource>,
    /// Where a device says how full its battery is, and the step it is rounded down to.
    pub battery: Option<(LogSource, u8)>,
    /// After which time lines are written anew in a coarser form.
    pub cold: Option<Cold>,
    /// After which time lines are deleted.
    pub delete_after: Option<jiff::SignedDuration>,
}

/// The coarser form of older lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cold {
    /// When.
    pub after: jiff::SignedDuration,
    /// What becomes of which field.
    pub fields: Vec<(String, Coarser)>,
}

/// What becomes of a field of an older line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coarser {
    /// It is taken out.
    Remove,
    /// The time is cut to the hour.
    Hour,
    /// The time is cut to the day.
    Day,
}

/// A property of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSource {
    /// The client's address.
    Ip,
    /// `User-Agent`.
    UserAgent,
    /// A header, by its name in lower case.
    Header(String),
}

impl LogSource {
    /// Whether it says the same of a request as values of this category do of a person, as far as
    /// names tell: `header:x-device-id` is a `device.id`.
    pub(super) fn tells(&self, category: &CategoryId, canonical: Canonical) -> bool {
        let plain = |name: &str| name.replace(['-', '_', '.'], "").to_ascii_lowercase();
        let whole = category.as_str();
        let last = whole.rsplit('.').next().unwrap_or(whole);
        match self {
            Self::Ip => canonical == Canonical::Ip,
            Self::UserAgent => matches!(plain(last).as_str(), "useragent" | "agent"),
            Self::Header(name) => {
                let name = plain(name.strip_prefix("x-").unwrap_or(name));
                name == plain(whole) || name == plain(last)
            }
        }
    }
}

impl AccessLogRules {
    /// The headers that are looked at beside `User-Agent` and `Referer`.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        let single = [
            self.device_model.as_ref().map(|(source, _)| source),
            self.os.as_ref(),
            self.battery.as_ref().map(|(source, _)| source),
        ];
        let sources = self.visitor.iter().chain(&self.device).chain(single.into_iter().flatten());
        sources.filter_map(|source| match source {
            LogSource::Header(name) => Some(name.as_str()),
            LogSource::Ip | LogSource::UserAgent => None,
        })
    }
}

impl Default for AccessLogRules {
    fn default() -> Self {
        Self {
            fields: [
                "time",
                "method",
                "route",
                "status",
                "bytes",
                "duration_ms",
                "recipient",
                "purpose",
                "ip_prefix",
                "decision",
            ]
            .map(str::to_owned)
            .to_vec(),
            ip_prefix: (24, 48),
            visitor: Vec::new(),
            device: Vec::new(),
            device_model: None,
            os: None,
            battery: None,
            cold: None,
            delete_after: None,
        }
    }
}
