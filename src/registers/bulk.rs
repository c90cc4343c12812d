//! Many records at once: our own form, one a line, and consents as receipts and records of others.
//!
//! All or nothing: every line is read before anything is written, and every wrong one is named, by its
//! number and field and never by a value. What a receipt says that we cannot keep, such as a condition
//! in words under which consent ends, is a wrong line and not passed over.

use jiff::Timestamp;
use serde_json::Value;

use super::fields::Fields;
use super::record::{ConsentRecord, Evidence, Record, RecordError, ShownNotice};
use super::{Changing, RegisterStore, check_record};
use crate::minimize::without_doubles;
use crate::policy::Policy;
use crate::terms::{ConsentEvent, ConsentStatus, DataSubject, Digest, Personal, PurposeId};

/// Most wrong lines that are named; the rest is counted.
const NAMED: usize = 100;

/// In which form records come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BulkForm {
    /// Records of any register, one JSON object a line.
    #[default]
    Records,
    /// Consent receipts. Source: Kantara Initiative, Consent Receipt Specification v1.1.
    Kantara,
    /// Consent records. Source: ISO/IEC TS 27560.
    Iso27560,
}

/// A line that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongLine {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong with it, without a value.
    pub why: String,
}

/// Why nothing was taken.
#[derive(Debug, thiserror::Error)]
pub enum BulkError {
    /// Lines are wrong: the first of them, and how many there are in all.
    #[error("{count} lines are wrong; nothing was taken")]
    Wrong {
        /// The first, at most a hundred.
        lines: Vec<WrongLine>,
        /// All of them.
        count: usize,
    },
    /// The registers cannot be written.
    #[error("registers unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Records.
    pub records: usize,
    /// Those among them that said something new.
    pub new: usize,
}

/// Wrong lines so far.
#[derive(Default)]
struct Wrong {
    lines: Vec<WrongLine>,
    count: usize,
}

impl Wrong {
    fn note(&mut self, line: u64, why: String) {
        self.count += 1;
        if self.lines.len() < NAMED {
            self.lines.push(WrongLine { line, why });
        }
    }
}

impl BulkForm {
    /// Reads `records`, `kantara` or `iso-27560`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "records" => Some(Self::Records),
            "kantara" => Some(Self::Kantara),
            "iso-27560" => Some(Self::Iso27560),
            _ => None,
        }
    }

    fn read(self, line: &[u8], policy: &Policy) -> Result<Vec<Record>, RecordError> {
        let consents = match self {
            Self::Records => return Ok(vec![Record::parse(line)?]),
            Self::Kantara => receipt(line, policy)?,
            Self::Iso27560 => iso_record(line, policy)?,
        };
        let records: Vec<Record> = consents.into_iter().map(Record::Consent).collect();
        for record in &records {
            record.check().map_err(RecordError::Invalid)?;
        }
        Ok(records)
    }
}

/// Records that were read whole, and the line of each.
pub struct Bulk {
    records: Vec<Record>,
    lines: Vec<u64>,
}

impl Bulk {
    /// Reads every line of `text`; each record must be one that `may` lets through.
    ///
    /// # Errors
    /// [`BulkError::Wrong`] with the lines that are wrong.
    pub fn read(
        form: BulkForm,
        text: &[u8],
        policy: &Policy,
        may: &dyn Fn(&Record) -> bool,
    ) -> Result<Self, BulkError> {
        let (mut records, mut lines, mut wrong) = (Vec::new(), Vec::new(), Wrong::default());
        for (number, line) in (1_u64..).zip(text.split(|byte| *byte == b'\n')) {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let read = match form.read(line, policy) {
                Ok(read) => read,
                Err(error) => {
                    wrong.note(number, error.to_string());
                    continue;
                }
            };
            for record in read {
                if !may(&record) {
                    let why = format!("{}: none of the caller's roles may do this", record.kind());
                    wrong.note(number, why);
                } else if let Err(unknown) = check_record(policy, &record) {
                    wrong.note(number, unknown.to_string());
                } else {
                    lines.push(number);
                    records.push(record);
                }
            }
        }
        if records.is_empty() && wrong.count == 0 {
            wrong.note(1, "there is nothing to take".to_owned());
        }
        if wrong.count > 0 {
            return Err(BulkError::Wrong { lines: wrong.lines, count: wrong.count });
        }
        Ok(Self { records, lines })
    }

    /// Takes all of them, within a transaction.
    ///
    /// # Errors
    /// See [`BulkError`]; the transaction is to be taken back.
    pub fn enter(&self, changing: &Changing<'_>) -> Result<Imported, BulkError> {
        match changing.record_all(&self.records) {
            Ok(new) => Ok(Imported { records: self.records.len(), new }),
            Err((at, error @ RecordError::Invalid(_))) => {
                let line = self.lines.get(at).copied().unwrap_or_default();
                let lines = vec![WrongLine { line, why: error.to_string() }];
                Err(BulkError::Wrong { lines, count: 1 })
            }
            Err((_, error @ RecordError::Unavailable(_))) => Err(error.into()),
        }
    }
}

