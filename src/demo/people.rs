//! Invented people. Nobody here exists: names say so, e-mail is under `example.invalid`
//! (RFC 2606), telephone numbers are from ranges kept for fiction, card numbers from test BINs,
//! bank accounts from the country code `XX`, addresses of machines from RFC 5737 and RFC 3849.

use jiff::civil::Date;

use super::dice::Dice;

/// The seed of the demo. A change alters the tour in the README.
pub const DEMO_SEED: u64 = 20_260_901;

/// How many people the demo has.
pub const DEMO_COUNT: usize = 3_000;

/// The number of the first person; ids of all backends end in it (`u-1001`, `c-1001`, `w-1001`).
pub const FIRST_NUMBER: usize = 1_001;

/// An oddity that backends build into a person's records. The first ten people are plain, so that
/// they can be shown; after that every tenth is odd in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corner {
    /// Nothing odd.
    Plain,
    /// Members are `null`.
    Nulls,
    /// Members are left out.
    Missing,
    /// Member names are spelt with escapes.
    EscapedNames,
    /// Values are spelt with escapes.
    EscapedValues,
    /// Objects and arrays stand where a string is expected.
    Nested,
    /// Strings are empty.
    Empty,
}

/// One invented person.
#[derive(Clone)]
#[allow(missing_docs, reason = "the names of the fields say all there is")]
pub struct Person {
    pub number: usize,
    pub corner: Corner,
    pub given_name: String,
    pub family_name: String,
    pub nickname: String,
    pub email: String,
    pub phone: String,
    pub street: String,
    pub city: String,
    pub postal_code: String,
    pub country: &'static str,
    pub birth_date: Date,
    /// Whole years on the day the demo's records were written, 2026-09-01.
    pub age: i16,
    pub gender: &'static str,
    pub occupation: &'static str,
    pub language: &'static str,
    pub card_number: String,
    pub card_expiry: String,
    pub bank_account: String,
    pub ip: String,
    pub agent: &'static str,
    /// An opaque handle that the person shows to others.
    pub public_id: String,
}

impl Person {
    /// Given and family name.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.given_name, self.family_name)
    }

    /// The whole postal address on one line.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}, {} {}", self.street, self.postal_code, self.city)
    }
}

/// All invented people of a backend, by number.
pub struct People {
    seed: u64,
    people: Vec<Person>,
}

impl People {
    /// The people of the demo.
    #[must_use]
    pub fn of_the_demo() -> Self {
        Self::from_seed(DEMO_SEED, DEMO_COUNT)
    }

    /// `count` people. The same seed gives the same people, and a greater count adds to them.
    #[must_use]
    pub fn from_seed(seed: u64, count: usize) -> Self {
        let numbers = FIRST_NUMBER..FIRST_NUMBER + count;
        Self { seed, people: numbers.map(|number| person(seed, number)).collect() }
    }

    /// Everyone, in order.
    #[must_use]
    pub fn all(&self) -> &[Person] {
        &self.people
    }

    /// Everyone, to plant values that a test looks for later.
    pub fn all_mut(&mut self) -> &mut [Person] {
        &mut self.people
    }

    /// The person whose id of one backend this is: `prefix` and number, in the one spelling that
    /// registers know. A second spelling (`u-01001`) would pass by an erasure.
    #[must_use]
    pub fn by_id(&self, prefix: &str, id: &str) -> Option<&Person> {
        let digits = id.strip_prefix(prefix)?;
        let person = self.by_number(digits.parse().ok()?)?;
        (person.number.to_string() == digits).then_some(person)
    }

    /// The person with this number.
    #[must_use]
    pub fn by_number(&self, number: usize) -> Option<&Person> {
        self.people.get(number.checked_sub(FIRST_NUMBER)?)
    }

    /// Someone, the same one for the same `place`; `None` only without any people.
    pub(super) fn anyone(&self, place: u64) -> Option<&Person> {
        let count = u64::try_from(self.people.len()).ok().filter(|&count| count > 0)?;
        self.people.get(usize::try_from(place % count).ok()?)
    }

