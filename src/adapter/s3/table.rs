//! The verdict table: every operation of S3's API, what selects it, and what becomes of it.
//!
//! A request is classified by its method, by what it addresses, by *every* query parameter and by two headers.
//! Whatever no row names is `NotImplemented`; nothing is forwarded because it looks harmless.
//! The names are those of botocore's service model; `PostObject` is S3's form upload, which botocore does not list.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};

use super::address::Level::{self, Bucket, Object, Service};
use super::error::{
    INVALID_REQUEST, METHOD_NOT_ALLOWED, NOT_IMPLEMENTED, OPERATION_DENIED, S3Error,
};
use super::query::{Query, tolerated};
use crate::policy::Class::{self, ByPolicy, Deny, Pass, Transform};

/// One operation.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub name: &'static str,
    pub method: &'static str,
    pub level: Level,
    /// Query parameters that must all be there: `name`, or `name=value`.
    pub select: &'static [&'static str],
    /// Query parameters that may be there.
    pub optional: &'static [&'static str],
    /// A header that must be there: `name`, or `name=prefix of its value`.
    pub header: Option<&'static str>,
    pub class: Class,
}

const fn row(
    name: &'static str,
    method: &'static str,
    level: Level,
    select: &'static [&'static str],
    optional: &'static [&'static str],
    class: Class,
) -> Row {
    Row {
        name,
        method,
        level,
        select,
        optional,
        header: None,
        class,
    }
}

const fn by_header(row: Row, header: &'static str) -> Row {
    Row {
        header: Some(header),
        ..row
    }
}

const NONE: &[&str] = &[];
const VERSION: &[&str] = &["versionId"];
const READ: &[&str] = &[
    "versionId",
    "partNumber",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
];
const PAGE: &[&str] = &["continuation-token"];
const COPY_SOURCE: &str = "x-amz-copy-source";

/// The groups that an operator can let pass.
pub const GROUPS: &[&str] = &[
    "acl",
    "bucket-policy",
    "cors",
    "encryption",
    "lifecycle",
    "public-access-block",
    "tagging",
];

const ACL: Class = ByPolicy("acl");
const POLICY: Class = ByPolicy("bucket-policy");
const CORS: Class = ByPolicy("cors");
const ENCRYPTION: Class = ByPolicy("encryption");
const LIFECYCLE: Class = ByPolicy("lifecycle");
const PUBLIC: Class = ByPolicy("public-access-block");
const TAGGING: Class = ByPolicy("tagging");

const ANALYTICS: Class =
    Deny("Analytics, inventory and metrics reports of the provider are not served.");
const ANNOTATION: Class = Deny("Object annotations would store clear text at the provider.");
const BROWSE: Class = Deny("The provider would have to read the object; it holds ciphertext only.");
const EVENTS: Class = Deny("Notifications and access logs would tell others of the objects.");
const METADATA: Class = Deny("Metadata tables of the provider are not served.");
const OTHER: Class = Deny("This bucket setting is not served.");
const REPLICATION: Class = Deny("Replication to other buckets is not served.");
const SESSION: Class = Deny("Directory buckets are not served.");
const WEBSITE: Class = Deny("Websites would need the provider to read the objects.");

