//! What a server does in turns while somebody follows: it finds what happened at other servers, tells them who is watching here,
//! and takes their places from those who take nothing.

use std::collections::HashSet;

use carebot_database::{journal, presence, status, transact};
use carebot_model::status::{Active, Health, Home, Mental, MentalReport};
use carebot_model::{FamilyId, Timestamp, for_each_status_kind};

use crate::sessions::ACCESS;
use crate::{Result, Service};

/// How far back it is asked what changed, in milliseconds: for commits that took long, and clocks that differ.
pub const OVERLAP: i64 = 5_000;
/// Up to so many followed families it is asked for each of them where it stands, whatever any clock says.
pub const FEW: usize = 200;
/// Of how many families a round looks for readings that came in elsewhere.
pub const READINGS: usize = 100;
/// How often that is asked for all families, and whether there is another server, in milliseconds.
const WHOLE: i64 = 10_000;
/// How many alarms that were shown a round writes down: what happened elsewhere does not wait for all.
const SHOWN: usize = 32;
/// Families in one question.
const STEP: usize = 500;
/// For how long others believe that somebody is watching here, and how often that is renewed, in milliseconds.
const BELIEVED: i64 = 90_000;
const RENEWED: i64 = 30_000;

/// What is remembered from one round to the next.
#[derive(Debug, Default)]
pub struct Rounds {
    /// From when on it is not known what changed.
    since: Option<Timestamp>,
    /// When all families were compared.
    whole_at: Option<Timestamp>,
    /// How often somebody's rights changed, as the database counts.
    access: Option<i64>,
    has_company: bool,
    /// The family after which readings are looked for.
    turn: Option<FamilyId>,
    /// Who is said to be watching here, and at which node number.
    present: HashSet<presence::Place>,
    node: i64,
    renewed_at: Option<Timestamp>,
}

impl Service {
    /// One round: to be called every [`ROUND`](super::ROUND) while somebody follows.
    ///
    /// # Errors
    /// As the database. What could not be done is done in the next round.
    pub async fn look_after_streams(&self) -> Result<()> {
        let (hub, now) = (&self.streams, self.now());
        let mut rounds = hub.rounds.lock().await;
        let patience = i64::try_from(hub.settings.patience.as_millis()).unwrap_or(i64::MAX);
        let count = hub.cut_slow(now.plus_millis(-patience));
        if count > 0 {
            tracing::debug!(count, "streams were ended because nobody took what was sent");
        }
        for _ in 0..SHOWN {
            let Some(shown) = hub.next_shown() else { break };
            if let Err(error) = self.note_shown(shown.alarm, shown.family, shown.account).await {
                tracing::warn!(?error, alarm = shown.alarm.0, "it could not be written down that an alarm was shown");
            }
        }
        self.tell_who_watches(&mut rounds, now).await?;
        if hub.is_deserted() {
            // What happens until somebody comes again is not known then.
            (rounds.since, rounds.whole_at, rounds.access) = (None, None, None);
            return Ok(());
        }
        self.find_events(&mut rounds, now).await?;
        self.find_readings(&mut rounds).await
    }

    async fn find_events(&self, rounds: &mut Rounds, now: Timestamp) -> Result<()> {
        let hub = &self.streams;
        let followed = hub.followed();
        let is_due = rounds.whole_at.is_none_or(|at| !(0..WHOLE).contains(&now.since(at)));
        let mut tx = self.db.read();
        let mut changed = Vec::new();
        if is_due || followed.len() <= FEW {
            for step in followed.chunks(STEP) {
                changed.extend(journal::newest_events(&mut tx, step).await?);
            }
        } else {
            changed = journal::changed_since(&mut tx, rounds.since.unwrap_or(now).plus_millis(-OVERLAP)).await?;
        }
        rounds.since = Some(now);
        let access = journal::read_signal(&mut tx, ACCESS).await?.unwrap_or_default();
        if rounds.access.replace(access) != Some(access) {
            self.rights_changed_elsewhere();
        }
        if is_due {
            rounds.has_company = presence::has_company(&mut tx, self.ids.node(), now).await?;
            rounds.whole_at = Some(now);
        }
        for (family, newest) in changed {
            hub.tell(family, newest);
        }
        hub.fill_up();
        Ok(())
    }

    /// Readings have no numbers: it is looked which is the newest, of some families a round.
    async fn find_readings(&self, rounds: &mut Rounds) -> Result<()> {
        if !rounds.has_company {
            return Ok(());
        }
        let feeds = self.streams.next_feeds(rounds.turn, READINGS);
        rounds.turn = feeds.last().filter(|_| feeds.len() == READINGS).map(|feed| feed.family());
        let families: Vec<FamilyId> = feeds.iter().map(|feed| feed.family()).collect();
        macro_rules! find {
            ($kind:ident) => {
                for (family, newest) in status::newest_of::<$kind>(&mut self.db.read(), &families).await? {
                    if let Ok(place) = families.binary_search(&family)
                        && feeds[place].is_news::<$kind>(newest)
                    {
                        feeds[place].look_up::<$kind>(&self.db).await?;
                    }
                }
            };
        }
        for_each_status_kind!(find);
        Ok(())
    }

    async fn tell_who_watches(&self, rounds: &mut Rounds, now: Timestamp) -> Result<()> {
        let node = self.ids.node();
        if std::mem::replace(&mut rounds.node, node) != node {
            // What was said as another node is believed no longer than it must be, and said again.
            rounds.present.clear();
            rounds.renewed_at = None;
        }
        let renews = rounds.renewed_at.is_none_or(|at| !(0..RENEWED).contains(&now.since(at)));
        let Some(crowd) = self.streams.crowd(renews) else { return Ok(()) };
        let sorted = |places: Vec<presence::Place>| {
            let mut places = places;
            // In one order for everybody, so that nobody waits for one who waits for him.
            places.sort_unstable();
            places
        };
        let gone = sorted(rounds.present.difference(&crowd).copied().collect());
        let here = sorted(crowd.iter().filter(|place| renews || !rounds.present.contains(*place)).copied().collect());
        if !gone.is_empty() || !here.is_empty() {
            let until = now.plus_millis(BELIEVED);
            let told = transact!(self.db, tx => {
                presence::leave(&mut tx, node, &gone).await?;
                presence::arrive(&mut tx, node, &here, until).await
            });
            if let Err(error) = told {
                self.streams.crowd_is_untold();
                return Err(error.into());
            }
        }
        rounds.present = crowd;
        if renews {
            rounds.renewed_at = Some(now);
        }
        Ok(())
    }

    /// Says that nobody is watching at this server any more.
    pub(crate) async fn leave_streams(&self) -> Result<()> {
        let mut rounds = self.streams.rounds.lock().await;
        if !rounds.present.is_empty() {
            let node = self.ids.node();
            transact!(self.db, tx => { presence::leave_all(&mut tx, node).await })?;
            rounds.present.clear();
        }
        Ok(())
    }
}
