//! The verdict table: every operation of S3's API, what selects it, and what becomes of it.
//!
//! A request is classified by its method, by what it addresses, by *every* query parameter and by two headers.
//! Whatever no row names is `NotImplemented`; nothing is forwarded because it looks harmless.
//! The names are those of botocore's service model; `PostObject` is S3's form upload, which botocore does not list.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};

use super::address::Level::{self, Bucket, Object, Service};
use super::error::{METHOD_NOT_ALLOWED, NOT_IMPLEMENTED, S3Error};
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
            .chain(
                super::super::fields::GROUP_HEADERS
                    .iter()
                    .map(|(_, group)| *group),
            )
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
}
