//! The only bodies that a client can get: minimized, a document of our own, or none.
//!
//! A backend's body is of another type and has no way in here.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use super::at_once::Turns;

/// A piece on its way to the client.
pub(super) enum Piece {
    /// Minimized bytes.
    Minimized(Bytes),
    /// All of it was written. Without this the answer ends as broken.
    End,
}

/// What a client gets.
pub(super) enum ClientBody {
    /// Nothing.
    Empty,
    /// A document of our own: a problem, or the policy.
    Own(Option<Bytes>),
    /// A minimized body.
    Minimized(MinimizedBody),
}

impl ClientBody {
    /// The text of a document of our own.
    pub(super) fn own(text: String) -> Self {
        Self::Own(Some(Bytes::from(text)))
    }

    /// The request counts as one under way until its client has taken the answer, or is gone: what
    /// waits for clients in memory is bounded by how many these are.
    pub(super) fn holding(self, turns: Turns) -> Self {
        match self {
            Self::Own(Some(text)) => Self::Own(Some(held(text, &turns))),
            Self::Minimized(body) => Self::Minimized(MinimizedBody { turns, ..body }),
            Self::Empty | Self::Own(None) => self,
        }
    }
}

/// Bytes with what is held until they are dropped.
struct Held {
    bytes: Bytes,
    _turns: Turns,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn held(bytes: Bytes, turns: &Turns) -> Bytes {
    Bytes::from_owner(Held { bytes, _turns: turns.clone() })
}

/// Bytes that a minimizer wrote, the first of them at hand, the rest on their way.
pub(super) struct MinimizedBody {
    first: Option<Bytes>,
    rest: Option<mpsc::Receiver<Piece>>,
    /// What the request holds.
    turns: Turns,
}

impl MinimizedBody {
    /// A body that is complete already.
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self { first: Some(bytes), rest: None, turns: Turns::default() }
    }

    /// A body of which `first` is at hand; `rest` must end with [`Piece::End`].
    pub(super) fn begun(first: Bytes, rest: mpsc::Receiver<Piece>) -> Self {
        Self { first: Some(first), rest: Some(rest), turns: Turns::default() }
    }
}

/// The answer broke off. HTTP/1.1 closes without the last chunk, HTTP/2 resets the stream.
#[derive(Debug, thiserror::Error)]
#[error("the answer could not be completed")]
pub(super) struct Broken;

impl Body for ClientBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Own(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Minimized(body) => body.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Own(text) => text.is_none(),
            Self::Minimized(body) => body.first.is_none() && body.rest.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Own(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
            // Never exact, even when it is known: no `Content-Length` tells how much was removed.
            Self::Minimized(_) => SizeHint::default(),
        }
    }
}

impl MinimizedBody {
    fn frame(&self, bytes: Bytes) -> Frame<Bytes> {
        Frame::data(held(bytes, &self.turns))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(first) = self.first.take().filter(|first| !first.is_empty()) {
            return Poll::Ready(Some(Ok(self.frame(first))));
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        match rest.poll_recv(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Piece::Minimized(bytes))) => Poll::Ready(Some(Ok(self.frame(bytes)))),
            Poll::Ready(Some(Piece::End)) => {
                self.rest = None;
                Poll::Ready(None)
            }
            // The writer is gone and has not said that it was done.
            Poll::Ready(None) => {
                self.rest = None;
                Poll::Ready(Some(Err(Broken)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use http_body_util::BodyExt as _;
    use tokio::sync::mpsc;

    use super::{ClientBody, MinimizedBody, Piece};
    use crate::gateway::at_once::{AtOnce, Turns};

    #[tokio::test]
    async fn a_request_counts_until_the_last_byte_of_its_answer_is_gone() {
        let (pieces, rest) = mpsc::channel(4);
        assert!(pieces.try_send(Piece::Minimized(Bytes::from("}"))).is_ok());
        assert!(pieces.try_send(Piece::End).is_ok());
        for (body, frames) in [
            (ClientBody::Minimized(MinimizedBody::begun(Bytes::from("{"), rest)), 2),
            (ClientBody::Minimized(MinimizedBody::whole(Bytes::from("{}"))), 1),
            (ClientBody::own("{}".to_owned()), 1),
        ] {
            let requests = Arc::new(AtOnce::default());
            let of_all = requests.enter(1).map(Arc::new);
            let mut body = body.holding(Turns { of_all, of_recipient: None });
            assert!(requests.enter(1).is_none(), "it was not asked for yet");
            let mut last = None;
            for _ in 0..frames {
                last = body.frame().await;
            }
            assert!(body.frame().await.is_none(), "that was all of it");
            drop(body);
            assert!(requests.enter(1).is_none(), "the last piece is not sent");
            assert_eq!(
                last.and_then(Result::ok)
                    .and_then(|last| last.into_data().ok())
                    .map(|last| last.is_empty()),
                Some(false)
            );
            assert!(requests.enter(1).is_some());
        }
    }

    #[tokio::test]
    async fn a_body_without_its_end_is_broken() {
        for (ends, expected) in [(true, Some("{}")), (false, None)] {
            let (pieces, rest) = mpsc::channel(4);
            let body = ClientBody::Minimized(MinimizedBody::begun(Bytes::from("{"), rest));
            assert!(pieces.send(Piece::Minimized(Bytes::from("}"))).await.is_ok());
            if ends {
                assert!(pieces.send(Piece::End).await.is_ok());
            }
            drop(pieces);
            let collected = body.collect().await.ok().map(http_body_util::Collected::to_bytes);
            assert_eq!(collected.as_deref(), expected.map(str::as_bytes));
        }
    }
}
