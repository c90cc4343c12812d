//! What people have said, in a case: a short form of the registers' statements.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use crate::policy::Policy;
use crate::registers::{Registers, RegistersUnavailable, check_purpose, check_recipient};
use crate::terms::{
    AgeClass, CategoryPattern, Consent, ConsentEvent, ConsentStatus, DataSubject, Digest, Erasure,
    Notice, Objection, PurposePattern, Restriction, Statements,
};

/// What one person has said, and what the directory knows of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    #[serde(default)]
    consents: Vec<SaidConsent>,
    /// Purposes whose present text they were shown.
    #[serde(default)]
    told: Vec<String>,
    #[serde(default)]
    objects_to: Vec<String>,
    /// Categories whose processing is restricted.
    #[serde(default)]
    restricts: Vec<String>,
    #[serde(default)]
    erased: bool,
    age: Option<SaidAge>,
    region: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SaidConsent {
    #[serde(rename = "for")]
    purpose: String,
    #[serde(default)]
    to: Vec<String>,
    #[serde(default)]
    categories: Vec<String>,
    #[serde(default)]
    explicit: bool,
    /// The text of the purpose as it was shown, where it is not the present one.
    text: Option<String>,
    given: Option<Timestamp>,
    withdrawn: Option<Timestamp>,
    expires: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SaidAge {
    Adult,
    Minor,
}

/// The registers of one case.
pub(super) struct SaidRegisters {
    people: HashMap<String, Arc<Statements>>,
}

impl SaidRegisters {
    /// Everything was said before `now`, unless it says when.
    pub(super) fn of(
        policy: &Policy,
        said: &BTreeMap<String, Said>,
        now: Timestamp,
    ) -> Result<Self, String> {
        let people = said
            .iter()
            .map(|(id, said)| Ok((id.clone(), Arc::new(statements(policy, said, now)?))))
            .collect::<Result<_, String>>()?;
        Ok(Self { people })
    }
}

impl Registers for SaidRegisters {
    fn statements(&self, subject: &DataSubject) -> Result<Arc<Statements>, RegistersUnavailable> {
        Ok(self.people.get(subject.expose().as_ref()).cloned().unwrap_or_default())
    }
}

fn statements(policy: &Policy, said: &Said, now: Timestamp) -> Result<Statements, String> {
    let yesterday = now - jiff::SignedDuration::from_hours(24);
    let text_of = |purpose: &str| {
        let known = policy.purposes.get(purpose).map(|known| known.text_digest);
        known.ok_or_else(|| format!("the rules have no purpose `{purpose}`"))
    };
    let categories = |names: &[String]| {
        names
            .iter()
            .map(|name| {
                let pattern = CategoryPattern::new(name);
                let known = policy.categories.keys().any(|category| pattern.covers(category));
                known.then_some(pattern).ok_or_else(|| format!("the rules have no `{name}`"))
            })
            .collect::<Result<Vec<_>, String>>()
    };
    let mut out = Statements::default();
    for (at, consent) in said.consents.iter().enumerate() {
        let present = text_of(&consent.purpose)?;
        for recipient in &consent.to {
            check_recipient(policy, recipient).map_err(|unknown| unknown.to_string())?;
        }
        categories(&consent.categories)?;
        let given = consent.given.unwrap_or(yesterday);
        let mut events = vec![ConsentEvent { at: given, status: ConsentStatus::Given }];
        events.extend(
            consent.withdrawn.map(|at| ConsentEvent { at, status: ConsentStatus::Withdrawn }),
        );
        let shown = consent.text.as_ref().map(|text| Digest::of(text.as_bytes()));
        out.consents.push(Consent {
            id: format!("con_{at}").into(),
            purpose: consent.purpose.as_str().into(),
            purpose_text_digest: Some(shown.unwrap_or(present)),
            recipients: consent.to.iter().map(|to| to.as_str().into()).collect(),
            categories: consent.categories.iter().map(|name| name.as_str().into()).collect(),
            explicit: consent.explicit,
            expires_at: consent.expires,
            events,
        });
    }
    for purpose in &said.told {
        let purpose_text_digest = Some(text_of(purpose)?);
        let purpose = purpose.as_str().into();
        out.notices.push(Notice { purpose, purpose_text_digest, shown_at: yesterday });
    }
    for pattern in &said.objects_to {
        let purpose = PurposePattern::new(pattern);
        check_purpose(policy, &purpose).map_err(|unknown| unknown.to_string())?;
        out.objections.push(Objection { purpose, since: yesterday });
    }
    if !said.restricts.is_empty() {
        let categories = categories(&said.restricts)?;
        out.restrictions.push(Restriction { categories, since: yesterday, until: None });
    }
    out.erasure = said.erased.then(|| Erasure { effective_at: yesterday, except: Vec::new() });
    out.age = match said.age {
        None => AgeClass::Unknown,
        Some(SaidAge::Adult) => AgeClass::Adult,
        Some(SaidAge::Minor) => AgeClass::Minor,
    };
    out.region = said.region.as_deref().map(Into::into);
    Ok(out)
}
