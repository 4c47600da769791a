//! The epochs of one tenant, service and namespace: the one that is sealed under, and those that were opened lately.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;

use super::record::Kind;
use super::{KeyError, Keyring, admin};
use crate::seal::{Context, EpochKeys, EpochShort, Epochs, KeyLookup, LookupError};

/// How often the key directory is asked whether a rotation was ordered or the record destroyed, in seconds.
const RECHECK: u64 = 60;

struct Current {
    keys: Arc<EpochKeys>,
    /// The last order to rotate when it began.
    rotation: Option<Vec<u8>>,
    begun: u64,
    until: u64,
    recheck: AtomicU64,
    left: AtomicU64,
}

struct Opened {
    keys: Arc<EpochKeys>,
    until: u64,
    used: u64,
}

/// Hands out epochs; the present one without a lock.
pub struct BoundEpochs {
    keyring: Arc<Keyring>,
    context: Context,
    current: ArcSwapOption<Current>,
    /// Held while a new epoch is made.
    making: Mutex<()>,
    opened: Mutex<HashMap<EpochShort, Opened>>,
}

impl BoundEpochs {
    pub(super) fn new(keyring: Arc<Keyring>, context: Context) -> Self {
        Self {
            keyring,
            context,
            current: ArcSwapOption::empty(),
            making: Mutex::new(()),
            opened: Mutex::new(HashMap::new()),
        }
    }

    fn usable(&self, now: u64) -> Option<Arc<EpochKeys>> {
        let current = self.current.load();
        let current = current.as_ref()?;
        if now >= current.until || now < current.begun {
            return None;
        }
        if now >= current.recheck.load(Ordering::Relaxed) {
            current.recheck.store(now + RECHECK, Ordering::Relaxed);
            self.forget(now);
            let rotation = admin::rotation(&self.keyring.settings.directory);
            if rotation != current.rotation || !self.keyring.holds(&current.keys) {
                return None;
            }
        }
        let taken = current
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
        taken.ok().map(|_| current.keys.clone())
    }

    fn renew(&self, now: u64) -> Result<Arc<EpochKeys>, KeyError> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = self.usable(now) {
            return Ok(keys);
        }
        let settings = &self.keyring.settings;
        let until = now.saturating_add(settings.epoch_max_age.as_secs());
        let rotation = admin::rotation(&settings.directory);
        let secret = self.keyring.make(Kind::Epoch, &self.context, now, until)?;
        let keys = Arc::new(secret.keys());
        self.current.store(Some(Arc::new(Current {
            keys: keys.clone(),
            rotation,
            begun: now,
            until,
            recheck: AtomicU64::new(now + RECHECK),
            left: AtomicU64::new(settings.epoch_max_objects.saturating_sub(1)),
        })));
        tracing::info!(epoch = %keys.id.short(), service = self.context.service(), "a new epoch begins");
        Ok(keys)
    }

    /// Drops, and so zeroizes, what is kept longer than it may be.
    pub fn forget(&self, now: u64) {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.retain(|_, epoch| epoch.until > now);
    }

    fn open(&self, short: EpochShort, now: u64) -> Result<Arc<EpochKeys>, KeyError> {
        let record = self.keyring.find(&short.0)?;
        let secret = self
            .keyring
            .open_record(&record, Kind::Epoch, &self.context)?;
        let keys = Arc::new(secret.keys());
        let settings = &self.keyring.settings;
        self.forget(now);
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        while opened.len() >= settings.cache_size.max(1) {
            let Some(oldest) = opened
                .iter()
                .min_by_key(|(_, e)| e.used)
                .map(|(short, _)| *short)
            else {
                break;
            };
            opened.remove(&oldest);
        }
        let until = now.saturating_add(settings.cache_ttl.as_secs());
        opened.insert(
            short,
            Opened {
                keys: keys.clone(),
                until,
                used: now,
            },
        );
        Ok(keys)
    }
}

impl KeyLookup for BoundEpochs {
    fn epoch(&self, short: EpochShort) -> Result<Arc<EpochKeys>, LookupError> {
        if let Some(current) = self.current.load().as_ref() {
            if current.keys.id.short() == short {
                return Ok(current.keys.clone());
            }
        }
        let now = (self.keyring.clock)();
        {
            let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(epoch) = opened.get_mut(&short).filter(|epoch| epoch.until > now) {
                epoch.used = now;
                return Ok(epoch.keys.clone());
            }
        }
        self.open(short, now).map_err(|error| match error {
            KeyError::Unknown(_) | KeyError::Foreign => LookupError::Unknown,
            other => {
                tracing::warn!(epoch = %short, error = %other, code = other.name(), "an epoch does not open");
                LookupError::Unavailable(other.to_string())
            }
        })
    }
}

impl Epochs for BoundEpochs {
    fn current(&self) -> Result<Arc<EpochKeys>, LookupError> {
        let now = (self.keyring.clock)();
        match self.usable(now) {
            Some(keys) => Ok(keys),
            None => self.renew(now).map_err(|error| {
                tracing::error!(error = %error, code = error.name(), "no epoch can be begun");
                LookupError::Unavailable(error.to_string())
            }),
        }
    }
}
