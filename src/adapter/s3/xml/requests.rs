//! Documents that clients send.

use bytes::Bytes;

use super::super::checksum::{Algorithm, Value};
use super::super::error::{
    INVALID_PART_ORDER, INVALID_REQUEST, MALFORMED_XML, NOT_IMPLEMENTED, S3Error,
};
use super::{Element, Malformed, Writer, parse};

const PARTS_MAX: usize = 10_000;
const DELETED_MAX: usize = 1000;

/// One part that a completion names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletedPart {
    pub number: u32,
    /// Without quotes.
    pub etag: String,
    pub checksums: Vec<Value>,
}

fn unquote(etag: &str) -> &str {
    let etag = etag.trim();
    etag.strip_prefix('"')
        .and_then(|etag| etag.strip_suffix('"'))
        .unwrap_or(etag)
}

fn root<'a>(input: &'a [u8], size_max: usize, name: &str) -> Result<Element<'a>, S3Error> {
    let root = parse(input, size_max)?;
    if root.name == name {
        Ok(root)
    } else {
        Err(S3Error::new(&MALFORMED_XML))
    }
}

/// Reads `CompleteMultipartUpload`.
///
/// # Errors
/// `MalformedXML`; `InvalidPartOrder`; `InvalidRequest` for a malformed checksum, `NotImplemented` for an unknown one.
pub fn complete_request(input: &[u8], size_max: usize) -> Result<Vec<CompletedPart>, S3Error> {
    let root = root(input, size_max, "CompleteMultipartUpload")?;
    let mut parts: Vec<CompletedPart> = Vec::new();
    for element in root.children() {
        if element.name != "Part" || parts.len() == PARTS_MAX {
            return Err(S3Error::new(&MALFORMED_XML));
        }
        let number = element
            .only("PartNumber")?
            .text()
            .trim()
            .parse()
            .ok()
            .filter(|number| (1..=10_000).contains(number))
            .ok_or(Malformed("a part number is out of range"))?;
        let etag = unquote(element.only("ETag")?.text()).to_owned();
        if parts.last().is_some_and(|before| before.number >= number) {
            return Err(S3Error::new(&INVALID_PART_ORDER));
        }
        parts.push(CompletedPart {
            number,
            etag,
            checksums: checksums(element)?,
        });
    }
    if parts.is_empty() {
        return Err(S3Error::new(&MALFORMED_XML));
    }
    Ok(parts)
}

fn checksums(part: &Element<'_>) -> Result<Vec<Value>, S3Error> {
    let mut found: Vec<Value> = Vec::new();
    for child in part
        .children()
        .iter()
        .filter(|child| child.name.starts_with("Checksum"))
    {
        let algorithm = Algorithm::FLEXIBLE
            .into_iter()
            .find(|algorithm| algorithm.element() == Some(child.name))
            .ok_or_else(|| {
                S3Error::with(
                    &NOT_IMPLEMENTED,
                    "The checksum algorithm is not implemented.",
                )
                .detail("Element", child.name)
            })?;
        let value = Value::parse(algorithm, child.text().trim()).ok_or_else(|| {
            S3Error::with(
                &INVALID_REQUEST,
                format!("Value for {} is invalid.", child.name),
            )
        })?;
        if found.iter().any(|known| known.algorithm() == algorithm) {
            return Err(S3Error::new(&MALFORMED_XML));
        }
        found.push(value);
    }
    Ok(found)
}

/// Writes `CompleteMultipartUpload` for upstream: numbers and ETags without quotes.
pub fn complete_document<'p>(parts: impl IntoIterator<Item = (u32, &'p str)>) -> Bytes {
    let mut xml = Writer::document();
    xml.root("CompleteMultipartUpload");
    for (number, etag) in parts {
        xml.open("Part");
        xml.element("PartNumber", &number.to_string());
        xml.element("ETag", &format!("\"{etag}\""));
        xml.close("Part");
    }
    xml.close("CompleteMultipartUpload");
    xml.finish()
}

/// One object of a `Delete`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeletedObject {
    pub key: String,
    pub version: Option<String>,
    /// A condition; without quotes.
    pub etag: Option<String>,
    /// Conditions that only directory buckets know: last modified, size.
    pub other_conditions: bool,
}

/// `Delete`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteRequest {
    pub quiet: bool,
    pub objects: Vec<DeletedObject>,
}

