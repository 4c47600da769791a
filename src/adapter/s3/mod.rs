//! Amazon S3's protocol.

pub mod address;
pub mod error;
pub mod query;
pub mod table;
pub mod xml;
