//! Syntax → [`Policy`]: names resolved, selectors compiled, every finding collected.
//!
//! One file a section of the rules. What is read is enforced: a key or a word that no section takes
//! is an error, and nothing is skipped in silence.

mod aggregate;
mod answer_headers;
mod care;
mod categories;
mod company;
mod countries;
mod due;
mod head;
mod limits;
mod links;
mod lint;
mod log;
mod meetings;
mod member_names;
mod mode;
mod names;
mod notices;
mod picture;
mod plans;
mod purposes;
mod recipients;
mod region;
mod registers;
mod release;
mod request;
mod retention;
mod routes;
mod scope;
mod serve;
mod transfers;
mod tunnel;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::names::Names;
use super::company::Company;
use super::diagnostic::{Diagnostics, Place, Severity};
use super::model::{About, Policy, Promises};
use super::plans::Plans;
use super::sources::Sources;
use super::syntax::{self, Findings, Node};
use crate::terms::{CategoryPattern, Digest};

impl Policy {
    /// Reads rules. `file` is the name used in findings.
    ///
    /// # Errors
    /// All findings at once, if one of them is an error.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostics> {
        Self::of(&Sources::alone(file, text))
    }

    /// Compiles rules of one file or several.
    ///
    /// # Errors
    /// All findings at once, if one of them is an error.
    pub fn of(sources: &Sources) -> Result<Self, Diagnostics> {
        let mut findings = Findings::default();
        let first = sources.first();
        let root = syntax::parse(&first.name, &first.text, &mut findings);
        let root = root.map(|root| {
            let included = included(&root, sources, &mut findings);
            syntax::join(root, included, &mut findings)
        });
        let policy = root.map(|root| {
            let names = Names::collect(&root);
            let mut compiler = Compiler {
                findings: &mut findings,
                names,
                company: Vec::new(),
                never_counted: None,
                silent_aggregates: Vec::new(),
                promises: Promises::default(),
            };
            compiler.policy(&root, sources.digest())
        });
        let findings = findings.into_sorted();
        match policy {
            Some(policy) if findings.iter().all(|one| one.severity != Severity::Error) => {
                Ok(Self { warnings: findings, ..policy })
            }
            Some(_) | None => Err(Diagnostics { findings, sources: sources.clone() }),
        }
    }
}

/// The trees of the included files. One that is not there, or stands twice, is an error.
fn included(root: &Node, sources: &Sources, findings: &mut Findings) -> Vec<Node> {
    let mut trees = Vec::new();
    let mut seen = BTreeSet::new();
    let Some(node) = root.member("include") else { return trees };
    for item in node.one_or_many(findings, "paths of files") {
        let Some(path) = item.text(findings, "the path of a file") else { continue };
        match sources.include(path) {
            Err(why) => findings.error("T108", &item.place, why),
            Ok(_) if !seen.insert(path) => {
                findings.error("T108", &item.place, format!("`{path}` is included twice"));
            }
            Ok(file) => trees.extend(syntax::parse(&file.name, &file.text, findings)),
        }
    }
    trees
}

/// What all sections share while one file is compiled.
struct Compiler<'f> {
    findings: &'f mut Findings,
    names: Names,
    /// What may not leave together or alone.
    company: Vec<Company>,
    /// Categories that no aggregate may hold, where the rules have such a limit.
    never_counted: Option<Vec<CategoryPattern>>,
    /// Aggregates that do not say themselves what they must not hold.
    silent_aggregates: Vec<Place>,
    /// Promises that rules name.
    promises: Promises,
}

