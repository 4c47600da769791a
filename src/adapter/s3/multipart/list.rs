//! ListParts and ListMultipartUploads: what the provider has open, as far as the state knows it.

use std::collections::BTreeMap;

use http::{Method, Response, StatusCode};

use super::rows::{PartRow, UploadRow};
use super::{Upload, xml_answer};
use crate::adapter::s3::address::encode_path;
use crate::adapter::s3::call::{Call, Place};
use crate::adapter::s3::core::Core;
use crate::adapter::s3::error::S3Error;
use crate::adapter::s3::list::{DOCUMENT_LIMIT, malformed};
use crate::adapter::s3::time;
use crate::adapter::s3::upstream::Ask;
use crate::adapter::s3::xml::UploadsPage;
use crate::adapter::s3::{etag, xml};
use crate::body::Released;
use crate::error::Refusal;
use crate::state::{Component, Table};

const PAGE: u32 = 1000;

impl Core {
    /// ListParts: the attempts that count now, in order.
    pub(in crate::adapter::s3) async fn list_parts(
        &self,
        call: &Call,
    ) -> Result<Response<Released>, Refusal> {
        let upload = self.upload(call)?;
        let row = self.upload_row(&upload).await?;
        let marker = call.query.count("part-number-marker")?.unwrap_or(0);
        let max = call.query.count("max-parts")?.unwrap_or(PAGE).min(PAGE);
        let parts = self.counting_parts(call, &upload).await?;
        let after: Vec<&PartRow> = parts.range(marker + 1..).map(|(_, row)| row).collect();
        let page = &after[..after.len().min(max as usize)];
        let mut out = xml::Writer::document();
        out.root("ListPartsResult");
        out.element("Bucket", call.address.bucket().unwrap_or_default());
        out.element("Key", call.address.key().unwrap_or_default());
        out.element("UploadId", &upload.id);
        out.element("PartNumberMarker", &marker.to_string());
        if let Some(last) = page.last() {
            out.element("NextPartNumberMarker", &last.number.to_string());
        }
        out.element("MaxParts", &max.to_string());
        out.element(
            "IsTruncated",
            if page.len() < after.len() {
                "true"
            } else {
                "false"
            },
        );
        for part in page {
            out.open("Part");
            out.element("PartNumber", &part.number.to_string());
            out.element("LastModified", &at(part.modified / 1_000_000_000));
            out.element("ETag", &etag::quote(&part.client_etag));
            out.element("Size", &part.entry()?.length.to_string());
            if let Some((name, value)) = &part.checksum {
                out.element(&format!("Checksum{name}"), value);
            }
            out.close("Part");
        }
        out.element("StorageClass", "STANDARD");
        if let (Some(algorithm), Some(kind)) = (&row.algorithm, &row.kind) {
            out.element("ChecksumAlgorithm", algorithm);
            out.element("ChecksumType", kind);
        }
        out.close("ListPartsResult");
        Ok(xml_answer(out))
    }

    /// The attempt that counts now of each part: the latest of those that the provider or the spool holds.
    async fn counting_parts(
        &self,
        call: &Call,
        upload: &Upload,
    ) -> Result<BTreeMap<u32, PartRow>, Refusal> {
        let held = self.upstream_parts(call, upload).await?;
        let mut parts: BTreeMap<u32, PartRow> = BTreeMap::new();
        for row in self.part_rows(upload, None).await? {
            let counts = match &row.upstream_etag {
                Some(tag) => held.get(&row.number).is_some_and(|tags| tags.contains(tag)),
                None => true,
            };
            let newer = parts
                .get(&row.number)
                .is_none_or(|known| known.modified <= row.modified);
            if counts && newer {
                parts.insert(row.number, row);
            }
        }
        Ok(parts)
    }

    /// Number and tags of every part that the provider holds. There are stores that list what a later attempt replaced, in
    /// no order.
    pub(super) async fn upstream_parts(
        &self,
        call: &Call,
        upload: &Upload,
    ) -> Result<BTreeMap<u32, Vec<String>>, Refusal> {
        let mut held: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        let mut marker = None;
        loop {
            let mut ask =
                Ask::object(Method::GET, &upload.place).query("uploadId", &upload.upstream);
            if let Some(marker) = marker {
                ask = ask.query("part-number-marker", &u32::to_string(&marker));
            }
            let response = self.ask(call, ask).await?;
            if response.status() != StatusCode::OK {
                let refusal = self.upstream_refusal(response).await;
                self.forget_lost(upload, &refusal).await?;
                return Err(refusal);
            }
            let document = response.into_body().collect(DOCUMENT_LIMIT).await?;
            let page = xml::parts_page(&document, DOCUMENT_LIMIT).map_err(malformed)?;
            for part in page.parts {
                held.entry(part.number).or_default().push(part.etag);
            }
            match page.next {
                Some(next) if Some(next) > marker => marker = Some(next),
                _ => return Ok(held),
            }
        }
    }

