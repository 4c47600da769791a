//! A client's connection under guard: heads are whole and unambiguous before anybody parses them, and time is bounded.
//!
//! A head that is refused is replaced by a harmless one, so that the answer is made where all answers are made; the
//! connection reads nothing after it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::framing::{Framing, Piece};
use crate::proxy::{HeadFault, Pace};

/// Stands for a head that was refused.
const REPLACEMENT: &[u8] = b"GET / HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n\r\n";

/// How long a connection without a request stays open when the gateway drains: a request may be on its way.
const GRACE: Duration = Duration::from_secs(1);
/// What is read and thrown away after a refusal, so that closing does not destroy the answer before the client has it.
const LINGER_BYTES: usize = 256 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(2);

/// What a connection and the exchanges on it tell each other.
#[derive(Default)]
pub(super) struct Watch {
    /// Which head of the connection, counted from 0, was refused, and why.
    refused: OnceLock<(usize, HeadFault)>,
    /// Exchanges that are not over.
    pub open: AtomicUsize,
    /// No further request is waited for.
    pub draining: AtomicBool,
    /// The protocol is being switched: what comes from now on are no requests.
    pub switched: AtomicBool,
}

impl Watch {
    pub fn fault(&self, head: usize) -> Option<HeadFault> {
        self.refused
            .get()
            .filter(|(refused, _)| *refused == head)
            .map(|(_, fault)| *fault)
    }
}

/// How long a connection may stay silent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub head: Duration,
    pub idle: Duration,
    /// Bytes a second that a client must read at least.
    pub minimum_rate: u64,
}

/// See the module.
pub(super) struct Guarded<S> {
    stream: S,
    /// `None` on HTTP/2, whose framing is binary.
    framing: Option<Framing>,
    /// Bytes of a head that is not whole yet.
    held: Vec<u8>,
    /// Bytes that may be read, from `given` on.
    out: Vec<u8>,
    given: usize,
    heads: usize,
    refused: bool,
    watch: std::sync::Arc<Watch>,
    head_time: Duration,
    head_timer: Option<Pin<Box<Sleep>>>,
    /// Without a request.
    silence: Pace,
    /// Whether `silence` was last looked at while something was under way.
    busy: bool,
    draining: bool,
    writing: Pace,
    /// Bytes taken since the last flush that ended: what it waits for.
    unflushed: usize,
    linger: Option<Linger>,
}

struct Linger {
    left: usize,
    until: Pin<Box<Sleep>>,
}

impl<S> Guarded<S> {
    /// `head_limit`: bytes of a head; `None` for HTTP/2.
    pub fn new(
        stream: S,
        head_limit: Option<usize>,
        times: Times,
        watch: std::sync::Arc<Watch>,
    ) -> Self {
        Self {
            stream,
            framing: head_limit.map(Framing::new),
            held: Vec::new(),
            out: Vec::new(),
            given: 0,
            heads: 0,
            refused: false,
            watch,
            head_time: times.head,
            head_timer: None,
            silence: Pace::new(times.idle, 0),
            busy: false,
            draining: false,
            writing: Pace::new(times.idle, times.minimum_rate),
            unflushed: 0,
            linger: None,
        }
    }

