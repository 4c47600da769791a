//! The S3 adapter from a client's request to the provider's bytes and back, with a strict provider in memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(
    dead_code,
    reason = "the provider and the client serve two test binaries"
)]

mod client;
mod copies;
mod forms;
mod listings;
mod multipart;
mod objects;
mod pieces;
mod provider;
mod requests;
