//! CompleteMultipartUpload: the parts that count are chosen, the trailer is sealed, and the provider completes.

use http::{HeaderMap, Method, StatusCode};

use super::kept::{completed_answer, fingerprint, kept, parse_kept, result_text};
use super::rows::{PartRow, UploadRow};
use super::sums::{check_declared, check_part, md5_tag, object_checksum};
use super::{KEPT, MIN_PART, RESULT_LIMIT, Upload, declared_size};
use crate::adapter::s3::call::Call;
use crate::adapter::s3::checksum::{Kind, Value};
use crate::adapter::s3::core::Core;
use crate::adapter::s3::error::{
    ENTITY_TOO_LARGE, ENTITY_TOO_SMALL, INVALID_PART, INVALID_REQUEST, NO_SUCH_UPLOAD, S3Error,
};
use crate::adapter::s3::etag;
use crate::adapter::s3::intake::place;
use crate::adapter::s3::lasting::Written;
use crate::adapter::s3::list::malformed;
use crate::adapter::s3::upstream::{Ask, inner_error};
use crate::adapter::s3::write::tag;
use crate::adapter::s3::xml::{self, CompletedPart};
use crate::body::{Cleared, Plain, SealedTail};
use crate::error::{INTERNAL, Refusal};
use crate::policy::DocumentPermit;
use crate::seal::layout::LOCATOR;
use crate::seal::run::RunEntry;
use crate::seal::trailer::{Digests, Trailer, seal_trailer};
use crate::seal::{SealedBytes, layout};
use crate::state::{Inserted, RowKey, StateError, Table};

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

impl Core {
    pub(in crate::adapter::s3) async fn complete_upload(
        &self,
        call: &Call,
        permit: &DocumentPermit,
        body: Plain,
    ) -> Result<Written, Refusal> {
        let upload = self.upload(call)?;
        let intake = self.intake_of_list(call, body)?;
        let document = intake.body.collect(LIST_LIMIT).await?;
        let parts = xml::complete_request(&document, LIST_LIMIT)?;
        let list = fingerprint(&parts);
        let kept_key = self.complete_key(&upload);
        if let Some(result) = self.kept_result(&kept_key, &list).await? {
            return Ok(completed_answer(call, &result));
        }
        let completed = self.complete(call, permit, &upload, &parts, &list).await;
        match completed {
            Ok(result) => Ok(completed_answer(call, &result)),
            // a twin of this request may have come first, and have tidied up
            Err(refusal) => match self.kept_result(&kept_key, &list).await? {
                Some(result) => Ok(completed_answer(call, &result)),
                None => Err(refusal),
            },
        }
    }

    /// Completes at the provider and keeps the result; gives the result.
    async fn complete(
        &self,
        call: &Call,
        permit: &DocumentPermit,
        upload: &Upload,
        parts: &[CompletedPart],
        list: &[u8; 32],
    ) -> Result<String, Refusal> {
        let row = self.upload_row(upload).await?;
        let chosen = self.choose(call, upload, parts, &row).await?;
        let key = self.complete_key(upload);
        let sealed = self
            .sealed_trailer(call, upload, &chosen, &key, list)
            .await?;
        let upstream_parts = self.send_trailer(call, upload, &chosen, sealed).await?;
        let completed = self
            .complete_upstream(call, permit, upload, &upstream_parts)
            .await;
        let (tag, head) = match completed {
            Ok(result) => result,
            Err(refusal) => match refusal.protocol_code.as_deref() {
                // perhaps because it succeeded before, and nobody heard of it
                Some("NoSuchUpload" | "PreconditionFailed") => {
                    match self.found_completed(call, upload).await? {
                        Some(found) => found,
                        None => {
                            if refusal.protocol_code.as_deref() == Some("NoSuchUpload") {
                                self.vault.delete(Table::Complete, &key).await?;
                                self.forget(upload).await?;
                            }
                            return Err(refusal);
                        }
                    }
                }
                _ => return Err(refusal),
            },
        };
        let shown = match &chosen.md5_tag {
            Some(shown) => {
                self.keep_alias(call, &tag, shown).await?;
                shown.clone()
            }
            None => self.client_etag(&tag).await?,
        };
        let result = result_text(&shown, chosen.checksum.as_ref(), chosen.rows.len(), &head);
        let value = kept(list, b"", Some(&result));
        let expires = Some(call.unix() + KEPT);
        self.vault
            .put(Table::Complete, &key, &value, expires)
            .await?;
        self.forget(upload).await?;
        Ok(result)
    }

    async fn complete_upstream(
        &self,
        call: &Call,
        permit: &DocumentPermit,
        upload: &Upload,
        parts: &[(u32, String)],
    ) -> Result<(String, HeaderMap), Refusal> {
        let ask = Ask::object(Method::POST, &upload.place).query("uploadId", &upload.upstream);
        let ask = self.write_conditions(call, &upload.place, ask).await?;
        let ask = ask.header(http::header::CONTENT_TYPE, "application/xml");
        let document =
            xml::complete_document(parts.iter().map(|(number, tag)| (*number, tag.as_str())));
        let body = Cleared::document(document, permit);
        let response = self.send(call, ask, body).await?;
        if response.status() != StatusCode::OK {
            return Err(self.upstream_refusal(response).await);
        }
        let (head, body) = response.into_parts();
        let document = body.collect(RESULT_LIMIT).await?;
        if let Some(refusal) = inner_error(&document) {
            return Err(refusal);
        }
        let tag = xml::complete_result(&document, RESULT_LIMIT).map_err(malformed)?;
        Ok((tag, head.headers))
    }

