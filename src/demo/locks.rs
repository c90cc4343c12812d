//! Door locks, their owners and guests. Behind the policy `we-lock`.
//!
//! Photographs themselves are not served, only what is known about them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;

use super::backend::{answer, no_such};
use super::json_text::{Object, array, escaped, quoted};
use super::people::{Corner, People, Person};

/// Owners and guests start their ids with this.
const PERSON: &str = "w-";
/// Locks bear the number of their owner.
const LOCK: &str = "lock-";
/// Photographs bear the number of who took them.
const PHOTO: &str = "photo-";

pub(super) fn router(people: Arc<People>) -> Router {
    Router::new()
        .route("/api/account/{uid}", get(account))
        .route("/api/locks/{lock_id}", get(lock))
        .route("/api/locks/{lock_id}/events", get(events))
        .route("/api/photos/{photo_id}/meta", get(photo))
        .route("/api/surveys/{survey_id}/answers", get(answers))
        .route("/api/notices/{kind}/recipients", get(recipients))
        .route("/api/service-logs", get(service_logs))
        .route("/api/ads/profiles", get(profiles))
        .route("/api/audiences", get(audiences))
        .with_state(people)
}

fn uid(person: &Person) -> String {
    format!("{PERSON}{}", person.number)
}

/// A point in the South Atlantic, where nobody lives.
fn location(people: &People, person: &Person) -> String {
    let mut dice = people.dice("location", person.number);
    Object::new()
        .raw("lat", &format!("-41.{}", dice.digits(6)))
        .raw("lon", &format!("-20.{}", dice.digits(6)))
        .finish()
}

async fn account(State(people): State<Arc<People>>, Path(id): Path<String>) -> Response {
    let Some(person) = people.by_id(PERSON, &id) else { return no_such("account", &id) };
    let object = Object::new().text("uid", &uid(person)).text("country", person.country);
    let object = match person.corner {
        Corner::Missing => object,
        Corner::Nulls => object.raw("nickname", "null").raw("email", "null"),
        Corner::EscapedNames => object
            .odd(&escaped("nickname"), &quoted(&person.nickname))
            .odd("\"emai\\u006C\"", &quoted(&person.email)),
        Corner::EscapedValues => {
            object.raw("nickname", &escaped(&person.nickname)).raw("email", &escaped(&person.email))
        }
        Corner::Nested => {
            object.raw("nickname", &array([array([quoted(&person.nickname)])])).raw("email", "{}")
        }
        Corner::Empty => object.text("nickname", "").text("email", ""),
        Corner::Plain => object.text("nickname", &person.nickname).text("email", &person.email),
    };
    let json = object
        .text("mobile", &person.phone)
        .text("home_address", &person.address())
        .text("avatar_url", "https://icons.example.invalid/w.png")
        .raw("location", &location(&people, person))
        .text("special", "needs a ramp at the door")
        .text("new_backend_field", &person.name())
        .finish();
    answer(json, Some(person))
}

async fn lock(State(people): State<Arc<People>>, Path(id): Path<String>) -> Response {
    let Some(owner) = people.by_id(LOCK, &id) else { return no_such("lock", &id) };
    let mut dice = people.dice("lock", owner.number);
    let guests = (0..2).filter_map(|_| {
        let guest = people.anyone(u64::from(dice.below(1_000_000)))?;
        let guest = Object::new()
            .text("uid", &uid(guest))
            .text("nickname", &guest.nickname)
            .text("mobile", &guest.phone)
            .text("note", &format!("cousin {}", guest.given_name));
        Some(guest.finish())
    });
    let guests = array(guests.collect::<Vec<_>>());
    let wifi = Object::new()
        .text("ssid", &format!("home-of-{}", owner.nickname))
        .text("bssid", "00:00:5e:00:53:af")
        .text("gateway_ip", &owner.ip);
    let json = Object::new()
        .text("id", &id)
        .text("state", "locked")
        .raw(
            "owner",
            &Object::new().text("uid", &uid(owner)).text("nickname", &owner.nickname).finish(),
        )
        .raw("guests", &guests)
        .text("device_id", &format!("dev-{}", dice.digits(10)))
        .text("model", "Bolt 3")
        .text("os_version", "rtos 5.1")
        .number("battery", 20 + dice.below(80))
        .text("firmware", "3.2.1")
        .text("fingerprint", &format!("template-{}", dice.digits(16)))
        .raw("location", &location(&people, owner))
        .raw("wifi", &wifi.finish())
        .text("installer_memo", &format!("key under the mat, {}", owner.address()))
        .finish();
    answer(json, Some(owner))
}

