use carebot_database::status::{self, NewReport};
use carebot_model::for_each_status_kind;
use carebot_model::status::{Active, Health, Home, Mental, MentalReport, RangeOn, Report, StatusKind};
use carebot_testkit::database::START;

use crate::prelude::*;

fn second(number: i64) -> Timestamp {
    Timestamp::from_millis(START + number * 1_000)
}

fn as_read<K: StatusKind>(family: FamilyId, new: &NewReport<K>) -> Report<K> {
    Report { index: new.id, family_id: family, reported_at: new.reported_at, fields: new.fields.clone() }
}

async fn latest<K: StatusKind>(t: &TestDb, family: FamilyId) -> Option<Report<K>> {
    status::latest::<K>(&mut t.db.read(), &permit(family)).await.unwrap()
}

async fn list<K: StatusKind>(t: &TestDb, family: FamilyId, range: Range, order: Order, limit: u32) -> Vec<Report<K>> {
    status::list::<K>(&mut t.db.read(), &permit(family), range, order, limit).await.unwrap()
}

async fn all<K: StatusKind>(t: &TestDb, family: FamilyId) -> Vec<Report<K>> {
    list(t, family, Range::ALL, Order::Ascending, 1_000).await
}

async fn delete_latest<K: StatusKind>(t: &TestDb, family: FamilyId) -> bool {
    transact!(t.db, tx => { status::delete_latest::<K>(&mut tx, &permit(family)).await }).unwrap()
}

async fn create<K: StatusKind>(t: &TestDb, family: FamilyId, report: &NewReport<K>) -> Result<RowId, DbError> {
    transact!(t.db, tx => { status::create(&mut tx, &permit(family), report).await })
}

/// Stored in a transaction and through the group commit, read, deleted from the newest on.
async fn comes_and_goes<K: StatusKind>(t: &TestDb) {
    let (family, other) = (t.family().await, t.family().await);
    assert_eq!(latest::<K>(t, family).await, None, "{}", K::NAME);
    assert_eq!(all::<K>(t, family).await, [], "{}", K::NAME);
    assert!(!delete_latest::<K>(t, family).await, "{}", K::NAME);

    let first = NewReport { reported_at: second(1), ..t.new_report(sample::<K>(1)) };
    assert_eq!(create(t, family, &first).await.unwrap(), first.id);
    let second = t.report_at(family, second(2), sample::<K>(2)).await;
    let foreign = t.report_at(other, second.reported_at.plus_millis(5_000), sample::<K>(3)).await;
    let (first, second) = (as_read(family, &first), as_read(family, &second));
    assert_eq!(latest::<K>(t, family).await, Some(second.clone()));
    assert_eq!(all::<K>(t, family).await, [first.clone(), second.clone()]);
    assert_eq!(list(t, family, Range::ALL, Order::Descending, 10).await, [second.clone(), first.clone()]);
    assert_eq!(list(t, family, Range::ALL, Order::Ascending, 1).await, [second], "a limit keeps the newest");

    assert!(delete_latest::<K>(t, family).await);
    assert_eq!(latest::<K>(t, family).await, Some(first));
    assert!(delete_latest::<K>(t, family).await);
    assert!(!delete_latest::<K>(t, family).await);
    assert_eq!(all::<K>(t, other).await, [as_read(other, &foreign)], "another family keeps its own");
}

async fn unknown_stays_unknown<K: StatusKind>(t: &TestDb) {
    let family = t.family().await;
    let report = t.report(family, blank::<K>()).await;
    assert_eq!(latest::<K>(t, family).await, Some(as_read(family, &report)), "{}", K::NAME);
}

async fn the_same_time_is_sorted_by_number<K: StatusKind>(t: &TestDb) {
    let family = t.family().await;
    let mut numbers = Vec::new();
    for _ in 0..3 {
        numbers.push(t.report_at(family, second(1), sample::<K>(1)).await.id);
    }
    let ids = |reports: Vec<Report<K>>| reports.into_iter().map(|report| report.index).collect::<Vec<_>>();
    assert_eq!(ids(all(t, family).await), numbers, "{}", K::NAME);
    assert_eq!(latest::<K>(t, family).await.unwrap().index, numbers[2]);
    assert!(delete_latest::<K>(t, family).await);
    numbers.pop();
    numbers.reverse();
    assert_eq!(ids(list(t, family, Range::ALL, Order::Descending, 10).await), numbers);
}

