//! HTTP/1.1 on one connection, awake and asleep.
//!
//! The HTTP library holds 16 KiB of buffers for a connection, whether anything is asked on it or not. So a
//! connection begins asleep, without the library, and falls asleep again when nothing was asked on it for
//! a moment: what is left of it waits for the next byte, and with that byte the library goes on where it
//! was. No time-out begins anew by it: a head must be whole when it would have had to be without the
//! sleep.

use std::future::{pending, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, sleep_until};

use super::flow::{Counted, Flow};
use super::line;
use super::listener::{BUFFER, Door, stopped};
use super::respond;
use super::strict::{UnderWay, Watched};
use super::unread::Unread;

/// How long a connection on which nothing is asked is kept when the gateway stops. Whoever asks within it
/// is answered, and told that the connection ends: a client that asks at the moment at which we close
/// would have no answer. Of a short drain time-out a quarter.
const LULL: Duration = Duration::from_secs(1);

/// How long nothing is asked before a connection falls asleep. To wake up costs some microseconds, which
/// nobody shall pay who asks one thing after another.
const DOZE: Duration = Duration::from_millis(250);

/// Most bytes that are read before the library is there.
const FIRST: usize = 1024;

/// What a connection came to that was awake.
enum Awake<S, V> {
    Over(Option<Unread>),
    /// It is to sleep; what it consists of.
    Drowsy(Watched<S>, V),
}

impl Door {
    /// Speaks HTTP/1.1 on a connection until it ends or the gateway stops. Returns what of it could not
    /// be read, and counts it.
    pub(super) async fn http1<S, V, B>(&self, stream: S, service: V) -> Option<Unread>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        V: Service<Request<Incoming>, Response = Response<B>> + Unpin + Send + 'static,
        V::Future: Send + 'static,
        V::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: Body + Unpin + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let under_way = Arc::new(UnderWay::default());
        let flow = Arc::new(Flow::default());
        let (its, stopping) = (Arc::clone(&flow), self.stopping.clone());
        let (asked, answer_time) = (Arc::clone(&under_way), self.limits.answer_time);
        let (lines, tunnels) = self.lines(Some(&under_way)).unzip();
        let mut service = service_fn(move |mut request| {
            asked.begin(answer_time);
            if let Some(lines) = &lines {
                lines.lay(&mut request, None);
            }
            let (begun, answer) = (its.begin(), service.call(request));
            let (stopping, asked) = (stopping.clone(), Arc::clone(&asked));
            // On the heap as long as it is asked, and not in what the library holds for a connection.
            Box::pin(async move {
                let mut response = answer.await?;
                line::switch(&mut response, &asked);
                if *stopping.borrow() && !respond::is_switched(&response) {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(CONNECTION, close);
                }
                Ok::<_, V::Error>(response.map(|body| Counted::new(body, begun)))
            })
        });
        let mut stream = Watched::http1(stream, self.limits.idle_timeout, Arc::clone(&under_way));
        if let Some(tunnels) = tunnels {
            // A tunnel is the library's to hand over, so that it is not let go of before.
            let all = self.wakeful(stream, service, (&flow, &under_way));
            let unread = Box::pin(all).await;
            tunnels.closed().await;
            return unread;
        }
        loop {
            // One that is new has been quiet since.
            let due = Instant::from_std(flow.since()) + self.limits.head_timeout;
            if !self.asleep(&mut stream, due).await {
                return None;
            }
            // On the heap for as long as it is awake, so that one that sleeps has no place for it.
            let awake = Box::pin(self.awake(stream, service, (&flow, &under_way), due)).await;
            (stream, service) = match awake {
                Awake::Over(unread) => return unread,
                Awake::Drowsy(stream, service) => (stream, service),
            };
        }
    }

    /// Has the library speak until the connection ends, or is handed over to a tunnel.
    async fn wakeful<S, V, B>(
        &self,
        stream: Watched<S>,
        service: V,
        (flow, under_way): (&Arc<Flow>, &UnderWay),
    ) -> Option<Unread>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        V: Service<Request<Incoming>, Response = Response<B>> + Unpin,
        V::Future: Unpin,
        V::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: Body + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let connection = self.library().serve_connection(TokioIo::new(stream), service);
        let drain = http1::UpgradeableConnection::graceful_shutdown;
        let still = |_| pending();
        // Between two requests the library's time-out of the next head runs, and while one is answered
        // that of the socket.
        self.drive(
            (connection.with_upgrades(), drain),
            self.ends(flow),
            pending(),
            still,
            under_way,
        )
        .await
    }

    fn library(&self) -> http1::Builder {
        let mut library = http1::Builder::new();
        library
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_headers(self.limits.header_fields)
            .max_header_size(self.limits.head_bytes)
            .max_buf_size(BUFFER);
        library
    }

    /// Ready when the gateway stops and nothing was asked for a moment.
    async fn ends(&self, flow: &Arc<Flow>) {
        let mut stopping = self.stopping.clone();
        stopped(&mut stopping).await;
        let lull = LULL.min(self.limits.drain_timeout / 4);
        Arc::clone(flow).stands_still(lull, true).await;
    }

    /// Has the library speak, until the connection ends or nothing was asked for a while. `due`: by when
    /// the next head must be whole.
    async fn awake<S, V, B>(
        &self,
        stream: Watched<S>,
        service: V,
        (flow, under_way): (&Arc<Flow>, &UnderWay),
        due: Instant,
    ) -> Awake<S, V>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        V: Service<Request<Incoming>, Response = Response<B>> + Unpin,
        V::Future: Unpin,
        V::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: Body + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut connection = self.library().serve_connection(TokioIo::new(stream), service);
        let mut ends = pin!(self.ends(flow));
        let mut dozes = pin!(Arc::clone(flow).stands_still(DOZE, true));
        let mut late = pin!(sleep_until(due));
        let before = flow.asked();
        let (mut is_ending, mut is_new) = (false, true);
        loop {
            // Between two requests the library's time-out of the next head runs, and while one is answered
            // that of the socket.
            tokio::select! {
                biased;
                ended = &mut connection => return Awake::Over(self.ended(ended, under_way)),
                () = ends.as_mut(), if !is_ending => {
                    is_ending = true;
                    Pin::new(&mut connection).graceful_shutdown();
                }
                () = late.as_mut(), if is_new => {
                    if flow.asked() == before {
                        self.over(if under_way.is_in_head() { "late-head" } else { "idle" });
                        return Awake::Over(None);
                    }
                    is_new = false;
                }
                () = dozes.as_mut(), if !is_ending => {
                    // Whoever comes late to a gateway that stops is to be told.
                    if !under_way.is_none() || *self.stopping.borrow() {
                        dozes.set(Arc::clone(flow).stands_still(DOZE, true));
                        continue;
                    }
                    // Nothing is under way: the library is done with it at once.
                    Pin::new(&mut connection).graceful_shutdown();
                    match poll_fn(|cx| Poll::Ready(connection.poll_without_shutdown(cx))).await {
                        Poll::Ready(Ok(())) => {
                            let parts = connection.into_parts();
                            let mut stream = parts.io.into_inner();
                            if !is_blank(&parts.read_buf) {
                                stream.keep(parts.read_buf);
                            }
                            return Awake::Drowsy(stream, parts.service);
                        }
                        Poll::Ready(ended) => return Awake::Over(self.ended(ended, under_way)),
                        // Then it ends with what is under way after all.
                        Poll::Pending => is_ending = true,
                    }
                }
            }
        }
    }

    /// Waits for the next request, which must be whole when it is `due`. Returns whether the library is to go
    /// on; otherwise the connection is over.
    async fn asleep<S>(&self, stream: &mut Watched<S>, due: Instant) -> bool
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            biased;
            begun = begins(stream) => match begun {
                Ok(true) => true,
                Ok(false) => {
                    // It is gone either way.
                    let _ = stream.shutdown().await;
                    false
                }
                Err(_) => false,
            },
            () = sleep_until(due) => {
                self.over("idle");
                false
            }
            () = stopped(&mut stopping) => true,
        }
    }
}

