//! A provider in memory: strict about what it is sent (signatures, lengths, digests, part sizes, conditions), and a
//! recorder of all of it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use sceau::adapter::s3::address::{Address, decode};
use sceau::adapter::s3::checksum::{self, Algorithm};
use sceau::adapter::s3::chunked::ChunkDecoder;
use sceau::adapter::s3::query::Query;
use sceau::adapter::s3::sigv4::{CredentialLookup, PayloadForm, Verifier};
use sceau::adapter::s3::xml;
use sceau::body::{Cleared, Outbound, Sealed, Upstream};
use sceau::error::{Refusal, UPSTREAM_OUTCOME_UNKNOWN};
use sceau::secret::SecretBytes;
use tokio::sync::Notify;

use super::pieces::Pieces;

pub const HOST: &str = "provider.example.net";
pub const REGION: &str = "region-1";
pub const ACCESS: &str = "UPSTREAMACCESS";
const SECRET: &[u8] = b"upstream-secret";
const MIN_PART: usize = 5 * 1024 * 1024;

pub fn secret() -> SecretBytes {
    SecretBytes::new(SECRET.to_vec())
}

/// A request as it arrived.
#[derive(Clone)]
pub struct Seen {
    pub method: Method,
    pub uri: http::Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whether the body broke off.
    pub broken: bool,
}

