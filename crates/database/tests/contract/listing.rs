use carebot_database::listing::{Key, Listing};
use carebot_database::messages::{self, Mailbox};
use carebot_database::{notifications, status};
use carebot_model::messages::NewMessage;
use carebot_model::notifications::{Grade, NewNotification};
use carebot_model::status::Home;
use carebot_testkit::database::START;

use crate::prelude::*;

/// How many rows there are: few enough for every size of page, enough for many with the same time.
const ROWS: usize = 24;

fn millis(number: i64) -> Timestamp {
    Timestamp::from_millis(START + number)
}

/// Times in no order, of which many are the same.
fn times(t: &TestDb) -> Vec<Timestamp> {
    (0..ROWS).map(|_| millis(i64::try_from(t.rng.next() % 9).unwrap() * 400)).collect()
}

async fn keys(
    t: &TestDb,
    listing: &Listing,
    order: Order,
    after: Option<Key>,
    floor: Option<Key>,
    limit: u32,
) -> (Vec<Key>, Option<Key>, bool) {
    let page = listing
        .page(&mut t.db.read(), order, after, floor, limit, Vec::new, |keys: &mut Vec<Key>, row| {
            keys.push(Key { time: row.get(0)?, id: row.get(1)? });
            Ok(())
        })
        .await
        .unwrap();
    (page.state, page.last, page.is_full)
}

/// All pages of a size, one after the other.
async fn paged(t: &TestDb, listing: &Listing, order: Order, floor: Option<Key>, size: u32) -> Vec<Key> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let (page, last, is_full) = keys(t, listing, order, after, floor, size).await;
        assert_eq!(is_full, page.len() == size as usize);
        assert_eq!(last, page.last().copied());
        all.extend(page);
        if !is_full {
            return all;
        }
        after = last;
    }
}

/// Compares every way to go through a list with the plain sorted one.
async fn compare(t: &TestDb, listing: &Listing, mut expected: Vec<Key>) {
    expected.sort_unstable();
    assert!(expected.len() > 3, "a list worth the comparison");
    let ordered = |order, keys: &[Key]| {
        let mut keys = keys.to_vec();
        if order == Order::Descending {
            keys.reverse();
        }
        keys
    };
    for order in [Order::Ascending, Order::Descending] {
        for size in 1..=u32::try_from(expected.len() + 1).unwrap() {
            assert_eq!(paged(t, listing, order, None, size).await, ordered(order, &expected), "{order}, {size} a page");
        }
        for (index, floor) in expected.iter().enumerate() {
            let newer = ordered(order, &expected[index + 1..]);
            assert_eq!(paged(t, listing, order, Some(*floor), 3).await, newer, "{order}, newer than {floor:?}");
        }
    }
    let tx = &mut t.db.read();
    for skip in 0..=expected.len() {
        let nth = expected.iter().rev().nth(skip).copied();
        assert_eq!(listing.nth_newest(tx, u32::try_from(skip).unwrap()).await.unwrap(), nth, "{skip}");
    }
    assert_eq!(listing.oldest(tx).await.unwrap(), expected.first().map(|key| key.time));
}

fn within(keys: &[Key], range: Range) -> Vec<Key> {
    keys.iter().copied().filter(|key| range.start <= key.time && key.time <= range.end).collect()
}

/// The first second of times, and a half of the next.
fn some() -> Range {
    Range { start: millis(800), end: millis(2_000) }
}

async fn reports(t: &TestDb, family: FamilyId) -> Vec<Key> {
    let mut keys = Vec::new();
    for (number, time) in (0..).zip(times(t)) {
        keys.push(Key { time, id: t.report_at(family, time, sample::<Home>(number)).await.id });
    }
    keys
}

