//! Upload sessions: the client's fragments become runs, and the object that they make goes up in the provider's units.
//! `docs/microsoft-365.md` has the states.

mod address;
mod chunks;
mod fragment;
mod keeper;
mod position;
mod ranges;
mod rest;
mod row;
mod rules;
mod way;
mod whole;

use std::borrow::Cow;
use std::sync::LazyLock;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Method, Response, StatusCode};
use serde_json::Value;

use self::rest::Told;
use self::row::{Attempt, UploadRow};
use self::way::Way;
use super::upstream::{Address, Ask, is_json, put, text};
use super::{Call, DOCUMENT, Graph, none};
use crate::adapter::json::{self, Path, Paths};
use crate::body::{Cleared, Plain, Released};
use crate::error::{INTERNAL, PROTOCOL, Refusal, TOO_LARGE, UPSTREAM_INVALID};
use crate::policy::DocumentPermit;
use crate::seal::{SaltSource, layout};
use crate::state::{RowKey, Table};

/// How long a session is remembered, in seconds.
const AGE: u64 = 30 * 24 * 3600;

/// A session, and where its row is.
#[derive(Clone)]
struct Session {
    key: RowKey,
    row: UploadRow,
    way: Way,
}

/// What a client may say of the file that a session is to make.
static BEGIN: LazyLock<Option<Paths>> = LazyLock::new(|| {
    const CLEAR: [&str; 8] = [
        "$.deferCommit",
        "$['@odata.type']",
        "$.item['@microsoft.graph.conflictBehavior']",
        "$.item['@name.conflictBehavior']",
        "$.item['@odata.type']",
        "$.item.name",
        "$.item.fileSystemInfo",
        "$.item.folder",
    ];
    paths("$.item.fileSize", &CLEAR)
});

/// And of the file that is made of a session.
static COMMIT: LazyLock<Option<Paths>> = LazyLock::new(|| {
    const CLEAR: [&str; 5] = [
        "$.name",
        "$['@microsoft.graph.conflictBehavior']",
        "$['@name.conflictBehavior']",
        "$.fileSystemInfo",
        "$['@odata.type']",
    ];
    paths("$['@microsoft.graph.sourceUrl']", &CLEAR)
});

fn paths(picked: &str, clear: &[&str]) -> Option<Paths> {
    let picked = Path::parse(picked).ok()?;
    let clear: Result<Vec<Path>, String> = clear.iter().map(|text| Path::parse(text)).collect();
    Some(Paths::new([&picked], &clear.ok()?)?.guarded())
}

/// As the provider answers when it knows no such session.
fn lost() -> Refusal {
    refused(
        StatusCode::NOT_FOUND,
        "The upload session is not known, or can't be gone on with. Begin another.",
    )
}

fn refused(status: StatusCode, why: impl Into<Cow<'static, str>>) -> Refusal {
    let mut refusal = Refusal::new(&PROTOCOL).message(why);
    refusal.status = Some(status.as_u16());
    refusal
}

impl Graph {
    pub(super) async fn create_session(
        &self,
        call: &Call<'_>,
        permit: &DocumentPermit,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let document = body.collect(DOCUMENT).await?;
        let begun = match document.is_empty() {
            true => None,
            false => Some(begun(&document)?),
        };
        self.begin_session(call, permit, begun).await
    }