impl Seen {
    pub fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.uri.to_string().contains(part)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

#[derive(Clone)]
pub struct Object {
    pub bytes: Bytes,
    pub headers: HeaderMap,
    pub etag: String,
    pub version: String,
}

struct Upload {
    place: (String, String),
    headers: HeaderMap,
    parts: BTreeMap<u32, (Bytes, String)>,
}

type Answered = Response<Bytes>;
type Failed = (u16, &'static str);

/// What happens once with a request that matches.
pub enum Twist {
    /// Nothing happens; this is the answer.
    Instead(u16, &'static str),
    /// It happens, and the answer is lost.
    Lost,
    /// It happens after the notice.
    Wait(Arc<Notify>),
    /// It happens at once, and is answered after the notice.
    Stall(Arc<Notify>),
    /// This happens first.
    First(Box<dyn FnOnce(&Provider) + Send>),
    /// The answer is changed.
    Answer(Box<dyn FnOnce(&mut Answered) + Send>),
}

type Matcher = Box<dyn Fn(&Seen) -> bool + Send>;

#[derive(Default)]
struct Inner {
    objects: BTreeMap<(String, String), Vec<Object>>,
    uploads: BTreeMap<String, Upload>,
    documents: BTreeMap<String, Bytes>,
    seen: Vec<Seen>,
    twists: VecDeque<(Matcher, Twist)>,
    count: u64,
    versioned: bool,
    ignores_conditions: bool,
}

pub struct Provider {
    inner: Mutex<Inner>,
    verifier: Verifier,
    now: SystemTime,
}

struct Own(SecretBytes);

impl CredentialLookup for Own {
    fn secret(&self, access_key: &str) -> Option<&SecretBytes> {
        (access_key == ACCESS).then_some(&self.0)
    }
}

impl Provider {
    pub fn new(now: SystemTime) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::default(),
            verifier: Verifier::new(vec![REGION.into()]),
            now,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn twist(&self, matcher: impl Fn(&Seen) -> bool + Send + 'static, twist: Twist) {
        self.lock().twists.push_back((Box::new(matcher), twist));
    }

    pub fn versioned(&self) {
        self.lock().versioned = true;
    }

    pub fn ignores_conditions(&self) {
        self.lock().ignores_conditions = true;
    }

    /// What was received since the last call.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.lock().seen)
    }

    pub fn object(&self, bucket: &str, key: &str) -> Option<Object> {
        let place = (bucket.to_owned(), key.to_owned());
        self.lock().objects.get(&place)?.last().cloned()
    }

    pub fn store(&self, bucket: &str, key: &str, object: Object) {
        let place = (bucket.to_owned(), key.to_owned());
        self.lock().objects.insert(place, vec![object]);
    }

    pub fn remove(&self, bucket: &str, key: &str) {
        let place = (bucket.to_owned(), key.to_owned());
        self.lock().objects.remove(&place);
    }

    pub fn uploads(&self) -> usize {
        self.lock().uploads.len()
    }

    pub fn drop_uploads(&self) {
        self.lock().uploads.clear();
    }

    /// Verifies the request and takes its framing off.
    fn admit(&self, seen: &Seen) -> Result<Bytes, Failed> {
        let mut builder = Request::builder().method(&seen.method).uri(&seen.uri);
        *builder.headers_mut().unwrap() = seen.headers.clone();
        let head = builder.body(()).unwrap().into_parts().0;
        let query = Query::parse(seen.uri.query()).map_err(|_| (400, "InvalidURI"))?;
        let verified = self
            .verifier
            .verify(&head, &query, &Own(secret()), self.now)
            .map_err(|error| (403, error.code.name))?;
        assert_eq!(seen.header("host"), Some(HOST), "the provider's own name");
        let declared = seen.header("content-length").map(|n| n.parse().unwrap());
        let length = seen.body.len();
        assert_eq!(
            declared.unwrap_or(0),
            length,
            "Content-Length of {}",
            seen.uri
        );
        let mut body = seen.body.clone();
        if verified.payload == PayloadForm::UnsignedTrailer {
            let decoder = ChunkDecoder::new(verified.payload, &seen.headers, verified.chain);
            let mut decoder = decoder.unwrap().unwrap();
            let mut plain = Vec::new();
            while let Some(piece) = decoder.next(&mut body).unwrap() {
                plain.extend_from_slice(&piece);
            }
            let trailers = decoder.finish().unwrap();
            let crc = checksum::of(Algorithm::Crc32c, &plain).base64();
            assert_eq!(trailers.get("x-amz-checksum-crc32c"), Some(crc.as_str()));
            body = plain.into();
        }
        if let Some(sent) = seen.header("content-md5")
            && sent != checksum::of(Algorithm::Md5, &body).base64()
        {
            return Err((400, "BadDigest"));
        }
        Ok(body)
    }

    fn answer(&self, seen: &Seen) -> Answered {
        let outcome = match self.admit(seen) {
            Ok(body) => self.lock().perform(seen, body),
            Err(failed) => Err(failed),
        };
        outcome.unwrap_or_else(|(status, code)| {
            let document = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
            let bodiless = seen.method == Method::HEAD;
            let body = if bodiless { String::new() } else { document };
            reply(status, body)
        })
    }
}

#[async_trait]
impl Upstream for Provider {
    async fn send(&self, request: Request<Cleared<Outbound>>) -> Result<Response<Sealed>, Refusal> {
        // never at once, as no provider is
        tokio::task::yield_now().await;
        let (head, mut body) = request.into_parts();
        let mut bytes = Vec::new();
        let mut broken = false;
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => bytes.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Err(_) => {
                    broken = true;
                    break;
                }
            }
        }
        let seen = Seen {
            method: head.method,
            uri: head.uri,
            headers: head.headers,
            body: bytes.into(),
            broken,
        };
        let twist = {
            let mut inner = self.lock();
            inner.seen.push(seen.clone());
            let at = inner.twists.iter().position(|(matches, _)| matches(&seen));
            at.and_then(|at| inner.twists.remove(at))
        };
        if broken {
            return Err(Refusal::new(&UPSTREAM_OUTCOME_UNKNOWN));
        }
        let mut answer = match twist.map(|(_, twist)| twist) {
            None => self.answer(&seen),
            Some(Twist::Instead(status, code)) => {
                let document = format!("<Error><Code>{code}</Code></Error>");
                reply(status, document)
            }
            Some(Twist::Lost) => {
                self.answer(&seen);
                return Err(Refusal::new(&UPSTREAM_OUTCOME_UNKNOWN));
            }
            Some(Twist::Wait(notice)) => {
                notice.notified().await;
                self.answer(&seen)
            }
            Some(Twist::Stall(notice)) => {
                let answer = self.answer(&seen);
                notice.notified().await;
                answer
            }
            Some(Twist::First(act)) => {
                act(self);
                self.answer(&seen)
            }
            Some(Twist::Answer(change)) => {
                let mut answer = self.answer(&seen);
                change(&mut answer);
                answer
            }
        };
        let body = std::mem::take(answer.body_mut());
        Ok(answer.map(|_| Sealed::new(Pieces::of(body, 40_000))))
    }
}