#[rustfmt::skip]
pub static TABLE: &[Row] = &[
    // objects: sealed and opened
    row("PutObject",                "PUT",    Object, NONE, NONE, Transform),
    row("GetObject",                "GET",    Object, NONE, READ, Transform),
    row("HeadObject",               "HEAD",   Object, NONE, READ, Transform),
    row("DeleteObject",             "DELETE", Object, NONE, VERSION, Transform),
    row("DeleteObjects",            "POST",   Bucket, &["delete"], NONE, Transform),
    row("GetObjectAttributes",      "GET",    Object, &["attributes"], VERSION, Transform),
    by_header(row("CopyObject",     "PUT",    Object, NONE, NONE, Transform), COPY_SOURCE),
    by_header(row("PostObject",     "POST",   Bucket, NONE, NONE, Transform), "content-type=multipart/form-data"),

    // multipart uploads
    row("CreateMultipartUpload",    "POST",   Object, &["uploads"], NONE, Transform),
    row("UploadPart",               "PUT",    Object, &["partNumber", "uploadId"], NONE, Transform),
    by_header(row("UploadPartCopy", "PUT",    Object, &["partNumber", "uploadId"], NONE, Transform), COPY_SOURCE),
    row("CompleteMultipartUpload",  "POST",   Object, &["uploadId"], NONE, Transform),
    row("AbortMultipartUpload",     "DELETE", Object, &["uploadId"], NONE, Transform),
    row("ListParts",                "GET",    Object, &["uploadId"], &["max-parts", "part-number-marker", "encoding-type"], Transform),
    row("ListMultipartUploads",     "GET",    Bucket, &["uploads"],
        &["delimiter", "encoding-type", "key-marker", "max-uploads", "prefix", "upload-id-marker"], Transform),

    // listings
    row("ListObjects",              "GET",    Bucket, NONE, &["delimiter", "encoding-type", "marker", "max-keys", "prefix"], Transform),
    row("ListObjectsV2",            "GET",    Bucket, &["list-type=2"],
        &["delimiter", "encoding-type", "max-keys", "prefix", "continuation-token", "fetch-owner", "start-after"], Transform),
    row("ListObjectVersions",       "GET",    Bucket, &["versions"],
        &["delimiter", "encoding-type", "key-marker", "max-keys", "prefix", "version-id-marker"], Transform),

    // no payload: re-signed
    row("ListBuckets",              "GET",    Service, NONE, &["max-buckets", "continuation-token", "prefix", "bucket-region"], Pass),
    row("HeadBucket",               "HEAD",   Bucket, NONE, NONE, Pass),
    row("CreateBucket",             "PUT",    Bucket, NONE, NONE, Pass),
    row("DeleteBucket",             "DELETE", Bucket, NONE, NONE, Pass),
    row("GetBucketLocation",        "GET",    Bucket, &["location"], NONE, Pass),
    row("GetBucketVersioning",      "GET",    Bucket, &["versioning"], NONE, Pass),
    row("PutBucketVersioning",      "PUT",    Bucket, &["versioning"], NONE, Pass),
    row("GetObjectLockConfiguration", "GET",  Bucket, &["object-lock"], NONE, Pass),
    row("PutObjectLockConfiguration", "PUT",  Bucket, &["object-lock"], NONE, Pass),
    row("GetObjectRetention",       "GET",    Object, &["retention"], VERSION, Pass),
    row("PutObjectRetention",       "PUT",    Object, &["retention"], VERSION, Pass),
    row("GetObjectLegalHold",       "GET",    Object, &["legal-hold"], VERSION, Pass),
    row("PutObjectLegalHold",       "PUT",    Object, &["legal-hold"], VERSION, Pass),
    row("RestoreObject",            "POST",   Object, &["restore"], VERSION, Pass),

    // the operator decides
    row("GetObjectTagging",         "GET",    Object, &["tagging"], VERSION, TAGGING),
    row("PutObjectTagging",         "PUT",    Object, &["tagging"], VERSION, TAGGING),
    row("DeleteObjectTagging",      "DELETE", Object, &["tagging"], VERSION, TAGGING),
    row("GetObjectAcl",             "GET",    Object, &["acl"], VERSION, ACL),
    row("PutObjectAcl",             "PUT",    Object, &["acl"], VERSION, ACL),
    row("GetBucketAcl",             "GET",    Bucket, &["acl"], NONE, ACL),
    row("PutBucketAcl",             "PUT",    Bucket, &["acl"], NONE, ACL),
    row("GetBucketPolicy",          "GET",    Bucket, &["policy"], NONE, POLICY),
    row("PutBucketPolicy",          "PUT",    Bucket, &["policy"], NONE, POLICY),
    row("DeleteBucketPolicy",       "DELETE", Bucket, &["policy"], NONE, POLICY),
    row("GetBucketPolicyStatus",    "GET",    Bucket, &["policyStatus"], NONE, POLICY),
    row("GetBucketCors",            "GET",    Bucket, &["cors"], NONE, CORS),
    row("PutBucketCors",            "PUT",    Bucket, &["cors"], NONE, CORS),
    row("DeleteBucketCors",         "DELETE", Bucket, &["cors"], NONE, CORS),
    row("GetPublicAccessBlock",     "GET",    Bucket, &["publicAccessBlock"], NONE, PUBLIC),
    row("PutPublicAccessBlock",     "PUT",    Bucket, &["publicAccessBlock"], NONE, PUBLIC),
    row("DeletePublicAccessBlock",  "DELETE", Bucket, &["publicAccessBlock"], NONE, PUBLIC),
    row("GetBucketEncryption",      "GET",    Bucket, &["encryption"], NONE, ENCRYPTION),
    row("PutBucketEncryption",      "PUT",    Bucket, &["encryption"], NONE, ENCRYPTION),
    row("DeleteBucketEncryption",   "DELETE", Bucket, &["encryption"], NONE, ENCRYPTION),
    row("GetBucketLifecycleConfiguration", "GET", Bucket, &["lifecycle"], NONE, LIFECYCLE),
    row("PutBucketLifecycleConfiguration", "PUT", Bucket, &["lifecycle"], NONE, LIFECYCLE),
    row("DeleteBucketLifecycle",    "DELETE", Bucket, &["lifecycle"], NONE, LIFECYCLE),

    // never
    row("SelectObjectContent",      "POST",   Object, &["select", "select-type=2"], NONE, BROWSE),
    by_header(row("WriteGetObjectResponse", "POST", Bucket, NONE, NONE, BROWSE), "x-amz-request-route"),
    row("GetObjectTorrent",         "GET",    Object, &["torrent"], NONE, BROWSE),
    row("RenameObject",             "PUT",    Object, &["renameObject"], NONE, SESSION),
    row("CreateSession",            "GET",    Bucket, &["session"], NONE, SESSION),
    row("ListDirectoryBuckets",     "GET",    Service, &["max-directory-buckets"], PAGE, SESSION),
    row("UpdateObjectEncryption",   "PUT",    Object, &["encryption"], VERSION, OTHER),
    row("GetObjectAnnotation",      "GET",    Object, &["annotation", "annotationName"], VERSION, ANNOTATION),
    row("PutObjectAnnotation",      "PUT",    Object, &["annotation", "annotationName"], VERSION, ANNOTATION),
    row("DeleteObjectAnnotation",   "DELETE", Object, &["annotation", "annotationName"], VERSION, ANNOTATION),
    row("ListObjectAnnotations",    "GET",    Object, &["annotation"],
        &["versionId", "max-annotation-results", "annotation-prefix", "continuation-token"], ANNOTATION),
    row("GetBucketAnalyticsConfiguration",    "GET",    Bucket, &["analytics", "id"], NONE, ANALYTICS),
    row("PutBucketAnalyticsConfiguration",    "PUT",    Bucket, &["analytics", "id"], NONE, ANALYTICS),
    row("DeleteBucketAnalyticsConfiguration", "DELETE", Bucket, &["analytics", "id"], NONE, ANALYTICS),
    row("ListBucketAnalyticsConfigurations",  "GET",    Bucket, &["analytics"], PAGE, ANALYTICS),
    row("GetBucketInventoryConfiguration",    "GET",    Bucket, &["inventory", "id"], NONE, ANALYTICS),
    row("PutBucketInventoryConfiguration",    "PUT",    Bucket, &["inventory", "id"], NONE, ANALYTICS),
    row("DeleteBucketInventoryConfiguration", "DELETE", Bucket, &["inventory", "id"], NONE, ANALYTICS),
    row("ListBucketInventoryConfigurations",  "GET",    Bucket, &["inventory"], PAGE, ANALYTICS),
    row("GetBucketMetricsConfiguration",      "GET",    Bucket, &["metrics", "id"], NONE, ANALYTICS),
    row("PutBucketMetricsConfiguration",      "PUT",    Bucket, &["metrics", "id"], NONE, ANALYTICS),
    row("DeleteBucketMetricsConfiguration",   "DELETE", Bucket, &["metrics", "id"], NONE, ANALYTICS),
    row("ListBucketMetricsConfigurations",    "GET",    Bucket, &["metrics"], PAGE, ANALYTICS),
    row("GetBucketIntelligentTieringConfiguration",    "GET",    Bucket, &["intelligent-tiering", "id"], NONE, OTHER),
    row("PutBucketIntelligentTieringConfiguration",    "PUT",    Bucket, &["intelligent-tiering", "id"], NONE, OTHER),
    row("DeleteBucketIntelligentTieringConfiguration", "DELETE", Bucket, &["intelligent-tiering", "id"], NONE, OTHER),
    row("ListBucketIntelligentTieringConfigurations",  "GET",    Bucket, &["intelligent-tiering"], PAGE, OTHER),
    row("CreateBucketMetadataConfiguration",           "POST",   Bucket, &["metadataConfiguration"], NONE, METADATA),
    row("GetBucketMetadataConfiguration",              "GET",    Bucket, &["metadataConfiguration"], NONE, METADATA),
    row("DeleteBucketMetadataConfiguration",           "DELETE", Bucket, &["metadataConfiguration"], NONE, METADATA),
    row("CreateBucketMetadataTableConfiguration",      "POST",   Bucket, &["metadataTable"], NONE, METADATA),
    row("GetBucketMetadataTableConfiguration",         "GET",    Bucket, &["metadataTable"], NONE, METADATA),
    row("DeleteBucketMetadataTableConfiguration",      "DELETE", Bucket, &["metadataTable"], NONE, METADATA),
    row("UpdateBucketMetadataAnnotationTableConfiguration", "PUT", Bucket, &["metadataAnnotationTable"], NONE, METADATA),
    row("UpdateBucketMetadataInventoryTableConfiguration",  "PUT", Bucket, &["metadataInventoryTable"], NONE, METADATA),
    row("UpdateBucketMetadataJournalTableConfiguration",    "PUT", Bucket, &["metadataJournalTable"], NONE, METADATA),
    row("GetBucketNotificationConfiguration", "GET",    Bucket, &["notification"], NONE, EVENTS),
    row("PutBucketNotificationConfiguration", "PUT",    Bucket, &["notification"], NONE, EVENTS),
    row("GetBucketLogging",                   "GET",    Bucket, &["logging"], NONE, EVENTS),
    row("PutBucketLogging",                   "PUT",    Bucket, &["logging"], NONE, EVENTS),
    row("GetBucketReplication",               "GET",    Bucket, &["replication"], NONE, REPLICATION),
    row("PutBucketReplication",               "PUT",    Bucket, &["replication"], NONE, REPLICATION),
    row("DeleteBucketReplication",            "DELETE", Bucket, &["replication"], NONE, REPLICATION),
    row("GetBucketWebsite",                   "GET",    Bucket, &["website"], NONE, WEBSITE),
    row("PutBucketWebsite",                   "PUT",    Bucket, &["website"], NONE, WEBSITE),
    row("DeleteBucketWebsite",                "DELETE", Bucket, &["website"], NONE, WEBSITE),
    row("GetBucketTagging",                   "GET",    Bucket, &["tagging"], NONE, OTHER),
    row("PutBucketTagging",                   "PUT",    Bucket, &["tagging"], NONE, OTHER),
    row("DeleteBucketTagging",                "DELETE", Bucket, &["tagging"], NONE, OTHER),
    row("GetBucketAbac",                      "GET",    Bucket, &["abac"], NONE, OTHER),
    row("PutBucketAbac",                      "PUT",    Bucket, &["abac"], NONE, OTHER),
    row("GetBucketAccelerateConfiguration",   "GET",    Bucket, &["accelerate"], NONE, OTHER),
    row("PutBucketAccelerateConfiguration",   "PUT",    Bucket, &["accelerate"], NONE, OTHER),
    row("GetBucketOwnershipControls",         "GET",    Bucket, &["ownershipControls"], NONE, OTHER),
    row("PutBucketOwnershipControls",         "PUT",    Bucket, &["ownershipControls"], NONE, OTHER),
    row("DeleteBucketOwnershipControls",      "DELETE", Bucket, &["ownershipControls"], NONE, OTHER),
    row("GetBucketRequestPayment",            "GET",    Bucket, &["requestPayment"], NONE, OTHER),
    row("PutBucketRequestPayment",            "PUT",    Bucket, &["requestPayment"], NONE, OTHER),
];

