//! What is counted of a body that was minimized, or only measured.

use std::time::Duration;

use super::metrics::{Metrics, outward_code};
use crate::action::Action;
use crate::minimize::Tally;
use crate::policy::{CellId, Mode, Plan};

/// What was done to it.
pub(super) fn minimized(metrics: &Metrics, plan: &Plan, tally: &Tally, took: Duration) {
    let route = [plan.route.as_str()];
    for (at, count) in (0_u16..).zip(&tally.cells).filter(|(_, count)| **count > 0) {
        if usize::from(at) >= plan.cells.len() {
            break;
        }
        let cell = plan.cell(CellId(at));
        if let Some(category) = &cell.category {
            let action = cell.action.to_string();
            metrics.fields.with_label_values(&[category.as_str(), &action]).inc_by(*count);
        }
    }
    for (reason, count) in &tally.elements_dropped {
        metrics.elements_dropped.with_label_values(&[outward_code(*reason)]).inc_by(*count);
    }
    metrics.elements_released.with_label_values(&route).inc_by(tally.elements_released);
    metrics.blanked.with_label_values(&route).inc_by(tally.blanked);
    metrics.unlisted.with_label_values(&route).inc_by(tally.unlisted);
    metrics.filter.with_label_values(&route).observe(took.as_secs_f64());
    #[allow(clippy::cast_precision_loss, reason = "bytes of one body are far below 2^53")]
    metrics.body.with_label_values(&route).observe(tally.bytes_out as f64);
}

/// What enforcing would have changed.
pub(super) fn measured(metrics: &Metrics, plan: &Plan, tally: &Tally, changed: bool) {
    let route = plan.route.as_str();
    let outcome = if changed { "changed" } else { "unchanged" };
    metrics.observed.with_label_values(&[route, Mode::Shadow.as_str(), outcome]).inc();
    let count = |effect, count| {
        if count > 0 {
            metrics.observed_parts.with_label_values(&[route, effect]).inc_by(count);
        }
    };
    count("removed", tally.removed());
    count("blanked", tally.blanked);
    count("dropped", tally.elements_dropped.values().sum());
    for (at, met) in (0_u16..).zip(&tally.cells).take(plan.cells.len()) {
        match plan.cell(CellId(at)).action {
            Action::Keep => {}
            Action::Remove | Action::Drop => count("removed", *met),
            _ => count("changed", *met),
        }
    }
}
