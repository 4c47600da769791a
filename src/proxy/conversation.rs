//! A WebSocket, from the answer that opens it to its end: messages in both directions, on one task, each held until the
//! other side has taken it. Whatever ends one side ends the other.

use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, Sleep, sleep};

use super::asked::{Asked, Passed};
use super::pace::Pace;
use crate::body::{ClientSocket, Duplex, Event, Farewell, SocketError, Switched};
use crate::error::{
    Code, FRAMING, PROTOCOL, Refusal, Side, TOO_LARGE, TOO_SLOW, UPSTREAM_INVALID,
    UPSTREAM_TIMEOUT, UPSTREAM_UNREACHABLE,
};

// RFC 6455 section 7.4.1
const GOING_AWAY: u16 = 1001;
const FRAMES: u16 = 1002;
const NOT_UTF8: u16 = 1007;
const RULES: u16 = 1008;
const TOO_BIG: u16 = 1009;
/// For the provider's failures too: browsers take the registered 1014 for a broken frame and drop its reason.
const FAILED: u16 = 1011;

/// What bounds WebSockets.
#[derive(Debug, Clone, Copy)]
pub struct ConversationBounds {
    /// At once; more are refused.
    pub count: usize,
    /// A side that was silent for so long is pinged; one that stays silent for as long again is gone.
    pub ping: Duration,
    /// Without a message in either direction.
    pub idle: Duration,
}

/// How a conversation ends: what each side is told, and the log.
struct Ending {
    /// `None`: an empty close frame.
    client: Option<Farewell>,
    provider: Option<(u16, &'static str)>,
    code: Option<&'static Code>,
    outcome: &'static str,
}

impl Ending {
    /// The same words to both.
    fn both(code: u16, word: &'static str, outcome: &'static str) -> Self {
        Self {
            client: Some(Farewell::new(code, word)),
            provider: Some((code, word)),
            code: None,
            outcome,
        }
    }

    fn failed(number: u16, code: &'static Code) -> Self {
        Self {
            code: Some(code),
            ..Self::both(number, code.name, "aborted")
        }
    }

    fn refused(refusal: &Refusal) -> Self {
        let number = match refusal.code.side {
            _ if refusal.code == &TOO_LARGE => TOO_BIG,
            Side::Client => RULES,
            Side::Gateway | Side::Upstream => FAILED,
        };
        Self::failed(number, refusal.code)
    }

    /// The client's connection failed.
    fn of_client(error: &SocketError) -> Self {
        match error {
            // its connection says so of a client that does not read
            SocketError::Broken(error) if error.kind() == ErrorKind::TimedOut => {
                Self::failed(RULES, &TOO_SLOW)
            }
            SocketError::Gone | SocketError::Broken(_) => Self::both(GOING_AWAY, "", "cut"),
            SocketError::Utf8 => Self::failed(NOT_UTF8, &PROTOCOL),
            SocketError::TooLong => Self::failed(TOO_BIG, &TOO_LARGE),
            SocketError::Frames(_) => Self::failed(FRAMES, &FRAMING),
            SocketError::Pings => Self::failed(RULES, &TOO_SLOW),
        }
    }

    /// The provider's did: it is told what it did, the client that the provider failed.
    fn of_provider(error: &SocketError) -> Self {
        let (number, code) = match error {
            SocketError::Gone | SocketError::Broken(_) => (FAILED, &UPSTREAM_UNREACHABLE),
            SocketError::Utf8 => (NOT_UTF8, &UPSTREAM_INVALID),
            SocketError::TooLong => (TOO_BIG, &UPSTREAM_INVALID),
            SocketError::Frames(_) => (FRAMES, &UPSTREAM_INVALID),
            SocketError::Pings => (RULES, &UPSTREAM_INVALID),
        };
        Self {
            provider: Some((number, code.name)),
            ..Self::failed(FAILED, code)
        }
    }
}

/// Whether a side is still there.
#[derive(Default)]
struct Heart {
    heard: bool,
    pinged: bool,
    /// Its messages can't be taken: whether it is there can't be told.
    held_up: bool,
}

impl Heart {
    fn heard(&mut self) {
        (self.heard, self.pinged) = (true, false);
    }