impl Compiler<'_> {
    fn policy(&mut self, root: &Node, digest: Digest) -> Policy {
        let mut fields = root.fields(self.findings, "the file");
        if let Some(version) = fields.require(self.findings, "tamis") {
            version.word(self.findings, "a version of the rules language", &[("1", ())]);
        }
        // What it names is part of the tree by now.
        fields.take("include");
        let head = fields.require(self.findings, "policy").map(|node| self.head(node));
        let head = head.unwrap_or_default();
        let categories = fields.require(self.findings, "categories");
        let categories = categories.map(|node| self.categories(node)).unwrap_or_default();
        let purposes = fields.require(self.findings, "purposes");
        let purposes = purposes.map(|node| self.purposes(node)).unwrap_or_default();
        let recipients = fields.require(self.findings, "recipients");
        let recipients = recipients.map(|node| self.recipients(node)).unwrap_or_default();
        let routes = fields.require(self.findings, "routes");
        let routes = routes.map(|node| self.routes(node)).unwrap_or_default();
        self.pictures_in_json(&routes);
        let grants = fields.require(self.findings, "release");
        let grants = grants.map(|node| self.release(node)).unwrap_or_default();
        let limits = fields.take("limits").map(|node| self.limits(node)).unwrap_or_default();
        self.not_in_aggregates(&routes, &categories);
        let registers = fields.take("registers").map(|node| self.registers(node));
        let registers = registers.unwrap_or_default();
        let transfers = fields.take("transfers").and_then(|node| self.transfers(node, &purposes));
        let retention = fields.take("retention");
        let periods = retention.map(head::periods).unwrap_or_default();
        let retention = retention.map(|node| self.retention(node));
        let cookies = fields.take("cookies").map(|node| self.cookies(node)).unwrap_or_default();
        let access_log = fields.take("access_log").map(|node| self.access_log(node));
        let tls = fields.take("tls").map(|node| self.tls(node)).unwrap_or_default();
        let terms = fields.take("terms_header").map(|node| self.terms_header(node));
        let ledger = fields.take("ledger").map(|node| self.ledger(node));
        let (ledger, checkpoint_every) = ledger.unwrap_or_default();
        let policy_link = fields
            .take("policy_link")
            .and_then(|node| self.policy_link(node, &recipients, &routes));
        let controllers = fields.take("roles_as_processor");
        let controllers = controllers.map(|node| self.roles_as_processor(node)).unwrap_or_default();
        let page_headers = fields.take("html_headers").map(|node| self.html_headers(node));
        let withheld = fields.take("withheld_on_purpose").map(|node| self.category_list(node));
        if let Some(node) = fields.take("not_encoded") {
            self.promises.not_encoded = self.promises_in_words(node);
        }
        if let Some(node) = fields.take("beyond") {
            self.promises.beyond = self.promises_in_words(node);
        }
        fields.finish(self.findings);

        let policy = Policy {
            id: head.id,
            title: head.title,
            revision: head.revision,
            digest,
            conceal_as: head.conceal_as,
            categories,
            purposes,
            recipients,
            routes,
            grants,
            limits,
            company: std::mem::take(&mut self.company),
            transfers,
            retention: retention.unwrap_or_default(),
            registers: registers.rules,
            cookies,
            access_log: access_log.unwrap_or_default(),
            checkpoint_every,
            terms_header_roles: terms.unwrap_or_default(),
            policy_link,
            page_headers,
            tls: tls.rules,
            hsts: tls.hsts,
            ledger,
            about: About { controllers, periods, ..head.about },
            promises: std::mem::take(&mut self.promises),
            warnings: Vec::new(),
            plans: Plans::default(),
        };
        let declared = lint::Declared {
            consent_register: registers.consent_declared,
            order_register: registers.orders_declared,
            category_places: &self.names.categories,
            bound_elsewhere: &self.names.bound_elsewhere,
            withheld_on_purpose: &withheld.unwrap_or_default(),
            profiles: head.profiles,
        };
        lint::lint(&policy, &declared, self.findings);
        serve::needs(&policy, self.findings);
        notices::lint(&policy, self.findings);
        aggregate::lint(&policy, self.findings);
        plans::lint(&policy, self.findings);
        tunnel::lint(&policy, self.findings);
        policy
    }

    /// `keeps:` names the promises of the policy's text that a rule keeps.
    fn keeps(&mut self, node: Option<&Node>) {
        let Some(node) = node else { return };
        for item in node.list(self.findings, "a list of promise ids") {
            let id = item.scalar().unwrap_or_default();
            self.promise_id(id, &item.place);
            self.promises.kept.entry(id.to_owned()).or_default().push(item.place.clone());
        }
    }

    fn promise_id(&mut self, id: &str, place: &Place) {
        let well_formed = id.split_once('-').is_some_and(|(letters, digits)| {
            !letters.is_empty()
                && letters.bytes().all(|byte| byte.is_ascii_uppercase())
                && !digits.is_empty()
                && digits.bytes().all(|byte| byte.is_ascii_digit())
        });
        if !well_formed {
            let message = format!("`{id}` is not a promise id such as `W-14`");
            self.findings.error("T102", place, message);
        }
    }

    /// `not_encoded` and `beyond`: promise id → why, in words.
    fn promises_in_words(&mut self, node: &Node) -> BTreeMap<String, String> {
        let mut words = BTreeMap::new();
        for (key, value) in node.entries(self.findings, "promise ids with a text each") {
            self.promise_id(&key.text, &key.place);
            if let Some(text) = value.text(self.findings, "a text") {
                words.insert(key.text.clone(), text.to_owned());
            }
        }
        words
    }
}

/// An `Arc<str>` that is empty: the id of a policy that was rejected for having none.
fn no_text() -> Arc<str> {
    Arc::from("")
}
