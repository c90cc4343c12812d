//! Where the rules say that people's regions are learned. Part of [`model`](super::model).

use super::Place;
use super::model::RoleIndexInRoute;
use super::path::Selector;

/// Sources of a person's region. What several of them say holds together: data leave only if they
/// could leave from each of these regions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegionSources {
    /// The directory, where the registers say what is known of people.
    pub directory: bool,
    /// What a route's answer says, where the route names the place.
    pub route: bool,
}

/// A place of an answer where the country or region of a person stands.
#[derive(Clone, Debug)]
pub struct Region {
    /// Whose.
    pub of: RoleIndexInRoute,
    /// Where; absolute even when written with `@`, and one place only.
    pub selector: Selector,
    /// Whether it stands in each element of the list.
    pub in_element: bool,
    /// Where this stands.
    pub place: Place,
}
