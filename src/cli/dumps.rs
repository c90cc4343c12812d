//! Memory holds keys and personal values: it does not belong in a file beside the program.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Whether core dumps are off, for this process and those that it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dumps {
    Off,
    /// The system would not let go of them.
    Perhaps,
}

/// Switches core dumps off, and keeps other processes of the same account out of this one's memory.
pub(super) fn switch_off() -> Dumps {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let limited = setrlimit(Resource::Core, none);
    let closed = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if limited.is_ok() && closed.is_ok() { Dumps::Off } else { Dumps::Perhaps }
}

#[cfg(test)]
mod tests {
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    use super::{Dumps, switch_off};

    #[test]
    fn no_core_is_dumped() {
        assert_eq!(switch_off(), Dumps::Off);
        assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
        assert_eq!(dumpable_behavior().expect("known"), DumpableBehavior::NotDumpable);
    }
}
