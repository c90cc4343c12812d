//! What should have been done by now: requests of people, contracts, mechanisms, and erasures.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::json;

use super::transfers::state;
use super::{Basis, Document, Member, ReportError, Sources, Table};

/// Most requests that are listed; whoever has more is overdue anyway.
const REQUESTS: usize = 10_000;

/// Days before an end at which it is listed.
const SOON: i32 = 30;

/// What is late, and what soon will be. People stand in it by their receipts only.
pub(super) fn overdue(sources: &Sources<'_>, basis: Basis) -> Result<Document, ReportError> {
    let today = basis.as_of.to_zoned_datetime(TimeZone::UTC).date();
    let open = sources.registers.open_requests(REQUESTS)?;
    let mut requests = Table::new(&["receipt", "right", "received_at", "answer_by", "days_late"]);
    let mut late: u64 = 0;
    for request in &open {
        let by = request.receipt.answer_by();
        let days = by.map_or(0, |by| days_after(by, today));
        late += u64::from(days > 0);
        requests.rows.push(vec![
            json!(request.receipt.id),
            json!(request.right),
            json!(format!("{:.0}", request.receipt.received_at)),
            json!(by.map(|by| by.to_string())),
            json!(days.max(0)),
        ]);
    }
    // Of the registers' own id nothing is shown: it may be made of whom it is about.
    let mut erasures = Table::new(&["receipt", "in_force_since", "days_waiting"]);
    let mut unsettled = sources.registers.unsettled_erasures(basis.as_of)?;
    unsettled.sort_by_key(|erasure| erasure.effective_at);
    for erasure in &unsettled {
        let since = erasure.effective_at.to_zoned_datetime(TimeZone::UTC).date();
        erasures.rows.push(vec![
            json!(erasure.receipt()),
            json!(format!("{:.0}", erasure.effective_at)),
            json!(days_after(since, today)),
        ]);
    }
    let mut notices = Table::new(&["notice", "recipient", "since", "attempts", "state"]);
    let undelivered = sources.registers.undelivered_notices(REQUESTS)?;
    notices.rows.extend(undelivered.iter().map(|notice| {
        vec![
            json!(notice.id),
            json!(notice.recipient),
            json!(format!("{:.0}", notice.since)),
            json!(notice.attempts),
            json!(if notice.given_up { "given-up" } else { "waiting" }),
        ]
    }));
    let mut contracts = Table::new(&["recipient", "contract", "until", "days_left"]);
    for (name, recipient) in &sources.policy.recipients {
        let Some(contract) = &recipient.contract else { continue };
        let left = -days_after(contract.until, today);
        if left <= SOON {
            contracts.rows.push(vec![
                json!(name.as_str()),
                json!(contract.reference),
                json!(contract.until.to_string()),
                json!(left),
            ]);
        }
    }
    let mut mechanisms = Table::new(&["by", "reference", "until", "state"]);
    for one in sources.policy.transfers.iter().flat_map(|rules| &rules.table) {
        let Some(until) = one.until else { continue };
        if -days_after(until, today) <= SOON {
            mechanisms.rows.push(vec![
                json!(one.by),
                json!(one.reference),
                json!(until.to_string()),
                state(one, today),
            ]);
        }
    }
    let mut remarks = vec![
        "A request is to be answered within a month; two more where it is complex, and then the person \
         is told within the first (GDPR Art. 12(3))."
            .to_owned(),
        format!("Contracts and mechanisms are listed from {SOON} days before their end on. Nothing \
                 leaves by one that has ended."),
        "A recipient that was not told of an erasure keeps what it has. What is given up is told by \
         other means, or again with `POST /v1/erasure-notices/{notice}/retry` (GDPR Art. 19)."
            .to_owned(),
        "How old data in the backends are, a gateway does not see: what is older than its retention \
         period is withheld at release, and deleting it is the backends' business."
            .to_owned(),
    ];
    if open.len() == REQUESTS {
        remarks.push(format!("More than {REQUESTS} requests are open; the oldest are listed."));
    }
    let members = vec![
        Member::Said("requests_open", json!(open.len())),
        Member::Said("requests_late", json!(late)),
        Member::Rows("requests", requests),
        Member::Rows("erasures_not_settled", erasures),
        Member::Rows("erasure_notices_not_delivered", notices),
        Member::Rows("contracts", contracts),
        Member::Rows("mechanisms", mechanisms),
    ];
    let title = "What is late, and what soon will be".to_owned();
    Ok(Document { name: "overdue", title, basis, remarks, members })
}

/// Whole days from `day` to `today`; negative where it is still to come.
fn days_after(day: Date, today: Date) -> i32 {
    day.until(today).map_or(0, |span| span.get_days())
}
