//! Many who write at the same time, and a ledger of what they were told.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::http::Client;
use super::people::House;
use super::place::Place;
use super::until;

/// What is written. Every text is another one, so that it can be found again.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Report,
    Message,
    Notification,
}

impl Kind {
    fn request(self, house: &House, text: &str) -> (&'static str, Value) {
        match self {
            Self::Report => ("/status/home", json!({"family_id": house.family, "temperature": 21.5, "others": text})),
            Self::Message => {
                ("/messages/send", json!({"from_id": house.elder.id, "to_id": house.elder.id, "content": text}))
            }
            Self::Notification => {
                ("/notify", json!({"family_id": house.family, "notification_grade": "warn", "descriptions": text}))
            }
        }
    }
}

/// What the writers were told.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Every text that was sent, and its answer's status if it was answered.
    sent: Mutex<HashMap<String, Option<u16>>>,
    answers: Mutex<Vec<Told>>,
    next: AtomicU64,
}

/// An answer, or that there was none.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub status: Option<u16>,
    pub took: Duration,
    pub retry_after: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panicked with it")
}

impl Ledger {
    /// How many answers of a status there were.
    pub fn count(&self, status: u16) -> usize {
        lock(&self.answers).iter().filter(|told| told.status == Some(status)).count()
    }

    /// How many answers of each status, 0 for none.
    pub fn statuses(&self) -> BTreeMap<u16, usize> {
        let mut statuses = BTreeMap::new();
        for told in &*lock(&self.answers) {
            *statuses.entry(told.status.unwrap_or_default()).or_default() += 1;
        }
        statuses
    }

    /// Every answer so far.
    pub fn answers(&self) -> Vec<Told> {
        lock(&self.answers).clone()
    }

    /// Every text that was sent, and the status of its answer.
    pub fn sent(&self) -> HashMap<String, Option<u16>> {
        lock(&self.sent).clone()
    }

    /// Waits until so many more were answered with 201 than have been.
    pub async fn more_acknowledged(&self, more: usize) {
        let goal = self.count(201) + more;
        until(&format!("{goal} are answered with 201"), async || self.count(201) >= goal).await;
    }

    /// The promise: what was answered with 201 is there, once; nothing is there twice, and nothing that nobody sent. How
    /// many rows there are.
    pub async fn holds_in(&self, place: &Place) -> usize {
        let written = place.written().await;
        let sent = self.sent();
        let lost: Vec<_> =
            sent.iter().filter(|(text, status)| **status == Some(201) && !written.contains_key(*text)).collect();
        assert!(lost.is_empty(), "answered with 201 and lost: {lost:?}");
        let twice: Vec<_> = written.iter().filter(|(_, count)| **count != 1).collect();
        assert!(twice.is_empty(), "there twice: {twice:?}");
        let strange: Vec<_> = written.keys().filter(|text| !sent.contains_key(*text)).collect();
        assert!(strange.is_empty(), "there and never sent: {strange:?}");
        written.len()
    }

    async fn write(&self, client: &mut Client, kind: Kind, house: &House, padding: &str) -> Option<u16> {
        let text = format!("{kind:?} {} 아리아 👵{padding}", self.next.fetch_add(1, Ordering::Relaxed));
        let (path, body) = kind.request(house, &text);
        lock(&self.sent).insert(text.clone(), None);
        let started = Instant::now();
        let answer = client.call("POST", path, Some(&body)).await;
        let took = started.elapsed();
        let status = answer.as_ref().ok().map(|answer| answer.status);
        let retry_after = answer.is_ok_and(|answer| answer.header("retry-after").is_some());
        lock(&self.sent).insert(text, status);
        lock(&self.answers).push(Told { status, took, retry_after });
        status
    }
}

/// Writers at work.
#[derive(Debug)]
pub struct Load {
    stop: CancellationToken,
    writers: JoinSet<()>,
}

impl Load {
    /// 32 who report, one who sends messages and one who notifies, spread over the houses. A writer who is not answered
    /// stops, unless he is `stubborn`.
    pub fn start(
        address: std::net::SocketAddr,
        houses: &[House],
        ledger: &Arc<Ledger>,
        stubborn: bool,
        padding: usize,
    ) -> Self {
        let stop = CancellationToken::new();
        let mut writers = JoinSet::new();
        let kinds = std::iter::repeat_n(Kind::Report, 32).chain([Kind::Message, Kind::Notification]);
        for (kind, house) in kinds.zip(houses.iter().cycle().cloned()) {
            let (stop, ledger, padding) = (stop.clone(), Arc::clone(ledger), "x".repeat(padding));
            writers.spawn(async move {
                let mut client = house.elder.client(address);
                while !stop.is_cancelled() {
                    match ledger.write(&mut client, kind, &house, &padding).await {
                        None if !stubborn => return,
                        Some(201) => {}
                        // Nobody hammers on a door that was shut in his face.
                        _ => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                }
            });
        }
        Self { stop, writers }
    }

    /// Lets every writer finish what he is at.
    pub async fn finish(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.writers.join_next().await {
            ended.expect("no writer panics");
        }
    }
}
