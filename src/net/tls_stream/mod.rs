//! A TLS stream over rustls's unbuffered interface: rustls does the protocol and the cryptography, this holds the bytes.
//! Large reads from the socket, records sealed straight into the buffer that is sent, and no buffer at all while a
//! connection is idle. The usual stream reads its socket 4 KiB at a time and allocates for every record it sends.

mod sealing;
mod session;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, ReadTraffic, WriteTraffic};
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use self::sealing::{OVERHEAD, RECORD, seal_some};
use self::session::Session;
use super::buffer::Buffer;

/// More than any handshake message that rustls takes, with its records.
const INCOMING_MAX: usize = 160 * 1024;
/// Room that a read from the socket has at least: a record.
const READ_AT_LEAST: usize = RECORD + OVERHEAD + 256;
pub(super) type ServerStream = TlsStream<UnbufferedServerConnection>;
pub(super) type ClientStream = TlsStream<UnbufferedClientConnection>;

/// See the module.
pub(super) struct TlsStream<S> {
    tcp: TcpStream,
    session: S,
    /// Received and not yet processed.
    incoming: Buffer,
    /// Opened and not yet read.
    plain: BytesMut,
    outgoing: Buffer,
    /// The peer said that it will send nothing more.
    peer_closed: bool,
    /// The socket ended.
    ended: bool,
    closing: bool,
}

/// What a round of processing came to.
enum Turn {
    /// There is plaintext.
    Plain,
    /// Sealing is possible; there is nothing more to process.
    Ready,
    /// The handshake waits for the peer.
    Blocked,
    /// Both sides are closed.
    Closed,
}

impl<S: Session> TlsStream<S> {
    fn new(tcp: TcpStream, session: S) -> Self {
        Self {
            tcp,
            session,
            incoming: Buffer::default(),
            plain: BytesMut::new(),
            outgoing: Buffer::default(),
            peer_closed: false,
            ended: false,
            closing: false,
        }
    }

    /// Processes what is there; `act` is called once, when sealing is possible.
    fn turn(
        &mut self,
        sink: &mut Sink<'_, '_>,
        act: impl FnOnce(&mut Buffer, &mut WriteTraffic<'_, S::Data>) -> io::Result<()>,
    ) -> io::Result<Turn> {
        loop {
            let status = self.session.process(self.incoming.filled());
            let mut discard = status.discard;
            let mut turn = None;
            match status.state {
                Err(error) => {
                    self.alert();
                    return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                }
                Ok(ConnectionState::ReadTraffic(traffic)) => {
                    discard += take(traffic, sink, &mut self.plain)?;
                    turn = Some(Turn::Plain);
                }
                Ok(ConnectionState::EncodeTlsData(data)) => self.outgoing.encode(data)?,
                // what was encoded lies in order before whatever follows
                Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
                Ok(ConnectionState::PeerClosed) => self.peer_closed = true,
                Ok(ConnectionState::Closed) => turn = Some(Turn::Closed),
                Ok(ConnectionState::BlockedHandshake) => turn = Some(Turn::Blocked),
                Ok(ConnectionState::WriteTraffic(mut writer)) => {
                    act(&mut self.outgoing, &mut writer)?;
                    self.incoming.advance(discard);
                    return Ok(Turn::Ready);
                }
                Ok(_) => return Err(io::Error::other("early data is not served")),
            }
            self.incoming.advance(discard);
            if let Some(turn) = turn {
                return Ok(turn);
            }
        }
    }

    /// Encodes the alert that tells the peer what went wrong.
    fn alert(&mut self) {
        if let Ok(ConnectionState::EncodeTlsData(data)) = self.session.process(&mut []).state {
            let _ = self.outgoing.encode(data);
        }
    }

    /// Reads from the socket. The buffer is there only while there is something to read.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.incoming.is_empty() && self.tcp.poll_read_ready(cx)?.is_pending() {
            self.incoming.release();
            return Poll::Pending;
        }
        if self.incoming.len() > INCOMING_MAX {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let mut space = ReadBuf::new(self.incoming.space(READ_AT_LEAST));
        ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut space))?;
        let n = space.filled().len();
        self.incoming.filled_more(n);
        self.ended = n == 0;
        Poll::Ready(Ok(()))
    }

    /// Drives the handshake to its end.
    async fn handshake(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| {
            loop {
                let turn = self.turn(&mut Sink(None), |_, _| Ok(()));
                let sent = self.outgoing.poll_send(&mut self.tcp, cx);
                let turn = turn?;
                ready!(sent)?;
                match turn {
                    Turn::Ready | Turn::Plain => return Poll::Ready(Ok(())),
                    Turn::Closed => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                    Turn::Blocked => {}
                }
                ready!(self.poll_fill(cx))?;
                if self.ended {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
            }
        })
        .await
    }

    /// Seals what fits of `bufs`.
    fn seal(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let mut sealed = None;
        while sealed.is_none() {
            let turn = self.turn(&mut Sink(None), |outgoing, writer| {
                sealed = Some(seal_some(outgoing, writer, bufs)?);
                Ok(())
            })?;
            if let Turn::Blocked | Turn::Closed = turn {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
        Ok(sealed.unwrap_or_default())
    }

    fn poll_seal(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        if !self.outgoing.is_empty() {
            ready!(self.outgoing.poll_send(&mut self.tcp, cx))?;
        }
        let sealed = self.seal(bufs)?;
        // what does not fit the socket now is sent before the next write, or by the flush
        match self.outgoing.poll_send(&mut self.tcp, cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(sealed)),
        }
    }
}