pub fn reply(status: u16, body: impl Into<Bytes>) -> Answered {
    let body = body.into();
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    let length = answer.body().len();
    answer.headers_mut().insert("content-length", length.into());
    answer
        .headers_mut()
        .insert("x-amz-request-id", "PROVIDERS".parse().unwrap());
    answer
}

pub fn md5(bytes: &[u8]) -> String {
    checksum::of(Algorithm::Md5, bytes).hex()
}

/// What an object keeps of a request's head.
fn kept(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for (name, value) in headers {
        let content = [
            "content-type",
            "content-disposition",
            "cache-control",
            "expires",
        ];
        if name.as_str().starts_with("x-amz-meta-")
            || content.contains(&name.as_str())
            || ["x-amz-object-lock-mode", "x-amz-storage-class"].contains(&name.as_str())
        {
            kept.insert(name.clone(), value.clone());
        }
    }
    let size: usize = kept
        .iter()
        .filter_map(|(name, value)| {
            Some(name.as_str().strip_prefix("x-amz-meta-")?.len() + value.len())
        })
        .sum();
    assert!(size <= 2048, "2 KiB of metadata");
    assert!(
        kept.iter()
            .filter(|(name, _)| name.as_str().starts_with("x-amz-meta-"))
            .all(|(_, value)| value.len() <= 256),
        "values of 256 bytes"
    );
    kept
}

fn range(text: &str, length: usize) -> Option<Range<usize>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let first: usize = first.parse().ok()?;
    let end = last
        .parse::<usize>()
        .map_or(length, |last| length.min(last + 1));
    (first < end).then_some(first..end)
}

