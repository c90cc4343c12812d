//! A request as the gateway reads it, for whoever is not at the wire.

use http::{Method, Uri};

use super::returned::Opener;
use super::route::{Opened, Target, Tokens};
use crate::decide::{Caller, RouteMatch};
use crate::keys::KeyRing;
use crate::policy::Policy;
use crate::terms::{DataSubject, PurposeId};

/// What a request asks for, with the tokens and cursors in it opened.
pub struct Reading {
    /// The route, with the parameters of the path.
    pub route: RouteMatch,
    /// The names of the query's parameters that say something, in order.
    pub query: Vec<String>,
    /// The ids that path and query name, by role of the route.
    pub subjects: Vec<(usize, DataSubject)>,
    /// A token in it stands for nobody: once it is decided, it is refused as asking for what is not
    /// there.
    pub is_of_nobody: bool,
}

/// Why a request cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misread {
    /// It could be read in two ways, or not at all.
    #[error("the gateway would not understand it")]
    Malformed,
    /// No route is for it.
    #[error("no route of the rules is for it")]
    NoRoute,
    /// It opens a tunnel.
    #[error("it opens a tunnel, in which nothing is minimized")]
    Tunnel,
    /// A cursor in it was not sealed for this recipient and route.
    #[error("a cursor in it does not open")]
    Cursor,
}

/// Reads method and target of a request of `caller`, who declares these purposes.
///
/// # Errors
/// [`Misread`].
pub fn read(
    policy: &Policy,
    keys: &KeyRing,
    caller: &Caller,
    declared: &[PurposeId],
    (method, target): (&str, &str),
) -> Result<Reading, Misread> {
    let method: Method = method.parse().map_err(|_| Misread::Malformed)?;
    let uri: Uri = target.parse().map_err(|_| Misread::Malformed)?;
    let target = Target::judge(&uri).map_err(|_| Misread::Malformed)?;
    let matched = target.matches(policy, &method).ok_or(Misread::NoRoute)?;
    let route = &policy.routes[matched.index];
    if route.tunnel.is_some() {
        return Err(Misread::Tunnel);
    }
    let opener = Opener::before(keys, policy, caller, route, declared);
    let Opened { target, matched, tokens } =
        target.opened(route, matched, &opener).ok_or(Misread::Cursor)?;
    Ok(Reading {
        query: target.parameter_names(),
        subjects: target.subjects(route, &matched),
        route: matched,
        is_of_nobody: tokens == Tokens::Unknown,
    })
}
