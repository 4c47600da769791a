//! GET and HEAD: an object's bytes and headers as the client knows them.

use std::ops::Range;

use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use super::call::{Call, Place};
use super::conditions::{self, Outcome};
use super::core::Core;
use super::error::{
    INVALID_PART_NUMBER, INVALID_RANGE, INVALID_REQUEST, PRECONDITION_FAILED, S3Error,
};
use super::facts::{Facts, ReadError, Source};
use super::upstream::Ask;
use super::{etag, query};
use crate::adapter::opening;
use crate::adapter::range::{self, Wanted};
use crate::body::{OpenBody, Released, Sealed};
use crate::error::Refusal;
use crate::seal::layout::{self, HEADER, SEGMENT, TAG};
use crate::seal::object::ObjectReader;
use crate::seal::range::{RangeReader, RangeSource};
use crate::seal::trailer::Trailer;

/// Fields of the provider's answer that pass to the client as they are.
const PASSED: [&str; 12] = [
    "last-modified",
    "x-amz-version-id",
    "x-amz-delete-marker",
    "x-amz-storage-class",
    "x-amz-expiration",
    "x-amz-restore",
    "x-amz-archive-status",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-object-lock-legal-hold",
    "x-amz-tagging-count",
    "x-amz-server-side-encryption",
];

/// Query keys that overrule a field of the answer, for this one answer.
const OVERRULED: [(&str, HeaderName); 6] = [
    ("response-content-type", CONTENT_TYPE),
    (
        "response-content-disposition",
        http::header::CONTENT_DISPOSITION,
    ),
    ("response-content-encoding", http::header::CONTENT_ENCODING),
    ("response-content-language", http::header::CONTENT_LANGUAGE),
    ("response-cache-control", http::header::CACHE_CONTROL),
    ("response-expires", http::header::EXPIRES),
];

/// What the client wants of the object.
#[derive(Clone, Copy)]
enum Part {
    Whole,
    Range(Wanted),
    Number(u32),
}

/// What is answered, once the object is known.
struct Answer {
    status: StatusCode,
    /// Bytes of plaintext, end excluded.
    range: Range<u64>,
    /// The number of parts, when one was asked for by number.
    parts: Option<usize>,
}

impl Core {
    /// GetObject and HeadObject.
    pub(super) async fn read_object(&self, call: &Call) -> Result<Response<Released>, Refusal> {
        match self.read_once(call).await {
            // once more, from the start (decision 22)
            Err(ReadError::Replaced(_)) => Ok(self.read_once(call).await?),
            read => Ok(read?),
        }
    }

