//! PATCH with `X-Recalculate-Hash`: Nextcloud's way to ask for a file's digest, which rclone takes after each upload. The
//! provider could tell that of the sealed bytes alone, so the gateway answers: with the one that it verified when the file
//! was written, else by reading the file.

use std::sync::Arc;

use http::header::ETAG;
use http::{HeaderName, Method, Response, StatusCode};
use http_body_util::BodyExt;

use super::digest::{Hash, OC_CHECKSUM};
use super::upstream::{Ask, put, text};
use super::{Call, WebDav, document};
use crate::adapter::opening::{self, File};
use crate::adapter::range;
use crate::body::{Plain, Released, Sealed};
use crate::error::{PROTOCOL, Refusal, UPSTREAM_INVALID};
use crate::seal::layout::HEADER;

/// Names the digest.
pub(super) const RECALCULATE: HeaderName = HeaderName::from_static("x-recalculate-hash");

impl WebDav {
    pub(super) async fn recalculate(
        &self,
        call: &Call<'_>,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        document::none(body).await?;
        let kind = text(&call.head.headers, RECALCULATE).unwrap_or_default();
        let kind = kind.to_ascii_uppercase();
        let hash = Hash::of_kind(&kind).ok_or_else(|| {
            Refusal::new(&PROTOCOL).message("This kind of digest can't be computed.")
        })?;
        let first = self
            .ask(Ask::own(Method::GET, call).range(&(0..HEADER as u64)))
            .await?;
        let (head, body) = first.into_parts();
        let tag = text(&head.headers, ETAG);
        let fetch = |range| self.piece(call, range, tag);
        let value = match head.status {
            StatusCode::PARTIAL_CONTENT => {
                let front = opening::collect(body, HEADER).await?;
                let file = self.sealed_file(call, &front, &head.headers)?;
                let kept = self.opener.trailer(&file, fetch).await?;
                let kept = hash.place().and_then(|place| kept.digests.get(place));
                match kept.filter(|(_, composite)| !composite) {
                    Some((value, _)) => value.to_vec(),
                    None => {
                        let ask = Ask::own(Method::GET, call).if_match(tag);
                        let whole = opening::whole(self.ask(ask).await?)?;
                        self.digest(call, hash, &file, whole, tag).await?
                    }
                }
            }
            StatusCode::OK => {
                let (front, body) = body
                    .peek(HEADER)
                    .await
                    .map_err(|fault| Refusal::new(fault.code).message(fault.detail))?;
                let file = self.sealed_file(call, &front, &head.headers)?;
                self.digest(call, hash, &file, body, tag).await?
            }
            StatusCode::RANGE_NOT_SATISFIABLE => return Err(self.emptied()),
            _ => return self.answer(call, Response::from_parts(head, body)),
        };
        let mut answer = Response::new(Released::empty());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        let value = format!("{kind}:{}", hex::encode(value));
        put(answer.headers_mut(), OC_CHECKSUM, &value);
        Ok(answer)
    }

    fn sealed_file(
        &self,
        call: &Call<'_>,
        front: &[u8],
        headers: &http::HeaderMap,
    ) -> Result<Arc<File>, Refusal> {
        let sealed = range::total(headers).ok_or_else(|| Refusal::new(&UPSTREAM_INVALID))?;
        let file = self.opener.file(front, sealed)?;
        let file = Arc::new(file.ok_or_else(|| self.unsealed())?);
        self.pins.keep(call, text(headers, ETAG), &file)?;
        Ok(file)
    }

    /// Reads the whole file: what is told is of bytes that are authenticated to their end.
    async fn digest(
        &self,
        call: &Call<'_>,
        mut hash: Hash,
        file: &File,
        body: Sealed,
        tag: Option<&str>,
    ) -> Result<Vec<u8>, Refusal> {
        let fetch = |range| self.piece(call, range, tag);
        let mut plain = self.opener.whole(file, body, fetch).await?;
        while let Some(frame) = plain.frame().await {
            let frame = frame.map_err(|fault| Refusal::new(fault.code).message(fault.detail))?;
            if let Some(data) = frame.data_ref() {
                hash.update(data);
            }
        }
        Ok(hash.finish())
    }
}