/// Names of botocore's that are the same request as another row's.
pub const ALIASES: &[(&str, &str)] = &[
    ("GetBucketLifecycle", "GetBucketLifecycleConfiguration"),
    ("PutBucketLifecycle", "PutBucketLifecycleConfiguration"),
    (
        "GetBucketNotification",
        "GetBucketNotificationConfiguration",
    ),
    (
        "PutBucketNotification",
        "PutBucketNotificationConfiguration",
    ),
];

/// Headers that are refused on every operation. A name that ends in `*` is a prefix.
#[rustfmt::skip]
pub const DENIED_HEADERS: &[(&str, &str)] = &[
    ("x-amz-server-side-encryption-customer-*", "Keys of the client's own (SSE-C) are not served: the object is sealed already."),
    ("x-amz-copy-source-server-side-encryption-customer-*", "Keys of the client's own (SSE-C) are not served: the object is sealed already."),
    ("x-amz-write-offset-bytes", "Appending to an object is not served."),
    ("x-amz-website-redirect-location", "Websites would need the provider to read the objects."),
    ("x-amz-mfa", "Deletion with MFA is not served: the gateway's own credential can't carry it."),
    ("x-amz-server-side-encryption-context", "An encryption context would be stored in clear text."),
    ("x-amz-if-match-*", "Conditions on size or time of a deletion are not served."),
    ("x-amz-object-annotation*", "Object annotations would store clear text at the provider."),
    ("x-amz-rename-source*", "Renaming is not served."),
    ("x-amz-security-token", "Temporary credentials are not served."),
    ("x-amz-s3session-token", "Directory buckets are not served."),
];

