//! Short documents that the provider answers.

use super::super::address::decode;
use super::{Element, Malformed, parse};

fn root<'a>(input: &'a [u8], size_max: usize, name: &str) -> Result<Element<'a>, Malformed> {
    let root = parse(input, size_max)?;
    if root.name == name {
        Ok(root)
    } else {
        Err(Malformed(
            "the provider's document is another than expected",
        ))
    }
}

/// Keys come percent-encoded, with `+` for a space, when `EncodingType` says so.
pub(super) fn key(text: &str, encoded: bool) -> Result<String, Malformed> {
    if !encoded {
        return Ok(text.to_owned());
    }
    decode(&text.replace('+', " ")).map_err(|_| Malformed("a key is not encoded as announced"))
}

pub(super) fn is_url_encoded(root: &Element<'_>) -> bool {
    root.text_of("EncodingType")
        .is_some_and(|kind| kind.eq_ignore_ascii_case("url"))
}

fn unquote(etag: &str) -> String {
    etag.trim().trim_matches('"').to_owned()
}

fn truthy(root: &Element<'_>, name: &str) -> bool {
    root.text_of(name).is_some_and(|text| text.trim() == "true")
}

fn filled(root: &Element<'_>, name: &str) -> Option<String> {
    root.text_of(name)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// An `<Error>` of the provider. It comes with a 200 too, from copies and completions that lasted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderError {
    pub code: String,
    pub message: String,
}

/// `None` when the document is no error, or no document.
pub fn provider_error(input: &[u8], size_max: usize) -> Option<ProviderError> {
    let root = root(input, size_max, "Error").ok()?;
    Some(ProviderError {
        code: root.text_of("Code")?.trim().to_owned(),
        message: root
            .text_of("Message")
            .unwrap_or_default()
            .trim()
            .to_owned(),
    })
}

/// The upload id of `InitiateMultipartUploadResult`.
///
/// # Errors
/// It is malformed or has none.
pub fn initiate_result(input: &[u8], size_max: usize) -> Result<String, Malformed> {
    let root = root(input, size_max, "InitiateMultipartUploadResult")?;
    filled(&root, "UploadId").ok_or(Malformed("the provider gave no upload id"))
}

/// The ETag (without quotes) of `CompleteMultipartUploadResult`.
///
/// # Errors
/// It is malformed or has none.
pub fn complete_result(input: &[u8], size_max: usize) -> Result<String, Malformed> {
    let root = root(input, size_max, "CompleteMultipartUploadResult")?;
    root.text_of("ETag")
        .map(unquote)
        .ok_or(Malformed("the provider gave no ETag"))
}

/// `CopyObjectResult` and `CopyPartResult`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyResult {
    /// Without quotes.
    pub etag: String,
    /// As the provider wrote it.
    pub last_modified: Option<String>,
}

/// # Errors
/// It is malformed or has no ETag.
pub fn copy_result(input: &[u8], size_max: usize) -> Result<CopyResult, Malformed> {
    let root = parse(input, size_max)?;
    if !matches!(root.name, "CopyObjectResult" | "CopyPartResult") {
        return Err(Malformed(
            "the provider's document is another than expected",
        ));
    }
    Ok(CopyResult {
        etag: root
            .text_of("ETag")
            .map(unquote)
            .ok_or(Malformed("the provider gave no ETag"))?,
        last_modified: filled(&root, "LastModified"),
    })
}

/// A part as the provider holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPart {
    pub number: u32,
    /// Without quotes.
    pub etag: String,
    /// Sealed length in bytes.
    pub size: u64,
    /// As the provider wrote it.
    pub last_modified: Option<String>,
}

/// `ListPartsResult`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartsPage {
    pub parts: Vec<StoredPart>,
    /// Where the next page begins, when there is one.
    pub next: Option<u32>,
    pub storage_class: Option<String>,
}

/// # Errors
/// It is malformed, or a truncated page does not say where to go on.
pub fn parts_page(input: &[u8], size_max: usize) -> Result<PartsPage, Malformed> {
    let root = root(input, size_max, "ListPartsResult")?;
    let number = |element: &Element<'_>, name: &str| {
        element
            .only(name)?
            .text()
            .trim()
            .parse::<u64>()
            .map_err(|_| Malformed("a number is malformed"))
    };
    let mut parts = Vec::new();
    for part in root.named("Part") {
        parts.push(StoredPart {
            number: u32::try_from(number(part, "PartNumber")?)
                .map_err(|_| Malformed("a number is malformed"))?,
            etag: unquote(part.only("ETag")?.text()),
            size: number(part, "Size")?,
            last_modified: filled(part, "LastModified"),
        });
    }
    let next = if truthy(&root, "IsTruncated") {
        let next = number(&root, "NextPartNumberMarker")?;
        Some(u32::try_from(next).map_err(|_| Malformed("a number is malformed"))?)
    } else {
        None
    };
    Ok(PartsPage {
        parts,
        next,
        storage_class: filled(&root, "StorageClass"),
    })
}

