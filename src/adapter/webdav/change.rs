//! DELETE, MKCOL, COPY, MOVE and UNLOCK: nothing of a file passes, so the provider does them itself.

use http::{Method, Response};

use super::upstream::{Ask, DESTINATION};
use super::{Call, WebDav, document};
use crate::body::{Plain, Released};
use crate::error::{PROTOCOL, Refusal};

impl WebDav {
    pub(super) async fn change(
        &self,
        call: &Call<'_>,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        document::none(body).await?;
        let moves = matches!(call.head.method.as_str(), "COPY" | "MOVE");
        if moves && !call.head.headers.contains_key(DESTINATION) {
            return Err(Refusal::new(&PROTOCOL).message("There is no `Destination`."));
        }
        self.precondition(call).await?;
        let mut ask = Ask::from_client(call)?;
        if !moves && call.head.method != Method::PUT {
            ask = ask.without(DESTINATION);
        }
        let response = self.ask(ask).await?;
        self.answer(call, response)
    }
}
