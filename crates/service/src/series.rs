//! Series of buckets, the job that sums reports up, and the one that deletes them by age.

use std::sync::PoisonError;
use std::time::Duration;

use carebot_database::rollups::{self, Kind};
use carebot_database::transact;
use carebot_model::access::{Action, Actor, Permit};
use carebot_model::status::series::{Bucket, Choice, MOST, Series};
use carebot_model::status::{Health, Home, StatusKind};
use carebot_model::{FamilyId, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{Result, Service};

/// Why a series that ends before it begins is refused.
pub const BACKWARDS: &str = "The end of a range can not be before its start";
/// Why a longer one is refused.
pub const TOO_MANY: &str = "A series can have at most 10000 buckets";

/// How long a server may take for summing up, and for deleting.
const LEASE: Duration = Duration::from_mins(10);
/// Families and hours that are read at once.
const PAGE: u32 = 500;
/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// How long reports and their sums are kept, in days; 0 is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Reports of the air in the home.
    pub home_days: u32,
    /// Reports of the elder's body.
    pub health_days: u32,
    /// Buckets of five minutes, of every kind.
    pub five_minutes_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { home_days: 90, health_days: 90, five_minutes_days: 365 }
    }
}

impl Retention {
    /// The kinds whose reports are deleted by age, with the days that they are kept.
    pub fn kinds(self) -> [(Kind, u32); 2] {
        [(Kind::of::<Home>(), self.home_days), (Kind::of::<Health>(), self.health_days)]
    }
}

/// The Korean midnight before which something is too old; nothing is if it is kept for ever.
pub fn too_old(now: Timestamp, days: u32) -> Option<Timestamp> {
    (days > 0).then(|| Bucket::Day.floor(now.plus_millis(-i64::from(days) * DAY)))
}

/// What a round of deletion did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Reports that were deleted.
    pub reports: u64,
    /// Whether an operator has to agree first.
    pub is_held: bool,
}

impl Service {
    /// Reports of a kind, summed up in buckets; to now if there is no end. Buckets at the ends of the range are whole.
    ///
    /// # Errors
    /// [`Error::Forbidden`](crate::Error::Forbidden), [`Error::NotFound`](crate::Error::NotFound) of the family for operators;
    /// [`Error::Invalid`](crate::Error::Invalid) if it ends before it begins, or has too many buckets.
    pub async fn series<K: StatusKind>(
        &self,
        actor: &Actor,
        family: &str,
        range: (Timestamp, Option<Timestamp>),
        choice: Choice,
    ) -> Result<Series> {
        let permit = self.family(actor, family, Action::StatusRead).await?;
        self.sum_up(&permit, Kind::of::<K>(), range, choice).await
    }

    /// As [`Service::series`], for whoever asked the policy already.
    ///
    /// # Errors
    /// As there.
    pub async fn sum_up(
        &self,
        permit: &Permit<FamilyId>,
        kind: Kind,
        (start, end): (Timestamp, Option<Timestamp>),
        choice: Choice,
    ) -> Result<Series> {
        let (family, end) = (*permit.resource(), end.unwrap_or_else(|| self.now()));
        if end < start {
            return Err(crate::Error::Invalid(BACKWARDS));
        }
        let bucket = match choice.of(start, end) {
            // Buckets of five minutes are not kept that long.
            Bucket::FiveMinutes if choice == Choice::Auto && self.are_fives_gone(start) => Bucket::Hour,
            bucket => bucket,
        };
        let (from, until) = (bucket.floor(start), bucket.after(end));
        if until.since(from) / bucket.millis() > MOST {
            return Err(crate::Error::Invalid(TOO_MANY));
        }
        let mut tx = self.db.read();
        // Read first: what is summed up meanwhile is still read as it was reported.
        let progress = rollups::progress(&mut tx, family, kind.name).await?;
        let known = progress.watermark();
        let news = rollups::raw(&mut tx, family, kind, from.max(known), until).await?;
        // The day that is not over yet is made of its hours.
        let whole = bucket.floor(known);
        let mut sums = rollups::stored(&mut tx, family, kind, bucket, (from, until.min(whole))).await?;
        if whole < known {
            let hours = (from.max(whole), until.min(known));
            let mut parts = rollups::stored(&mut tx, family, kind, Bucket::Hour, hours).await?;
            parts.extend(rollups::merge(Bucket::Hour, &news));
            sums.extend(rollups::merge(bucket, &parts));
        } else {
            let hours = if bucket == Bucket::Day { rollups::merge(Bucket::Hour, &news) } else { news };
            sums.extend(rollups::merge(bucket, &hours));
        }
        // What came for hours whose reports were deleted is in no sum before it is deleted itself.
        if let Some(purged) = progress.purged_until.filter(|purged| from < *purged) {
            let early = rollups::raw(&mut tx, family, kind, from, until.min(purged)).await?;
            for more in rollups::merge(bucket, &rollups::merge(Bucket::Hour.min(bucket), &early)) {
                match sums.iter_mut().find(|sum| sum.start == more.start) {
                    Some(sum) => sum.stats.add(&more.stats),
                    None => sums.push(more),
                }
            }
            sums.sort_by_key(|sum| sum.start);
        }
        Ok(Series { bucket, names: kind.fields, sums })
    }

