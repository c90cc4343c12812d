//! A backend that says exactly what a case wants, well-formed or not, and keeps what it was asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What it says.
#[derive(Clone)]
pub(super) enum Reply {
    /// These bytes; then it goes on listening on the connection.
    Bytes(Vec<u8>),
    /// These bytes; then it closes.
    Last(Vec<u8>),
    /// The first bytes, and the others when it is told.
    InTwo(Vec<u8>, Arc<Notify>, Vec<u8>),
    /// These bytes; then nothing, with the connection open.
    Stall(Vec<u8>),
    /// These bytes; then this one again and again, slowly, without end.
    Drip(Vec<u8>, u8),
    /// Agrees to a WebSocket with these fields besides, and then says back what it is told. `{accept}` in
    /// them is what its key is answered with.
    Echo(&'static str),
    /// The same with the usual fields, once it is told to. What came before it agreed is kept as `EARLY`.
    Late(Arc<Notify>),
    /// Agrees to nothing, and says these bytes after the head that it would agree with.
    Agrees(&'static str, &'static [u8]),
}

/// Fields of a backend that agrees.
pub(super) const AGREES: &str =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n";

/// What answers a key. Source: RFC 6455 §4.2.2.
pub(super) fn accept(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let hashed = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(hashed)
}

fn switching(head: &str, fields: &str) -> String {
    let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: "));
    let fields = fields.replace("{accept}", &accept(key.unwrap_or_default()));
    format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n")
}

/// A 200 with these header lines and this body, with its length.
pub(super) fn answer(headers: &str, body: &[u8]) -> Reply {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    Reply::Bytes([head.as_bytes(), body].concat())
}

/// A 200 of JSON.
pub(super) fn json(body: &str) -> Reply {
    answer("Content-Type: application/json\r\n", body.as_bytes())
}

/// Runs until it is dropped.
pub(super) struct Backend {
    pub(super) address: SocketAddr,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    heads: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Backend {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let replies = Arc::new(Mutex::new(HashMap::new()));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (its_replies, its_heads) = (Arc::clone(&replies), Arc::clone(&heads));
        let accepted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(talk(stream, Arc::clone(&its_replies), Arc::clone(&its_heads)));
            }
        });
        Self { address, replies, heads, connections, task }
    }

    /// From now on `path` is answered so.
    pub(super) fn says(&self, path: &str, reply: Reply) {
        self.replies.lock().expect("no panic").insert(path.to_owned(), reply);
    }

    /// How many connections it has taken so far.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Heads of all requests so far, with the bodies that came with them, and forgets them.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.heads.lock().expect("no panic"))
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn talk(
    mut stream: TcpStream,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    heads: Arc<Mutex<Vec<String>>>,
) {
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if !matches!(stream.read_buf(&mut read).await, Ok(1..)) {
                return;
            }
        };
        let mut head = String::from_utf8_lossy(&read.drain(..end).collect::<Vec<_>>()).into_owned();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or_default();
        while read.len() < length {
            if !matches!(stream.read_buf(&mut read).await, Ok(1..)) {
                return;
            }
        }
        let body: Vec<u8> = read.drain(..length).collect();
        head.push_str(&String::from_utf8_lossy(&body));
        let target = head.split(' ').nth(1).unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default();
        let reply = replies.lock().expect("no panic").get(path).cloned();
        heads.lock().expect("no panic").push(head.clone());
        let not_found =
            b"HTTP/1.1 404 Not Found\r\nX-Secret: CANARY\r\nContent-Length: 6\r\n\r\nCANARY";
        let reply = reply.unwrap_or_else(|| Reply::Bytes(not_found.to_vec()));
        match reply {
            Reply::Bytes(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Reply::InTwo(first, go, rest) => {
                let _ = stream.write_all(&first).await;
                go.notified().await;
                if stream.write_all(&rest).await.is_err() {
                    return;
                }
            }
            Reply::Last(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Reply::Stall(bytes) => {
                let _ = stream.write_all(&bytes).await;
                // Until the other side gives up.
                let _ = stream.read_buf(&mut read).await;
                return;
            }
            Reply::Agrees(fields, bytes) => {
                let _ = stream.write_all(switching(&head, fields).as_bytes()).await;
                let _ = stream.write_all(bytes).await;
                // Until the other side gives up.
                let _ = stream.read_buf(&mut read).await;
                return;
            }
            reply @ (Reply::Echo(_) | Reply::Late(_)) => {
                let fields = match reply {
                    Reply::Late(go) => {
                        go.notified().await;
                        let _ = stream.try_read_buf(&mut read);
                        AGREES
                    }
                    Reply::Echo(fields) => fields,
                    _ => unreachable!("one of the two"),
                };
                if !read.is_empty() {
                    let early = String::from_utf8_lossy(&read).into_owned();
                    heads.lock().expect("no panic").push(format!("EARLY {early}"));
                }
                let _ = stream.write_all(switching(&head, fields).as_bytes()).await;
                loop {
                    if stream.write_all(&std::mem::take(&mut read)).await.is_err()
                        || !matches!(stream.read_buf(&mut read).await, Ok(1..))
                    {
                        return;
                    }
                }
            }
            Reply::Drip(bytes, drop) => {
                let _ = stream.write_all(&bytes).await;
                let mut pace = tokio::time::interval(Duration::from_millis(20));
                while stream.write_all(&[drop]).await.is_ok() {
                    pace.tick().await;
                }
                return;
            }
        }
    }
}
