//! Connections by where they come from, so that no one address holds all that there are.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Open connections by address. Holds no more entries than there are connections.
#[derive(Default)]
pub(super) struct Addresses(Mutex<HashMap<IpAddr, usize>>);

/// One open connection of an address, until it is dropped.
pub(super) struct FromAddress {
    addresses: Arc<Addresses>,
    network: IpAddr,
}

impl Addresses {
    /// Takes one more connection from `address`, if it has fewer than `most`.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<FromAddress> {
        let network = network(address);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(network).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        drop(open);
        Some(FromAddress { addresses: Arc::clone(self), network })
    }
}

impl Drop for FromAddress {
    fn drop(&mut self) {
        let mut open = self.addresses.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.network);
            }
        }
    }
}

/// What one customer of a network has: an IPv4 address, or the first 64 bits of an IPv6 address,
/// within which anybody may choose. Source: RFC 6177 §2.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let upper = u128::from(address) & !u128::from(u64::MAX);
            Ipv6Addr::from(upper).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let addresses = Arc::new(Addresses::default());
        let from = |text: &str| addresses.enter(text.parse().expect("an address"), 2);
        // Two that are one customer's, however they are written.
        for [first, second, other] in [
            ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"],
            ["2001:db8::1", "2001:db8::ffff:0:0:9", "2001:db8:0:1::1"],
        ] {
            let held = [from(first), from(second)];
            assert!(held.iter().all(Option::is_some));
            assert!(from(first).is_none() && from(second).is_none(), "{first}");
            assert!(from(other).is_some(), "{other}");
            drop(held);
            assert!(from(first).is_some(), "{first}");
        }
        assert!(addresses.0.lock().expect("no panic").is_empty(), "nothing is kept");
    }
}
