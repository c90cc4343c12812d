//! The marketplace: members, what they do, order, write and ask. Behind the policy `letsmasak`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::backend::{answer, no_such};
use super::json_text::{Object, array, escaped, quoted};
use super::people::{Corner, People, Person};

/// Members start their ids with this.
const MEMBER: &str = "u-";
/// Orders bear the number of their buyer.
const ORDER: &str = "o-";
/// Enquiries bear the number of who asks.
const ENQUIRY: &str = "e-";

const SERVICES: [&str; 5] = ["delivery", "classes", "auctions", "recipes", "vouchers"];
const PRODUCTS: [&str; 6] =
    ["clay pot", "curry set", "steamer basket", "rice cooker", "batik apron", "wok"];

pub(super) fn router(people: Arc<People>) -> Router {
    Router::new()
        .route("/v2/users", get(users))
        .route("/v2/users/{user_id}", get(user))
        .route("/v2/users/{user_id}/activity", get(activity))
        .route("/v2/orders/{order_id}", get(order))
        .route("/v2/reviews", get(reviews))
        .route("/v2/enquiries/{enquiry_id}", get(enquiry))
        .route("/v2/insights/segments", get(segments))
        .with_state(people)
}

fn member_id(person: &Person) -> String {
    format!("{MEMBER}{}", person.number)
}

async fn user(State(people): State<Arc<People>>, Path(id): Path<String>) -> Response {
    match people.by_id(MEMBER, &id) {
        Some(person) => answer(full_member(&people, person), Some(person)),
        None => no_such("user", &id),
    }
}

fn full_member(people: &People, person: &Person) -> String {
    let mut dice = people.dice("member", person.number);
    let services: Vec<&str> = (0..2).map(|_| dice.pick(&SERVICES)).collect();
    let object = Object::new()
        .text("user_id", &member_id(person))
        .text("letsmasak_id", &person.public_id)
        .text("nickname", &person.nickname)
        .text("icon_url", &format!("https://icons.example.invalid/{}.png", person.public_id));
    // The oddities stand where most recipients would see them.
    let object = match person.corner {
        Corner::Plain => object.text("name", &person.name()).text("email", &person.email),
        Corner::Nulls => object.raw("name", "null").raw("email", "null"),
        Corner::Missing => object,
        Corner::EscapedNames => object
            .odd(&escaped("name"), &quoted(&person.name()))
            .odd("\"em\\u0061il\"", &quoted(&person.email)),
        Corner::EscapedValues => {
            object.raw("name", &escaped(&person.name())).raw("email", &escaped(&person.email))
        }
        Corner::Nested => object
            .raw(
                "name",
                &Object::new()
                    .text("given", &person.given_name)
                    .text("family", &person.family_name)
                    .finish(),
            )
            .raw("email", &array([quoted(&person.email)])),
        Corner::Empty => object.text("name", "").text("email", ""),
    };
    object
        .text("telephone", &person.phone)
        .text("mailing_address", &person.address())
        .text("date_of_birth", &person.birth_date.to_string())
        .raw("verified", if dice.below(3) == 0 { "false" } else { "true" })
        .text("bank_account", &person.bank_account)
        .text("card_number", &person.card_number)
        .text("payment_method", "card")
        .text("postal_code", &person.postal_code)
        .text("gender", person.gender)
        .text("occupation", person.occupation)
        .number("age", person.age)
        .raw("services_used", &array(services.into_iter().map(quoted)))
        .raw("blocked", "false")
        .raw("conduct", &array([quoted("late once")]))
        // Nobody catalogued the members below: they must not leave.
        .text("internal_notes", &format!("called {}, was friendly", person.phone))
        .raw("loyalty_score", "12345678901234567890.1234567890")
        .raw(
            "device",
            &Object::new().text("last_ip", &person.ip).text("agent", person.agent).finish(),
        )
        .finish()
}

/// What the list takes. It knows more parameters than it heeds, as backends do.
#[derive(Deserialize)]
struct Page {
    limit: Option<usize>,
    cursor: Option<usize>,
}

async fn users(State(people): State<Arc<People>>, Query(page): Query<Page>) -> Response {
    let (from, limit) = (page.cursor.unwrap_or(0), page.limit.unwrap_or(20).min(10_000));
    let listed = people.all().iter().skip(from).take(limit);
    let next = from.saturating_add(limit);
    let json = Object::new()
        .raw("users", &array(listed.map(listed_member)))
        .raw("next", &if next < people.all().len() { next.to_string() } else { "null".to_owned() })
        // After the list, so that a gateway has to correct what it has not seen yet.
        .raw("total", &people.all().len().to_string())
        .finish();
    answer(json, people.all().first())
}

fn listed_member(person: &Person) -> String {
    let object = Object::new()
        .text("user_id", &member_id(person))
        .text("letsmasak_id", &person.public_id)
        .text("nickname", &person.nickname);
    let object = match person.corner {
        Corner::Missing => object,
        Corner::Nulls => object.raw("email", "null"),
        Corner::EscapedNames => object.odd("\"\\u0065mail\"", &quoted(&person.email)),
        Corner::EscapedValues => object.raw("email", &escaped(&person.email)),
        Corner::Nested => object.raw("email", &array([quoted(&person.email)])),
        Corner::Empty => object.text("email", ""),
        Corner::Plain => object.text("email", &person.email),
    };
    object
        .text("postal_code", &person.postal_code)
        .text("gender", person.gender)
        .text("occupation", person.occupation)
        .number("age", person.age)
        .text("new_backend_field", &person.name())
        .finish()
}

