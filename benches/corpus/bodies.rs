//! Bodies generated from a seed. The same bytes on every machine; all people are invented.

use std::fmt::Write as _;

/// Spreads a counter over 64 bits, so that neighbouring records differ in every field.
fn mix(counter: u64) -> u64 {
    let mixed = (counter + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 29)
}

/// One invented user, some 1.1 KB with 41 leaves.
pub(crate) fn user(id: u64, out: &mut String) {
    let mix = mix(id);
    let (a, b, c) = (mix >> 44, mix >> 22 & 0xfffff, mix & 0xfffff);
    let (day, hour) = (1 + a % 9, 1 + b % 9);
    let _ = write!(
        out,
        r#"{{"id":"u{id}","name":"Testina Musterfrau {a}","email":"t{b}@example.invalid","phone":"+49 555 {c:07}","born":"19{}-0{day}-1{hour}","gender":"f","locale":"de-DE","timezone":"Europe/Berlin","#,
        50 + mix % 50,
    );
    let _ = write!(
        out,
        r#""address":{{"street":"Musterweg {}","city":"Größenstadt","postal":"{:05}","country":"DE","geo":{{"lat":{}.{b:06},"lon":{}.{c:06}}}}},"company":{{"name":"Musterwerk {c} GmbH","role":"buyer","vat":"DE{b:09}"}},"payment":{{"iban":"DE00555{c:015}","method":"card","last4":"{:04}"}},"#,
        a % 200,
        b % 100_000,
        47 + a % 7,
        6 + b % 9,
        b % 10_000,
    );
    let _ = write!(
        out,
        r#""orders":[{{"order_id":"o{a}","total":{}.95,"currency":"EUR","placed":"2026-03-0{day}T10:20:30Z","items":[{{"sku":"SKU-{b}","qty":{hour},"price":19.95}},{{"sku":"SKU-{c}","qty":1,"price":4.50}}]}},{{"order_id":"o{c}","total":{}.00,"currency":"EUR","placed":"2026-04-0{day}T11:21:31Z","items":[{{"sku":"SKU-{a}","qty":2,"price":7.25}}]}}],"#,
        a % 500,
        c % 300,
    );
    let _ = write!(
        out,
        r#""consents":{{"newsletter":{},"analytics":false,"version":"2026-01"}},"device":{{"ip":"192.0.2.{}","agent":"Mozilla/5.0 (X11; Linux)","last_seen":"2026-11-2{day}T08:09:10Z"}},"notes":"Asked about \"delivery\" twice.\nPrefers mornings.","score":{b},"rank":{hour},"channel":"web","tags":["a{}","b{}"],"active":true,"created":"2024-0{day}-1{hour}","referrer":null}}"#,
        mix.is_multiple_of(2),
        a % 255,
        a % 10,
        b % 10,
    );
}

/// Records in a list, until it has so many bytes.
fn list(head: &str, bytes: usize, tail: &str, record: impl Fn(u64, &mut String)) -> Vec<u8> {
    let mut text = String::with_capacity(bytes + 4096);
    text.push_str(head);
    let mut id = 0;
    while text.len() < bytes {
        if id > 0 {
            text.push(',');
        }
        record(id, &mut text);
        id += 1;
    }
    let _ = write!(text, "],{tail}:{id}}}");
    text.into_bytes()
}

/// A list of users of about so many bytes.
pub(crate) fn users(bytes: usize) -> Vec<u8> {
    list(r#"{"data":["#, bytes, r#""total""#, user)
}

/// The same list as people read it: a member a line, two blanks a level.
pub(crate) fn pretty(bytes: usize) -> Vec<u8> {
    let compact = users(bytes);
    let mut out = Vec::with_capacity(2 * compact.len());
    let (mut depth, mut string, mut escaped) = (0, false, false);
    let line = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.resize(out.len() + 2 * depth, b' ');
    };
    for byte in compact {
        if string {
            out.push(byte);
            string = byte != b'"' || escaped;
            escaped = byte == b'\\' && !escaped;
            continue;
        }
        match byte {
            b'{' | b'[' => {
                depth += 1;
                out.push(byte);
                line(&mut out, depth);
            }
            b'}' | b']' => {
                depth -= 1;
                line(&mut out, depth);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            _ => {
                string = byte == b'"';
                out.push(byte);
            }
        }
    }
    out
}

/// How characters beyond ASCII are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// As UTF-8.
    Plain,
    /// As `\u` and four digits, in pairs where UTF-16 needs two.
    Escaped,
}

