//! Sums of reports are what the reports sum up to, however and how often they were made.

use std::collections::BTreeMap;

use carebot_database::rollups::{self, Kind, Progress};
use carebot_database::{Db, deletion, families, status};
use carebot_model::korea;
use carebot_model::status::series::{Bucket, Sum};
use carebot_model::status::{Active, Health, Home, StatusKind};
use carebot_testkit::database::START;

use crate::prelude::*;

const HOUR: i64 = 3_600_000;
const HOME: Kind = Kind::of::<Home>();

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(START + millis)
}

/// Air with numbers that add up without rounding; some are not there.
fn air(number: u64) -> Home {
    let quarter = |number: u64| f64::from(u32::try_from(number % 200).unwrap()) / 4.0 - 10.0;
    Home {
        temperature: (!number.is_multiple_of(5)).then(|| quarter(number)),
        humidity: Some(quarter(number / 7)),
        dust_level: None,
        ethanol: number.is_multiple_of(3).then(|| quarter(number / 11)),
        others: None,
    }
}

fn numbers(fields: &Home) -> [Option<f64>; 4] {
    [fields.temperature, fields.humidity, fields.dust_level, fields.ethanol]
}

/// What was reported, in the order of its storage.
type Reports = Vec<(Timestamp, Home)>;

async fn store(t: &TestDb, family: FamilyId, reports: &[(Timestamp, Home)]) {
    for chunk in reports.chunks(100) {
        transact!(t.db, tx => {
            for (time, fields) in chunk {
                let report = status::NewReport { reported_at: *time, ..t.new_report(fields.clone()) };
                status::create(&mut tx, &permit(family), &report).await?;
            }
            Ok::<_, DbError>(())
        })
        .unwrap();
    }
}

/// A late report, with its note.
async fn store_late(t: &TestDb, family: FamilyId, (time, fields): (Timestamp, Home)) {
    let report = status::NewReport { reported_at: time, ..t.new_report(fields) };
    transact!(t.db, tx => {
        status::create(&mut tx, &permit(family), &report).await?;
        rollups::note_late(&mut tx, family, Home::NAME, [time]).await
    })
    .unwrap();
}

fn random(t: &TestDb, count: u64, from: i64, until: i64) -> Reports {
    let span = u64::try_from(until - from).unwrap();
    let one = |_| {
        let time = at(from + i64::try_from(t.rng.next() % span).unwrap());
        (time, air(t.rng.next()))
    };
    (0..count).map(one).collect()
}

/// Count of reports; count, least, greatest and sum of each number.
type Naive = BTreeMap<i64, (u64, Vec<(u64, f64, f64, f64)>)>;

fn naive(reports: &[(Timestamp, Home)], size: Bucket, until: Timestamp) -> Naive {
    let mut buckets = Naive::new();
    for (time, fields) in reports.iter().filter(|(time, _)| *time < until) {
        let start = match size {
            Bucket::FiveMinutes => time.millis() / 300_000 * 300_000,
            Bucket::Hour => time.millis() / HOUR * HOUR,
            Bucket::Day => korea::start_of(korea::date(*time)).millis(),
        };
        let none = || (0, vec![(0, f64::INFINITY, f64::NEG_INFINITY, 0.0); 4]);
        let (count, sums) = buckets.entry(start).or_insert_with(none);
        *count += 1;
        for (sum, number) in sums.iter_mut().zip(numbers(fields)) {
            if let Some(number) = number {
                *sum = (sum.0 + 1, sum.1.min(number), sum.2.max(number), sum.3 + number);
            }
        }
    }
    buckets
}

fn shown(sums: &[Sum]) -> Naive {
    let field = |field: &carebot_model::status::series::Field| {
        if field.count == 0 {
            (0, f64::INFINITY, f64::NEG_INFINITY, 0.0)
        } else {
            (field.count, field.min, field.max, field.sum)
        }
    };
    sums.iter()
        .map(|sum| (sum.start.millis(), (sum.stats.count, sum.stats.fields.iter().map(field).collect())))
        .collect()
}

