//! The WebDAV adapter against a provider in memory. Real servers and clients: `tests/dav`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod estate;
mod gate;
mod hostile;
mod listings;
mod names;
mod provider;
mod reads;
mod refusals;
mod uploads;
mod writes;