    async fn read_once(&self, call: &Call) -> Result<Response<Released>, ReadError> {
        let part = wanted(call)?;
        let place = call.place();
        let guess = self.predicted(&place, part).or_else(|| sealed_guess(part));
        let mut get =
            call.method == Method::GET && (guess.is_some() || matches!(part, Part::Whole));
        let ask = match guess {
            Some(guess) if get => Ask::get(&place).range(guess),
            _ if get => Ask::get(&place),
            _ => Ask::head(&place),
        };
        let mut first = self.ask(call, ask).await?;
        if first.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            // the guess lay beyond the end; what the object is decides what to say
            first = self.ask(call, Ask::head(&place)).await?;
            get = false;
        }
        if !first.status().is_success() {
            return Err(self.upstream_refusal(first).await.into());
        }
        let (head, body) = first.into_parts();
        let facts = self.facts(call, &place, &head.headers).await?;
        match conditions::evaluate(
            &call.headers,
            &conditions::READ,
            facts.tags(),
            facts.modified,
        ) {
            Outcome::Proceed => {}
            Outcome::NotModified => return Ok(not_modified(&head.headers, &facts)),
            Outcome::Failed => return Err(S3Error::new(&PRECONDITION_FAILED).into()),
        }
        let answer = settle(part, call, &facts)?;
        let mut response = Response::new(Released::empty());
        *response.status_mut() = answer.status;
        write_head(call, response.headers_mut(), &head.headers, &facts, &answer);
        if call.text("x-amz-checksum-mode") == Some("ENABLED") && answer.range == (0..facts.length)
        {
            self.write_checksums(call, &place, response.headers_mut(), &facts)
                .await?;
        }
        if call.method == Method::GET {
            let got = get.then_some((head.status, range::span(&head.headers), body));
            *response.body_mut() = self
                .release(call, &place, &facts, &answer.range, got)
                .await?;
        }
        Ok(response)
    }

    /// The bytes: from the answer that is there already where it begins at the right place, else by another request.
    async fn release(
        &self,
        call: &Call,
        place: &Place,
        facts: &Facts,
        range: &Range<u64>,
        got: Option<(StatusCode, Option<Range<u64>>, Sealed)>,
    ) -> Result<Released, ReadError> {
        let whole = *range == (0..facts.length);
        let (span, body) = match got {
            _ if matches!(facts.source, Source::Marker) => return Ok(Released::empty()),
            Some((StatusCode::OK, _, body)) if whole => return self.whole(facts, body).await,
            _ if range.is_empty() => return Ok(Released::empty()),
            Some((StatusCode::PARTIAL_CONTENT, span, body)) => (span, Some(body)),
            _ => (None, None),
        };
        let reader = self.range_reader(facts, range)?;
        let sealed = reader.sealed();
        // the guess may begin at the right place and end too soon: where runs meet, or when `If-Range` fails
        let holds = span.is_some_and(|span| span.start == sealed.start && span.end >= sealed.end);
        if let (Some(body), true) = (body, holds) {
            return Ok(Released::opened(OpenBody::range(body, reader)).await?);
        }
        let body = self
            .pinned_range(call, place, &facts.upstream_etag, sealed)
            .await?;
        Ok(Released::opened(OpenBody::range(body, reader)).await?)
    }

    /// The sealed bytes that hold the range, as far as a trailer tells that was read before: of the object that was
    /// here then, so the answer's own head decides whether they are the right ones.
    fn predicted(&self, place: &Place, part: Part) -> Option<Range<u64>> {
        let trailer = match part {
            Part::Whole => return None,
            Part::Range(_) | Part::Number(_) => self.trailers.latest(place)?.1,
        };
        let range = match part {
            Part::Range(wanted) => wanted.within(trailer.total)?,
            Part::Number(number) => part_range(&trailer, number)?,
            Part::Whole => return None,
        };
        let sealed = layout::sealed_len(trailer.total)?;
        let (lookup, context) = (self.lookup.clone(), self.context.clone());
        RangeReader::new(
            lookup,
            context,
            RangeSource::Trailer(trailer),
            sealed,
            range,
        )
        .ok()
        .map(|reader| reader.sealed())
    }

    async fn whole(&self, facts: &Facts, body: Sealed) -> Result<Released, ReadError> {
        let (lookup, context) = (self.lookup.clone(), self.context.clone());
        let reader = match &facts.source {
            Source::Parts(trailer) => {
                ObjectReader::with_trailer(lookup, context, facts.sealed, trailer.clone())
            }
            _ => ObjectReader::new(lookup, context, facts.sealed, Some(facts.object)),
        };
        let reader = reader.map_err(opening::refusal)?;
        Ok(Released::opened(OpenBody::whole(body, reader)).await?)
    }

    /// Plans a range of a sealed object, which is not a marker.
    pub(super) fn range_reader(
        &self,
        facts: &Facts,
        range: &Range<u64>,
    ) -> Result<RangeReader, Refusal> {
        let source = match &facts.source {
            Source::Parts(trailer) => RangeSource::Trailer(trailer.clone()),
            Source::Run(header) => RangeSource::Header(header.clone()),
            Source::Marker => return Err(S3Error::new(&INVALID_RANGE).into()),
        };
        RangeReader::new(
            self.lookup.clone(),
            self.context.clone(),
            source,
            facts.sealed,
            range.clone(),
        )
        .map_err(opening::refusal)
    }
}

/// What the request's `Range` and `partNumber` ask for.
fn wanted(call: &Call) -> Result<Part, S3Error> {
    let range = call.headers.get(http::header::RANGE);
    match (call.query.get("partNumber"), range) {
        (Some(_), Some(_)) => Err(S3Error::with(
            &INVALID_REQUEST,
            "Cannot specify both Range header and partNumber query parameter",
        )),
        (Some(number), None) => query::part_number(number).map(Part::Number),
        (None, Some(value)) => Ok(value
            .to_str()
            .ok()
            .and_then(range::parse)
            .map_or(Part::Whole, Part::Range)),
        (None, None) => Ok(Part::Whole),
    }
}

