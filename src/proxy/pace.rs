//! Whether bytes still move. Only time spent waiting counts, so a slow peer of one side is never the other's fault; there
//! is no limit on a whole transfer, which would kill large ones.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Nothing moved for too long, or too little in too much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooSlow;

/// So much waiting is judged at once.
const WINDOW: Duration = Duration::from_secs(10);

/// Watches one direction of one body or connection.
pub struct Pace {
    idle: Duration,
    /// Bytes a second.
    rate: u64,
    moved: u64,
    waited: Duration,
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// `rate` 0: any progress suffices.
    pub fn new(idle: Duration, rate: u64) -> Self {
        Self {
            idle,
            rate,
            moved: 0,
            waited: Duration::ZERO,
            since: None,
            timer: None,
        }
    }

    /// `bytes` came through.
    ///
    /// # Errors
    /// They were too few for the time they took.
    pub fn moved(&mut self, bytes: usize) -> Result<(), TooSlow> {
        let Some(since) = self.since.take() else {
            return Ok(());
        };
        self.moved = self.moved.saturating_add(bytes as u64);
        self.waited += since.elapsed();
        if self.waited < WINDOW {
            return Ok(());
        }
        let wanted = u128::from(self.rate) * self.waited.as_millis() / 1000;
        let enough = u128::from(self.moved) >= wanted;
        self.moved = 0;
        self.waited = Duration::ZERO;
        if enough { Ok(()) } else { Err(TooSlow) }
    }

    /// To be polled while nothing moves; ready when that lasts too long.
    pub fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<TooSlow> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let until = since + self.idle;
        // The timer is left alone while bytes move and set anew only when it fires early.
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        loop {
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= until {
                return Poll::Ready(TooSlow);
            }
            timer.as_mut().reset(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    async fn wait(pace: &mut Pace, time: Duration) -> Result<(), TooSlow> {
        let waited = tokio::time::timeout(time, poll_fn(|cx| pace.poll_wait(cx))).await;
        waited.map_or(Ok(()), Err)
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_after_the_idle_time() {
        let mut pace = Pace::new(IDLE, 0);
        assert_eq!(wait(&mut pace, Duration::from_secs(59)).await, Ok(()));
        pace.moved(1).unwrap();
        assert_eq!(wait(&mut pace, Duration::from_secs(59)).await, Ok(()));
        assert_eq!(wait(&mut pace, Duration::from_secs(2)).await, Err(TooSlow));
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_is_given_up_and_a_stream_is_not() {
        let mut pace = Pace::new(IDLE, 1024);
        let mut trickle = Ok(());
        for _ in 0..12 {
            wait(&mut pace, Duration::from_secs(1)).await.unwrap();
            trickle = trickle.and(pace.moved(1));
        }
        assert_eq!(trickle, Err(TooSlow));
        let mut pace = Pace::new(IDLE, 1024);
        for _ in 0..50 {
            wait(&mut pace, Duration::from_secs(1)).await.unwrap();
            assert_eq!(pace.moved(1100), Ok(()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_nobody_waits_does_not_count() {
        let mut pace = Pace::new(IDLE, 1024);
        for _ in 0..50 {
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(pace.moved(1), Ok(()));
        }
    }
}
