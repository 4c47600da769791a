//! Who reads a message. What is sealed can be read by those whose mail comes through a gateway of the state: whoever else is
//! written to would get ciphertext.

use http::{Method, Response};

use super::attachment;
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
    pub(super) fn readers(&self, call: &Call<'_>, named: &[String]) -> Result<Readers, Refusal> {
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

    /// A message of the mailbox, or what belongs to one, as the provider has it.
    async fn stored(&self, call: &Call<'_>, target: String) -> Result<Node, Refusal> {
        let ask = Ask::own(Method::GET, call).to(target);
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
        let target = format!("{}{WRITTEN}", above(call, 1));
        let draft = self.stored(call, target).await?;
        let mut named = Vec::new();
        shape::people(&shape::MAIL, &draft, &mut named);
        let named: Vec<String> = named.into_iter().map(str::to_owned).collect();
        let readers = self.readers(call, &named)?;
        let sealed = match readers {
            Readers::Inside => false,
            Readers::Outside(_) => {
                let target = format!("{}/attachments", above(call, 1));
                is_sealed(&draft) || holds_sealed(&self.stored(call, target).await?)
            }
        };
        if sealed {
            return Err(Refusal::new(&MAIL_OUTSIDE).message(
                "The draft was sealed before somebody outside was among its readers. Write it anew with its readers named first.",
            ));
        }
        let response = self.ask(Ask::from_client(call)).await?;
        self.opened_message(call, response).await
    }

    /// Who gets what is attached to a message or an event, `levels` above the path. They are looked at when it goes out;
    /// beforehand only where it might have to go in clear.
    pub(super) async fn readers_of_attached(
        &self,
        call: &Call<'_>,
        levels: usize,
    ) -> Result<Readers, Refusal> {
        if !self.policy.allows(OUTSIDE) {
            return Ok(Readers::Inside);
        }
        let item = self.stored(call, above(call, levels)).await?;
        let mut named = Vec::new();
        for member in ["toRecipients", "ccRecipients", "bccRecipients", "attendees"] {
            if let Some(people) = item.member(member) {
                addresses(people, &mut named);
            }
        }
        let named: Vec<String> = named.into_iter().map(str::to_owned).collect();
        self.readers(call, &named)
    }

    /// Answers and forwards: the readers are those of the document and, of an answer, whoever wrote the message.
    pub(super) async fn answer_message(
        &self,
        call: &Call<'_>,
        permit: &DocumentPermit,
        body: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let written = self.written(call, Document::Answer, body).await?;
        let mut named = written.people(Document::Answer);
        let action = call.head.uri.path().rsplit('/').next().unwrap_or_default();
        let forwards = action.to_ascii_lowercase().ends_with("forward");
        let came = match forwards {
            true => Node::Null,
            false => {
                let target = format!("{}{CAME}", above(call, 1));
                self.stored(call, target).await?
            }
        };
        let all = action.to_ascii_lowercase().ends_with("all");
        named.extend(answered(&came, all));
        let readers = self.readers(call, &named)?;
        self.send_written(call, Document::Answer, &readers, permit, written)
            .await
    }
}

/// Who gets the answer to a message.
fn answered(came: &Node, all: bool) -> Vec<String> {
    let mut named = Vec::new();
    let mut add = |member: &str| {
        if let Some(people) = came.member(member) {
            addresses(people, &mut named);
        }
    };
    add("replyTo");
    if all {
        add("toRecipients");
        add("ccRecipients");
    }
    add("from");
    if named.is_empty()
        && let Some(people) = came.member("sender")
    {
        addresses(people, &mut named);
    }
    named.into_iter().map(str::to_owned).collect()
}

/// The path without its last segments.
fn above(call: &Call<'_>, levels: usize) -> String {
    let mut path = call.head.uri.path().trim_end_matches('/');
    for _ in 0..levels {
        path = path.rsplit_once('/').map_or("", |(above, _)| above);
    }
    path.to_owned()
}

/// Whether some of the attachments are sealed.
fn holds_sealed(attachments: &Node) -> bool {
    let Some(Node::Array(list)) = attachments.member("value") else {
        return false;
    };
    list.iter().any(|one| {
        let bytes = one.member("contentBytes").and_then(Node::text);
        let bytes = bytes.and_then(|text| attachment::decoded(text).ok());
        bytes.is_some_and(|bytes| attachment::is_sealed(&bytes))
    })
}

fn is_sealed(draft: &Node) -> bool {
    let body = draft.member("body").and_then(|body| body.member("content"));
    [body, draft.member("subject")]
        .into_iter()
        .flatten()
        .filter_map(Node::text)
        .any(|text| scan::candidates(text.as_bytes()).next().is_some())
}
