//! PUT: one run, sealed as it streams.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, Response, StatusCode};

use super::digest::{self, Verified};
use super::settings::UnknownLength;
use super::upstream::Ask;
use super::{Call, WebDav};
use crate::adapter::spooling::spooled;
use crate::body::{Cleared, Outbound, Plain, Released, SealBody, SealPlan, Sealed, Tail};
use crate::error::{INTERNAL, PROTOCOL, Refusal, TOO_LARGE};
use crate::seal::{SaltSource, layout};

/// How long a file is that the Finder sends without a length.
const EXPECTED_LENGTH: HeaderName = HeaderName::from_static("x-expected-entity-length");

impl WebDav {
    pub(super) async fn put(
        &self,
        call: &Call<'_>,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let length = self.length(call, &body)?;
        self.precondition(call).await?;
        let (body, verified) = digest::checked(body, &call.head.headers)?;
        let faults = body.faults();
        let ask = Ask::from_client(call)?.header(CONTENT_TYPE, "application/octet-stream");
        let sealed = self.sealed(call, body, length, verified)?;
        let sent = match (length, self.settings.unknown_length) {
            (None, UnknownLength::Spool) => self.send_spooled(call, ask, sealed).await,
            _ => self.send(ask, sealed).await,
        };
        let response = sent.map_err(|refusal| faults.take().unwrap_or(refusal))?;
        match faults.take() {
            Some(refusal) => Err(refusal),
            None => self.answer(call, response),
        }
    }

    /// Sends a body once its length is known; nothing of it goes up before its plaintext has ended well.
    async fn send_spooled(
        &self,
        call: &Call<'_>,
        ask: Ask,
        body: Cleared<Outbound>,
    ) -> Result<Response<Sealed>, Refusal> {
        let own = self.draw(call, SaltSource::object_id)?;
        let mut length = 0;
        let each = |bytes: &[u8]| {
            length += bytes.len() as u64;
            match length > self.settings.max_put {
                true => Err(Refusal::new(&TOO_LARGE)),
                false => Ok(()),
            }
        };
        let (body, receipt) = spooled(&self.spool, own, self.context.tenant(), body, each).await?;
        let sent = self.send(ask, body).await;
        self.spool.delete(&receipt).await?;
        sent
    }

    /// Bytes of plaintext, where they are known before the body was read.
    pub(super) fn length(&self, call: &Call<'_>, body: &Plain) -> Result<Option<u64>, Refusal> {
        let headers = &call.head.headers;
        let declared = [CONTENT_LENGTH, EXPECTED_LENGTH]
            .into_iter()
            .find_map(|name| Some((headers.get(&name)?, name)));
        let length = match declared {
            Some((value, name)) => Some(
                value
                    .to_str()
                    .ok()
                    .and_then(|value| value.trim().parse::<u64>().ok())
                    .ok_or_else(|| {
                        Refusal::new(&PROTOCOL).message(format!("The `{name}` field is malformed."))
                    })?,
            ),
            None if body.is_end_stream() => Some(0),
            None => None,
        };
        match length {
            Some(plain) if self.fits(plain) => Ok(length),
            Some(_) => Err(Refusal::new(&TOO_LARGE)),
            None if self.settings.unknown_length == UnknownLength::Refuse => {
                let mut refusal = Refusal::new(&PROTOCOL)
                    .message("The provider wants a length, which this request does not tell.");
                refusal.status = Some(StatusCode::LENGTH_REQUIRED.as_u16());
                Err(refusal)
            }
            None => Ok(None),
        }
    }

    fn fits(&self, plain: u64) -> bool {
        let run = layout::run_len(plain).is_some();
        run && layout::sealed_len(plain).is_some_and(|sealed| sealed <= self.settings.max_put)
    }

    /// The sealed form of a whole file.
    pub(super) fn sealed(
        &self,
        call: &Call<'_>,
        body: Plain,
        length: Option<u64>,
        verified: Verified,
    ) -> Result<Cleared<Outbound>, Refusal> {
        let plan = SealPlan {
            keys: self.current()?,
            context: self.context.clone(),
            object: self.draw(call, SaltSource::object_id)?,
            part: 0,
            salt: self.draw(call, SaltSource::salt)?,
            length,
            tail: Tail::Object {
                salt: self.draw(call, SaltSource::salt)?,
                digests: Box::new(move || verified.get().cloned().unwrap_or_default()),
            },
        };
        let body =
            SealBody::new(body, plan).map_err(|error| Refusal::new(&INTERNAL).cause(error))?;
        Ok(Cleared::sealed(body))
    }
}
