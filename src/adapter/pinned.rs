//! What was read of objects lately. While it is kept, its commitment is pinned to the key and entity tag that it was read
//! under: a provider that answers another one under the same tag is mixing two versions.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is kept of an object.
pub(super) trait Pin: Clone {
    /// Names this version of the object.
    fn commitment(&self) -> &[u8; 32];

    /// In run entries (92 bytes each on the wire).
    fn weight(&self) -> usize;
}

struct Kept<V> {
    tag: String,
    value: V,
    weight: usize,
    used: u64,
}

struct Inner<K, V> {
    kept: HashMap<K, Kept<V>>,
    weight: usize,
    clock: u64,
}

/// A bounded cache, least recently used out first.
pub(super) struct Pinned<K, V> {
    budget: usize,
    inner: Mutex<Inner<K, V>>,
}

/// The provider answered another object under a tag that is pinned.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Changed;

impl<K: Hash + Eq + Clone, V: Pin> Pinned<K, V> {
    /// `budget`: kept at most, in run entries over all objects.
    pub fn new(budget: usize) -> Self {
        Self {
            budget,
            inner: Mutex::new(Inner {
                kept: HashMap::new(),
                weight: 0,
                clock: 0,
            }),
        }
    }

    /// What was read under this tag.
    pub fn get(&self, key: &K, tag: &str) -> Option<V> {
        let (kept, value) = self.latest(key)?;
        (kept == tag).then_some(value)
    }

    /// What was read last, whatever the tag is now, and the tag that it had.
    pub fn latest(&self, key: &K) -> Option<(String, V)> {
        let mut inner = self.lock();
        inner.clock += 1;
        let clock = inner.clock;
        let kept = inner.kept.get_mut(key)?;
        kept.used = clock;
        Some((kept.tag.clone(), kept.value.clone()))
    }

    /// # Errors
    /// Another one is pinned to the same tag.
    pub fn keep(&self, key: K, tag: String, value: V) -> Result<(), Changed> {
        let mut inner = self.lock();
        inner.clock += 1;
        if let Some(old) = inner.kept.get(&key)
            && old.tag == tag
            && old.value.commitment() != value.commitment()
        {
            return Err(Changed);
        }
        let weight = value.weight();
        let kept = Kept {
            tag,
            weight,
            used: inner.clock,
            value,
        };
        inner.weight += weight;
        if let Some(old) = inner.kept.insert(key, kept) {
            inner.weight -= old.weight;
        }
        while inner.weight > self.budget && inner.kept.len() > 1 {
            let oldest = inner.kept.iter().min_by_key(|(_, kept)| kept.used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            inner.remove(&oldest);
        }
        Ok(())
    }

    /// Takes the pins off that `stale` tells.
    pub fn forget(&self, stale: impl Fn(&K, &V) -> bool) {
        let mut inner = self.lock();
        let stale = inner
            .kept
            .iter()
            .filter(|(key, kept)| stale(key, &kept.value));
        let stale: Vec<K> = stale.map(|(key, _)| key.clone()).collect();
        for key in stale {
            inner.remove(&key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K, V>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq, V> Inner<K, V> {
    fn remove(&mut self, key: &K) {
        if let Some(old) = self.kept.remove(key) {
            self.weight -= old.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Version(u8, usize);

    impl Pin for Version {
        fn commitment(&self) -> &[u8; 32] {
            const NAMES: [[u8; 32]; 3] = [[0; 32], [1; 32], [2; 32]];
            &NAMES[self.0 as usize]
        }

        fn weight(&self) -> usize {
            self.1
        }
    }

    #[test]
    fn a_change_under_one_tag_is_noticed_until_the_pin_is_taken_off() {
        let pinned = Pinned::new(100);
        let keep = |tag: &str, version| pinned.keep("a", tag.to_owned(), version);
        assert_eq!(keep("t", Version(1, 1)), Ok(()));
        assert_eq!(keep("t", Version(1, 2)), Ok(()));
        assert_eq!(keep("t", Version(2, 1)), Err(Changed));
        assert_eq!(pinned.get(&"a", "t"), Some(Version(1, 2)));
        assert_eq!(pinned.get(&"a", "u"), None);
        assert_eq!(keep("u", Version(2, 1)), Ok(()));
        assert_eq!(pinned.latest(&"a"), Some(("u".to_owned(), Version(2, 1))));
        pinned.forget(|key, _| *key == "b");
        assert_eq!(keep("u", Version(1, 1)), Err(Changed));
        pinned.forget(|key, _| *key == "a");
        assert_eq!(keep("u", Version(1, 1)), Ok(()));
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let pinned = Pinned::new(10);
        let keep = |key, weight| pinned.keep(key, "t".to_owned(), Version(1, weight));
        assert_eq!(keep("a", 4), Ok(()));
        assert_eq!(keep("b", 4), Ok(()));
        assert!(pinned.get(&"a", "t").is_some());
        assert_eq!(keep("c", 4), Ok(()));
        let kept = |key: &'static str| pinned.get(&key, "t").is_some();
        assert_eq!((kept("a"), kept("b"), kept("c")), (true, false, true));
        // one that is larger than all that may be kept stays, alone
        assert_eq!(keep("d", 50), Ok(()));
        assert_eq!((kept("a"), kept("c"), kept("d")), (false, false, true));
    }
}
