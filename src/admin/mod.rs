//! Admin listener and metrics listener.