    /// `Some(true)`: it is to be pinged. `Some(false)`: it is gone.
    fn beat(&mut self) -> Option<bool> {
        if std::mem::take(&mut self.heard) || self.held_up {
            self.pinged = false;
            return None;
        }
        Some(!std::mem::replace(&mut self.pinged, true))
    }
}

/// One WebSocket. Its line is logged when it is dropped, however that comes.
pub struct Conversation {
    switched: Box<Switched>,
    said: Said,
    bounds: ConversationBounds,
    /// How long a side may take nothing that is sent to it.
    patience: Duration,
    ended: watch::Receiver<bool>,
}

struct Said {
    asked: Asked,
    up: Passed,
    down: Passed,
    outcome: &'static str,
    _place: OwnedSemaphorePermit,
}

impl Drop for Said {
    fn drop(&mut self) {
        self.asked
            .log_conversation(self.up, self.down, self.outcome);
    }
}

impl Said {
    fn refused(&self, refusal: &Refusal) -> Ending {
        self.asked.log_refusal(refusal);
        Ending::refused(refusal)
    }
}

impl Conversation {
    /// `ended`: turns true when the configuration that the conversation began under is no longer in force.
    pub(super) fn new(
        switched: Box<Switched>,
        asked: Asked,
        (bounds, patience): (ConversationBounds, Duration),
        ended: watch::Receiver<bool>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let said = Said {
            asked,
            up: Passed::default(),
            down: Passed::default(),
            outcome: "cut",
            _place: place,
        };
        Self {
            switched,
            said,
            bounds,
            patience,
            ended,
        }
    }

    /// Runs to the end over the client's connection. `ahead`: bytes of it that were read already; `None`: they came
    /// before the client could know that the protocol would be switched, so nobody can say what they are.
    pub async fn run<S: Duplex>(mut self, stream: S, ahead: Option<Bytes>) {
        let known = ahead.as_deref().unwrap_or_default();
        let client = ClientSocket::new(stream, known, self.switched.max_message);
        let mut pump = Pump {
            client,
            switched: self.switched,
            client_heart: Heart::default(),
            provider_heart: Heart::default(),
            to_client: Pace::new(self.patience, 0),
            to_provider: Pace::new(self.patience, 0),
            tick: Box::pin(sleep(self.bounds.ping)),
            spoken: Instant::now(),
            bounds: self.bounds,
        };
        let ending = if ahead.is_none() {
            pump.client.disregard();
            Ending::failed(FRAMES, &FRAMING)
        } else {
            let said = &mut self.said;
            tokio::select! {
                biased;
                _ = self.ended.wait_for(|ended| *ended) => {
                    Ending::both(GOING_AWAY, "draining", "done")
                }
                ending = poll_fn(|cx| pump.poll(cx, said)) => ending,
            }
        };
        self.said.asked.code = ending.code.map(|code| code.name);
        self.said.outcome = ending.outcome;
        pump.part(&ending).await;
    }
}

struct Pump<S> {
    client: ClientSocket<S>,
    switched: Box<Switched>,
    client_heart: Heart,
    provider_heart: Heart,
    /// Time that something waits to be taken.
    to_client: Pace,
    to_provider: Pace,
    tick: Pin<Box<Sleep>>,
    /// When the last message passed.
    spoken: Instant,
    bounds: ConversationBounds,
}

impl<S: Duplex> Pump<S> {
    fn poll(&mut self, cx: &mut Context<'_>, said: &mut Said) -> Poll<Ending> {
        if let Poll::Ready(ending) = self.outward(cx, said) {
            return Poll::Ready(ending);
        }
        if let Poll::Ready(ending) = self.inward(cx, said) {
            return Poll::Ready(ending);
        }
        self.beat(cx)
    }

