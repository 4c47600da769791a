//! CompleteMultipartUpload: the parts that count are chosen, the trailer is sealed, and the provider completes.

use http::{Method, Response, StatusCode};
use sha2::{Digest, Sha256};

use super::rows::PartRow;
use super::{KEPT, MIN_PART, RESULT_LIMIT, Upload, declared_size, xml_answer};
use crate::adapter::s3::checksum::{self, Algorithm, Kind, Value};
use crate::adapter::s3::error::{
    BAD_DIGEST, ENTITY_TOO_LARGE, ENTITY_TOO_SMALL, INVALID_PART, INVALID_REQUEST, NO_SUCH_UPLOAD,
    S3Error,
};
use crate::adapter::s3::intake::place;
use crate::adapter::s3::upstream::{Ask, element, provider_error};
use crate::adapter::s3::write::{answered, tag};
use crate::adapter::s3::xml::{self, CompletedPart};
use crate::adapter::s3::{Call, S3, etag};
use crate::body::{Cleared, Plain, Released, SealedTail};
use crate::error::{INTERNAL, Refusal, STATE_UNAVAILABLE, UPSTREAM_INVALID};
use crate::policy::DocumentPermit;
use crate::seal::run::RunEntry;
use crate::seal::trailer::{Digests, seal_trailer};
use crate::seal::{SealedBytes, layout};
use crate::state::{Component, Inserted, RowKey, StateError, Table};

/// A list of 10,000 parts with their checksums.
const LIST_LIMIT: usize = 4 * 1024 * 1024;

/// The object that the chosen parts make.
struct Chosen {
    rows: Vec<PartRow>,
    entries: Vec<RunEntry>,
    digests: Digests,
    checksum: Option<(Value, Kind)>,
    /// S3's own tag, when every part came with a verified MD5.
    md5_tag: Option<String>,
}

impl S3 {
    pub(in crate::adapter::s3) async fn complete_upload(
        &self,
        call: &Call<'_>,
        permit: &DocumentPermit,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let upload = self.upload(call)?;
        let document = self.intake(call, body)?.body.collect(LIST_LIMIT).await?;
        let parts = xml::complete_request(&document, LIST_LIMIT)?;
        let kept_key = self
            .vault
            .key(Table::Complete, &[Component::Name(&upload.object.0)]);
        let list = fingerprint(&parts);
        if let Some(result) = self.kept_result(&kept_key, &list).await? {
            return self.completed_answer(call, &upload, &result, None);
        }
        let row = self.upload_row(&upload).await?;
        let chosen = self.choose(call, &upload, &parts, &row).await?;
        let sealed = self
            .sealed_trailer(call, &upload, &chosen, &kept_key, &list)
            .await?;
        let upstream_parts = self.send_trailer(call, &upload, &chosen, sealed).await?;
        let ask = Ask::object(Method::POST, &upload.place).query("uploadId", &upload.upstream);
        let mut ask = self.write_conditions(call, &upload.place, ask).await?;
        ask = ask.header(http::header::CONTENT_TYPE, "application/xml");
        let document = xml::complete_document(
            upstream_parts
                .iter()
                .map(|(number, tag)| (*number, tag.as_str())),
        );
        let body = Cleared::document(document, permit);
        let response = self.send(call, ask, body).await?;
        let (upstream, head) = match self.read_result(response).await {
            Ok(result) => result,
            Err(refusal) if refusal.protocol_code.as_deref() == Some("NoSuchUpload") => {
                self.found_completed(call, &upload).await?
            }
            Err(refusal) => return Err(refusal),
        };
        let shown = match &chosen.md5_tag {
            Some(tag) => {
                self.keep_alias(&upstream, tag).await?;
                tag.clone()
            }
            None => self.client_etag(&upstream).await?,
        };
        let result = result_text(&shown, chosen.checksum.as_ref(), chosen.rows.len());
        self.vault
            .put(
                Table::Complete,
                &kept_key,
                &kept(&list, b"", Some(&result)),
                Some(call.unix() + KEPT),
            )
            .await?;
        self.forget(&upload).await?;
        self.completed_answer(call, &upload, &result, Some(&head))
    }

