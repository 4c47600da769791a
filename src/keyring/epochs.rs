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
    /// The cache's count when it was used last.
    used: u64,
}

/// The epochs that were opened lately; the least recently used one makes room.
#[derive(Default)]
struct Cache {
    epochs: HashMap<EpochShort, Opened>,
    uses: u64,
}

impl Cache {
    fn get(&mut self, short: EpochShort, now: u64) -> Option<Arc<EpochKeys>> {
        self.uses += 1;
        let epoch = self.epochs.get_mut(&short)?;
        if epoch.until <= now {
            self.epochs.remove(&short);
            return None;
        }
        epoch.used = self.uses;
        Some(epoch.keys.clone())
    }

    fn insert(&mut self, keys: Arc<EpochKeys>, until: u64, size: usize) {
        while self.epochs.len() >= size.max(1) {
            let oldest = self.epochs.iter().min_by_key(|(_, epoch)| epoch.used);
            let Some(oldest) = oldest.map(|(short, _)| *short) else {
                break;
            };
            self.epochs.remove(&oldest);
        }
        self.uses += 1;
        let (short, used) = (keys.id.short(), self.uses);
        self.epochs.insert(short, Opened { keys, until, used });
    }
}

/// Hands out epochs; the present one without a lock.
pub struct BoundEpochs {
    keyring: Arc<Keyring>,
    context: Context,
    current: ArcSwapOption<Current>,
    /// Held while a new epoch is made.
    making: Mutex<()>,
    opened: Mutex<Cache>,
}

impl BoundEpochs {
    pub(super) fn new(keyring: Arc<Keyring>, context: Context) -> Self {
        Self {
            keyring,
            context,
            current: ArcSwapOption::empty(),
            making: Mutex::new(()),
            opened: Mutex::default(),
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
                // ended for every thread: the next question is a minute away
                current.left.store(0, Ordering::Relaxed);
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
        opened.epochs.retain(|_, epoch| epoch.until > now);
    }

    fn open(&self, short: EpochShort, now: u64) -> Result<Arc<EpochKeys>, KeyError> {
        let record = self.keyring.find(&short.0)?;
        let secret = self
            .keyring
            .open_record(&record, Kind::Epoch, &self.context)?;
        let keys = Arc::new(secret.keys());
        let settings = &self.keyring.settings;
        let until = now.saturating_add(settings.cache_ttl.as_secs());
        self.forget(now);
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.insert(keys.clone(), until, settings.cache_size);
        Ok(keys)
    }
}

impl KeyLookup for BoundEpochs {
    fn epoch(&self, short: EpochShort) -> Result<Arc<EpochKeys>, LookupError> {
        if let Some(current) = self.current.load().as_ref()
            && current.keys.id.short() == short
        {
            return Ok(current.keys.clone());
        }
        let now = (self.keyring.clock)();
        {
            let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(keys) = opened.get(short, now) {
                return Ok(keys);
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
