//! PUT: one run, sealed as it streams.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, Response, StatusCode};

use super::digest::{self, Verified};
use super::settings::UnknownLength;
use super::upstream::Ask;
use super::{Call, WebDav};
use crate::body::{Cleared, Outbound, Plain, Released, SealBody, SealPlan, Tail};
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
        let sent = self.send(ask, sealed).await;
        let response = sent.map_err(|refusal| faults.take().unwrap_or(refusal))?;
        match faults.take() {
            Some(refusal) => Err(refusal),
            None => self.answer(call, response),
        }
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