/// Headers that fall under a group of the policy as their own operations do. A name that ends in `*` is a prefix.
const GROUP_HEADERS: &[(&str, &str)] = &[
    ("x-amz-tagging", "tagging"),
    ("x-amz-acl", "acl"),
    ("x-amz-grant-*", "acl"),
];

/// Finds the operation: of the rows that match and name every parameter, the one that is selected most narrowly.
///
/// # Errors
/// `NotImplemented` when no row names all of the request; `MethodNotAllowed` for a method that S3 never uses.
pub fn classify(
    method: &Method,
    level: Level,
    query: &Query,
    headers: &HeaderMap,
) -> Result<&'static Row, S3Error> {
    let found = TABLE
        .iter()
        .filter(|row| row.level == level && row.method == method.as_str())
        .filter(|row| row.selected(query, headers) && row.names_all(query))
        .max_by_key(|row| row.select.len() + usize::from(row.header.is_some()));
    if let Some(row) = found {
        return Ok(row);
    }
    if !matches!(method.as_str(), "GET" | "HEAD" | "PUT" | "POST" | "DELETE") {
        return Err(S3Error::new(&METHOD_NOT_ALLOWED).detail("Method", method.as_str()));
    }
    Err(S3Error::with(
        &NOT_IMPLEMENTED,
        "The method and query parameters name no operation that is implemented.",
    ))
}

