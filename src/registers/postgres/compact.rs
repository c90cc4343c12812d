//! Statements as few bytes, so that those of millions of people fit into memory.
//!
//! Names that repeat (purposes, recipients, categories, digests of texts) are kept once and written as
//! numbers. The form lives in memory only and has no versions. [`decode`] is on the path of every
//! disclosure: it makes no more than the statements themselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use jiff::Timestamp;

use crate::terms::{
    AgeClass, Case, CategoryPattern, Consent, ConsentEvent, ConsentStatus, Country, DecisionId,
    Digest, Erasure, LegalOrder, Notice, Objection, OneTimeGrant, PurposePattern, Restriction,
    Statements, Withdrawal,
};

/// Names and digests that were seen, by number.
#[derive(Default)]
pub(super) struct Names {
    known: ArcSwap<Known>,
    numbers: Mutex<Numbers>,
}

/// What a reader needs.
#[derive(Clone, Default)]
pub(super) struct Known {
    names: Vec<Arc<str>>,
    digests: Vec<Digest>,
}

#[derive(Default)]
struct Numbers {
    names: HashMap<Arc<str>, u64>,
    digests: HashMap<Digest, u64>,
}

impl Names {
    /// The bytes of `statements`.
    pub(super) fn encode(&self, statements: &Statements) -> Box<[u8]> {
        let mut writer = Writer {
            out: Vec::with_capacity(96),
            numbers: &mut self.numbers.lock().unwrap_or_else(PoisonError::into_inner),
            new_names: Vec::new(),
            new_digests: Vec::new(),
        };
        writer.statements(statements);
        let Writer { out, new_names, new_digests, .. } = writer;
        if !new_names.is_empty() || !new_digests.is_empty() {
            // Published before the bytes that use them, and under the lock that numbers them.
            let mut known = Known::clone(&self.known.load());
            known.names.extend(new_names);
            known.digests.extend(new_digests);
            self.known.store(Arc::new(known));
        }
        out.into_boxed_slice()
    }

    /// The statements that `bytes` are; `None` where they are none, which [`encode`](Self::encode)
    /// never makes.
    pub(super) fn decode(&self, bytes: &[u8]) -> Option<Statements> {
        Reader { bytes, known: &self.known.load() }.statements()
    }
}

struct Writer<'a> {
    out: Vec<u8>,
    numbers: &'a mut Numbers,
    new_names: Vec<Arc<str>>,
    new_digests: Vec<Digest>,
}

