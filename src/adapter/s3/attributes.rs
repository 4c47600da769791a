//! GetObjectAttributes, answered from the object's own head and trailer.

use http::{HeaderValue, Response};

use super::call::Call;
use super::core::Core;
use super::error::{INVALID_ARGUMENT, S3Error};
use super::facts::Source;
use super::upstream::Ask;
use super::{etag, xml};
use crate::body::Released;
use crate::error::Refusal;

const KNOWN: [&str; 5] = [
    "ETag",
    "Checksum",
    "ObjectParts",
    "StorageClass",
    "ObjectSize",
];
/// S3's page of parts.
const PAGE: usize = 1000;

impl Core {
    pub(super) async fn object_attributes(
        &self,
        call: &Call,
    ) -> Result<Response<Released>, Refusal> {
        let wanted: Vec<&str> = call
            .headers
            .get_all("x-amz-object-attributes")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .collect();
        if wanted.is_empty() || wanted.iter().any(|name| !KNOWN.contains(name)) {
            return Err(S3Error::argument(
                "x-amz-object-attributes",
                wanted.join(","),
                "Invalid attribute name specified.",
            )
            .into());
        }
        let place = call.place();
        let response = self.ask(call, Ask::head(&place)).await?;
        if !response.status().is_success() {
            return Err(self.upstream_refusal(response).await);
        }
        let facts = self.facts(call, &place, response.headers()).await?;
        let given = self.given(call, &place, &facts, true).await?;
        let mut out = xml::Writer::document();
        out.root("GetObjectAttributesResponse");
        if wanted.contains(&"ETag") {
            out.element("ETag", etag::unquote(&facts.client_etag));
        }
        if let (true, Some(given)) = (wanted.contains(&"Checksum"), &given) {
            out.open("Checksum");
            if let Some(name) = given.algorithm.element() {
                out.element(name, &given.text);
            }
            out.element("ChecksumType", given.kind.name());
            out.close("Checksum");
        }
        if let (true, Source::Parts(trailer)) = (wanted.contains(&"ObjectParts"), &facts.source) {
            let number = |name: &str| call.text(name).map(str::parse::<u32>);
            let invalid = |_| S3Error::new(&INVALID_ARGUMENT);
            let marker = number("x-amz-part-number-marker")
                .transpose()
                .map_err(invalid)?
                .unwrap_or(0);
            let max = number("x-amz-max-parts").transpose().map_err(invalid)?;
            let max = max.map_or(PAGE, |max| PAGE.min(max as usize));
            let after: Vec<_> = trailer.entries.iter().filter(|e| e.part > marker).collect();
            let page = &after[..after.len().min(max)];
            out.open("ObjectParts");
            out.element("PartsCount", &trailer.entries.len().to_string());
            out.element("PartNumberMarker", &marker.to_string());
            if let Some(last) = page.last() {
                out.element("NextPartNumberMarker", &last.part.to_string());
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
            for entry in page {
                out.open("Part");
                out.element("PartNumber", &entry.part.to_string());
                out.element("Size", &entry.length.to_string());
                out.close("Part");
            }
            out.close("ObjectParts");
        }
        if wanted.contains(&"StorageClass") {
            let class = response.headers().get("x-amz-storage-class");
            out.element(
                "StorageClass",
                class.and_then(|v| v.to_str().ok()).unwrap_or("STANDARD"),
            );
        }
        if wanted.contains(&"ObjectSize") {
            out.element("ObjectSize", &facts.length.to_string());
        }
        out.close("GetObjectAttributesResponse");
        let mut answer = Response::new(Released::document(out.finish()));
        let headers = answer.headers_mut();
        headers.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("application/xml"),
        );
        for name in ["last-modified", "x-amz-version-id", "x-amz-delete-marker"] {
            if let Some(value) = response.headers().get(name) {
                headers.insert(http::HeaderName::from_static(name), value.clone());
            }
        }
        Ok(answer)
    }
}
