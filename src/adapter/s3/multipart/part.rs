//! UploadPart and UploadPartCopy.

use std::ops::Range;

use http::header::ETAG;
use http::{Method, Response};
use http_body_util::BodyExt;

use super::rows::PartRow;
use super::{LAST_PART, MIN_PART, UPLOAD_LIFE, Upload};
use crate::adapter::range::{self, Wanted};
use crate::adapter::s3::call::{Call, Place};
use crate::adapter::s3::copy::source;
use crate::adapter::s3::core::Core;
use crate::adapter::s3::error::{ENTITY_TOO_LARGE, INVALID_ARGUMENT, INVALID_RANGE, S3Error};
use crate::adapter::s3::facts::ReadError;
use crate::adapter::s3::intake::Intake;
use crate::adapter::s3::lasting::Written;
use crate::adapter::s3::upstream::Ask;
use crate::adapter::s3::write::{set, tag};
use crate::adapter::s3::{etag, query, time, xml};
use crate::body::{OpenBody, Plain, Released, SealBody, SealPlan, Tail};
use crate::error::{INTERNAL, Refusal};
use crate::seal::SealedBytes;
use crate::seal::layout;
use crate::seal::run::RunEntry;
use crate::state::{Component, Table};

impl Core {
    /// UploadPart.
    pub(in crate::adapter::s3) async fn upload_part(
        &self,
        call: &Call,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let upload = self.upload(call)?;
        let number = query::part_number(call.query.get("partNumber").unwrap_or_default())?;
        self.upload_row(&upload).await?;
        let intake = self.intake(call, body)?;
        let received = intake.received();
        let row = self.seal_part(call, &upload, number, intake).await?;
        let mut answer = Response::new(Released::empty());
        received.write_headers(answer.headers_mut());
        set(answer.headers_mut(), ETAG, &etag::quote(&row.client_etag));
        Ok(answer)
    }

    /// UploadPartCopy: opened and sealed anew, since a part is a run of its own.
    pub(in crate::adapter::s3) async fn copy_part(&self, call: &Call) -> Result<Written, Refusal> {
        let upload = self.upload(call)?;
        let number = query::part_number(call.query.get("partNumber").unwrap_or_default())?;
        self.upload_row(&upload).await?;
        let place = source(call)?;
        let intake = match self.source_part(call, &place).await {
            Err(ReadError::Replaced(_)) => self.source_part(call, &place).await?,
            part => part?,
        };
        let row = self.seal_part(call, &upload, number, intake).await?;
        let mut out = xml::Writer::document();
        out.root("CopyPartResult");
        out.element("LastModified", &time::extended(call.exchange.now));
        out.element("ETag", &etag::quote(&row.client_etag));
        out.close("CopyPartResult");
        Ok(Written::new(out.finish()))
    }

    /// The plaintext that an UploadPartCopy names.
    async fn source_part(&self, call: &Call, place: &Place) -> Result<Intake, ReadError> {
        let facts = self.source_facts(call, place).await?;
        let range = match call.text("x-amz-copy-source-range") {
            None => 0..facts.length,
            Some(text) => source_range(text, facts.length)?,
        };
        let length = range.end - range.start;
        if length == 0 {
            return Ok(Intake::opened(Plain::empty(), 0));
        }
        let reader = self.range_reader(&facts, &range)?;
        let body = self
            .pinned_range(call, place, &facts.upstream_etag, reader.sealed())
            .await?;
        let plain = Plain::opened(OpenBody::range(body, reader));
        Ok(Intake::opened(plain, length))
    }

