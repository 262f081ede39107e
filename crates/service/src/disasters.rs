//! Disaster messages: read from the ministry every minute, handed to the families whose elder lives in a receiving region.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use carebot_database::disasters::{self, Cursor, Pending};
use carebot_database::journal::{Journal, Written};
use carebot_database::{DbError, Tx, transact};
use carebot_external::ProviderError;
use carebot_external::disaster::{self as provider, ROWS};
use carebot_external::guard::Health;
use carebot_model::alarms::{Cause, EventKind, Rule};
use carebot_model::disasters::DisasterMessage;
use carebot_model::notifications::{Grade, NewNotification};
use carebot_model::regions::Receivers;
use carebot_model::text::LongText;
use carebot_model::{FamilyId, RowId, Timestamp, korea};
use jiff::ToSpan as _;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::alarms::Danger;
use crate::{Result, Service};

/// Who wrote the messages.
const SOURCE: &str = "행정안전부 긴급재난문자";
/// So much longer than the interval a server keeps its lead.
const LEAD: Duration = Duration::from_secs(30);
const HOUR_MS: i64 = 3_600_000;
/// What was written earlier than this before an installation began to listen is not news to anybody.
const BEFORE_LISTENING_MS: i64 = HOUR_MS;
/// What is found later than this after it was written (the service or this server was away) would mislead.
const TOO_LATE_MS: i64 = 24 * HOUR_MS;
/// After midnight the day before is asked for as well, for so long.
const OVERLAP_MS: i64 = HOUR_MS;
/// The most pages of a day: 20,000 messages. The worst day so far had some thousands.
const MOST_PAGES: u32 = 200;
/// How many families are looked at in a step.
const STEP: u32 = 200;
/// How many messages are in memory at a time.
const BATCH: u32 = 20;
/// How often a step is tried again when somebody else changed the same rows.
const TRIES: u32 = 3;
/// How long is known which family has which message; the service has forgotten it long before.
const KEEP_MS: i64 = 30 * 24 * HOUR_MS;

/// How disaster messages are asked for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whom.
    pub provider: provider::Settings,
    /// How often.
    pub interval: Duration,
}

/// The connection to the service.
#[derive(Debug)]
pub(crate) struct Listening {
    client: provider::Disasters,
    interval: Duration,
    /// The last round was good, so that only what came since has to be asked for.
    looked_back: AtomicBool,
    /// What was wrong the last time, so that the log says it once.
    trouble: Mutex<Option<ProviderError>>,
}

impl Listening {
    pub fn new(settings: &Settings, seed: u64) -> Result<Self, ProviderError> {
        Ok(Self {
            client: provider::Disasters::new(settings.provider.clone(), seed)?,
            interval: settings.interval,
            looked_back: AtomicBool::new(false),
            trouble: Mutex::new(None),
        })
    }

    fn note(&self, trouble: Option<&ProviderError>) {
        let mut last = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match (trouble, last.as_ref()) {
            (Some(new), Some(old)) if new == old => tracing::debug!(error = %new, "still no disaster messages"),
            (Some(ProviderError::Resting), Some(_)) => return,
            (Some(new), _) => {
                tracing::warn!(error = %new, "disaster messages cannot be read; they are asked for again");
            }
            (None, Some(_)) => tracing::info!("disaster messages can be read again"),
            (None, None) => {}
        }
        *last = trouble.cloned();
    }
}

/// What a round did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// How many messages are new.
    pub stored: usize,
    /// How many notifications were made.
    pub delivered: usize,
    /// Why no messages could be read, or not all.
    pub trouble: Option<ProviderError>,
}

impl Service {
    /// Hands out what an earlier round left, reads what is new and hands that out, unless another server does. Without a key it
    /// does nothing.
    ///
    /// # Errors
    /// If the database fails. What the service does wrong is in the answer.
    pub async fn receive_disasters(&self, stop: &CancellationToken) -> Result<Round> {
        let mut round = Round::default();
        let Some(listening) = &self.disasters else { return Ok(round) };
        let lease = listening.interval + LEAD;
        if !self.lead("disasters", lease).await? {
            return Ok(round);
        }
        round.delivered += self.hand_out(lease, stop).await?;
        let read = self.read_disasters(listening, lease, stop, &mut round.stored).await;
        // What was read before it failed is handed out all the same.
        round.delivered += self.hand_out(lease, stop).await?;
        round.trouble = read?.err();
        listening.note(round.trouble.as_ref());
        let old = self.now().plus_millis(-KEEP_MS);
        while !stop.is_cancelled() && disasters::forget(&self.db, old).await? {
            tokio::task::yield_now().await;
        }
        Ok(round)
    }

    /// How often disaster messages are asked for; `None` if no service is configured.
    pub fn disasters_interval(&self) -> Option<Duration> {
        self.disasters.as_ref().map(|listening| listening.interval)
    }

