//! What the rules say of the channels beside an answer's members: queries, request bodies, cookies,
//! links, and what the gateway answers itself. Part of [`model`](super::model).

use std::sync::Arc;

use super::Place;
use super::automaton::Automaton;
use super::model::{Policy, RoleIndexInRoute, Route, Show, ShowCell};
use super::path::Selector;
use crate::action::Action;
use crate::terms::{CategoryId, PurposeId, RecipientId, Right, RouteId};

/// A link to the policy beside what some recipients are sent. Source: RFC 6903 §4.
#[derive(Clone, Debug)]
pub struct PolicyLink {
    /// Where the gateway serves the policy.
    pub path: String,
    /// Who is sent the link.
    pub to: Vec<RecipientId>,
}

/// What a request's body may hold: the rest does not reach the backend.
#[derive(Clone, Debug)]
pub struct RequestBody {
    /// The members that pass, by the position of each as its cell.
    pub automaton: Arc<Automaton>,
    /// Where each of them stands, as it was written.
    pub selectors: Vec<String>,
    /// What each of them is; `None`: it is not personal.
    pub members: Vec<Option<CategoryId>>,
    /// Where those stand that are personal.
    pub personal: Vec<Selector>,
    /// What it must hold, or the request is refused.
    pub must: Vec<Must>,
}

/// A member that must have a value.
#[derive(Clone, Debug)]
pub struct Must {
    /// Where; singular.
    pub selector: Selector,
    /// Which.
    pub value: Literal,
}

/// A value in the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// A text.
    Text(String),
}

/// A header of an answer in which links stand. Source: RFC 9110 §8.7, §10.2.2; RFC 8288.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkHeader {
    /// Where what was made, or asked for, is.
    Location,
    /// Of what the body is a representation.
    ContentLocation,
    /// Links of the whole answer, each with what it is to it.
    Link,
}

impl LinkHeader {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Location, Self::ContentLocation, Self::Link];

    /// Its name, as rules write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Location => "Location",
            Self::ContentLocation => "Content-Location",
            Self::Link => "Link",
        }
    }
}

/// What may stand in the links of a header.
#[derive(Clone, Debug)]
pub struct AnswerHeader {
    /// Which header.
    pub header: LinkHeader,
    /// Values of this category; `None`: it leaves as far as it holds nothing about a person.
    pub category: Option<CategoryId>,
    /// Whose they are.
    pub of: Option<RoleIndexInRoute>,
    /// Where it stands.
    pub place: Place,
}

impl Route {
    /// The categories that an answer is catalogued to hold, at every place.
    pub fn categories(&self) -> impl Iterator<Item = &CategoryId> {
        let members = self.fields.iter().map(|field| &field.category);
        members.chain(self.answer_headers.iter().filter_map(|header| header.category.as_ref()))
    }

    /// Whether it takes something in, whoever is granted something of what it answers.
    #[must_use]
    pub fn only_takes(&self) -> bool {
        self.request.is_some() && self.fields.is_empty()
    }

    /// Whether links in this header may leave.
    #[must_use]
    pub fn names(&self, header: LinkHeader) -> bool {
        self.answer_headers.iter().any(|one| one.header == header)
    }
}

/// What the gateway answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serve {
    /// The policy in force, for everybody. Source: GDPR Art. 13, 14.
    PolicyDocument,
    /// To whom a person's data went, for that person. Source: GDPR Art. 15.
    SubjectReport,
    /// Takes a person's request and gives a receipt. Source: GDPR Art. 16–18.
    RightsInbox(Right),
    /// One click by which somebody objects, without a credential but the token in the path.
    /// Source: GDPR Art. 21; RFC 8058.
    Objection,
    /// Says which controller answers, where the company only works for it. Source: GDPR Art. 28.
    ControllerContact,
}

impl Route {
    /// Whether a request for it may bring a body.
    #[must_use]
    pub fn takes_body(&self) -> bool {
        self.request.is_some() || self.serve.is_some_and(Serve::takes_body)
    }
}

impl Serve {
    const fn takes_body(self) -> bool {
        match self {
            Self::RightsInbox(_) | Self::Objection | Self::ControllerContact => true,
            Self::PolicyDocument | Self::SubjectReport => false,
        }
    }
}

impl Policy {
    /// Who is given tokens for this purpose, and of which category.
    pub fn token_holders(
        &self,
        purpose: &PurposeId,
    ) -> impl Iterator<Item = (&RecipientId, &CategoryId)> {
        let grants = self.grants.iter().filter(|grant| grant.purposes.contains(purpose));
        grants.flat_map(|grant| {
            let cells: &[ShowCell] = match &grant.show {
                Show::Cells(cells) => cells,
                Show::ByOrder | Show::ByConsent(_) => &[],
            };
            let tokens = cells.iter().filter(|cell| cell.action == Action::Token);
            let categories = tokens.flat_map(|cell| {
                self.categories.keys().filter(|category| cell.pattern.covers(category))
            });
            categories.flat_map(|category| grant.to.iter().map(move |to| (to, category)))
        })
    }
}

/// A declared query parameter.
#[derive(Clone, Debug)]
pub enum QueryParameter {
    /// Says nothing about a person.
    Open,
    /// Filters, sorts or searches on a category: only for who gets it in clear.
    Category(CategoryId),
    /// A cursor that the gateway sealed; opened before the backend sees it.
    Sealed {
        /// The name of the domain that it was sealed in.
        domain: CategoryId,
    },
}

/// A cookie that may pass.
#[derive(Clone, Debug)]
pub struct Cookie {
    /// `essential`, `preference`, `analytics`, `advertising`.
    pub class: String,
    /// The purpose that the person must have agreed to.
    pub consent: Option<PurposeId>,
    /// Where it stands.
    pub place: Place,
}

/// The domain of the cursors that one query parameter of one route takes. No category is called so:
/// their names have no blanks.
#[must_use]
pub fn cursor_domain(route: &RouteId, parameter: &str) -> CategoryId {
    CategoryId::from(format!("cursor {parameter} of {route}"))
}

/// What every answer tells a browser, so that a page that shows one leaks and embeds nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageHeaders {
    /// `Referrer-Policy`. Source: W3C Referrer Policy.
    pub referrer_policy: Option<String>,
    /// `Permissions-Policy`. Source: W3C Permissions Policy.
    pub permissions_policy: Option<String>,
}

/// What the rules demand of connections beyond what the gateway does anyway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TlsRules {
    /// Clients must speak TLS 1.3.
    pub only_1_3: bool,
    /// Backends on other machines must be reached by TLS.
    pub upstream_required: bool,
}