/// Where plaintext goes first.
struct Sink<'s, 'b>(Option<&'s mut ReadBuf<'b>>);

/// Takes the records out; gives how many more bytes are to be discarded.
fn take<D>(
    mut traffic: ReadTraffic<'_, '_, D>,
    sink: &mut Sink<'_, '_>,
    rest: &mut BytesMut,
) -> io::Result<usize> {
    let mut discard = 0;
    while let Some(record) = traffic.next_record() {
        let record = record.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        discard += record.discard;
        let mut payload = record.payload;
        if let Some(buf) = &mut sink.0
            && rest.is_empty()
        {
            let n = payload.len().min(buf.remaining());
            buf.put_slice(&payload[..n]);
            payload = &payload[n..];
        }
        rest.extend_from_slice(payload);
    }
    Ok(discard)
}

impl<S: Session> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        if !this.plain.is_empty() {
            let n = this.plain.len().min(buf.remaining());
            buf.put_slice(&this.plain[..n]);
            this.plain.advance(n);
            if this.plain.is_empty() {
                this.plain = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
        loop {
            let turn = if this.incoming.is_empty() {
                Turn::Ready
            } else {
                this.turn(&mut Sink(Some(buf)), |_, _| Ok(()))?
            };
            if !this.outgoing.is_empty()
                && let Poll::Ready(Err(error)) = this.outgoing.poll_send(&mut this.tcp, cx)
            {
                return Poll::Ready(Err(error));
            }
            let got = buf.filled().len() > before;
            match turn {
                Turn::Plain if buf.remaining() > 0 && this.plain.is_empty() => continue,
                _ if got => return Poll::Ready(Ok(())),
                Turn::Closed => return Poll::Ready(Ok(())),
                _ if this.peer_closed => return Poll::Ready(Ok(())),
                // without the peer's word that it ended this is a cut
                _ if this.ended => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                _ => ready!(this.poll_fill(cx))?,
            }
        }
    }
}

impl<S: Session> AsyncWrite for TlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_seal(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_seal(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.outgoing.poll_send(&mut this.tcp, cx))?;
        this.outgoing.release();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while !this.closing {
            this.closing = true;
            if let Turn::Plain = this.turn(&mut Sink(None), Buffer::close)? {
                this.closing = false;
            }
        }
        ready!(this.outgoing.poll_send(&mut this.tcp, cx))?;
        Pin::new(&mut this.tcp).poll_shutdown(cx)
    }
}

impl ServerStream {
    /// # Errors
    /// The handshake failed; the peer was told why.
    pub async fn accept(config: Arc<ServerConfig>, tcp: TcpStream) -> io::Result<Self> {
        let session = UnbufferedServerConnection::new(config).map_err(io::Error::other)?;
        let mut stream = Self::new(tcp, session);
        stream.handshake().await?;
        Ok(stream)
    }

    pub fn alpn(&self) -> Option<&[u8]> {
        self.session.alpn_protocol()
    }
}

impl ClientStream {
    /// # Errors
    /// The handshake failed, or the server is not who it should be.
    pub async fn connect(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        tcp: TcpStream,
    ) -> io::Result<Self> {
        let session = UnbufferedClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut stream = Self::new(tcp, session);
        stream.handshake().await?;
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use rustls::RootCertStore;
    use rustls_pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

    use super::*;

    fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let server = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let client = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        (Arc::new(server), Arc::new(client))
    }

