//! A client's connection, watched: line ends as the standard has them, and no stalled writes.
//!
//! The HTTP parser takes a bare line feed for the end of a line and drops a fragment of the target in
//! silence; others do not, and two readers that disagree are how requests are smuggled. Here such a
//! byte is replaced by NUL, which no head may contain, so that the parser refuses the request.
//! Behind a head stands as much of a body as its `Content-Length` says; chunks are refused.
//! Source: RFC 9112 §2.2, §3.2.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// An answer that is late is broken off by who sends it, and says so in the ledger; its connection, where
/// that is not enough, ends so much later.
const BEHIND: Duration = Duration::from_millis(50);

/// How much of a line is looked at: longer than any `Content-Length` without padding.
const LOOKED_AT: usize = 40;

/// A connection that is watched.
pub(super) struct Watched<S> {
    stream: S,
    /// What was read and watched already, and is to be read again.
    kept: Bytes,
    heads: Option<Heads>,
    /// Told of the request under way.
    under_way: Arc<UnderWay>,
    /// Longest time in which a client may take nothing.
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

/// What is known of the request that is under way on a connection of HTTP/1.1.
#[derive(Default)]
pub(super) struct UnderWay {
    /// A head has begun to come and is not whole.
    is_in_head: AtomicBool,
    /// Whoever reads has read all there was, and waits for more.
    is_waiting: AtomicBool,
    /// Something was written that the client has not taken.
    is_writing: AtomicBool,
    /// Heads that have come whole, and requests that were begun with.
    heads: AtomicU64,
    asked: AtomicU64,
    /// Something stands behind the last head.
    is_followed: AtomicBool,
    /// What comes is no HTTP any more.
    is_tunnel: AtomicBool,
    /// By when its answer must have been taken.
    due: Mutex<Option<Instant>>,
}

impl UnderWay {
    pub(super) fn is_in_head(&self) -> bool {
        self.is_in_head.load(Ordering::Relaxed)
    }

    /// Nothing was begun: all that was sent was read, all that was written was taken.
    pub(super) fn is_none(&self) -> bool {
        !self.is_in_head()
            && self.is_waiting.load(Ordering::Relaxed)
            && !self.is_writing.load(Ordering::Relaxed)
    }

    /// Something was asked, whose answer may take this long.
    pub(super) fn begin(&self, answer_time: Duration) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let due = Instant::now().checked_add(answer_time);
        *self.due.lock().unwrap_or_else(PoisonError::into_inner) = due;
    }

    /// Whether nothing has come behind the head of the request under way. What has is no part of a tunnel
    /// that does not exist yet, and must be nobody's request either.
    pub(super) fn is_alone(&self) -> bool {
        let is_last = self.heads.load(Ordering::Relaxed) == self.asked.load(Ordering::Relaxed);
        is_last && !self.is_followed.load(Ordering::Relaxed)
    }

    /// From now on what comes is passed on as it is, and no answer is due; if nothing came too early. To
    /// be called where the connection is read, so that nothing comes in between.
    pub(super) fn open_tunnel(&self) -> bool {
        let opens = self.is_alone();
        if opens {
            *self.due.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.is_tunnel.store(true, Ordering::Relaxed);
        }
        opens
    }

    /// How long is left for the answer. `None`: nothing was asked.
    fn left(&self) -> Option<Duration> {
        let due = *self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// Whether its time is over.
    pub(super) fn is_late(&self) -> bool {
        self.left() == Some(Duration::ZERO)
    }
}

/// Where in a request's head, or beyond it in a body of known length, the reader is.
#[derive(Clone, Copy)]
struct Heads {
    in_request_line: bool,
    /// The line so far, in lower case, as far as it is looked at.
    line: [u8; LOOKED_AT],
    /// How much stood on this line yet.
    length: usize,
    after_return: bool,
    /// What `Content-Length` of this head says.
    announced: u64,
    /// How much of a body is still to come.
    body: u64,
    /// Heads that were whole.
    whole: u64,
    /// Something came behind the last of them.
    is_followed: bool,
}

impl Heads {
    const START: Self = Self {
        in_request_line: true,
        line: [0; LOOKED_AT],
        length: 0,
        after_return: false,
        announced: 0,
        body: 0,
        whole: 0,
        is_followed: false,
    };

    /// Whether a request has begun whose head is not whole yet.
    const fn is_within(&self) -> bool {
        self.body == 0 && !(self.in_request_line && self.length == 0)
    }

    fn watch(&mut self, byte: &mut u8) {
        self.is_followed = true;
        if self.body > 0 {
            self.body -= 1;
            return;
        }
        let was_return = std::mem::replace(&mut self.after_return, *byte == b'\r');
        match *byte {
            b'\n' if was_return => self.end_line(),
            b'\n' => *byte = 0,
            b'\r' if !was_return => {}
            _ if was_return => *byte = 0,
            b'#' if self.in_request_line => *byte = 0,
            byte => {
                if let Some(slot) = self.line.get_mut(self.length) {
                    *slot = byte.to_ascii_lowercase();
                }
                self.length = self.length.saturating_add(1);
            }
        }
    }

