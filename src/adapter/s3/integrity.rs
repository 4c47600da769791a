//! What the provider is given beside TLS to check the sealed bytes by (decision 20). Every digest is of ciphertext.

use http::{HeaderName, Response, StatusCode};

use super::call::Call;
use super::checksum::{self, Algorithm, Checksums};
use super::chunked::Trailers;
use super::core::Core;
use super::settings::Integrity;
use super::upstream::Ask;
use crate::adapter::spooling::spooled;
use crate::body::{Cleared, Outbound, SealBody, Sealed, SealedTail};
use crate::error::{INTERNAL, Refusal, UPSTREAM_INVALID};

pub(super) const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

impl Core {
    /// Sends a body as it is sealed. The answer is a success, given after the whole body.
    ///
    /// # Errors
    /// The provider's error; an answer that came before the body's end.
    pub(super) async fn send_sealed(
        &self,
        call: &Call,
        ask: Ask,
        body: SealBody,
    ) -> Result<Response<Sealed>, Refusal> {
        let entry = body.entry();
        let response = self.send_checked(call, ask, Cleared::sealed(body)).await?;
        if entry.get().is_none() {
            return Err(Refusal::new(&UPSTREAM_INVALID)
                .message("The provider answered before the body had ended."));
        }
        Ok(response)
    }

    /// Sends what ends a multi-run object. The answer may be an error.
    pub(super) async fn send_tail(
        &self,
        call: &Call,
        ask: Ask,
        tail: SealedTail,
    ) -> Result<Response<Sealed>, Refusal> {
        self.send_checked(call, ask, Cleared::sealed_tail(tail))
            .await
    }

    async fn send_checked(
        &self,
        call: &Call,
        ask: Ask,
        body: Cleared<Outbound>,
    ) -> Result<Response<Sealed>, Refusal> {
        let response = match self.settings.integrity {
            Integrity::None => self.send(call, ask, body).await?,
            Integrity::TrailerCrc32c => self.send_with_trailer(call, ask, body).await?,
            Integrity::SpoolMd5 => self.send_spooled(call, ask, body).await?,
        };
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        Err(self.upstream_refusal(response).await)
    }

    async fn send_with_trailer(
        &self,
        call: &Call,
        ask: Ask,
        body: Cleared<Outbound>,
    ) -> Result<Response<Sealed>, Refusal> {
        let length = http_body::Body::size_hint(&body).exact();
        let (Some(length), Some(body)) = (length, body.checksummed()) else {
            return Err(Refusal::new(&INTERNAL).message("A body without a length."));
        };
        self.send(call, ask.checksummed(length), body).await
    }

    /// The MD5 stands in the head, so the body is sealed to the disk first.
    async fn send_spooled(
        &self,
        call: &Call,
        ask: Ask,
        body: Cleared<Outbound>,
    ) -> Result<Response<Sealed>, Refusal> {
        let own = self.object_id(call)?;
        let mut md5 = Checksums::none();
        md5.compute(Algorithm::Md5);
        let tenant = self.context.tenant();
        let each = |bytes: &[u8]| {
            md5.update(bytes);
            Ok(())
        };
        let (body, receipt) = spooled(&self.spool, own, tenant, body, each).await?;
        let digests = md5.finish(&Trailers::default())?;
        let md5 = digests
            .get(Algorithm::Md5)
            .ok_or_else(|| Refusal::new(&INTERNAL))?;
        let ask = ask.header(CONTENT_MD5, &md5.base64());
        let sent = self.send(call, ask, body).await;
        self.spool.delete(&receipt).await?;
        sent
    }
}

/// The MD5 of a document or of no bytes, for a request that the gateway wrote itself.
pub(super) fn with_md5(ask: Ask, document: &[u8]) -> Ask {
    ask.header(
        CONTENT_MD5,
        &checksum::of(Algorithm::Md5, document).base64(),
    )
}
