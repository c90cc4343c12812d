//! Which of several addresses a request goes to. Pure.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;

use crate::config::Balance;
use crate::terms::DataSubject;

/// What a choice rests on.
pub(super) struct Choice<'a> {
    /// How it is made.
    pub(super) balance: Balance,
    /// The number of the request among those of its backend.
    pub(super) turn: usize,
    /// Whom the request is about, as far as path and query say.
    pub(super) subject: Option<&'a DataSubject>,
    /// The key of the process, so that nobody can choose ids that meet on one address.
    pub(super) keys: &'a RandomState,
}

impl Choice<'_> {
    /// One of these addresses, each with the number of requests under way there.
    pub(super) fn among(&self, addresses: &[(SocketAddr, usize)]) -> Option<SocketAddr> {
        let first = self.turn.checked_rem(addresses.len())?;
        let in_turn = addresses[first..].iter().chain(&addresses[..first]);
        let chosen = match (self.balance, self.subject) {
            (Balance::LeastRequests, _) => in_turn.min_by_key(|(_, under_way)| *under_way),
            // The highest bidder: whoever comes or goes moves only what it takes or leaves.
            // Source: D. Thaler, C. Ravishankar, Using Name-Based Mappings (rendezvous hashing), 1998.
            (Balance::Subject, Some(subject)) => addresses
                .iter()
                .max_by_key(|(address, _)| self.keys.hash_one((subject.expose(), address))),
            (Balance::RoundRobin | Balance::Subject, _) => addresses.get(first),
        };
        chosen.map(|(address, _)| *address)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::terms::Personal;

    fn addresses(of: &[u16]) -> Vec<(SocketAddr, usize)> {
        of.iter().map(|port| (SocketAddr::from(([127, 0, 0, 1], *port)), 0)).collect()
    }

    fn port(balance: Balance, turn: usize, among: &[(SocketAddr, usize)]) -> u16 {
        let keys = RandomState::new();
        let choice = Choice { balance, turn, subject: None, keys: &keys };
        choice.among(among).expect("one").port()
    }

    #[test]
    fn turns_go_round_and_no_address_is_nobody() {
        let three = addresses(&[1, 2, 3]);
        for balance in [Balance::RoundRobin, Balance::Subject, Balance::LeastRequests] {
            let went: Vec<u16> = (0..5).map(|turn| port(balance, turn, &three)).collect();
            assert_eq!(went, [1, 2, 3, 1, 2], "{balance:?}: alike, and about nobody");
        }
        let keys = RandomState::new();
        let choice = Choice { balance: Balance::RoundRobin, turn: 7, subject: None, keys: &keys };
        assert_eq!(choice.among(&[]), None);
    }

    #[test]
    fn the_least_asked_is_asked() {
        let mut three = addresses(&[1, 2, 3]);
        (three[0].1, three[1].1, three[2].1) = (4, 2, 3);
        for turn in 0..3 {
            assert_eq!(port(Balance::LeastRequests, turn, &three), 2);
        }
    }

    #[test]
    fn a_person_stays_where_they_are_when_another_address_goes() {
        let keys = RandomState::new();
        let ask = |person: usize, among: &[(SocketAddr, usize)]| {
            let subject = Personal::new(Arc::from(format!("u{person}")));
            let (balance, subject) = (Balance::Subject, Some(&subject));
            Choice { balance, turn: person, subject, keys: &keys }.among(among).expect("one").port()
        };
        let (four, three) = (addresses(&[1, 2, 3, 4]), addresses(&[1, 2, 4]));
        let mut shares = BTreeMap::new();
        for person in 0..1000 {
            let before = ask(person, &four);
            assert_eq!(ask(person, &four), before, "always the same");
            *shares.entry(before).or_insert(0) += 1;
            if before != 3 {
                assert_eq!(ask(person, &three), before, "{person}");
            }
        }
        assert!(shares.len() == 4 && shares.values().all(|people| *people > 150), "{shares:?}");
    }
}
