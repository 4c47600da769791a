//! Session secrets for the state, from the key ring: opened once, kept while they are in use.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::keyring::{KeyError, Keyring, Named};
use crate::seal::Context;
use crate::secret::Secret;
use crate::state::{SessionId, SessionLookup, StateError};

/// How long the present session is used before the key ring is asked again.
const RECHECK: Duration = Duration::from_secs(600);

/// The sessions of one tenant, service and namespace.
pub(super) struct Sessions(Arc<Shared>);

struct Shared {
    keyring: Arc<Keyring>,
    context: Context,
    current: Mutex<Option<(Named, Instant)>>,
    opened: Mutex<HashMap<SessionId, Arc<Secret<48>>>>,
    /// Whether somebody asks the key ring already.
    asking: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sessions {
    pub fn new(keyring: Arc<Keyring>, context: Context) -> Self {
        Self(Arc::new(Shared {
            keyring,
            context,
            current: Mutex::default(),
            opened: Mutex::default(),
            asking: AtomicBool::new(false),
        }))
    }

    /// Asks on a thread of its own: the directory's lock may be held for seconds while records are wrapped anew. Until
    /// then the session at hand is used, which lives for a month.
    fn ask_beside(&self) {
        if self.0.asking.swap(true, Ordering::AcqRel) {
            return;
        }
        let shared = self.0.clone();
        tokio::task::spawn_blocking(move || {
            if shared.ask().is_err() {
                // asked again after the same while, not by every request
                if let Some((_, since)) = locked(&shared.current).as_mut() {
                    *since = Instant::now();
                }
            }
            shared.asking.store(false, Ordering::Release);
        });
    }
}

impl Shared {
    fn ask(&self) -> Result<Named, StateError> {
        let named = self.keyring.session(&self.context).map_err(|error| {
            tracing::error!(%error, code = error.name(), "no session secret can be had");
            StateError::KeyUnavailable
        })?;
        locked(&self.opened).insert(named.0, named.1.clone());
        *locked(&self.current) = Some((named.clone(), Instant::now()));
        Ok(named)
    }
}

impl SessionLookup for Sessions {
    fn current(&self) -> Result<Named, StateError> {
        let current = locked(&self.0.current).clone();
        match current {
            Some((named, since)) => {
                if since.elapsed() >= RECHECK {
                    self.ask_beside();
                }
                Ok(named)
            }
            // replicas and threads that ask at once agree by the directory's lock
            None => tokio::task::block_in_place(|| self.0.ask()),
        }
    }

    fn by_id(&self, id: &SessionId) -> Result<Arc<Secret<48>>, StateError> {
        if let Some(secret) = locked(&self.0.opened).get(id) {
            return Ok(secret.clone());
        }
        let secret = self.0.keyring.session_by_id(&self.0.context, id);
        let secret = secret.map_err(|error| {
            tracing::warn!(%error, code = error.name(), "a session secret can't be had");
            match error {
                KeyError::Unknown(_) | KeyError::Foreign => StateError::SessionUnknown,
                _ => StateError::KeyUnavailable,
            }
        })?;
        locked(&self.0.opened).insert(*id, secret.clone());
        Ok(secret)
    }
}
