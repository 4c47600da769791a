//! Whether the provider honours conditional writes. Some stores ignore the condition and overwrite: a lock that a
//! client believes to hold would be lost silently. So it is tried once a bucket, with an object of no content.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use http::header::IF_NONE_MATCH;
use http::{Method, StatusCode};

use super::upstream::Ask;
use super::{Call, Place, S3};
use crate::error::Refusal;

/// What is known, by bucket.
#[derive(Default)]
pub(super) struct Probes(Mutex<HashMap<String, bool>>);

impl S3 {
    pub(super) async fn probed_conditions(
        &self,
        call: &Call<'_>,
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
        let put = || Ask::object(Method::PUT, &probe).header(IF_NONE_MATCH, "*");
        let first = self.ask(call, put()).await?;
        if first.status() == StatusCode::NOT_IMPLEMENTED {
            self.remember(bucket, false);
            return Ok(false);
        }
        if !first.status().is_success() {
            return Err(self.upstream_refusal(first).await);
        }
        let second = self.ask(call, put()).await?.status();
        let _ = self.ask(call, Ask::object(Method::DELETE, &probe)).await?;
        let honoured = matches!(
            second,
            StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT
        );
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
