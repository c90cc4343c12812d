//! Whether what would leave of one part may leave together, and whether it would leave alone.

use super::{Part, Permit, SubjectIds};
use crate::policy::CellId;
use crate::policy::company::{Bound, Companion, Never};

/// The cells that can be company, with where among the ids of a part they are found.
pub(super) fn companions(permit: &Permit) -> impl Iterator<Item = (usize, &Companion)> {
    let plan = &permit.plan;
    let route = &permit.policy.routes[plan.route_index];
    let beyond = plan.only_where.len() + plan.regions.len() + plan.dated.len();
    (route.subjects.len() + beyond..).zip(&plan.companions)
}

/// The cells that may not leave of this part, and whether it is dropped for one of them.
///
/// What would leave together is judged before anything was taken out, so that no limit comes before
/// another. What is left is judged for being alone until nothing more goes: what was taken out is
/// nobody's company.
pub(super) fn parted(
    permit: &Permit,
    part: Part,
    ids: &[Option<SubjectIds>],
    releases: impl Fn(CellId) -> bool,
) -> (Vec<CellId>, bool) {
    let mut out = Parted::default();
    for bound in permit.plan.company.iter().filter(|bound| bound.never == Never::Together) {
        out.take(bound, too_many(bound, &releases), &releases);
    }
    let bounds = || permit.plan.company.iter().filter(|bound| bound.never == Never::Alone);
    loop {
        // All limits at once: which of two takes it out must not depend on the order of lines.
        let gone = out.removed.clone();
        let releases = |cell: CellId| releases(cell) && !gone.contains(&cell);
        for bound in bounds() {
            let alone = alone(permit, part, ids, bound, &releases);
            out.take(bound, alone, &releases);
        }
        if out.removed.len() == gone.len() {
            return (out.removed, out.drops && part == Part::Element);
        }
    }
}

#[derive(Default)]
struct Parted {
    removed: Vec<CellId>,
    drops: bool,
}

impl Parted {
    /// Takes out what of these groups would leave.
    fn take(
        &mut self,
        bound: &Bound,
        groups: Vec<&Vec<CellId>>,
        releases: &impl Fn(CellId) -> bool,
    ) {
        let before = self.removed.len();
        self.removed.extend(groups.into_iter().flatten().copied().filter(|cell| releases(*cell)));
        self.drops |= bound.drops && self.removed.len() > before;
    }
}

/// The groups to be taken out where two would leave.
fn too_many<'a>(bound: &'a Bound, releases: &impl Fn(CellId) -> bool) -> Vec<&'a Vec<CellId>> {
    let leaves = |group: &Vec<CellId>| group.iter().any(|cell| releases(*cell));
    let leaving: Vec<usize> =
        (0..bound.groups.len()).filter(|at| leaves(&bound.groups[*at])).collect();
    let out = match bound.first {
        _ if leaving.len() < 2 => Vec::new(),
        // Of three, taking one out leaves a pair.
        Some(first) if leaving.len() == 2 && leaving.contains(&first) => vec![first],
        Some(_) | None => leaving,
    };
    out.into_iter().map(|at| &bound.groups[at]).collect()
}

/// The groups to be taken out because nothing else stands beside them and leaves.
fn alone<'a>(
    permit: &Permit,
    part: Part,
    ids: &[Option<SubjectIds>],
    bound: &'a Bound,
    releases: &impl Fn(CellId) -> bool,
) -> Vec<&'a Vec<CellId>> {
    if part == Part::Request {
        return Vec::new();
    }
    let named = |cell: &CellId| bound.groups.iter().any(|group| group.contains(cell));
    let stands =
        |at: usize| matches!(ids.get(at), Some(Some(SubjectIds::One(_) | SubjectIds::Many(_))));
    let in_company = companions(permit)
        .filter(|(_, companion)| companion.in_element == (part == Part::Element))
        .filter(|(_, companion)| !named(&companion.cell) && releases(companion.cell))
        .any(|(at, _)| stands(at));
    if in_company { Vec::new() } else { bound.groups.iter().collect() }
}
