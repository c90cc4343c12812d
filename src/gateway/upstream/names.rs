//! Where the names of a backend lead, looked up again and again.
//!
//! All addresses of a name count, IPv4 and IPv6. A name that cannot be looked up just now leads where
//! it led before: a name server that is down must not take the backend along.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::config::Place;

/// Longest wait for a name server.
const PATIENCE: Duration = Duration::from_secs(5);

/// The places of one backend and what is known of them.
#[derive(Debug)]
pub(super) struct Names {
    places: Vec<(Place, Vec<SocketAddr>)>,
}

impl Names {
    /// Addresses are known at once, names once they were looked up.
    pub(super) fn new(places: &[Place]) -> Self {
        let known = |place: &Place| {
            let address: Option<IpAddr> = place.host.parse().ok();
            address.map(|address| SocketAddr::new(address, place.port)).into_iter().collect()
        };
        Self { places: places.iter().map(|place| (place.clone(), known(place))).collect() }
    }

    /// Whether there is anything to look up.
    pub(super) fn has_names(&self) -> bool {
        self.places.iter().any(|(place, _)| place.host.parse::<IpAddr>().is_err())
    }

    /// All addresses, each once.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let mut all = Vec::new();
        for address in self.places.iter().flat_map(|(_, addresses)| addresses) {
            if !all.contains(address) {
                all.push(*address);
            }
        }
        all
    }

    /// Looks all names up. Whether each led somewhere.
    pub(super) async fn look_up(&mut self) -> bool {
        let mut all = true;
        for (place, addresses) in &mut self.places {
            if place.host.parse::<IpAddr>().is_ok() {
                continue;
            }
            let found = timeout(PATIENCE, lookup_host((place.host.as_str(), place.port))).await;
            all &= found.is_ok_and(|found| found.is_ok_and(|found| led_to(found, addresses)));
        }
        all
    }
}

/// Takes what was found, unless it is nothing. In an order of its own, so that turns go round alike
/// however the name server shuffles.
fn led_to(found: impl Iterator<Item = SocketAddr>, addresses: &mut Vec<SocketAddr>) -> bool {
    let mut found: Vec<SocketAddr> = found.collect();
    found.sort();
    found.dedup();
    if found.is_empty() {
        return false;
    }
    *addresses = found;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: &str, port: u16) -> Place {
        Place { host: host.to_owned(), port }
    }

    #[tokio::test]
    async fn names_are_looked_up_and_addresses_are_themselves() {
        let mut names = Names::new(&[place("10.0.0.1", 80), place("localhost", 81)]);
        assert!(names.has_names());
        assert_eq!(names.addresses(), ["10.0.0.1:80".parse().expect("one")]);
        assert!(names.look_up().await);
        let all = names.addresses();
        assert!(all.contains(&"127.0.0.1:81".parse().expect("one")), "{all:?}");
        assert!(!Names::new(&[place("::1", 80)]).has_names());
    }

    #[tokio::test]
    async fn a_name_that_leads_nowhere_leads_where_it_led() {
        // Source: RFC 6761 §6.4: there is no such name.
        let mut names = Names::new(&[place("gone.invalid", 80)]);
        let before: SocketAddr = "10.0.0.7:80".parse().expect("one");
        assert!(led_to([before, before].into_iter(), &mut names.places[0].1));
        assert!(!names.look_up().await);
        assert!(!led_to(std::iter::empty(), &mut names.places[0].1));
        assert_eq!(names.addresses(), [before]);
    }
}
