//! The Microsoft 365 adapter against a provider in memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod batches;
mod content;
mod fuse;
mod gate;
mod killed;
mod listings;
mod long;
mod messages;
mod provider;
mod refusals;
mod rest;
mod sessions;
