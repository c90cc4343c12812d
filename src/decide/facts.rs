//! What is known of a request when it is decided.

use std::sync::Arc;

use crate::terms::{Case, DataSubject, LegalOrder, PurposeId, RecipientId, Statements};

/// Who asks, as an authenticator established it.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The recipient.
    pub recipient: RecipientId,
    /// The person behind a token (`sub`), for recipients who are persons and for internal agents.
    pub person: Option<DataSubject>,
    /// The purposes the credential itself is bound to; `None`: all that the rules give the recipient.
    pub purposes: Option<Vec<PurposeId>>,
}

/// The route that method and path matched.
#[derive(Clone, Debug)]
pub struct RouteMatch {
    /// Position in [`Policy::routes`](crate::policy::Policy::routes).
    pub index: usize,
    /// Path parameters by name, percent-decoded.
    pub parameters: Vec<(String, DataSubject)>,
}

/// Ids found for one role of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectIds {
    /// None, or contradictory ones: the subject cannot be resolved.
    Unresolved,
    /// One.
    One(DataSubject),
    /// Several, at a place selected with a wildcard.
    Many(Vec<DataSubject>),
}

impl SubjectIds {
    /// Everybody who was found.
    #[must_use]
    pub fn each(&self) -> &[DataSubject] {
        match self {
            Self::Unresolved => &[],
            Self::One(id) => std::slice::from_ref(id),
            Self::Many(ids) => ids,
        }
    }
}

/// A subject known before the backend is asked, with what they have said.
#[derive(Clone, Debug)]
pub struct KnownSubject {
    /// Position in the route's subjects.
    pub role: usize,
    /// Who.
    pub id: DataSubject,
    /// What they have said.
    pub statements: Arc<Statements>,
}

/// What a header of the request names, looked up in its register.
#[derive(Clone, Debug, Default)]
pub enum Named<T> {
    /// There was no header.
    #[default]
    Nothing,
    /// The register knows no such thing.
    Unknown,
    /// It stands in the register, in whatever state.
    Known(Arc<T>),
}

impl<T> Named<T> {
    /// What a header names, if there is one, as `look_up` finds it in its register.
    ///
    /// # Errors
    /// Those of `look_up`.
    pub fn look_up<E>(
        id: Option<&str>,
        look_up: impl FnOnce(&str) -> Result<Option<T>, E>,
    ) -> Result<Self, E> {
        let Some(id) = id else { return Ok(Self::Nothing) };
        Ok(look_up(id)?.map_or(Self::Unknown, |found| Self::Known(Arc::new(found))))
    }
}

/// All that a decision rests on.
#[derive(Debug)]
pub struct Facts<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// What for, as `Tamis-Purpose` says; empty when the header is not there.
    pub declared_purposes: &'a [PurposeId],
    /// Method and path.
    pub route: &'a RouteMatch,
    /// Names of the query's parameters, in order, with repetitions.
    pub query: &'a [String],
    /// The case that `Tamis-Case` names.
    pub case: &'a Named<Case>,
    /// The order that `Tamis-Order` names.
    pub order: &'a Named<LegalOrder>,
    /// `Sec-GPC: 1` was given.
    pub gpc: bool,
    /// Subjects known from path and query.
    pub known: &'a [KnownSubject],
}

impl<'a> Facts<'a> {
    /// A request of which no more is known than who asks, where and what for.
    #[must_use]
    pub const fn plain(
        caller: &'a Caller,
        route: &'a RouteMatch,
        declared_purposes: &'a [PurposeId],
    ) -> Self {
        Self {
            caller,
            declared_purposes,
            route,
            query: &[],
            case: &Named::Nothing,
            order: &Named::Nothing,
            gpc: false,
            known: &[],
        }
    }
}
