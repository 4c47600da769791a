//! S3's documents: reading them within limits, changing them in place, writing the gateway's own.

mod writer;

pub use writer::{NAMESPACE, Writer, escape};