impl Writer<'_> {
    fn statements(&mut self, said: &Statements) {
        // Which lists are there: most people have few of them.
        let Statements {
            consents,
            consents_unknown: _,
            withdrawals,
            notices,
            objections,
            restrictions,
            erasure,
            one_time_grants,
            orders,
            cases,
            age,
            region,
        } = said;
        self.number(match age {
            AgeClass::Adult => 0,
            AgeClass::Minor => 1,
            AgeClass::Unknown => 2,
        });
        self.maybe(region.as_ref(), |writer, region| writer.name(region.as_str()));
        self.list(consents, Self::consent);
        self.list(withdrawals, |writer, withdrawal| {
            writer.name(withdrawal.purpose.as_str());
            writer.maybe(withdrawal.recipient.as_ref(), |writer, one| writer.name(one.as_str()));
            writer.time(withdrawal.at);
        });
        self.list(notices, |writer, notice| {
            writer.name(notice.purpose.as_str());
            writer.maybe(notice.purpose_text_digest.as_ref(), Self::digest);
            writer.time(notice.shown_at);
        });
        self.list(objections, |writer, objection| {
            writer.name(objection.purpose.as_str());
            writer.time(objection.since);
        });
        self.list(restrictions, |writer, restriction| {
            writer.list(&restriction.categories, |writer, one| writer.name(one.as_str()));
            writer.time(restriction.since);
            writer.maybe(restriction.until.as_ref(), |writer, at| writer.time(*at));
            writer.number(u64::from(restriction.disputed));
        });
        self.maybe(erasure.as_ref(), |writer, erasure| {
            writer.time(erasure.effective_at);
            writer.list(&erasure.except, |writer, one| writer.name(one.as_str()));
        });
        self.list(one_time_grants, |writer, grant| {
            writer.text(&grant.id);
            writer.name(grant.purpose.as_str());
            writer.name(grant.recipient.as_str());
            writer.time(grant.granted_at);
            writer.maybe(grant.expires_at.as_ref(), |writer, at| writer.time(*at));
            writer.maybe(grant.used_by.as_ref(), |writer, by| writer.text(by.as_str()));
        });
        self.list(orders, |writer, order| {
            writer.text(&order.id);
            writer.name(order.recipient.as_str());
            writer.list(&order.categories, |writer, one| writer.name(one.as_str()));
            writer.time(order.from);
            writer.time(order.until);
            writer.maybe(order.gag_until.as_ref(), |writer, at| writer.time(*at));
            let approved_by: Vec<_> = order.approved_by.iter().collect();
            writer.list(&approved_by, |writer, one| writer.name(one));
            writer.number(u64::from(order.lifted));
        });
        self.list(cases, |writer, case| {
            writer.text(&case.id);
            writer.list(&case.purposes, |writer, one| writer.name(one.as_str()));
            writer.time(case.opened_at);
            writer.maybe(case.until.as_ref(), |writer, at| writer.time(*at));
            writer.number(u64::from(case.closed));
        });
    }

    fn consent(&mut self, consent: &Consent) {
        self.text(&consent.id);
        self.name(consent.purpose.as_str());
        self.maybe(consent.purpose_text_digest.as_ref(), Self::digest);
        self.list(&consent.recipients, |writer, one| writer.name(one.as_str()));
        self.list(&consent.categories, |writer, one| writer.name(one.as_str()));
        self.number(u64::from(consent.explicit));
        self.maybe(consent.expires_at.as_ref(), |writer, at| writer.time(*at));
        self.list(&consent.events, |writer, event| {
            writer.time(event.at);
            let at = STATUSES.iter().position(|status| *status == event.status);
            writer.number(at.unwrap_or(STATUSES.len()) as u64);
        });
    }

    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.number(items.len() as u64);
        for item in items {
            write(self, item);
        }
    }

    fn maybe<T: ?Sized>(&mut self, item: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.number(u64::from(item.is_some()));
        if let Some(item) = item {
            write(self, item);
        }
    }

    /// Seven bits a byte, the lowest first.
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.out.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.out.push(number.to_le_bytes()[0]);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Seconds with the sign last, then the nanoseconds, which are mostly none.
    fn time(&mut self, at: Timestamp) {
        let second = at.as_second();
        self.number((second.unsigned_abs() << 1) | u64::from(second < 0));
        let nanosecond = at.subsec_nanosecond();
        self.number((u64::from(nanosecond.unsigned_abs()) << 1) | u64::from(nanosecond < 0));
    }

    fn name(&mut self, name: &str) {
        let next = self.numbers.names.len() as u64;
        let number = if let Some(number) = self.numbers.names.get(name) {
            *number
        } else {
            let name: Arc<str> = name.into();
            self.numbers.names.insert(Arc::clone(&name), next);
            self.new_names.push(name);
            next
        };
        self.number(number);
    }

    fn digest(&mut self, digest: &Digest) {
        let next = self.numbers.digests.len() as u64;
        let number = *self.numbers.digests.entry(*digest).or_insert_with(|| {
            self.new_digests.push(*digest);
            next
        });
        self.number(number);
    }
}

const STATUSES: [ConsentStatus; 9] = [
    ConsentStatus::Requested,
    ConsentStatus::Given,
    ConsentStatus::Renewed,
    ConsentStatus::Refused,
    ConsentStatus::Withdrawn,
    ConsentStatus::Revoked,
    ConsentStatus::Expired,
    ConsentStatus::Invalidated,
    ConsentStatus::Unknown,
];

struct Reader<'a> {
    bytes: &'a [u8],
    known: &'a Known,
}