async fn errors_are_typed<K: StatusKind>(t: &TestDb) {
    let (family, other) = (t.family().await, t.family().await);
    let nothing = FamilyId::parse("F234567890123456").unwrap();
    let report = t.new_report(sample::<K>(1));
    assert!(matches!(create(t, nothing, &report).await, Err(DbError::MissingParent)), "{}", K::NAME);
    assert!(matches!(status::append(&t.db, &permit(nothing), &report).await, Err(DbError::MissingParent)));

    let keyed = |key: &str| NewReport { source_key: Some(key.to_owned()), ..t.new_report(sample::<K>(1)) };
    create(t, family, &keyed("robot-1")).await.unwrap();
    let error = create(t, family, &keyed("robot-1")).await.unwrap_err();
    assert!(error.is_duplicate("source"), "{error}");
    let error = status::append(&t.db, &permit(family), &keyed("robot-1")).await.unwrap_err();
    assert!(error.is_duplicate("source"), "{error}");
    create(t, other, &keyed("robot-1")).await.expect("another family has keys of its own");
    for text in TEXTS.iter().chain(&["ROBOT-1", "robot-1 ", "robot-１"]) {
        create(t, family, &keyed(text)).await.expect("only the very same key is the same");
    }
    create(t, family, &report).await.expect("without a key");
    create(t, family, &t.new_report(sample::<K>(1))).await.expect("without a key as often as one likes");
}

async fn gone_with_its_family<K: StatusKind>(t: &TestDb) {
    let family = t.family().await;
    t.report(family, sample::<K>(1)).await;
    assert!(latest::<K>(t, family).await.is_some());
    assert!(
        transact!(t.db, tx => {
            carebot_database::families::delete(&mut tx, &permit(family), t.now()).await
        })
        .unwrap()
    );
    // Nobody gets a permit for it any more; the rows themselves go step by step.
    while carebot_database::deletion::step(&t.db).await.unwrap() {}
    assert_eq!(latest::<K>(t, family).await, None, "{}", K::NAME);
    assert_eq!(all::<K>(t, family).await, [], "{}", K::NAME);
    assert!(!delete_latest::<K>(t, family).await, "{}", K::NAME);
}

