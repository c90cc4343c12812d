//! Whether an HTTP/2 connection gets anywhere: its client takes answers, or we are still making them.
//!
//! A client that opens no window, or one byte at a time, takes nothing of its answers, and the HTTP
//! library waits for it without end. Bytes on the socket do not tell: it may ask for pings meanwhile.
//! What tells is whether the library comes for more of a body, which it does only once the client
//! has taken what was there.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};

/// What is known of one connection.
#[derive(Default)]
pub(super) struct Flow {
    /// How often more of an answer was asked for, or an answer began.
    moved: AtomicU64,
    /// Answers that wait for us: not begun, or begun and nothing at hand.
    ours: AtomicUsize,
}

/// Something that waits for us, until it is dropped.
pub(super) struct Ours(Arc<Flow>);

impl Flow {
    /// An answer is being made.
    pub(super) fn ours(self: &Arc<Self>) -> Ours {
        self.ours.fetch_add(1, Ordering::Relaxed);
        Ours(Arc::clone(self))
    }

    /// A number that stays the same only while the client takes nothing and nothing waits for us.
    pub(super) fn moved(&self) -> u64 {
        if self.ours.load(Ordering::Relaxed) > 0 {
            self.moved.fetch_add(1, Ordering::Relaxed);
        }
        self.moved.load(Ordering::Relaxed)
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.0.moved.fetch_add(1, Ordering::Relaxed);
        self.0.ours.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A body of which it is known whether it is taken.
pub(super) struct Flowing<B> {
    body: B,
    flow: Arc<Flow>,
    waits: Option<Ours>,
}

impl<B> Flowing<B> {
    pub(super) const fn new(body: B, flow: Arc<Flow>) -> Self {
        Self { body, flow, waits: None }
    }
}

impl<B: Body + Unpin> Body for Flowing<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        this.flow.moved.fetch_add(1, Ordering::Relaxed);
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if polled.is_ready() {
            this.waits = None;
        } else if this.waits.is_none() {
            this.waits = Some(this.flow.ours());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use bytes::Bytes;
    use tokio::sync::mpsc;

    use super::super::body::{ClientBody, MinimizedBody, Piece};
    use super::*;

    #[test]
    fn only_a_client_that_takes_nothing_stands_still() {
        let flow = Arc::new(Flow::default());
        let stands_still = || flow.moved() == flow.moved();
        assert!(stands_still());
        let making = flow.ours();
        assert!(!stands_still(), "it waits for us");
        let (pieces, rest) = mpsc::channel(4);
        let body = ClientBody::Minimized(MinimizedBody::begun(Bytes::from("[1"), rest));
        let mut body = Flowing::new(body, Arc::clone(&flow));
        drop(making);
        assert!(stands_still(), "the answer is there and nobody takes it");
        let mut cx = Context::from_waker(Waker::noop());
        let before = flow.moved();
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_ready());
        assert_ne!(flow.moved(), before, "something was taken");
        assert!(stands_still(), "what was taken has not been sent yet");
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_pending());
        assert!(!stands_still(), "it waits for us");
        assert!(pieces.try_send(Piece::Minimized(Bytes::from("]"))).is_ok());
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_ready());
        assert!(stands_still());
        drop(body);
        assert!(stands_still(), "nothing is left of it");
    }
}
