//! Names too long to be sealed in place. The provider has a digest instead, the same wherever the name stands, so that it
//! moves and copies without the gateway. The name is kept twice: in the state, and sealed in a small file beside the entry, which
//! moves with the directory and serves when the state was lost or another gateway wrote.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use http::{Method, StatusCode};
use http_body_util::BodyExt;

use super::digest::Verified;
use super::naming::Naming;
use super::table::Verb;
use super::upstream::{Ask, DESTINATION, Way, text};
use super::{Call, WebDav};
use crate::adapter::opening::Opener;
use crate::adapter::range;
use crate::body::{Cleared, Plain, Sealed};
use crate::error::{
    OBJECT_SUBSTITUTED, OBJECT_UNSEALED, PROVIDER_ERROR, Refusal, UPSTREAM_INVALID,
};
use crate::seal::layout::HEADER;
use crate::seal::name::{self, LONGEST_KEPT};
use crate::state::{Component, RowKey, StateError, Table, Vault};

/// Names by their digests' text.
pub(super) type Known = HashMap<String, String>;

/// The names of one service.
pub(super) struct LongNames {
    naming: Arc<Naming>,
    vault: Arc<Vault>,
    way: Way,
    opener: Opener,
}

impl LongNames {
    pub fn new(naming: Arc<Naming>, vault: Arc<Vault>, way: Way, opener: Opener) -> Self {
        Self {
            naming,
            vault,
            way,
            opener,
        }
    }

    fn key(&self, digest: &str) -> RowKey {
        self.vault
            .key(Table::Name, &[Component::Name(digest.as_bytes())])
    }

    /// Keeps names, for good: durable when it returns.
    ///
    /// # Errors
    /// The state can't be written.
    pub async fn keep(&self, names: &Known) -> Result<(), Refusal> {
        let kept = self.find(names.keys().cloned().collect()).await?;
        for (digest, name) in names
            .iter()
            .filter(|(digest, _)| !kept.contains_key(*digest))
        {
            let key = self.key(digest);
            self.vault
                .put(Table::Name, &key, name.as_bytes(), None)
                .await?;
        }
        Ok(())
    }

    /// The names that the state keeps, each one checked against its digest.
    pub async fn find(&self, digests: Vec<String>) -> Result<Known, StateError> {
        if digests.is_empty() {
            return Ok(Known::new());
        }
        let keys = digests.iter().map(|digest| self.key(digest)).collect();
        let found = self.vault.get_many(Table::Name, keys).await?;
        let mut known = Known::with_capacity(digests.len());
        for (digest, row) in digests.into_iter().zip(found) {
            let Some(row) = row else { continue };
            let name = String::from_utf8(row).map_err(|_| StateError::Damaged)?;
            if !self.naming.stands_for(&digest, &name) {
                return Err(StateError::Damaged);
            }
            known.insert(digest, name);
        }
        Ok(known)
    }

    /// The name that the file beside an entry keeps; `ask`: who asks for it. `None`: there is no such file.
    ///
    /// # Errors
    /// The provider does not give it, or it is not this digest's.
    pub async fn read(
        &self,
        ask: Ask,
        above: &str,
        digest: &str,
    ) -> Result<Option<String>, Refusal> {
        let Some(file) = name::name_file(digest) else {
            return Ok(None);
        };
        let ask = ask.at(format!("{above}{file}"));
        let response = self.way.send(ask, Cleared::empty()).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN => return Ok(None),
            _ => return Err(Refusal::new(&PROVIDER_ERROR)),
        }
        let (head, body) = response.into_parts();
        let sealed = range::total(&head.headers).ok_or_else(|| Refusal::new(&UPSTREAM_INVALID))?;
        let (front, body) = body
            .peek(HEADER)
            .await
            .map_err(|fault| Refusal::new(fault.code).message(fault.detail))?;
        let file = self.opener.file(&front, sealed)?;
        let file = file.ok_or_else(|| Refusal::new(&OBJECT_UNSEALED))?;
        let substituted = || Refusal::new(&OBJECT_SUBSTITUTED);
        if file.length > LONGEST_KEPT as u64 {
            return Err(substituted());
        }
        let nothing_more =
            |_: Range<u64>| async { Err::<Sealed, _>(Refusal::new(&UPSTREAM_INVALID)) };
        let opened = self.opener.whole(&file, body, nothing_more).await?;
        let opened = opened
            .collect()
            .await
            .map_err(|fault| Refusal::new(fault.code).message(fault.detail))?;
        let name = String::from_utf8(opened.to_bytes().to_vec()).map_err(|_| substituted())?;
        if !self.naming.stands_for(digest, &name) {
            return Err(substituted());
        }
        Ok(Some(name))
    }
}

impl WebDav {
    /// Sees to the long names of a request that went well: before the client is told, they are kept.
    ///
    /// # Errors
    /// The state can't be written.
    pub(super) async fn note_names(&self, call: &Call<'_>, verb: Verb) -> Result<(), Refusal> {
        let Some(names) = &self.long else {
            return Ok(());
        };
        let known = call.links.long();
        if known.is_empty() {
            return Ok(());
        }
        if verb.names() {
            names.keep(known).await?;
        }
        let target = match verb {
            Verb::Put | Verb::Mkcol | Verb::Lock => Some(call.path.to_owned()),
            Verb::Copy | Verb::Move => {
                let url = text(&call.head.headers, DESTINATION).unwrap_or_default();
                Some(call.links.path(call.links.own_path(url)?)?)
            }
            _ => None,
        };
        if let Some(file) = target.as_deref().and_then(beside)
            && let Some(name) = known.get(file.digest)
        {
            let bytes = name.as_bytes().to_vec();
            let length = Some(bytes.len() as u64);
            let sealed = self.sealed(call, Plain::whole(bytes), length, Verified::default())?;
            let ask = Ask::own(Method::PUT, call)
                .at(file.path.clone())
                .header(http::header::CONTENT_TYPE, "application/octet-stream");
            self.tend(ask, sealed).await;
        }
        let left = matches!(verb, Verb::Delete | Verb::Move)
            .then(|| beside(call.path))
            .flatten();
        if let Some(file) = left.filter(|file| known.contains_key(file.digest)) {
            let ask = Ask::own(Method::DELETE, call).at(file.path);
            self.tend(ask, Cleared::empty()).await;
        }
        Ok(())
    }

    /// The state has the name: that the file beside can't be written or removed fails no request.
    async fn tend(&self, ask: Ask, body: Cleared<crate::body::Outbound>) {
        let failed = match self.send(ask, body).await {
            Ok(response) if response.status().is_success() => return,
            Ok(response) if response.status() == StatusCode::NOT_FOUND => return,
            Ok(response) => response.status().to_string(),
            Err(refusal) => refusal.to_string(),
        };
        tracing::warn!(
            service = %self.settings.name,
            failed,
            "the file that keeps a long name can't be written or removed; the state alone has the name"
        );
    }
}

/// The file that keeps an entry's name.
struct Beside<'p> {
    path: String,
    digest: &'p str,
}

/// `path`: the entry's, at the provider. `None`: its name is not a digest.
fn beside(path: &str) -> Option<Beside<'_>> {
    let trimmed = path.trim_end_matches('/');
    let (above, digest) = trimmed.rsplit_once('/')?;
    let file = name::name_file(digest)?;
    Some(Beside {
        path: format!("{above}/{file}"),
        digest,
    })
}