    /// `document`: what the provider is told of the file.
    pub(super) async fn begin_session(
        &self,
        call: &Call<'_>,
        permit: &DocumentPermit,
        document: Option<Vec<u8>>,
    ) -> Result<Response<Released>, Refusal> {
        let mut ask = Ask::from_client(call);
        let body = match document {
            None => Cleared::empty(),
            Some(document) => {
                ask = ask.header(CONTENT_TYPE, "application/json");
                Cleared::document(document, permit)
            }
        };
        let response = self.send(ask, body).await?;
        if !response.status().is_success() || !is_json(response.headers()) {
            return self.answer(call, response);
        }
        let (head, body) = response.into_parts();
        let document = body.collect(DOCUMENT).await?;
        self.adopt(call, &document).await?;
        let document = ranges::shown(&document, 0, None)?;
        let mut headers = self.head(head.status, &head.headers)?;
        put(&mut headers, CONTENT_LENGTH, &document.len().to_string());
        let mut answer = Response::new(Released::document(document));
        *answer.status_mut() = head.status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    /// Remembers the session that the provider's document names.
    pub(super) async fn adopt(&self, call: &Call<'_>, document: &[u8]) -> Result<(), Refusal> {
        let read: Value = serde_json::from_slice(document).unwrap_or_default();
        let url = read["uploadUrl"].as_str().ok_or_else(|| {
            Refusal::new(&UPSTREAM_INVALID).message("The provider names no upload session.")
        })?;
        let address = self.address(url)?;
        let key = self.url_key(address.host, address.target);
        let way = self.ranges_at(address.host);
        self.begin(call, key, address.target, way).await?;
        Ok(())
    }

    /// Remembers a session that begins. `target`: of its own address, where it has one.
    async fn begin(
        &self,
        call: &Call<'_>,
        key: RowKey,
        target: &str,
        way: Way,
    ) -> Result<Session, Refusal> {
        let row = UploadRow {
            object: self.draw(call, SaltSource::object_id)?,
            last: 0,
            target: target.to_owned(),
        };
        let expires = Some(call.unix() + AGE);
        self.vault
            .put(Table::Upload, &key, &row.encode(), expires)
            .await?;
        Ok(Session { key, row, way })
    }

    /// A session's own address. However the client wrote it, the provider is asked at the one that it gave.
    pub(super) async fn session(
        &self,
        call: &Call<'_>,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let key = self.url_key(call.host, call.target());
        let session = self.session_at(key, self.ranges_at(call.host)).await;
        let target = session.as_ref().ok().map(|found| found.row.target.clone());
        let address = target.as_deref().map(|target| Address {
            host: call.host,
            authority: call.authority,
            target,
        });
        let call = &Call {
            session: address.as_ref(),
            ..*call
        };
        match call.head.method {
            Method::PUT => self.put_fragment(call, session?, body).await,
            Method::DELETE => {
                none(body).await?;
                let response = self.ask(Ask::at(Method::DELETE, &call.address())).await?;
                if let (Ok(session), true) = (session, response.status().is_success()) {
                    self.forget(&session).await?;
                }
                self.answer(call, response)
            }
            Method::POST => {
                none(body).await?;
                let mut session = session?;
                let attempt = self.finished(call, &mut session).await?;
                let response = self.ask(Ask::at(Method::POST, &call.address())).await?;
                self.completed(call, &session, &attempt, response).await
            }
            _ => {
                none(body).await?;
                self.status(call, session?).await
            }
        }
    }

    /// Where the session stands. What the gateway still has of it is sent on.
    async fn status(
        &self,
        call: &Call<'_>,
        mut session: Session,
    ) -> Result<Response<Released>, Refusal> {
        let position = self.position(call, &mut session, true).await?;
        let told = match position.last.as_ref().filter(|last| last.is_last()) {
            Some(last) => match self.finish(call, &session, last, position.next).await? {
                Told::More(_, document) => Some(document),
                Told::Other(response) => {
                    let answer = self.completed(call, &session, last, response).await?;
                    // of what became a file the provider says the same
                    return match answer.status().is_success() {
                        true => Err(lost()),
                        false => Ok(answer),
                    };
                }
            },
            None => None,
        };
        let told = told.filter(|document| !document.is_empty());
        let document = told.or(position.told.clone()).unwrap_or_default();
        let document = ranges::shown(&document, position.plain(), position.total)?;
        Ok(self::document(document))
    }

    /// Sends what the gateway still has of a file whose plaintext it was given to the end; gives the last answer.
    async fn finish(
        &self,
        call: &Call<'_>,
        session: &Session,
        last: &Attempt,
        next: u64,
    ) -> Result<Told, Refusal> {
        let nothing = Told::More(Response::new(()), Vec::new());
        match self.send_rest(call, session, last, next, nothing).await? {
            Some(told) => Ok(told),
            None => Err(self.drop_session(call, session).await),
        }
    }

    /// The last fragment of a session to which nothing is missing.
    async fn finished(&self, call: &Call<'_>, session: &mut Session) -> Result<Attempt, Refusal> {
        let position = self.position(call, session, false).await?;
        let whole = position.next == position.last.as_ref().map_or(0, Attempt::sealed_end);
        position
            .last
            .filter(|last| last.is_last() && whole)
            .ok_or_else(|| {
                refused(
                    StatusCode::CONFLICT,
                    "Fragments of the file are missing. Ask where the session stands.",
                )
            })
    }

    /// A file is made of a session whose own name was taken.
    pub(super) async fn commit(
        &self,
        call: &Call<'_>,
        permit: &DocumentPermit,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let document = body.collect(DOCUMENT).await?;
        let source = source(&document)?;
        let unknown = |_| {
            refused(
                StatusCode::FORBIDDEN,
                "Files are made of upload sessions only.",
            )
        };
        let address = self.address(&source).map_err(unknown)?;
        let key = self.url_key(address.host, address.target);
        let way = self.ranges_at(address.host);
        let mut session =
            self.session_at(key, way)
                .await
                .map_err(|refusal| match refusal.status() {
                    404 => unknown(refusal),
                    _ => refusal,
                })?;
        let target = session.row.target.clone();
        let address = Address {
            target: &target,
            ..address
        };
        let document = sourced(&document, &address)?;
        let at = Call {
            session: Some(&address),
            ..*call
        };
        let attempt = self.finished(&at, &mut session).await?;
        let media = text(&call.head.headers, CONTENT_TYPE).unwrap_or("application/json");
        let ask = Ask::from_client(call).header(CONTENT_TYPE, media);
        let response = self.send(ask, Cleared::document(document, permit)).await?;
        self.completed(call, &session, &attempt, response).await
    }
}

/// A document that the gateway answers with.
fn document(document: Vec<u8>) -> Response<Released> {
    let length = document.len();
    let mut answer = Response::new(Released::document(document));
    let headers = answer.headers_mut();
    put(headers, CONTENT_TYPE, "application/json");
    put(headers, CONTENT_LENGTH, &length.to_string());
    answer
}

/// The client's document with the length that the file has at the provider.
pub(super) fn begun(document: &[u8]) -> Result<Vec<u8>, Refusal> {
    let paths = BEGIN.as_ref().ok_or_else(|| Refusal::new(&INTERNAL))?;
    json::rewrite::<Refusal>(document, paths, |picked| match picked.value {
        json::Value::Number(text) => {
            let length = text.parse().ok().and_then(layout::sealed_len);
            let length = length.ok_or_else(|| Refusal::new(&TOO_LARGE))?;
            Ok(Some(length.to_string()))
        }
        json::Value::Null => Ok(None),
        _ => Err(Refusal::new(&PROTOCOL).message("`fileSize` is a number.")),
    })
}

/// The address of the session that a document names.
fn source(document: &[u8]) -> Result<String, Refusal> {
    let paths = COMMIT.as_ref().ok_or_else(|| Refusal::new(&INTERNAL))?;
    let mut source = None;
    json::rewrite::<Refusal>(document, paths, |picked| {
        if let json::Value::Text(text) = picked.value {
            source = Some(text.into_owned());
        }
        Ok(None)
    })?;
    source.ok_or_else(|| {
        refused(
            StatusCode::FORBIDDEN,
            "Files are made of upload sessions only.",
        )
    })
}

/// The document with the session's address as the provider wrote it.
fn sourced(document: &[u8], address: &Address<'_>) -> Result<Vec<u8>, Refusal> {
    let paths = COMMIT.as_ref().ok_or_else(|| Refusal::new(&INTERNAL))?;
    let url = format!("https://{}{}", address.authority, address.target);
    let url = Value::from(url).to_string();
    json::rewrite::<Refusal>(document, paths, |_| Ok(Some(url.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_in_a_sessions_beginning_is_the_sealed_one() {
        let text = r#"{ "item" : {"@microsoft.graph.conflictBehavior":"replace", "fileSize": 0, "name":"a"},"deferCommit":true}"#;
        let sent = String::from_utf8(begun(text.as_bytes()).unwrap()).unwrap();
        assert_eq!(sent, text.replace("\"fileSize\": 0", "\"fileSize\": 528"));
        for wrong in [
            r#"{"item":{"fileSize":"1"}}"#,
            r#"{"item":{"FileSize":1}}"#,
            r#"{"item":{"fileSize":1.5}}"#,
            r#"{"item":{"description":"words"}}"#,
            r#"{"item":{"@microsoft.graph.sourceUrl":"https://x"}}"#,
            r#"{"words":1}"#,
        ] {
            assert!(begun(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