impl Reader<'_> {
    fn statements(&mut self) -> Option<Statements> {
        let age = match self.number()? {
            0 => AgeClass::Adult,
            1 => AgeClass::Minor,
            2 => AgeClass::Unknown,
            _ => return None,
        };
        let said = Statements {
            consents_unknown: false,
            age,
            region: self.maybe(Self::name::<Country>)?,
            consents: self.list(Self::consent)?,
            withdrawals: self.list(|reader| {
                Some(Withdrawal {
                    purpose: PurposePattern::new(reader.known_name()?),
                    recipient: reader.maybe(Self::name)?,
                    at: reader.time()?,
                })
            })?,
            notices: self.list(|reader| {
                Some(Notice {
                    purpose: reader.name()?,
                    purpose_text_digest: reader.maybe(Self::digest)?,
                    shown_at: reader.time()?,
                })
            })?,
            objections: self.list(|reader| {
                let purpose = PurposePattern::new(reader.known_name()?);
                Some(Objection { purpose, since: reader.time()? })
            })?,
            restrictions: self.list(|reader| {
                Some(Restriction {
                    categories: reader
                        .list(|reader| Some(CategoryPattern::new(reader.known_name()?)))?,
                    since: reader.time()?,
                    until: reader.maybe(Self::time)?,
                    disputed: reader.number()? != 0,
                })
            })?,
            erasure: self.maybe(|reader| {
                let effective_at = reader.time()?;
                let except =
                    reader.list(|reader| Some(PurposePattern::new(reader.known_name()?)))?;
                Some(Erasure { effective_at, except })
            })?,
            one_time_grants: self.list(|reader| {
                Some(OneTimeGrant {
                    id: reader.text()?.into(),
                    purpose: reader.name()?,
                    recipient: reader.name()?,
                    granted_at: reader.time()?,
                    expires_at: reader.maybe(Self::time)?,
                    used_by: reader.maybe(|reader| Some(DecisionId::from(reader.text()?)))?,
                })
            })?,
            orders: self.list(|reader| {
                Some(LegalOrder {
                    id: reader.text()?.into(),
                    recipient: reader.name()?,
                    categories: reader.list(Self::name)?,
                    from: reader.time()?,
                    until: reader.time()?,
                    gag_until: reader.maybe(Self::time)?,
                    approved_by: reader.list(Self::name::<Arc<str>>)?.into_iter().collect(),
                    lifted: reader.number()? != 0,
                })
            })?,
            cases: self.list(|reader| {
                Some(Case {
                    id: reader.text()?.into(),
                    purposes: reader.list(Self::name)?,
                    opened_at: reader.time()?,
                    until: reader.maybe(Self::time)?,
                    closed: reader.number()? != 0,
                })
            })?,
        };
        self.bytes.is_empty().then_some(said)
    }

    fn consent(&mut self) -> Option<Consent> {
        Some(Consent {
            id: self.text()?.into(),
            purpose: self.name()?,
            purpose_text_digest: self.maybe(Self::digest)?,
            recipients: self.list(Self::name)?,
            categories: self.list(Self::name)?,
            explicit: self.number()? != 0,
            expires_at: self.maybe(Self::time)?,
            events: self.list(|reader| {
                let at = reader.time()?;
                let status = *STATUSES.get(usize::try_from(reader.number()?).ok()?)?;
                Some(ConsentEvent { at, status })
            })?,
        })
    }

    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = usize::try_from(self.number()?).ok()?;
        // No item is less than a byte.
        let mut items = Vec::with_capacity(count.min(self.bytes.len()));
        for _ in 0..count {
            items.push(read(self)?);
        }
        Some(items)
    }

    /// The outer `None`: it cannot be read. The inner: it is not there.
    #[allow(clippy::option_option, reason = "unreadable and absent are different")]
    fn maybe<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.number()? == 0 { Some(None) } else { read(self).map(Some) }
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            number |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn text(&mut self) -> Option<&str> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        std::str::from_utf8(text).ok()
    }

    fn time(&mut self) -> Option<Timestamp> {
        let signed = |number: u64| {
            let size = i64::try_from(number >> 1).ok()?;
            Some(if number & 1 == 1 { -size } else { size })
        };
        let second = signed(self.number()?)?;
        let nanosecond = i32::try_from(signed(self.number()?)?).ok()?;
        Timestamp::new(second, nanosecond).ok()
    }

    fn known_name(&mut self) -> Option<&Arc<str>> {
        self.known.names.get(usize::try_from(self.number()?).ok()?)
    }

    fn name<T: From<Arc<str>>>(&mut self) -> Option<T> {
        Some(Arc::clone(self.known_name()?).into())
    }

    fn digest(&mut self) -> Option<Digest> {
        self.known.digests.get(usize::try_from(self.number()?).ok()?).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times() -> impl Strategy<Value = Timestamp> {
        (-9_999_999_999_i64..99_999_999_999, 0..1_000_000_000).prop_map(|(second, nanosecond)| {
            Timestamp::new(second, nanosecond).expect("in the range of times")
        })
    }

    fn words() -> impl Strategy<Value = String> {
        "[a-z.*é]{1,6}"
    }

    fn consents() -> impl Strategy<Value = Consent> {
        let digest = prop::option::of(words().prop_map(|text| Digest::of(text.as_bytes())));
        let names = || prop::collection::vec(words(), 0..3);
        let events = prop::collection::vec((times(), 0..STATUSES.len()), 0..4);
        let expires = prop::option::of(times());
        let parts = (words(), words(), digest, names(), names(), any::<bool>(), expires, events);
        parts.prop_map(
            |(id, purpose, digest, recipients, categories, explicit, expires, events)| Consent {
                id: id.into(),
                purpose: purpose.into(),
                purpose_text_digest: digest,
                recipients: recipients.into_iter().map(Into::into).collect(),
                categories: categories.into_iter().map(Into::into).collect(),
                explicit,
                expires_at: expires,
                events: events
                    .into_iter()
                    .map(|(at, status)| ConsentEvent { at, status: STATUSES[status] })
                    .collect(),
            },
        )
    }

    fn all() -> impl Strategy<Value = Statements> {
        let consents = prop::collection::vec(consents(), 0..4);
        let others = (words(), times(), prop::option::of(times()), any::<bool>());
        (consents, others, 0..3_u8).prop_map(|(consents, (word, at, maybe, flag), how)| {
            let (text, pattern) = (word.as_str(), PurposePattern::new(&word));
            Statements {
                consents,
                withdrawals: vec![Withdrawal {
                    purpose: pattern.clone(),
                    recipient: flag.then(|| text.into()),
                    at,
                }],
                notices: vec![Notice {
                    purpose: text.into(),
                    purpose_text_digest: Some(Digest::of(text.as_bytes())),
                    shown_at: at,
                }],
                objections: vec![Objection { purpose: pattern.clone(), since: at }],
                restrictions: vec![Restriction {
                    categories: vec![CategoryPattern::new(text)],
                    since: at,
                    until: maybe,
                    disputed: flag,
                }],
                erasure: flag.then(|| Erasure { effective_at: at, except: vec![pattern] }),
                one_time_grants: vec![OneTimeGrant {
                    id: text.into(),
                    purpose: text.into(),
                    recipient: text.into(),
                    granted_at: at,
                    expires_at: maybe,
                    used_by: flag.then(|| DecisionId::from(text)),
                }],
                orders: vec![LegalOrder {
                    id: text.into(),
                    recipient: text.into(),
                    categories: vec![text.into()],
                    from: at,
                    until: at,
                    gag_until: maybe,
                    approved_by: ["a".into(), text.into()].into(),
                    lifted: flag,
                }],
                cases: vec![Case {
                    id: text.into(),
                    purposes: vec![text.into()],
                    opened_at: at,
                    until: maybe,
                    closed: flag,
                }],
                age: [AgeClass::Adult, AgeClass::Minor, AgeClass::Unknown][usize::from(how)],
                region: flag.then(|| Country::from(text)),
                ..Statements::default()
            }
        })
    }

    proptest! {
        #[test]
        fn what_was_said_reads_back(many in prop::collection::vec(all(), 1..5)) {
            let names = Names::default();
            let bytes: Vec<_> = many.iter().map(|said| names.encode(said)).collect();
            for (said, bytes) in many.iter().zip(&bytes) {
                prop_assert_eq!(names.decode(bytes), Some(said.clone()));
                for cut in 0..bytes.len() {
                    prop_assert_eq!(names.decode(&bytes[..cut]), None);
                }
            }
        }
    }

    #[test]
    fn a_usual_consent_takes_few_bytes() {
        let said = Statements {
            consents: vec![Consent {
                id: "con_0123456789abcdef".into(),
                purpose: "share.partner".into(),
                purpose_text_digest: Some(Digest::of(b"the text")),
                recipients: vec!["loyalty-partner".into()],
                categories: Vec::new(),
                explicit: true,
                expires_at: Some(Timestamp::from_second(1_800_000_000).expect("small")),
                events: vec![ConsentEvent {
                    at: Timestamp::from_second(1_700_000_000).expect("small"),
                    status: ConsentStatus::Given,
                }],
            }],
            ..Statements::default()
        };
        let length = Names::default().encode(&said).len();
        assert!(length <= 64, "{length} bytes");
    }
}
