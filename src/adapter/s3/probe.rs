//! Whether the provider honours conditional writes. Some stores ignore the condition and overwrite: a lock that a
//! client believes to hold would be lost silently. So it is tried once a bucket, with an object of no content.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use http::header::IF_NONE_MATCH;
use http::{Method, StatusCode};

use super::call::{Call, Place};
use super::core::Core;
use super::integrity::with_md5;
use super::upstream::Ask;
use crate::error::Refusal;

/// What is known, by bucket.
#[derive(Default)]
pub(super) struct Probes(Mutex<HashMap<String, bool>>);

impl Core {
    pub(super) async fn probed_conditions(
        &self,
        call: &Call,
        place: &Place,
    ) -> Result<bool, Refusal> {
        let bucket = place.address.bucket().unwrap_or_default().to_owned();
        let known = self
            .probes
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&bucket)
            .copied();
        if let Some(known) = known {
            return Ok(known);
        }
        let name = hex::encode(self.object_id(call)?.0);
        let probe = Place {
            address: place.address.with_key(format!(".sceau-probe-{name}"))?,
            version: None,
        };
        let put = || with_md5(Ask::object(Method::PUT, &probe), b"").header(IF_NONE_MATCH, "*");
        let first = self.ask(call, put()).await?;
        if first.status() == StatusCode::NOT_IMPLEMENTED {
            self.remember(bucket, false);
            return Ok(false);
        }
        if !first.status().is_success() {
            return Err(self.upstream_refusal(first).await);
        }
        let second = self.ask(call, put()).await?;
        let _ = self.ask(call, Ask::object(Method::DELETE, &probe)).await?;
        let honoured = match second.status() {
            StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => true,
            StatusCode::NOT_IMPLEMENTED => false,
            status if status.is_success() => false,
            // it says nothing of conditions; the next write asks again
            _ => return Err(self.upstream_refusal(second).await),
        };
        if !honoured {
            tracing::warn!(
                bucket,
                "the provider ignores conditions on writes; they are refused"
            );
        }
        self.remember(bucket, honoured);
        Ok(honoured)
    }

    fn remember(&self, bucket: String, honoured: bool) {
        self.probes
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(bucket, honoured);
    }
}