async fn stored(t: &TestDb, family: FamilyId, size: Bucket) -> Vec<Sum> {
    let all = (Timestamp::MIN, Timestamp::MAX);
    rollups::stored(&mut t.db.read(), family, HOME, size, all).await.unwrap()
}

async fn assert_right(t: &TestDb, family: FamilyId, reports: &[(Timestamp, Home)], until: Timestamp) {
    for size in [Bucket::FiveMinutes, Bucket::Hour, Bucket::Day] {
        assert_eq!(shown(&stored(t, family, size).await), naive(reports, size, until), "{size}");
    }
}

async fn roll_all(db: &Db, family: FamilyId, until: Timestamp) {
    while rollups::roll(db, family, HOME, until).await.unwrap() {}
}

async fn roll_late(db: &Db) {
    for (family, _, hour) in rollups::late(&mut db.read(), 1_000).await.unwrap() {
        rollups::roll_again(db, family, HOME, hour).await.unwrap();
    }
}

async fn progress(t: &TestDb, family: FamilyId) -> Progress {
    rollups::progress(&mut t.db.read(), family, Home::NAME).await.unwrap()
}

async fn everything(t: &TestDb, family: FamilyId) -> Vec<Vec<Sum>> {
    let mut all = Vec::new();
    for size in [Bucket::FiveMinutes, Bucket::Hour, Bucket::Day] {
        all.push(stored(t, family, size).await);
    }
    all
}