    /// Picks the attempt of each part that the client's list names.
    async fn choose(
        &self,
        call: &Call<'_>,
        upload: &Upload,
        parts: &[CompletedPart],
        row: &super::rows::UploadRow,
    ) -> Result<Chosen, Refusal> {
        let all = self.part_rows(upload, None).await?;
        let mut rows = Vec::with_capacity(parts.len());
        for part in parts {
            let sent = etag::unquote(&part.etag);
            let mut attempts = all.iter().filter(|row| {
                row.number == part.number
                    && (row.client_etag == sent || row.upstream_etag.as_deref() == Some(sent))
            });
            let invalid =
                || S3Error::new(&INVALID_PART).detail("PartNumber", part.number.to_string());
            let first = attempts.next().ok_or_else(invalid)?;
            // attempts of one content share a tag; the provider holds the one that came last
            let chosen = match attempts.next() {
                None => first.clone(),
                Some(_) => self
                    .present_attempt(call, upload, part.number, &all)
                    .await?
                    .ok_or_else(invalid)?,
            };
            check_part(part, &chosen)?;
            rows.push(chosen);
        }
        let entries = rows
            .iter()
            .map(PartRow::entry)
            .collect::<Result<Vec<_>, _>>()?;
        let short = entries
            .iter()
            .rev()
            .skip(1)
            .find(|entry| entry.length < MIN_PART);
        if let Some(entry) = short {
            return Err(S3Error::new(&ENTITY_TOO_SMALL)
                .detail("ProposedSize", entry.length.to_string())
                .detail("MinSizeAllowed", MIN_PART.to_string())
                .detail("PartNumber", entry.part.to_string())
                .into());
        }
        let total: u64 = entries.iter().map(|entry| entry.length).sum();
        if total > self.settings.max_object {
            return Err(S3Error::new(&ENTITY_TOO_LARGE).into());
        }
        if declared_size(call)?.is_some_and(|size| size != total) {
            return Err(S3Error::with(
                &INVALID_REQUEST,
                "The provided 'x-amz-mp-object-size' header does not match what was computed.",
            )
            .into());
        }
        let checksum = object_checksum(&rows, &entries, row)?;
        if let Some((value, _)) = &checksum {
            let sent = call.text(value.algorithm().header());
            let shown = shown_checksum(value, &checksum, rows.len());
            if sent.is_some_and(|sent| sent != shown && sent != value.base64()) {
                return Err(S3Error::new(&BAD_DIGEST).into());
            }
        }
        let mut digests = Digests::default();
        if let Some((value, kind)) = &checksum {
            digests.set(
                place(value.algorithm()),
                value.bytes(),
                *kind == Kind::Composite,
            );
        }
        Ok(Chosen {
            md5_tag: md5_tag(&rows),
            rows,
            entries,
            digests,
            checksum,
        })
    }

    /// The attempt that the provider holds, or the last one spooled.
    async fn present_attempt(
        &self,
        call: &Call<'_>,
        upload: &Upload,
        number: u32,
        rows: &[PartRow],
    ) -> Result<Option<PartRow>, Refusal> {
        let held = self.upstream_parts(call, upload).await?;
        let held = held.get(&number);
        let of_number = || rows.iter().filter(|row| row.number == number);
        Ok(of_number()
            .find(|row| row.upstream_etag.is_some() && row.upstream_etag.as_ref() == held)
            .or_else(|| {
                of_number()
                    .filter(|row| row.upstream_etag.is_none())
                    .max_by_key(|row| row.modified)
            })
            .cloned())
    }

    /// The trailer's bytes: made once, so that every replica and every retry sends the same (decision 3).
    async fn sealed_trailer(
        &self,
        call: &Call<'_>,
        upload: &Upload,
        chosen: &Chosen,
        key: &RowKey,
        list: &[u8; 32],
    ) -> Result<SealedBytes, Refusal> {
        let keys = self.current()?;
        let sealed = seal_trailer(
            &keys,
            &self.context,
            upload.object,
            self.salt(call)?,
            &chosen.entries,
            &chosen.digests,
        )
        .map_err(|error| Refusal::new(&INTERNAL).cause(error))?;
        let value = kept(list, &sealed.clone().into_bytes(), None);
        let inserted = self
            .vault
            .insert_or_read(Table::Complete, key, &value, Some(call.unix() + KEPT))
            .await?;
        match inserted {
            Inserted::New => Ok(sealed),
            Inserted::Existing(value) => match parse_kept(&value)? {
                (found, trailer, None) if found == list => {
                    Ok(SealedBytes::from_seal(trailer.to_vec()))
                }
                // another list was tried before and did not succeed
                (_, _, None) => {
                    let value = kept(list, &sealed.clone().into_bytes(), None);
                    self.vault
                        .put(Table::Complete, key, &value, Some(call.unix() + KEPT))
                        .await?;
                    Ok(sealed)
                }
                _ => Err(S3Error::new(&NO_SUCH_UPLOAD).into()),
            },
        }
    }

