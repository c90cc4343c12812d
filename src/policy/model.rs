//! A compiled policy, as data. Built by `compile` only; every name in it is resolved.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use jiff::civil::Date;

pub use super::about::{About, LedgerRules};
pub use super::access_log::{AccessLogRules, Coarser, Cold, LogSource};
pub use super::aggregate::Aggregate;
pub use super::channels::{
    AnswerHeader, Cookie, LinkHeader, Literal, Must, PageHeaders, PolicyLink, QueryParameter,
    RequestBody, Serve, TlsRules, cursor_domain,
};
use super::company::Company;
pub use super::notices::ErasureNotice;
use super::path::Selector;
use super::plans::Plans;
pub use super::region::{Region, RegionSources};
pub use super::retention::{Retention, Since};
pub use super::transfers::{Mechanism, Transfers};
use super::tunnel::Tunnel;
use super::{Diagnostic, Mode, Place};
use crate::action::Action;
use crate::action::pseudonym::{Canonical, Scope};
use crate::terms::{
    CategoryId, CategoryPattern, Country, DataSubject, Digest, IdShape, LegalBasis, Objectable,
    Picture, PurposeId, PurposePattern, RecipientId, Role, RouteId, SubjectRole, UpstreamId,
};

/// All the rules of one privacy policy.
#[derive(Debug)]
pub struct Policy {
    /// The policy's id, part of every pseudonym's domain.
    pub id: Arc<str>,
    /// Its title, for people.
    pub title: String,
    /// The revision of the text it was made from.
    pub revision: String,
    /// SHA-256 of the rules text: what log and ledger cite.
    pub digest: Digest,
    /// How a refusal about a subject looks to outsiders.
    pub conceal_as: Conceal,
    /// Categories by id.
    pub categories: BTreeMap<CategoryId, Category>,
    /// Purposes by id.
    pub purposes: BTreeMap<PurposeId, Purpose>,
    /// Recipients by id.
    pub recipients: BTreeMap<RecipientId, Recipient>,
    /// Routes in the order of the file, which has no meaning.
    pub routes: Vec<Route>,
    /// Who gets what, for what, how.
    pub grants: Vec<Grant>,
    /// What only tightens.
    pub limits: Vec<Limit>,
    /// What may not leave together or alone.
    pub company: Vec<Company>,
    /// Where data may go.
    pub transfers: Option<Transfers>,
    /// Categories with a period after which they are not released.
    pub retention: Vec<Retention>,
    /// What the registers must provide.
    pub registers: RegisterRules,
    /// Cookies that may pass, by name, and their class. Everything else is stripped.
    pub cookies: BTreeMap<String, Cookie>,
    /// How the access log is minimized.
    pub access_log: AccessLogRules,
    /// How often a checkpoint of the ledger is to be signed; `None`: the rules do not ask for it.
    pub checkpoint_every: Option<jiff::Span>,
    /// Who is sent a link to this policy.
    pub policy_link: Option<PolicyLink>,
    /// Roles that get a `Tamis-Terms` header.
    pub terms_header_roles: Vec<Role>,
    /// What every answer tells a browser, where the rules say so.
    pub page_headers: Option<PageHeaders>,
    /// What connections must be like.
    pub tls: TlsRules,
    /// `Strict-Transport-Security` max-age.
    pub hsts: Option<jiff::Span>,
    /// What the ledger must be able to do.
    pub ledger: LedgerRules,
    /// What people are told about the policy beside its rules.
    pub about: About,
    /// Which promises of the policy's text the rules name.
    pub promises: Promises,
    /// Warnings of the load.
    pub warnings: Vec<Diagnostic>,
    /// Plans made so far.
    pub plans: Plans,
}

/// Promises of the policy's text, as the rules name them.
#[derive(Clone, Debug, Default)]
pub struct Promises {
    /// Promise id → where rules say that they keep it.
    pub kept: BTreeMap<String, Vec<Place>>,
    /// Promise id → why it is not encoded.
    pub not_encoded: BTreeMap<String, String>,
    /// Promise id → what of it no gateway can keep.
    pub beyond: BTreeMap<String, String>,
}

impl Promises {
    /// Whether anything in the rules speaks of the promise.
    #[must_use]
    pub fn mentions(&self, id: &str) -> bool {
        self.kept.contains_key(id)
            || self.not_encoded.contains_key(id)
            || self.beyond.contains_key(id)
    }
}

/// What an outsider gets instead of "no consent".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conceal {
    /// As if there were no such thing.
    NotFound,
    /// As forbidden, for all alike.
    Forbidden,
}