/// Empty lines before a request mean nothing, and the library skips them. Source: RFC 9112 §2.2.
fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}

/// Ready when something comes, which is kept to be read again. `false`: the other side sends nothing
/// more.
async fn begins<S: AsyncRead + Unpin>(stream: &mut Watched<S>) -> io::Result<bool> {
    poll_fn(|cx| {
        let mut first = [0; FIRST];
        loop {
            let mut first = ReadBuf::new(&mut first);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut first))?;
            if first.filled().is_empty() {
                return Poll::Ready(Ok(false));
            }
            if !is_blank(first.filled()) {
                stream.keep(Bytes::copy_from_slice(first.filled()));
                return Poll::Ready(Ok(true));
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::Full;
    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use tokio::io::{
        AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadBuf, ReadHalf, join,
        split,
    };
    use tokio::sync::{Semaphore, watch};
    use tokio::task::JoinHandle;

    use super::{DOZE, Door, FIRST, Unread};
    use crate::config::Limits;
    use crate::observe::Metrics;

    /// What comes on a connection, of which it is known how much room the last read of it had.
    struct Noting {
        stream: ReadHalf<DuplexStream>,
        room: watch::Sender<usize>,
    }

    impl AsyncRead for Noting {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.room.send_replace(buffer.remaining());
            Pin::new(&mut self.stream).poll_read(cx, buffer)
        }
    }

    struct Stage {
        client: DuplexStream,
        room: watch::Receiver<usize>,
        stop: watch::Sender<bool>,
        metrics: Arc<Metrics>,
        ended: JoinHandle<Option<Unread>>,
    }

    impl Stage {
        fn new(head_timeout: Duration) -> Self {
            let (stop, stopping) = watch::channel(false);
            let metrics = Arc::new(Metrics::new());
            let door = Door {
                slots: Arc::new(Semaphore::new(1)),
                addresses: Arc::default(),
                limits: Limits { head_timeout, ..Limits::default() },
                metrics: Arc::clone(&metrics),
                takes_tunnels: false,
                stopping,
            };
            let (client, stream) = tokio::io::duplex(64 * 1024);
            let (room, noted) = watch::channel(0);
            let answer = service_fn(|request: Request<Incoming>| async move {
                let path = request.uri().path().to_owned();
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(path))))
            });
            let (stream, writes) = split(stream);
            let stream = join(Noting { stream, room }, writes);
            let ended = tokio::spawn(async move { door.http1(stream, answer).await });
            Self { client, room: noted, stop, metrics, ended }
        }

        async fn says(&mut self, text: &str) {
            self.client.write_all(text.as_bytes()).await.expect("the connection is open");
        }

        /// Up to and with these words.
        async fn hears(&mut self, words: &str) -> String {
            let mut heard = Vec::new();
            while !heard.ends_with(words.as_bytes()) {
                heard.push(self.client.read_u8().await.expect("the connection is open"));
            }
            String::from_utf8(heard).expect("ASCII")
        }

        async fn is_asleep(&mut self) {
            self.room.wait_for(|room| (1..=FIRST).contains(room)).await.expect("it is open");
        }

        async fn is_awake(&mut self) {
            self.room.wait_for(|room| *room > FIRST).await.expect("it is open");
        }
    }

    #[tokio::test]
    async fn a_connection_on_which_nothing_is_asked_has_no_buffers_and_answers_what_is_asked_next()
    {
        let mut stage = Stage::new(Duration::from_mins(1));
        stage.is_asleep().await;
        stage.says("GET /first HTTP/1.1\r\nHost: a\r\n\r\n").await;
        stage.hears("/first").await;
        stage.is_awake().await;
        for path in ["/second", "/third"] {
            stage.is_asleep().await;
            // An empty line is no request yet.
            stage.says("\r\nG").await;
            stage.is_awake().await;
            stage.says(&format!("ET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
            let heard = stage.hears(path).await;
            assert!(!heard.contains("connection: close"), "{heard}");
            stage.is_awake().await;
        }
        stage.is_asleep().await;
        // Two at once.
        stage
            .says("GET /fourth HTTP/1.1\r\nHost: a\r\n\r\nGET /fifth HTTP/1.1\r\nHost: a\r\n")
            .await;
        stage.hears("/fourth").await;
        stage.says("Connection: close\r\n\r\n").await;
        stage.hears("/fifth").await;
        assert_eq!(stage.client.read(&mut [0]).await.expect("an end"), 0);
        assert_eq!(stage.ended.await.expect("no panic"), None);
    }

    #[tokio::test]
    async fn what_wakes_a_connection_and_is_no_request_ends_it() {
        let mut stage = Stage::new(Duration::from_mins(1));
        stage.is_asleep().await;
        stage.says("GET /a#b HTTP/1.1\r\n").await;
        stage.hears("400 Bad Request\r\n").await;
        assert_eq!(stage.ended.await.expect("no panic"), Some(Unread::Malformed));
    }

    /// Whoever asks before the end is answered, and told.
    #[tokio::test]
    async fn a_connection_that_sleeps_is_woken_by_the_end_of_the_gateway() {
        let mut stage = Stage::new(Duration::from_mins(1));
        stage.says("GET /first HTTP/1.1\r\nHost: a\r\n\r\n").await;
        stage.hears("/first").await;
        stage.is_awake().await;
        stage.is_asleep().await;
        stage.stop.send_replace(true);
        stage.is_awake().await;
        stage.says("GET /last HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(stage.hears("/last").await.contains("connection: close"));
        assert_eq!(stage.ended.await.expect("no panic"), None);
    }

    #[tokio::test]
    async fn a_connection_that_sleeps_ends_with_its_client() {
        let mut stage = Stage::new(Duration::from_mins(1));
        stage.is_asleep().await;
        stage.client.shutdown().await.expect("it is open");
        assert_eq!(stage.ended.await.expect("no panic"), None);
    }

    /// The wait for a head and the head have one time-out, however often the connection slept in it.
    #[tokio::test]
    async fn neither_sleep_nor_empty_lines_are_more_time_for_a_head() {
        for (begun, kind) in [("GET", "late-head"), ("\r\n", "idle"), ("", "idle")] {
            let mut stage = Stage::new(DOZE * 2);
            stage.says("GET /first HTTP/1.1\r\nHost: a\r\n\r\n").await;
            stage.hears("/first").await;
            stage.is_awake().await;
            stage.is_asleep().await;
            stage.says(begun).await;
            assert_eq!(stage.ended.await.expect("no panic"), None);
            let counted = format!("tamis_connections_ended_total{{kind=\"{kind}\"}} 1");
            let text = stage.metrics.text();
            assert!(text.contains(&counted), "{begun:?}: {text}");
        }
    }
}
