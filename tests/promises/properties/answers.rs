//! What backends say in worlds by chance: mostly what the rules expect, now and then what they do not.

use super::chance::Chance;
use super::world::{BASKET, GROUP, NAMED, NOTE, ORDER, PEOPLE, PERSON};

impl Chance {
    /// An answer on this route.
    pub(super) fn answer(&mut self, route: usize) -> String {
        let id = self.id();
        match route {
            PERSON => {
                let names = [
                    "id", "name", "mail", "phones", "deep", "cards", "country", "at", "stamps",
                    "state", "extra",
                ];
                self.object(&names, &id)
            }
            PEOPLE => {
                let people: Vec<_> = (0..self.below(5))
                    .map(|_| {
                        let id = self.id();
                        let names = [
                            "id", "name", "mail", "phones", "deep", "cards", "country", "at",
                            "state", "dealer", "extra",
                        ];
                        self.object(&names, &id)
                    })
                    .collect();
                let rest = self.object(&["at", "since"], &id);
                let people = people.join(",");
                format!(r#"{{"page":1,"people":[{people}],"total":9,"extra":"x",{}"#, &rest[1..])
                    .replace(",}", "}")
            }
            NAMED => {
                let people: Vec<_> = (0..self.below(5))
                    .map(|_| {
                        let usual = 1 + self.below(4);
                        let name = match self.below(16) {
                            0 => self.choose(&["", "7", "zz", "\\u0075\\u0031"]).to_owned(),
                            _ => format!("u{usual}"),
                        };
                        let id = self.id();
                        let names =
                            ["id", "name", "mail", "phones", "deep", "state", "dealer", "extra"];
                        format!("\"{name}\":{}", self.object(&names, &id))
                    })
                    .collect();
                let people = match self.below(20) {
                    0 => r#"[{"name":"name-1"}]"#.to_owned(),
                    _ => format!("{{{}}}", people.join(",")),
                };
                format!(r#"{{"page":1,"people":{people},"extra":"x"}}"#)
            }
            ORDER => {
                let lines: Vec<_> = (0..self.below(4))
                    .map(|_| {
                        let id = self.id();
                        let seller = self.object(&["id", "name", "country"], &id);
                        let rest = self.object(&["sum", "mail", "at", "cards", "dealer"], "0");
                        format!(r#"{{"seller":{seller},{}"#, &rest[1..])
                    })
                    .map(|line| line.replace(",}", "}"))
                    .collect();
                let buyer = self.object(&["id", "name", "country", "extra"], &id);
                let (paid, at) = (self.value("paid"), self.date());
                format!(
                    r#"{{"order":"o1","lines":[{}],"buyer":{buyer},"paid":{paid},"at":{at}}}"#,
                    lines.join(",")
                )
            }
            NOTE => {
                let author = self.object(&["id", "country", "extra"], &id);
                let lines: Vec<_> =
                    (0..self.below(3)).map(|_| self.object(&["name", "extra"], "0")).collect();
                let rest = self.object(&["name", "note", "at", "state"], "0");
                format!(r#"{{"author":{author},"lines":[{}],{}"#, lines.join(","), &rest[1..])
                    .replace(",}", "}")
            }
            GROUP => {
                let owner = self.object(&["id", "country", "extra"], &id);
                let guests: Vec<_> = (0..self.below(4))
                    .map(|_| {
                        let id = self.id();
                        self.object(&["id", "name", "mail", "at", "extra"], &id)
                    })
                    .collect();
                let rest = self.object(&["name", "at", "state"], "0");
                format!(r#"{{"guests":[{}],"owner":{owner},{}"#, guests.join(","), &rest[1..])
                    .replace(",}", "}")
            }
            BASKET => {
                let lines: Vec<_> = (0..self.below(4))
                    .map(|_| self.object(&["name", "sum", "at", "dealer"], "0"))
                    .collect();
                let rest = self.object(&["sum", "country", "at", "total"], "0");
                let lines = lines.join(",");
                format!(r#"{{"lines":[{lines}],"buyer":{id},{}"#, &rest[1..]).replace(",}", "}")
            }
            other => panic!("no route {other}"),
        }
    }

    /// An id as it stands in a document.
    fn id(&mut self) -> String {
        let usual = 1 + self.below(4);
        match self.below(16) {
            0 => self.choose(&["null", "\"\"", "7", "true", "1.5", "[\"u1\"]", "{}"]).to_owned(),
            _ => format!("\"u{usual}\""),
        }
    }

    /// An object with most of these members.
    fn object(&mut self, names: &[&str], id: &str) -> String {
        let mut members = Vec::new();
        for name in names {
            if self.one_in(12) {
                continue;
            }
            let value = match *name {
                "id" => id.to_owned(),
                "deep" => self.object(&["note", "sum", "extra"], id),
                "phones" => {
                    let phones: Vec<_> = (0..self.below(3)).map(|_| self.value("phone")).collect();
                    format!("[{}]", phones.join(","))
                }
                "cards" => {
                    let cards: Vec<_> = (0..self.below(4)).map(|_| self.card()).collect();
                    format!("[{}]", cards.join(","))
                }
                "stamps" => {
                    let dates: Vec<_> = (0..self.below(3)).map(|_| self.date()).collect();
                    format!("[{}]", dates.join(","))
                }
                "at" | "since" => self.date(),
                "country" => self.country(),
                "dealer" => {
                    self.choose(&["\"7\"", "7", "\"8\"", "8", "null", "[7]", "7.0"]).to_owned()
                }
                name => self.value(name),
            };
            members.push(format!("\"{name}\":{value}"));
            // A member that stands twice.
            if self.one_in(40) {
                let value = match *name {
                    "id" => self.id(),
                    "at" => self.date(),
                    "country" => self.country(),
                    name => self.value(name),
                };
                members.push(format!("\"{name}\":{value}"));
            }
        }
        format!("{{{}}}", members.join(","))
    }

    /// What filters look at, and what they mean.
    fn card(&mut self) -> String {
        if self.one_in(12) {
            return self.value("card");
        }
        let mut members = Vec::new();
        for _ in 0..if self.one_in(8) { 2 } else { 1 } {
            let kind = ["\"work\"", "\"home\"", "\"w\\u006frk\"", "null", "7", "{\"work\":1}"];
            let usual = if self.one_in(4) { kind.len() } else { 2 };
            let kind = self.choose(&kind[..usual]);
            members.push(format!("\"kind\":{kind}"));
        }
        if !self.one_in(4) {
            let n = self.choose(&["1", "2", "3", "2.0", "20e-1", "\"2\"", "true"]);
            members.push(format!("\"n\":{n}"));
        }
        members.push(format!("\"number\":{}", self.value("number")));
        if self.one_in(3) {
            members.push(format!("\"holder\":{}", self.value("holder")));
        }
        let turn = self.below(members.len());
        members.rotate_left(turn);
        format!("{{{}}}", members.join(","))
    }

    /// A date beside data, in every form that is one and some that are none. The question is asked at
    /// noon of 1 June 2026; periods are of 30 days and of a year.
    fn date(&mut self) -> String {
        let young = [
            "\"2026-05-31T12:00:00Z\"",
            "\"2026-05-30\"",
            "1780000000",
            "1780000000000",
            "\"2026-05-03\"",
            "\"2026-05-02T12:00:01Z\"",
            "\"2026-05-02T13:00:01+01:00\"",
            "\"2026-06-02T11:59:59Z\"",
            "\"2026-06-02\"",
        ];
        let old = [
            "\"2026-05-02T11:59:59Z\"",
            "\"2026-05-02\"",
            "\"2025-06-02\"",
            "\"2025-06-01\"",
            "1700000000",
            "1700000000000",
            "\"2026-06-02T12:00:01Z\"",
            "\"2026-06-03\"",
            "null",
            "\"soon\"",
            "\"\"",
            "true",
            "[]",
            "{}",
            "[\"2026-05-31T12:00:00Z\"]",
            "\"2026-13-01\"",
            "-1",
        ];
        if self.one_in(3) { self.choose(&old) } else { self.choose(&young) }.to_owned()
    }

    /// Where somebody is, as an answer says.
    fn country(&mut self) -> String {
        let usual = ["null", "\"DE\"", "\"FR\"", "\"EEA\"", "\"US\"", "\"de\""];
        let odd = ["\"CN\"", "\"Germany\"", "7", "true", "[\"DE\"]", "{}"];
        if self.one_in(5) { self.choose(&odd) } else { self.choose(&usual) }.to_owned()
    }

    /// A value, mostly a text that names its member.
    fn value(&mut self, name: &str) -> String {
        let number = self.below(900) + 100;
        match self.below(14) {
            0 => "null".to_owned(),
            1 => self.choose(&["true", "false", "[]", "{}", "\"\"", "\"ab\""]).to_owned(),
            2 => number.to_string(),
            3 => format!("[\"{name}-a{number}\",{{\"id\":\"{name}-b{number}\"}},{number}]"),
            4 => format!("{{\"name\":\"{name}-c{number}\"}}"),
            5..=6 => format!("\"19{}-0{}-1{}\"", number % 90 + 10, number % 9 + 1, number % 9),
            _ => format!("\"{name}-{number}\""),
        }
    }
}
