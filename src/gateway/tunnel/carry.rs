//! Bytes both ways, counted and otherwise not looked at, until one side ends or nothing passes for too
//! long. What one side does not take is not read of the other.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::time::{sleep, timeout};

/// Bytes of one direction that are under way here.
const HELD: usize = 16 * 1024;

/// How long the one side may still send when the other has ended.
const LINGER: Duration = Duration::from_secs(5);

/// What has passed so far. It can be read when the carrying was broken off.
#[derive(Debug)]
pub(super) struct Passed {
    began: Instant,
    /// Bytes towards the client.
    sent: AtomicU64,
    /// Bytes towards the backend.
    received: AtomicU64,
    /// When something passed last, in milliseconds since the beginning.
    last: AtomicU64,
}

/// Which side ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carried {
    /// The client.
    Client,
    /// The backend.
    Backend,
    /// Nothing passed for too long.
    Idle,
}

impl Passed {
    pub(super) fn new() -> Self {
        let (sent, received, last) = Default::default();
        Self { began: Instant::now(), sent, received, last }
    }

    /// Bytes towards the client, and towards the backend.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn moved(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    /// Ready when nothing has passed for this long.
    async fn idle(&self, patience: Duration) {
        loop {
            let last = self.last.load(Ordering::Relaxed);
            let quiet = Duration::from_millis(self.now().saturating_sub(last));
            match patience.checked_sub(quiet) {
                Some(left) if !left.is_zero() => sleep(left).await,
                Some(_) | None => return,
            }
        }
    }
}

/// Carries until an end.
pub(super) async fn carry<C, B>(
    client: &mut C,
    backend: &mut B,
    passed: &Passed,
    patience: Duration,
) -> Carried
where
    C: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let ((from_client, to_client), (from_backend, to_backend)) = (split(client), split(backend));
    let up = pump(from_client, to_backend, &passed.received, passed);
    let down = pump(from_backend, to_client, &passed.sent, passed);
    tokio::pin!(up, down);
    tokio::select! {
        whose = up.as_mut() => {
            if whose == Whose::Reader {
                let _ = timeout(LINGER, down).await;
                return Carried::Client;
            }
            Carried::Backend
        }
        whose = down.as_mut() => {
            if whose == Whose::Reader {
                let _ = timeout(LINGER, up).await;
                return Carried::Backend;
            }
            Carried::Client
        }
        () = passed.idle(patience) => Carried::Idle,
    }
}

/// Whose end a pump's end is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// There is no more to read.
    Reader,
    /// Nobody takes it any more.
    Writer,
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    count: &AtomicU64,
    passed: &Passed,
) -> Whose {
    let mut held = vec![0; HELD];
    loop {
        let Ok(read @ 1..) = from.read(&mut held).await else {
            // What was passed on is to arrive before the end does.
            let _ = to.shutdown().await;
            return Whose::Reader;
        };
        passed.moved();
        let written: io::Result<()> = async {
            to.write_all(&held[..read]).await?;
            to.flush().await
        }
        .await;
        if written.is_err() {
            return Whose::Writer;
        }
        count.fetch_add(read as u64, Ordering::Relaxed);
        passed.moved();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn bytes_pass_both_ways_until_one_side_ends_and_are_counted() {
        let ((mut client, mut near), (mut far, mut backend)) = (duplex(64), duplex(64));
        let passed = Passed::new();
        let patience = Duration::from_secs(30);
        let talk = async {
            client.write_all(b"hello\n").await.expect("taken");
            let mut got = [0; 6];
            backend.read_exact(&mut got).await.expect("it comes");
            backend.write_all(&got[..5]).await.expect("taken");
            client.read_exact(&mut got[..5]).await.expect("it comes back");
            drop(backend);
            // The end comes through.
            assert_eq!(client.read(&mut got).await.expect("an end"), 0);
            drop(client);
        };
        let (carried, ()) = tokio::join!(carry(&mut near, &mut far, &passed, patience), talk);
        assert_eq!((carried, passed.bytes()), (Carried::Backend, (5, 6)));
    }

    #[tokio::test]
    async fn what_nothing_passes_through_ends() {
        let ((_client, mut near), (mut far, _backend)) = (duplex(64), duplex(64));
        let patience = Duration::from_millis(20);
        let carried = carry(&mut near, &mut far, &Passed::new(), patience).await;
        assert_eq!(carried, Carried::Idle);
    }
}