both_engines! {
    async fn reports_of_every_kind_come_and_go(t: TestDb) {
        macro_rules! kind { ($kind:ident) => { comes_and_goes::<$kind>(&t).await }; }
        for_each_status_kind!(kind);
    }

    async fn what_no_kind_knows_stays_unknown(t: TestDb) {
        macro_rules! kind { ($kind:ident) => { unknown_stays_unknown::<$kind>(&t).await }; }
        for_each_status_kind!(kind);
    }

    async fn reports_of_the_same_time_are_sorted_by_number(t: TestDb) {
        macro_rules! kind { ($kind:ident) => { the_same_time_is_sorted_by_number::<$kind>(&t).await }; }
        for_each_status_kind!(kind);
    }

    async fn a_missing_family_and_a_known_key_are_typed_errors(t: TestDb) {
        macro_rules! kind { ($kind:ident) => { errors_are_typed::<$kind>(&t).await }; }
        for_each_status_kind!(kind);
    }

    async fn reports_are_gone_with_their_family(t: TestDb) {
        macro_rules! kind { ($kind:ident) => { gone_with_its_family::<$kind>(&t).await }; }
        for_each_status_kind!(kind);
    }

    async fn the_number_of_the_newest_is_found_for_many_families(t: TestDb) {
        let (one, other, without) = (t.family().await, t.family().await, t.family().await);
        t.report_at(one, second(1), sample::<Health>(1)).await;
        let newest = t.report_at(one, second(3), sample::<Health>(2)).await.id;
        // It came in last and is not the newest.
        t.report_at(one, second(2), sample::<Health>(3)).await;
        let others = t.report_at(other, second(1), sample::<Health>(4)).await.id;
        let mut found = status::newest_of::<Health>(&mut t.db.read(), &[one, other, without]).await.unwrap();
        found.sort_unstable();
        let mut expected = [(one, newest), (other, others)];
        expected.sort_unstable();
        assert_eq!(found, expected);
        assert!(status::newest_of::<Home>(&mut t.db.read(), &[one]).await.unwrap().is_empty());
        assert!(status::newest_of::<Health>(&mut t.db.read(), &[]).await.unwrap().is_empty());
    }

    async fn a_range_is_closed_to_the_second(t: TestDb) {
        let family = t.family().await;
        // By millisecond: outside, first of the range, last of the range, outside.
        for (number, millis) in [(1, 9_999), (2, 10_000), (3, 12_999), (4, 13_000)] {
            t.report_at(family, second(0).plus_millis(millis), sample::<Health>(number)).await;
        }
        // Given with milliseconds that do not count.
        let range = Range::seconds(second(10).plus_millis(700), second(12).plus_millis(1));
        let found = list::<Health>(&t, family, range, Order::Ascending, 10).await;
        assert_eq!(found.iter().map(|report| report.fields.clone()).collect::<Vec<_>>(), [sample(2), sample(3)]);
        let none = Range::seconds(second(11), second(12).plus_millis(-1_000));
        assert_eq!(list::<Health>(&t, family, none, Order::Ascending, 10).await, []);
        let backwards = Range::seconds(second(12), second(10));
        assert_eq!(list::<Health>(&t, family, backwards, Order::Ascending, 10).await, []);
    }

    async fn the_whole_of_time_can_be_stored_and_asked_for(t: TestDb) {
        let family = t.family().await;
        for at in [Timestamp::MIN, Timestamp::from_millis(-1), Timestamp::from_millis(0), Timestamp::MAX] {
            t.report_at(family, at, sample::<Mental>(1)).await;
        }
        let times: Vec<Timestamp> = all::<Mental>(&t, family).await.iter().map(|report| report.reported_at).collect();
        assert_eq!(times, [Timestamp::MIN, Timestamp::from_millis(-1), Timestamp::from_millis(0), Timestamp::MAX]);
    }

    async fn a_period_is_found_by_where_it_starts_or_ends(t: TestDb) {
        assert_eq!(MentalReport::RANGE, RangeOn::Period);
        let family = t.family().await;
        let period = |start, end| MentalReport {
            start_time: Some(second(start)),
            end_time: Some(second(end)),
            ..blank::<MentalReport>()
        };
        // Reported in another order than the periods'.
        for (reported, start, end) in [(1, 30, 40), (2, 10, 20), (3, 0, 100), (4, 20, 30)] {
            t.report_at(family, second(reported), period(start, end)).await;
        }
        let starts = async |from, to, order| -> Vec<i64> {
            let reports = list::<MentalReport>(&t, family, Range::seconds(second(from), second(to)), order, 10).await;
            reports.iter().map(|report| report.fields.start_time.unwrap().since(second(0)) / 1_000).collect()
        };
        assert_eq!(starts(15, 25, Order::Ascending).await, [10, 20]);
        assert_eq!(starts(15, 25, Order::Descending).await, [20, 10]);
        assert_eq!(starts(100, 100, Order::Ascending).await, [0], "by its end");
        assert_eq!(starts(0, 0, Order::Ascending).await, [0], "by its start");
        assert_eq!(starts(41, 99, Order::Ascending).await, [0; 0], "one that covers the range alone is not found");
        assert_eq!(starts(0, 100, Order::Ascending).await, [0, 10, 20, 30]);
        assert_eq!(latest::<MentalReport>(&t, family).await.unwrap().reported_at, second(4), "latest is by report");
    }

    async fn doubles_come_back_to_the_last_bit(t: TestDb) {
        let family = t.family().await;
        let values = [
            0.1 + 0.2, 1e-308, 5e-324, f64::MIN_POSITIVE, f64::MAX, f64::MIN, f64::EPSILON, 1.0 / 3.0, -40.0, 0.0,
            9_007_199_254_740_993.0, 1e15, 1e16, 123_456_789.123_456_79, 4_294_967_296.0, 21.5,
        ];
        for value in values {
            t.advance(1).await;
            let fields = Home { temperature: Some(value), humidity: Some(-value), ..blank::<Home>() };
            t.report(family, fields).await;
            let read = latest::<Home>(&t, family).await.unwrap().fields;
            assert_eq!(read.temperature.map(f64::to_bits), Some(value.to_bits()), "{value:e}");
            assert_eq!(read.humidity, Some(-value), "{value:e}");
        }
    }

    async fn zero_has_no_sign(t: TestDb) {
        let family = t.family().await;
        t.report(family, Home { temperature: Some(-0.0), ..blank::<Home>() }).await;
        let read = latest::<Home>(&t, family).await.unwrap().fields.temperature.unwrap();
        assert_eq!(read.to_bits(), 0.0_f64.to_bits(), "SQLite keeps no sign of zero, so neither engine does");
    }

    async fn the_greatest_and_smallest_numbers_fit(t: TestDb) {
        let family = t.family().await;
        for value in [i32::MIN, -1, 0, i32::MAX] {
            t.advance(1).await;
            let fields = Active { score: Some(value), ..sample::<Active>(1) };
            t.report(family, fields.clone()).await;
            assert_eq!(latest::<Active>(&t, family).await.unwrap().fields, fields);
        }
    }

    async fn every_text_comes_back_as_it_went_in(t: TestDb) {
        let family = t.family().await;
        for text in TEXTS {
            t.advance(1).await;
            let text = Some((*text).to_owned());
            let active = Active {
                action: text.clone(),
                description: text.clone(),
                image_url: text.clone(),
                ..sample::<Active>(1)
            };
            let mental = Mental { description: text.clone(), ..sample::<Mental>(1) };
            let period = MentalReport { summary: text.clone(), ..sample::<MentalReport>(1) };
            t.report(family, Home { others: text.clone(), ..sample::<Home>(1) }).await;
            t.report(family, active.clone()).await;
            t.report(family, mental.clone()).await;
            t.report(family, period.clone()).await;
            assert_eq!(latest::<Home>(&t, family).await.unwrap().fields.others, text);
            assert_eq!(latest::<Active>(&t, family).await.unwrap().fields, active);
            assert_eq!(latest::<Mental>(&t, family).await.unwrap().fields, mental);
            assert_eq!(latest::<MentalReport>(&t, family).await.unwrap().fields, period);
        }
    }

    async fn the_longest_text_fits(t: TestDb) {
        let family = t.family().await;
        let text = Some("한".repeat(21_845));
        let fields = Active { description: text.clone(), image_url: text, action: Some("👵".repeat(32)), ..sample::<Active>(1) };
        t.report(family, fields.clone()).await;
        assert_eq!(latest::<Active>(&t, family).await.unwrap().fields, fields);
    }

    async fn a_family_is_told_from_another_by_letter_case(t: TestDb) {
        let family = t.family().await;
        t.report(family, sample::<Home>(1)).await;
        let other = FamilyId::parse(&other_case(family.as_str())).unwrap();
        assert_eq!(latest::<Home>(&t, other).await, None);
        assert_eq!(all::<Home>(&t, other).await, []);
        assert!(!delete_latest::<Home>(&t, other).await);
    }

    async fn two_who_delete_the_latest_delete_two(t: TestDb) {
        let family = t.family().await;
        let count = 8;
        for number in 0..count {
            t.report_at(family, second(i64::from(number)), sample::<Home>(number)).await;
        }
        let deletions = (0..count).map(|_| {
            let t = t.clone();
            tokio::spawn(async move { delete_latest::<Home>(&t, family).await })
        });
        for deletion in deletions.collect::<Vec<_>>() {
            assert!(deletion.await.unwrap(), "there was one for everybody");
        }
        assert_eq!(all::<Home>(&t, family).await, []);
    }
}
