use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use carebot_database::journal::{self, Journal, Written};
use carebot_database::{Tx, families};
use carebot_model::alarms::EventKind;
use serde_json::json;
use tokio::sync::Barrier;

use crate::prelude::*;

async fn write(t: &TestDb, family: FamilyId, numbers: impl IntoIterator<Item = i64>) -> Written {
    let numbers: Vec<i64> = numbers.into_iter().collect();
    transact!(t.db, tx => {
        let mut journal = Journal::open(&mut tx, family, t.now()).await?;
        for number in &numbers {
            journal.event(EventKind::Report, &json!({"n": number}));
        }
        journal.close(&mut tx).await
    })
    .unwrap()
}

async fn seqs(tx: &mut Tx, family: FamilyId, after: i64) -> Vec<i64> {
    let events = journal::events_after(tx, &permit(family), after, 10_000).await.unwrap();
    events.into_iter().map(|event| event.seq).collect()
}

both_engines! {
    async fn events_are_numbered_per_family_and_read_in_order(t: TestDb) {
        let (one, other) = (t.family().await, t.family().await);
        assert_eq!(journal::event_bounds(&mut t.db.read(), &permit(one)).await.unwrap(), (1, 0));
        assert_eq!(write(&t, one, [1, 2]).await.event_seq, 2);
        assert_eq!(write(&t, other, [1]).await.event_seq, 1);
        t.advance(1_000).await;
        let written = write(&t, one, [3]).await;
        assert_eq!((written.family, written.event_seq, written.entry_seq, written.head), (one, 3, None, None));
        let events = journal::events_after(&mut t.db.read(), &permit(one), 1, 10).await.unwrap();
        let told: Vec<_> =
            events.iter().map(|event| (event.family, event.seq, event.kind, event.between, event.body.as_str())).collect();
        assert_eq!(told, [
            (one, 2, EventKind::Report, None, r#"{"n":2}"#),
            (one, 3, EventKind::Report, None, r#"{"n":3}"#),
        ]);
        assert_eq!(events[1].created_at, t.now());
        assert_eq!(journal::events_after(&mut t.db.read(), &permit(one), 0, 2).await.unwrap().len(), 2, "a page");
        assert_eq!(journal::event_bounds(&mut t.db.read(), &permit(one)).await.unwrap(), (1, 3));
        let mut newest = journal::newest_events(&mut t.db.read(), &[one, other]).await.unwrap();
        newest.sort_unstable();
        let mut expected = [(one, 3), (other, 1)];
        expected.sort_unstable();
        assert_eq!(newest, expected);
        assert_eq!(journal::newest_events(&mut t.db.read(), &[]).await.unwrap(), []);
    }

    async fn what_is_rolled_back_has_no_number(t: TestDb) {
        let family = t.family().await;
        write(&t, family, [1]).await;
        let mut tx = t.db.begin().await.unwrap();
        let mut journal = Journal::open(&mut tx, family, t.now()).await.unwrap();
        journal.event(EventKind::Report, &json!({}));
        assert_eq!(journal.close(&mut tx).await.unwrap().event_seq, 2);
        tx.rollback().await;
        assert_eq!(write(&t, family, [2]).await.event_seq, 2);
        // A journal into which nothing was written changes nothing.
        t.advance(1_000).await;
        assert_eq!(write(&t, family, []).await.event_seq, 2);
        assert_eq!(journal::changed_since(&mut t.db.read(), t.now()).await.unwrap(), []);
    }

    async fn what_changed_is_found_by_its_time(t: TestDb) {
        let (one, other) = (t.family().await, t.family().await);
        write(&t, one, [1]).await;
        t.advance(1_000).await;
        write(&t, other, [1, 2]).await;
        assert_eq!(journal::changed_since(&mut t.db.read(), t.now()).await.unwrap(), [(other, 2)]);
        assert_eq!(journal::changed_since(&mut t.db.read(), t.now().plus_millis(-1_000)).await.unwrap().len(), 2);
        assert_eq!(journal::changed_since(&mut t.db.read(), t.now().plus_millis(1)).await.unwrap(), []);
    }

    async fn an_event_for_two_is_for_these(t: TestDb) {
        let house = t.household().await;
        let other = t.guardian().await;
        transact!(t.db, tx => {
            let mut journal = Journal::open(&mut tx, house.family, t.now()).await?;
            journal.event_between(EventKind::Message, Some((house.elder, house.guardian)), &json!({}));
            journal.event(EventKind::Settings, &json!({}));
            journal.close(&mut tx).await
        })
        .unwrap();
        let events = journal::events_after(&mut t.db.read(), &permit(house.family), 0, 10).await.unwrap();
        assert_eq!(events[0].between, Some((house.elder, house.guardian)));
        let may = |account: Option<AccountId>| events.iter().map(|event| event.is_for(account)).collect::<Vec<_>>();
        assert_eq!(may(Some(house.elder)), [true, true]);
        assert_eq!(may(Some(house.guardian)), [true, true]);
        assert_eq!(may(Some(other)), [false, true]);
        assert_eq!(may(None), [false, true]);
    }

    async fn a_family_that_is_not_there_has_no_journal(t: TestDb) {
        let missing = FamilyId::parse("Fabcdefghijklmno").unwrap();
        let mut tx = t.db.begin().await.unwrap();
        assert!(matches!(Journal::open(&mut tx, missing, t.now()).await, Err(DbError::MissingParent)));
        tx.rollback().await;
    }

    async fn who_reads_while_many_write_sees_every_number_in_order_and_none_late(t: TestDb) {
        const WRITERS: usize = 8;
        const EACH: i64 = 25;
        let family = t.family().await;
        let (begin, done) = (Arc::new(Barrier::new(WRITERS + 2)), Arc::new(AtomicBool::new(false)));
        // Two who read all the while, one from a database of its own: as long as the other has not seen a number is gap-free.
        let readers: Vec<_> = [t.db.clone(), t.open_again().await]
            .into_iter()
            .map(|db| {
                let (begin, done) = (Arc::clone(&begin), Arc::clone(&done));
                tokio::spawn(async move {
                    begin.wait().await;
                    let mut last = 0;
                    loop {
                        let is_last = done.load(Ordering::SeqCst);
                        for seq in seqs(&mut db.read(), family, last).await {
                            assert_eq!(seq, last + 1, "a number was passed over: it would be seen late or never");
                            last = seq;
                        }
                        if is_last {
                            return last;
                        }
                    }
                })
            })
            .collect();
        let writers: Vec<_> = (0_i64..)
            .take(WRITERS)
            .map(|writer| {
                let (t, begin) = (t.clone(), Arc::clone(&begin));
                tokio::spawn(async move {
                    begin.wait().await;
                    let mut last = 0;
                    for number in 0..EACH {
                        // One or two at a time.
                        let written = write(&t, family, (0..=number % 2).map(|part| writer * 1_000 + number * 2 + part)).await;
                        assert!(written.event_seq > last);
                        last = written.event_seq;
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        done.store(true, Ordering::SeqCst);
        let all = 8 * (EACH + EACH / 2);
        for reader in readers {
            assert_eq!(reader.await.unwrap(), all);
        }
        let events = journal::events_after(&mut t.db.read(), &permit(family), 0, 10_000).await.unwrap();
        let mut bodies: Vec<_> = events.iter().map(|event| event.body.as_str()).collect();
        bodies.sort_unstable();
        bodies.dedup();
        assert_eq!(i64::try_from(bodies.len()), Ok(all), "each was written once");
    }

    async fn many_who_are_the_first_of_a_family_make_one_head(t: TestDb) {
        let family = t.family().await;
        let begin = Arc::new(Barrier::new(8));
        let writers: Vec<_> = (0..8)
            .map(|number| {
                let (t, begin) = (t.clone(), Arc::clone(&begin));
                tokio::spawn(async move {
                    begin.wait().await;
                    write(&t, family, [number]).await.event_seq
                })
            })
            .collect();
        let mut numbers = Vec::new();
        for writer in writers {
            numbers.push(writer.await.unwrap());
        }
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(seqs(&mut t.db.read(), family, 0).await, numbers);
    }

    async fn old_events_are_deleted_in_steps_and_the_numbers_go_on(t: TestDb) {
        let (one, other) = (t.family().await, t.family().await);
        write(&t, one, 1..=5).await;
        write(&t, other, 1..=2).await;
        t.advance(1_000).await;
        write(&t, one, [6]).await;
        let delete = async |limit: u32| {
            transact!(t.db, tx => { journal::delete_events_before(&mut tx, t.now(), limit).await }).unwrap()
        };
        assert_eq!(delete(3).await, 3);
        let mut deleted = 3;
        loop {
            match delete(3).await {
                0 => break,
                some => deleted += some,
            }
        }
        assert_eq!(deleted, 7, "what happened at the time itself is kept");
        assert_eq!(journal::event_bounds(&mut t.db.read(), &permit(one)).await.unwrap(), (6, 6));
        assert_eq!(journal::event_bounds(&mut t.db.read(), &permit(other)).await.unwrap(), (3, 2));
        assert_eq!(write(&t, other, [3]).await.event_seq, 3);
        // One that a clock that was set back numbered later than a newer one.
        t.clock.advance(-500);
        write(&t, one, [7]).await;
        t.clock.advance(500);
        assert_eq!(delete(10).await, 1);
        assert_eq!(seqs(&mut t.db.read(), one, 0).await, [6]);
    }

    async fn a_family_takes_its_events_with_it(t: TestDb) {
        let family = t.family().await;
        write(&t, family, 1..=3).await;
        transact!(t.db, tx => { families::delete(&mut tx, &permit(family), t.now()).await }).unwrap();
        while carebot_database::deletion::step(&t.db).await.unwrap() {}
        assert!(seqs(&mut t.db.read(), family, 0).await.is_empty());
        assert_eq!(journal::changed_since(&mut t.db.read(), Timestamp::MIN).await.unwrap(), []);
    }

    async fn a_signal_that_many_raise_counts_all_of_them(t: TestDb) {
        assert_eq!(journal::read_signal(&mut t.db.read(), "access").await.unwrap(), None);
        let begin = Arc::new(Barrier::new(8));
        let raising: Vec<_> = (0..8)
            .map(|_| {
                let (t, begin) = (t.clone(), Arc::clone(&begin));
                tokio::spawn(async move {
                    begin.wait().await;
                    transact!(t.db, tx => { journal::signal(&mut tx, "access").await }).unwrap();
                })
            })
            .collect();
        for raised in raising {
            raised.await.unwrap();
        }
        assert_eq!(journal::read_signal(&mut t.db.read(), "access").await.unwrap(), Some(8));
        transact!(t.db, tx => { journal::set_signal(&mut tx, "alive", 7).await }).unwrap();
        assert_eq!(journal::read_signal(&mut t.db.read(), "alive").await.unwrap(), Some(7));
    }
}
