//! The WebDAV adapter against a provider in memory. Real servers and clients: `tests/dav`.

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
