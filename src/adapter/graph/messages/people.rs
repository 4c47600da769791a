//! Who reads a message. What is sealed can be read by those whose mail comes through a gateway of the state: whoever else is
//! written to would get ciphertext.

use http::Method;

use super::attachment;
use super::shape::{self, addresses};
use super::table::Action;
use super::tree::Node;
use super::{Graph, OUTSIDE, READ, Written};
use crate::adapter::graph::Call;
use crate::adapter::graph::upstream::Ask;
use crate::error::{MAIL_OUTSIDE, Refusal, UPSTREAM_INVALID};
use crate::policy::{Class, RelayPermit, Verdict};
use crate::seal::scan;

/// Of a draft, and of a message that is answered.
const WRITTEN: &str = "?$select=toRecipients,ccRecipients,bccRecipients,subject,body";
const INVITED: &str = "?$select=organizer,attendees";
const CAME: &str = "?$select=from,sender,replyTo,toRecipients,ccRecipients";

/// Who gets what is written.
pub(super) enum Readers {
    Inside,
    /// Others too: it goes as it is.
    Outside(RelayPermit),
}

impl Graph {
    /// Whether all readers of what is written are inside. Somebody who is not gets it in clear, if the policy permits it
    /// and the client itself names somebody outside: the provider's word does not turn sealing off.
    ///
    /// # Errors
    /// It does not.
    pub(super) async fn readers(
        &self,
        call: &Call<'_>,
        action: Action,
        written: &Written,
    ) -> Result<Readers, Refusal> {
        let named = written.people(action.document())?;
        let name = unqualified(call);
        let forwards = name.ends_with("forward");
        let came = match action {
            Action::Answer if !forwards => Some(
                self.stored(call, format!("{}{CAME}", above(call, 1)))
                    .await?,
            ),
            Action::Respond if !forwards && says(written) => Some(
                self.stored(call, format!("{}{INVITED}", above(call, 1)))
                    .await?,
            ),
            _ => None,
        };
        let mut told = Vec::new();
        match (&came, action) {
            (Some(came), Action::Answer) => answered(came, name.ends_with("all"), &mut told)?,
            (Some(event), _) => {
                let member = if name == "cancel" {
                    "attendees"
                } else {
                    "organizer"
                };
                if let Some(people) = event.member(member) {
                    addresses(people, &mut told)?;
                }
            }
            (None, _) => {}
        }
        match self.outside(&named) {
            Some(domain) => self.permitted(call, domain).map(Readers::Outside),
            None => match self.outside(&told) {
                Some(domain) => Err(unreadable(domain)),
                None => Ok(Readers::Inside),
            },
        }
    }

    /// The domain of one who is outside.
    fn outside<'n>(&self, people: &'n [impl AsRef<str>]) -> Option<&'n str> {
        let mut addresses = people.iter().map(AsRef::as_ref);
        let address = addresses.find(|address| !self.is_inside(address))?;
        Some(address.rsplit_once('@').map_or("?", |(_, domain)| domain))
    }

    fn permitted(&self, call: &Call<'_>, domain: &str) -> Result<RelayPermit, Refusal> {
        let Verdict::Relay(permit) = self.policy.decide(Class::ByPolicy(OUTSIDE)) else {
            return Err(unreadable(domain));
        };
        tracing::warn!(
            id = %call.exchange.request_id,
            service = %self.settings.name,
            code = MAIL_OUTSIDE.name,
            domain,
            "a message to readers outside goes in clear"
        );
        Ok(permit)
    }

    fn is_inside(&self, address: &str) -> bool {
        let Some((local, domain)) = address.rsplit_once('@') else {
            return false;
        };
        // a list of addresses, or a route, has its last domain for show
        let several = |c: char| c.is_whitespace() || c.is_control() || "@,;:<>()[]\"\\".contains(c);
        if local.is_empty() || local.contains(several) {
            return false;
        }
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

    /// Before a draft goes out: whether all its readers can read it.
    ///
    /// # Errors
    /// They can't.
    pub(super) async fn check_draft(&self, call: &Call<'_>) -> Result<(), Refusal> {
        let draft = self
            .stored(call, format!("{}{WRITTEN}", above(call, 1)))
            .await?;
        let mut named = Vec::new();
        shape::people(&shape::MAIL, &draft, &mut named)?;
        let Some(domain) = self.outside(&named) else {
            return Ok(());
        };
        self.permitted(call, domain)?;
        let attached = format!("{}/attachments", above(call, 1));
        match is_sealed(&draft) || holds_sealed(&self.stored(call, attached).await?) {
            false => Ok(()),
            true => Err(Refusal::new(&MAIL_OUTSIDE).message(
                "The draft was sealed before somebody outside was among its readers. Write it anew with its readers named first.",
            )),
        }
    }

    /// What is attached by itself, to a message or an event `levels` above the path, is sealed: who gets it, the provider alone could say.
    ///
    /// # Errors
    /// Somebody outside could not read it, though the policy lets messages go to such.
    pub(super) async fn check_attached(
        &self,
        call: &Call<'_>,
        levels: usize,
    ) -> Result<(), Refusal> {
        if !self.policy.allows(OUTSIDE) {
            // looked at when it goes out
            return Ok(());
        }
        let item = self.stored(call, above(call, levels)).await?;
        let mut named = Vec::new();
        for member in ["toRecipients", "ccRecipients", "bccRecipients", "attendees"] {
            if let Some(people) = item.member(member) {
                addresses(people, &mut named)?;
            }
        }
        match self.outside(&named) {
            None => Ok(()),
            Some(_) => Err(Refusal::new(&MAIL_OUTSIDE).message(
                "What is attached by itself is sealed, and somebody among the readers is outside: send it in one request with its readers, or share the file from a drive.",
            )),
        }
    }
}

fn unreadable(domain: &str) -> Refusal {
    Refusal::new(&MAIL_OUTSIDE).message(format!(
        "Somebody at `{domain}` would get ciphertext, which can't be read there."
    ))
}

/// The action's name, in lower case.
fn unqualified(call: &Call<'_>) -> String {
    let path = call.head.uri.path();
    let name = path.rsplit(['/', '.']).next().unwrap_or_default();
    name.to_ascii_lowercase()
}

/// Whether a response has words.
fn says(response: &Written) -> bool {
    let Written::Json(_, response) = response else {
        return false;
    };
    let comment = |name| response.member(name)?.text();
    ["comment", "Comment"]
        .into_iter()
        .filter_map(comment)
        .any(|words| !words.is_empty())
}

/// Who gets the answer to a message.
fn answered<'n>(came: &'n Node, all: bool, told: &mut Vec<&'n str>) -> Result<(), Refusal> {
    let mut add = |member: &str| match came.member(member) {
        Some(people) => addresses(people, told),
        None => Ok(()),
    };
    add("replyTo")?;
    if all {
        add("toRecipients")?;
        add("ccRecipients")?;
    }
    add("from")?;
    match told.is_empty() {
        true => came
            .member("sender")
            .map_or(Ok(()), |people| addresses(people, told)),
        false => Ok(()),
    }
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
        bytes.is_some_and(|bytes| attachment::sealed_in(&bytes).is_some())
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
