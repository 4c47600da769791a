//! The Microsoft 365 adapter against a provider in memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod addresses;
mod adversary;
mod attachments;
mod batches;
mod chunks;
mod content;
mod fuse;
mod gate;
mod killed;
mod library;
mod listings;
mod long;
mod mailbox;
mod message_batches;
mod messages;
mod mime;
mod provider;
mod refusals;
mod rest;
mod select;
mod sessions;