    /// Seals a part's bytes as a run, sends or spools it, and remembers the attempt before it is answered.
    async fn seal_part(
        &self,
        call: &Call,
        upload: &Upload,
        number: u32,
        intake: Intake,
    ) -> Result<PartRow, Refusal> {
        let length = intake.length;
        if layout::run_len(length).is_none_or(|sealed| sealed > self.settings.max_put) {
            return Err(S3Error::new(&ENTITY_TOO_LARGE).into());
        }
        let received = intake.received();
        let faults = intake.body.faults();
        let plan = SealPlan {
            keys: self.current()?,
            context: self.context.clone(),
            object: upload.object,
            part: number,
            salt: self.salt(call)?,
            length: Some(length),
            tail: Tail::None,
        };
        let body = SealBody::new(intake.body, plan)
            .map_err(|error| Refusal::new(&INTERNAL).cause(error))?;
        let entry = body.entry();
        let spooled = length < MIN_PART || number == LAST_PART;
        let sent = if spooled {
            self.spool_part(upload, body).await.map(Sent::Spooled)
        } else {
            self.send_part(call, upload, number, body)
                .await
                .map(Sent::Upstream)
        };
        let sent = sent.map_err(|refusal| faults.take().unwrap_or(refusal))?;
        let entry: &RunEntry = entry.get().ok_or_else(|| {
            Refusal::new(&INTERNAL).message("The part was answered before it ended.")
        })?;
        let md5 = received.md5().map(|md5| md5.hex());
        let mut row = PartRow::new(entry, String::new(), call.nanos());
        let attempt = match &sent {
            Sent::Upstream(tag) => {
                row.upstream_etag = Some(tag.clone());
                row.client_etag = md5.clone().unwrap_or_else(|| etag::to_client(tag));
                tag.clone()
            }
            Sent::Spooled(receipt) => {
                row.spooled(receipt);
                // a tag of its own for each attempt, so that the client's choice at Complete is exact
                let own = hex::encode(&entry.commitment[..16]);
                row.client_etag = md5.clone().unwrap_or_else(|| etag::to_client(&own));
                own
            }
        };
        row.md5 = md5;
        row.checksum = received
            .flexible()
            .map(|value| (value.algorithm().name().to_owned(), value.base64()));
        self.keep_attempt(call, upload, &attempt, &row).await?;
        Ok(row)
    }

    /// Keeps an attempt. One whose upload ended meanwhile leaves nothing (decision 6).
    async fn keep_attempt(
        &self,
        call: &Call,
        upload: &Upload,
        attempt: &str,
        row: &PartRow,
    ) -> Result<(), Refusal> {
        let (number, attempt) = (row.number.into(), attempt.as_bytes());
        let key = self.part_key(
            upload,
            &[Component::Order(number), Component::Name(attempt)],
        );
        let expires = Some(call.unix() + UPLOAD_LIFE);
        self.vault
            .put(Table::Part, &key, &row.encode(), expires)
            .await?;
        if let Err(refusal) = self.upload_row(upload).await {
            self.forget(upload).await?;
            return Err(refusal);
        }
        Ok(())
    }

    async fn send_part(
        &self,
        call: &Call,
        upload: &Upload,
        number: u32,
        body: SealBody,
    ) -> Result<String, Refusal> {
        let ask = Ask::object(Method::PUT, &upload.place)
            .query("partNumber", &number.to_string())
            .query("uploadId", &upload.upstream);
        match self.send_sealed(call, ask, body).await {
            Ok(response) => Ok(tag(response.headers())),
            Err(refusal) => {
                self.forget_lost(upload, &refusal).await?;
                Err(refusal)
            }
        }
    }

    async fn spool_part(
        &self,
        upload: &Upload,
        mut body: SealBody,
    ) -> Result<crate::state::SpoolReceipt, Refusal> {
        let mut writer = self
            .spool
            .create(&upload.object.0, self.context.tenant())
            .await?;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|fault| Refusal::new(fault.code).message(fault.detail))?;
            if let Ok(data) = frame.into_data() {
                writer.write(SealedBytes::from_seal(data)).await?;
            }
        }
        Ok(writer.finish().await?)
    }
}

/// `bytes=first-last`, all of it within the source.
fn source_range(text: &str, length: u64) -> Result<Range<u64>, S3Error> {
    match range::parse(text) {
        Some(Wanted::Closed(a, b)) if b < length => Ok(a..b + 1),
        Some(Wanted::Closed(..)) => Err(S3Error::with(
            &INVALID_RANGE,
            "The copy source range exceeds the source's size.",
        )),
        _ => Err(S3Error::with(
            &INVALID_ARGUMENT,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
        )),
    }
}

enum Sent {
    Upstream(String),
    Spooled(crate::state::SpoolReceipt),
}