    /// From the client to the provider. The next message is taken when the last has gone out.
    fn outward(&mut self, cx: &mut Context<'_>, said: &mut Said) -> Poll<Ending> {
        loop {
            let flushed = self.switched.provider.poll_flush(cx);
            self.client_heart.held_up = flushed.is_pending();
            match flushed {
                Poll::Pending => {
                    let slow = self.to_provider.poll_wait(cx);
                    return slow.map(|_| Ending::failed(FAILED, &UPSTREAM_TIMEOUT));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Ending::of_provider(&error)),
                Poll::Ready(Ok(())) => _ = self.to_provider.moved(0),
            }
            let event = match ready!(self.client.poll_receive(cx)) {
                Ok(event) => event,
                Err(error) => return Poll::Ready(Ending::of_client(&error)),
            };
            self.client_heart.heard();
            let message = match event {
                Event::Alive => continue,
                Event::Closed(farewell) => {
                    return Poll::Ready(Ending {
                        client: None,
                        // its reason may be anything
                        provider: farewell.map(|farewell| (farewell.code, "")),
                        code: None,
                        outcome: "done",
                    });
                }
                Event::Message(message) => message,
            };
            self.spoken = Instant::now();
            let bytes = message.len();
            let cleared = self.switched.messages.outward(message, SystemTime::now());
            match cleared {
                Ok(cleared) => {
                    if let Err(error) = self.switched.provider.send(cleared) {
                        return Poll::Ready(Ending::of_provider(&error));
                    }
                    said.up.add(bytes);
                }
                Err(refusal) => return Poll::Ready(said.refused(&refusal)),
            }
        }
    }

    /// From the provider to the client.
    fn inward(&mut self, cx: &mut Context<'_>, said: &mut Said) -> Poll<Ending> {
        loop {
            let flushed = self.client.poll_flush(cx);
            self.provider_heart.held_up = flushed.is_pending();
            match flushed {
                Poll::Pending => {
                    let slow = self.to_client.poll_wait(cx);
                    return slow.map(|_| Ending::failed(RULES, &TOO_SLOW));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Ending::of_client(&error)),
                Poll::Ready(Ok(())) => _ = self.to_client.moved(0),
            }
            let event = match ready!(self.switched.provider.poll_receive(cx)) {
                Ok(event) => event,
                Err(error) => return Poll::Ready(Ending::of_provider(&error)),
            };
            self.provider_heart.heard();
            let message = match event {
                Event::Alive => continue,
                Event::Closed(farewell) => {
                    return Poll::Ready(Ending {
                        client: farewell,
                        provider: None,
                        code: None,
                        outcome: "done",
                    });
                }
                Event::Message(message) => message,
            };
            self.spoken = Instant::now();
            match self.switched.messages.inward(message) {
                Ok(released) => {
                    let bytes = released.len();
                    if let Err(error) = self.client.send(released) {
                        return Poll::Ready(Ending::of_client(&error));
                    }
                    said.down.add(bytes);
                }
                Err(refusal) => return Poll::Ready(said.refused(&refusal)),
            }
        }
    }

    /// Pings those that are silent, and gives up those that stay so.
    fn beat(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        while self.tick.as_mut().poll(cx).is_ready() {
            self.tick.as_mut().reset(Instant::now() + self.bounds.ping);
            if self.spoken.elapsed() >= self.bounds.idle {
                return Poll::Ready(Ending::both(GOING_AWAY, "idle", "done"));
            }
            let pinged = match self.client_heart.beat() {
                Some(false) => return Poll::Ready(Ending::failed(RULES, &TOO_SLOW)),
                Some(true) => self.client.ping(),
                None => Ok(()),
            };
            if let Err(error) = pinged {
                return Poll::Ready(Ending::of_client(&error));
            }
            let pinged = match self.provider_heart.beat() {
                Some(false) => return Poll::Ready(Ending::failed(FAILED, &UPSTREAM_TIMEOUT)),
                Some(true) => self.switched.provider.ping(),
                None => Ok(()),
            };
            if let Err(error) = pinged {
                return Poll::Ready(Ending::of_provider(&error));
            }
            // what is not taken at once goes out with the next message, or the next tick finds it held up
            let _ = self.client.poll_flush(cx);
            let _ = self.switched.provider.poll_flush(cx);
        }
        Poll::Pending
    }

    async fn part(&mut self, ending: &Ending) {
        let (code, word) = match ending.provider {
            Some((code, word)) => (Some(code), word),
            None => (None, ""),
        };
        tokio::join!(
            self.client.part(ending.client.as_ref()),
            self.switched.provider.part(code, word),
        );
    }
}
