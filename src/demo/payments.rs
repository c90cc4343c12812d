//! Customers of a payment service: profile, payments, newsletter, visits, support tickets.
//! Behind the policy `webllet`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;

use super::backend::{answer, no_such};
use super::json_text::{Object, array, escaped, quoted};
use super::people::{Corner, People, Person};

/// Customers start their ids with this.
const CUSTOMER: &str = "c-";
/// Tickets bear the number of who wrote.
const TICKET: &str = "t-";

const INTERESTS: [&str; 5] = ["travel", "savings", "crypto", "insurance", "charity"];

pub(super) fn router(people: Arc<People>) -> Router {
    Router::new()
        .route("/v1/customers/{customer_id}", get(customer))
        .route("/v1/customers/{customer_id}/payments", get(payments))
        .route("/v1/newsletter/recipients", get(newsletter))
        .route("/v1/analytics/visits", get(visits))
        .route("/v1/tickets/{ticket_id}", get(ticket))
        .with_state(people)
}

fn customer_id(person: &Person) -> String {
    format!("{CUSTOMER}{}", person.number)
}

async fn customer(State(people): State<Arc<People>>, Path(id): Path<String>) -> Response {
    match people.by_id(CUSTOMER, &id) {
        Some(person) => answer(profile(&people, person), Some(person)),
        None => no_such("customer", &id),
    }
}

fn profile(people: &People, person: &Person) -> String {
    let mut dice = people.dice("customer", person.number);
    let name = Object::new()
        .text("given", &person.given_name)
        .text_or_null("middle", None)
        .text("family", &person.family_name)
        .finish();
    let address = Object::new()
        .text("line1", &person.street)
        .text("city", &person.city)
        .text("postal_code", &person.postal_code)
        .text("country", person.country)
        .text("delivery_hint", &format!("ring twice, ask for {}", person.given_name))
        .finish();
    let login = Object::new()
        .text("ip", &person.ip)
        .text("agent", person.agent)
        .text("at", "2026-08-30T21:14:55Z")
        .finish();
    let document =
        Object::new().text("type", "passport").text("number", &format!("X0TEST{}", dice.digits(6)));
    let object = Object::new().text("id", &customer_id(person));
    let object = match person.corner {
        Corner::Missing => object.raw("name", &name),
        Corner::Nulls => object.raw("name", "null").raw("email", "null"),
        Corner::EscapedNames => {
            object.raw("name", &name).odd("\"e\\u006dail\"", &quoted(&person.email))
        }
        Corner::EscapedValues => object.raw("name", &name).raw("email", &escaped(&person.email)),
        Corner::Nested => object
            .raw("name", &quoted(&person.name()))
            .raw("email", &Object::new().text("private", &person.email).finish()),
        Corner::Empty => object.raw("name", "{}").text("email", ""),
        Corner::Plain => object.raw("name", &name).text("email", &person.email),
    };
    object
        .text("phone", &person.phone)
        .text("birth_date", &person.birth_date.to_string())
        .raw("address", &address)
        .raw("id_document", &document.finish())
        .text("language", person.language)
        .text("status", "active")
        .raw("interests", &array([quoted(dice.pick(&INTERESTS)), quoted(dice.pick(&INTERESTS))]))
        .raw("risk_score", &format!("0.{}", dice.digits(24)))
        .raw("last_login", &login)
        .text("created_at", "2024-02-29T00:00:00Z")
        .text("new_backend_field", &person.nickname)
        .finish()
}

async fn payments(State(people): State<Arc<People>>, Path(id): Path<String>) -> Response {
    let Some(payer) = people.by_id(CUSTOMER, &id) else { return no_such("customer", &id) };
    let mut dice = people.dice("payments", payer.number);
    let payments = (1..=4_u32).filter_map(|nth| {
        let counterparty = people.anyone(u64::from(dice.below(1_000_000)))?;
        let method = if nth % 2 == 1 {
            let card = Object::new()
                .text("number", &payer.card_number)
                .text("expiry", &payer.card_expiry)
                .text("cvc_hint", "ends in 7");
            Object::new().text("type", "card").raw("card", &card.finish())
        } else {
            Object::new().text("type", "transfer").text("bank_account", &payer.bank_account)
        };
        let other_side = Object::new()
            .text("name", &counterparty.name())
            .text("customer_id", &customer_id(counterparty));
        let device = Object::new()
            .text("ip", &payer.ip)
            .text("fingerprint", &format!("fp-{}", dice.digits(12)));
        let payment = Object::new()
            .text("id", &format!("p-{}-{nth}", payer.number))
            .text("customer_id", &customer_id(payer))
            .raw("amount", &format!("{}.{:02}", 1 + dice.below(900), dice.below(100)))
            .text("currency", "HKD")
            .text("created_at", &format!("2026-08-{:02}T10:00:00Z", 3 * nth))
            .text("state", "settled")
            .raw("method", &method.finish())
            .raw("counterparty", &other_side.finish())
            .raw("device", &device.finish())
            .text_or_null("note", (nth == 1).then_some("rent, call +44 20 7946 0999"))
            .raw("risk_score", &format!("0.{}", dice.digits(20)));
        Some(payment.text("reconciliation_memo", &counterparty.bank_account).finish())
    });
    let payments = array(payments.collect::<Vec<_>>());
    answer(Object::new().raw("payments", &payments).raw("next", "null").finish(), Some(payer))
}

async fn newsletter(State(people): State<Arc<People>>) -> Response {
    let recipients = people.all().iter().map(|person| {
        Object::new()
            .text("customer_id", &customer_id(person))
            .text("email", &person.email)
            .text("name", &person.name())
            .text("language", person.language)
            .text("country", person.country)
            .finish()
    });
    let json = Object::new()
        .raw("recipients", &array(recipients))
        .raw("total", &people.all().len().to_string());
    answer(json.finish(), None)
}

async fn visits(State(people): State<Arc<People>>) -> Response {
    let visits = people.all().iter().take(200).map(|person| {
        let mut dice = people.dice("visit", person.number);
        Object::new()
            .text("visitor_id", &format!("v-{}", dice.digits(10)))
            .text_or_null(
                "customer_id",
                (dice.below(3) > 0).then(|| customer_id(person)).as_deref(),
            )
            .text("ip", &person.ip)
            .text("agent", person.agent)
            .text("referrer", &format!("https://search.example.invalid/?q={}", person.nickname))
            .raw("pages", &array([quoted("/home"), quoted(&format!("/u/{}", person.number))]))
            .text("at", "2026-08-30T12:00:00Z")
            .number("duration_s", dice.below(600))
            .finish()
    });
    answer(Object::new().raw("visits", &array(visits)).finish(), None)
}

async fn ticket(State(people): State<Arc<People>>, Path(id): Path<String>) -> Response {
    let Some(person) = people.by_id(TICKET, &id) else { return no_such("ticket", &id) };
    let message = |from: &str, text: &str| {
        Object::new()
            .text("at", "2026-08-29T08:00:00Z")
            .text("from", from)
            .text("text", text)
            .text("raw_headers", &format!("Received: from [{}]", person.ip))
            .finish()
    };
    let messages = [
        message("customer", &format!("My card {} is blocked.", person.card_number)),
        message("desk", &format!("Dear {}, we look into it.", person.given_name)),
    ];
    let json = Object::new()
        .text("id", &id)
        .text("state", "open")
        // The list stands before the member that says whose ticket it is.
        .raw("messages", &array(messages))
        .text("email", &person.email)
        .text("customer_id", &customer_id(person))
        .finish();
    answer(json, Some(person))
}