impl From<RecordError> for BulkError {
    /// Of the store: what a record says wrong is said of its line.
    fn from(error: RecordError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

impl RegisterStore {
    /// Takes every line of `text`, or none: those that `may` lets through.
    ///
    /// # Errors
    /// See [`BulkError`].
    pub fn import(
        &self,
        form: BulkForm,
        text: &[u8],
        policy: &Policy,
        may: &dyn Fn(&Record) -> bool,
    ) -> Result<Imported, BulkError> {
        let bulk = Bulk::read(form, text, policy, may)?;
        self.changing(|changing| bulk.enter(changing))
    }
}

/// The purpose that a receipt means: by its id, or by the text that people are shown, whose digest
/// then is the one that was agreed to. A receipt that says the id alone proves no text.
fn purpose(policy: &Policy, said: &str) -> Result<(PurposeId, Option<Digest>), RecordError> {
    if let Some((id, purpose)) = policy.purposes.iter().find(|(_, known)| known.text == said) {
        return Ok((id.clone(), Some(purpose.text_digest)));
    }
    if policy.purposes.contains_key(said) {
        return Ok((said.into(), None));
    }
    Err(RecordError::Invalid("purpose: neither an id nor a text of the rules"))
}

/// The notice whose reference is the member `at`, in the record's language.
fn shown(fields: &mut Fields, at: &'static str) -> Result<Option<ShownNotice>, RecordError> {
    let language = fields.text("language")?;
    let notice = |reference| ShownNotice { reference, revision: None, language, shown_at: None };
    Ok(fields.text(at)?.map(notice))
}

/// One receipt is a consent for each of its purposes.
fn receipt(line: &[u8], policy: &Policy) -> Result<Vec<ConsentRecord>, RecordError> {
    let mut fields = Fields::parse(line)?;
    if !fields.text("version")?.is_some_and(|word| word.contains("1.1")) {
        return Err(RecordError::Invalid("version"));
    }
    let id = fields.required("consentReceiptID")?;
    let subject: DataSubject = Personal::new(fields.required("piiPrincipalId")?.into());
    let at = fields.seconds("consentTimestamp")?;
    let notice = shown(&mut fields, "policyUrl")?;
    let evidence = Evidence {
        notice,
        method: fields.text("collectionMethod")?,
        jurisdiction: fields.text("jurisdiction")?,
        evidence: Some(Digest::of(line)),
        source: Some("Kantara consent receipt 1.1".into()),
    };
    let mut consents = Vec::new();
    for mut service in fields.objects("services")? {
        service.skip(&["service"]);
        for mut said in service.objects("purposes")? {
            let (purpose, text) = purpose(policy, &said.required("purpose")?)?;
            let explicit = match said.text("consentType")?.as_deref() {
                Some("EXPLICIT") => true,
                // What somebody did not say is no consent (GDPR Recital 32).
                _ => return Err(RecordError::Invalid("consentType: only EXPLICIT is consent")),
            };
            let disclosed = said.flag("thirdPartyDisclosure")?;
            let third = said.text("thirdPartyName")?;
            let recipients = match (disclosed, third) {
                (true, Some(name)) => vec![name.into()],
                (false, None) => Vec::new(),
                _ => return Err(RecordError::Invalid("thirdPartyName")),
            };
            let expires_at = said
                .text("termination")?
                .map(|end| end.parse::<Timestamp>())
                .transpose()
                .map_err(|_| RecordError::Invalid("termination: only a time can be kept"))?;
            let categories = said.texts("piiCategory")?;
            said.skip(&["purposeCategory", "primaryPurpose"]);
            said.finish()?;
            consents.push(ConsentRecord {
                id: id.clone(),
                subject: subject.clone(),
                purpose,
                purpose_text_digest: text,
                recipients,
                categories: categories.into_iter().map(Into::into).collect(),
                explicit,
                expires_at,
                events: vec![ConsentEvent { at, status: ConsentStatus::Given }],
                evidence: evidence.clone(),
            });
        }
        service.finish()?;
    }
    fields.skip(&["publicKey", "piiControllers", "sensitive", "spiCat"]);
    fields.finish()?;
    numbered(consents, "services")
}

/// One record is a consent for each of its purposes, with one history.
fn iso_record(line: &[u8], policy: &Policy) -> Result<Vec<ConsentRecord>, RecordError> {
    let mut fields = Fields::parse(line)?;
    if !fields.text("schema_version")?.is_some_and(|word| word.contains("27560")) {
        return Err(RecordError::Invalid("schema_version"));
    }
    let id = fields.required("record_identifier")?;
    let subject: DataSubject = Personal::new(fields.required("pii_principal_identifier")?.into());
    let notice = shown(&mut fields, "privacy_notice")?;
    let mut events = Vec::new();
    let (mut explicit, mut expires_at) = (false, None);
    for mut event in fields.objects("events")? {
        let at = event.time("event_time")?.ok_or(RecordError::Invalid("event_time"))?;
        let status = state(&event.required("event_state")?)?;
        match event.text("event_type")?.as_deref().map(plain) {
            None => {}
            Some("ExplicitlyExpressedConsent" | "explicit") => explicit |= status.is_valid(),
            Some("ExpressedConsent" | "expressed") => {}
            // What somebody did not say is no consent (GDPR Recital 32).
            Some(_) => return Err(RecordError::Invalid("event_type")),
        }
        expires_at = event.time("valid_until")?.or(expires_at);
        event.skip(&["entity"]);
        event.finish()?;
        events.push(ConsentEvent { at, status });
    }
    let (jurisdiction, method) = (fields.text("jurisdiction")?, fields.text("collection_method")?);
    let evidence = Evidence {
        notice,
        method,
        jurisdiction,
        evidence: Some(Digest::of(line)),
        source: Some("ISO/IEC TS 27560".into()),
    };
    let mut consents = Vec::new();
    for mut said in fields.objects("purposes")? {
        let (purpose, text) = purpose(policy, &said.required("purpose")?)?;
        let basis = said.text("lawful_basis")?;
        if basis
            .as_deref()
            .is_some_and(|word| !plain(word).to_ascii_lowercase().contains("consent"))
        {
            return Err(RecordError::Invalid("lawful_basis"));
        }
        let recipients = said.texts("recipient_third_parties")?;
        let categories = said.texts("pii_information")?;
        said.skip(&["purpose_type"]);
        said.finish()?;
        consents.push(ConsentRecord {
            id: id.clone(),
            subject: subject.clone(),
            purpose,
            purpose_text_digest: text,
            recipients: recipients.into_iter().map(Into::into).collect(),
            categories: categories.into_iter().map(Into::into).collect(),
            explicit,
            expires_at,
            events: events.clone(),
            evidence: evidence.clone(),
        });
    }
    fields.skip(&["pii_controllers"]);
    fields.finish()?;
    numbered(consents, "purposes")
}

/// A consent is for one purpose: where a receipt has several, each gets an id of its own.
fn numbered(
    mut consents: Vec<ConsentRecord>,
    none: &'static str,
) -> Result<Vec<ConsentRecord>, RecordError> {
    if consents.is_empty() {
        return Err(RecordError::Invalid(none));
    }
    if consents.len() > 1 {
        for (number, consent) in (1..).zip(&mut consents) {
            consent.id = format!("{}#{number}", consent.id);
        }
    }
    Ok(consents)
}

/// A status by its name in the W3C Data Privacy Vocabulary, or by ours.
fn state(word: &str) -> Result<ConsentStatus, RecordError> {
    let status = match plain(word).trim_start_matches("Consent") {
        "Requested" | "RequestDeferred" => Some(ConsentStatus::Requested),
        "Given" => Some(ConsentStatus::Given),
        "RenewedGiven" | "RenewedConsentGiven" => Some(ConsentStatus::Renewed),
        "Refused" => Some(ConsentStatus::Refused),
        "Withdrawn" => Some(ConsentStatus::Withdrawn),
        "Revoked" => Some(ConsentStatus::Revoked),
        "Expired" => Some(ConsentStatus::Expired),
        "Invalidated" => Some(ConsentStatus::Invalidated),
        "Unknown" => Some(ConsentStatus::Unknown),
        ours => ConsentStatus::parse(ours),
    };
    status.ok_or(RecordError::Invalid("event_state"))
}

/// The last part of a name such as `dpv:ConsentGiven` or `https://w3id.org/dpv#ConsentGiven`.
fn plain(word: &str) -> &str {
    word.rsplit([':', '#', '/']).next().unwrap_or(word)
}

/// Receipts in one JSON list, or one of them over several lines → one a line, as the rest expects it.
#[must_use]
pub fn one_a_line(form: BulkForm, text: &[u8]) -> Option<Vec<u8>> {
    if form == BulkForm::Records {
        return None;
    }
    let items = match without_doubles(text)? {
        Value::Array(items) => items,
        one @ Value::Object(_) => vec![one],
        _ => return None,
    };
    let lines: Vec<String> = items.iter().map(Value::to_string).collect();
    Some(lines.join("\n").into_bytes())
}
