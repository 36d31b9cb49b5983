//! One HTTP/2 connection (RFC 9113): many requests at a time, and WebSockets among them (RFC 8441).

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use waxwing_kernel::clock::Clock;

use super::outgoing::Pulse;
use super::serve::{HyperReply, HyperRequest};
use crate::limits::Limits;
use crate::socket::Socket;

tokio::task_local! {
    /// Beats while the answer of this stream goes out.
    pub(super) static PULSE: Arc<Pulse>;
}

/// Serves streams until the connection ends, or nobody has used it for a while. Once `stop`
/// changes, those that are open are the last.
pub(super) async fn serve<S>(
    socket: Socket,
    service: S,
    (clock, limits): (Clock, &Limits),
    mut stop: watch::Receiver<bool>,
) where
    S: Service<HyperRequest, Response = HyperReply, Error = std::convert::Infallible>,
    S::Future: Send + 'static,
{
    let patience = Duration::from_secs(limits.body_seconds);
    let streams = Streams { clock, patience, life: Arc::default() };
    let life = Arc::clone(&streams.life);
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
        .initial_stream_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_send_buf_size(limits.stream_window_bytes as usize)
        .keep_alive_interval(Duration::from_secs(limits.stream_ping_seconds))
        .keep_alive_timeout(patience);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(socket), service));
    let idle = Duration::from_secs(limits.header_seconds);
    let mut is_ending = false;
    loop {
        tokio::select! {
            outcome = &mut connection => {
                if let Err(error) = outcome {
                    tracing::debug!(%error, "an HTTP/2 connection ended early");
                }
                return;
            }
            _ = stop.changed(), if !is_ending => {}
            // The second time it has been told to go, and did not.
            () = life.rests(idle) => if is_ending { return },
        }
        connection.as_mut().graceful_shutdown();
        is_ending = true;
    }
}

/// Runs the streams of one connection, each on a task of its own.
#[derive(Clone)]
struct Streams {
    clock: Clock,
    patience: Duration,
    life: Arc<Life>,
}

/// How many streams are open, and how many there were.
#[derive(Default)]
struct Life {
    open: AtomicUsize,
    begun: AtomicU64,
}

impl Life {
    /// Resolves when no stream was open for `period`, and up to twice as long.
    async fn rests(&self, period: Duration) {
        let mut before = None;
        loop {
            let begun = self.begun.load(Ordering::Relaxed);
            if before == Some(begun) && self.open.load(Ordering::Relaxed) == 0 {
                return;
            }
            before = Some(begun);
            tokio::time::sleep(period).await;
        }
    }
}

/// One stream, counted until it is dropped.
struct Open(Arc<Life>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        self.life.begun.fetch_add(1, Ordering::Relaxed);
        self.life.open.fetch_add(1, Ordering::Relaxed);
        let open = Open(Arc::clone(&self.life));
        let (pulse, patience) = (Arc::<Pulse>::default(), self.patience);
        let beating = Arc::clone(&pulse);
        self.clock.spawn(PULSE.scope(pulse, async move {
            let _open = open;
            // The stream is reset, and the others go on.
            tokio::select! {
                _ = stream => {}
                stop = beating.stops(patience) => stop.note(),
            }
        }));
    }
}
