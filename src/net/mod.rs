//! The edge: listeners, TLS, connections and their bounds, the way to the provider.

mod buffer;
mod certificates;
mod connection;
mod framing;
mod guarded;
mod link;
mod listener;
mod switch;
mod tls;
mod tls_stream;
mod upstream;
mod wire;

pub use self::certificates::{Certificates, IssueError, LocalCa, Pair};
pub use self::listener::{Edge, EdgeBounds, Opened};
pub use self::tls::{ClientTls, ServerTls, TlsError};
pub use self::upstream::{Provider, ProviderSettings};