/// Reads `Delete`: 1 to 1,000 objects.
///
/// # Errors
/// `MalformedXML`.
pub fn delete_request(input: &[u8], size_max: usize) -> Result<DeleteRequest, S3Error> {
    let root = root(input, size_max, "Delete")?;
    let mut request = DeleteRequest {
        quiet: false,
        objects: Vec::new(),
    };
    for element in root.children() {
        match element.name {
            "Quiet" => {
                request.quiet = match element.text().trim() {
                    "true" => true,
                    "false" => false,
                    _ => return Err(S3Error::new(&MALFORMED_XML)),
                };
            }
            "Object" => request.objects.push(deleted_object(element)?),
            _ => return Err(S3Error::new(&MALFORMED_XML)),
        }
    }
    if (1..=DELETED_MAX).contains(&request.objects.len()) {
        Ok(request)
    } else {
        Err(S3Error::new(&MALFORMED_XML))
    }
}

fn deleted_object(element: &Element<'_>) -> Result<DeletedObject, S3Error> {
    let mut object = DeletedObject {
        key: element.only("Key")?.text().to_owned(),
        ..DeletedObject::default()
    };
    for child in element.children() {
        match child.name {
            "Key" => {}
            "VersionId" => object.version = Some(element.only("VersionId")?.text().to_owned()),
            "ETag" => object.etag = Some(unquote(element.only("ETag")?.text()).to_owned()),
            "LastModifiedTime" | "Size" => object.other_conditions = true,
            _ => return Err(S3Error::new(&MALFORMED_XML)),
        }
    }
    if object.key.is_empty() {
        return Err(S3Error::new(&MALFORMED_XML));
    }
    Ok(object)
}

/// Writes `Delete` for upstream.
pub fn delete_document(request: &DeleteRequest) -> Bytes {
    let mut xml = Writer::document();
    xml.root("Delete");
    for object in &request.objects {
        xml.open("Object");
        xml.element("Key", &object.key);
        if let Some(version) = &object.version {
            xml.element("VersionId", version);
        }
        if let Some(etag) = &object.etag {
            xml.element("ETag", &format!("\"{etag}\""));
        }
        xml.close("Object");
    }
    if request.quiet {
        xml.element("Quiet", "true");
    }
    xml.close("Delete");
    xml.finish()
}

/// Refuses a `RestoreRequest` that asks for SELECT: the provider holds ciphertext only.
///
/// # Errors
/// `NotImplemented`, `MalformedXML`.
pub fn check_restore(input: &[u8], size_max: usize) -> Result<(), S3Error> {
    if input.is_empty() {
        return Ok(());
    }
    let root = root(input, size_max, "RestoreRequest")?;
    let selects = ["Type", "SelectParameters", "OutputLocation"];
    if root
        .children()
        .iter()
        .any(|child| selects.contains(&child.name))
    {
        return Err(S3Error::with(
            &NOT_IMPLEMENTED,
            "Restoring with SELECT is not implemented.",
        ));
    }
    Ok(())
}

