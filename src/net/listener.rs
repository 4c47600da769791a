//! Listening sockets: connections are counted, bounded, and led through their handshake.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::connection;
use super::tls::ServerTls;
use super::tls_stream::ServerStream;
use crate::proxy::Proxy;

/// What bounds a connection.
#[derive(Debug, Clone, Copy)]
pub struct EdgeBounds {
    pub connections: usize,
    pub per_address: usize,
    /// HTTP/2 streams a connection.
    pub streams: u32,
    /// Bytes of a request's head.
    pub header_bytes: usize,
    pub header_timeout: Duration,
    pub handshake: Duration,
    pub idle: Duration,
    /// Bytes a second that a client must read at least.
    pub minimum_rate: u64,
}

/// All listeners of a gateway and what they share.
pub struct Edge {
    proxy: Arc<Proxy>,
    tls: ArcSwap<ServerTls>,
    bounds: ArcSwap<EdgeBounds>,
    counts: Mutex<Counts>,
    drain: watch::Sender<bool>,
    /// Each connection holds one; when all are gone, `over` ends.
    alive: Mutex<Option<mpsc::Sender<()>>>,
    over: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

#[derive(Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A socket that listens; it stops when this is dropped.
pub struct Opened {
    pub address: SocketAddr,
    tls12: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Opened {
    /// Connections from now on may use TLS 1.2, or may not.
    pub fn allow_tls12(&self, tls12: bool) {
        self.tls12.store(tls12, Ordering::Relaxed);
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Edge {
    pub fn new(proxy: Arc<Proxy>, tls: ServerTls, bounds: EdgeBounds) -> Arc<Self> {
        let (alive, over) = mpsc::channel(1);
        Arc::new(Self {
            proxy,
            tls: ArcSwap::from_pointee(tls),
            bounds: ArcSwap::from_pointee(bounds),
            counts: Mutex::default(),
            drain: watch::Sender::new(false),
            alive: Mutex::new(Some(alive)),
            over: tokio::sync::Mutex::new(over),
        })
    }

    /// Connections from now on use these certificates and bounds; open ones keep theirs.
    pub fn replace(&self, tls: ServerTls, bounds: EdgeBounds) {
        self.tls.store(Arc::new(tls));
        self.bounds.store(Arc::new(bounds));
    }

    /// Renewed certificates, nothing else.
    pub fn replace_tls(&self, tls: ServerTls) {
        self.tls.store(Arc::new(tls));
    }

    /// Binds and listens. `tls12`: also TLS 1.2.
    ///
    /// # Errors
    /// The address can't be bound.
    pub async fn open(self: &Arc<Self>, bind: SocketAddr, tls12: bool) -> io::Result<Opened> {
        let listener = TcpListener::bind(bind).await?;
        let address = listener.local_addr()?;
        let tls12 = Arc::new(AtomicBool::new(tls12));
        let task = tokio::spawn(self.clone().accept(listener, tls12.clone()));
        Ok(Opened {
            address,
            tls12,
            task,
        })
    }

    /// Lets open connections end; gives up after `time`. True when all have ended.
    pub async fn drain(&self, time: Duration) -> bool {
        self.drain.send_replace(true);
        self.alive
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut over = self.over.lock().await;
        tokio::time::timeout(time, over.recv()).await.is_ok()
    }

    async fn accept(self: Arc<Self>, listener: TcpListener, tls12: Arc<AtomicBool>) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let tls12 = tls12.load(Ordering::Relaxed);
                    self.clone().admit(stream, peer.ip(), tls12);
                }
                Err(error) => {
                    // out of file descriptors, most likely: others must end first
                    tracing::warn!(%error, "no connection can be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn admit(self: Arc<Self>, stream: TcpStream, peer: IpAddr, tls12: bool) {
        let bounds = **self.bounds.load();
        let alive = self
            .alive
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (Some(alive), Some(counted)) = (alive, self.count(peer, &bounds)) else {
            tracing::debug!("a connection is shed");
            return;
        };
        tokio::spawn(async move {
            let edge = counted.edge.clone();
            if let Err(error) = edge.handshake(stream, tls12, bounds).await {
                tracing::debug!(%error, "a handshake failed");
            }
            drop(counted);
            drop(alive);
        });
    }

    async fn handshake(
        &self,
        stream: TcpStream,
        tls12: bool,
        bounds: EdgeBounds,
    ) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let config = self.tls.load().config(tls12);
        let accepting = ServerStream::accept(config, stream);
        let stream = tokio::time::timeout(bounds.handshake, accepting).await??;
        let two = stream.alpn() == Some(b"h2");
        let drain = self.drain.subscribe();
        connection::serve(stream, two, self.proxy.clone(), bounds, drain).await;
        Ok(())
    }

    fn count(self: Arc<Self>, peer: IpAddr, bounds: &EdgeBounds) -> Option<Counted> {
        {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            let of_peer = counts.by_address.get(&peer).copied().unwrap_or(0);
            if counts.all >= bounds.connections || of_peer >= bounds.per_address {
                return None;
            }
            counts.all += 1;
            counts.by_address.insert(peer, of_peer + 1);
        }
        Some(Counted { edge: self, peer })
    }
}

/// A connection that counts until it is dropped.
struct Counted {
    edge: Arc<Edge>,
    peer: IpAddr,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self
            .edge
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        counts.all = counts.all.saturating_sub(1);
        let left = counts
            .by_address
            .get(&self.peer)
            .map_or(0, |of_peer| of_peer.saturating_sub(1));
        if left == 0 {
            counts.by_address.remove(&self.peer);
        } else {
            counts.by_address.insert(self.peer, left);
        }
    }
}
