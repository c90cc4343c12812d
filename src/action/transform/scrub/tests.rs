//! What is taken out of a text, what stays, and what must not survive by chance.

use proptest::prelude::*;

use super::scrub;

fn scrubbed(text: &str) -> String {
    let mut out = Vec::new();
    scrub(text, &mut out);
    String::from_utf8(out).expect("JSON is UTF-8")
}

#[test]
fn what_has_a_form_of_its_own_becomes_a_mark() {
    for (text, expected) in [
        ("write to Anna.Beispiel+x@Example.invalid.", "write to [e-mail]."),
        ("<a@b.example.invalid>,c@d.example.invalid", "<[e-mail]>,[e-mail]"),
        ("jürgen@münchen.example.invalid", "[e-mail]"),
        ("mailto:a@b.invalid", "mailto:[e-mail]"),
        ("call +49 30 1234567!", "call [phone]!"),
        ("(+44) 20 7946 0001", "[phone]"),
        ("0049-30-1234567", "[phone]"),
        ("Tel. 030/1234567, 0171 1234567", "Tel. [phone], [phone]"),
        ("06 12 34 56 78", "[phone]"),
        ("(030) 1234567", "[phone]"),
        ("555-123-4567 or (555) 123-4567 or 1-800-555-1234", "[phone] or [phone] or [phone]"),
        ("phone: 6123 4567", "phone: [phone]"),
        ("my IBAN is DE89 3704 0044 0532 0130 00, thanks", "my IBAN is [IBAN], thanks"),
        ("gb82west12345698765432", "[IBAN]"),
        ("xxDE89370400440532013000yy", "xx[IBAN]yy"),
        ("card 4111 1111 1111 1111 exp 12/29", "card [card] exp 12/29"),
        ("4111-1111-1111-1111", "[card]"),
        ("4111111111111111", "[card]"),
        ("378282246310005", "[card]"),
        ("order 12 4111 1111 1111 1111 5 pots", "order 12 [card] 5 pots"),
        ("a411111111111111112b", "a[card]b"),
        ("from 203.0.113.9, port", "from [IP], port"),
        ("203.0.113.9:443.", "[IP]:443."),
        ("at 2001:db8::1.", "at [IP]."),
        ("::1", "[IP]"),
        ("see https://example.invalid/a?b=c). Bye", "see [URL]). Bye"),
        ("see www.example.invalid/u-1", "see [URL]"),
        ("\"https://a:b@example.invalid/\"", "\\\"[URL]\\\""),
        ("0301234567 4111 1111 1111 1111", "[phone] [card]"),
        ("a@b.example.invalid 203.0.113.9 +49 30 1234567", "[e-mail] [IP] [phone]"),
    ] {
        assert_eq!(scrubbed(text), expected, "{text}");
    }
}

#[test]
fn text_that_holds_none_of_it_stays() {
    for text in [
        "",
        "My neighbour did not answer.",
        "Bestellung 4711 vom 01.02.2026 um 08:30 Uhr, 12,50 EUR",
        "2026-11-24T08:30:00.1234567Z",
        "2026-11-24 13:48",
        "on 24/11/2026 10 pieces",
        "version 1.2.3 and 0.1234567",
        "a :: b, Vec::new, 12:30:45",
        "user@localhost, @nickname, a@b",
        "DE89 is no IBAN",
        "4111 1111 1111 1112",
        "1234 5678",
        "256.1.1.1 is none",
        "10115 Berlin, Hausnummer 030",
        "://",
        "www. is not",
        "日本語のテキスト、１２３",
    ] {
        assert_eq!(scrubbed(text), text, "{text}");
    }
}

/// Two figures that make the check come out. Source: ISO 13616.
fn iban(country: &str, account: &str) -> String {
    let number = |text: &str| {
        text.chars().fold(0_u32, |rest, sign| {
            let value = sign.to_digit(36).expect("letters and figures");
            if value < 10 { (rest * 10 + value) % 97 } else { (rest * 100 + value) % 97 }
        })
    };
    let check = 98 - number(&format!("{account}{country}00"));
    format!("{country}{check:02}{account}")
}

/// One figure that makes the check come out.
fn card(head: &str) -> String {
    let with = |last: u32| format!("{head}{last}");
    let passes = |text: &str| {
        let mut sum = 0;
        for (at, sign) in text.chars().rev().enumerate() {
            let mut value = sign.to_digit(10).expect("figures");
            if at % 2 == 1 {
                value *= 2;
            }
            sum += value / 10 + value % 10;
        }
        sum % 10 == 0
    };
    (0..10).map(with).find(|text| passes(text)).expect("one of ten does")
}

fn grouped(text: &str, by: usize, with: &str) -> String {
    let signs: Vec<char> = text.chars().collect();
    let groups: Vec<String> = signs.chunks(by).map(|group| group.iter().collect()).collect();
    groups.join(with)
}

/// Without what people put between groups, so that a value is found however it is written.
fn bare(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

proptest! {
    #[test]
    fn no_iban_survives(
        country in "[A-Z]{2}",
        account in "[A-Z0-9]{11,30}",
        before in "[a-z ,.ü]{0,8}",
        after in "|[ ,.!ü]|[ .,]{2}[a-z ]{0,8}",
        by in 2..35_usize,
        with in "[ -]",
    ) {
        let value = iban(&country, &account);
        let said = scrubbed(&format!("{before}{}{after}", grouped(&value, by, &with)));
        prop_assert!(!bare(&said).contains(&value), "{} in {}", value, said);
        let low = scrubbed(&format!("{before}{}{after}", value.to_lowercase()));
        prop_assert!(!bare(&low).contains(&value.to_lowercase()), "{} in {}", value, low);
    }

    #[test]
    fn no_card_number_survives(
        head in "[1-9][0-9]{11,17}",
        before in "|[a-zü ,]{1,8}|[a-z]{1,3}:",
        after in "|[a-zü,!]{1,8}",
        by in 2..20_usize,
        with in "[ .-]|\u{a0}",
    ) {
        let value = card(&head);
        let said = scrubbed(&format!("{before}{}{after}", grouped(&value, by, &with)));
        prop_assert!(!bare(&said).contains(&value), "{} in {}", value, said);
    }

    #[test]
    fn no_address_survives(
        name in "[a-z0-9.+_-]{1,12}",
        v4 in any::<[u8; 4]>(),
        v6 in any::<[u16; 8]>(),
        words in "[a-z ]{0,8}",
    ) {
        let email = format!("{name}@example.invalid");
        let v4 = core::net::Ipv4Addr::from(v4).to_string();
        let v6 = core::net::Ipv6Addr::from(v6).to_string();
        let said = scrubbed(&format!("{words} {email}, {v4}. {v6} {words}"));
        for value in [email, v4, v6] {
            prop_assert!(!said.contains(&value), "{} in {}", value, said);
        }
    }

    #[test]
    fn words_are_left_alone(
        text in "[A-Za-zäöüß ,;!?'\u{4e00}-\u{4e20}-]{0,60}|([a-z]{1,6}, [0-9]{1,5}; ){0,4}",
    ) {
        prop_assert_eq!(scrubbed(&text), text);
    }

    #[test]
    fn any_text_is_taken_and_written_as_json(
        text in "\\PC{0,80}|([0-9]{1,6}|[+(). :/\\\\\"-]|[a-f@ü]|DE|www\\.|://){0,40}",
    ) {
        let said: Result<String, _> = serde_json::from_str(&format!("\"{}\"", scrubbed(&text)));
        prop_assert!(said.is_ok());
    }
}
