//! ListParts and ListMultipartUploads: what the provider has open, as far as the state knows it.

use std::collections::BTreeMap;

use http::{Method, Response, StatusCode};

use super::rows::{PartRow, UploadRow};
use super::{Upload, xml_answer};
use crate::adapter::s3::list::{DOCUMENT_LIMIT, malformed};
use crate::adapter::s3::time;
use crate::adapter::s3::upstream::Ask;
use crate::adapter::s3::{Call, S3, etag, table, xml};
use crate::body::Released;
use crate::error::Refusal;
use crate::state::{Component, Table};

const PAGE: u32 = 1000;

impl S3 {
    /// ListParts: the attempts that count now, in order.
    pub(in crate::adapter::s3) async fn list_parts(
        &self,
        call: &Call<'_>,
    ) -> Result<Response<Released>, Refusal> {
        let upload = self.upload(call)?;
        let row = self.upload_row(&upload).await?;
        let marker = table::count(call.query, "part-number-marker")?.unwrap_or(0);
        let max = table::count(call.query, "max-parts")?
            .unwrap_or(PAGE)
            .min(PAGE);
        let held = self.upstream_parts(call, &upload).await?;
        let mut parts: BTreeMap<u32, PartRow> = BTreeMap::new();
        for row in self.part_rows(&upload, None).await? {
            let counts = match &row.upstream_etag {
                Some(tag) => held.get(&row.number) == Some(tag),
                None => true,
            };
            let newer = parts
                .get(&row.number)
                .is_none_or(|known| known.modified <= row.modified);
            if counts && newer {
                parts.insert(row.number, row);
            }
        }
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
            out.element("LastModified", &at(part.modified));
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

    /// Number and tag of every part that the provider holds.
    pub(super) async fn upstream_parts(
        &self,
        call: &Call<'_>,
        upload: &Upload,
    ) -> Result<BTreeMap<u32, String>, Refusal> {
        let mut held = BTreeMap::new();
        let mut marker = None;
        loop {
            let mut ask =
                Ask::object(Method::GET, &upload.place).query("uploadId", &upload.upstream);
            if let Some(marker) = marker {
                ask = ask.query("part-number-marker", &u32::to_string(&marker));
            }
            let response = self.ask(call, ask).await?;
            if response.status() != StatusCode::OK {
                return Err(self.upstream_refusal(response).await);
            }
            let document = response.into_body().collect(DOCUMENT_LIMIT).await?;
            let page = xml::parts_page(&document, DOCUMENT_LIMIT).map_err(malformed)?;
            held.extend(page.parts.into_iter().map(|part| (part.number, part.etag)));
            match page.next {
                Some(next) if Some(next) > marker => marker = Some(next),
                _ => return Ok(held),
            }
        }
    }

    /// ListMultipartUploads: those whose ids the state knows; others belong to nobody here.
    pub(in crate::adapter::s3) async fn list_uploads(
        &self,
        call: &Call<'_>,
    ) -> Result<Response<Released>, Refusal> {
        let bucket = call.address.bucket().unwrap_or_default();
        let mut ask = Ask::new(Method::GET, call.address).query("uploads", "");
        for name in ["prefix", "delimiter", "key-marker", "max-uploads"] {
            if let Some(value) = call.query.get(name) {
                ask = ask.query(name, value);
            }
        }
        let response = self.ask(call, ask).await?;
        if response.status() != StatusCode::OK {
            return Err(self.upstream_refusal(response).await);
        }
        let document = response.into_body().collect(DOCUMENT_LIMIT).await?;
        let page = xml::uploads_page(&document, DOCUMENT_LIMIT).map_err(malformed)?;
        let keys = page
            .uploads
            .iter()
            .map(|upload| {
                let names =
                    [bucket, upload.id.as_str()].map(|name| Component::Name(name.as_bytes()));
                self.vault.key(Table::Upload, &names)
            })
            .collect();
        let rows = self.vault.get_many(Table::Upload, keys).await?;
        let mut out = xml::Writer::document();
        out.root("ListMultipartUploadsResult");
        out.element("Bucket", bucket);
        for (name, key) in [
            ("KeyMarker", "key-marker"),
            ("Prefix", "prefix"),
            ("Delimiter", "delimiter"),
        ] {
            out.element(name, call.query.get(key).unwrap_or_default());
        }
        out.element(
            "MaxUploads",
            call.query.get("max-uploads").unwrap_or("1000"),
        );
        if let Some((key, _)) = &page.next {
            out.element("NextKeyMarker", key);
        }
        out.element(
            "IsTruncated",
            if page.next.is_some() { "true" } else { "false" },
        );
        for (upload, row) in page.uploads.iter().zip(rows) {
            let Some(row) = row else { continue };
            let row = UploadRow::decode(&row)?;
            out.open("Upload");
            out.element("Key", &upload.key);
            out.element("UploadId", &row.id);
            out.element(
                "StorageClass",
                upload.storage_class.as_deref().unwrap_or("STANDARD"),
            );
            out.element("Initiated", &at(row.initiated));
            out.close("Upload");
        }
        for prefix in &page.common_prefixes {
            out.open("CommonPrefixes");
            out.element("Prefix", prefix);
            out.close("CommonPrefixes");
        }
        out.close("ListMultipartUploadsResult");
        Ok(xml_answer(out))
    }
}

fn at(unix: u64) -> String {
    time::extended(std::time::UNIX_EPOCH + std::time::Duration::from_secs(unix))
}