    fn end_line(&mut self) {
        // An empty line ends a head, or comes before one; a request line follows either way. A body
        // that was announced comes first.
        let is_empty = self.length == 0;
        if is_empty {
            self.body = std::mem::take(&mut self.announced);
            // An empty line before a request ends no head.
            if !self.in_request_line {
                self.whole += 1;
                self.is_followed = false;
            }
        } else if !self.in_request_line
            && let Some(announced) = self.line.get(..self.length).and_then(announced_length)
        {
            self.announced = announced;
        }
        self.in_request_line = is_empty;
        self.length = 0;
    }
}

/// The number in a `Content-Length` line. Where this reader and the parser see another number, the
/// parser refuses the head, or a body is changed on the way and no JSON any more.
fn announced_length(line: &[u8]) -> Option<u64> {
    let value = line.strip_prefix(b"content-length:")?;
    std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']).parse().ok()
}

impl<S> Watched<S> {
    /// Watches an HTTP/1.1 connection.
    pub(super) fn http1(stream: S, patience: Duration, under_way: Arc<UnderWay>) -> Self {
        let (kept, heads) = (Bytes::new(), Some(Heads::START));
        Self { stream, kept, heads, under_way, patience, stalled: None }
    }

    /// Watches a connection whose frames have lengths.
    pub(super) fn http2(stream: S, patience: Duration) -> Self {
        let (kept, under_way) = (Bytes::new(), Arc::default());
        Self { stream, kept, heads: None, under_way, patience, stalled: None }
    }

    /// What was read of it, and is to be read before anything else.
    pub(super) fn keep(&mut self, read: Bytes) {
        debug_assert!(self.kept.is_empty(), "whoever reads has read all of it");
        self.kept = read;
    }

    /// Passes on what a write came to, and ends a connection that takes nothing for too long.
    fn progress<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.under_way.is_writing.store(written.is_pending(), Ordering::Relaxed);
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| {
            let left = self.under_way.left().map_or(self.patience, |left| left + BEHIND);
            Box::pin(sleep(self.patience.min(left)))
        });
        if stalled.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.kept.is_empty() {
            let length = this.kept.len().min(buffer.remaining());
            buffer.put_slice(&this.kept[..length]);
            this.kept.advance(length);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if let Some(heads) = &mut this.heads
            && !this.under_way.is_tunnel.load(Ordering::Relaxed)
        {
            for byte in &mut buffer.filled_mut()[before..] {
                heads.watch(byte);
            }
            this.under_way.is_in_head.store(heads.is_within(), Ordering::Relaxed);
            this.under_way.heads.store(heads.whole, Ordering::Relaxed);
            this.under_way.is_followed.store(heads.is_followed, Ordering::Relaxed);
        }
        this.under_way.is_waiting.store(read.is_pending(), Ordering::Relaxed);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.progress(cx, written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        this.progress(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.under_way.is_waiting.store(false, Ordering::Relaxed);
        let shut = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.progress(cx, shut)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.progress(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_behind_a_head_opens_no_tunnel() {
        let head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for (text, asked, alone) in [
            (head.to_owned(), 1, true),
            (format!("\r\n{head}"), 1, true),
            (format!("{head}{head}"), 2, true),
            (head[..head.len() - 1].to_owned(), 1, false),
            (format!("{head}{head}"), 1, false),
            (format!("{head}x"), 1, false),
            (format!("{head}\r"), 1, false),
            (format!("{head}\r\n"), 1, false),
        ] {
            let under_way = Arc::new(UnderWay::default());
            let mut watched =
                Watched::http1(text.as_bytes(), Duration::from_secs(1), Arc::clone(&under_way));
            (0..asked).for_each(|_| under_way.begin(Duration::from_secs(1)));
            let mut into = [0; 256];
            let mut into = ReadBuf::new(&mut into);
            let mut cx = Context::from_waker(std::task::Waker::noop());
            assert!(Pin::new(&mut watched).poll_read(&mut cx, &mut into).is_ready());
            assert_eq!(under_way.open_tunnel(), alone, "{text:?} {asked}");
            let is_watched = watched.under_way.is_tunnel.load(Ordering::Relaxed);
            assert_eq!(is_watched, alone);
        }
    }

    #[test]
    fn line_ends_and_fragments_have_one_reading() {
        let cases: [(&str, bool); 17] = [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: #\r\n\r\nGET /b HTTP/1.1\r\n\r\n", true),
            ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\n\n", false),
            ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", false),
            ("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", false),
            ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /a#b HTTP/1.1\r\n\r\n", false),
            ("\n", false),
            ("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n{\n#}GET / HTTP/1.1\r\n\r\n", true),
            (
                "POST / HTTP/1.1\r\ncontent-length:4 \r\nA: b\r\n\r\n\n\n\n\nGET / HTTP/1.1\r\n\r\n",
                true,
            ),
            ("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n{\n#}GET /#b HTTP/1.1\r\n\r\n", false),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n{} \n", false),
            ("POST / HTTP/1.1\r\nContent-Lengths: 4\r\n\r\n{\n#}", false),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\n\n\r\n0\r\n\r\n", false),
        ];
        for (text, untouched) in cases {
            let mut bytes = text.as_bytes().to_vec();
            let mut heads = Heads::START;
            for byte in &mut bytes {
                heads.watch(byte);
            }
            assert_eq!(bytes == text.as_bytes(), untouched, "{text:?}");
            assert_eq!(bytes.contains(&0), !untouched, "{text:?}");
        }
    }
}
