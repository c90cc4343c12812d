//! A client's connection, watched: line ends as the standard has them, and no stalled writes.
//!
//! The HTTP parser takes a bare line feed for the end of a line and drops a fragment of the target in
//! silence; others do not, and two readers that disagree are how requests are smuggled. Here such a
//! byte is replaced by NUL, which no head may contain, so that the parser refuses the request.
//! Requests have no bodies, so all that is read from an HTTP/1.1 client is heads.
//! Source: RFC 9112 §2.2, §3.2.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A connection that is watched.
pub(super) struct Watched<S> {
    stream: S,
    heads: Option<Heads>,
    /// Longest time in which a client may take nothing.
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

/// Where in a request's head the reader is.
#[derive(Clone, Copy)]
struct Heads {
    in_request_line: bool,
    /// Nothing stood on this line yet.
    line_is_empty: bool,
    after_return: bool,
}

impl Heads {
    const START: Self = Self { in_request_line: true, line_is_empty: true, after_return: false };

    fn watch(&mut self, byte: &mut u8) {
        let was_return = std::mem::replace(&mut self.after_return, *byte == b'\r');
        match *byte {
            b'\n' if was_return => {
                // An empty line ends a head, or comes before one; a request line follows either way.
                self.in_request_line = self.line_is_empty;
                self.line_is_empty = true;
            }
            b'\n' => *byte = 0,
            b'\r' if !was_return => {}
            _ if was_return => *byte = 0,
            b'#' if self.in_request_line => *byte = 0,
            _ => self.line_is_empty = false,
        }
    }
}

impl<S> Watched<S> {
    /// Watches an HTTP/1.1 connection.
    pub(super) fn http1(stream: S, patience: Duration) -> Self {
        Self { stream, heads: Some(Heads::START), patience, stalled: None }
    }

    /// Watches a connection whose frames have lengths.
    pub(super) fn http2(stream: S, patience: Duration) -> Self {
        Self { stream, heads: None, patience, stalled: None }
    }

    /// Passes on what a write came to, and ends a connection that takes nothing for too long.
    fn progress<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.patience)));
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
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if let Some(heads) = &mut this.heads {
            for byte in &mut buffer.filled_mut()[before..] {
                heads.watch(byte);
            }
        }
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
    use super::Heads;

    #[test]
    fn line_ends_and_fragments_have_one_reading() {
        let cases: [(&str, bool); 11] = [
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