    /// Dice for a record of one of these people.
    pub(super) fn dice(&self, stream: &str, number: usize) -> Dice {
        Dice::of(self.seed, stream, number)
    }
}

const GIVEN_NAMES: [&str; 16] = [
    "Testina",
    "Probina",
    "Fiktiva",
    "Exempla",
    "Mockbert",
    "Dummyna",
    "Beispielo",
    "Imagina",
    "Specimena",
    "Nullbert",
    "Prøvina",
    "Éxempline",
    "Näytte",
    "Örnek",
    "サンプル子",
    "Тестина",
];
const FAMILY_NAMES: [&str; 16] = [
    "Musterfrau",
    "Mustermann",
    "Niemand",
    "Placeholder",
    "Erfunden",
    "Nemo",
    "O'Exemplo",
    "Beispiel-Probe",
    "Fiktivsen",
    "Contoh",
    "Rekaan",
    "Müllermuster",
    "Żadna",
    "d’Invention",
    "例子",
    "Никто",
];
const STREETS: [&str; 8] = [
    "Jalan Contoh",
    "Lorong Rekaan",
    "Musterweg",
    "Placeholder Lane",
    "Rue de l'Exemple",
    "Beispielallee",
    "Persiaran Ujian",
    "Nowhere Street",
];
const CITIES: [(&str, &str); 6] = [
    ("Kota Contoh", "50"),
    ("Bandar Rekaan", "47"),
    ("Ujianville", "10"),
    ("Fiktivbury", "80"),
    ("Musterstadt", "88"),
    ("Nusa Khayalan", "93"),
];
const COUNTRIES: [&str; 5] = ["MY", "DE", "HK", "SG", "US"];
const GENDERS: [&str; 3] = ["f", "m", "x"];
const OCCUPATIONS: [&str; 10] = [
    "nurse",
    "teacher",
    "baker",
    "welder",
    "programmer",
    "cook",
    "driver",
    "student",
    "farmer",
    "lighthouse keeper",
];
const LANGUAGES: [&str; 5] = ["ms", "en", "de", "zh", "ta"];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.7339.80 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "demo-app/7.3.1 (build 9921; contact testina@example.invalid)",
];
/// First six digits of numbers that card schemes keep for tests.
const TEST_BINS: [&str; 4] = ["411111", "424242", "555555", "400000"];

fn person(seed: u64, number: usize) -> Person {
    let mut dice = Dice::of(seed, "person", number);
    // The first ten have names that every terminal can show.
    let names = if number < FIRST_NUMBER + 10 { 10 } else { GIVEN_NAMES.len() };
    let given_name = dice.pick(&GIVEN_NAMES[..names]);
    let family_name = dice.pick(&FAMILY_NAMES[..names]);
    let (city, postal_prefix) = dice.pick(&CITIES);
    let year = 1936 + i16::try_from(dice.below(75)).unwrap_or(0);
    let month = 1 + i8::try_from(dice.below(12)).unwrap_or(0);
    let day = 1 + i8::try_from(dice.below(28)).unwrap_or(0);
    let birth_date = Date::constant(year, month, day);
    let had_birthday = (month, day) <= (9, 1);
    let bin = dice.pick(&TEST_BINS);
    let card_body = format!("{bin}{}", dice.digits(9));
    Person {
        number,
        corner: corner(number),
        given_name: given_name.to_owned(),
        family_name: family_name.to_owned(),
        nickname: format!("{}_{number}", dice.pick(&["pasar", "rasa", "kilat", "teh", "mask"])),
        email: format!("testina.{number}@example.invalid"),
        // +44 20 7946 0xxx is kept for drama. Source: Ofcom, telephone numbers for drama use.
        phone: format!("+44 20 7946 0{:03}", number % 1000),
        street: format!("{} {}", 1 + dice.below(240), dice.pick(&STREETS)),
        city: city.to_owned(),
        postal_code: format!("{postal_prefix}{}", dice.digits(3)),
        country: dice.pick(&COUNTRIES),
        birth_date,
        age: 2026 - year - i16::from(!had_birthday),
        gender: dice.pick(&GENDERS),
        occupation: dice.pick(&OCCUPATIONS),
        language: dice.pick(&LANGUAGES),
        card_number: with_check_digit(&card_body),
        card_expiry: format!("{:02}/{}", 1 + dice.below(12), 28 + dice.below(5)),
        bank_account: format!("XX00 TEST {} {}", dice.digits(4), dice.digits(4)),
        ip: if dice.below(4) == 0 {
            format!("2001:db8:{:x}:{:x}::{:x}", dice.below(65_536), dice.below(256), number)
        } else {
            format!("{}.{}", dice.pick(&["192.0.2", "198.51.100", "203.0.113"]), number % 256)
        },
        agent: dice.pick(&AGENTS),
        public_id: format!("lm-{}", dice.digits(9)),
    }
}

