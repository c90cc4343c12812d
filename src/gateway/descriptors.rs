//! As many connections as the process has descriptors for.

use crate::config::Limits;

/// Descriptors for listeners, ledger, registers, logs and key files.
const RESERVED: u64 = 96;

/// The limits, with no more connections than the process has descriptors for: each may need one more
/// towards a backend, and stores and logs need theirs. One address keeps its share of them.
pub(super) fn within(configured: Limits, descriptors: Option<u64>) -> Limits {
    let free = descriptors.unwrap_or(u64::MAX).saturating_sub(RESERVED) / 2;
    let connections =
        configured.connections.min(usize::try_from(free).unwrap_or(usize::MAX).max(1));
    let share = configured.connections_per_address.min(configured.connections) * connections;
    let connections_per_address = (share / configured.connections.max(1)).max(1);
    Limits { connections, connections_per_address, ..configured }
}

#[cfg(test)]
mod tests {
    use super::{Limits, within};

    #[test]
    fn an_address_keeps_its_share_where_descriptors_are_few() {
        let configured = |connections, connections_per_address| Limits {
            connections,
            connections_per_address,
            ..Limits::default()
        };
        for (limits, descriptors, expected) in [
            (configured(4096, 1024), None, (4096, 1024)),
            (configured(4096, 1024), Some(1 << 20), (4096, 1024)),
            (configured(4096, 1024), Some(1024), (464, 116)),
            (configured(4096, 4096), Some(1024), (464, 464)),
            (configured(100, 1024), Some(1024), (100, 100)),
            (configured(4096, 1), Some(10), (1, 1)),
        ] {
            let found = within(limits, descriptors);
            assert_eq!((found.connections, found.connections_per_address), expected);
        }
    }
}
