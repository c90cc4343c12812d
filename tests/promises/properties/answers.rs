//! What backends say in worlds by chance: mostly what the rules expect, now and then what they do not.

use super::chance::Chance;
use super::world::{BASKET, GROUP, NAMED, NOTE, ORDER, PEOPLE, PERSON};

impl Chance {
    /// An answer on this route.
    pub(super) fn answer(&mut self, route: usize) -> String {
        let id = self.id();
        match route {
            PERSON => self.object(&["id", "name", "mail", "phones", "deep", "state", "extra"], &id),
            PEOPLE => {
                let people: Vec<_> = (0..self.below(5))
                    .map(|_| {
                        let id = self.id();
                        let names =
                            ["id", "name", "mail", "phones", "deep", "state", "dealer", "extra"];
                        self.object(&names, &id)
                    })
                    .collect();
                format!(r#"{{"page":1,"people":[{}],"total":9,"extra":"x"}}"#, people.join(","))
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
                        let seller = self.object(&["id", "name"], &id);
                        let rest = self.object(&["sum", "mail", "dealer"], "0");
                        format!(r#"{{"seller":{seller},{}"#, &rest[1..])
                    })
                    .map(|line| line.replace(",}", "}"))
                    .collect();
                let buyer = self.object(&["id", "name", "extra"], &id);
                let paid = self.value("paid");
                format!(
                    r#"{{"order":"o1","lines":[{}],"buyer":{buyer},"paid":{paid}}}"#,
                    lines.join(",")
                )
            }
            NOTE => {
                let author = self.object(&["id", "extra"], &id);
                let lines: Vec<_> =
                    (0..self.below(3)).map(|_| self.object(&["name", "extra"], "0")).collect();
                let rest = self.object(&["name", "note", "state"], "0");
                format!(r#"{{"author":{author},"lines":[{}],{}"#, lines.join(","), &rest[1..])
                    .replace(",}", "}")
            }
            GROUP => {
                let owner = self.object(&["id", "extra"], &id);
                let guests: Vec<_> = (0..self.below(4))
                    .map(|_| {
                        let id = self.id();
                        self.object(&["id", "name", "mail", "extra"], &id)
                    })
                    .collect();
                let rest = self.object(&["name", "state"], "0");
                format!(r#"{{"guests":[{}],"owner":{owner},{}"#, guests.join(","), &rest[1..])
                    .replace(",}", "}")
            }
            BASKET => {
                let lines: Vec<_> = (0..self.below(4))
                    .map(|_| self.object(&["name", "sum", "dealer"], "0"))
                    .collect();
                let sum = self.value("sum");
                format!(r#"{{"lines":[{}],"sum":{sum},"buyer":{id},"total":7}}"#, lines.join(","))
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
                "dealer" => {
                    self.choose(&["\"7\"", "7", "\"8\"", "8", "null", "[7]", "7.0"]).to_owned()
                }
                name => self.value(name),
            };
            members.push(format!("\"{name}\":{value}"));
            // A member that stands twice.
            if self.one_in(40) {
                let value = if *name == "id" { self.id() } else { self.value(name) };
                members.push(format!("\"{name}\":{value}"));
            }
        }
        format!("{{{}}}", members.join(","))
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
