//! Amazon S3's protocol.

pub mod address;
pub mod checksum;
pub mod chunked;
pub mod error;
pub mod form;
pub mod query;
pub mod sigv4;
pub mod table;
pub mod time;
pub mod xml;
