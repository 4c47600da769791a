//! WebSockets through the gateway, over TLS, to a chat server that keeps all it hears. What counts is what that server
//! has in memory, and what each side is told at the end.

// all of it is test code, the functions that tests share too
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod chat;
mod client;
mod defect;
#[path = "../gateway/defective.rs"]
mod defective;
mod handshake;
mod lifetime;
mod log;
mod messages;
mod refusals;
mod site;

use std::future::Future;
use std::time::Duration;

/// Longer than anything takes on a machine that is busy with something else.
const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for what must come, without judging how fast.
async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: nothing within {DEADLINE:?}"),
    }
}

/// Waits until something holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    within(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