    /// Picks the attempt of each part that the client's list names.
    async fn choose(
        &self,
        call: &Call,
        upload: &Upload,
        parts: &[CompletedPart],
        row: &UploadRow,
    ) -> Result<Chosen, Refusal> {
        let all = self.part_rows(upload, None).await?;
        let mut held = None;
        let mut rows = Vec::with_capacity(parts.len());
        for part in parts {
            let sent = etag::to_upstream(etag::unquote(&part.etag));
            let named = |row: &&PartRow| {
                row.number == part.number
                    && (etag::to_upstream(&row.client_etag) == sent
                        || row.upstream_etag.as_deref() == Some(sent))
            };
            let attempts: Vec<&PartRow> = all.iter().filter(named).collect();
            let chosen = match attempts.as_slice() {
                [] => None,
                [one] => Some(*one),
                // attempts of one content share a tag; the provider holds the one that came last
                several => {
                    let held = match &held {
                        Some(held) => held,
                        None => held.insert(self.upstream_parts(call, upload).await?),
                    };
                    present_attempt(held.get(&part.number), several)
                }
            };
            let chosen = chosen.ok_or_else(|| {
                S3Error::new(&INVALID_PART).detail("PartNumber", part.number.to_string())
            })?;
            check_part(part, chosen)?;
            rows.push(chosen.clone());
        }
        let entries: Vec<RunEntry> = rows.iter().map(PartRow::entry).collect::<Result<_, _>>()?;
        self.check_lengths(call, &entries)?;
        let checksum = object_checksum(&rows, &entries, row)?;
        check_declared(call, checksum.as_ref(), rows.len())?;
        let mut digests = Digests::default();
        if let Some((value, kind)) = &checksum {
            let composite = *kind == Kind::Composite;
            digests.set(place(value.algorithm()), value.bytes(), composite);
        }
        Ok(Chosen {
            md5_tag: md5_tag(&rows),
            rows,
            entries,
            digests,
            checksum,
        })
    }

    /// Only the last part may be short, and the whole must have the length that was declared.
    fn check_lengths(&self, call: &Call, entries: &[RunEntry]) -> Result<(), Refusal> {
        let before_last = entries.split_last().map_or(entries, |(_, before)| before);
        if let Some(entry) = before_last.iter().find(|entry| entry.length < MIN_PART) {
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
        Ok(())
    }

    /// The trailer's bytes: made once, so that every replica and every retry sends the same (decision 3).
    async fn sealed_trailer(
        &self,
        call: &Call,
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
                (found, trailer, None) if found == list && self.names(trailer, chosen) => {
                    Ok(SealedBytes::from_seal(trailer.to_vec()))
                }
                // another list was tried before, or other attempts of its parts, and did not succeed
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

    /// Whether a kept trailer is of the attempts that count now: a part may have been sent again, its tag the same.
    fn names(&self, kept: &[u8], chosen: &Chosen) -> bool {
        let total = chosen.entries.iter().map(|entry| entry.length).sum();
        let Some((run, _)) = kept.split_last_chunk::<LOCATOR>() else {
            return false;
        };
        layout::sealed_len(total)
            .map(|sealed| {
                Trailer::open(
                    self.lookup.as_ref(),
                    &self.context,
                    &mut run.to_vec(),
                    sealed,
                )
            })
            .is_some_and(|opened| {
                opened.is_ok_and(|it| it.entries == chosen.entries && it.digests == chosen.digests)
            })
    }

    /// Uploads what ends the object: a spooled last part with the trailer, or the trailer as a part of its own. Gives
    /// the list for the provider.
    async fn send_trailer(
        &self,
        call: &Call,
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
        match self.send_tail(call, ask, tail).await {
            Ok(response) => list.push((number, tag(response.headers()))),
            // completed by another replica meanwhile: the caller finds out
            Err(refusal) if refusal.protocol_code.as_deref() == Some("NoSuchUpload") => {}
            Err(refusal) => return Err(refusal),
        }
        Ok(list)
    }

    /// The object's tag and head, if the object at the place is this upload's.
    async fn found_completed(
        &self,
        call: &Call,
        upload: &Upload,
    ) -> Result<Option<(String, HeaderMap)>, Refusal> {
        let response = self.ask(call, Ask::head(&upload.place)).await?;
        if !response.status().is_success() {
            return Ok(None);
        }
        let ours = self
            .open_blob(&upload.place, response.headers())
            .is_ok_and(|(_, object)| object == upload.object);
        let head = response.into_parts().0.headers;
        Ok(ours.then(|| (tag(&head), head)))
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
}

/// The last attempt that the provider holds, or the last one spooled.
fn present_attempt<'a>(
    held: Option<&Vec<String>>,
    attempts: &[&'a PartRow],
) -> Option<&'a PartRow> {
    let spooled = attempts.iter().filter(|row| row.upstream_etag.is_none());
    let holds = |row: &&&PartRow| match (&row.upstream_etag, held) {
        (Some(tag), Some(held)) => held.contains(tag),
        _ => false,
    };
    attempts
        .iter()
        .filter(holds)
        .max_by_key(|row| row.modified)
        .or_else(|| spooled.max_by_key(|row| row.modified))
        .copied()
}

fn spool_gone(error: StateError) -> Refusal {
    match error {
        StateError::SpoolMissing => S3Error::new(&INVALID_PART).into(),
        other => other.into(),
    }
}
