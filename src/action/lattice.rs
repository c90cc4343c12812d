//! The lattice of strictness. Combining rules is the join: no order, no priority, no first match.
//!
//! Actions of one family (masks, dates, amounts, …) form a chain and meet at the stricter of them;
//! actions of two families meet at `blank`, since nothing less satisfies both. `keep` is the bottom,
//! then every family, then `blank`, `remove`, `drop`, `refuse`.

/// What is done to one value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Released as it is.
    Keep,
    /// Characters replaced by a fixed sign.
    Mask(Mask),
    /// The first letter of each word.
    Initials,
    /// The first word only.
    FirstWord,
    /// A coarser value of the same kind.
    Generalise(Generalisation),
    /// An IP address cut to its network, in bits for each family.
    IpPrefix {
        /// Bits kept of an IPv4 address, 0 to 32.
        v4: u8,
        /// Bits kept of an IPv6 address, 0 to 128.
        v6: u8,
    },
    /// A user agent's family and major version.
    AgentFamily,
    /// A URL's path with each identifying segment replaced.
    PathTemplate,
    /// A URL's scheme, host and port.
    Origin,
    /// Format-preserving encryption of an opaque number.
    Fpe,
    /// A reversible pseudonym.
    Token,
    /// A one-way pseudonym: a keyed hash in the recipient's domain, for a period.
    Pseudonym(Period),
    /// Free text with what the detectors find taken out. Best effort.
    Scrub,
    /// Released only in elements of which the caller is a party.
    OwnLines,
    /// Replaced by a placeholder of the same JSON type.
    Blank,
    /// The member is taken out.
    Remove,
    /// The whole element is taken out.
    Drop,
    /// The whole answer is refused.
    Refuse,
}

/// Masks, from the one that shows most to the one that shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mask {
    /// A payment card's issuer number and its last four digits. Source: PCI DSS 4.0 §3.4.1.
    BinAndLast4,
    /// The first characters.
    First(u8),
    /// The last characters.
    Last(u8),
    /// Only how long the value is.
    Length,
    /// Nothing, not even the length.
    Redact,
}

/// Coarser values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Generalisation {
    /// A time, cut to the hour in UTC.
    Hour,
    /// A date, cut to the day.
    Day,
    /// A date, cut to the month.
    Month,
    /// A date, cut to the quarter.
    Quarter,
    /// A date, cut to the year.
    Year,
    /// A year or an age as a band of so many years.
    YearBand(u16),
    /// A number as the multiple of so much beneath it.
    Bucket(u64),
    /// A number rounded half-even to a power of ten: the exponent.
    Round(u8),
    /// The first characters, the rest as `*`.
    Prefix(u8),
    /// A coordinate on a grid of 10^-n degrees, n from 3 down to 0.
    Degrees(u8),
    /// The group that the category's table assigns, else `other`.
    Group,
}

/// For how long a pseudonym stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    /// As long as the key.
    Unlimited,
    /// One calendar year, UTC.
    Year,
    /// One calendar month, UTC.
    Month,
    /// One ISO week, UTC.
    Week,
    /// One day, UTC.
    Day,
}

/// The largest step that a joined bucket or band may have; beyond it the join is `blank`.
const LARGEST_STEP: u64 = 1_000_000_000_000_000;

