//! Whether two selectors can select the same place in some document.

use super::Selector;
use super::path::{PathSegment, Step};

/// Whether some document has a place that both select.
pub(super) fn may_meet(a: &Selector, b: &Selector) -> bool {
    meet(&a.segments, &b.segments, false)
}

/// Whether one of them can select a place at, above or beneath a place of the other.
pub(super) fn may_touch(a: &Selector, b: &Selector) -> bool {
    meet(&a.segments, &b.segments, true)
}

/// Whether something that `inner` selects can lie at or beneath a place that `outer` leads to.
pub(super) fn may_lie_within(inner: &[PathSegment], outer: &[PathSegment]) -> bool {
    let Some((first, rest)) = outer.split_first() else { return true };
    let Some((own, behind)) = inner.split_first() else { return false };
    let together = own.steps.iter().any(|x| first.steps.iter().any(|y| steps_meet(x, y)));
    (together && may_lie_within(behind, rest))
        || (own.descendant && may_lie_within(inner, rest))
        || (first.descendant && may_lie_within(behind, outer))
}

/// Both read a path from the root in step. A descendant segment may also stay where it is while
/// the path goes one deeper.
fn meet(a: &[PathSegment], b: &[PathSegment], prefix_counts: bool) -> bool {
    let (Some((first_a, rest_a)), Some((first_b, rest_b))) = (a.split_first(), b.split_first())
    else {
        return prefix_counts || (a.is_empty() && b.is_empty());
    };
    let together = first_a.steps.iter().any(|x| first_b.steps.iter().any(|y| steps_meet(x, y)));
    (together && meet(rest_a, rest_b, prefix_counts))
        || (first_a.descendant && meet(a, rest_b, prefix_counts))
        || (first_b.descendant && meet(rest_a, b, prefix_counts))
}

fn steps_meet(a: &Step, b: &Step) -> bool {
    match (a, b) {
        (Step::Wildcard | Step::Filter(_), _) | (_, Step::Wildcard | Step::Filter(_)) => true,
        (Step::Name(a), Step::Name(b)) => a == b,
        (Step::Name(_), Step::Index(_) | Step::Slice { .. })
        | (Step::Index(_) | Step::Slice { .. }, Step::Name(_)) => false,
        (Step::Index(a), Step::Index(b)) => a == b,
        (Step::Index(at), Step::Slice { start, end, step })
        | (Step::Slice { start, end, step }, Step::Index(at)) => {
            at >= start
                && end.is_none_or(|end| *at < end)
                && at.checked_sub(*start).is_some_and(|past| past.is_multiple_of((*step).max(1)))
        }
        // Whether two strides coincide is a question of arithmetic that no rule needs exact.
        (Step::Slice { .. }, Step::Slice { .. }) => true,
    }
}