    /// Uploads what ends the object: a spooled last part with the trailer, or the trailer as a part of its own. Gives
    /// the list for the provider.
    async fn send_trailer(
        &self,
        call: &Call<'_>,
        upload: &Upload,
        chosen: &Chosen,
        trailer: SealedBytes,
    ) -> Result<Vec<(u32, String)>, Refusal> {
        let zeros = layout::zeros_len(chosen.entries.iter().map(|entry| entry.length))
            .ok_or_else(|| Refusal::new(&INTERNAL))?;
        let mut list: Vec<(u32, String)> = chosen
            .rows
            .iter()
            .filter_map(|row| Some((row.number, row.upstream_etag.clone()?)))
            .collect();
        let last = chosen.rows.last().ok_or_else(|| Refusal::new(&INTERNAL))?;
        let (number, tail) = match last.spool()? {
            Some(receipt) => {
                let spool = self.spool.read(&receipt).await.map_err(spool_gone)?;
                (last.number, SealedTail::new(Some(spool), zeros, trailer))
            }
            None => (last.number + 1, SealedTail::new(None, zeros, trailer)),
        };
        let ask = Ask::object(Method::PUT, &upload.place)
            .query("partNumber", &number.to_string())
            .query("uploadId", &upload.upstream);
        let response = self.send(call, ask, Cleared::sealed_tail(tail)).await?;
        if response.status() != StatusCode::OK {
            let refusal = self.upstream_refusal(response).await;
            // completed by another replica meanwhile: the caller finds out
            if refusal.protocol_code.as_deref() != Some("NoSuchUpload") {
                return Err(refusal);
            }
            return Ok(list);
        }
        list.push((number, tag(response.headers())));
        Ok(list)
    }

    /// The tag and the head of the provider's result. It may answer 200 and an error inside.
    async fn read_result(
        &self,
        response: Response<crate::body::Sealed>,
    ) -> Result<(String, http::HeaderMap), Refusal> {
        if response.status() != StatusCode::OK {
            return Err(self.upstream_refusal(response).await);
        }
        let (head, body) = response.into_parts();
        let text = body.collect(RESULT_LIMIT).await?;
        let text = String::from_utf8_lossy(&text);
        if text.contains("<Error>") {
            return Err(provider_error(
                StatusCode::INTERNAL_SERVER_ERROR,
                text.as_bytes(),
            ));
        }
        match element(&text, "ETag") {
            Some(found) => Ok((etag::unquote(&found).to_owned(), head.headers)),
            None => {
                Err(Refusal::new(&UPSTREAM_INVALID).message("The provider's result has no tag."))
            }
        }
    }

    /// The provider knows no such upload any more: if the object at the place is this upload's, it was completed.
    async fn found_completed(
        &self,
        call: &Call<'_>,
        upload: &Upload,
    ) -> Result<(String, http::HeaderMap), Refusal> {
        let response = self.ask(call, Ask::head(&upload.place)).await?;
        if response.status().is_success() {
            let (_, object) = self.open_blob(&upload.place, response.headers())?;
            if object == upload.object {
                return Ok((tag(response.headers()), response.headers().clone()));
            }
        }
        Err(S3Error::new(&NO_SUCH_UPLOAD).into())
    }

    /// The result of a Complete that succeeded before, for the same list.
    async fn kept_result(&self, key: &RowKey, list: &[u8; 32]) -> Result<Option<String>, Refusal> {
        let Some(value) = self.vault.get(Table::Complete, key).await? else {
            return Ok(None);
        };
        match parse_kept(&value)? {
            (found, _, Some(result)) if found == list => Ok(Some(result.to_owned())),
            (_, _, Some(_)) => Err(S3Error::new(&NO_SUCH_UPLOAD).into()),
            (_, _, None) => Ok(None),
        }
    }

    fn completed_answer(
        &self,
        call: &Call<'_>,
        upload: &Upload,
        result: &str,
        head: Option<&http::HeaderMap>,
    ) -> Result<Response<Released>, Refusal> {
        let mut out = xml::Writer::document();
        out.root("CompleteMultipartUploadResult");
        let host = call.text("host").unwrap_or_default();
        out.element(
            "Location",
            &format!("https://{host}{}", upload.place.address.upstream_path()),
        );
        out.element("Bucket", call.address.bucket().unwrap_or_default());
        out.element("Key", call.address.key().unwrap_or_default());
        for line in result.lines() {
            if let Some((name, text)) = line.split_once('=') {
                out.element(name, text);
            }
        }
        out.close("CompleteMultipartUploadResult");
        let mut answer = xml_answer(out);
        if let Some(head) = head {
            answered(head, answer.headers_mut());
        }
        Ok(answer)
    }
}