    /// Whether no byte came after the first `heads` heads and before the protocol was switched.
    pub fn switched_clean(&self, heads: usize) -> bool {
        let between = self.framing.as_ref().is_some_and(Framing::between);
        between && !self.refused && self.held.is_empty() && self.heads == heads
    }

    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let n = buf.remaining().min(self.out.len() - self.given);
        buf.put_slice(&self.out[self.given..self.given + n]);
        self.given += n;
        if self.given == self.out.len() {
            self.out = Vec::new();
            self.given = 0;
        }
    }

    fn refuse(&mut self, fault: HeadFault) {
        let _ = self.watch.refused.set((self.heads, fault));
        self.refused = true;
        self.held = Vec::new();
        self.head_timer = None;
        self.out.extend_from_slice(REPLACEMENT);
    }

    /// Goes through what was just read. What may be given out at once stays in `buf`.
    fn sift(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> io::Result<()> {
        let Some(mut framing) = self.framing.take() else {
            return Ok(());
        };
        // a head that began before is followed to its end, and the switch then refused
        if self.watch.switched.load(Ordering::Relaxed) && framing.between() {
            self.framing = Some(framing);
            return Ok(());
        }
        let mut at = before;
        // as long as nothing had to be held back, bytes stay where they are
        let mut in_place = self.held.is_empty() && self.out.is_empty();
        let mut kept = before;
        let mut outcome = Ok(());
        while at < buf.filled().len() {
            let (n, held) = match framing.next(&buf.filled()[at..]) {
                Piece::Body(n) => (n, false),
                Piece::Head(n) => {
                    self.heads += 1;
                    self.head_timer = None;
                    (n, false)
                }
                Piece::Partial(n) => (n, true),
                Piece::Refused(fault) => {
                    self.refuse(fault);
                    break;
                }
                Piece::Broken => {
                    outcome = Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "the body's chunks are malformed",
                    ));
                    break;
                }
            };
            let bytes = &buf.filled()[at..at + n];
            if held {
                self.held.extend_from_slice(bytes);
                in_place = false;
            } else if in_place {
                kept += n;
            } else {
                self.out.append(&mut self.held);
                self.out.extend_from_slice(bytes);
            }
            at += n;
        }
        buf.set_filled(kept);
        self.framing = Some(framing);
        outcome
    }

    /// What silence means now. Ready: the connection is over, or a head was given up.
    fn silent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.watch.switched.load(Ordering::Relaxed) {
            // the conversation has its own bounds
            return Poll::Pending;
        }
        let in_head = |f: &Framing| f.in_head() && !f.between();
        if self.framing.as_ref().is_some_and(in_head) {
            let time = self.head_time;
            let timer = self.head_timer.get_or_insert_with(|| Box::pin(sleep(time)));
            ready!(timer.as_mut().poll(cx));
            self.refuse(HeadFault::TooSlow);
            return Poll::Ready(());
        }
        if self.watch.draining.load(Ordering::Relaxed) && !self.draining {
            self.draining = true;
            self.silence = Pace::new(GRACE, 0);
        }
        loop {
            let between = self.framing.as_ref().is_none_or(Framing::between);
            let busy = !between || self.watch.open.load(Ordering::Relaxed) > 0;
            if busy != self.busy {
                self.busy = busy;
                let _ = self.silence.moved(0);
            }
            // while busy too: nobody says when the last exchange is over
            ready!(self.silence.poll_wait(cx));
            if !busy {
                return Poll::Ready(());
            }
            let _ = self.silence.moved(0);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.given < this.out.len() {
                this.give(buf);
                return Poll::Ready(Ok(()));
            }
            if this.refused {
                // nobody wakes this: the answer closes the connection
                return Poll::Pending;
            }
            let before = buf.filled().len();
            match Pin::new(&mut this.stream).poll_read(cx, buf) {
                Poll::Ready(read) => {
                    read?;
                    if buf.filled().len() == before {
                        return Poll::Ready(Ok(()));
                    }
                    let _ = this.silence.moved(0);
                    this.sift(buf, before)?;
                    if buf.filled().len() > before {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Pending => {
                    ready!(this.silent(cx));
                    if this.out.is_empty() {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }
}

impl<S> Guarded<S> {
    /// Bounds the time that a write waits for a client that does not read.
    fn paced<T>(
        &mut self,
        cx: &mut Context<'_>,
        wrote: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        let slow = || io::Error::new(io::ErrorKind::TimedOut, "the client reads too slowly");
        match wrote {
            Poll::Ready(Ok(done)) => match self.writing.moved(bytes(&done)) {
                Ok(()) => Poll::Ready(Ok(done)),
                Err(_) => Poll::Ready(Err(slow())),
            },
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.writing.poll_wait(cx).map(|_| Err(slow())),
        }
    }

    fn wrote(
        &mut self,
        cx: &mut Context<'_>,
        wrote: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(n)) = &wrote {
            self.unflushed = self.unflushed.saturating_add(*n);
        }
        self.paced(cx, wrote, |n| *n)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        let due = self.unflushed;
        if flushed.is_ready() {
            self.unflushed = 0;
        }
        self.paced(cx, flushed, |()| due)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.paced(cx, shut, |()| 0))?;
        }
        self.poll_linger(cx).map(Ok)
    }
}

impl<S: AsyncRead + Unpin> Guarded<S> {
    /// Reads on after a refusal, within bounds, until the client closes too.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let amid = self.framing.as_ref().is_some_and(|f| !f.between());
        if !self.refused && !amid {
            return Poll::Ready(());
        }
        let linger = self.linger.get_or_insert_with(|| Linger {
            left: LINGER_BYTES,
            until: Box::pin(sleep(LINGER_TIME)),
        });
        let mut space = [0; 4096];
        while linger.left > 0 && linger.until.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {
                    linger.left = linger.left.saturating_sub(buf.filled().len());
                }
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const TIMES: Times = Times {
        head: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        minimum_rate: 1024,
    };

    fn guarded<S>(stream: S) -> (Guarded<S>, Arc<Watch>) {
        let watch = Arc::new(Watch::default());
        (
            Guarded::new(stream, Some(4096), TIMES, watch.clone()),
            watch,
        )
    }

    async fn read(guarded: &mut Guarded<tokio::io::DuplexStream>, n: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < n {
            let mut buf = [0; 37];
            let got = guarded.read(&mut buf).await.unwrap();
            assert!(got > 0);
            all.extend_from_slice(&buf[..got]);
        }
        all
    }

    #[tokio::test]
    async fn what_is_sound_passes_unchanged_however_it_arrives() {
        let stream = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\nHost: a\r\n\r\n";
        for step in [1, 3, 20, 200] {
            let (mut near, far) = duplex(4096);
            let (mut guarded, _) = guarded(far);
            let write = async {
                for piece in stream.chunks(step) {
                    near.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
            };
            let ((), got) = tokio::join!(write, read(&mut guarded, stream.len()));
            assert_eq!(got, stream);
        }
    }

    #[tokio::test]
    async fn a_refused_head_is_replaced_and_nothing_follows() {
        let (mut near, far) = duplex(4096);
        let (mut guarded, watch) = guarded(far);
        near.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /evil HTTP/1.1\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n")
            .await
            .unwrap();
        let first = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let got = read(&mut guarded, first.len() + REPLACEMENT.len()).await;
        assert_eq!(&got[..first.len()], first);
        assert_eq!(&got[first.len()..], REPLACEMENT);
        assert_eq!(watch.fault(0), None);
        assert!(matches!(watch.fault(1), Some(HeadFault::Malformed(_))));
    }

    /// What lies unread in the kernel when a socket is closed makes it send a reset, which overtakes the answer.
    #[tokio::test(start_paused = true)]
    async fn what_follows_a_refused_head_is_read_within_bounds_before_the_connection_closes() {
        for (bytes, whole) in [(100_000, true), (10 << 20, false)] {
            let (mut near, far) = duplex(4096);
            let (mut guarded, _) = guarded(far);
            near.write_all(b"GET / HTTP/1.1\n").await.unwrap();
            assert_eq!(read(&mut guarded, REPLACEMENT.len()).await, REPLACEMENT);
            let close = async {
                guarded.shutdown().await.unwrap();
                drop(guarded);
            };
            let write = async {
                let written = near.write_all(&vec![b'a'; bytes]).await;
                drop(near);
                written
            };
            let ((), written) = tokio::join!(close, write);
            assert_eq!(written.is_ok(), whole, "{bytes}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_end_is_given_up_and_a_silent_connection_closed() {
        let (mut near, far) = duplex(4096);
        let (mut guarded, watch) = guarded(far);
        near.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
        assert_eq!(read(&mut guarded, REPLACEMENT.len()).await, REPLACEMENT);
        assert_eq!(watch.fault(0), Some(HeadFault::TooSlow));

        let (_near, far) = duplex(4096);
        let (mut silent, _) = super::tests::guarded(far);
        assert_eq!(silent.read(&mut [0; 8]).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_given_up() {
        let (_near, far) = duplex(16);
        let (mut guarded, _) = guarded(far);
        let error = guarded.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    /// Takes what is written at once, as TLS does, and sends it at 5 KiB a second.
    struct Behind(Option<Pin<Box<Sleep>>>, usize);

    impl AsyncRead for Behind {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Behind {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.1 += buf.len();
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            let time = Duration::from_secs(self.1 as u64 / 5120);
            let timer = self.0.get_or_insert_with(|| Box::pin(sleep(time)));
            ready!(timer.as_mut().poll(cx));
            (self.0, self.1) = (None, 0);
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_fast_enough_is_served_whatever_a_flush_takes() {
        let (mut guarded, _) = guarded(Behind(None, 0));
        for _ in 0..10 {
            guarded.write_all(&[0; 128 * 1024]).await.unwrap();
            guarded.flush().await.unwrap();
        }
    }
}
