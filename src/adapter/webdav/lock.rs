//! LOCK. A lock on a name that has no file yet makes one, empty: it is sealed at once, so that no file lies there
//! unsealed.

use http::{Method, Response, StatusCode};

use super::digest::Verified;
use super::upstream::{Ask, IF, text};
use super::{Call, WebDav, document};
use crate::body::{Cleared, Plain, Released};
use crate::error::Refusal;
use crate::policy::RelayPermit;

const LOCK_TOKEN: http::HeaderName = http::HeaderName::from_static("lock-token");

impl WebDav {
    pub(super) async fn lock(
        &self,
        call: &Call<'_>,
        permit: &RelayPermit,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let document = document::read(body, "lockinfo").await?;
        self.precondition(call).await?;
        // some say 200 where a lock makes a file; one without a document refreshes a lock that is there
        let new = !document.is_empty() && self.is_absent(call).await?;
        let ask = Ask::from_client(call)?.xml(&document);
        let body = Cleared::relayed(Plain::whole(document), permit);
        let response = self.send(ask, body).await?;
        if new
            && response.status().is_success()
            && let Some(token) = text(response.headers(), LOCK_TOKEN)
        {
            self.fill(call, token).await;
        }
        self.answer(call, response)
    }

    async fn is_absent(&self, call: &Call<'_>) -> Result<bool, Refusal> {
        let response = self.ask(Ask::own(Method::HEAD, call)).await?;
        Ok(response.status() == StatusCode::NOT_FOUND)
    }

    /// Replaces the empty file that a lock made by a sealed empty one.
    async fn fill(&self, call: &Call<'_>, token: &str) {
        let ask = Ask::own(Method::PUT, call)
            .header(http::header::CONTENT_TYPE, "application/octet-stream")
            .header(IF, &format!("({token})"));
        let sent = match self.sealed(call, Plain::empty(), Some(0), Verified::default()) {
            Ok(sealed) => self.send(ask, sealed).await,
            Err(refusal) => Err(refusal),
        };
        let failed = match sent {
            Ok(response) if response.status().is_success() => return,
            Ok(response) => response.status().to_string(),
            Err(refusal) => refusal.to_string(),
        };
        tracing::warn!(
            failed,
            "the file that a lock made can't be sealed; reading it is refused until it is written"
        );
    }
}
