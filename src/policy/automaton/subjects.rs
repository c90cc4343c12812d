//! Where the ids of data subjects stand, from the selectors alone.

use std::collections::BTreeMap;

use super::{Mark, SubjectPlace};
use crate::policy::path::{PathSegment, Selector};

/// Where each role's ids stand. A place is within an element if its selector continues that of the
/// list by the letter; it is one place if what follows is singular.
pub(super) fn subjects(rules: &[(Selector, Mark)]) -> Vec<SubjectPlace> {
    let each = rules.iter().find(|(_, mark)| *mark == Mark::Each).map(|(selector, _)| selector);
    let mut places: BTreeMap<u8, SubjectPlace> = BTreeMap::new();
    for (selector, mark) in rules {
        let (Mark::Subject(role) | Mark::KeyOf(role)) = *mark else { continue };
        let list = each.filter(|each| selector.continues(each));
        let own = &selector.segments[list.map_or(0, |each| each.segments.len())..];
        let place = SubjectPlace {
            role,
            within_element: list.is_some(),
            several: !own.iter().all(PathSegment::is_singular),
        };
        places
            .entry(role.0)
            .and_modify(|known| {
                // A role with two places: in the document if one of them is, several if one may be.
                known.within_element &= place.within_element;
                known.several |= place.several;
            })
            .or_insert(place);
    }
    places.into_values().collect()
}
