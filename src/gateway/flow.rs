//! Whether the client of an HTTP/2 connection takes its answers.
//!
//! A client that opens no window, or one byte at a time, takes nothing of its answers, and the HTTP
//! library keeps them for it without end. Bytes on the socket do not tell: it may ask for pings
//! meanwhile, or for more. What tells is how long the library keeps what it was given of an answer.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use tokio::time::sleep;

/// What is known of one connection.
pub(super) struct Flow(Mutex<Answers>);

struct Answers {
    /// The number of the next one.
    next: u64,
    /// Those that are being made, or of which the library may come for more.
    begun: usize,
    /// When the last of these was over.
    since: Instant,
    /// Those of which something is there that the client has not taken.
    at_hand: BTreeMap<u64, AtHand>,
}

/// Of one answer.
struct AtHand {
    pieces: usize,
    /// When it was there, or when the piece before it was taken.
    since: Instant,
}

/// One answer, from its request until all of it was given to the library.
pub(super) struct Answer {
    flow: Arc<Flow>,
    number: u64,
}

impl Default for Flow {
    fn default() -> Self {
        let (since, at_hand) = (Instant::now(), BTreeMap::new());
        Self(Mutex::new(Answers { next: 0, begun: 0, since, at_hand }))
    }
}

impl Flow {
    /// Something was asked.
    pub(super) fn begin(self: &Arc<Self>) -> Answer {
        let mut answers = self.answers();
        answers.begun += 1;
        answers.next += 1;
        Answer { flow: Arc::clone(self), number: answers.next }
    }

    /// How many requests there were.
    pub(super) fn asked(&self) -> u64 {
        self.answers().next
    }

    /// When the last answer was over, or there was none yet.
    pub(super) fn since(&self) -> Instant {
        self.answers().since
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        // Nothing panics between two writes to it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when the client has left there what it has left there longest. Where it shall ask nothing
    /// more, also since when nothing is under way. `None`: it is our turn.
    fn oldest(&self, is_ending: bool) -> Option<Instant> {
        let answers = self.answers();
        let oldest = answers.at_hand.values().map(|answer| answer.since).min();
        oldest.or((is_ending && answers.begun == 0).then_some(answers.since))
    }

    /// Ready when the client has not taken a piece of an answer for this long. A connection that is
    /// ending has this long to itself, and stands still where it does not end when nothing is under way.
    pub(super) async fn stands_still(self: Arc<Self>, patience: Duration, is_ending: bool) {
        if is_ending {
            sleep(patience).await;
        }
        loop {
            let waited = self.oldest(is_ending).map_or(Duration::ZERO, |since| since.elapsed());
            if waited >= patience {
                return;
            }
            sleep(patience.saturating_sub(waited)).await;
        }
    }
}

/// A body of which it is known whether it is taken.
pub(super) struct Flowing<B> {
    body: B,
    answer: Arc<Answer>,
}

impl<B> Flowing<B> {
    pub(super) const fn new(body: B, answer: Arc<Answer>) -> Self {
        Self { body, answer }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let mut answers = self.flow.answers();
        answers.begun = answers.begun.saturating_sub(1);
        answers.since = Instant::now();
    }
}

impl<B: Body + Unpin> Body for Flowing<B> {
    type Data = Piece<B::Data>;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, B::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        polled.map_ok(|frame| frame.map_data(|data| Piece::new(data, &this.answer)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body of which it is known when the library has had all of it, or has thrown it away.
pub(super) struct Counted<B> {
    body: B,
    _answer: Answer,
}

impl<B> Counted<B> {
    pub(super) const fn new(body: B, answer: Answer) -> Self {
        Self { body, _answer: answer }
    }
}

impl<B: Body + Unpin> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, B::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A piece of an answer, which is at hand until it is dropped: it was sent, or its stream is over.
pub(super) struct Piece<D> {
    data: D,
    flow: Arc<Flow>,
    number: u64,
}

impl<D> Piece<D> {
    fn new(data: D, answer: &Answer) -> Self {
        let (flow, number) = (Arc::clone(&answer.flow), answer.number);
        let new = || AtHand { pieces: 0, since: Instant::now() };
        flow.answers().at_hand.entry(number).or_insert_with(new).pieces += 1;
        Self { data, flow, number }
    }
}

impl<D> Drop for Piece<D> {
    fn drop(&mut self) {
        let mut answers = self.flow.answers();
        let Some(answer) = answers.at_hand.get_mut(&self.number) else { return };
        answer.pieces = answer.pieces.saturating_sub(1);
        answer.since = Instant::now();
        if answer.pieces == 0 {
            answers.since = Instant::now();
            answers.at_hand.remove(&self.number);
        }
    }
}

impl<D: Buf> Buf for Piece<D> {
    fn remaining(&self) -> usize {
        self.data.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.data.chunk()
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        self.data.chunks_vectored(into)
    }

    fn advance(&mut self, count: usize) {
        self.data.advance(count);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use bytes::Bytes;
    use tokio::sync::mpsc;

    use super::super::body::{self, ClientBody, MinimizedBody};
    use super::*;

    #[test]
    fn only_what_is_there_and_not_taken_stands_still() {
        let flow = Arc::new(Flow::default());
        let (pieces, rest) = mpsc::channel(4);
        let body = ClientBody::Minimized(MinimizedBody::begun(Bytes::from("[1"), rest));
        assert!(flow.oldest(true).is_some() && flow.oldest(false).is_none(), "nothing was asked");
        let mut body = Flowing::new(body, Arc::new(flow.begin()));
        let other = Piece::new(Bytes::from("{}"), &flow.begin());
        drop(other);
        assert_eq!((flow.oldest(true), flow.oldest(false)), (None, None), "it is being made");
        let mut cx = Context::from_waker(Waker::noop());
        let mut poll = || match Pin::new(&mut body).poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().ok(),
            _ => None,
        };
        let first = poll().expect("it is at hand");
        let began = flow.oldest(false).expect("it is there and nobody takes it");
        assert!(poll().is_none(), "there is no more of it");
        assert_eq!(flow.oldest(false), Some(began), "asking for more takes nothing");
        assert!(pieces.try_send(body::Piece::Minimized(Bytes::from("]"))).is_ok());
        let second = poll().expect("it came");
        assert_eq!(flow.oldest(true), Some(began));
        drop(first);
        assert!(flow.oldest(false).is_some(), "the second is at hand");
        drop(second);
        assert_eq!((flow.oldest(true), flow.oldest(false)), (None, None));
        drop(body);
        assert!(flow.oldest(true).is_some() && flow.oldest(false).is_none(), "all was taken");
    }
}
