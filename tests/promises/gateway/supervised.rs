//! What a service manager is told (sd_notify), by the program itself, on a socket of the test's.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use super::http2::PATIENCE;
use super::restarts::{Process, set};

const LISTEN: &str =
    "listen: {https: '127.0.0.1:0', http: off, admin: off, metrics: '127.0.0.1:0'}";

/// Says that it lives, which comes between all else.
const LIVES: &str = "WATCHDOG=1\n";

/// Ends the listening.
const END: &str = "no more";

/// Who is told. It listens all the while, as a service manager does.
struct Manager {
    place: PathBuf,
    messages: UnboundedReceiver<String>,
}

impl Manager {
    fn at(place: PathBuf) -> Self {
        let socket = UnixDatagram::bind(&place).expect("a folder of ours");
        let (sender, messages) = unbounded_channel();
        std::thread::spawn(move || {
            let mut message = [0; 4096];
            while let Ok(length) = socket.recv(&mut message) {
                let message = String::from_utf8_lossy(&message[..length]).into_owned();
                if message == END || sender.send(message).is_err() {
                    return;
                }
            }
        });
        Self { place, messages }
    }

    /// The next message.
    async fn next(&mut self) -> String {
        let told = timeout(PATIENCE, self.messages.recv()).await;
        told.expect("it is told in time").expect("it listens")
    }

    /// The next message but that it lives.
    async fn told(&mut self) -> String {
        loop {
            let message = self.next().await;
            if message != LIVES {
                return message;
            }
        }
    }

    /// What is left of a process that has ended.
    async fn rest(mut self) -> Vec<String> {
        let socket = UnixDatagram::unbound().expect("a socket");
        socket.send_to(END.as_bytes(), &self.place).expect("it listens");
        let mut rest = Vec::new();
        while let Some(message) = self.messages.recv().await {
            rest.extend((message != LIVES).then_some(message));
        }
        rest
    }
}

/// Microseconds of the clock that both sides share.
fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec * 1_000_000 + now.tv_nsec / 1000).expect("after the start")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_manager_is_told_of_ready_reload_stop_and_life() {
    let (stage, config, _) = set(LISTEN).await;
    let mut manager = Manager::at(stage.path("notify"));
    let process = Process::supervised(&config, &stage.path("notify"), 40_000);
    assert_eq!(manager.told().await, "READY=1\n");
    for _ in 0..3 {
        assert_eq!(manager.next().await, LIVES, "again and again");
    }
    let rules = fs::read_to_string(stage.path("rules.yaml")).expect("ours");
    // Rules that are refused are no reason to wait for it any longer either.
    for rules in [rules.clone(), rules.replace("keep", "keeep")] {
        fs::write(stage.path("rules.yaml"), rules).expect("ours");
        let before = monotonic();
        process.hang_up();
        let told = manager.told().await;
        let since = told.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        let since = since.and_then(|since| since.strip_suffix('\n'));
        let since: u64 = since.and_then(|since| since.parse().ok()).expect(&told);
        assert!((before..=monotonic()).contains(&since), "{before} {told}");
        assert_eq!(manager.told().await, "READY=1\n");
    }
    process.stop();
    assert_eq!(manager.told().await, "STOPPING=1\n");
    assert!(process.ended().await.success());
    assert_eq!(manager.rest().await, [""; 0], "nothing after it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_cannot_begin_is_never_ready() {
    let (stage, config, _) = set(LISTEN).await;
    stage.edit("rules.yaml", "keep", "keeep");
    let manager = Manager::at(stage.path("notify"));
    let process = Process::supervised(&config, &stage.path("notify"), 40_000);
    assert!(!process.ended().await.success());
    assert_eq!(manager.rest().await, [""; 0]);
}