    /// ListMultipartUploads: those whose ids the state knows; others belong to nobody here.
    pub(in crate::adapter::s3) async fn list_uploads(
        &self,
        call: &Call,
    ) -> Result<Response<Released>, Refusal> {
        let bucket = call.address.bucket().unwrap_or_default();
        let mut ask = Ask::new(Method::GET, &call.address).query("uploads", "");
        for name in ["prefix", "delimiter", "key-marker", "max-uploads"] {
            if let Some(value) = call.query.get(name) {
                ask = ask.query(name, value);
            }
        }
        if let Some(marker) = self.upload_marker(call)? {
            ask = ask.query("upload-id-marker", &marker);
        }
        let response = self.ask(call, ask).await?;
        if response.status() != StatusCode::OK {
            return Err(self.upstream_refusal(response).await);
        }
        let document = response.into_body().collect(DOCUMENT_LIMIT).await?;
        let page = xml::uploads_page(&document, DOCUMENT_LIMIT).map_err(malformed)?;
        let last = match &page.next {
            Some((key, Some(id))) => Some((key.as_str(), id.as_str())),
            _ => None,
        };
        let ids = page.uploads.iter().map(|upload| upload.id.as_str());
        let keys = ids
            .chain(last.map(|(_, id)| id))
            .map(|id| {
                let names = [bucket, id].map(|name| Component::Name(name.as_bytes()));
                self.vault.key(Table::Upload, &names)
            })
            .collect();
        let rows = self.vault.get_many(Table::Upload, keys).await?;
        let rows: Vec<Option<UploadRow>> = rows
            .into_iter()
            .map(|row| row.map(|row| UploadRow::decode(&row)).transpose())
            .collect::<Result<_, _>>()?;
        let (rows, last) = rows.split_at(page.uploads.len());
        let next_id = last.first().and_then(Option::as_ref);
        Ok(xml_answer(uploads_document(
            call,
            &page,
            rows,
            next_id.map(|row| row.id.as_str()),
        )))
    }

    /// The provider's id behind `upload-id-marker`, which counts only beside a `key-marker`.
    fn upload_marker(&self, call: &Call) -> Result<Option<String>, Refusal> {
        let marker = call
            .query
            .get("upload-id-marker")
            .filter(|id| !id.is_empty());
        let (Some(key), Some(id)) = (call.query.get("key-marker"), marker) else {
            return Ok(None);
        };
        let place = Place {
            address: call.address.with_key(key.to_owned())?,
            version: None,
        };
        match self.open_upload(place, id) {
            Ok(upload) => Ok(Some(upload.upstream)),
            Err(_) => {
                Err(S3Error::argument("upload-id-marker", id, "Invalid uploadId marker").into())
            }
        }
    }
}

/// Keys are percent-encoded when the client asks for it.
fn uploads_document(
    call: &Call,
    page: &UploadsPage,
    rows: &[Option<UploadRow>],
    next_id: Option<&str>,
) -> xml::Writer {
    let encoded = call.query.get("encoding-type") == Some("url");
    let shown = |text: &str| {
        let mut out = String::with_capacity(text.len());
        match encoded {
            true => encode_path(text, &mut out),
            false => out.push_str(text),
        }
        out
    };
    let mut out = xml::Writer::document();
    out.root("ListMultipartUploadsResult");
    out.element("Bucket", call.address.bucket().unwrap_or_default());
    for (name, key) in [
        ("KeyMarker", "key-marker"),
        ("Prefix", "prefix"),
        ("Delimiter", "delimiter"),
    ] {
        out.element(name, &shown(call.query.get(key).unwrap_or_default()));
    }
    let marker = call.query.get("upload-id-marker").unwrap_or_default();
    out.element("UploadIdMarker", marker);
    if encoded {
        out.element("EncodingType", "url");
    }
    let max = call.query.get("max-uploads").unwrap_or("1000");
    out.element("MaxUploads", max);
    if let Some((key, _)) = &page.next {
        out.element("NextKeyMarker", &shown(key));
        if let Some(id) = next_id {
            out.element("NextUploadIdMarker", id);
        }
    }
    let truncated = page.next.is_some();
    out.element("IsTruncated", if truncated { "true" } else { "false" });
    for (upload, row) in page.uploads.iter().zip(rows) {
        let Some(row) = row else { continue };
        out.open("Upload");
        out.element("Key", &shown(&upload.key));
        out.element("UploadId", &row.id);
        let class = upload.storage_class.as_deref().unwrap_or("STANDARD");
        out.element("StorageClass", class);
        out.element("Initiated", &at(row.initiated));
        out.close("Upload");
    }
    for prefix in &page.common_prefixes {
        out.open("CommonPrefixes");
        out.element("Prefix", &shown(prefix));
        out.close("CommonPrefixes");
    }
    out.close("ListMultipartUploadsResult");
    out
}

fn at(unix: u64) -> String {
    time::extended(std::time::UNIX_EPOCH + std::time::Duration::from_secs(unix))
}