impl Row {
    fn selected(&self, query: &Query, headers: &HeaderMap) -> bool {
        let by_query = self
            .select
            .iter()
            .all(|wanted| match wanted.split_once('=') {
                Some((name, value)) => query.get(name) == Some(value),
                None => query.has(wanted),
            });
        by_query
            && match self
                .header
                .map(|header| header.split_once('=').unwrap_or((header, "")))
            {
                None => true,
                Some(("content-type", kind)) => headers
                    .get(CONTENT_TYPE)
                    .and_then(|value| value.as_bytes().get(..kind.len()))
                    .is_some_and(|value| value.eq_ignore_ascii_case(kind.as_bytes())),
                Some((name, _)) => headers.contains_key(name),
            }
    }

    fn names_all(&self, query: &Query) -> bool {
        query.iter().all(|(name, _)| {
            tolerated(name)
                || self.optional.contains(&name)
                || self
                    .select
                    .iter()
                    .any(|known| known.split('=').next() == Some(name))
        })
    }
}

fn matches_header(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}

/// Refuses the headers of [`DENIED_HEADERS`]. Hoisted headers of a presigned URL count: pass the effective ones.
///
/// # Errors
/// `NotImplemented`, with the header's name and the reason.
pub fn check_headers<'h>(names: impl IntoIterator<Item = &'h str>) -> Result<(), S3Error> {
    for name in names {
        let denied = DENIED_HEADERS
            .iter()
            .find(|(pattern, _)| matches_header(pattern, name));
        if let Some((_, why)) = denied {
            return Err(S3Error::with(&NOT_IMPLEMENTED, *why).detail("Header", name));
        }
    }
    Ok(())
}