/// A category of personal data.
#[derive(Clone, Debug, Default)]
pub struct Category {
    /// Needs special care (GDPR Art. 9, PCI DSS).
    pub sensitive: bool,
    /// Few possible values: a pseudonym can be guessed by whoever can ask.
    pub low_entropy: bool,
    /// How a value is brought to one form before it is pseudonymised.
    pub canonical: Canonical,
    /// Value → group, for `generalise group`; a value that is not here becomes `other`.
    pub groups: Option<Arc<BTreeMap<String, String>>>,
}

/// A purpose of processing.
#[allow(clippy::struct_excessive_bools, reason = "each is one statement of the rules")]
#[derive(Clone, Debug)]
pub struct Purpose {
    /// The text that people are shown.
    pub text: String,
    /// SHA-256 of that text; consent is bound to it.
    pub text_digest: Digest,
    /// Why it is lawful.
    pub basis: LegalBasis,
    /// Whether consent must name the recipient.
    pub consent_names_recipient: bool,
    /// Whether an objection stops it.
    pub objectable: Objectable,
    /// Goes on although processing is restricted.
    pub survives_restriction: bool,
    /// Goes on although the subject was erased.
    pub survives_erasure: bool,
    /// Only for people of at least this age.
    pub min_age: Option<u8>,
    /// Needs a case id.
    pub needs_case: bool,
    /// Only for recipients inside the controller.
    pub internal_only: bool,
    /// Where it stands.
    pub place: Place,
}

/// A recipient.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// What it is to the controller.
    pub role: Role,
    /// Category of recipients, for reports.
    pub category: Option<String>,
    /// Where it is.
    pub country: Option<Country>,
    /// How it is recognised; any one of them suffices.
    pub authenticate: Vec<Authenticator>,
    /// Its contract.
    pub contract: Option<Contract>,
    /// What it may ever use data for.
    pub purposes: Vec<PurposeId>,
    /// What it uses them for when it says nothing.
    pub default_purpose: Option<PurposeId>,
    /// Phase of a transaction it is in.
    pub phase: Option<String>,
    /// It gets only elements in which each of these members has this value.
    pub only_where: Vec<RowCondition>,
    /// The id under which it stands in documents itself, where it is no person with a token.
    pub party: Option<DataSubject>,
    /// Of how many different people it may be told within an hour; `None`: of any number.
    pub subjects_per_hour: Option<NonZeroU32>,
    /// Where it stands.
    pub place: Place,
}

/// A member of an element, or of an answer that is no list, and the value that it must have.
#[derive(Clone, Debug)]
pub struct RowCondition {
    /// Where, from the element on.
    pub selector: Selector,
    /// The string, or the integer as it is written.
    pub value: String,
}

/// How a recipient is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authenticator {
    /// Client certificate with this DNS name in its subject alternative names.
    MtlsDns(String),
    /// Client certificate with this URI (SPIFFE id) in its subject alternative names.
    MtlsUri(String),
    /// A JSON Web Token of this issuer. Source: RFC 7519, RFC 8725.
    Jwt {
        /// `iss`.
        issuer: String,
        /// `azp` or `client_id`; `None`: a token of the issuer that names no other client of the policy.
        client: Option<String>,
        /// The category whose value `sub` is.
        subject_is: Option<CategoryId>,
    },
    /// An API key, by the name under which the gateway's configuration holds its SHA-256.
    ApiKey {
        /// The name.
        reference: String,
    },
}

/// A contract with a recipient. Source: GDPR Art. 28(3).
#[derive(Clone, Debug)]
pub struct Contract {
    /// Its reference.
    pub reference: String,
    /// Its last day.
    pub until: Date,
}

