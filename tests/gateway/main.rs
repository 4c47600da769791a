//! The gateway at its edges, over real sockets: a client that may do anything, and in the provider's place a recorder
//! that may do anything too. What counts is what the recorder got and what the client could take for a clean end.

// all of it is test code, the functions that tests share too
#![allow(clippy::unwrap_used, clippy::panic)]

mod admin;
mod cancel;
mod client;
mod defective;
mod drain;
mod exchange;
mod frames;
mod http2;
mod limits;
mod log;
mod malformed;
mod panics;
mod provider;
mod recorder;
mod reload;
mod site;
mod tls;
mod truncated;

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

/// Bytes that nothing else looks like.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(length)
    .collect()
}
