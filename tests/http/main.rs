//! The `http` adapter, from service file to provider and back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod addresses;
mod answers;
mod compressed;
mod forms;
mod gate;
mod hostile;
mod objects;
mod opens;
mod provider;
mod requests;
mod rules;
