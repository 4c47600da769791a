//! Checksums given back (decision 14): from the metadata where they came in the head, else from the trailer.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::call::{Call, Place};
use super::checksum::{Algorithm, Kind};
use super::core::Core;
use super::facts::{Facts, Source};
use super::intake::place;
use crate::error::Refusal;
use crate::seal::trailer::Trailer;

/// A checksum as a client is shown it.
pub(super) struct Given {
    pub algorithm: Algorithm,
    pub text: String,
    pub kind: Kind,
}

impl Core {
    pub(super) async fn write_checksums(
        &self,
        call: &Call,
        place: &Place,
        headers: &mut HeaderMap,
        facts: &Facts,
    ) -> Result<(), Refusal> {
        let from_end = call.method == Method::HEAD;
        if let Some(given) = self.given(call, place, facts, from_end).await?
            && let Ok(value) = HeaderValue::try_from(given.text)
        {
            headers.insert(HeaderName::from_static(given.algorithm.header()), value);
            headers.insert(
                "x-amz-checksum-type",
                HeaderValue::from_static(given.kind.name()),
            );
        }
        Ok(())
    }

    /// The object's checksum. `from_end`: whether a trailer that is not at hand is worth a request.
    pub(super) async fn given(
        &self,
        call: &Call,
        place: &Place,
        facts: &Facts,
        from_end: bool,
    ) -> Result<Option<Given>, Refusal> {
        let known = facts.document.checksums.iter().find_map(|(name, value)| {
            Some(Given {
                algorithm: Algorithm::parse(name).ok()?,
                text: String::from_utf8(value.clone()).ok()?,
                kind: Kind::FullObject,
            })
        });
        let trailer: Arc<Trailer> = match &facts.source {
            _ if known.is_some() => return Ok(known),
            Source::Parts(trailer) => trailer.clone(),
            Source::Run(_) if from_end => {
                let trailer = self
                    .trailer(call, place, &facts.upstream_etag, facts.sealed)
                    .await?;
                facts.check_trailer(&trailer)?;
                trailer
            }
            Source::Run(_) => match self.trailers.get(place, &facts.upstream_etag) {
                Some(trailer) => trailer,
                None => return Ok(None),
            },
            Source::Marker => return Ok(None),
        };
        Ok(of_trailer(&trailer))
    }
}

fn of_trailer(trailer: &Trailer) -> Option<Given> {
    Algorithm::FLEXIBLE.into_iter().find_map(|algorithm| {
        let (value, composite) = trailer.digests.get(place(algorithm))?;
        let text = STANDARD.encode(value);
        Some(if composite {
            Given {
                algorithm,
                text: format!("{text}-{}", trailer.entries.len()),
                kind: Kind::Composite,
            }
        } else {
            Given {
                algorithm,
                text,
                kind: Kind::FullObject,
            }
        })
    })
}
