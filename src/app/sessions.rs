//! Session secrets for the state, from the key ring: opened once, kept while they are in use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::keyring::{Keyring, Named};
use crate::seal::Context;
use crate::secret::Secret;
use crate::state::{SessionId, SessionLookup, StateError};

/// How long the present session is used before the key ring is asked again.
const RECHECK: Duration = Duration::from_secs(600);

/// The sessions of one tenant, service and namespace.
pub(super) struct Sessions {
    keyring: Arc<Keyring>,
    context: Context,
    current: Mutex<Option<(Named, Instant)>>,
    opened: Mutex<HashMap<SessionId, Arc<Secret<48>>>>,
}

impl Sessions {
    pub fn new(keyring: Arc<Keyring>, context: Context) -> Self {
        Self {
            keyring,
            context,
            current: Mutex::default(),
            opened: Mutex::default(),
        }
    }
}

impl SessionLookup for Sessions {
    fn current(&self) -> Result<Named, StateError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((named, since)) = current.as_ref()
            && since.elapsed() < RECHECK
        {
            return Ok(named.clone());
        }
        let named = self.keyring.session(&self.context).map_err(|error| {
            tracing::error!(%error, code = error.name(), "no session secret can be had");
            StateError::KeyUnavailable
        })?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.insert(named.0, named.1.clone());
        *current = Some((named.clone(), Instant::now()));
        Ok(named)
    }

    fn by_id(&self, id: &SessionId) -> Result<Arc<Secret<48>>, StateError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(secret) = opened.get(id) {
            return Ok(secret.clone());
        }
        let secret = self
            .keyring
            .session_by_id(&self.context, id)
            .map_err(|error| {
                tracing::warn!(%error, code = error.name(), "a session secret can't be had");
                StateError::KeyUnavailable
            })?;
        opened.insert(*id, secret.clone());
        Ok(secret)
    }
}
