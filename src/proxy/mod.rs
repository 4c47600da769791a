//! The exchange: one request from its head to the last byte of its answer. Errors become responses here, and nowhere else.
//!
//! gate (what is ambiguous is refused) -> route by authority -> `classify` -> `verify` -> the policy's verdict ->
//! `perform` -> answer. `docs/request.md` follows one through.

mod answer;
mod arrival;
mod asked;
mod conversation;
mod gate;
mod handshake;
mod pace;
mod respond;
mod routes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use http::{Request, Response, request};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub use self::answer::Answer;
pub use self::conversation::{Conversation, ConversationBounds};
pub use self::gate::HeadFault;
pub use self::pace::{Pace, TooSlow};
pub use self::routes::{Duplicate, Routes, Service};

use self::arrival::Arrival;
use self::asked::Asked;
use self::handshake::Handshake;
use crate::adapter::{Exchange, Principal};
use crate::body::{Plain, Released, Switched};
use crate::error::{DRAINING, HOST_UNKNOWN, INTERNAL, OVERLOADED, Refusal, UPSTREAM_INVALID};
use crate::telemetry::RequestId;

/// What bounds an exchange.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Requests at once; more are shed with 503.
    pub in_flight: usize,
    /// Without a byte of a body, in either direction.
    pub idle: Duration,
    /// Bytes a second below which a body is given up.
    pub minimum_rate: u64,
    pub conversations: ConversationBounds,
}

/// What a reload swaps at once.
pub struct Site {
    routes: Routes,
    bounds: Bounds,
    in_flight: Arc<Semaphore>,
    conversations: Arc<Semaphore>,
    /// Turns true when this is no longer in force: conversations, which may last for days, end then.
    ended: watch::Sender<bool>,
}

impl Site {
    pub fn new(routes: Routes, bounds: Bounds) -> Self {
        Self {
            routes,
            bounds,
            in_flight: Arc::new(Semaphore::new(bounds.in_flight)),
            conversations: Arc::new(Semaphore::new(bounds.conversations.count)),
            ended: watch::Sender::new(false),
        }
    }
}

/// Serves exchanges over the site in force.
pub struct Proxy {
    site: ArcSwap<Site>,
    ids: RequestIds,
    draining: AtomicBool,
}

impl Proxy {
    /// `seed`: random, so that the ids of two runs do not meet.
    pub fn new(site: Site, seed: u64) -> Self {
        Self {
            site: ArcSwap::from_pointee(site),
            ids: RequestIds {
                seed,
                count: AtomicU64::new(0),
            },
            draining: AtomicBool::new(false),
        }
    }

    /// Exchanges that begin from now on see the new site; those under way end on the one they began with. WebSockets
    /// are ended: their clients open new ones.
    pub fn replace(&self, site: Site) {
        let old = self.site.swap(Arc::new(site));
        old.ended.send_replace(true);
    }

    /// New exchanges are refused from now on, and WebSockets ended.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.site.load().ended.send_replace(true);
    }

    /// Answers one request; whatever fails is an answer too. `fault`: what the connection found wrong with the head.
    pub async fn serve(
        &self,
        request: Request<Incoming>,
        fault: Option<HeadFault>,
    ) -> Response<Answer> {
        let site = self.site.load_full();
        let (head, incoming) = request.into_parts();
        let mut asked = Asked::new(self.ids.next(), &head);
        let (plain, returned) = Arrival::split(incoming, &head, site.bounds);
        let permit = site.in_flight.clone().try_acquire_owned().ok();
        let service = match route(&site, &head, fault) {
            Ok(service) => service,
            Err(refusal) => {
                drop(plain);
                let response = respond::refuse(None, &mut asked, refusal);
                return answer::finish(response, None, asked, returned, permit);
            }
        };
        asked.service = Some(service.name.clone());
        let performed = if permit.is_none() {
            Err(Refusal::new(&OVERLOADED))
        } else if self.draining.load(Ordering::Acquire) {
            Err(Refusal::new(&DRAINING))
        } else {
            perform(&site, service, &mut asked, head, plain).await
        };
        let begun = match performed {
            Ok((response, None)) => answer::begin(response).await,
            Ok((response, Some((switched, place)))) => {
                let id = asked.id;
                let bounds = (site.bounds.conversations, site.bounds.idle);
                let ended = site.ended.subscribe();
                let conversation = Conversation::new(switched, asked, bounds, ended, place);
                return answer::switch(response, id, conversation);
            }
            Err(refusal) => Err(refusal),
        };
        let (response, first) = begun.unwrap_or_else(|refusal| {
            let adapter = Some(service.adapter.as_ref());
            (respond::refuse(adapter, &mut asked, refusal), None)
        });
        answer::finish(response, first, asked, returned, permit)
    }
}

fn route<'s>(
    site: &'s Site,
    head: &request::Parts,
    fault: Option<HeadFault>,
) -> Result<&'s Service, Refusal> {
    let authority = gate::check(head, fault)?;
    site.routes
        .find(authority)
        .ok_or_else(|| Refusal::new(&HOST_UNKNOWN))
}

/// What follows a head that switches, and its place among those that may.
type Following = Option<(Box<Switched>, OwnedSemaphorePermit)>;

async fn perform(
    site: &Site,
    service: &Service,
    asked: &mut Asked,
    head: request::Parts,
    body: Plain,
) -> Result<(Response<Released>, Following), Refusal> {
    let exchange = Exchange {
        request_id: asked.id,
        now: SystemTime::now(),
    };
    let adapter = service.adapter.as_ref();
    let operation = adapter.classify(&head)?;
    asked.operation = operation.name.clone();
    let handshake = match operation.switches {
        true => Some((Handshake::check(&head)?, place(site)?)),
        false => None,
    };
    let subject = adapter.verify(&operation, &head, exchange.now)?;
    asked.principal = Some(subject.principal.clone());
    let verdict = service.policy.decide(operation.class);
    let mut response = adapter
        .perform(&exchange, verdict, operation, subject, head, body)
        .await?;
    if let Some(Principal(name)) = response.extensions().get() {
        asked.principal = Some(name.clone());
    }
    match (handshake, response.body_mut().take_switched()) {
        (Some((handshake, place)), Some(switched)) => {
            handshake.accept(&mut response);
            Ok((response, Some((switched, place))))
        }
        (None, Some(_)) => {
            Err(Refusal::new(&INTERNAL).message("A protocol was switched that nobody asked to."))
        }
        (_, None) if response.status().is_informational() => {
            Err(Refusal::new(&UPSTREAM_INVALID).message("The provider's answer is no final one."))
        }
        (_, None) => Ok((response, None)),
    }
}

fn place(site: &Site) -> Result<OwnedSemaphorePermit, Refusal> {
    let place = site.conversations.clone().try_acquire_owned();
    place.map_err(|_| Refusal::new(&OVERLOADED).message("There are too many WebSockets."))
}

/// Ids that do not repeat in a run and tell nothing of the number of requests.
struct RequestIds {
    seed: u64,
    count: AtomicU64,
}

impl RequestIds {
    /// The finaliser of SplitMix64 (Steele, Lea, Flood 2014), a bijection.
    fn next(&self) -> RequestId {
        let n = self.count.fetch_add(1, Ordering::Relaxed);
        let mut z = self
            .seed
            .wrapping_add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        RequestId(z ^ (z >> 31))
    }
}