impl Action {
    /// The stricter of two actions: the least action that satisfies both.
    #[must_use]
    #[allow(clippy::match_same_arms, reason = "the arms are read in the order of strictness")]
    pub fn join(self, other: Self) -> Self {
        use Action::{
            AgentFamily, Blank, Drop, FirstWord, Fpe, Generalise, Initials, IpPrefix, Keep, Mask,
            Origin, OwnLines, PathTemplate, Pseudonym, Refuse, Remove, Scrub, Token,
        };
        match (self, other) {
            (Keep, action) | (action, Keep) => action,
            (Refuse, _) | (_, Refuse) => Refuse,
            (Drop, _) | (_, Drop) => Drop,
            (Remove, _) | (_, Remove) => Remove,
            (Blank, _) | (_, Blank) => Blank,
            (Mask(a), Mask(b)) => Mask(a.join(b)),
            (Generalise(a), Generalise(b)) => a.join(b).map_or(Blank, Generalise),
            (IpPrefix { v4: a4, v6: a6 }, IpPrefix { v4: b4, v6: b6 }) => {
                IpPrefix { v4: a4.min(b4), v6: a6.min(b6) }
            }
            (Pseudonym(a), Pseudonym(b)) => Pseudonym(a.max(b)),
            (Pseudonym(period), Token | Fpe) | (Token | Fpe, Pseudonym(period)) => {
                Pseudonym(period)
            }
            (Token, Token | Fpe) | (Fpe, Token) => Token,
            (Fpe, Fpe) => Fpe,
            (Origin, Origin | PathTemplate) | (PathTemplate, Origin) => Origin,
            (PathTemplate, PathTemplate) => PathTemplate,
            (Initials, Initials) => Initials,
            (FirstWord, FirstWord) => FirstWord,
            (AgentFamily, AgentFamily) => AgentFamily,
            (Scrub, Scrub) => Scrub,
            (OwnLines, OwnLines) => OwnLines,
            (
                Mask(_)
                | Initials
                | FirstWord
                | Generalise(_)
                | IpPrefix { .. }
                | AgentFamily
                | PathTemplate
                | Origin
                | Fpe
                | Token
                | Pseudonym(_)
                | Scrub
                | OwnLines,
                Mask(_)
                | Initials
                | FirstWord
                | Generalise(_)
                | IpPrefix { .. }
                | AgentFamily
                | PathTemplate
                | Origin
                | Fpe
                | Token
                | Pseudonym(_)
                | Scrub
                | OwnLines,
            ) => Blank,
        }
    }

    /// Whether `self` is `other` or stricter.
    #[must_use]
    pub fn at_least(&self, other: &Self) -> bool {
        self.clone().join(other.clone()) == *self
    }

    /// Whether something of the value remains in the answer.
    #[must_use]
    pub const fn releases(&self) -> bool {
        !matches!(self, Self::Blank | Self::Remove | Self::Drop | Self::Refuse)
    }

    /// Whether it makes something that only a key makes the same again.
    #[must_use]
    pub const fn needs_key(&self) -> bool {
        matches!(self, Self::Fpe | Self::Token | Self::Pseudonym(_))
    }

    /// Whether a value under this action stands in the key of a group of people. A pseudonym tells people
    /// apart, and there is no other use for one among groups.
    #[must_use]
    pub const fn tells_groups_apart(&self) -> bool {
        match self {
            Self::Keep
            | Self::Mask(_)
            | Self::Initials
            | Self::FirstWord
            | Self::Generalise(_)
            | Self::IpPrefix { .. }
            | Self::AgentFamily
            | Self::PathTemplate
            | Self::Origin => true,
            Self::Fpe
            | Self::Token
            | Self::Pseudonym(_)
            | Self::Scrub
            | Self::OwnLines
            | Self::Blank
            | Self::Remove
            | Self::Drop
            | Self::Refuse => false,
        }
    }

    /// Whether the value leaves in clear, so that filtering on it tells the recipient nothing new.
    /// Whoever gets tokens asks with tokens: an answer to the value would tell whose the token is.
    #[must_use]
    pub const fn may_be_queried(&self) -> bool {
        matches!(self, Self::Keep)
    }
}

impl Mask {
    #[allow(clippy::match_same_arms, reason = "the arms are read in the order of strictness")]
    fn join(self, other: Self) -> Self {
        use Mask::{BinAndLast4, First, Last, Length, Redact};
        match (self, other) {
            (Redact, _) | (_, Redact) => Redact,
            (Length, _) | (_, Length) => Length,
            (First(a), First(b)) => First(a.min(b)),
            (Last(a), Last(b)) => Last(a.min(b)),
            (BinAndLast4, BinAndLast4) => BinAndLast4,
            (BinAndLast4, Last(n)) | (Last(n), BinAndLast4) => Last(n.min(4)),
            // What the start and the end have in common is the length.
            (First(_), Last(_) | BinAndLast4) | (Last(_) | BinAndLast4, First(_)) => Length,
        }
    }
}

impl Generalisation {
    /// `None` where nothing short of `blank` satisfies both.
    fn join(self, other: Self) -> Option<Self> {
        use Generalisation::{
            Bucket, Day, Degrees, Group, Hour, Month, Prefix, Quarter, Round, Year, YearBand,
        };
        if let (Some(a), Some(b)) = (self.calendar_rank(), other.calendar_rank()) {
            return Some(match (self, other) {
                (YearBand(a), YearBand(b)) => {
                    YearBand(u16::try_from(common_multiple(u64::from(a), u64::from(b))?).ok()?)
                }
                _ if a >= b => self,
                _ => other,
            });
        }
        match (self, other) {
            (Round(a), Round(b)) => Some(Round(a.max(b))),
            (Bucket(a), Bucket(b)) => common_multiple(a, b).map(Bucket),
            (Bucket(step), Round(exponent)) | (Round(exponent), Bucket(step)) => {
                common_multiple(step, 10_u64.checked_pow(u32::from(exponent))?).map(Bucket)
            }
            (Prefix(a), Prefix(b)) => Some(Prefix(a.min(b))),
            (Degrees(a), Degrees(b)) => Some(Degrees(a.min(b))),
            (Group, Group) => Some(Group),
            (
                Hour | Day | Month | Quarter | Year | YearBand(_) | Bucket(_) | Round(_)
                | Prefix(_) | Degrees(_) | Group,
                _,
            ) => None,
        }
    }

