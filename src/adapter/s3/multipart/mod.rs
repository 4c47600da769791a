//! Multipart uploads. Each part attempt is a run of its own; the trailer, sealed at Complete, names the runs that
//! count. What must be remembered between the requests is in the state (`s3-multipart` in `docs/s3.md`); the upload id
//! that clients hold is sealed and says where the upload is at the provider.

mod complete;
mod kept;
mod list;
mod part;
mod rows;
mod sums;

use http::header::HeaderName;
use http::{HeaderValue, Method, Response, StatusCode};

use self::rows::{PartRow, UploadRow};
use super::call::{Call, Place};
use super::core::Core;
use super::error::{INVALID_REQUEST, NO_SUCH_UPLOAD, S3Error};
use super::intake::Declaration;
use super::list::malformed;
use super::meta::Document;
use super::upstream::Ask;
use super::write::{CARRIED, answered, document};
use super::xml;
use crate::body::Released;
use crate::error::{INTERNAL, Refusal};
use crate::seal::ObjectId;
use crate::state::{Component, RowKey, StateError, Table};

/// S3's smallest part, but for the last (Amazon S3 User Guide, "Multipart upload limits"). Shorter ones are spooled:
/// the trailer can only follow a short last part within the same upstream part.
pub(super) const MIN_PART: u64 = 5 * 1024 * 1024;
/// The last part number; whatever has it is the last part, and the trailer must go with it.
pub(super) const LAST_PART: u32 = 10_000;
/// How long finished and abandoned uploads are remembered.
const KEPT: u64 = 24 * 3600;
const UPLOAD_LIFE: u64 = 30 * 24 * 3600;
const RESULT_LIMIT: usize = 64 * 1024;

/// An upload as its id says.
struct Upload {
    /// As the client knows it.
    id: String,
    upstream: String,
    object: ObjectId,
    place: Place,
}

impl Core {
    /// CreateMultipartUpload.
    pub(super) async fn create_upload(&self, call: &Call) -> Result<Response<Released>, Refusal> {
        let place = Place {
            version: None,
            ..call.place()
        };
        let declared = Declaration::read(&call.headers)?;
        let document = Document {
            run_header: None,
            ..document(call)?
        };
        let keys = self.current()?;
        let object = self.object_id(call)?;
        let mut ask = Ask::object(Method::POST, &place)
            .query("uploads", "")
            .copy(&call.headers, &CARRIED);
        self.seal_metadata(call, &keys, &place, object, &document, &mut ask)?;
        let response = self.ask(call, ask).await?;
        if response.status() != StatusCode::OK {
            return Err(self.upstream_refusal(response).await);
        }
        let (head, body) = response.into_parts();
        let document = body.collect(RESULT_LIMIT).await?;
        let upstream = xml::initiate_result(&document, RESULT_LIMIT).map_err(malformed)?;
        let mut plain = object.0.to_vec();
        plain.extend_from_slice(upstream.as_bytes());
        let id = self.vault.seal_handle(&handle_place(&place), &plain)?;
        let upload = Upload {
            id,
            upstream,
            object,
            place,
        };
        let row = UploadRow::new(&upload, &declared, call.unix());
        self.vault
            .put(
                Table::Upload,
                &self.upload_key(&upload.place, &upload.upstream),
                &row.encode(),
                Some(call.unix() + UPLOAD_LIFE),
            )
            .await?;
        let mut out = xml::Writer::document();
        out.root("InitiateMultipartUploadResult");
        out.element("Bucket", call.address.bucket().unwrap_or_default());
        out.element("Key", call.address.key().unwrap_or_default());
        out.element("UploadId", &upload.id);
        out.close("InitiateMultipartUploadResult");
        let mut answer = xml_answer(out);
        answered(&head.headers, answer.headers_mut());
        declared.write_headers(answer.headers_mut());
        Ok(answer)
    }

    /// AbortMultipartUpload. An id whose rows are lost can still be aborted.
    pub(super) async fn abort_upload(&self, call: &Call) -> Result<Response<Released>, Refusal> {
        let upload = self.upload(call)?;
        let ask = Ask::object(Method::DELETE, &upload.place).query("uploadId", &upload.upstream);
        let response = self.ask(call, ask).await?;
        if !response.status().is_success() && response.status() != StatusCode::NOT_FOUND {
            return Err(self.upstream_refusal(response).await);
        }
        let gone = response.status() == StatusCode::NOT_FOUND;
        let key = self.complete_key(&upload);
        let completing = self.vault.get(Table::Complete, &key).await?;
        let completed = completing.as_deref().is_some_and(kept::has_result);
        if completing.is_some() && !completed {
            self.vault.delete(Table::Complete, &key).await?;
        }
        let known = self.forget(&upload).await?;
        if gone && (completed || !known) {
            return Err(S3Error::new(&NO_SUCH_UPLOAD).into());
        }
        let mut answer = Response::new(Released::empty());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        Ok(answer)
    }