async fn activity(State(people): State<Arc<People>>, Path(id): Path<String>) -> Response {
    let Some(person) = people.by_id(MEMBER, &id) else { return no_such("user", &id) };
    let mut dice = people.dice("activity", person.number);
    let visits = (0..6).map(|visit| {
        let product = dice.pick(&PRODUCTS);
        let bought = if visit % 3 == 0 { quoted(product) } else { "null".to_owned() };
        Object::new()
            .text(
                "page",
                &format!("/shop/{}/items/{}?from=mail", person.public_id, dice.below(900)),
            )
            .text_or_null("ad", (visit % 2 == 0).then_some("spring-banner"))
            .text(
                "at",
                &format!(
                    "2026-08-{:02}T{:02}:{:02}:07Z",
                    1 + visit,
                    dice.below(24),
                    dice.below(60)
                ),
            )
            .text("method", dice.pick(&["app", "web"]))
            .raw("bought", &bought)
            .text("remote_ip", &person.ip)
            .finish()
    });
    let json = Object::new()
        .raw("activity", &array(visits.collect::<Vec<_>>()))
        .text("user_id", &member_id(person))
        .finish();
    answer(json, Some(person))
}

async fn order(State(people): State<Arc<People>>, Path(id): Path<String>) -> Response {
    let Some(buyer) = people.by_id(ORDER, &id) else { return no_such("order", &id) };
    let mut dice = people.dice("order", buyer.number);
    let lines = (1..=3).filter_map(|line| {
        let seller = people.anyone(u64::from(dice.below(1_000_000)) + line)?;
        Some(
            Object::new()
                .raw(
                    "seller",
                    &Object::new()
                        .text("user_id", &member_id(seller))
                        .text("letsmasak_id", &seller.public_id)
                        .text("nickname", &seller.nickname)
                        .text("payout_account", &seller.bank_account)
                        .finish(),
                )
                .text("product", dice.pick(&PRODUCTS))
                .raw("amount", &format!("{}.{:02}", 5 + dice.below(400), dice.below(100)))
                .finish(),
        )
    });
    let lines = array(lines.collect::<Vec<_>>());
    let json = Object::new()
        .text("id", &id)
        .text("state", "delivered")
        .text("placed_at", "2026-08-14T09:30:00+08:00")
        .raw(
            "buyer",
            &Object::new()
                .text("user_id", &member_id(buyer))
                .text("letsmasak_id", &buyer.public_id)
                .text("nickname", &buyer.nickname)
                .text("name", &buyer.name())
                .finish(),
        )
        .raw(
            "delivery",
            &Object::new()
                .text("address", &buyer.address())
                .text("phone", &buyer.phone)
                .text("proof", &format!("signed by {}", buyer.name()))
                .text("door_code", "4711#")
                .finish(),
        )
        // More digits than any binary floating-point number keeps.
        .raw("amount_paid", "1024.10000000000000000555111512312578")
        .raw("lines", &lines)
        .finish();
    answer(json, Some(buyer))
}

#[derive(Deserialize)]
struct OfProduct {
    product: Option<String>,
}

async fn reviews(State(people): State<Arc<People>>, Query(of): Query<OfProduct>) -> Response {
    let product = of.product.unwrap_or_else(|| PRODUCTS[0].to_owned());
    let place = product.bytes().fold(0_u64, |sum, byte| sum * 31 % 1_000_003 + u64::from(byte));
    let reviews = (0..5).filter_map(|nth| {
        let author = people.anyone(place + 7 * nth)?;
        Some(
            Object::new()
                .raw(
                    "author",
                    &Object::new()
                        .text("user_id", &member_id(author))
                        .text("letsmasak_id", &author.public_id)
                        .text("nickname", &author.nickname)
                        .text("icon_url", "https://icons.example.invalid/r.png")
                        .text("email", &author.email)
                        .finish(),
                )
                .text("text", "Heats evenly. \"Good\" value \u{1F35B}")
                .number("stars", 5_i64)
                .text("at", "2026-07-02")
                .finish(),
        )
    });
    answer(Object::new().raw("reviews", &array(reviews)).text("product", &product).finish(), None)
}

async fn enquiry(State(people): State<Arc<People>>, Path(id): Path<String>) -> Response {
    let Some(person) = people.by_id(ENQUIRY, &id) else { return no_such("enquiry", &id) };
    let text = format!("I am {}, call me at {} about my card.", person.name(), person.phone);
    let json = Object::new()
        .text("id", &id)
        .text("state", "open")
        .text("user_id", &member_id(person))
        .text("text", &text)
        .text("email", &person.email)
        .raw("fees", "[{\"period\":\"2026-08\",\"amount\":12.50}]")
        .text("agent_memo", &format!("lives at {}", person.address()))
        .finish();
    answer(json, Some(person))
}

async fn segments(State(people): State<Arc<People>>) -> Response {
    let segments = ["f", "m"].into_iter().map(|gender| {
        let count = people.all().iter().filter(|person| person.gender == gender).count();
        Object::new()
            .text("gender", gender)
            .text("age_band", "all")
            .text("occupation_group", "all")
            .text("region", "all")
            .text("service", SERVICES[0])
            .raw("count", &count.to_string())
            .raw("views", &(count * 3).to_string())
            .raw("clicks", &(count / 9).to_string())
            .finish()
    });
    answer(Object::new().raw("segments", &array(segments)).finish(), None)
}