impl Inner {
    fn perform(&mut self, seen: &Seen, body: Bytes) -> Result<Answered, Failed> {
        let query = Query::parse(seen.uri.query()).unwrap();
        let address = Address::parse(seen.uri.path(), HOST, [HOST], false).unwrap();
        let Some(bucket) = address.bucket() else {
            return Ok(reply(200, "<ListAllMyBucketsResult/>"));
        };
        let Some(key) = address.key() else {
            return self.on_bucket(seen, bucket, &query, &body);
        };
        let place = (bucket.to_owned(), key.to_owned());
        match (seen.method.as_str(), query.get("uploadId")) {
            (method, Some(id)) => self.on_upload(method, seen, id, &query, &place, body),
            ("POST", None) if query.has("uploads") => {
                self.count += 1;
                let id = format!("upload/{}", self.count);
                let headers = kept(&seen.headers);
                let upload = Upload {
                    place,
                    headers,
                    parts: BTreeMap::new(),
                };
                self.uploads.insert(id.clone(), upload);
                Ok(reply(
                    200,
                    format!(
                        "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                    ),
                ))
            }
            ("POST", None) if query.has("restore") => Ok(reply(202, "")),
            (_, None)
                if ["tagging", "acl", "retention", "legal-hold"]
                    .iter()
                    .any(|q| query.has(q)) =>
            {
                self.document(seen, &body)
            }
            ("PUT", None) => self.put(seen, place, body),
            ("GET" | "HEAD", None) => self.get(seen, &place, query.get("versionId")),
            ("DELETE", None) => {
                self.check_conditions(seen, &place)?;
                self.objects.remove(&place);
                Ok(reply(204, ""))
            }
            _ => Err((501, "NotImplemented")),
        }
    }

    fn document(&mut self, seen: &Seen, body: &Bytes) -> Result<Answered, Failed> {
        let name = seen.uri.to_string();
        match seen.method.as_str() {
            "GET" => match self.documents.get(&name) {
                Some(document) => Ok(reply(200, document.clone())),
                None => Err((404, "NoSuchConfiguration")),
            },
            "PUT" => {
                self.documents.insert(name, body.clone());
                Ok(reply(200, ""))
            }
            _ => {
                self.documents.remove(&name);
                Ok(reply(204, ""))
            }
        }
    }

    fn check_conditions(&self, seen: &Seen, place: &(String, String)) -> Result<(), Failed> {
        if self.ignores_conditions {
            return Ok(());
        }
        let present = self.objects.get(place).and_then(|versions| versions.last());
        if seen.header("if-none-match").is_some() && present.is_some() {
            return Err((412, "PreconditionFailed"));
        }
        match (seen.header("if-match"), present) {
            (Some(_), None) => Err((404, "NoSuchKey")),
            (Some(tag), Some(object)) if tag.trim_matches('"') != object.etag => {
                Err((412, "PreconditionFailed"))
            }
            _ => Ok(()),
        }
    }

    fn keep(
        &mut self,
        place: (String, String),
        bytes: Bytes,
        headers: HeaderMap,
        etag: String,
    ) -> String {
        self.count += 1;
        let version = format!("v{}", self.count);
        let object = Object {
            bytes,
            headers,
            etag,
            version: version.clone(),
        };
        let versions = self.objects.entry(place).or_default();
        if !self.versioned {
            versions.clear();
        }
        versions.push(object);
        version
    }

    fn written(&self, mut answer: Answered, etag: &str, version: &str) -> Answered {
        let headers = answer.headers_mut();
        headers.insert("etag", format!("\"{etag}\"").parse().unwrap());
        if self.versioned {
            headers.insert("x-amz-version-id", version.parse().unwrap());
        }
        answer
    }

    fn put(
        &mut self,
        seen: &Seen,
        place: (String, String),
        body: Bytes,
    ) -> Result<Answered, Failed> {
        if place.0 == "missing" {
            return Err((404, "NoSuchBucket"));
        }
        self.check_conditions(seen, &place)?;
        if let Some(source) = seen.header("x-amz-copy-source") {
            assert_eq!(seen.header("x-amz-metadata-directive"), Some("REPLACE"));
            let (source, version) = Address::copy_source(source).unwrap();
            let from = (
                source.bucket().unwrap().into(),
                source.key().unwrap().into(),
            );
            let object = self.find(&from, version.as_deref())?.clone();
            let pinned = seen.header("x-amz-copy-source-if-match").unwrap();
            if pinned.trim_matches('"') != object.etag {
                return Err((412, "PreconditionFailed"));
            }
            let etag = md5(&object.bytes);
            let version = self.keep(place, object.bytes, kept(&seen.headers), etag.clone());
            let document = format!(
                "<CopyObjectResult><LastModified>2026-11-24T12:00:00.000Z</LastModified><ETag>&quot;{etag}&quot;</ETag></CopyObjectResult>"
            );
            return Ok(self.written(reply(200, document), &etag, &version));
        }
        if place.1.ends_with('/') && !body.is_empty() {
            return Err((400, "DirectoryObjectContainsData"));
        }
        let etag = md5(&body);
        let version = self.keep(place, body, kept(&seen.headers), etag.clone());
        Ok(self.written(reply(200, ""), &etag, &version))
    }

    fn find(&self, place: &(String, String), version: Option<&str>) -> Result<&Object, Failed> {
        let versions = self.objects.get(place).ok_or((404, "NoSuchKey"))?;
        match version {
            None => versions.last(),
            Some(id) => versions.iter().find(|object| object.version == id),
        }
        .ok_or((404, "NoSuchVersion"))
    }

    fn get(
        &self,
        seen: &Seen,
        place: &(String, String),
        version: Option<&str>,
    ) -> Result<Answered, Failed> {
        let object = self.find(place, version)?;
        if let (Some(tag), false) = (seen.header("if-match"), self.ignores_conditions)
            && tag.trim_matches('"') != object.etag
        {
            return Err((412, "PreconditionFailed"));
        }
        let length = object.bytes.len();
        let mut answer = match seen.header("range") {
            None => reply(200, object.bytes.clone()),
            Some(text) => {
                let range = range(text, length).ok_or((416, "InvalidRange"))?;
                let mut answer = reply(206, object.bytes.slice(range.clone()));
                let text = format!("bytes {}-{}/{length}", range.start, range.end - 1);
                answer
                    .headers_mut()
                    .insert("content-range", text.parse().unwrap());
                answer
            }
        };
        answer.headers_mut().extend(object.headers.clone());
        answer.headers_mut().insert(
            "last-modified",
            "Tue, 24 Nov 2026 12:00:00 GMT".parse().unwrap(),
        );
        let answer = self.written(answer, &object.etag, &object.version);
        if seen.method == Method::HEAD {
            let (head, _) = answer.into_parts();
            return Ok(Response::from_parts(head, Bytes::new()));
        }
        Ok(answer)
    }

    fn on_upload(
        &mut self,
        method: &str,
        seen: &Seen,
        id: &str,
        query: &Query,
        place: &(String, String),
        body: Bytes,
    ) -> Result<Answered, Failed> {
        let upload = self.uploads.get_mut(id).ok_or((404, "NoSuchUpload"))?;
        assert_eq!(upload.place, *place);
        match method {
            "PUT" => {
                let number: u32 = query.get("partNumber").unwrap().parse().unwrap();
                assert!((1..=10_000).contains(&number));
                let etag = md5(&body);
                upload.parts.insert(number, (body, etag.clone()));
                Ok(self.written(reply(200, ""), &etag, ""))
            }
            "GET" => {
                let marker: u32 = query
                    .get("part-number-marker")
                    .unwrap_or("0")
                    .parse()
                    .unwrap();
                let mut out = String::from("<ListPartsResult>");
                let after: Vec<_> = upload.parts.range(marker + 1..).collect();
                for (number, (bytes, etag)) in after.iter().take(2) {
                    let _ = write!(
                        out,
                        "<Part><PartNumber>{number}</PartNumber><ETag>\"{etag}\"</ETag><Size>{}</Size></Part>",
                        bytes.len()
                    );
                }
                let _ = write!(out, "<IsTruncated>{}</IsTruncated>", after.len() > 2);
                if let Some((number, _)) = after.get(1) {
                    let _ = write!(out, "<NextPartNumberMarker>{number}</NextPartNumberMarker>");
                }
                Ok(reply(200, out + "</ListPartsResult>"))
            }
            "DELETE" => {
                self.uploads.remove(id);
                Ok(reply(204, ""))
            }
            "POST" => self.complete(seen, id, place, &body),
            _ => Err((501, "NotImplemented")),
        }
    }

    fn complete(
        &mut self,
        seen: &Seen,
        id: &str,
        place: &(String, String),
        body: &[u8],
    ) -> Result<Answered, Failed> {
        self.check_conditions(seen, place)?;
        let upload = &self.uploads[id];
        let wanted = xml::complete_request(body, 1 << 22).map_err(|e| (400, e.code.name))?;
        let (mut whole, mut digests) = (Vec::new(), Vec::new());
        for (at, part) in wanted.iter().enumerate() {
            let (bytes, etag) = upload.parts.get(&part.number).ok_or((400, "InvalidPart"))?;
            if *etag != part.etag {
                return Err((400, "InvalidPart"));
            }
            if at + 1 < wanted.len() && bytes.len() < MIN_PART {
                return Err((400, "EntityTooSmall"));
            }
            whole.extend_from_slice(bytes);
            digests.extend(hex::decode(etag).unwrap());
        }
        let etag = format!("{}-{}", md5(&digests), wanted.len());
        let headers = upload.headers.clone();
        self.uploads.remove(id);
        let version = self.keep(place.clone(), whole.into(), headers, etag.clone());
        let document = format!(
            "<CompleteMultipartUploadResult><Location>http://{HOST}/</Location><ETag>\"{etag}\"</ETag></CompleteMultipartUploadResult>"
        );
        Ok(self.written(reply(200, document), &etag, &version))
    }

    fn on_bucket(
        &mut self,
        seen: &Seen,
        bucket: &str,
        query: &Query,
        body: &Bytes,
    ) -> Result<Answered, Failed> {
        let documents = [
            "acl",
            "policy",
            "cors",
            "encryption",
            "lifecycle",
            "publicAccessBlock",
            "versioning",
            "object-lock",
            "location",
            "policyStatus",
        ];
        match seen.method.as_str() {
            "POST" if query.has("delete") => {
                assert!(seen.header("content-md5").is_some());
                let request = xml::delete_request(body, 1 << 22).map_err(|e| (400, e.code.name))?;
                let mut out = String::from("<DeleteResult>");
                for object in request.objects {
                    let place = (bucket.to_owned(), object.key.clone());
                    let present = self.objects.get(&place).and_then(|v| v.last());
                    let fails = object
                        .etag
                        .is_some_and(|tag| present.is_none_or(|present| present.etag != tag));
                    let mut key = String::new();
                    xml::escape(&object.key, &mut key);
                    if fails {
                        let _ = write!(
                            out,
                            "<Error><Key>{key}</Key><Code>PreconditionFailed</Code></Error>"
                        );
                    } else {
                        self.objects.remove(&place);
                        let _ = write!(out, "<Deleted><Key>{key}</Key></Deleted>");
                    }
                }
                Ok(reply(200, out + "</DeleteResult>"))
            }
            "GET" if query.has("uploads") => Ok(reply(200, self.list_uploads(bucket, query))),
            _ if documents.iter().any(|name| query.has(name)) => self.document(seen, body),
            "GET" => Ok(reply(200, self.list(bucket, query))),
            "PUT" => {
                let mut answer = reply(200, "");
                let location = format!("http://{bucket}.{HOST}/");
                answer
                    .headers_mut()
                    .insert("location", location.parse().unwrap());
                Ok(answer)
            }
            "HEAD" => Ok(reply(200, "")),
            "DELETE" => Ok(reply(204, "")),
            _ => Err((501, "NotImplemented")),
        }
    }

    fn list(&self, bucket: &str, query: &Query) -> String {
        let versions = query.has("versions");
        let (root, element) = match versions {
            true => ("ListVersionsResult", "Version"),
            false => ("ListBucketResult", "Contents"),
        };
        let prefix = query.get("prefix").unwrap_or_default();
        let mut out = format!("<{root}><Name>{bucket}</Name>");
        for ((_, key), objects) in self
            .objects
            .iter()
            .filter(|((own, key), _)| own == bucket && key.starts_with(prefix))
        {
            let mut text = String::new();
            xml::escape(key, &mut text);
            let shown = if versions {
                &objects[..]
            } else {
                &objects[objects.len() - 1..]
            };
            for object in shown {
                let _ = write!(
                    out,
                    "<{element}><Key>{text}</Key><VersionId>{}</VersionId><ETag>&quot;{}&quot;</ETag><Size>{}</Size></{element}>",
                    object.version,
                    object.etag,
                    object.bytes.len()
                );
            }
        }
        out + &format!("</{root}>")
    }

    fn list_uploads(&self, bucket: &str, query: &Query) -> String {
        let after = (
            query.get("key-marker").unwrap_or_default().to_owned(),
            query.get("upload-id-marker").unwrap_or_default().to_owned(),
        );
        let most = query
            .get("max-uploads")
            .map_or(1000, |n| n.parse().unwrap());
        let mut all: Vec<_> = self
            .uploads
            .iter()
            .filter(|(_, upload)| upload.place.0 == bucket)
            .map(|(id, upload)| (upload.place.1.clone(), id.clone()))
            .filter(|entry| *entry > after)
            .collect();
        all.sort();
        let mut out = String::from("<ListMultipartUploadsResult>");
        let page = &all[..all.len().min(most)];
        for (key, id) in page {
            let _ = write!(
                out,
                "<Upload><Key>{key}</Key><UploadId>{id}</UploadId></Upload>"
            );
        }
        if let (true, Some((key, id))) = (page.len() < all.len(), page.last()) {
            let _ = write!(
                out,
                "<IsTruncated>true</IsTruncated><NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>{id}</NextUploadIdMarker>"
            );
        }
        out + "</ListMultipartUploadsResult>"
    }
}

/// The path of a request, decoded.
pub fn path_of(seen: &Seen) -> String {
    decode(seen.uri.path()).unwrap()
}
