//! Clients that ask until nobody answers, and a desk that enters consents.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tamis::demo::{Client, Stage};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Fault;

/// Whoever waits longer than this for a first answer will get none.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who asks what: single answers, and lists that are cut element by element. All of them are told the
/// number of the decision.
const ASKED: [(&str, &str, &str); 2] =
    [("mailer", "service.notices", "/v2/users/u-1001"), ("mailer", "service.notices", "/v2/users")];

/// Clients at work.
pub(super) struct Readers {
    tasks: JoinSet<(BTreeSet<String>, BTreeSet<String>)>,
    is_over: Arc<AtomicBool>,
    answered: watch::Receiver<bool>,
}

impl Readers {
    pub(super) fn start(
        stage: &Arc<Stage>,
        address: SocketAddr,
        count: usize,
    ) -> Result<Self, Fault> {
        let (mut tasks, is_over) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        let (first, answered) = watch::channel(false);
        let first = Arc::new(first);
        for (recipient, purpose, path) in ASKED.into_iter().cycle().take(count) {
            let client = stage.client(recipient)?;
            let (is_over, first) = (Arc::clone(&is_over), Arc::clone(&first));
            tasks.spawn(read(client, address, purpose, path, is_over, first));
        }
        Ok(Self { tasks, is_over, answered })
    }

    /// Returns when one of them has a whole answer.
    pub(super) async fn first_answer(&mut self) -> Result<(), Fault> {
        let answered = self.answered.wait_for(|answered| *answered);
        tokio::time::timeout(PATIENCE, answered).await??;
        Ok(())
    }

    /// Decisions of the personal answers that arrived: whole, and with at least one byte of the body.
    pub(super) async fn stop(self) -> (BTreeSet<String>, BTreeSet<String>) {
        self.is_over.store(true, Ordering::Relaxed);
        let (mut whole, mut cut) = (BTreeSet::new(), BTreeSet::new());
        for (arrived, broken) in self.tasks.join_all().await {
            whole.extend(arrived);
            cut.extend(broken);
        }
        (whole, cut)
    }
}

async fn read(
    client: Client,
    address: SocketAddr,
    purpose: &'static str,
    path: &'static str,
    is_over: Arc<AtomicBool>,
    first: Arc<watch::Sender<bool>>,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut whole, mut cut) = (BTreeSet::new(), BTreeSet::new());
    while !is_over.load(Ordering::Relaxed) {
        let request = Request::get(path).header("tamis-purpose", purpose).body(Full::default());
        let Ok(request) = request else { break };
        let Ok(answer) = client.begin(address, request).await else { continue };
        let (head, mut body) = answer.into_parts();
        let decision = head.headers.get("tamis-decision").and_then(|value| value.to_str().ok());
        let Some(decision) = decision.filter(|_| head.status == StatusCode::OK) else { continue };
        let (mut bytes, mut is_whole) = (0, true);
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => bytes += frame.data_ref().map_or(0, bytes::Bytes::len),
                Err(_) => is_whole = false,
            }
            if !is_whole {
                break;
            }
        }
        if is_whole {
            whole.insert(decision.to_owned());
            first.send_replace(true);
        } else if bytes > 0 {
            cut.insert(decision.to_owned());
        }
    }
    (whole, cut)
}

/// A consent desk at work.
pub(super) struct Desk {
    task: tokio::task::JoinHandle<Vec<String>>,
    is_over: Arc<AtomicBool>,
}

impl Desk {
    pub(super) fn start(
        stage: &Arc<Stage>,
        admin: SocketAddr,
        round: usize,
    ) -> Result<Self, Fault> {
        let config = stage.config_file();
        let token = std::fs::read_to_string(config.with_file_name("admin.token"))?;
        let client = Client::new(&stage.authority_file(), None)?
            .with_header(AUTHORIZATION, &format!("Bearer {}", token.trim()))?
            .with_header(CONTENT_TYPE, "application/json")?;
        let is_over = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(enter(client, admin, round, Arc::clone(&is_over)));
        Ok(Self { task, is_over })
    }

    /// Whose consents were acknowledged.
    pub(super) async fn stop(self) -> Vec<String> {
        self.is_over.store(true, Ordering::Relaxed);
        self.task.await.unwrap_or_default()
    }
}

async fn enter(
    client: Client,
    admin: SocketAddr,
    round: usize,
    is_over: Arc<AtomicBool>,
) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let person = format!("round-{round}-{number}");
        let record = serde_json::json!({
            "id": format!("con-{person}"), "subject": person, "purpose": "share.partner",
            "status": "given", "given_at": "2026-01-01T00:00:00Z",
        });
        let request = Request::post("/v1/consents").body(Full::from(record.to_string()));
        let Ok(request) = request else { break };
        if let Ok(answer) = client.send(admin, request).await
            && answer.status == StatusCode::CREATED
        {
            acknowledged.push(person);
        }
    }
    acknowledged
}
