//! The Microsoft 365 adapter against a provider in memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod addresses;
mod batches;
mod content;
mod gate;
mod listings;
mod messages;
mod provider;
mod refusals;
mod rest;
mod select;
mod sessions;