/// A catalogued route: what the gateway knows how to minimize.
#[derive(Clone, Debug)]
pub struct Route {
    /// `GET /v2/users/{user_id}`.
    pub id: RouteId,
    /// The method, upper case.
    pub method: String,
    /// The path's segments.
    pub template: Vec<Segment>,
    /// The backend. `None` where the gateway answers itself.
    pub upstream: Option<UpstreamId>,
    /// What the gateway answers itself.
    pub serve: Option<Serve>,
    /// Whom the answer is about. The first is the principal one.
    pub subjects: Vec<Subject>,
    /// The list that is cut element by element.
    pub each: Option<Selector>,
    /// The answer counts groups of people, and is about nobody by name. Its rows are `each`.
    pub aggregate: Option<Aggregate>,
    /// Where the answer says in which region people are.
    pub regions: Vec<Region>,
    /// Kinds of pictures that an answer may be; empty: it is JSON. A picture is the first of `fields`.
    pub media: Vec<Picture>,
    /// It opens a tunnel; `fields` are what may be in that.
    pub tunnel: Option<Tunnel>,
    /// Where the dates stand from which retention periods count.
    pub since: Vec<Since>,
    /// Catalogued personal members.
    pub fields: Vec<Field>,
    /// Catalogued members that are not personal.
    pub open: Vec<Open>,
    /// Headers of the answer in which links may leave.
    pub answer_headers: Vec<AnswerHeader>,
    /// What a request's body may hold. `None`: the route takes no body.
    pub request: Option<RequestBody>,
    /// Path parameters that hold values of a category, by name. Tokens of it are opened there.
    pub path: BTreeMap<String, CategoryId>,
    /// Path parameters that say nothing about a person.
    pub open_path: BTreeSet<String>,
    /// Declared query parameters.
    pub query: BTreeMap<String, QueryParameter>,
    /// Members that are computed anew.
    pub derive: Vec<Derived>,
    /// Roles of which a person who asks must be one.
    pub parties_only: Vec<RoleIndexInRoute>,
    /// Purposes it may be used for; `None`: all that the recipient may.
    pub purposes: Option<Vec<PurposeId>>,
    /// How far it is in force.
    pub mode: Mode,
    /// Where it stands.
    pub place: Place,
}

/// Position in [`Route::subjects`].
pub type RoleIndexInRoute = usize;

/// One segment of a path template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// To be matched literally, after normalisation.
    Literal(String),
    /// A parameter, by name; matches one non-empty segment.
    Parameter(String),
}

/// A data subject of a route.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The role.
    pub role: SubjectRole,
    /// Where its id stands.
    pub locator: Locator,
    /// The id is the name of the member that the locator selects, and not its value.
    pub by_name: bool,
    /// Where this stands.
    pub place: Place,
}

/// Where the id of a subject stands.
#[derive(Clone, Debug)]
pub enum Locator {
    /// In the path.
    Path(String),
    /// In the query.
    Query(String),
    /// In the request's body, at one place.
    Body(Selector),
    /// In a header of the backend's answer.
    Header(String),
    /// In the document, once for all of it.
    Document(Selector),
    /// In each element of the list; the selector is absolute.
    Element(Selector),
}

/// A catalogued personal member.
#[derive(Clone, Debug)]
pub struct Field {
    /// Where; absolute even when written with `@`.
    pub selector: Selector,
    /// What.
    pub category: CategoryId,
    /// Whose.
    pub of: Option<RoleIndexInRoute>,
    /// Whether an object beneath is released with everything in it.
    pub subtree: bool,
    /// How the value stands there.
    pub form: Form,
    /// Where it stands.
    pub place: Place,
}

/// How a value stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// It is what stands there.
    Value,
    /// It stands within a link. Several fields may speak of one link.
    Link,
    /// It stands within a link of this header.
    Header(LinkHeader),
    /// It is the name of the member that stands there.
    Name,
}

/// A catalogued member that is not personal.
#[derive(Clone, Debug)]
pub struct Open {
    /// Where; absolute even when written with `@`.
    pub selector: Selector,
    /// Whether an object beneath is released with everything in it.
    pub subtree: bool,
    /// Its name looks personal, and the rules say that it is about no person.
    pub not_personal: bool,
    /// A link leaves as far as it holds nothing about a person.
    pub form: Form,
    /// Where it stands.
    pub place: Place,
}

/// A member that the gateway computes anew.
#[derive(Clone, Debug)]
pub struct Derived {
    /// Where.
    pub selector: Selector,
    /// What.
    pub how: Derivation,
    /// Where it stands.
    pub place: Place,
}

/// How a member is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Derivation {
    /// The number of elements released; withheld where it comes before the list.
    CountEach,
    /// A cursor, sealed for the recipient and the query parameter that takes it back.
    Sealed {
        /// The name of the domain that it is sealed in.
        domain: CategoryId,
    },
}

/// A grant: the only thing that releases.
#[derive(Clone, Debug)]
pub struct Grant {
    /// To whom.
    pub to: Vec<RecipientId>,
    /// For what.
    pub purposes: Vec<PurposeId>,
    /// Which data, how.
    pub show: Show,
    /// What must be there besides the purpose's basis.
    pub needs: Vec<Need>,
    /// Only data about the person who asks.
    pub only_own: bool,
    /// Not on lists.
    pub single_subject: bool,
    /// Only on aggregate routes.
    pub aggregate_only: bool,
    /// Only while the recipient is in this phase.
    pub phase: Option<String>,
    /// Whose tokens the recipients may send beside their own.
    pub resolves_tokens_of: Vec<RecipientId>,
    /// Within what the recipients can link the pseudonyms it shows.
    pub scope: Scope,
    /// Where it stands.
    pub place: Place,
}