    fn are_fives_gone(&self, start: Timestamp) -> bool {
        too_old(self.now(), self.settings.retention.five_minutes_days).is_some_and(|before| start < before)
    }

    /// Sums up what has come in; how many hours again, because of late reports. Of several servers one does.
    ///
    /// # Errors
    /// As the database.
    pub async fn roll_up(&self, stop: &CancellationToken) -> Result<usize> {
        self.polls.tidy(self.now());
        let kinds = Kind::all();
        let mut again = 0;
        while !stop.is_cancelled() && self.lead("rollups", LEASE).await? {
            let late = rollups::late(&mut self.db.read(), PAGE).await?;
            for (family, name, hour) in &late {
                match kinds.iter().find(|kind| kind.name == name) {
                    Some(kind) => rollups::roll_again(&self.db, *family, *kind, *hour).await?,
                    // Of a kind that there was.
                    None => transact!(self.db, tx => { rollups::forget(&mut tx, *family, name, *hour).await })?,
                }
            }
            again += late.len();
            if late.is_empty() {
                self.roll_news(&kinds, stop).await?;
                break;
            }
        }
        Ok(again)
    }

    /// Sums up hours that are over. Whoever did that for everybody looks again when the next hour is over.
    async fn roll_news(&self, kinds: &[Kind], stop: &CancellationToken) -> Result<()> {
        let until = Bucket::Hour.floor(self.now().plus_millis(-rollups::SETTLED));
        let rolled = || self.rolled.lock().unwrap_or_else(PoisonError::into_inner);
        if *rolled() == Some(until) {
            return Ok(());
        }
        let mut last = None;
        loop {
            let page = rollups::families(&mut self.db.read(), last, PAGE).await?;
            for family in &page {
                for kind in kinds {
                    while !stop.is_cancelled()
                        && self.lead("rollups", LEASE).await?
                        && rollups::roll(&self.db, *family, *kind, until).await?
                    {
                        // Between two steps the writer belongs to the others.
                        tokio::task::yield_now().await;
                    }
                    if stop.is_cancelled() {
                        return Ok(());
                    }
                }
            }
            last = page.last().copied();
            if page.len() < PAGE as usize {
                break;
            }
        }
        *rolled() = Some(until);
        Ok(())
    }

    /// Deletes reports and buckets that have been kept long enough, hour by hour. Of several servers one does.
    ///
    /// # Errors
    /// As the database.
    pub async fn delete_old_reports(&self, stop: &CancellationToken) -> Result<Purged> {
        let (mut purged, now, retention) = (Purged::default(), self.now(), self.settings.retention);
        if rollups::held(&mut self.db.read()).await?.is_some() {
            return Ok(Purged { is_held: true, ..purged });
        }
        let mut last = None;
        loop {
            let page = rollups::families(&mut self.db.read(), last, PAGE).await?;
            for family in &page {
                for (kind, days) in retention.kinds() {
                    // Counted from its newest report: a clock that is ahead makes nothing old, and of a robot that is silent
                    // its last reports stay.
                    let newest = rollups::newest(&mut self.db.read(), *family, kind).await?;
                    let Some(before) = newest.and_then(|newest| too_old(newest.min(now), days)) else { continue };
                    while !stop.is_cancelled() && self.lead("retention", LEASE).await? {
                        let Some(count) = rollups::purge(&self.db, *family, kind, before).await? else { break };
                        purged.reports += count;
                        tokio::task::yield_now().await;
                    }
                }
                for kind in Kind::all() {
                    let Some(before) = too_old(now, retention.five_minutes_days) else { break };
                    while !stop.is_cancelled()
                        && self.lead("retention", LEASE).await?
                        && rollups::purge_five_minutes(&self.db, *family, kind, before).await?
                    {
                        tokio::task::yield_now().await;
                    }
                }
                if stop.is_cancelled() {
                    return Ok(purged);
                }
            }
            last = page.last().copied();
            if page.len() < PAGE as usize {
                return Ok(purged);
            }
        }
    }
}
