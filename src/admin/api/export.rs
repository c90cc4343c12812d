//! Everything that the registers hold, one record a line, as it is read: the whole of it is in no memory.
//!
//! The entry of the call is in the ledger before the first byte leaves, as with all that tells of people.
//! The registers are read by a thread and on a connection of their own, one export at a time. Whoever does
//! not take what was read loses the rest, so that no client holds up what others need; an export that is
//! not whole is broken off, and never ends as one that is.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use http_body::Frame;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::Answer;
use crate::admin::AdminState;
use crate::admin::problem::Problem;
use crate::observe::{Event, Metrics};
use crate::registers::{ExportError, RegisterStore};

/// Bytes that are sent at a time.
const PIECE: usize = 64 << 10;

/// Pieces that wait for the client at most.
const WAITING: usize = 4;

/// How long the client may take nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long an export may take as a whole: as long as it lasts the store keeps what it reads as it was.
const LONGEST: Duration = Duration::from_hours(1);

/// What the reader hands over. Without the last of them the export is not whole.
enum Piece {
    Lines(Bytes),
    Whole,
}

/// Sends every record that the registers hold, as of one moment.
pub(super) async fn export(State(state): State<AdminState>, RawQuery(query): RawQuery) -> Answer {
    if query.is_some_and(|query| !query.is_empty()) {
        return Err(Problem::Invalid("an export takes no parameters".into()));
    }
    let turn = state.calls.take_turn_to_export().ok_or(Problem::Busy)?;
    let (sender, mut pieces) = channel(WAITING);
    let (registers, metrics) = (Arc::clone(&state.registers), Arc::clone(&state.metrics));
    let handle = Handle::current();
    // Neither the call nor its client waits for the end of it.
    drop(tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let outlet = Outlet::new(sender, handle, PATIENCE);
        read(&registers, outlet, &metrics);
    }));
    // Where nothing can be read that is said by the status.
    let first = pieces.recv().await.ok_or(Problem::Unavailable)?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    let body = Body::new(Lines { first: Some(first), pieces });
    Ok((StatusCode::OK, headers, body).into_response())
}

fn read(registers: &RegisterStore, mut outlet: Outlet, metrics: &Metrics) {
    let written = registers.export(&mut outlet).and_then(|records| {
        outlet.end()?;
        Ok(records)
    });
    match written {
        Ok(records) => Event::Exported { records }.emit(metrics),
        Err(error) => {
            let kind = match error {
                ExportError::Output(_) => "not-taken",
                ExportError::Unavailable(_) => "registers",
            };
            Event::ExportBroken { kind }.emit(metrics);
        }
    }
}

/// Where the reader writes: lines are gathered into pieces, and a piece waits for the client.
struct Outlet {
    sender: Sender<Piece>,
    handle: Handle,
    patience: Duration,
    gathered: Vec<u8>,
    until: Instant,
}

impl Outlet {
    fn new(sender: Sender<Piece>, handle: Handle, patience: Duration) -> Self {
        let until = Instant::now() + LONGEST;
        Self { sender, handle, patience, gathered: Vec::with_capacity(PIECE), until }
    }

    fn send(&self, piece: Piece) -> io::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        let sent = self.handle.block_on(self.sender.send_timeout(piece, self.patience.min(left)));
        sent.map_err(|_| io::ErrorKind::TimedOut.into())
    }

    /// Everything was written.
    fn end(mut self) -> io::Result<()> {
        self.flush()?;
        self.send(Piece::Whole)
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let lines = std::mem::replace(&mut self.gathered, Vec::with_capacity(PIECE));
        self.send(Piece::Lines(lines.into()))
    }
}

/// The body: pieces as they come, and an error where they end without the last of them.
struct Lines {
    first: Option<Piece>,
    pieces: Receiver<Piece>,
}

impl http_body::Body for Lines {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = match self.first.take() {
            Some(first) => Some(first),
            None => ready!(self.pieces.poll_recv(context)),
        };
        Poll::Ready(match piece {
            Some(Piece::Lines(lines)) => Some(Ok(Frame::data(lines))),
            Some(Piece::Whole) => None,
            None => Some(Err(io::ErrorKind::UnexpectedEof.into())),
        })
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    /// A body of these pieces, after which the reader is gone.
    fn body(pieces: Vec<Piece>) -> Lines {
        let (sender, receiver) = channel(WAITING);
        for piece in pieces {
            assert!(sender.try_send(piece).is_ok());
        }
        Lines { first: None, pieces: receiver }
    }

    #[tokio::test]
    async fn an_export_whose_reader_is_gone_before_its_end_is_broken_off() {
        let lines = || Piece::Lines(Bytes::from_static(b"{}\n"));
        let whole = body(vec![lines(), lines(), Piece::Whole]).collect().await;
        assert_eq!(whole.expect("whole").to_bytes(), "{}\n{}\n");
        for pieces in [vec![], vec![lines()]] {
            assert!(body(pieces).collect().await.is_err());
        }
    }

    #[test]
    fn a_client_that_takes_nothing_ends_its_export() {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_time().build().expect("a runtime");
        let (sender, _pieces) = channel(WAITING);
        let mut outlet = Outlet::new(sender, runtime.handle().clone(), Duration::ZERO);
        let piece = vec![b'x'; PIECE];
        let taken = (0..=WAITING).find(|_| outlet.write_all(&piece).is_err());
        assert_eq!(taken, Some(WAITING));
    }
}