    /// Where it stands in the chain of the calendar; `None` outside it.
    const fn calendar_rank(self) -> Option<u8> {
        match self {
            Self::Hour => Some(0),
            Self::Day => Some(1),
            Self::Month => Some(2),
            Self::Quarter => Some(3),
            Self::Year => Some(4),
            Self::YearBand(_) => Some(5),
            Self::Bucket(_) | Self::Round(_) | Self::Prefix(_) | Self::Degrees(_) | Self::Group => {
                None
            }
        }
    }
}

fn common_multiple(a: u64, b: u64) -> Option<u64> {
    let (mut gcd, mut rest) = (a, b);
    while rest != 0 {
        (gcd, rest) = (rest, gcd % rest);
    }
    let step = (a / gcd.max(1)).checked_mul(b)?;
    (step > 0 && step <= LARGEST_STEP).then_some(step)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any action at all, for the laws here and for those of the compiler.
    pub(crate) fn any_action() -> impl Strategy<Value = Action> {
        let mask = prop_oneof![
            Just(Mask::BinAndLast4),
            (1..9_u8).prop_map(Mask::First),
            (1..9_u8).prop_map(Mask::Last),
            Just(Mask::Length),
            Just(Mask::Redact),
        ];
        let generalisation = prop_oneof![
            Just(Generalisation::Hour),
            Just(Generalisation::Day),
            Just(Generalisation::Month),
            Just(Generalisation::Quarter),
            Just(Generalisation::Year),
            prop_oneof![Just(5_u16), Just(10), Just(7), Just(60_000)]
                .prop_map(Generalisation::YearBand),
            prop_oneof![Just(10_u64), Just(25), Just(100), Just(999_999_999_999_989)]
                .prop_map(Generalisation::Bucket),
            (0..16_u8).prop_map(Generalisation::Round),
            (0..5_u8).prop_map(Generalisation::Prefix),
            (0..4_u8).prop_map(Generalisation::Degrees),
            Just(Generalisation::Group),
        ];
        let period = prop_oneof![
            Just(Period::Unlimited),
            Just(Period::Year),
            Just(Period::Month),
            Just(Period::Week),
            Just(Period::Day)
        ];
        prop_oneof![
            Just(Action::Keep),
            mask.prop_map(Action::Mask),
            Just(Action::Initials),
            Just(Action::FirstWord),
            generalisation.prop_map(Action::Generalise),
            (0..33_u8, 0..129_u8).prop_map(|(v4, v6)| Action::IpPrefix { v4, v6 }),
            Just(Action::AgentFamily),
            Just(Action::PathTemplate),
            Just(Action::Origin),
            Just(Action::Fpe),
            Just(Action::Token),
            period.prop_map(Action::Pseudonym),
            Just(Action::Scrub),
            Just(Action::OwnLines),
            Just(Action::Blank),
            Just(Action::Remove),
            Just(Action::Drop),
            Just(Action::Refuse),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn the_join_is_a_semilattice(a in any_action(), b in any_action(), c in any_action()) {
            let join = |x: &Action, y: &Action| x.clone().join(y.clone());
            prop_assert_eq!(join(&a, &a), a.clone());
            prop_assert_eq!(join(&a, &b), join(&b, &a));
            prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
            prop_assert!(join(&a, &b).at_least(&a) && join(&a, &b).at_least(&b));
        }

        #[test]
        fn keep_is_the_bottom_and_refuse_the_top(a in any_action()) {
            prop_assert_eq!(a.clone().join(Action::Keep), a.clone());
            prop_assert_eq!(a.join(Action::Refuse), Action::Refuse);
        }
    }

    #[test]
    fn two_families_meet_at_blank() {
        let last4 = Action::Mask(Mask::Last(4));
        assert_eq!(last4.join(Action::Pseudonym(Period::Unlimited)), Action::Blank);
    }
}
