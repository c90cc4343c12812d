//! `listen:` of tamis.yaml: where, beside whom, and whose word about a client's address counts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::node::Node;
use super::read::{Address, Code, Findings, Section};

/// Addresses to listen on. Port 0 picks a free one, which is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// HTTPS.
    pub https: SocketAddr,
    /// Plaintext, which only redirects; `None`: closed.
    pub http: Option<SocketAddr>,
    /// Admin API, HTTPS; `None`: closed.
    pub admin: Option<SocketAddr>,
    /// Metrics and health, plaintext; `None`: closed.
    pub metrics: Option<SocketAddr>,
    /// Another process of the same user may listen on the same addresses, so that it can take over.
    pub reuse_port: bool,
    /// Balancers that say where a connection comes from.
    pub proxy_protocol: ProxyProtocol,
}

/// Peers that must begin each connection with a header of the PROXY protocol, by listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyProtocol {
    /// Of `https`.
    pub https: Vec<Network>,
    /// Of `http`.
    pub http: Vec<Network>,
    /// Of `admin`.
    pub admin: Vec<Network>,
}

/// A network: addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`, `fd00::/8` or one address. `None`: it is no network, or is everybody.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => whole,
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                digits.parse().ok()?
            }
            Some(_) => return None,
        };
        let network = Self { address, bits };
        // Bits behind the network would say that somebody meant something else.
        let is_one = (1..=whole).contains(&bits) && first(address, bits) == bits_of(address);
        is_one.then_some(network)
    }

    /// Whether an address is in it. An IPv4 address in IPv6 clothes is IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4()
            && first(address, self.bits) == first(self.address, self.bits)
    }
}

/// The bits of an address, the first of them at the top.
fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Its first bits, the rest zero.
fn first(address: IpAddr, bits: u8) -> u128 {
    let beyond = 128 - u32::from(bits.min(128));
    bits_of(address) & u128::MAX.checked_shl(beyond).unwrap_or(0)
}

pub(super) fn listen(node: Option<&Node>, findings: &mut Findings) -> Listen {
    let on = |address: Ipv4Addr, port| SocketAddr::new(IpAddr::V4(address), port);
    let mut listen = Listen {
        https: on(Ipv4Addr::UNSPECIFIED, 8443),
        http: Some(on(Ipv4Addr::UNSPECIFIED, 8080)),
        // Whoever reaches these two is inside already; opening them further has to be written down.
        admin: Some(on(Ipv4Addr::LOCALHOST, 9443)),
        metrics: Some(on(Ipv4Addr::LOCALHOST, 9464)),
        reuse_port: false,
        proxy_protocol: ProxyProtocol::default(),
    };
    let Some(node) = node else { return listen };
    let mut section = Section::new("listen", node, findings);
    if let Some(node) = section.optional("https") {
        match findings.address(node) {
            Some(Address::On(address)) => listen.https = address,
            Some(Address::Off) => {
                let message = "the HTTPS listener cannot be off".into();
                findings.note(Code::Value, node.location, message, None);
            }
            None => {}
        }
    }
    for (key, slot) in
        [("http", &mut listen.http), ("admin", &mut listen.admin), ("metrics", &mut listen.metrics)]
    {
        if let Some(address) = section.optional(key).and_then(|node| findings.address(node)) {
            *slot = address.on();
        }
    }
    if let Some(flag) = section.optional("reuse_port").and_then(|node| findings.boolean(node)) {
        listen.reuse_port = flag;
    }
    if let Some(node) = section.optional("proxy_protocol") {
        listen.proxy_protocol = proxy_protocol(node, findings);
    }
    section.close(findings);
    listen
}

fn proxy_protocol(node: &Node, findings: &mut Findings) -> ProxyProtocol {
    let mut peers = ProxyProtocol::default();
    let mut section = Section::new("listen.proxy_protocol", node, findings);
    for (key, slot) in
        [("https", &mut peers.https), ("http", &mut peers.http), ("admin", &mut peers.admin)]
    {
        let Some(node) = section.optional(key) else { continue };
        let entries = findings.list(node);
        if entries.is_empty() {
            let message = format!("listen.proxy_protocol.{key}: at least one network is needed");
            findings.note(Code::Missing, node.location, message, None);
        }
        for entry in entries {
            let Some(text) = findings.text(entry) else { continue };
            if let Some(network) = Network::parse(&text) {
                slot.push(network);
            } else {
                let help = "write the balancers' addresses: 10.0.0.7, 10.0.0.0/24, fd00::/64";
                let message = "not a network of balancers".into();
                findings.note(Code::Value, entry.location, message, Some(help.into()));
            }
        }
    }
    section.close(findings);
    peers
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn a_network_is_its_first_bits() {
        let cases = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.7", "10.0.0.7", true),
            ("10.0.0.7", "10.0.0.8", false),
            ("fd00::/9", "fd7f::1", true),
            ("fd00::/9", "fd80::1", false),
            ("2001:db8::1", "2001:db8::1", true),
            // The same bits in the other family are other addresses.
            ("::/1", "10.0.0.1", false),
        ];
        for (network, address, expected) in cases {
            let found = Network::parse(network).expect("a network");
            assert_eq!(found.contains(address.parse().expect("an address")), expected, "{network}");
        }
        for text in ["", "10.0.0.0/0", "::/0", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/+8", "a/8"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