/// Oddities come in a fixed order, so that a test can name one by its number.
fn corner(number: usize) -> Corner {
    let place = number - FIRST_NUMBER;
    if place < 10 || !place.is_multiple_of(10) {
        return Corner::Plain;
    }
    match (place / 10) % 6 {
        1 => Corner::Nulls,
        2 => Corner::Missing,
        3 => Corner::EscapedNames,
        4 => Corner::EscapedValues,
        5 => Corner::Nested,
        _ => Corner::Empty,
    }
}

/// Appends the check digit. Source: ISO/IEC 7812-1 annex B (Luhn).
fn with_check_digit(body: &str) -> String {
    let sum: u32 = body
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte - b'0');
            match place % 2 {
                0 if digit > 4 => 2 * digit - 9,
                0 => 2 * digit,
                _ => digit,
            }
        })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Corner, FIRST_NUMBER, People, with_check_digit};

    #[test]
    fn nobody_in_the_demo_could_be_a_real_person() {
        for person in People::of_the_demo().all() {
            assert!(person.email.ends_with("@example.invalid"));
            assert!(person.phone.starts_with("+44 20 7946 0"));
            assert!(person.bank_account.starts_with("XX00 TEST"));
            assert!((15..=91).contains(&person.age), "{}", person.number);
        }
    }

    #[test]
    fn a_greater_count_adds_people_and_changes_none() {
        let (few, many) = (People::from_seed(7, 20), People::from_seed(7, 200));
        for (a, b) in few.all().iter().zip(many.all()) {
            assert_eq!((a.name(), &a.card_number), (b.name(), &b.card_number));
        }
        assert!(few.by_number(FIRST_NUMBER + 20).is_none());
        assert!(few.by_number(FIRST_NUMBER - 1).is_none());
        assert!(few.by_id("u-", "u-1001").is_some());
        for other_spelling in ["u-1001x", "u-01001", "u-+1001", "c-1001", "u-", ""] {
            assert!(few.by_id("u-", other_spelling).is_none(), "{other_spelling}");
        }
    }

    #[test]
    fn what_tells_people_apart_is_unique_and_every_oddity_occurs() {
        let people = People::of_the_demo();
        let emails: HashSet<_> = people.all().iter().map(|person| &person.email).collect();
        assert_eq!(emails.len(), people.all().len());
        for corner in [
            Corner::Plain,
            Corner::Nulls,
            Corner::Missing,
            Corner::EscapedNames,
            Corner::EscapedValues,
            Corner::Nested,
            Corner::Empty,
        ] {
            assert!(people.all().iter().any(|person| person.corner == corner), "{corner:?}");
        }
    }

    #[test]
    fn card_numbers_carry_a_right_check_digit() {
        assert_eq!(with_check_digit("411111111111111"), "4111111111111111");
        assert_eq!(with_check_digit("555555555555444"), "5555555555554444");
    }
}
