//! OPTIONS, PROPFIND, PROPPATCH and REPORT.

use http::header::ALLOW;
use http::{HeaderName, Response};

use super::table::Report;
use super::upstream::{Ask, put, text};
use super::{Call, WebDav, document, table};
use crate::body::{Cleared, Plain, Released};
use crate::error::{OPERATION_DENIED, Refusal};
use crate::policy::RelayPermit;

const DAV: HeaderName = HeaderName::from_static("dav");
/// Compliance classes that clients are told of; others promise methods that are refused.
const CLASSES: [&str; 3] = ["1", "2", "3"];

impl WebDav {
    pub(super) async fn options(
        &self,
        call: &Call<'_>,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        document::none(body).await?;
        let response = self.ask(Ask::from_client(call)?).await?;
        let allow = kept(text(response.headers(), ALLOW), table::allowed);
        let mut classes: Vec<&str> = response
            .headers()
            .get_all(DAV)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|class| CLASSES.contains(class))
            .collect();
        classes.dedup();
        let classes = classes.join(", ");
        let mut answer = self.answer(call, response)?;
        if let Some(allow) = allow {
            put(answer.headers_mut(), ALLOW, &allow);
        }
        if !classes.is_empty() {
            put(answer.headers_mut(), DAV, &classes);
        }
        Ok(answer)
    }

    /// PROPFIND and PROPPATCH; `root` is the element that their document has.
    pub(super) async fn describe(
        &self,
        call: &Call<'_>,
        permit: &RelayPermit,
        root: &str,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let document = document::read(body, root).await?;
        self.ask_about(call, permit, document).await
    }

    /// REPORT: what is a listing is rewritten as one (RFC 6578).
    pub(super) async fn report(
        &self,
        call: &Call<'_>,
        permit: &RelayPermit,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        match document::report(body).await? {
            (Report::Listing, document) => self.ask_about(call, permit, document).await,
            (Report::Refused(why), _) => Err(Refusal::new(&OPERATION_DENIED).message(why)),
        }
    }

    async fn ask_about(
        &self,
        call: &Call<'_>,
        permit: &RelayPermit,
        document: Vec<u8>,
    ) -> Result<Response<Released>, Refusal> {
        let ask = Ask::from_client(call)?.xml(&document);
        let body = Cleared::relayed(Plain::whole(document), permit);
        let response = self.send(ask, body).await?;
        self.answer(call, response)
    }
}

fn kept(list: Option<&str>, known: fn(&str) -> bool) -> Option<String> {
    let kept: Vec<&str> = list?
        .split(',')
        .map(str::trim)
        .filter(|item| known(item))
        .collect();
    (!kept.is_empty()).then(|| kept.join(", "))
}