fn spool_gone(error: StateError) -> Refusal {
    match error {
        StateError::SpoolMissing => S3Error::new(&INVALID_PART).into(),
        other => other.into(),
    }
}

/// A part's declared checksum must be the one that was verified when it was uploaded.
fn check_part(part: &CompletedPart, row: &PartRow) -> Result<(), Refusal> {
    let differs = part.checksums.iter().any(|sent| {
        let verified = row.checksum.as_ref();
        !verified
            .is_some_and(|(name, text)| name == sent.algorithm().name() && *text == sent.base64())
    });
    if differs {
        return Err(S3Error::new(&INVALID_PART)
            .detail("PartNumber", part.number.to_string())
            .into());
    }
    Ok(())
}

/// The whole object's checksum, when every part has one of the algorithm that the upload was begun with.
fn object_checksum(
    rows: &[PartRow],
    entries: &[RunEntry],
    upload: &super::rows::UploadRow,
) -> Result<Option<(Value, Kind)>, Refusal> {
    let Some(name) = &upload.algorithm else {
        return Ok(None);
    };
    let algorithm = Algorithm::parse(name)?;
    let kind = match &upload.kind {
        Some(kind) => Kind::parse(kind, algorithm)?,
        None => algorithm.default_kind(),
    };
    let values: Option<Vec<Value>> = rows
        .iter()
        .map(|row| match &row.checksum {
            Some((known, text)) if known == name => Value::parse(algorithm, text),
            _ => None,
        })
        .collect();
    let Some(values) = values else {
        return Ok(None);
    };
    let value = match kind {
        Kind::Composite => Some(checksum::composite(algorithm, &values)),
        Kind::FullObject => checksum::combine(
            algorithm,
            values
                .into_iter()
                .zip(entries.iter().map(|entry| entry.length)),
        ),
    };
    Ok(value.map(|value| (value, kind)))
}

fn shown_checksum(value: &Value, checksum: &Option<(Value, Kind)>, parts: usize) -> String {
    match checksum {
        Some((_, Kind::Composite)) => checksum::composite_text(value, parts),
        _ => value.base64(),
    }
}

/// `md5(md5 of each part)-N`, when the client sent them all.
fn md5_tag(rows: &[PartRow]) -> Option<String> {
    let parts: Vec<Value> = rows
        .iter()
        .map(|row| Value::new(Algorithm::Md5, &hex::decode(row.md5.as_ref()?).ok()?))
        .collect::<Option<_>>()?;
    Some(format!(
        "{}-{}",
        checksum::composite(Algorithm::Md5, &parts).hex(),
        parts.len()
    ))
}

/// `ETag=…` and the checksum's element, a line each: what the result document says besides names.
fn result_text(shown: &str, checksum: Option<&(Value, Kind)>, parts: usize) -> String {
    let mut text = format!("ETag={}\n", etag::quote(shown));
    if let Some((value, kind)) = checksum {
        if let Some(name) = value.algorithm().element() {
            let shown = match kind {
                Kind::Composite => checksum::composite_text(value, parts),
                Kind::FullObject => value.base64(),
            };
            text.push_str(&format!("{name}={shown}\nChecksumType={}\n", kind.name()));
        }
    }
    text
}

/// Names the list of parts that a Complete asked for.
fn fingerprint(parts: &[CompletedPart]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.number.to_be_bytes());
        hash.update(etag::unquote(&part.etag));
        hash.update([0]);
    }
    hash.finalize().into()
}

/// `list 32 | u32 length of the trailer | trailer | result`, without a result while the Complete is in progress.
fn kept(list: &[u8; 32], trailer: &[u8], result: Option<&str>) -> Vec<u8> {
    let length = u32::try_from(trailer.len()).unwrap_or(u32::MAX);
    let mut value = list.to_vec();
    value.extend_from_slice(&length.to_be_bytes());
    value.extend_from_slice(trailer);
    value.extend_from_slice(result.unwrap_or_default().as_bytes());
    value
}

type Kept<'a> = (&'a [u8], &'a [u8], Option<&'a str>);

fn parse_kept(value: &[u8]) -> Result<Kept<'_>, Refusal> {
    let parsed = || {
        let (list, rest) = value.split_at_checked(32)?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (trailer, result) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        let result = std::str::from_utf8(result).ok()?;
        Some((list, trailer, (!result.is_empty()).then_some(result)))
    };
    parsed().ok_or_else(|| Refusal::new(&STATE_UNAVAILABLE))
}