both_engines! {
    async fn reports_page_by_page_are_the_sorted_list(t: TestDb) {
        let family = t.family().await;
        let expected = reports(&t, family).await;
        reports(&t, t.family().await).await;
        compare(&t, &status::listing::<Home>(&permit(family), Range::ALL), expected.clone()).await;
        compare(&t, &status::listing::<Home>(&permit(family), some()), within(&expected, some())).await;
    }

    async fn messages_page_by_page_are_the_sorted_list(t: TestDb) {
        let (elder, guardian) = (t.elder().await, t.guardian().await);
        let mut expected = Vec::new();
        for time in times(&t) {
            let new = NewMessage { from_id: guardian, to_id: elder, content: None, image_url: None };
            let back = NewMessage { from_id: elder, to_id: guardian, ..new.clone() };
            let (id, other) = (t.id(), t.id());
            transact!(t.db, tx => {
                messages::create(&mut tx, &permit(guardian), id, &new, time).await?;
                messages::create(&mut tx, &permit(elder), other, &back, time).await
            }).unwrap();
            expected.push(Key { time, id });
        }
        for (account, mailbox) in [(elder, Mailbox::Unread), (elder, Mailbox::Received), (guardian, Mailbox::Sent)] {
            compare(&t, &messages::listing(&permit(account), mailbox, Range::ALL), expected.clone()).await;
            compare(&t, &messages::listing(&permit(account), mailbox, some()), within(&expected, some())).await;
        }
        let read: Vec<RowId> = expected.iter().step_by(3).map(|key| key.id).collect();
        transact!(t.db, tx => { messages::mark_read(&mut tx, &permit(elder), &read).await }).unwrap();
        let unread = expected.into_iter().filter(|key| !read.contains(&key.id)).collect();
        compare(&t, &messages::listing(&permit(elder), Mailbox::Unread, Range::ALL), unread).await;
    }

    async fn notifications_page_by_page_are_the_sorted_list(t: TestDb) {
        let family = t.family().await;
        let mut expected = Vec::new();
        for time in times(&t) {
            let new = NewNotification { grade: Grade::Info, description: None, image_url: None };
            let id = t.id();
            transact!(t.db, tx => { notifications::create(&mut tx, &permit(family), id, &new, time).await }).unwrap();
            expected.push(Key { time, id });
        }
        for unread in [false, true] {
            compare(&t, &notifications::listing(&permit(family), unread, Range::ALL), expected.clone()).await;
            compare(&t, &notifications::listing(&permit(family), unread, some()), within(&expected, some())).await;
        }
        let read: Vec<RowId> = expected.iter().step_by(2).map(|key| key.id).collect();
        transact!(t.db, tx => { notifications::mark_read(&mut tx, &permit(family), &read).await }).unwrap();
        compare(&t, &notifications::listing(&permit(family), false, Range::ALL), expected.clone()).await;
        let left = expected.into_iter().filter(|key| !read.contains(&key.id)).collect();
        compare(&t, &notifications::listing(&permit(family), true, Range::ALL), left).await;
    }

    async fn rows_that_come_meanwhile_neither_shift_nor_repeat_a_page(t: TestDb) {
        let family = t.family().await;
        let mut expected = reports(&t, family).await;
        expected.sort_unstable();
        let listing = status::listing::<Home>(&permit(family), Range::ALL);
        let (mut seen, last, _) = keys(&t, &listing, Order::Ascending, None, None, 10).await;
        // Older than what was seen, and newer than everything.
        t.report_at(family, millis(-1), sample::<Home>(1)).await;
        let newest = t.report_at(family, millis(1_000_000), sample::<Home>(2)).await;
        seen.extend(keys(&t, &listing, Order::Ascending, last, None, 1_000).await.0);
        expected.push(Key { time: newest.reported_at, id: newest.id });
        assert_eq!(seen, expected);
    }

    async fn an_empty_list_has_no_page_no_key_and_no_times(t: TestDb) {
        let family = t.family().await;
        let listing = status::listing::<Home>(&permit(family), Range::ALL);
        assert_eq!(keys(&t, &listing, Order::Ascending, None, None, 10).await, (vec![], None, false));
        let tx = &mut t.db.read();
        assert_eq!(listing.nth_newest(tx, 0).await.unwrap(), None);
        assert_eq!(listing.oldest(tx).await.unwrap(), None);
        assert_eq!(listing.probe(tx, millis(0), 10, 10).await.unwrap(), []);
        let none = listing.at_times(tx, &[], Order::Ascending, Vec::<()>::new, |_, _| Ok(())).await.unwrap();
        assert_eq!(none, []);
    }

    async fn probes_find_the_first_row_of_each_step(t: TestDb) {
        let family = t.family().await;
        let expected = reports(&t, family).await;
        reports(&t, t.family().await).await;
        let listing = status::listing::<Home>(&permit(family), Range::ALL);
        let tx = &mut t.db.read();
        for from in [-500, 0, 1, 399, 400, 3_200, 3_201] {
            for step in [1, 399, 400, 401, 1_000, 10_000] {
                for probes in [1, 2, 7, Listing::PROBES] {
                    let naive: Vec<Timestamp> = (0..i64::from(probes))
                        .filter_map(|number| {
                            let first = millis(from + number * step);
                            let last = first.plus_millis(step - 1);
                            expected.iter().map(|key| key.time).filter(|time| first <= *time && *time <= last).min()
                        })
                        .collect();
                    let found = listing.probe(tx, millis(from), step, probes).await.unwrap();
                    assert_eq!(found, naive, "from {from}, every {step}, {probes} probes");
                }
            }
        }
    }

    async fn each_time_gives_one_row(t: TestDb) {
        let family = t.family().await;
        let rows = reports(&t, family).await;
        let listing = status::listing::<Home>(&permit(family), Range::ALL);
        let tx = &mut t.db.read();
        let mut times = listing.probe(tx, millis(0), 400, 9).await.unwrap();
        let mut distinct: Vec<Timestamp> = rows.iter().map(|key| key.time).collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(times, distinct);
        times.remove(1);
        for order in [Order::Ascending, Order::Descending] {
            let found = listing
                .at_times(tx, &times, order, Vec::new, |keys: &mut Vec<Key>, row| {
                    keys.push(Key { time: row.get(0)?, id: row.get(1)? });
                    Ok(())
                })
                .await
                .unwrap();
            let mut expected = times.clone();
            if order == Order::Descending {
                expected.reverse();
            }
            assert_eq!(found.iter().map(|key| key.time).collect::<Vec<_>>(), expected, "{order}");
            assert!(found.iter().all(|key| rows.contains(key)));
        }
    }

    async fn a_full_set_of_probes_is_read_at_once(t: TestDb) {
        let family = t.family().await;
        transact!(t.db, tx => {
            for number in 0..i64::from(Listing::PROBES) {
                let report = status::NewReport { reported_at: millis(number * 10), ..t.new_report(blank::<Home>()) };
                status::create(&mut tx, &permit(family), &report).await?;
            }
            Ok::<_, DbError>(())
        }).unwrap();
        let listing = status::listing::<Home>(&permit(family), Range::ALL);
        let tx = &mut t.db.read();
        let times = listing.probe(tx, millis(0), 10, u32::MAX).await.unwrap();
        assert_eq!(times.len(), Listing::PROBES as usize, "never more than that");
        let count = listing.at_times(tx, &times, Order::Ascending, || 0, |count, _| { *count += 1; Ok(()) }).await.unwrap();
        assert_eq!(count, Listing::PROBES);
    }
}
