//! What the handlers of a service share: its settings, keys, state and the way to the provider.

use std::collections::HashMap;
use std::sync::Arc;

use super::call::{Call, Place};
use super::etag;
use super::probe::Probes;
use super::settings::{Credential, KeyPair, Settings};
use super::sigv4::{CredentialLookup, Signer, Verifier};
use crate::adapter::pinned::{Pin, Pinned};
use crate::body::Upstream;
use crate::error::{INTERNAL, Refusal};
use crate::policy::Policy;
use crate::seal::trailer::Trailer;
use crate::seal::{Context, Epochs, KeyLookup, ObjectId, Salt, SaltSource};
use crate::secret::SecretBytes;
use crate::state::{Component, RowKey, Spool, StateError, Table, Vault};

/// Trailers of multi-run objects that are kept, in run entries.
const TRAILERS: usize = 400_000;
/// Seconds that a tag is remembered: ten years, unless there are more than the state holds.
const ALIAS_KEPT: u64 = 10 * 365 * 24 * 3600;

impl Pin for Arc<Trailer> {
    fn commitment(&self) -> &[u8; 32] {
        &self.commitment
    }

    fn weight(&self) -> usize {
        self.entries.len() + 4
    }
}

/// What the handlers of one service share.
pub(super) struct Core {
    pub(super) settings: Settings,
    pub(super) policy: Policy,
    pub(super) verifier: Verifier,
    pub(super) clients: Clients,
    /// The service's own credential at the provider.
    pub(super) signer: Arc<Signer>,
    pub(super) epochs: Arc<dyn Epochs>,
    pub(super) lookup: Arc<dyn KeyLookup>,
    pub(super) context: Arc<Context>,
    pub(super) vault: Vault,
    pub(super) upstream: Arc<dyn Upstream>,
    pub(super) salts: SaltSource,
    pub(super) spool: Spool,
    pub(super) trailers: Pinned<Place, Arc<Trailer>>,
    pub(super) probes: Probes,
}

/// The credentials that clients sign with, and the signer behind each.
pub(super) struct Clients(pub(super) HashMap<String, (SecretBytes, Arc<Signer>)>);

impl CredentialLookup for Clients {
    fn secret(&self, access_key: &str) -> Option<&SecretBytes> {
        self.0.get(access_key).map(|(secret, _)| secret)
    }
}

impl Core {
    pub(super) fn new(
        mut settings: Settings,
        policy: Policy,
        epochs: Arc<dyn Epochs>,
        vault: Vault,
        spool: Spool,
        upstream: Arc<dyn Upstream>,
        salts: SaltSource,
    ) -> Self {
        let region = settings.upstream.region.clone();
        let signer = |pair: KeyPair| {
            Arc::new(Signer::new(
                pair.access_key,
                pair.secret_key,
                region.clone(),
            ))
        };
        let own = signer(std::mem::take(&mut settings.upstream.credential));
        let clients = std::mem::take(&mut settings.credentials)
            .into_iter()
            .map(|Credential { client, upstream }| {
                let signer = upstream.map_or_else(|| own.clone(), signer);
                (client.access_key, (client.secret_key, signer))
            })
            .collect();
        Self {
            policy,
            verifier: Verifier::new(settings.regions.clone()),
            clients: Clients(clients),
            signer: own,
            lookup: epochs.clone(),
            epochs,
            context: Arc::new(settings.context.clone()),
            settings,
            vault,
            upstream,
            salts,
            spool,
            trailers: Pinned::new(TRAILERS),
            probes: Probes::default(),
        }
    }

    pub(super) fn salt(&self, call: &Call) -> Result<Salt, Refusal> {
        self.salts
            .salt(call.nanos(), call.verified.chain.seed.as_bytes())
            .map_err(|error| Refusal::new(&INTERNAL).cause(error))
    }

    pub(super) fn object_id(&self, call: &Call) -> Result<ObjectId, Refusal> {
        self.salts
            .object_id(call.nanos(), call.verified.chain.seed.as_bytes())
            .map_err(|error| Refusal::new(&INTERNAL).cause(error))
    }

    /// The tag that the client is shown. Only tags that can have an alias cost a look into the state.
    pub(super) async fn client_etag(&self, upstream: &str) -> Result<String, Refusal> {
        if etag::is_md5(upstream) && !self.settings.etag_md5 {
            return Ok(etag::to_client(upstream));
        }
        let key = self.alias_key(upstream);
        let alias = self.vault.get(Table::Alias, &key).await?;
        Ok(alias
            .and_then(|alias| String::from_utf8(alias).ok())
            .unwrap_or_else(|| etag::to_client(upstream)))
    }

    /// Many tags at once, for a listing.
    pub(super) async fn client_etags(&self, upstream: &[String]) -> Result<Vec<String>, Refusal> {
        let asked: Vec<&String> = upstream
            .iter()
            .filter(|tag| !etag::is_md5(tag) || self.settings.etag_md5)
            .collect();
        let keys = asked.iter().map(|tag| self.alias_key(tag)).collect();
        let found = self.vault.get_many(Table::Alias, keys).await?;
        let aliases: HashMap<&String, String> = asked
            .into_iter()
            .zip(found)
            .filter_map(|(tag, alias)| Some((tag, String::from_utf8(alias?).ok()?)))
            .collect();
        Ok(upstream
            .iter()
            .map(|tag| match aliases.get(tag) {
                Some(alias) => alias.clone(),
                None => etag::to_client(tag),
            })
            .collect())
    }

    /// Remembers the tag that clients are shown for the provider's.
    pub(super) async fn keep_alias(
        &self,
        call: &Call,
        upstream: &str,
        client: &str,
    ) -> Result<(), StateError> {
        let key = self.alias_key(upstream);
        let expires = Some(call.unix() + ALIAS_KEPT);
        self.vault
            .put(Table::Alias, &key, client.as_bytes(), expires)
            .await
    }

    pub(super) fn alias_key(&self, upstream: &str) -> RowKey {
        self.vault
            .key(Table::Alias, &[Component::Name(upstream.as_bytes())])
    }
}
