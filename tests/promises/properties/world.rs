//! Worlds by chance: rules, people with what they have said, a question, and a backend's answer.
//!
//! Rules are kept line by line, so that the laws can shuffle them and add to them; the engine and the
//! oracle both begin with the text.

use std::collections::BTreeMap;

/// Categories of every world; the last one is sensitive.
pub(super) const CATEGORIES: [&str; 7] = [
    "account.id",
    "identity.name",
    "contact.email",
    "contact.phone",
    "payment.amount",
    "trait.born",
    "health.note",
];

/// Purposes of every world; a child stands behind its parent.
pub(super) const PURPOSES: [&str; 6] =
    ["service", "service.support", "news", "news.mail", "research", "claims"];

/// Cookies of every client and backend; the rules never name the last one.
pub(super) const COOKIES: [&str; 5] = ["session", "pref", "ana", "ads", "other"];

/// Routes of every world, by their position.
pub(super) const PERSON: usize = 0;
pub(super) const PEOPLE: usize = 1;
pub(super) const ORDER: usize = 2;
pub(super) const NOTE: usize = 3;
pub(super) const GROUP: usize = 4;
pub(super) const BASKET: usize = 5;
/// People by name; only where the rules let a name leave as one.
pub(super) const NAMED: usize = 6;

/// Rules, each section line by line.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) categories: Vec<String>,
    pub(super) purposes: Vec<String>,
    pub(super) recipients: Vec<String>,
    pub(super) routes: Vec<String>,
    pub(super) release: Vec<String>,
    pub(super) limits: Vec<String>,
    pub(super) gpc: Option<String>,
    pub(super) transfers: Vec<String>,
    pub(super) retention: Vec<String>,
    pub(super) cookies: Vec<String>,
    /// Answers are asked where people are.
    pub(super) regions: bool,
}

impl Rules {
    /// The file.
    pub(super) fn text(&self) -> String {
        let list = |lines: &[String]| match lines {
            [] => " []\n".to_owned(),
            _ => lines.iter().fold("\n".to_owned(), |text, line| text + "  - " + line + "\n"),
        };
        let map = |lines: &[String]| {
            lines.iter().fold("\n".to_owned(), |text, line| text + "  " + line + "\n")
        };
        let sources = if self.regions { "route.region, directory" } else { "directory" };
        let cookies = match self.cookies.as_slice() {
            [] => String::new(),
            lines => format!("cookies:{}", map(lines)),
        };
        let gpc = self.gpc.as_ref().map(|gpc| format!(", gpc: {{objects_to: {gpc}}}"));
        format!(
            "tamis: 1\npolicy: {{id: chance, title: By chance, source: {{revision: \"1\"}}, \
             controller: {{name: Beispiel GmbH, seat: DE}}, default: remove, conceal_as: 404}}\n\
             categories:{}purposes:{}recipients:{}routes:{}release:{}limits:{}\
             registers:\n  consent: {{from: api}}\n  notice: {{from: api}}\n  \
             objection: {{from: api{}}}\n  restriction: {{from: api}}\n  erasure: {{from: api}}\n  \
             orders: {{from: api, approvers: 2}}\n\
             transfers:\n  region_of_subject: {{from: [{sources}], unknown: EEA}}\n  \
             regions: {{EEA: builtin, US: [\"US\"], BR: [\"BR\"]}}\n  \
             allowed_countries: [EEA, \"US\", \"BR\"]\n  otherwise: refuse\n  table:{}retention:{}{cookies}",
            map(&self.categories),
            map(&self.purposes),
            map(&self.recipients),
            list(&self.routes),
            list(&self.release),
            list(&self.limits),
            gpc.unwrap_or_default(),
            list(&self.transfers).replace("  - ", "    - "),
            list(&self.retention),
        )
    }
}

/// What one person has said. Times are seconds from the moment of the question.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) consents: Vec<Consent>,
    /// Grants for one use: purpose, recipient, since, until.
    pub(super) once: Vec<(&'static str, &'static str, i64, Option<i64>)>,
    /// Purpose, whether its present text was shown, when.
    pub(super) notices: Vec<(&'static str, bool, i64)>,
    pub(super) objections: Vec<(&'static str, i64)>,
    /// Categories, since, until.
    pub(super) restrictions: Vec<(Vec<&'static str>, i64, Option<i64>)>,
    /// When, and the purposes that go on.
    pub(super) erasure: Option<(i64, Vec<&'static str>)>,
    pub(super) adult: Option<bool>,
    pub(super) region: Option<&'static str>,
    /// Cases that name the person.
    pub(super) cases: Vec<&'static str>,
    /// Orders that name the person.
    pub(super) orders: Vec<&'static str>,
}

#[derive(Clone, Debug)]
pub(super) struct Consent {
    pub(super) purpose: &'static str,
    pub(super) to: Vec<&'static str>,
    pub(super) categories: Vec<&'static str>,
    pub(super) explicit: bool,
    /// The present text was shown.
    pub(super) present: bool,
    pub(super) expires: Option<i64>,
    /// In the order in which they happened.
    pub(super) events: Vec<(i64, &'static str)>,
}

/// The case and the order that every world has, whatever their state.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// Its purposes; whether it is open.
    pub(super) case: (Vec<&'static str>, bool),
    /// Its recipient, its categories, whether it is in force.
    pub(super) order: (&'static str, Vec<&'static str>, bool),
}

/// A question, its caller already recognised.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) recipient: &'static str,
    /// The person behind a token.
    pub(super) person: Option<&'static str>,
    /// What the credential is bound to.
    pub(super) bound: Option<Vec<&'static str>>,
    pub(super) declared: Vec<&'static str>,
    pub(super) route: usize,
    /// The id in the path.
    pub(super) id: &'static str,
    pub(super) query: Vec<&'static str>,
    pub(super) gpc: bool,
    pub(super) case: bool,
    pub(super) order: bool,
}

/// Everything for one exchange.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) rules: Rules,
    pub(super) people: BTreeMap<&'static str, Said>,
    pub(super) files: Files,
    pub(super) ask: Ask,
    pub(super) document: String,
}
