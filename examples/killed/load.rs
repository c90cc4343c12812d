//! Clients that ask until nobody answers, and a desk that enters consents.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tamis::demo::{Client, Stage};
use tokio::task::JoinSet;

use super::Fault;

/// Who asks what: single answers, and lists that are cut element by element.
const ASKED: [(&str, &str, &str); 3] = [
    ("courier", "service.delivery", "/v2/users/u-1001"),
    ("loyalty-partner", "share.partner", "/v2/users?limit=30"),
    ("mailer", "service.contact", "/v2/users"),
];

/// Clients at work.
pub(super) struct Readers {
    tasks: JoinSet<(BTreeSet<String>, BTreeSet<String>)>,
    is_over: Arc<AtomicBool>,
}

impl Readers {
    pub(super) fn start(
        stage: &Arc<Stage>,
        address: SocketAddr,
        count: usize,
    ) -> Result<Self, Fault> {
        let (mut tasks, is_over) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        for (recipient, purpose, path) in ASKED.into_iter().cycle().take(count) {
            let client = stage.client(recipient)?;
            tasks.spawn(read(client, address, purpose, path, Arc::clone(&is_over)));
        }
        Ok(Self { tasks, is_over })
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
    pub(super) fn start(stage: &Arc<Stage>, admin: SocketAddr, round: usize) -> Result<Self, Fault> {
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
