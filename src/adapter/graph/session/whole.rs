//! A file that the client sends in one request and that is too long for one once it is sealed: the gateway sends it in an
//! upload session of its own. It is one run, each byte leaves once, and nothing of it is gone on with after a failure.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{Method, Response, StatusCode};
use serde_json::Value;

use super::rest::{Told, told};
use crate::adapter::graph::filler::Spawn;
use crate::adapter::graph::upstream::{Ask, Wire, is_json};
use crate::adapter::graph::{Call, DOCUMENT, Graph};
use crate::body::{Cleared, Portions, SealBody, Sealed};
use crate::error::{INTERNAL, PROTOCOL, Refusal, UPSTREAM_INVALID};
use crate::policy::DocumentPermit;

impl Graph {
    /// `whole`: bytes of the sealed body. Gives the answer that the file was made with, or why it was not.
    ///
    /// # Errors
    /// What the provider answers says nothing about the client's request.
    pub(in crate::adapter::graph) async fn put_long(
        &self,
        call: &Call<'_>,
        permit: &DocumentPermit,
        body: SealBody,
        whole: u64,
    ) -> Result<Response<Sealed>, Refusal> {
        let mut own = match self.begin_own(call, permit).await? {
            Begun::Session(own) => own,
            Begun::Refused(response) => return Ok(response),
        };
        let url = own.url.clone();
        let address = self.address(&url)?;
        let way = self.ranges_at(address.host);
        let session = Call {
            session: Some(&address),
            ..*call
        };
        let portions = Portions::new(body);
        let mut at = 0;
        loop {
            let end = whole.min(at + way.limit());
            let portion = portions.next(end - at).ok_or_else(|| {
                wrong("The provider answered before it had read what was sent to it.")
            })?;
            let ask = way.piece(&session, &(at..end), Some(whole))?;
            let response = self.send(ask, Cleared::portion(portion)).await?;
            if end == whole {
                own.made = matches!(response.status(), StatusCode::OK | StatusCode::CREATED);
                return if own.made {
                    Ok(response)
                } else {
                    failed(response)
                };
            }
            match told(&way, response, end).await? {
                Some(Told::More(..)) => at = end,
                Some(Told::Other(response)) => return failed(response),
                None => return Err(wrong("The provider has not what was sent to it.")),
            }
        }
    }

    async fn begin_own(&self, call: &Call<'_>, permit: &DocumentPermit) -> Result<Begun, Refusal> {
        let (target, behaviour) = beginning(call.target())?;
        let ask = Ask::from_client(call).by(Method::POST).to(target);
        let ask = ask.header(CONTENT_TYPE, "application/json");
        let document =
            format!("{{\"item\":{{\"@microsoft.graph.conflictBehavior\":\"{behaviour}\"}}}}");
        let response = self.send(ask, Cleared::document(document, permit)).await?;
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            return Ok(Begun::Refused(response));
        }
        if !status.is_success() || !is_json(response.headers()) {
            return Err(wrong("The provider names no upload session."));
        }
        let document = response.into_body().collect(DOCUMENT).await?;
        let read: Value = serde_json::from_slice(&document).unwrap_or_default();
        let url = read["uploadUrl"].as_str();
        let url = url.ok_or_else(|| wrong("The provider names no upload session."))?;
        self.address(url)?;
        Ok(Begun::Session(Own {
            url: url.to_owned(),
            made: false,
            wire: self.wire.clone(),
            spawn: self.spawn.clone(),
        }))
    }
}

enum Begun {
    Session(Own),
    /// The provider's answer to who asks for one.
    Refused(Response<Sealed>),
}

/// A session of the gateway's own. One that did not become a file is cancelled, whatever ended it.
struct Own {
    url: String,
    made: bool,
    wire: Arc<Wire>,
    spawn: Spawn,
}

impl Drop for Own {
    fn drop(&mut self) {
        if self.made {
            return;
        }
        let (wire, url) = (self.wire.clone(), std::mem::take(&mut self.url));
        (self.spawn)(Box::pin(async move {
            if let Ok(address) = wire.address(&url) {
                // the provider forgets it by itself in time
                let _ = wire.ask(Ask::at(Method::DELETE, &address)).await;
            }
        }));
    }
}

fn wrong(why: &'static str) -> Refusal {
    Refusal::new(&UPSTREAM_INVALID).message(why)
}

/// What the provider says of the file is for the client. What it says of the session, of which the client knows nothing, is
/// not.
fn failed(response: Response<Sealed>) -> Result<Response<Sealed>, Refusal> {
    let status = response.status();
    let told = matches!(
        status,
        StatusCode::CONFLICT
            | StatusCode::PRECONDITION_FAILED
            | StatusCode::LOCKED
            | StatusCode::TOO_MANY_REQUESTS
    );
    match told || status.is_server_error() {
        true => Ok(response),
        false => Err(wrong("The provider does not take the file in a session.")
            .cause(format!("it answered {status}"))),
    }
}

/// Where the session of a PUT to `.../content` begins, and what is to become of a file that has its name: what its query
/// says, else the new one replaces it (Microsoft Graph, "driveItem resource type", instance attributes).
fn beginning(target: &str) -> Result<(String, &'static str), Refusal> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let item = path.trim_end_matches('/').rsplit_once('/');
    let (item, _) = item.ok_or_else(|| Refusal::new(&INTERNAL))?;
    let decoded = |text: &str| {
        let bytes = percent_encoding::percent_decode_str(text);
        bytes.decode_utf8_lossy().to_ascii_lowercase()
    };
    let mut behaviour = None;
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !matches!(
            decoded(name).as_str(),
            "@microsoft.graph.conflictbehavior" | "@name.conflictbehavior"
        ) {
            continue;
        }
        let said = match decoded(value).as_str() {
            "fail" => Some("fail"),
            "replace" => Some("replace"),
            "rename" => Some("rename"),
            _ => None,
        };
        if said.is_none() || behaviour.is_some() {
            return Err(Refusal::new(&PROTOCOL).message(
                "What is to become of a file that has the name can't be read in one way only.",
            ));
        }
        behaviour = said;
    }
    let target = format!("{item}/createUploadSession");
    Ok((target, behaviour.unwrap_or("replace")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_begins_where_the_file_would_have_gone() {
        for (target, begins, behaviour) in [
            (
                "/v1.0/me/drive/root:/a.bin:/content",
                "/v1.0/me/drive/root:/a.bin:/",
                "replace",
            ),
            (
                "/v1.0/drives/b!d/items/01A/content?select=id",
                "/v1.0/drives/b!d/items/01A/",
                "replace",
            ),
            (
                "/v1.0/me/drive/items/root%3A%2Fa%20b%3A/content/?%40microsoft.graph.conflictBehavior=Fail",
                "/v1.0/me/drive/items/root%3A%2Fa%20b%3A/",
                "fail",
            ),
            (
                "/x/_api/v2.0/drive/root:/a:/content?@name.conflictBehavior=rename&select=id",
                "/x/_api/v2.0/drive/root:/a:/",
                "rename",
            ),
        ] {
            let begins = format!("{begins}createUploadSession");
            assert_eq!(beginning(target).unwrap(), (begins, behaviour), "{target}");
        }
        for query in ["other", "fail&@name.conflictBehavior=fail", ""] {
            let target = format!("/v1.0/i/content?@microsoft.graph.conflictBehavior={query}");
            assert!(beginning(&target).is_err(), "{query}");
        }
    }
}
