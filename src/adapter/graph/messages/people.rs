//! Who reads a message. What is sealed can be read by those whose mail comes through a gateway of the state: whoever else is
//! written to would get ciphertext.

use http::{Method, Response};

use super::shape::{self, addresses};
use super::table::Document;
use super::tree::Node;
use super::{Graph, OUTSIDE, READ};
use crate::adapter::graph::upstream::Ask;
use crate::adapter::graph::{Call, none};
use crate::body::{Plain, Released};
use crate::error::{MAIL_OUTSIDE, Refusal, UPSTREAM_INVALID};
use crate::policy::{Class, DocumentPermit, RelayPermit, Verdict};
use crate::seal::scan;

/// Of a draft, and of a message that is answered.
const WRITTEN: &str = "?$select=toRecipients,ccRecipients,bccRecipients,subject,body";
const CAME: &str = "?$select=from,sender,replyTo,toRecipients,ccRecipients";

/// Who gets what is written.
pub(super) enum Readers {
    Inside,
    /// Others too: it goes as it is.
    Outside(RelayPermit),
}

impl Graph {
    /// Whether all readers are inside. Somebody who is not gets the message in clear, if the policy permits it.
    ///
    /// # Errors
    /// It does not.
    pub(super) fn readers(&self, call: &Call<'_>, named: &[&str]) -> Result<Readers, Refusal> {
        let Some(address) = named.iter().find(|address| !self.is_inside(address)) else {
            return Ok(Readers::Inside);
        };
        let domain = address.rsplit_once('@').map_or("?", |(_, domain)| domain);
        let Verdict::Relay(permit) = self.policy.decide(Class::ByPolicy(OUTSIDE)) else {
            return Err(Refusal::new(&MAIL_OUTSIDE).message(format!(
                "Somebody at `{domain}` would get ciphertext, which can't be read there."
            )));
        };
        tracing::warn!(
            id = %call.exchange.request_id,
            service = %self.settings.name,
            code = MAIL_OUTSIDE.name,
            domain,
            readers = named.len(),
            "a message to readers outside goes in clear"
        );
        Ok(Readers::Outside(permit))
    }

    fn is_inside(&self, address: &str) -> bool {
        let Some((_, domain)) = address.rsplit_once('@') else {
            return false;
        };
        let domain = domain.trim().to_ascii_lowercase();
        self.settings.domains.iter().any(|inside| {
            domain == *inside
                || domain
                    .strip_suffix(inside.as_str())
                    .is_some_and(|rest| rest.ends_with('.'))
        })
    }

    /// A message of the mailbox, as the provider has it.
    async fn stored(&self, call: &Call<'_>, query: &str) -> Result<Node, Refusal> {
        let path = call.head.uri.path();
        let message = path.rsplit_once('/').map_or(path, |(message, _)| message);
        let ask = Ask::own(Method::GET, call).to(format!("{message}{query}"));
        let response = self.ask(ask).await?;
        if !response.status().is_success() {
            return Err(Refusal::new(&UPSTREAM_INVALID).message(
                "The provider does not show the message whose readers are to be looked at.",
            ));
        }
        let document = response.into_body().collect(READ).await?;
        Node::parse(&document).map_err(|_| Refusal::new(&UPSTREAM_INVALID))
    }

    /// Sends a draft, if all its readers can read it.
    pub(super) async fn send_draft(
        &self,
        call: &Call<'_>,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        none(body).await?;
        let draft = self.stored(call, WRITTEN).await?;
        let mut named = Vec::new();
        shape::people(&shape::MAIL, &draft, &mut named);
        let readers = self.readers(call, &named)?;
        if matches!(readers, Readers::Outside(_)) && is_sealed(&draft) {
            return Err(Refusal::new(&MAIL_OUTSIDE).message(
                "The draft was sealed before somebody outside was among its readers. Write it anew with its readers named first.",
            ));
        }
        let response = self.ask(Ask::from_client(call)).await?;
        self.opened_message(call, response).await
    }

    /// Answers and forwards: the readers are those of the document and, of an answer, whoever wrote the message.
    pub(super) async fn answer_message(
        &self,
        call: &Call<'_>,
        permit: &DocumentPermit,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let written = self.written(call, body).await?;
        let mut named = Vec::new();
        if let Some((_, node)) = &written {
            shape::people(&shape::ANSWER, node, &mut named);
        }
        let action = call.head.uri.path().rsplit('/').next().unwrap_or_default();
        let forwards = action.to_ascii_lowercase().ends_with("forward");
        let came = match forwards {
            true => Node::Null,
            false => self.stored(call, CAME).await?,
        };
        let all = action.to_ascii_lowercase().ends_with("all");
        answered(&came, all, &mut named);
        let readers = self.readers(call, &named)?;
        self.send_written(call, Document::Answer, &readers, permit, written)
            .await
    }
}

/// Who gets the answer to a message.
fn answered<'n>(came: &'n Node, all: bool, named: &mut Vec<&'n str>) {
    let before = named.len();
    let mut add = |member: &str| {
        if let Some(people) = came.member(member) {
            addresses(people, named);
        }
    };
    add("replyTo");
    if all {
        add("toRecipients");
        add("ccRecipients");
    }
    add("from");
    if named.len() == before
        && let Some(people) = came.member("sender")
    {
        addresses(people, named);
    }
}

fn is_sealed(draft: &Node) -> bool {
    let body = draft.member("body").and_then(|body| body.member("content"));
    [body, draft.member("subject")]
        .into_iter()
        .flatten()
        .filter_map(Node::text)
        .any(|text| scan::candidates(text.as_bytes()).next().is_some())
}