/// The sealed bytes that hold the range if the object is one run: segments have fixed places (`docs/format.md`).
fn sealed_guess(part: Part) -> Option<Range<u64>> {
    const STEP: u64 = (SEGMENT + TAG) as u64;
    let segment = |at: u64| at / SEGMENT as u64;
    match part {
        Part::Range(Wanted::Closed(a, b)) => {
            let start = segment(a).checked_mul(STEP)?.checked_add(HEADER as u64)?;
            let end = segment(b)
                .checked_add(1)?
                .checked_mul(STEP)
                .and_then(|n| n.checked_add(HEADER as u64))
                .unwrap_or(u64::MAX);
            Some(start..end)
        }
        Part::Range(Wanted::From(a)) => {
            Some(segment(a).checked_mul(STEP)?.checked_add(HEADER as u64)?..u64::MAX)
        }
        Part::Range(Wanted::Last(_)) | Part::Whole | Part::Number(_) => None,
    }
}

/// The plaintext of the part that the client uploaded under this place in its list.
fn part_range(trailer: &Trailer, number: u32) -> Option<Range<u64>> {
    let before = trailer.entries.get(..number.checked_sub(1)? as usize)?;
    let entry = trailer.entries.get(before.len())?;
    let start: u64 = before.iter().map(|entry| entry.length).sum();
    Some(start..start + entry.length)
}

/// Decides the status and the bytes, now that the object is known.
fn settle(part: Part, call: &Call, facts: &Facts) -> Result<Answer, Refusal> {
    let whole = Answer {
        status: StatusCode::OK,
        range: 0..facts.length,
        parts: None,
    };
    match part {
        Part::Whole => Ok(whole),
        Part::Range(_) if !conditions::range_holds(&call.headers, facts.tags(), facts.modified) => {
            Ok(whole)
        }
        Part::Range(wanted) => match wanted.within(facts.length) {
            Some(range) => Ok(Answer {
                status: StatusCode::PARTIAL_CONTENT,
                range,
                parts: None,
            }),
            None => {
                let refusal = Refusal::from(S3Error::new(&INVALID_RANGE));
                Err(range::with_length(refusal, facts.length))
            }
        },
        Part::Number(number) => match &facts.source {
            Source::Parts(trailer) => match part_range(trailer, number) {
                Some(range) => Ok(Answer {
                    status: if range.is_empty() {
                        StatusCode::OK
                    } else {
                        StatusCode::PARTIAL_CONTENT
                    },
                    range,
                    parts: Some(trailer.entries.len()),
                }),
                None => Err(S3Error::new(&INVALID_PART_NUMBER).into()),
            },
            Source::Run(_) | Source::Marker if number == 1 => Ok(Answer {
                status: if facts.length == 0 {
                    StatusCode::OK
                } else {
                    StatusCode::PARTIAL_CONTENT
                },
                ..whole
            }),
            Source::Run(_) | Source::Marker => Err(S3Error::new(&INVALID_PART_NUMBER).into()),
        },
    }
}

fn write_head(
    call: &Call,
    out: &mut HeaderMap,
    upstream: &HeaderMap,
    facts: &Facts,
    answer: &Answer,
) {
    pass(upstream, out);
    facts.document.write_headers(out);
    if !out.contains_key(CONTENT_TYPE) {
        out.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("binary/octet-stream"),
        );
    }
    for (key, name) in OVERRULED {
        if let Some(value) = call.query.get(key)
            && let Ok(value) = HeaderValue::from_bytes(value.as_bytes())
        {
            out.insert(name, value);
        }
    }
    out.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    put(out, ETAG, etag::quote(&facts.client_etag));
    let Range { start, end } = answer.range;
    out.insert(CONTENT_LENGTH, HeaderValue::from(end - start));
    if answer.status == StatusCode::PARTIAL_CONTENT {
        range::put_content_range(out, &answer.range, facts.length);
    }
    if let Some(parts) = answer.parts {
        out.insert("x-amz-mp-parts-count", HeaderValue::from(parts));
    }
}

fn not_modified(upstream: &HeaderMap, facts: &Facts) -> Response<Released> {
    let mut response = Response::new(Released::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    pass(upstream, response.headers_mut());
    put(
        response.headers_mut(),
        ETAG,
        etag::quote(&facts.client_etag),
    );
    response
}

/// Copies the fields that pass as they are.
fn pass(upstream: &HeaderMap, out: &mut HeaderMap) {
    for name in PASSED {
        if let Some(value) = upstream.get(name) {
            out.insert(HeaderName::from_static(name), value.clone());
        }
    }
}

fn put(out: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        out.insert(name, value);
    }
}