    /// Whether the service of disaster messages is asked at the moment; `None` if none is configured.
    pub fn disasters_health(&self) -> Option<Health> {
        self.disasters.as_ref().map(|listening| listening.client.health())
    }

    /// Reads all pages of today; and those of yesterday shortly after midnight and after a start.
    async fn read_disasters(
        &self,
        listening: &Listening,
        lease: Duration,
        stop: &CancellationToken,
        stored: &mut usize,
    ) -> Result<Result<(), ProviderError>> {
        let begun = self.now();
        let since = disasters::listening_since(&self.db, begun).await?.plus_millis(-BEFORE_LISTENING_MS);
        let looked_back = listening.looked_back.load(Ordering::Relaxed);
        let overlap = if looked_back { OVERLAP_MS } else { TOO_LATE_MS };
        let today = korea::date(begun).civil();
        let mut day = korea::date(begun.plus_millis(-overlap)).civil();
        while day <= today {
            for number in 1..=MOST_PAGES {
                if stop.is_cancelled() || !self.lead("disasters", lease).await? {
                    return Ok(Ok(()));
                }
                let page = match listening.client.page(day.into(), number).await {
                    Ok(page) => page,
                    Err(error) => {
                        // However long it lasts: the next good round looks as far back as a message is still of use.
                        listening.looked_back.store(false, Ordering::Relaxed);
                        return Ok(Err(error));
                    }
                };
                *stored += self.keep_disasters(&page.messages, since).await?;
                if page.rows == 0 || u64::from(number) * u64::from(ROWS) >= page.total {
                    break;
                }
            }
            day = day.checked_add(1.day()).unwrap_or(jiff::civil::Date::MAX);
        }
        listening.looked_back.store(true, Ordering::Relaxed);
        Ok(Ok(()))
    }

    async fn keep_disasters(&self, messages: &[DisasterMessage], since: Timestamp) -> Result<usize> {
        let mut tries = 0;
        loop {
            let now = self.now();
            let since = since.max(now.plus_millis(-TOO_LATE_MS));
            match transact!(self.db, tx => { disasters::store(&mut tx, messages, since, now).await }) {
                // Another server stored one of them at the same moment.
                Err(DbError::Duplicate { .. }) if tries < TRIES => tries += 1,
                stored => return Ok(stored?),
            }
        }
    }

    /// Hands out every message that is stored and not handed out yet. One that cannot be handed out does not stand in the way
    /// of the others.
    async fn hand_out(&self, lease: Duration, stop: &CancellationToken) -> Result<usize> {
        let (mut delivered, mut after, mut failure) = (0, i64::MIN, None);
        loop {
            let batch = disasters::pending(&mut self.db.read(), after, BATCH).await?;
            let Some(last) = batch.last() else { break };
            after = last.message.sn;
            for pending in batch {
                if stop.is_cancelled() || !self.lead("disasters", lease).await? {
                    return Ok(delivered);
                }
                match self.hand_out_one(pending, stop).await {
                    Ok(count) => delivered += count,
                    Err(error) => failure = Some(error),
                }
            }
        }
        failure.map_or(Ok(delivered), Err)
    }

    async fn hand_out_one(&self, pending: Pending, stop: &CancellationToken) -> Result<usize> {
        let Pending { message, received_at, mut cursor } = pending;
        let receivers = Receivers::parse(&message.regions, korea::date(message.created_at));
        let notification = notification(&message);
        let mut delivered = 0;
        for beginning in receivers.beginnings() {
            if cursor.address > beginning && !cursor.address.starts_with(&beginning) {
                continue;
            }
            let mut tries = 0;
            loop {
                if stop.is_cancelled() {
                    return Ok(delivered);
                }
                let page = disasters::candidates(&mut self.db.read(), &beginning, &cursor, received_at, STEP).await?;
                let Some(last) = page.last() else { break };
                let next = Cursor { address: last.address.clone(), account: last.account.to_string() };
                let now = self.now();
                let mut to = Vec::new();
                for candidate in page.iter().filter(|candidate| receivers.reach(&candidate.address)) {
                    to.push((candidate.family, self.next_id(now)?));
                }
                let is_last = page.len() < STEP as usize;
                if !to.is_empty() || !is_last {
                    let done = transact!(self.db, tx => {
                        let told = disasters::deliver(&mut tx, message.sn, &to, &notification, &next, now).await?;
                        self.warn_of(&mut tx, &message, &told, now).await
                    });
                    match done {
                        // Another server was faster, or a family went meanwhile: what is there now is looked at anew.
                        Err(DbError::Duplicate { .. } | DbError::MissingParent) if tries < TRIES => {
                            tries += 1;
                            continue;
                        }
                        done => {
                            let written = done?;
                            for written in &written {
                                self.written(written);
                            }
                            delivered += written.len();
                        }
                    }
                }
                cursor = next;
                if is_last {
                    break;
                }
            }
        }
        transact!(self.db, tx => { disasters::finish(&mut tx, message.sn).await })?;
        Ok(delivered)
    }

