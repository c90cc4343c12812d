//! What people have said, and what was entered about them, in a case: a short form of the registers'
//! statements, orders and cases. A name that the rules do not have is an error.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::Deserialize;

use crate::policy::Policy;
use crate::registers::{Registers, RegistersUnavailable, check_purpose, check_recipient};
use crate::terms::{
    AgeClass, Case, CategoryId, CategoryPattern, Consent, ConsentEvent, ConsentStatus, DataSubject,
    DecisionId, Digest, Erasure, LegalOrder, Notice, Objection, OneTimeGrant, PurposePattern,
    Restriction, Statements,
};

/// What one person has said, and what the directory knows of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    #[serde(default)]
    consents: Vec<SaidConsent>,
    /// Grants for one use.
    #[serde(default)]
    once: Vec<SaidGrant>,
    /// Purposes whose present text they were shown.
    #[serde(default)]
    told: Vec<String>,
    #[serde(default)]
    objects_to: Vec<String>,
    /// Categories whose processing is restricted.
    #[serde(default)]
    restricts: Vec<String>,
    /// Categories that they say are wrong.
    #[serde(default)]
    disputes: Vec<String>,
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

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SaidGrant {
    #[serde(rename = "for")]
    purpose: String,
    to: String,
    given: Option<Timestamp>,
    expires: Option<Timestamp>,
}

/// Orders and cases, by id.
#[derive(Clone, Debug, Default)]
pub(super) struct Papers {
    pub(super) orders: BTreeMap<String, SaidOrder>,
    pub(super) cases: BTreeMap<String, SaidCase>,
}

/// A legal order. In force from the day before to the day after, unless it says when.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidOrder {
    to: String,
    /// The people it names.
    about: Vec<String>,
    categories: Vec<String>,
    #[serde(default)]
    approved_by: Vec<String>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    gag_until: Option<Timestamp>,
    #[serde(default)]
    lifted: bool,
}

/// A case. Open since the day before, unless it says when.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SaidCase {
    #[serde(rename = "for")]
    purposes: Vec<String>,
    /// The people it names.
    about: Vec<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    #[serde(default)]
    closed: bool,
}

/// The registers of one case.
pub(super) struct SaidRegisters {
    people: Mutex<HashMap<String, Arc<Statements>>>,
    orders: HashMap<String, LegalOrder>,
    cases: HashMap<String, Case>,
}

impl SaidRegisters {
    /// Everything was said before `now`, unless it says when.
    pub(super) fn of(
        policy: &Policy,
        said: &BTreeMap<String, Said>,
        papers: &Papers,
        now: Timestamp,
    ) -> Result<Self, String> {
        let mut people = HashMap::new();
        for (id, said) in said {
            let mut statements = statements(policy, said, now)?;
            // Ids of grants are one row of the register, whoever gave them.
            for (at, grant) in statements.one_time_grants.iter_mut().enumerate() {
                grant.id = format!("{id}/{at}").into();
            }
            people.insert(id.clone(), statements);
        }
        let (mut orders, mut cases) = (HashMap::new(), HashMap::new());
        for (id, said) in &papers.orders {
            let order = order(policy, id, said, now)?;
            for person in &said.about {
                people.entry(person.clone()).or_default().orders.push(order.clone());
            }
            orders.insert(id.clone(), order);
        }
        for (id, said) in &papers.cases {
            let case = opened(policy, id, said, now)?;
            for person in &said.about {
                people.entry(person.clone()).or_default().cases.push(case.clone());
            }
            cases.insert(id.clone(), case);
        }
        let people = people.into_iter().map(|(id, said)| (id, Arc::new(said))).collect();
        Ok(Self { people: Mutex::new(people), orders, cases })
    }
}

impl Registers for SaidRegisters {
    fn statements(&self, subject: &DataSubject) -> Result<Arc<Statements>, RegistersUnavailable> {
        let people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(people.get(subject.expose().as_ref()).cloned().unwrap_or_default())
    }

    fn order(&self, id: &str) -> Result<Option<LegalOrder>, RegistersUnavailable> {
        Ok(self.orders.get(id).cloned())
    }

    fn case(&self, id: &str) -> Result<Option<Case>, RegistersUnavailable> {
        Ok(self.cases.get(id).cloned())
    }

    fn use_grants(
        &self,
        ids: &[Arc<str>],
        decision: &DecisionId,
    ) -> Result<bool, RegistersUnavailable> {
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        let others =
            |grant: &&OneTimeGrant| grant.used_by.as_ref().is_some_and(|by| by != decision);
        let grants = |said: &Arc<Statements>| said.one_time_grants.clone();
        let known: Vec<OneTimeGrant> = people.values().flat_map(grants).collect();
        let mut named = ids.iter().map(|id| known.iter().find(|grant| grant.id == *id));
        if !named.all(|grant| grant.as_ref().is_some_and(|grant| !others(grant))) {
            return Ok(false);
        }
        for said in people.values_mut() {
            for grant in &mut Arc::make_mut(said).one_time_grants {
                if ids.contains(&grant.id) {
                    grant.used_by = Some(decision.clone());
                }
            }
        }
        Ok(true)
    }
}

fn order(
    policy: &Policy,
    id: &str,
    said: &SaidOrder,
    now: Timestamp,
) -> Result<LegalOrder, String> {
    check_recipient(policy, &said.to).map_err(|unknown| unknown.to_string())?;
    let day = jiff::SignedDuration::from_hours(24);
    let categories = said.categories.iter().map(|name| {
        let category = CategoryId::from(name.as_str());
        let known = policy.categories.contains_key(&category);
        known.then_some(category).ok_or_else(|| format!("the rules have no `{name}`"))
    });
    Ok(LegalOrder {
        id: id.into(),
        recipient: said.to.as_str().into(),
        categories: categories.collect::<Result<_, String>>()?,
        from: said.from.unwrap_or(now - day),
        until: said.until.unwrap_or(now + day),
        gag_until: said.gag_until,
        approved_by: said.approved_by.iter().map(|name| name.as_str().into()).collect(),
        lifted: said.lifted,
    })
}

fn opened(policy: &Policy, id: &str, said: &SaidCase, now: Timestamp) -> Result<Case, String> {
    let purposes = said.purposes.iter().map(|name| {
        let known = policy.purposes.contains_key(name.as_str());
        known.then(|| name.as_str().into()).ok_or_else(|| format!("the rules have no `{name}`"))
    });
    Ok(Case {
        id: id.into(),
        purposes: purposes.collect::<Result<_, String>>()?,
        opened_at: said.since.unwrap_or(now - jiff::SignedDuration::from_hours(24)),
        until: said.until,
        closed: said.closed,
    })
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
    for grant in &said.once {
        text_of(&grant.purpose)?;
        check_recipient(policy, &grant.to).map_err(|unknown| unknown.to_string())?;
        out.one_time_grants.push(OneTimeGrant {
            id: "".into(),
            purpose: grant.purpose.as_str().into(),
            recipient: grant.to.as_str().into(),
            granted_at: grant.given.unwrap_or(yesterday),
            expires_at: grant.expires,
            used_by: None,
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
        let (since, until, disputed) = (yesterday, None, false);
        out.restrictions.push(Restriction { categories, since, until, disputed });
    }
    if !said.disputes.is_empty() {
        let categories = categories(&said.disputes)?;
        let (since, until, disputed) = (yesterday, None, true);
        out.restrictions.push(Restriction { categories, since, until, disputed });
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