/// Refuses a `VersioningConfiguration` that turns MFA deletion on: the gateway's own credential can't carry it.
///
/// # Errors
/// `NotImplemented`, `MalformedXML`.
pub fn check_versioning(input: &[u8], size_max: usize) -> Result<(), S3Error> {
    let root = root(input, size_max, "VersioningConfiguration")?;
    let mfa = ["MfaDelete", "MFADelete"];
    if root
        .children()
        .iter()
        .any(|child| mfa.contains(&child.name) && child.text().trim() != "Disabled")
    {
        return Err(S3Error::with(
            &NOT_IMPLEMENTED,
            "Deletion with MFA is not implemented.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 1 << 20;

    fn complete(body: &str) -> Result<Vec<CompletedPart>, S3Error> {
        let document =
            format!("<CompleteMultipartUpload xmlns=\"x\">{body}</CompleteMultipartUpload>");
        complete_request(document.as_bytes(), SIZE)
    }

    #[test]
    fn completions() {
        let parts = complete(
            "<Part><ETag>&quot;a-0&quot;</ETag><PartNumber>1</PartNumber><ChecksumCRC32>DUoRhQ==</ChecksumCRC32></Part>\n\
             <Part><PartNumber>10000</PartNumber><ETag>\"b\"</ETag></Part>",
        )
        .unwrap();
        assert_eq!(parts.len(), 2);
        assert_eq!((parts[0].number, parts[0].etag.as_str()), (1, "a-0"));
        assert_eq!(parts[0].checksums[0].base64(), "DUoRhQ==");
        assert_eq!((parts[1].number, parts[1].etag.as_str()), (10_000, "b"));
        let again = complete_document(parts.iter().map(|part| (part.number, part.etag.as_str())));
        assert_eq!(complete_request(&again, SIZE).unwrap()[1], parts[1]);
    }

    #[test]
    fn malformed_completions() {
        let part =
            |number: &str| format!("<Part><PartNumber>{number}</PartNumber><ETag>a</ETag></Part>");
        for (body, code) in [
            (String::new(), "MalformedXML"),
            (part("0"), "MalformedXML"),
            (part("10001"), "MalformedXML"),
            (part("-1"), "MalformedXML"),
            (part("x"), "MalformedXML"),
            (part("1") + &part("1"), "InvalidPartOrder"),
            (part("2") + &part("1"), "InvalidPartOrder"),
            ("<Part><PartNumber>1</PartNumber></Part>".into(), "MalformedXML"),
            ("<Part><ETag>a</ETag></Part>".into(), "MalformedXML"),
            ("<Part><PartNumber>1</PartNumber><ETag>a</ETag><ETag>b</ETag></Part>".into(), "MalformedXML"),
            ("<Other/>".into(), "MalformedXML"),
            ("<Part><PartNumber>1</PartNumber><ETag>a</ETag><ChecksumCRC32>x</ChecksumCRC32></Part>".into(), "InvalidRequest"),
            ("<Part><PartNumber>1</PartNumber><ETag>a</ETag><ChecksumSHA512>x</ChecksumSHA512></Part>".into(), "NotImplemented"),
        ] {
            assert_eq!(complete(&body).unwrap_err().code.name, code, "{body}");
        }
        assert_eq!(
            complete_request(b"<Delete/>", SIZE).unwrap_err().code.name,
            "MalformedXML"
        );
        assert_eq!(
            complete_request(b"not xml", SIZE).unwrap_err().code.name,
            "MalformedXML"
        );
    }

    #[test]
    fn deletions() {
        let document = "<Delete><Quiet>true</Quiet><Object><Key>a &amp; b</Key><VersionId>v</VersionId></Object>\
                        <Object><Key> c </Key><ETag>\"e\"</ETag></Object></Delete>";
        let request = delete_request(document.as_bytes(), SIZE).unwrap();
        assert!(request.quiet);
        assert_eq!(request.objects[0].key, "a & b");
        assert_eq!(request.objects[0].version.as_deref(), Some("v"));
        assert_eq!(request.objects[1].key, " c ");
        assert_eq!(request.objects[1].etag.as_deref(), Some("e"));
        assert_eq!(
            delete_request(&delete_document(&request), SIZE).unwrap(),
            request
        );
        for bad in [
            "<Delete/>",
            "<Delete><Object/></Delete>",
            "<Delete><Object><Key/></Object></Delete>",
            "<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
            "<Delete><Object><Key>a</Key><Other/></Object></Delete>",
            "<Delete><Quiet>maybe</Quiet><Object><Key>a</Key></Object></Delete>",
        ] {
            assert_eq!(
                delete_request(bad.as_bytes(), SIZE).unwrap_err().code.name,
                "MalformedXML",
                "{bad}"
            );
        }
        let many = format!(
            "<Delete>{}</Delete>",
            "<Object><Key>a</Key></Object>".repeat(1001)
        );
        assert!(delete_request(many.as_bytes(), SIZE).is_err());
    }

    #[test]
    fn select_and_mfa_are_refused() {
        check_restore(b"", SIZE).unwrap();
        check_restore(b"<RestoreRequest><Days>1</Days></RestoreRequest>", SIZE).unwrap();
        let select = b"<RestoreRequest><Type>SELECT</Type></RestoreRequest>";
        assert_eq!(
            check_restore(select, SIZE).unwrap_err().code.name,
            "NotImplemented"
        );
        let versioning = |inner: &str| {
            check_versioning(
                format!("<VersioningConfiguration>{inner}</VersioningConfiguration>").as_bytes(),
                SIZE,
            )
        };
        versioning("<Status>Enabled</Status><MfaDelete>Disabled</MfaDelete>").unwrap();
        assert_eq!(
            versioning("<MfaDelete>Enabled</MfaDelete>")
                .unwrap_err()
                .code
                .name,
            "NotImplemented"
        );
    }
}
