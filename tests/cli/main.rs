//! The binary as an operator uses it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod commands;
mod interrupted;
mod keys;
mod leak;
mod objects;
mod sandbox;
mod tokens;