    /// The upload that the request's `uploadId` names.
    fn upload(&self, call: &Call) -> Result<Upload, Refusal> {
        let id = call.query.upload_id()?;
        let place = Place {
            version: None,
            address: call.address.clone(),
        };
        self.open_upload(place, id)
    }

    fn open_upload(&self, place: Place, id: &str) -> Result<Upload, Refusal> {
        let plain = match self.vault.open_handle(&handle_place(&place), id) {
            Ok(plain) => plain,
            // what a client brings may be anything
            Err(StateError::Damaged | StateError::SessionUnknown) => {
                return Err(S3Error::new(&NO_SUCH_UPLOAD).into());
            }
            Err(error) => return Err(error.into()),
        };
        let (object, upstream) = plain
            .split_first_chunk::<16>()
            .ok_or_else(|| Refusal::new(&INTERNAL))?;
        Ok(Upload {
            id: id.to_owned(),
            upstream: String::from_utf8_lossy(upstream).into_owned(),
            object: ObjectId(*object),
            place,
        })
    }

    fn upload_key(&self, place: &Place, upstream: &str) -> RowKey {
        let [bucket, _] = place.components();
        self.vault.key(
            Table::Upload,
            &[
                Component::Name(bucket),
                Component::Name(upstream.as_bytes()),
            ],
        )
    }

    async fn upload_row(&self, upload: &Upload) -> Result<UploadRow, Refusal> {
        let key = self.upload_key(&upload.place, &upload.upstream);
        let row = self.vault.get(Table::Upload, &key).await?;
        let row = row.ok_or_else(|| Refusal::from(S3Error::new(&NO_SUCH_UPLOAD)))?;
        UploadRow::decode(&row)
    }

    fn part_key(&self, upload: &Upload, components: &[Component<'_>]) -> RowKey {
        let mut all = vec![Component::Name(&upload.object.0)];
        all.extend_from_slice(components);
        self.vault.key(Table::Part, &all)
    }

    /// Every attempt of every part, or of one.
    async fn part_rows(
        &self,
        upload: &Upload,
        number: Option<u32>,
    ) -> Result<Vec<PartRow>, Refusal> {
        const PAGE: usize = 1000;
        let prefix = match number {
            Some(number) => self.part_key(upload, &[Component::Order(number.into())]),
            None => self.part_key(upload, &[]),
        };
        let mut rows = Vec::new();
        let mut after = None;
        loop {
            let page = self
                .vault
                .scan(Table::Part, &prefix, after.as_ref(), PAGE)
                .await?;
            let full = page.len() == PAGE;
            for (key, value) in page {
                rows.push(PartRow::decode(&value)?);
                after = Some(key);
            }
            if !full {
                return Ok(rows);
            }
        }
    }

    fn complete_key(&self, upload: &Upload) -> RowKey {
        self.vault
            .key(Table::Complete, &[Component::Name(&upload.object.0)])
    }

    /// Drops an upload's rows and spools; says whether there was an upload. Its own row goes first: a part that is
    /// remembered afterwards finds it gone, and drops itself.
    async fn forget(&self, upload: &Upload) -> Result<bool, Refusal> {
        let key = self.upload_key(&upload.place, &upload.upstream);
        let known = self.vault.delete(Table::Upload, &key).await?;
        self.spool
            .delete_upload(&upload.object.0, self.context.tenant())
            .await?;
        self.vault
            .delete_prefix(Table::Part, &self.part_key(upload, &[]))
            .await?;
        Ok(known)
    }

    /// After an error of the provider: an upload that it does not know any more is forgotten here too, unless a
    /// completion is under way that may still need the rows.
    async fn forget_lost(&self, upload: &Upload, refusal: &Refusal) -> Result<(), Refusal> {
        if refusal.protocol_code.as_deref() != Some("NoSuchUpload") {
            return Ok(());
        }
        let key = self.complete_key(upload);
        if self.vault.get(Table::Complete, &key).await?.is_none() {
            self.forget(upload).await?;
        }
        Ok(())
    }
}

/// An upload id belongs to its bucket and key.
fn handle_place(place: &Place) -> Vec<u8> {
    let [bucket, key] = place.components();
    [b"upload\0", bucket, b"/", key].concat()
}

fn xml_answer(document: xml::Writer) -> Response<Released> {
    let mut answer = Response::new(Released::document(document.finish()));
    answer.headers_mut().insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/xml"),
    );
    answer
}

/// The upload's object size that a client may declare at Complete.
fn declared_size(call: &Call) -> Result<Option<u64>, Refusal> {
    let name = HeaderName::from_static("x-amz-mp-object-size");
    match call.headers.get(name) {
        None => Ok(None),
        Some(value) => value
            .to_str()
            .ok()
            .and_then(|text| text.parse().ok())
            .map(Some)
            .ok_or_else(|| S3Error::new(&INVALID_REQUEST).into()),
    }
}
