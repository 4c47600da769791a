//! As much of a Microsoft 365 drive as the measure needs: upload sessions and downloads.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::{CONTENT_RANGE, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::{Answer, Failure, Object, Store, Upload, lock, query, text};

const SESSION: &str = "/uploadSession";
const DOWNLOAD: &str = "/_layouts/15/download.aspx";

/// Whether a request is one of these.
pub fn is(path: &str) -> bool {
    path.ends_with(SESSION) || path.ends_with("createUploadSession") || path == DOWNLOAD
}

fn json(status: StatusCode, document: String) -> Response<Answer> {
    let mut answer = text(status, document);
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, json);
    answer
}

/// Under which name an object is kept.
fn key(name: &str) -> String {
    format!("/drive/{name}")
}

pub async fn answer(
    store: &Store,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Failure> {
    let path = request.uri().path();
    let asked = request.uri().query().unwrap_or_default();
    if path == DOWNLOAD {
        let name = query(asked, "UniqueId").ok_or("no id")?;
        return store.get(&key(name), request.headers());
    }
    if path.ends_with(SESSION) {
        return fragment(store, request).await;
    }
    let name = path.split(':').nth(1).ok_or("no name")?;
    let name = name.trim_start_matches('/');
    let host = request.headers().get(HOST).ok_or("no host")?.to_str()?;
    let id = store.next();
    let upload = Upload {
        kept: HeaderMap::new(),
        parts: BTreeMap::new(),
    };
    lock(&store.uploads).insert(id.clone(), upload);
    let url =
        format!("https://{host}/_api/v2.0/drives/d/items/i{SESSION}?guid='{id}'&name={name}&end");
    Ok(json(
        StatusCode::OK,
        format!("{{\"uploadUrl\":\"{url}\",\"nextExpectedRanges\":[\"0-\"]}}"),
    ))
}

async fn fragment(store: &Store, request: Request<Incoming>) -> Result<Response<Answer>, Failure> {
    let (head, body) = request.into_parts();
    let asked = head.uri.query().unwrap_or_default();
    let id = query(asked, "guid").ok_or("no session")?.trim_matches('\'');
    let name = query(asked, "name").ok_or("no name")?;
    let range = head.headers.get(CONTENT_RANGE).ok_or("no range")?;
    let (range, total) = range.to_str()?.split_once('/').ok_or("no total")?;
    let (_, last) = range.split_once('-').ok_or("no range")?;
    let (next, total) = (last.parse::<u64>()? + 1, total.parse::<u64>()?);
    let piece = Arc::new(store.receive(&head.headers, body).await?);
    let mut uploads = lock(&store.uploads);
    let upload = uploads.get_mut(id).ok_or("no such session")?;
    let number = u32::try_from(upload.parts.len())?;
    upload.parts.insert(number, (piece, String::new()));
    if next < total {
        let document = format!("{{\"nextExpectedRanges\":[\"{next}-\"]}}");
        return Ok(json(StatusCode::ACCEPTED, document));
    }
    let upload = uploads.remove(id).ok_or("no such session")?;
    let object = Object {
        pieces: upload.parts.into_values().map(|(piece, _)| piece).collect(),
        etag: id.to_owned(),
        kept: HeaderMap::new(),
    };
    if object.len() != total {
        return Err("fragments are missing".into());
    }
    lock(&store.objects).insert(key(name), Arc::new(object));
    let document = format!(
        "{{\"id\":\"{id}\",\"cTag\":\"{id}\",\"size\":{total},\"parentReference\":{{\"driveId\":\"d\"}},\"file\":{{\"hashes\":{{}}}}}}"
    );
    Ok(json(StatusCode::CREATED, document))
}
