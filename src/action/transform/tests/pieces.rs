//! A string in pieces becomes what the whole string becomes.

use proptest::prelude::*;

use super::plain::any_text;
use super::{Action, Applied, Canonical, Scalar, Treatment, treatment};
use crate::action::Mask;
use crate::action::lattice::tests::any_action;
use crate::action::transform::last::LONGEST;

/// The types whose canonical form is short.
const TYPES: [Canonical; 3] = [Canonical::Phone, Canonical::Uuid, Canonical::Ip];

/// Values of the short types, spelt in many ways, and near misses.
fn any_id() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        "[+]{0,2}[0-9 ./()-]{1,40}",
        "203\\.0\\.113\\.[0-9]{1,3}",
        "2001:db8:[0-9a-f]{1,4}::[0-9]{0,5}",
        "(urn:uuid:|\\{)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\\}?",
        "[0-9a-fA-F]{30,34}",
        "[0-9]{60,70}",
    ];
    ("[ \t\n\u{a0}\u{2003}]{0,3}", value, "[ \t\n\u{a0}\u{2003}-]{0,3}", "|[ \t\u{a0}]{1,80}|x|7")
        .prop_map(|(before, value, after, end)| format!("{before}{value}{after}{end}"))
}

fn whole(treatment: &Treatment, text: &str) -> (String, Applied) {
    let mut out = Vec::new();
    let applied = treatment.apply(Scalar::String(text), &mut out);
    (String::from_utf8(out).expect("JSON is UTF-8"), applied)
}

/// `None` where the action needs the whole value. `cuts` are lengths of pieces, used in turn.
fn in_pieces(treatment: &Treatment, text: &str, cuts: &[usize]) -> Option<(String, Applied)> {
    let mut incremental = treatment.incremental()?;
    let mut rest = text;
    for cut in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, later) = rest.split_at(rest.ceil_char_boundary(*cut));
        incremental.update(piece);
        rest = later;
    }
    let mut out = Vec::new();
    let applied = incremental.finish(&mut out);
    Some((String::from_utf8(out).expect("JSON is UTF-8"), applied))
}

#[test]
fn these_actions_take_a_string_in_pieces_and_these_need_it_whole() {
    let cases = [
        ("blank", Canonical::Text, true),
        ("redact", Canonical::Text, true),
        ("mask last 4", Canonical::Text, true),
        ("pseudonym", Canonical::Phone, true),
        ("pseudonym daily", Canonical::Uuid, true),
        ("token", Canonical::Ip, true),
        // Their length enters the MAC in front of them.
        ("pseudonym", Canonical::Text, false),
        ("pseudonym", Canonical::Email, false),
        ("token", Canonical::Text, false),
        ("keep", Canonical::Text, false),
        ("scrub", Canonical::Text, false),
        ("mask first 2", Canonical::Text, false),
        ("generalise day", Canonical::Text, false),
    ];
    for (action, canonical, expected) in cases {
        let treatment = Treatment { canonical, ..treatment(action.parse().expect("an action")) };
        assert_eq!(treatment.incremental().is_some(), expected, "{action} of {canonical:?}");
    }
}

#[test]
fn a_character_without_end_is_blanked_wherever_the_pieces_end() {
    let treatment = treatment(Action::Mask(Mask::Last(4)));
    let heaped = |marks: usize| format!("Testina a{} Musterfrau", "\u{301}".repeat(marks));
    let longest = heaped((LONGEST - 1) / 2);
    let beyond = heaped(LONGEST);
    for cut in [1, 2, 7, 255, 256, 257, 10_000] {
        let expected = whole(&treatment, &longest);
        assert_eq!(in_pieces(&treatment, &longest, &[cut]), Some(expected), "{cut}");
        let blanked = Some(("\"\"".to_owned(), Applied::Blanked));
        assert_eq!(in_pieces(&treatment, &beyond, &[cut]), blanked, "{cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn pieces_of_a_text_become_what_the_text_becomes(
        action in prop_oneof![
            1 => any_action(),
            2 => (0..9_u8).prop_map(|n| Action::Mask(Mask::Last(n))),
        ],
        texts in prop::collection::vec(any_text(), 0..24),
        cuts in prop::collection::vec(prop_oneof![1..4_usize, 1..400_usize], 1..6),
    ) {
        let text = texts.concat();
        let treatment = treatment(action);
        if let Some(result) = in_pieces(&treatment, &text, &cuts) {
            prop_assert_eq!(result, whole(&treatment, &text), "{:?} of {:?}", treatment.action, text);
        }
    }

    #[test]
    fn pieces_of_an_id_get_the_pseudonym_of_the_id(
        id in any_id(),
        canonical in prop::sample::select(&TYPES),
        action in prop::sample::select(&["pseudonym", "token"]),
        cuts in prop::collection::vec(1..9_usize, 1..6),
    ) {
        let treatment = Treatment { canonical, ..treatment(action.parse().expect("an action")) };
        let expected = Some(whole(&treatment, &id));
        prop_assert_eq!(in_pieces(&treatment, &id, &cuts), expected, "{:?} of {:?}", canonical, id);
    }
}