/// An upload that the provider has open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Decoded.
    pub key: String,
    pub id: String,
    /// As the provider wrote it.
    pub initiated: Option<String>,
    pub storage_class: Option<String>,
}

/// `ListMultipartUploadsResult`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadsPage {
    pub uploads: Vec<Upload>,
    /// Decoded.
    pub common_prefixes: Vec<String>,
    /// Key and upload id where the next page begins, when there is one.
    pub next: Option<(String, Option<String>)>,
}

/// # Errors
/// It is malformed, or a truncated page does not say where to go on.
pub fn uploads_page(input: &[u8], size_max: usize) -> Result<UploadsPage, Malformed> {
    let root = root(input, size_max, "ListMultipartUploadsResult")?;
    let encoded = is_url_encoded(&root);
    let mut uploads = Vec::new();
    for upload in root.named("Upload") {
        uploads.push(Upload {
            key: key(upload.only("Key")?.text(), encoded)?,
            id: upload.only("UploadId")?.text().to_owned(),
            initiated: filled(upload, "Initiated"),
            storage_class: filled(upload, "StorageClass"),
        });
    }
    let common_prefixes = root
        .named("CommonPrefixes")
        .map(|prefixes| key(prefixes.only("Prefix")?.text(), encoded))
        .collect::<Result<_, _>>()?;
    let next = if truthy(&root, "IsTruncated") {
        let marker = root
            .text_of("NextKeyMarker")
            .ok_or(Malformed("a truncated page has no next marker"))?;
        Some((key(marker, encoded)?, filled(&root, "NextUploadIdMarker")))
    } else {
        None
    };
    Ok(UploadsPage {
        uploads,
        common_prefixes,
        next,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 1 << 20;

    #[test]
    fn short_answers() {
        let error = provider_error(
            b"\n \n<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>",
            SIZE,
        )
        .unwrap();
        assert_eq!(
            (error.code.as_str(), error.message.as_str()),
            ("NoSuchKey", "gone")
        );
        assert_eq!(provider_error(b"<Other/>", SIZE), None);
        assert_eq!(provider_error(b"<html><p>Bad Gateway", SIZE), None);
        let id = b"<InitiateMultipartUploadResult><Bucket>b</Bucket><UploadId>u&amp;1</UploadId></InitiateMultipartUploadResult>";
        assert_eq!(initiate_result(id, SIZE).unwrap(), "u&1");
        assert!(
            initiate_result(
                b"<InitiateMultipartUploadResult><UploadId/></InitiateMultipartUploadResult>",
                SIZE
            )
            .is_err()
        );
        let etag = b"<CompleteMultipartUploadResult><ETag>&quot;a-2&quot;</ETag></CompleteMultipartUploadResult>";
        assert_eq!(complete_result(etag, SIZE).unwrap(), "a-2");
        let copy = b"<CopyObjectResult><LastModified>t</LastModified><ETag>\"a\"</ETag></CopyObjectResult>";
        assert_eq!(
            copy_result(copy, SIZE).unwrap(),
            CopyResult {
                etag: "a".into(),
                last_modified: Some("t".into())
            }
        );
        assert!(copy_result(b"<Error><Code>InternalError</Code></Error>", SIZE).is_err());
    }

    #[test]
    fn pages_of_parts() {
        let page = parts_page(
            b"<ListPartsResult><StorageClass>STANDARD</StorageClass><IsTruncated>true</IsTruncated>\
              <NextPartNumberMarker>7</NextPartNumberMarker>\
              <Part><PartNumber>7</PartNumber><ETag>\"e\"</ETag><Size>5</Size><LastModified>t</LastModified></Part></ListPartsResult>",
            SIZE,
        )
        .unwrap();
        assert_eq!(page.next, Some(7));
        assert_eq!(page.parts[0].size, 5);
        assert_eq!(page.parts[0].etag, "e");
        for bad in [
            "<ListPartsResult><IsTruncated>true</IsTruncated></ListPartsResult>",
            "<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></ListPartsResult>",
            "<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>e</ETag><Size>-1</Size></Part></ListPartsResult>",
        ] {
            assert!(parts_page(bad.as_bytes(), SIZE).is_err(), "{bad}");
        }
    }

    #[test]
    fn pages_of_uploads() {
        let page = uploads_page(
            b"<ListMultipartUploadsResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>\
              <NextKeyMarker>a%2Bb</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker>\
              <Upload><Key>a%2Bb+c</Key><UploadId>u</UploadId><Initiated>t</Initiated></Upload>\
              <CommonPrefixes><Prefix>p%2F</Prefix></CommonPrefixes></ListMultipartUploadsResult>",
            SIZE,
        )
        .unwrap();
        assert_eq!(page.uploads[0].key, "a+b c");
        assert_eq!(page.common_prefixes, ["p/"]);
        assert_eq!(page.next, Some(("a+b".into(), Some("u".into()))));
    }
}
