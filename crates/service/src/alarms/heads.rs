//! Heads of timelines on their way to a place of the operator's choice: who keeps them there sees when the end of a chain was cut
//! off here.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use carebot_database::journal::{Hash, Written};
use carebot_external::Key;
use carebot_external::channels::addresses::Policy;
use carebot_external::channels::webhook::{Event, Secret, Webhooks};
use carebot_external::channels::{BadSetting, Timeouts, Undelivered};
use carebot_model::text::hexadecimal;
use carebot_model::{FamilyId, Timestamp};
use serde_json::json;
use tokio::sync::Notify;

use crate::Service;

/// The most families whose heads wait to be sent. A receiver that is away for long costs no more than this; the log has them all.
const MOST: usize = 10_000;
/// How long a last round may take when the server stops.
const LAST: Duration = Duration::from_secs(5);

/// Who keeps heads.
#[derive(Clone, Debug)]
pub struct Receiver {
    webhooks: Webhooks,
    url: Key,
    secret: Secret,
}

impl Receiver {
    /// The kind of the event: `data` holds `family`, `entries`, `head` and `key`.
    pub const KIND: &str = "timeline.head";

    /// Nothing is sent yet. The address is the operator's own and may lie in a private network.
    ///
    /// # Errors
    /// If the address or the secret is none, or TLS cannot be set up.
    pub fn new(url: Key, secret: &Key) -> Result<Self, BadSetting> {
        let policy = Policy { allow_private: true };
        policy.check(&url.0).map_err(|bad| BadSetting(format!("the address for heads of timelines: {bad}")))?;
        let webhooks = Webhooks::new(policy, Timeouts::default())?;
        Ok(Self { webhooks, url, secret: Secret::from_text(&secret.0)? })
    }
}

/// How a chain ends.
#[derive(Clone, Copy, Debug)]
struct Head {
    entries: i64,
    hash: Hash,
    at: Timestamp,
}

/// The newest head of each family, of those that are not sent yet.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    waiting: Mutex<BTreeMap<FamilyId, Head>>,
    /// Wakes the job that sends them.
    pub come: Notify,
}

impl Heads {
    /// Has a head sent instead of an older one of the same chain. Never waits.
    fn put(&self, family: FamilyId, head: Head) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MOST && !waiting.contains_key(&family) {
            tracing::warn!(%family, "too many heads of timelines wait to be sent; this one is in the log only");
            return;
        }
        let newest = waiting.entry(family).or_insert(head);
        if newest.entries < head.entries {
            *newest = head;
        }
        drop(waiting);
        self.come.notify_one();
    }

    fn all(&self) -> BTreeMap<FamilyId, Head> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A head was sent; a newer one of the same chain still waits.
    fn sent(&self, family: FamilyId, head: Head) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.get(&family).is_some_and(|newest| newest.entries <= head.entries) {
            waiting.remove(&family);
        }
    }
}

impl Service {
    /// Whether anybody keeps heads.
    pub(crate) const fn sends_heads(&self) -> bool {
        self.alarms.settings.heads.is_some()
    }

    /// A chain has become longer.
    pub(super) fn keep_head(&self, written: &Written) {
        if let (true, Some(entries), Some(hash)) = (self.sends_heads(), written.entry_seq, written.head) {
            self.alarms.heads.put(written.family, Head { entries, hash, at: self.now() });
        }
    }

    /// Sends the heads that wait, each the newest of its chain; how many.
    ///
    /// # Errors
    /// Why one was not taken: it waits on, and if the place takes nothing now, those behind it do so, too.
    pub async fn send_heads(&self) -> Result<usize, Undelivered> {
        let Some(Receiver { webhooks, url, secret }) = &self.alarms.settings.heads else { return Ok(0) };
        let (mut count, mut failure) = (0, None);
        for (family, head) in self.alarms.heads.all() {
            let Head { entries, hash, at } = head;
            let data = json!({
                "family": family, "entries": entries, "head": hexadecimal(&hash), "key": self.alarms.key().id(),
            });
            let event = Event { id: format!("head-{family}-{entries}"), kind: Receiver::KIND, at, data };
            match webhooks.send(&url.0, secret, &event, self.now()).await {
                Ok(()) => {
                    self.alarms.heads.sent(family, head);
                    count += 1;
                }
                Err(later @ Undelivered::Later { .. }) => return Err(later),
                Err(refused) => failure = Some(refused),
            }
        }
        failure.map_or(Ok(count), Err)
    }

    /// Sends the heads that wait when nothing more will be written.
    pub(crate) async fn send_last_heads(&self) {
        match tokio::time::timeout(LAST, self.send_heads()).await {
            Ok(Ok(_)) => {}
            Ok(Err(undelivered)) => tracing::warn!(%undelivered, "the last heads of timelines are in the log only"),
            Err(_) => tracing::warn!("the last heads of timelines were not taken in time; they are in the log only"),
        }
    }
}
