//! The timeline: nobody edits it unseen.

use carebot_model::alarms::EntryKind::{Acknowledged, Commented, Handed, Judged, Raised, Received, Sensed, Step};
use carebot_service::alarms::verify::{self, Fault, Verified};

use super::*;

async fn verified(world: &World) -> Verified {
    let settings = carebot_service::alarms::Settings::default();
    verify::family(&world.app.t.db, &[settings.key], world.house.family).await.expect("it is read")
}

async fn with_a_fall(t: &TestDb) -> World {
    let world = World::new(t).await;
    world.fall().await;
    world.pass(2 * MINUTE).await;
    let id = world.alarm(Rule::Fall).await.id;
    world.acknowledge(&world.house.guardian, id).await;
    world
}

async fn tamper(world: &World, sql: &'static str) {
    let t = &world.app.t;
    let done = transact!(t.db, tx => { tx.execute(sql, params![world.house.family]).await }).expect("it is done");
    assert!(done > 0, "{sql}");
}

/// Whether a fault is the one that an edit was to show.
type Found = fn(&Fault) -> bool;

/// The first entry of each key that was not given, and how many it made.
fn others(fault: Option<Fault>) -> Vec<(i64, i64)> {
    match fault {
        Some(Fault::OtherKeys(others)) => others.iter().map(|other| (other.seq, other.entries)).collect(),
        other => panic!("only other keys, not {other:?}"),
    }
}

both_engines! {
    async fn the_timeline_tells_every_step(t: TestDb) {
        let world = with_a_fall(&t).await;
        let id = world.alarm(Rule::Fall).await.id;
        assert_eq!(world.kinds(id).await, [Sensed, Received, Judged, Raised, Step, Handed, Step, Handed, Acknowledged]);
        let result = verified(&world).await;
        assert_eq!((result.entries, result.fault), (9, None));
        for entry in world.timeline(id).await {
            let body: Value = serde_json::from_str(&entry.body).expect("JSON");
            assert!(body.is_object());
            assert!(!entry.body.contains("김순자") && !entry.body.contains('@'), "ids, no names: {}", entry.body);
        }
    }

    async fn whatever_is_edited_shows(t: TestDb) {
        let edits: [(&'static str, Found); 6] = [
            ("UPDATE alarm_entries SET body = '{}' WHERE family_id = ? AND seq = 3", |fault| *fault == Fault::Changed { seq: 3 }),
            ("UPDATE alarm_entries SET at = at + 1 WHERE family_id = ? AND seq = 1", |fault| *fault == Fault::Changed { seq: 1 }),
            ("UPDATE alarm_entries SET kind = 'commented' WHERE family_id = ? AND seq = 9", |fault| *fault == Fault::Changed { seq: 9 }),
            ("DELETE FROM alarm_entries WHERE family_id = ? AND seq = 4", |fault| *fault == Fault::Missing { seq: 5 }),
            ("DELETE FROM alarm_entries WHERE family_id = ? AND seq = 9", |fault| matches!(fault, Fault::Cut { entries: 8, expected: 9 })),
            ("UPDATE family_heads SET entry_seq = 8 WHERE family_id = ?", |fault| matches!(fault, Fault::Cut { .. })),
        ];
        for (sql, is_found) in edits {
            let world = with_a_fall(&t).await;
            tamper(&world, sql).await;
            let fault = verified(&world).await.fault.unwrap_or_else(|| panic!("{sql} is not seen"));
            assert!(is_found(&fault), "{sql}: {fault:?}");
        }
    }

    async fn another_key_proves_nothing(t: TestDb) {
        let world = with_a_fall(&t).await;
        let key = carebot_database::journal::ChainKey::new(&[7; 32]);
        let result = verify::family(&t.db, &[key], world.house.family).await.expect("it is read");
        assert_eq!(others(result.fault), [(1, 9)]);
    }

    async fn after_a_change_of_key_both_keys_verify_all_and_each_what_it_made(t: TestDb) {
        let world = with_a_fall(&t).await;
        let (family, old) = (world.house.family, carebot_service::alarms::Settings::default().key);
        let new = carebot_database::journal::ChainKey::new(&[7; 32]);
        let id = world.alarm(Rule::Fall).await.id;
        let last = transact!(t.db, tx => {
            let mut journal = carebot_database::journal::Journal::open(&mut tx, family, t.now()).await?;
            journal.entry(&new, id, Commented, &json!({}));
            journal.close(&mut tx).await
        });
        assert_eq!(last.expect("an entry with the new key").entry_seq, Some(10));
        let both = [old.clone(), new.clone()];
        let with = async |keys: &[_]| verify::family(&t.db, keys, family).await.expect("it is read").fault;
        assert_eq!(with(&both).await, None);
        assert_eq!(others(with(&[old]).await), [(10, 1)]);
        assert_eq!(others(with(std::slice::from_ref(&new)).await), [(1, 9)]);
        tamper(&world, "UPDATE alarm_entries SET body = '{\"a\":1}' WHERE family_id = ? AND seq = 10").await;
        assert_eq!(with(&[new]).await, Some(Fault::Changed { seq: 10 }), "behind entries of another key");
        // Whoever has no key calls what was edited another's.
        tamper(&world, "UPDATE alarm_entries SET key_id = 'other' WHERE family_id = ? AND seq = 10").await;
        assert_eq!(others(with(&both).await), [(10, 1)]);
    }
}
