//! The ends of `benches/websockets/run`.
//!
//! `origin PORT CHAIN KEY`: sends each message back. `relay PORT CHAIN KEY ORIGIN CA`: TLS to TLS, nothing else.
//! `hold PORT CA COUNT`: opens so many, says so, and waits for a line. `echo PORT CA COUNT`: the median round trip of a
//! chat message in microseconds.

use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use futures_util::{SinkExt as _, StreamExt as _};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::WebSocketStream;
use tungstenite::Message;
use tungstenite::protocol::WebSocketConfig;

type Failure = Box<dyn Error + Send + Sync>;
type Client = WebSocketStream<TlsStream<TcpStream>>;

/// Fewer do not show what is usual.
const WARM: usize = 200;

fn acceptor(chain: &str, key: &str) -> Result<TlsAcceptor, Failure> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(chain)?.collect();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain?, PrivateKeyDer::from_pem_file(key)?)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn connector(ca: &str) -> Result<TlsConnector, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca)?)?;
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn connect(connector: &TlsConnector, port: u16) -> Result<TlsStream<TcpStream>, Failure> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost")?;
    Ok(connector.connect(name, stream).await?)
}

fn small() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
}

async fn open(connector: &TlsConnector, port: u16) -> Result<Client, Failure> {
    let stream = connect(connector, port).await?;
    let url = "wss://localhost/live";
    let (socket, _) =
        tokio_tungstenite::client_async_with_config(url, stream, Some(small())).await?;
    Ok(socket)
}

async fn origin(port: u16, acceptor: TlsAcceptor) -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let stream = acceptor.accept(stream).await?;
            let mut socket =
                tokio_tungstenite::accept_async_with_config(stream, Some(small())).await?;
            while let Some(message) = socket.next().await {
                let message = message?;
                if message.is_text() {
                    socket.send(message).await?;
                }
            }
            Ok::<(), Failure>(())
        });
    }
}

async fn relay(
    port: u16,
    acceptor: TlsAcceptor,
    to: u16,
    connector: TlsConnector,
) -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (acceptor, connector) = (acceptor.clone(), connector.clone());
        tokio::spawn(async move {
            let mut near = acceptor.accept(stream).await?;
            let mut far = connect(&connector, to).await?;
            tokio::io::copy_bidirectional(&mut near, &mut far).await?;
            Ok::<(), Failure>(())
        });
    }
}

async fn hold(port: u16, connector: TlsConnector, count: usize) -> Result<(), Failure> {
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let mut client = open(&connector, port).await?;
        // each has said something before it falls silent
        client.send(Message::text(MESSAGE)).await?;
        client.next().await.ok_or("no answer")??;
        held.push(client);
    }
    println!("{count}");
    let mut line = String::new();
    tokio::task::spawn_blocking(move || std::io::stdin().read_line(&mut line)).await??;
    Ok(())
}

const MESSAGE: &str = "{\"type\":\"say\",\"text\":\"La réunion de lundi est avancée à neuf heures; \
                       merci de prévenir les services et d'apporter les documents préparés.\"}";

async fn echo(port: u16, connector: TlsConnector, count: usize) -> Result<(), Failure> {
    let mut client = open(&connector, port).await?;
    let mut times = Vec::with_capacity(count);
    for at in 0..count + WARM {
        let begun = Instant::now();
        client.send(Message::text(MESSAGE)).await?;
        let answer = client.next().await.ok_or("no answer")??;
        if at >= WARM {
            times.push(begun.elapsed());
        }
        if answer.to_text()? != MESSAGE {
            return Err("another message came back".into());
        }
    }
    times.sort_unstable();
    println!("{}", times[count / 2].as_micros());
    client.close(None).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["origin", port, chain, key] => origin(port.parse()?, acceptor(chain, key)?).await,
        ["relay", port, chain, key, to, ca] => {
            let (near, far) = (acceptor(chain, key)?, connector(ca)?);
            relay(port.parse()?, near, to.parse()?, far).await
        }
        ["hold", port, ca, count] => hold(port.parse()?, connector(ca)?, count.parse()?).await,
        ["echo", port, ca, count] => echo(port.parse()?, connector(ca)?, count.parse()?).await,
        _ => Err("origin, relay, hold or echo: see the source".into()),
    }
}