const PHRASES: [&str; 6] = [
    "今日はとても良い天気ですね、散歩に行きましょう",
    "Grüße aus Größenstadt 🌞 bis später",
    "Всем привет, это пример сообщения",
    "just landed, coffee first ☕ then \\\"work\\\"",
    "新しい記事を書きました。ぜひ読んでください 📚",
    "¿Qué tal el fin de semana? Muy bien, gracias",
];

/// A social timeline: long texts in several scripts, links, counters.
pub(crate) fn timeline(bytes: usize, spelling: Spelling) -> Vec<u8> {
    let plain = list(r#"{"statuses":["#, bytes, r#""count""#, status);
    match spelling {
        Spelling::Plain => plain,
        Spelling::Escaped => {
            let text = String::from_utf8(plain).expect("it was made from strings");
            let mut out = String::with_capacity(2 * text.len());
            for character in text.chars() {
                if character.is_ascii() {
                    out.push(character);
                } else {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
            }
            out.into_bytes()
        }
    }
}

fn status(id: u64, out: &mut String) {
    let mix = mix(id);
    let phrase = |shift: u32| {
        let index = (mix >> shift) % PHRASES.len() as u64;
        PHRASES[usize::try_from(index).expect("fewer than ten")]
    };
    let _ = write!(
        out,
        r#"{{"created_at":"Tue Nov 24 10:{:02}:{:02} +0000 2026","id":{mix},"id_str":"{mix}","text":"@test_{} {} {} https:\/\/t.example.invalid\/{:x}","truncated":false,"in_reply_to_status_id":null,"user":{{"id":{},"name":"テスト太郎 {}","screen_name":"test_{}","location":"{}","description":"{}\n{}","url":null,"followers_count":{},"friends_count":{},"verified":false,"lang":"ja","profile_image_url":"http:\/\/img.example.invalid\/{:x}.png"}},"entities":{{"hashtags":[],"urls":[],"user_mentions":[{{"screen_name":"test_{}","id":{},"indices":[3,18]}}]}},"retweet_count":{},"favorited":false,"lang":"ja"}}"#,
        mix % 60,
        mix / 60 % 60,
        mix % 997,
        phrase(3),
        phrase(9),
        mix >> 20,
        mix >> 33,
        mix % 31,
        mix % 991,
        phrase(5),
        phrase(13),
        phrase(17),
        mix % 5000,
        mix % 700,
        mix >> 12,
        mix % 997,
        mix >> 34,
        mix % 40,
    );
}

/// Coordinates with 17 digits each, as a measuring device writes them.
pub(crate) fn floats(bytes: usize) -> Vec<u8> {
    list(r#"{"points":["#, bytes, r#""count""#, |id, out| {
        let (x, y) = (mix(id), mix(id ^ 0xffff_0000));
        let digits = |mixed: u64| mixed % 1_000_000_000_000_000;
        let sign = if x.is_multiple_of(3) { "-" } else { "" };
        let (degrees, east) = (10 + x % 80, 10 + y % 80);
        let _ = write!(out, "[{sign}{degrees}.{:015},{east}.{:015}]", digits(x >> 3), digits(y));
    })
}

/// Lines of some 350 bytes, each a document of its own.
pub(crate) fn lines(bytes: usize) -> Vec<u8> {
    let mut text = String::with_capacity(bytes + 512);
    let mut id = 0;
    while text.len() < bytes {
        let mix = mix(id);
        let (a, b, c) = (mix >> 44, mix >> 22 & 0xfffff, mix & 0xfffff);
        let _ = writeln!(
            text,
            r#"{{"at":"2026-11-24T10:{:02}:{:02}.123Z","level":"info","event":"order.placed","id":"e{id}","user":{{"id":"u{b}","name":"Testina Musterfrau {a}","email":"t{b}@example.invalid","ip":"192.0.2.{}"}},"order":{{"id":"o{c}","total":{}.95,"currency":"EUR","items":{}}},"trace":"{mix:032x}","duration_ms":{}.{:03},"ok":true}}"#,
            a % 60,
            b % 60,
            a % 255,
            c % 500,
            1 + a % 9,
            b % 90,
            c % 1000,
        );
        id += 1;
    }
    text.into_bytes()
}
