//! Answers that take longer than a client waits in silence.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::{Fault, Released};

/// Something under way; it goes on only while it is polled.
pub type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Waits for `work`, no longer than `patience`; with none, not at all.
///
/// # Errors
/// The work itself, which goes on.
pub async fn within<T>(mut work: Work<T>, patience: Duration) -> Result<T, Work<T>> {
    if patience.is_zero() {
        return Err(work);
    }
    match tokio::time::timeout(patience, &mut work).await {
        Ok(done) => Ok(done),
        Err(_) => Err(work),
    }
}

impl Released {
    /// A document in the making: `opening` at once, a space every `period`, and what `rest` gives at last.
    pub fn lasting(opening: Bytes, rest: Work<Bytes>, period: Duration) -> Self {
        let mut spaces = tokio::time::interval_at(Instant::now() + period, period);
        spaces.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self::written(Box::pin(Lasting {
            opening: Some(opening),
            rest: Some(rest),
            spaces,
        }))
    }
}

struct Lasting {
    opening: Option<Bytes>,
    rest: Option<Work<Bytes>>,
    spaces: Interval,
}

impl Body for Lasting {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if let Some(opening) = self.opening.take() {
            return Poll::Ready(Some(Ok(Frame::data(opening))));
        }
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(bytes) = rest.as_mut().poll(cx) {
            self.rest = None;
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        ready!(self.spaces.poll_tick(cx));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b" ")))))
    }

    fn is_end_stream(&self) -> bool {
        self.opening.is_none() && self.rest.is_none()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn spaces_come_until_the_rest_does() {
        let (done, rest) = oneshot::channel();
        let work: Work<Bytes> = Box::pin(async { rest.await.unwrap() });
        let work = within(work, Duration::ZERO).await.err().unwrap();
        let mut body = Released::lasting(Bytes::from_static(b"<?"), work, Duration::from_millis(1));
        let mut next = async || body.frame().await.map(|f| f.unwrap().into_data().unwrap());
        assert_eq!(next().await.unwrap(), "<?");
        assert_eq!(next().await.unwrap(), " ");
        assert_eq!(next().await.unwrap(), " ");
        done.send(Bytes::from_static(b"<a/>")).unwrap();
        let mut last = next().await;
        while last.as_deref() == Some(b" ") {
            last = next().await;
        }
        assert_eq!(last.unwrap(), "<a/>");
        assert_eq!(next().await, None);
    }

    #[tokio::test]
    async fn what_is_done_in_time_is_given_back() {
        let work: Work<u8> = Box::pin(async { 7 });
        assert_eq!(within(work, Duration::from_secs(60)).await.ok(), Some(7));
    }
}