async fn events(State(people): State<Arc<People>>, Path(id): Path<String>) -> Response {
    let Some(owner) = people.by_id(LOCK, &id) else { return no_such("lock", &id) };
    let mut dice = people.dice("events", owner.number);
    let events = (1..=5_u32).filter_map(|nth| {
        let actor = people.anyone(u64::from(dice.below(1_000_000)))?;
        let actor = Object::new()
            .text("uid", &uid(actor))
            .text("nickname", &actor.nickname)
            .text("full_name", &actor.name());
        let metrics = Object::new()
            .raw("rssi", &format!("-{}", 30 + dice.below(60)))
            .raw("drain", &format!("0.{}", dice.digits(18)));
        let event = Object::new()
            .raw("actor", &actor.finish())
            .text("kind", dice.pick(&["opened", "closed", "denied"]))
            .text("at", &format!("2026-08-{:02}T07:{:02}:00Z", 2 * nth, dice.below(60)))
            .text("dealer_id", dice.pick(&["7", "9"]))
            .raw("metrics", &array([metrics.finish()]));
        Some(event.finish())
    });
    answer(Object::new().raw("events", &array(events.collect::<Vec<_>>())).finish(), Some(owner))
}

async fn photo(State(people): State<Arc<People>>, Path(id): Path<String>) -> Response {
    let Some(author) = people.by_id(PHOTO, &id) else { return no_such("photo", &id) };
    let json = Object::new()
        .raw("geotag", &location(&people, author))
        .text("camera", "Doorcam 2")
        .number("width", 1920_i64)
        .number("height", 1080_i64)
        .text("caption", &format!("{} at the door", author.given_name))
        .text("owner_uid", &uid(author))
        .finish();
    answer(json, Some(author))
}

async fn answers(State(people): State<Arc<People>>, Path(_survey): Path<String>) -> Response {
    let answers = people.all().iter().take(40).map(|person| {
        Object::new()
            .text("uid", &uid(person))
            .text("name", &person.name())
            .text("phone", &person.phone)
            .text("home_address", &person.address())
            .raw("choices", "[2,0,5]")
            .text("comment", &format!("Ask {} at {}", person.nickname, person.email))
            .finish()
    });
    answer(Object::new().raw("answers", &array(answers)).finish(), None)
}

async fn recipients(State(people): State<Arc<People>>, Path(_kind): Path<String>) -> Response {
    let recipients = people.all().iter().map(|person| {
        let object = Object::new().text("uid", &uid(person));
        let object = match person.corner {
            Corner::Missing => object,
            _ => object.text("email", &person.email),
        };
        object.text("mobile", &person.phone).finish()
    });
    let json = Object::new()
        .raw("recipients", &array(recipients))
        .raw("total", &people.all().len().to_string());
    answer(json.finish(), None)
}

async fn service_logs(State(people): State<Arc<People>>) -> Response {
    let logs = people.all().iter().take(100).map(|person| {
        Object::new()
            .text("uid", &uid(person))
            .text("ip", &person.ip)
            .text("device_id", &format!("dev-{}", person.number))
            .text("model", "Bolt 3")
            .text_or_null("searched", None)
            .text("viewed", &format!("/help/{}?mail={}", person.number, person.email))
            .text("referrer", "https://search.example.invalid/?q=lock")
            .text("app", "7.3.1")
            .text("at", "2026-08-30T12:00:00Z")
            .number("failure_code", 0_i64)
            .finish()
    });
    answer(Object::new().raw("logs", &array(logs)).finish(), None)
}

async fn profiles(State(people): State<Arc<People>>) -> Response {
    let profiles = people.all().iter().take(100).map(|person| {
        Object::new()
            .text("uid", &uid(person))
            .text("cookie_id", &format!("ck-{}", person.public_id))
            .text("segment", "new homes")
            .text("email", &person.email)
            .finish()
    });
    answer(Object::new().raw("profiles", &array(profiles)).finish(), None)
}

async fn audiences(State(people): State<Arc<People>>) -> Response {
    let group = Object::new()
        .text("segment", "new homes")
        .raw("count", &people.all().len().to_string())
        .finish();
    answer(Object::new().raw("groups", &array([group])).finish(), None)
}