    fn name() -> ServerName<'static> {
        ServerName::try_from("localhost").unwrap()
    }

    /// Ours as server, rustls's usual stream as client.
    async fn serving() -> (ServerStream, client::TlsStream<TcpStream>) {
        let (server, client) = configs();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let connector = TlsConnector::from(client);
        let connecting = connector.connect(name(), tcp);
        let (ours, theirs) = tokio::join!(ServerStream::accept(server, accepted), connecting);
        (ours.unwrap(), theirs.unwrap())
    }

    /// The other way round.
    async fn connecting() -> (ClientStream, server::TlsStream<TcpStream>) {
        let (server, client) = configs();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let acceptor = TlsAcceptor::from(server);
        let accepting = acceptor.accept(accepted);
        let (ours, theirs) = tokio::join!(ClientStream::connect(client, name(), tcp), accepting);
        (ours.unwrap(), theirs.unwrap())
    }

    fn pattern(n: usize) -> Vec<u8> {
        (0..n).map(|i| (i * 7 % 251) as u8).collect()
    }

    /// Everything goes out and comes back, both ways at once, whatever the sizes of the pieces.
    async fn exchange(
        ours: impl AsyncRead + AsyncWrite + Unpin,
        theirs: impl AsyncRead + AsyncWrite + Unpin,
        piece: usize,
    ) {
        let data = pattern(1_000_003);
        let (mut our_read, mut our_write) = tokio::io::split(ours);
        let (mut their_read, mut their_write) = tokio::io::split(theirs);
        let write = |data: Vec<u8>| async move {
            for piece in data.chunks(piece) {
                our_write.write_all(piece).await.unwrap();
            }
            our_write.flush().await.unwrap();
            our_write
        };
        let back = data.clone();
        let their_writing = async move {
            for piece in back.chunks(piece) {
                their_write.write_all(piece).await.unwrap();
            }
            their_write.flush().await.unwrap();
            their_write
        };
        let mut got = (vec![0; data.len()], vec![0; data.len()]);
        let (_our, _their, ours, theirs) = tokio::join!(
            write(data.clone()),
            their_writing,
            our_read.read_exact(&mut got.0),
            their_read.read_exact(&mut got.1)
        );
        ours.unwrap();
        theirs.unwrap();
        assert!(got.0 == data && got.1 == data, "{piece}");
    }

    #[tokio::test]
    async fn both_ends_talk_to_the_usual_stream() {
        for piece in [1_000, 16 * 1024, 65_552, 400_000] {
            let (ours, theirs) = serving().await;
            exchange(ours, theirs, piece).await;
            let (ours, theirs) = connecting().await;
            exchange(ours, theirs, piece).await;
        }
    }

    #[tokio::test]
    async fn new_traffic_keys_go_unnoticed() {
        let (ours, mut theirs) = serving().await;
        theirs.get_mut().1.refresh_traffic_keys().unwrap();
        exchange(ours, theirs, 9_999).await;
    }

    #[tokio::test]
    async fn a_said_end_is_an_end_and_a_cut_is_an_error() {
        let (mut ours, mut theirs) = serving().await;
        theirs.write_all(b"whole").await.unwrap();
        theirs.shutdown().await.unwrap();
        let mut got = Vec::new();
        ours.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"whole");

        let (mut ours, mut theirs) = serving().await;
        theirs.write_all(b"cut").await.unwrap();
        theirs.flush().await.unwrap();
        let (mut tcp, _session) = theirs.into_inner();
        tcp.shutdown().await.unwrap();
        let mut got = Vec::new();
        let cut = ours.read_to_end(&mut got).await.unwrap_err();
        assert_eq!(
            (cut.kind(), got.as_slice()),
            (io::ErrorKind::UnexpectedEof, b"cut".as_slice())
        );
    }

    #[tokio::test]
    async fn our_end_is_said() {
        let (mut ours, mut theirs) = connecting().await;
        ours.write_all(b"whole").await.unwrap();
        ours.shutdown().await.unwrap();
        let mut got = Vec::new();
        theirs.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"whole");
    }

    #[tokio::test]
    async fn several_buffers_go_in_order() {
        let (mut ours, mut theirs) = connecting().await;
        let (head, body) = (pattern(300), pattern(40_000));
        let bufs = [io::IoSlice::new(&head), io::IoSlice::new(&body)];
        let wrote = std::future::poll_fn(|cx| Pin::new(&mut ours).poll_write_vectored(cx, &bufs))
            .await
            .unwrap();
        ours.flush().await.unwrap();
        let whole = [head, body].concat();
        let mut got = vec![0; wrote];
        theirs.read_exact(&mut got).await.unwrap();
        assert!(wrote > 300 && got == whole[..wrote]);
    }

    #[tokio::test]
    async fn a_flipped_record_ends_in_an_error() {
        let (mut ours, theirs) = serving().await;
        let (mut tcp, _session) = theirs.into_inner();
        tcp.write_all(&[23, 3, 3, 0, 32]).await.unwrap();
        tcp.write_all(&[0; 32]).await.unwrap();
        let error = ours.read(&mut [0; 16]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
