//! Requests to the provider.

use http::header::AUTHORIZATION;
use http::{HeaderName, Method, Response, StatusCode};

use super::entries::{Reader, Row};
use super::{Entry, Estate, Left, decoded, is_gone};
use crate::adapter::webdav::links::Links;
use crate::adapter::webdav::markup::Malformed;
use crate::adapter::webdav::upstream::{Ask, DESTINATION};
use crate::body::{Cleared, Outbound, Sealed};
use crate::error::{INTERNAL, PROVIDER_ERROR, Refusal, UPSTREAM_INVALID};
use crate::policy::{Class, Policy, Verdict};

const DEPTH: HeaderName = HeaderName::from_static("depth");
const OVERWRITE: HeaderName = HeaderName::from_static("overwrite");
const PROPFIND: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><D:propfind xmlns:D=\"DAV:\"><D:prop>\
<D:resourcetype/><D:getcontentlength/></D:prop></D:propfind>";
/// Longest answer that is read only so that its connection can be used again.
const DRAINED: usize = 64 * 1024;

impl Estate {
    pub(super) async fn rows(&self, path: &str, depth: &str) -> Result<Vec<Row>, Refusal> {
        let Verdict::Protect(permit) = Policy::default().decide(Class::Transform) else {
            return Err(Refusal::new(&INTERNAL));
        };
        let ask = self.bare("PROPFIND", path.to_owned())?.header(DEPTH, depth);
        let document = Cleared::document(PROPFIND, &permit);
        let response = self.send(ask.xml(PROPFIND.as_bytes()), document).await?;
        if response.status() != StatusCode::MULTI_STATUS {
            return Err(refused(response));
        }
        let links = Links::new("", self.tls, &self.authority, None);
        let (mut reader, mut body) = (Reader::new(links), response.into_body());
        while let Some(piece) = body.next().await? {
            reader.push(&piece).map_err(malformed)?;
        }
        reader.finish().map_err(malformed)
    }

    /// What lies at a path. `None`: nothing.
    pub(super) async fn at(&self, path: &str) -> Result<Option<Entry>, Refusal> {
        let target = if path.is_empty() { "/" } else { path };
        match self.rows(target, "0").await {
            Ok(rows) => Ok(rows
                .into_iter()
                .next()
                .map(|row| Entry::at(path.to_owned(), row.collection, row.length))),
            Err(refusal) if is_gone(&refusal) => Ok(None),
            // Apache and others send from a collection's name to the one with a slash
            Err(refusal) if refusal.status() / 100 == 3 => {
                let rows = self.rows(&format!("{path}/"), "0").await?;
                Ok(rows.first().map(|_| Entry::at(path.to_owned(), true, None)))
            }
            Err(refusal) => Err(refusal),
        }
    }

    pub(super) fn bare(&self, method: &str, path: String) -> Result<Ask, Refusal> {
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|error| Refusal::new(&INTERNAL).cause(error))?;
        Ok(self.signed(Ask::bare(method, path)))
    }

    pub(super) fn ask(&self, method: Method, entry: &Entry) -> Ask {
        self.signed(Ask::bare(method, entry.path.clone()))
    }

    pub(super) fn signed(&self, ask: Ask) -> Ask {
        match &self.authorization {
            Some(value) => ask.secret(AUTHORIZATION, value.clone()),
            None => ask,
        }
    }

    /// A MOVE from one path to another.
    ///
    /// # Errors
    /// The provider would take another path for the destination.
    pub(super) fn moving(&self, from: &str, to: &str, overwrite: bool) -> Result<Ask, Left> {
        let manner = self.manner.get().ok_or_else(|| Refusal::new(&INTERNAL))?;
        match manner.reads(&decoded(to)) {
            true => Ok(self.moving_anyhow(from, to, overwrite)?),
            false => Err(Left::Misread),
        }
    }

    pub(super) fn moving_anyhow(
        &self,
        from: &str,
        to: &str,
        overwrite: bool,
    ) -> Result<Ask, Refusal> {
        let ask = self.bare("MOVE", from.to_owned())?;
        Ok(ask
            .header(DESTINATION, &self.url(to))
            .header(OVERWRITE, if overwrite { "T" } else { "F" }))
    }

    pub(super) fn url(&self, path: &str) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.authority)
    }

    pub(super) async fn send(
        &self,
        ask: Ask,
        body: Cleared<Outbound>,
    ) -> Result<Response<Sealed>, Refusal> {
        ask.send(self.upstream.as_ref(), &self.authority, body)
            .await
    }

    /// Asks for something whose answer's body does not matter. Gives the status and the head.
    pub(super) async fn done(
        &self,
        ask: Ask,
        body: Cleared<Outbound>,
    ) -> Result<Response<()>, Refusal> {
        let (head, body) = self.send(ask, body).await?.into_parts();
        // read to its end, so that the connection serves the next request
        let _ = body.collect(DRAINED).await;
        Ok(Response::from_parts(head, ()))
    }
}

/// The provider's answer, as an error.
pub(super) fn refused<B>(response: Response<B>) -> Refusal {
    let status = response.status();
    let mut refusal = Refusal::new(&PROVIDER_ERROR).message(format!(
        "The provider answered {}.",
        match status.canonical_reason() {
            Some(reason) => format!("{} ({reason})", status.as_u16()),
            None => status.as_u16().to_string(),
        }
    ));
    refusal.status = Some(status.as_u16());
    refusal
}

fn malformed(error: Malformed) -> Refusal {
    Refusal::new(&UPSTREAM_INVALID).message(format!("The provider's listing: {}.", error.0))
}
