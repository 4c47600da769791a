//! Messages within a batch: each document is sealed, and each answer opened, as if it came alone.

use super::people::Readers;
use super::table::Action;
use super::tree::Node;
use super::{Graph, Written, attachment, described, no_document, shape};
use crate::adapter::graph::Call;
use crate::error::{INTERNAL, MAIL_OUTSIDE, OPERATION_DENIED, PROTOCOL, Refusal};

impl Graph {
    /// The document that goes up in the batch, where the inner request has one.
    ///
    /// # Errors
    /// As alone. What would go in clear is sent by itself.
    pub(in crate::adapter::graph) async fn inner_message(
        &self,
        call: &Call<'_>,
        action: Action,
        body: Option<&str>,
    ) -> Result<Option<String>, Refusal> {
        let body = body.filter(|body| *body != "null");
        match action {
            Action::Read(_) | Action::File | Action::Send if body.is_some() => {
                return Err(Refusal::new(&PROTOCOL).message("This request has no body."));
            }
            Action::Read(_) | Action::File => return Ok(None),
            Action::Send => return self.check_draft(call).await.map(|()| None),
            Action::Attach | Action::Whole => {
                return Err(Refusal::new(&OPERATION_DENIED).message(
                    "Whole messages and long attachments go by themselves, not within a batch.",
                ));
            }
            Action::Write(_) | Action::Answer | Action::Respond => {}
        }
        let written = match body {
            None => Written::Nothing,
            Some(body) => {
                described(call)?;
                Written::Json(body.as_bytes().to_vec(), Node::parse(body.as_bytes())?)
            }
        };
        let readers = self.readers(call, action, &written).await?;
        if matches!(readers, Readers::Outside(_)) {
            return Err(Refusal::new(&MAIL_OUTSIDE)
                .message("What goes to readers outside goes by itself, not within a batch."));
        }
        if matches!(written, Written::Nothing) {
            return Ok(None);
        }
        let sealed = self.seal_written(call, action.document(), false, &written)?;
        let sealed = String::from_utf8(sealed);
        sealed
            .map(Some)
            .map_err(|error| Refusal::new(&INTERNAL).cause(error))
    }

    /// The body of a successful inner answer as the client is to see it.
    ///
    /// # Errors
    /// It is none, or does not open.
    pub(in crate::adapter::graph) fn inner_answer_opened(
        &self,
        action: Action,
        body: &str,
    ) -> Result<Option<String>, Refusal> {
        if matches!(action, Action::File) {
            // a body that is no JSON stands in base64 there
            let file: String = serde_json::from_str(body).map_err(|_| no_document())?;
            let file = self.opened_file(attachment::decoded(&file).map_err(|_| no_document())?)?;
            return Ok(Some(shape::quoted(&attachment::encoded(&file))));
        }
        if matches!(body, "" | "null") && !matches!(action, Action::Read(_)) {
            return Ok(None);
        }
        if !body.starts_with('{') {
            return Err(no_document());
        }
        let opened = self
            .reading()
            .document(body.as_bytes(), action.document().answer())?;
        String::from_utf8(opened)
            .map(Some)
            .map_err(|_| no_document())
    }
}
