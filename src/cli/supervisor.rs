//! What the service manager is told, where there is one that asks (`NOTIFY_SOCKET`). One that cannot
//! be told is no reason not to serve. Source: sd_notify(3).

use std::time::Duration;

use sd_notify::NotifyState;

/// Connections are taken, or what was read anew has come of it.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Everything is read anew.
pub(super) fn reloading() {
    // From systemd 253 on the one is worth nothing without the other.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// No more connections are taken.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says that we live, twice in each interval that the service manager waits for it. Where all threads
/// hang, nobody says so.
pub(super) async fn keep_alive() {
    let Some(interval) = sd_notify::watchdog_enabled() else { return };
    let mut half = tokio::time::interval((interval / 2).max(Duration::from_millis(1)));
    loop {
        half.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(said: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(said) {
        tracing::debug!(kind = %error.kind(), "the service manager is not told");
    }
}