/// Refuses a header in a presigned URL's query that selects an operation: the request was classified without it.
///
/// # Errors
/// `NotImplemented`, with the header's name.
pub fn check_hoisted<'h>(names: impl IntoIterator<Item = &'h str>) -> Result<(), S3Error> {
    let selects = |name: &str| {
        let mut headers = TABLE.iter().filter_map(|row| row.header);
        headers.any(|header| header.split('=').next() == Some(name))
    };
    match names.into_iter().find(|name| selects(name)) {
        Some(name) => Err(S3Error::with(
            &NOT_IMPLEMENTED,
            "A field that names the operation must be sent as a header.",
        )
        .detail("Header", name)),
        None => Ok(()),
    }
}

/// Refuses headers of a group that the policy does not let pass. `x-amz-acl: private` is what holds without it.
///
/// # Errors
/// `AccessDenied`, with the group's name.
pub fn check_groups(headers: &HeaderMap, allows: impl Fn(&str) -> bool) -> Result<(), S3Error> {
    for (name, value) in headers {
        let group = GROUP_HEADERS
            .iter()
            .find(|(pattern, _)| matches_header(pattern, name.as_str()));
        let Some((_, group)) = group else { continue };
        let harmless = name == "x-amz-acl" && value == "private";
        if !harmless && !allows(group) {
            return Err(S3Error::with(
                &OPERATION_DENIED,
                format!("The service's policy does not allow the group `{group}`."),
            )
            .detail("Header", name.as_str()));
        }
    }
    Ok(())
}

/// The part number of a query: 1 to 10,000.
///
/// # Errors
/// `InvalidArgument`.
pub fn part_number(text: &str) -> Result<u32, S3Error> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits && (1..=10_000).contains(&number) => Ok(number),
        _ => Err(S3Error::argument(
            "partNumber",
            text,
            "Part number must be an integer between 1 and 10000, inclusive",
        )),
    }
}

