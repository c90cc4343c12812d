//! The access log, minimized from the start.

/// One line.
#[derive(Debug)]
pub struct AccessLine {}

/// Where lines go.
pub struct AccessLog {
    _private: (),
}
