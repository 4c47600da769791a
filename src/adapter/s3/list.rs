//! Listings: sizes of the plaintext from the length alone, tags as clients know them.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, StatusCode};

use super::call::Call;
use super::core::Core;
use super::upstream::Ask;
use super::xml::{Listing, Malformed, Shown};
use crate::body::Released;
use crate::error::{Refusal, UPSTREAM_INVALID};
use crate::seal::layout;

/// A thousand keys of 1,024 bytes, percent-encoded, with what stands around them.
pub(super) const DOCUMENT_LIMIT: usize = 16 * 1024 * 1024;

impl Core {
    /// ListObjects, ListObjectsV2, ListObjectVersions.
    pub(super) async fn list_objects(&self, call: &Call) -> Result<Response<Released>, Refusal> {
        let ask = Ask::new(Method::GET, &call.address)
            .raw_query(&call.query.for_upstream())
            .copy(&call.headers, &["x-amz-optional-object-attributes"]);
        let response = self.ask(call, ask).await?;
        if response.status() != StatusCode::OK {
            return Err(self.upstream_refusal(response).await);
        }
        let document = response.into_body().collect(DOCUMENT_LIMIT).await?;
        let listing = Listing::parse(document.into(), DOCUMENT_LIMIT).map_err(malformed)?;
        let entries = listing.entries();
        let tags: Vec<String> = entries
            .iter()
            .map(|entry| entry.etag.clone().unwrap_or_default())
            .collect();
        let tags = self.client_etags(&tags).await?;
        let shown: Vec<Shown> = entries
            .iter()
            .zip(tags)
            .map(|(entry, tag)| Shown {
                // what was written around the gateway keeps its length; reading it is refused (decision 12)
                size: layout::plain_len(entry.size).unwrap_or(entry.size),
                etag: entry.etag.as_ref().map(|_| tag),
            })
            .collect();
        let document = listing.rewrite(&shown).map_err(malformed)?;
        let mut answer = Response::new(Released::document(document));
        answer
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        Ok(answer)
    }
}

pub(super) fn malformed(error: Malformed) -> Refusal {
    Refusal::new(&UPSTREAM_INVALID).cause(error)
}
