//! `transfers:`.

use std::collections::BTreeMap;

use super::Compiler;
use super::countries::EEA;
use super::countries::is_assigned;
use crate::policy::Place;
use crate::policy::model::{Mechanism, Purpose, RegionSources, Transfers};
use crate::policy::syntax::Node;
use crate::terms::{Country, LegalBasis, PurposeId};

/// Kinds of mechanism. Source: GDPR Art. 45, 46, 49.
const KINDS: [(&str, Kind); 11] = [
    ("same-region", Kind::Enforced),
    ("home-law", Kind::Enforced),
    ("adequacy", Kind::Enforced),
    ("dpf", Kind::Enforced),
    ("scc", Kind::Enforced),
    ("bcr", Kind::Enforced),
    ("code", Kind::Enforced),
    ("certification", Kind::Enforced),
    ("derogation-consent", Kind::Consented),
    ("aggregate-only", Kind::Aggregated),
    ("privacy-shield", Kind::Invalid),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Enforced,
    /// Carries the data of those who agreed to it.
    Consented,
    /// Carries counts of groups, and nothing about one person.
    Aggregated,
    /// The law lets nothing pass by it.
    Invalid,
}

impl Compiler<'_> {
    pub(super) fn transfers(
        &mut self,
        node: &Node,
        purposes: &BTreeMap<PurposeId, Purpose>,
    ) -> Option<Transfers> {
        let mut fields = node.fields(self.findings, "`transfers`");
        let mut unknown_region = None;
        let mut sources = RegionSources::default();
        if let Some(node) = fields.require(self.findings, "region_of_subject") {
            let mut region = node.fields(self.findings, "`region_of_subject`");
            if let Some(node) = region.require(self.findings, "from") {
                let known = [("directory", false), ("route.region", true)];
                for item in node.list(self.findings, "a list of sources") {
                    match item.word(self.findings, "a source of regions", &known) {
                        Some(false) => sources.directory = true,
                        Some(true) => sources.route = true,
                        None => {}
                    }
                }
            }
            unknown_region = region
                .require(self.findings, "unknown")
                .and_then(|node| self.country_or_region(node));
            region.finish(self.findings);
        }
        let mut regions: BTreeMap<Country, Vec<Country>> = BTreeMap::new();
        regions.insert("EEA".into(), EEA.map(Country::from).to_vec());
        if let Some(node) = fields.take("regions") {
            for (key, node) in node.entries(self.findings, "regions with their countries") {
                self.declared_name(&key.text, &key.place);
                if node.scalar().is_some() {
                    node.word(self.findings, "a list of countries", &[("builtin", ())]);
                    if key.text != "EEA" {
                        let message = "only `EEA` is built in";
                        self.findings.error("T102", &node.place, message);
                    }
                    continue;
                }
                let items = node.list(self.findings, "a list of countries");
                let members: Vec<Country> =
                    items.iter().filter_map(|item| self.country(item)).collect();
                // What counts for a country would count for others.
                let is_country = is_assigned(&key.text);
                if is_country && members.iter().any(|member| member.as_str() != key.text) {
                    let message = "a region called like a country holds that country alone";
                    self.findings.error("T102", &key.place, message);
                }
                regions.insert(key.text.as_str().into(), members);
            }
        }
        let allowed = fields.require(self.findings, "allowed_countries").map(|node| {
            let items = node.list(self.findings, "a list of countries");
            items.iter().filter_map(|item| self.country_or_region(item)).collect::<Vec<_>>()
        });
        let table = fields.require(self.findings, "table").map(|node| {
            let items = node.list(self.findings, "a list of mechanisms");
            items.iter().filter_map(|item| self.mechanism(item, purposes)).collect::<Vec<_>>()
        });
        if let Some(node) = fields.require(self.findings, "otherwise") {
            node.word(self.findings, "an answer to every other transfer", &[("refuse", ())]);
        }
        self.keeps(fields.take("keeps"));
        fields.finish(self.findings);
        Some(Transfers {
            sources,
            unknown_region: unknown_region?,
            allowed: allowed?,
            regions,
            table: table?,
        })
    }

    fn mechanism(
        &mut self,
        node: &Node,
        purposes: &BTreeMap<PurposeId, Purpose>,
    ) -> Option<Mechanism> {
        let mut fields = node.fields(self.findings, "a mechanism");
        let place = fields.place().clone();
        let from = fields.require(self.findings, "from").map(|node| {
            let items = node.one_or_many(self.findings, "regions");
            items.iter().filter_map(|item| self.country_or_region(item)).collect::<Vec<_>>()
        });
        let to = fields.require(self.findings, "to").map(|node| {
            if node.scalar() == Some("any-allowed") {
                return Vec::new();
            }
            let items = node.one_or_many(self.findings, "countries");
            let to: Vec<_> = items.iter().filter_map(|item| self.country_or_region(item)).collect();
            if to.is_empty() {
                let help = Some("write `any-allowed` for every allowed country".to_owned());
                self.findings.error_with("T102", &node.place, "to nowhere", help);
            }
            to
        });
        let by = fields.require(self.findings, "by");
        let kind = by.and_then(|node| node.word(self.findings, "a mechanism", &KINDS));
        let by = by.and_then(Node::scalar).unwrap_or_default().to_owned();
        let reference = fields
            .take("ref")
            .and_then(|node| node.text(self.findings, "a reference"))
            .map(str::to_owned);
        if let Some(node) = fields.take("module") {
            let module: Option<u8> = node.number(self.findings, "a module of the clauses");
            if module.is_some_and(|module| !(1..=4).contains(&module)) {
                let message = "the standard contractual clauses have modules 1 to 4";
                self.findings.error("T102", &node.place, message);
            }
        }
        if let Some(node) = fields.take("tia") {
            node.date(self.findings);
        }
        let until = fields.take("until").map(|node| node.date(self.findings));
        let measure = fields.take("measure").map(|node| self.show_cells(node));
        let measure = measure.unwrap_or_default();
        let consent = self.transfer_consent(kind, fields.take("consent"), &place, purposes);
        self.keeps(fields.take("keeps"));
        if kind == Some(Kind::Invalid) {
            let help = "invalidated on 2020-07-16 (CJEU C-311/18); check for `dpf`, else `scc`";
            let message = format!("`{by}` is no mechanism any more");
            self.findings.error_with("T310", &place, message, Some(help.to_owned()));
        }
        fields.finish(self.findings);
        let until = match until {
            // A date that cannot be read is no date that has not come yet.
            Some(None) => return None,
            Some(Some(date)) => Some(date),
            None => None,
        };
        // Without the purpose that people agree to, a derogation would carry everybody's data.
        if kind == Some(Kind::Consented) && consent.is_none() {
            return None;
        }
        Some(Mechanism {
            from: from?,
            to: to?,
            by,
            reference,
            until,
            measure,
            consent,
            aggregates_only: kind == Some(Kind::Aggregated),
            place,
        })
    }

    /// The purpose whose text told people of the risks. Source: GDPR Art. 49(1)(a).
    fn transfer_consent(
        &mut self,
        kind: Option<Kind>,
        node: Option<&Node>,
        place: &Place,
        purposes: &BTreeMap<PurposeId, Purpose>,
    ) -> Option<PurposeId> {
        match (kind, node) {
            (Some(Kind::Consented), Some(node)) => {
                let purpose = self.purpose(node)?;
                let basis = purposes.get(&purpose).map(|purpose| purpose.basis);
                if basis == Some(LegalBasis::ExplicitConsent) {
                    return Some(purpose);
                }
                let message = format!("`{purpose}` does not rest on explicit consent");
                let help = "a purpose with `basis: explicit-consent` whose text tells the risks";
                self.findings.error_with("T310", &node.place, message, Some(help.to_owned()));
                None
            }
            (Some(Kind::Consented), None) => {
                let message = "a derogation by consent, and no purpose that people agree to";
                let help = "write `consent: PURPOSE`; its text tells the risks of the transfer";
                self.findings.error_with("T310", place, message, Some(help.to_owned()));
                None
            }
            (_, Some(node)) => {
                let message = "`consent` belongs to `by: derogation-consent`";
                self.findings.error("T310", &node.place, message);
                None
            }
            (_, None) => None,
        }
    }
}
