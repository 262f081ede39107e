//! What was done lately at this server, and need not be done again for a while.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use carebot_model::Timestamp;

/// What was done within a span of time.
#[derive(Debug)]
pub(crate) struct Lately<K> {
    span: i64,
    done: Mutex<HashMap<K, Timestamp>>,
}

impl<K: Eq + Hash> Lately<K> {
    /// Nothing yet; what is done counts for so many milliseconds.
    pub fn new(span: i64) -> Self {
        Self { span, done: Mutex::default() }
    }

    fn done(&self) -> MutexGuard<'_, HashMap<K, Timestamp>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes something on itself; false if that was done lately.
    pub fn claim(&self, what: K, now: Timestamp) -> bool {
        let mut done = self.done();
        done.retain(|_, at| (0..self.span).contains(&now.since(*at)));
        match done.entry(what) {
            std::collections::hash_map::Entry::Occupied(_) => false,
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(now);
                true
            }
        }
    }

    /// It could not be done: the next one tries again.
    pub fn unclaim(&self, what: &K) {
        self.done().remove(what);
    }
}
