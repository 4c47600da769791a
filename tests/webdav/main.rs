//! The WebDAV adapter against a provider in memory. Real servers and clients: `tests/dav`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod gate;
mod hostile;
mod listings;
mod names;
mod pins;
mod provider;
mod reads;
mod recalculate;
mod refusals;
mod uploads;
mod writes;