    /// Raises the alarms that a message means, in the transaction that hands it to families.
    async fn warn_of(
        &self,
        tx: &mut Tx,
        message: &DisasterMessage,
        told: &[(FamilyId, RowId)],
        now: Timestamp,
    ) -> Result<Vec<Written>, DbError> {
        let severity = message.severity();
        // In one order, so that two servers do not wait for each other.
        let mut told = told.to_vec();
        told.sort_unstable();
        let mut written = Vec::with_capacity(told.len());
        for (family, id) in told {
            let mut journal = Journal::open(tx, family, now).await?;
            journal.event(EventKind::Notification, &json!({"index": id, "disaster": message.sn}));
            if let Some(severity) = severity {
                let danger = Danger {
                    adopts: Some(id),
                    inputs: json!({"sn": message.sn, "step": message.step}),
                    ..Danger::at(Rule::Disaster, severity, message.created_at.min(now), (Cause::Notification, Some(id)))
                };
                self.raise(tx, &mut journal, danger).await?;
            }
            written.push(journal.close(tx).await?);
        }
        Ok(written)
    }
}

/// The form that the existing pages show a message in. The message itself stays as it was written.
///
/// 위급재난 is `crit`, whose form is `title,text`; every other step is `warn`, whose form is JSON.
fn notification(message: &DisasterMessage) -> NewNotification {
    let (grade, description) = if message.is_extreme() {
        let title = [message.step.trim(), message.kind.trim()].join(" ").replace([',', '，'], " ");
        let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
        (Grade::Crit, LongText::parse(format!("{title} ({SOURCE}),{}", message.text)))
    } else {
        let written = |regions: &str| {
            let description = json!({
                "DST_SE_NM": message.kind,
                "EMRG_STEP_NM": message.step,
                "MSG_CN": message.text,
                "RCPTN_RGN_NM": regions,
                "SOURCE": SOURCE,
            });
            LongText::parse(description.to_string())
        };
        // A list of regions that is longer than the country's is not needed whole.
        let short = || message.regions.chars().take(1_000).collect::<String>();
        (Grade::Warn, written(&message.regions).or_else(|| written(&short())))
    };
    NewNotification { grade, description, image_url: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(step: &str, text: &str) -> DisasterMessage {
        DisasterMessage {
            sn: 1,
            created_at: Timestamp::from_millis(0),
            text: text.to_owned(),
            regions: "서울특별시 전체 ,경기도 수원시 ".to_owned(),
            step: step.to_owned(),
            kind: "지진,해일".to_owned(),
        }
    }

    fn description(message: &DisasterMessage) -> (Grade, String) {
        let new = notification(message);
        (new.grade, new.description.expect("it fits").as_str().to_owned())
    }

    #[test]
    fn an_extreme_one_is_a_title_and_the_text_as_it_was_written() {
        let text = "낮은 곳을 피하고, \"높은 곳\"으로 대피하세요 [행정안전부]";
        let (grade, description) = description(&message("위급재난", text));
        assert_eq!(grade, Grade::Crit);
        let (title, rest) = description.split_once(',').expect("a title");
        assert_eq!((title, rest), ("위급재난 지진 해일 (행정안전부 긴급재난문자)", text));
        assert!(serde_json::from_str::<serde_json::Value>(&description).is_err());
    }

    #[test]
    fn any_other_one_is_json_with_the_text_as_it_was_written() {
        for step in ["긴급재난", "안전안내", ""] {
            let text = "'호우' \"경보\"\n외출, 자제 \\";
            let (grade, description) = description(&message(step, text));
            assert_eq!(grade, Grade::Warn);
            let read: serde_json::Value = serde_json::from_str(&description).expect("JSON");
            assert_eq!(read["MSG_CN"], text);
            assert_eq!((&read["EMRG_STEP_NM"], &read["DST_SE_NM"]), (&json!(step), &json!("지진,해일")));
            assert_eq!(read["RCPTN_RGN_NM"], "서울특별시 전체 ,경기도 수원시 ");
        }
    }

    #[test]
    fn the_longest_that_can_come_fits() {
        for filler in ["\u{1}", "가", "👵"] {
            let long =
                DisasterMessage { regions: filler.repeat(8_000), ..message("안전안내", &filler.repeat(8_000)) };
            let (_, description) = description(&long);
            let read: serde_json::Value = serde_json::from_str(&description).expect("JSON");
            assert_eq!(read["MSG_CN"], filler.repeat(8_000));
            assert!(notification(&DisasterMessage { step: "위급재난".into(), ..long }).description.is_some());
        }
    }
}