/// An integer of a listing's query, such as `max-keys`; `None` when it is absent.
///
/// # Errors
/// `InvalidArgument` when it is no integer from 0 to 2^31-1.
pub fn count(query: &Query, name: &'static str) -> Result<Option<u32>, S3Error> {
    let Some(text) = query.get(name) else {
        return Ok(None);
    };
    match text.parse::<i32>().ok().and_then(|n| u32::try_from(n).ok()) {
        Some(number) => Ok(Some(number)),
        None => Err(S3Error::argument(
            name,
            text,
            format!("Provided {name} not an integer or within integer range"),
        )),
    }
}

/// Refuses an empty `uploadId`, which SDKs send when a variable is unset.
///
/// # Errors
/// `InvalidRequest`.
pub fn upload_id(query: &Query) -> Result<&str, S3Error> {
    match query.get("uploadId") {
        Some(id) if !id.is_empty() => Ok(id),
        _ => Err(S3Error::with(
            &INVALID_REQUEST,
            "The upload id is missing or empty.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn query(raw: &str) -> Query {
        Query::parse(Some(raw)).unwrap()
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn name_of(method: &str, level: Level, raw: &str) -> Result<&'static str, S3Error> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        classify(&method, level, &query(raw), &HeaderMap::new()).map(|row| row.name)
    }

    #[test]
    fn every_operation_of_botocore_has_its_verdict() {
        let model: serde_json::Value = serde_json::from_str(include_str!(
            "../../../tests/data/botocore-s3-operations.json"
        ))
        .unwrap();
        let list = |value: &serde_json::Value| -> Vec<String> {
            value
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_str().unwrap().to_owned())
                .collect()
        };
        let mut seen = BTreeSet::new();
        let operations = model["operations"].as_array().unwrap();
        assert!(operations.len() >= 116);
        for operation in operations {
            let name = operation["name"].as_str().unwrap();
            let uri = operation["uri"].as_str().unwrap();
            let (path, fixed) = uri.split_once('?').unwrap_or((uri, ""));
            let level = match path {
                "/" => Service,
                "/{Bucket}" | "/WriteGetObjectResponse" => Bucket,
                "/{Bucket}/{Key+}" => Object,
                other => panic!("unknown path {other}"),
            };
            let mut map = HeaderMap::new();
            for header in list(&operation["headers"]) {
                map.insert(
                    http::HeaderName::try_from(header).unwrap(),
                    "v".parse().unwrap(),
                );
            }
            let method =
                Method::from_bytes(operation["method"].as_str().unwrap().as_bytes()).unwrap();
            let mut least: Vec<String> = fixed.split('&').map(str::to_owned).collect();
            least.extend(
                list(&operation["required"])
                    .iter()
                    .map(|key| format!("{key}=1")),
            );
            if name == "ListDirectoryBuckets" {
                least.push("max-directory-buckets=1".into());
            }
            let mut most = least.clone();
            most.extend(
                list(&operation["optional"])
                    .iter()
                    .filter(|key| *key != "max-directory-buckets")
                    .map(|key| format!("{key}=1")),
            );
            let name = ALIASES
                .iter()
                .find(|(alias, _)| *alias == name)
                .map_or(name, |(_, row)| row);
            for raw in [&least, &most] {
                let mut raw = raw.join("&");
                raw.push_str(&format!("&x-id={name}&X-Amz-Date=1&x-amz-meta-a=b"));
                let row = classify(&method, level, &query(&raw), &map).unwrap();
                assert_eq!(row.name, name, "{raw}");
            }
            seen.insert(name.to_owned());
        }
        let ours: BTreeSet<String> = TABLE.iter().map(|row| row.name.to_owned()).collect();
        assert_eq!(ours.len(), TABLE.len(), "a name occurs twice");
        let extra: Vec<&String> = ours.difference(&seen).collect();
        assert_eq!(extra, ["PostObject"]);
        assert!(seen.is_subset(&ours));
    }

    #[test]
    fn groups_are_listed() {
        let used: BTreeSet<&str> = TABLE
            .iter()
            .filter_map(|row| match row.class {
                ByPolicy(group) => Some(group),
                _ => None,
            })
            .chain(GROUP_HEADERS.iter().map(|(_, group)| *group))
            .collect();
        assert_eq!(used.into_iter().collect::<Vec<_>>(), GROUPS);
    }

    #[test]
    fn the_unknown_is_not_implemented() {
        for (method, level, raw) in [
            ("GET", Object, "unheard-of"),
            ("GET", Object, "versionId=1&unheard-of"),
            ("GET", Bucket, "list-type=3"),
            ("GET", Bucket, "list-type=2&marker=a"),
            ("GET", Bucket, "acl&tagging"),
            ("PUT", Object, "uploadId=1"),
            ("PUT", Object, "partNumber=1"),
            ("PUT", Object, "versionId=1"),
            ("POST", Object, ""),
            ("POST", Bucket, ""),
            ("POST", Service, ""),
            ("POST", Object, "select&select-type=3"),
            ("DELETE", Object, "uploadId=1&versionId=2"),
            ("HEAD", Service, ""),
            ("GET", Service, "acl"),
            ("GET", Object, "Acl"),
        ] {
            let error = name_of(method, level, raw).unwrap_err();
            assert_eq!(error.code.name, "NotImplemented", "{method} {raw}");
        }
        for method in ["PATCH", "OPTIONS", "TRACE", "COPY"] {
            assert_eq!(
                name_of(method, Object, "").unwrap_err().code.name,
                "MethodNotAllowed"
            );
        }
    }

    #[test]
    fn a_form_is_known_by_its_content_type() {
        let form = headers(&[("content-type", "Multipart/Form-Data; boundary=x")]);
        let row = classify(&Method::POST, Bucket, &Query::default(), &form).unwrap();
        assert_eq!(row.name, "PostObject");
        let row = classify(&Method::POST, Bucket, &query("delete"), &form).unwrap();
        assert_eq!(row.name, "DeleteObjects");
        let other = headers(&[("content-type", "text/xml")]);
        assert!(classify(&Method::POST, Bucket, &Query::default(), &other).is_err());
    }

    #[test]
    fn headers_that_change_the_meaning_are_refused() {
        for name in [
            "x-amz-server-side-encryption-customer-key",
            "x-amz-copy-source-server-side-encryption-customer-algorithm",
            "x-amz-write-offset-bytes",
            "x-amz-website-redirect-location",
            "x-amz-mfa",
            "x-amz-server-side-encryption-context",
            "x-amz-if-match-size",
        ] {
            let error = check_headers(["host", name]).unwrap_err();
            assert_eq!(error.code.name, "NotImplemented", "{name}");
        }
        check_headers(["host", "x-amz-date", "x-amz-server-side-encryption"]).unwrap();
    }

    #[test]
    fn headers_of_a_group_need_the_policy() {
        let none = |_: &str| false;
        check_groups(&headers(&[("x-amz-acl", "private")]), none).unwrap();
        for (name, value, group) in [
            ("x-amz-acl", "public-read", "acl"),
            ("x-amz-grant-read", "id=1", "acl"),
            ("x-amz-tagging", "a=b", "tagging"),
        ] {
            let map = headers(&[(name, value)]);
            assert_eq!(
                check_groups(&map, none).unwrap_err().code.name,
                "AccessDenied"
            );
            check_groups(&map, |allowed| allowed == group).unwrap();
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(part_number("10000").unwrap(), 10_000);
        for bad in ["", "0", "10001", "+1", "-1", "1 ", "x", "99999999999"] {
            assert!(part_number(bad).is_err(), "{bad}");
        }
        assert_eq!(count(&query("max-keys=0"), "max-keys").unwrap(), Some(0));
        assert_eq!(count(&query("a=0"), "max-keys").unwrap(), None);
        for bad in [
            "max-keys=",
            "max-keys=-1",
            "max-keys=2147483648",
            "max-keys=a",
        ] {
            assert!(count(&query(bad), "max-keys").is_err(), "{bad}");
        }
        assert!(upload_id(&query("uploadId=")).is_err());
    }
}