/// What a grant shows.
#[derive(Clone, Debug)]
pub enum Show {
    /// Pattern → action; the most specific pattern that covers a category decides.
    Cells(Vec<ShowCell>),
    /// What a registered order lists.
    ByOrder,
    /// What the consent lists, among these.
    ByConsent(Vec<CategoryId>),
}

/// One entry of a `show` map.
#[derive(Clone, Debug)]
pub struct ShowCell {
    /// Which categories.
    pub pattern: CategoryPattern,
    /// What happens to them.
    pub action: Action,
    /// Where it stands.
    pub place: Place,
}

/// What a grant or limit demands of the subject's statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Need {
    /// A valid consent for purpose and recipient.
    Consent,
    /// A valid consent that was given in so many words.
    ExplicitConsent,
    /// A notice of the purpose's present text.
    Notice,
    /// A grant that is used up by one use.
    OneTimeGrant,
    /// A valid consent that lists this very category.
    ListedConsent,
}

/// A limit: it can only tighten.
#[derive(Clone, Debug)]
pub enum Limit {
    /// These categories leave with one of these actions or a stricter one.
    AtLeast {
        /// Which categories.
        categories: Vec<CategoryPattern>,
        /// Alternatives; any action at or above one of them passes, else the join with the first.
        to: Vec<Action>,
        /// Recipients it does not bind.
        except_to: Vec<RecipientId>,
        /// Only when one of these purposes is pursued; empty: always.
        only_for: Vec<PurposePattern>,
        /// Where it stands.
        place: Place,
    },
    /// Third parties need these, whatever the basis.
    ThirdParties {
        /// What is needed.
        needs: Vec<Need>,
        /// Purposes it does not bind.
        except_for: Vec<PurposeId>,
        /// Where it stands.
        place: Place,
    },
    /// Sensitive categories need these; without them the field is withheld, not the answer.
    Sensitive {
        /// What is needed.
        needs: Vec<Need>,
        /// Where it stands.
        place: Place,
    },
    /// Minors, and people whose age is unknown, are left out.
    Minors {
        /// For which purposes.
        purposes: Vec<PurposePattern>,
        /// Where it stands.
        place: Place,
    },
    /// Of what a person disputes, nothing leaves to these roles. Source: GDPR Art. 18(1)(a).
    Disputed {
        /// Roles it binds; empty: all but the person's own.
        roles: Vec<Role>,
        /// Where it stands.
        place: Place,
    },
}

impl Limit {
    /// Whether it keeps from this role what a person disputes.
    #[must_use]
    pub fn keeps_disputed_from(&self, role: Role) -> bool {
        match self {
            Self::Disputed { roles, .. } if roles.is_empty() => role != Role::Own,
            Self::Disputed { roles, .. } => roles.contains(&role),
            Self::AtLeast { .. }
            | Self::ThirdParties { .. }
            | Self::Sensitive { .. }
            | Self::Minors { .. } => false,
        }
    }
}

/// What the rules demand of the registers.
#[derive(Clone, Debug)]
pub struct RegisterRules {
    /// Whether there is a consent register.
    pub consent: bool,
    /// The file that feeds it; a relative path is taken from the rules file's folder.
    pub consent_file: Option<String>,
    /// Whether there is a notice register.
    pub notice: bool,
    /// How people's ids are written; a spelling that is not so is nobody's.
    pub ids: IdShape,
    /// How many different people must approve an order; never fewer than two.
    pub order_approvers: usize,
    /// Consents that were last read from their file longer ago count as unknown.
    pub max_staleness: Option<jiff::Span>,
    /// Purposes to which `Sec-GPC: 1` objects.
    pub gpc_objects_to: Vec<PurposePattern>,
    /// Who is told of erasures.
    pub erasure_notices: BTreeMap<RecipientId, ErasureNotice>,
}

impl Default for RegisterRules {
    fn default() -> Self {
        Self {
            consent: false,
            consent_file: None,
            notice: false,
            ids: IdShape::default(),
            order_approvers: 2,
            max_staleness: None,
            gpc_objects_to: Vec::new(),
            erasure_notices: BTreeMap::new(),
        }
    }
}