both_engines! {
    async fn sums_are_what_the_reports_sum_up_to(t: TestDb) {
        let (family, other) = (t.family().await, t.family().await);
        let mut reports = random(&t, 300, -3 * 24 * HOUR, 0);
        // Around a Korean midnight, which is 15:00 UTC: the test's day begins at 09:00.
        reports.extend([6 * HOUR - 1, 6 * HOUR, 6 * HOUR + 1, -18 * HOUR - 1, -18 * HOUR].map(|time| (at(time), air(1))));
        // Three hours in which nothing was reported.
        reports.retain(|(time, _)| !(at(-10 * HOUR)..at(-7 * HOUR)).contains(time));
        store(&t, family, &reports).await;
        store(&t, other, &random(&t, 20, -HOUR, 0)).await;
        // Half an hour after an hour: only whole ones are summed up.
        roll_all(&t.db, family, at(7 * HOUR + HOUR / 2)).await;
        assert_right(&t, family, &reports, at(7 * HOUR)).await;
        assert_eq!(stored(&t, other, Bucket::Hour).await, []);
        let days = stored(&t, family, Bucket::Day).await;
        assert!(days.iter().all(|day| day.start.to_string().ends_with("T15:00:00")), "{days:?}");
    }

    async fn rolling_twice_or_in_pieces_changes_nothing(t: TestDb) {
        let (family, twin) = (t.family().await, t.family().await);
        let reports = random(&t, 200, -4 * 24 * HOUR, 0);
        store(&t, family, &reports).await;
        store(&t, twin, &reports).await;
        roll_all(&t.db, family, at(0)).await;
        let once = everything(&t, family).await;
        // Again from the beginning, and from the middle.
        for from in [-5 * 24 * HOUR, -30 * HOUR - 1] {
            transact!(t.db, tx => { rollups::rewind(&mut tx, family, Home::NAME, at(from)).await }).unwrap();
            roll_all(&t.db, family, at(0)).await;
            assert_eq!(everything(&t, family).await, once);
        }
        for hours in (0..=96).rev().step_by(7) {
            // As a server that is stopped after each step, and one that looks every hour.
            rollups::roll(&t.db, twin, HOME, at(-hours * HOUR)).await.unwrap();
        }
        roll_all(&t.db, twin, at(0)).await;
        assert_eq!(everything(&t, twin).await, once);
        assert!(!rollups::roll(&t.db, family, HOME, at(0)).await.unwrap(), "there is nothing left");
    }

    async fn a_late_report_has_its_hour_summed_up_again(t: TestDb) {
        let family = t.family().await;
        let mut reports = random(&t, 150, -2 * 24 * HOUR, 0);
        store(&t, family, &reports).await;
        roll_all(&t.db, family, at(0)).await;
        let before = progress(&t, family).await;
        for late in random(&t, 20, -3 * 24 * HOUR, 0) {
            store_late(&t, family, late.clone()).await;
            reports.push(late);
        }
        // One that has not been summed up at all yet, and comes to the others later.
        store_late(&t, family, (at(HOUR / 2), air(1))).await;
        reports.push((at(HOUR / 2), air(1)));
        roll_late(&t.db).await;
        assert_right(&t, family, &reports, at(0)).await;
        assert_eq!(rollups::late(&mut t.db.read(), 10).await.unwrap(), []);
        let after = progress(&t, family).await;
        assert_eq!((after.late, after.deep), (before.late + 21, before.deep), "whoever keeps reports sees it");
        roll_all(&t.db, family, at(HOUR)).await;
        assert_right(&t, family, &reports, at(HOUR)).await;
    }

    async fn a_report_that_is_deleted_is_no_longer_summed_up(t: TestDb) {
        let family = t.family().await;
        let mut reports = random(&t, 30, -2 * HOUR, -HOUR);
        store(&t, family, &reports).await;
        roll_all(&t.db, family, at(0)).await;
        let deep = progress(&t, family).await.deep;
        assert!(transact!(t.db, tx => { status::delete_latest::<Home>(&mut tx, &permit(family)).await }).unwrap());
        reports.sort_by_key(|(time, _)| *time);
        reports.pop();
        roll_late(&t.db).await;
        assert_right(&t, family, &reports, at(0)).await;
        assert_eq!(progress(&t, family).await.deep, deep + 1);
    }

    async fn totals_before_and_after_a_purge_are_equal(t: TestDb) {
        let family = t.family().await;
        let mut reports = random(&t, 300, -4 * 24 * HOUR, 0);
        store(&t, family, &reports).await;
        roll_all(&t.db, family, at(0)).await;
        // Two that nobody has noted, so that the sums are wrong until the purge mends them.
        let forgotten = [(at(-50 * HOUR), air(7)), (at(-51 * HOUR + 1), air(9))];
        store(&t, family, &forgotten).await;
        reports.extend(forgotten);
        let before = at(-30 * HOUR);
        let mut purged = 0;
        while let Some(count) = rollups::purge(&t.db, family, HOME, before).await.unwrap() {
            purged += count;
        }
        let old = reports.iter().filter(|(time, _)| *time < before).count();
        assert_eq!(purged, u64::try_from(old).unwrap());
        assert_right(&t, family, &reports, at(0)).await;
        let left = status::list::<Home>(&mut t.db.read(), &permit(family), Range::ALL, Order::Ascending, 1_000).await.unwrap();
        assert_eq!(left.len(), reports.len() - old);
        assert!(left.iter().all(|report| report.reported_at >= before));
        // What comes in so late that the others of its hour are gone is added to them.
        let straggler = (at(-40 * HOUR), air(4));
        store_late(&t, family, straggler.clone()).await;
        reports.push(straggler);
        roll_late(&t.db).await;
        assert_eq!(rollups::purge(&t.db, family, HOME, before).await.unwrap(), Some(1));
        assert_right(&t, family, &reports, at(0)).await;
        // And nothing is summed up from reports that are gone.
        transact!(t.db, tx => { rollups::rewind(&mut tx, family, Home::NAME, at(-200 * HOUR)).await }).unwrap();
        roll_all(&t.db, family, at(0)).await;
        assert_right(&t, family, &reports, at(0)).await;
    }

    async fn what_is_not_summed_up_is_not_deleted(t: TestDb) {
        let family = t.family().await;
        store(&t, family, &random(&t, 20, -4 * HOUR, -2 * HOUR)).await;
        assert_eq!(rollups::purge(&t.db, family, HOME, at(0)).await.unwrap(), None);
        roll_all(&t.db, family, at(0)).await;
        assert!(rollups::purge(&t.db, family, HOME, at(0)).await.unwrap().is_some());
    }

    async fn sums_of_five_minutes_go_and_those_of_hours_stay(t: TestDb) {
        let family = t.family().await;
        let reports = random(&t, 100, -10 * 24 * HOUR, 0);
        store(&t, family, &reports).await;
        roll_all(&t.db, family, at(0)).await;
        let before = at(-24 * HOUR);
        while rollups::purge_five_minutes(&t.db, family, HOME, before).await.unwrap() {}
        assert!(stored(&t, family, Bucket::FiveMinutes).await.iter().all(|sum| sum.start >= before));
        for size in [Bucket::Hour, Bucket::Day] {
            assert_eq!(shown(&stored(&t, family, size).await), naive(&reports, size, at(0)));
        }
        // An hour whose five minutes are gone is still summed up again as a whole.
        let late = (at(-5 * 24 * HOUR), air(3));
        store_late(&t, family, late.clone()).await;
        roll_late(&t.db).await;
        let all: Reports = reports.into_iter().chain([late]).collect();
        assert_eq!(shown(&stored(&t, family, Bucket::Day).await), naive(&all, Bucket::Day, at(0)));
    }

    async fn sums_of_whole_numbers_are_read_as_well(t: TestDb) {
        let family = t.family().await;
        for (number, rate) in [(0, Some(60)), (1, None), (2, Some(81))] {
            t.report_at(family, at(number * 1_000), Health { heart_rate: rate }).await;
        }
        t.report_at(family, at(0), Active { score: Some(7), ..carebot_testkit::fixtures::blank() }).await;
        for (kind, expected) in [
            (Kind::of::<Health>(), (3, 2, 60.0, 81.0, 141.0)),
            (Kind::of::<Active>(), (1, 1, 7.0, 7.0, 7.0)),
        ] {
            let sums = rollups::raw(&mut t.db.read(), family, kind, at(0), at(HOUR)).await.unwrap();
            let stats = &sums[0].stats;
            let field = stats.fields[0];
            assert_eq!((stats.count, field.count, field.min, field.max, field.sum), expected, "{}", kind.name);
        }
    }

    async fn a_deleted_family_leaves_no_sums(t: TestDb) {
        let family = t.family().await;
        store(&t, family, &random(&t, 100, -10 * 24 * HOUR, 0)).await;
        roll_all(&t.db, family, at(0)).await;
        store_late(&t, family, (at(-HOUR), air(1))).await;
        assert!(transact!(t.db, tx => { families::delete(&mut tx, &permit(family), t.now()).await }).unwrap());
        assert_eq!(rollups::families(&mut t.db.read(), None, 10).await.unwrap(), [], "it is not summed up any more");
        while deletion::step(&t.db).await.unwrap() {}
        assert_eq!(everything(&t, family).await, vec![Vec::new(); 3]);
        assert_eq!(progress(&t, family).await, Progress::default());
        assert_eq!(rollups::late(&mut t.db.read(), 10).await.unwrap(), []);
        assert!(!rollups::roll(&t.db, family, HOME, at(0)).await.unwrap());
    }

    async fn an_operator_agrees_once(t: TestDb) {
        assert_eq!(rollups::held(&mut t.db.read()).await.unwrap(), None, "a new database has nothing to lose");
        transact!(t.db, tx => { rollups::hold(&mut tx, "a reason").await }).unwrap();
        assert_eq!(rollups::held(&mut t.db.read()).await.unwrap().as_deref(), Some("a reason"));
        assert!(transact!(t.db, tx => { rollups::release(&mut tx).await }).unwrap());
        assert!(!transact!(t.db, tx => { rollups::release(&mut tx).await }).unwrap());
        assert_eq!(rollups::held(&mut t.db.read()).await.unwrap(), None);
    }
}
