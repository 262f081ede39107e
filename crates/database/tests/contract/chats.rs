use carebot_database::{chats, families, status};
use carebot_model::chats::{Basis, Keywords, Turn};
use carebot_model::status::Mental;
use carebot_model::text::LongText;

use crate::prelude::*;

const DAY: i64 = 24 * 3_600_000;

fn long(text: &str) -> LongText {
    LongText::parse(text.to_owned()).expect("short enough")
}

async fn open(t: &TestDb, account: AccountId, wanted: Option<&str>) -> String {
    let fresh = carebot_database::ambient::uuid(&*t.rng);
    transact!(t.db, tx => { chats::open_session(&mut tx, &permit(account), wanted, &fresh, t.now()).await }).unwrap()
}

async fn say(t: &TestDb, account: AccountId, session: &str, text: &str) -> (Timestamp, RowId) {
    let key = (t.now(), t.id());
    transact!(t.db, tx => { chats::add_turn(&mut tx, &permit(account), key.1, session, &long(text), key.0).await })
        .unwrap();
    key
}

async fn answer(t: &TestDb, account: AccountId, key: (Timestamp, RowId), text: &str) -> bool {
    transact!(t.db, tx => { chats::answer_turn(&mut tx, &permit(account), key, &long(text), "a model").await }).unwrap()
}

async fn context(t: &TestDb, account: AccountId, session: &str, limit: u32) -> Vec<Turn> {
    chats::context(&mut t.db.read(), &permit(account), session, limit).await.unwrap()
}

async fn everything(t: &TestDb, account: AccountId) -> Vec<Turn> {
    chats::listing(&permit(account), Range::ALL)
        .page(&mut t.db.read(), Order::Ascending, None, None, 5_000, Vec::new, |turns: &mut Vec<Turn>, row| {
            turns.push(chats::turn(row)?);
            Ok(())
        })
        .await
        .unwrap()
        .state
}

async fn count(t: &TestDb, table: &str) -> i64 {
    t.db.read().fetch_one(format!("SELECT COUNT(*) FROM {table}"), vec![], |row| row.get(0)).await.unwrap()
}

both_engines! {
    async fn a_conversation_belongs_to_its_account(t: TestDb) {
        let (one, other) = (t.elder().await, t.elder().await);
        let session = open(&t, one, None).await;
        assert_eq!(open(&t, one, Some(&session)).await, session);
        for (account, wanted) in [(other, session.as_str()), (one, "no such one"), (one, "")] {
            assert_ne!(open(&t, account, Some(wanted)).await, wanted);
        }
        let key = say(&t, one, &session, "안녕 👵🏻").await;
        assert!(!answer(&t, other, key, "아니요").await);
        assert_eq!(context(&t, one, &session, 10).await, [], "not answered yet");
        assert!(answer(&t, one, key, "안녕하세요").await);
        let turns = context(&t, one, &session, 10).await;
        assert_eq!((turns[0].user_message.as_str(), turns[0].bot_message.as_deref()), ("안녕 👵🏻", Some("안녕하세요")));
        assert_eq!(context(&t, other, &session, 10).await, []);
        assert_eq!(everything(&t, one).await, turns);
        assert_eq!(everything(&t, other).await, []);
    }

    async fn the_newest_turns_come_oldest_first(t: TestDb) {
        let account = t.elder().await;
        let session = open(&t, account, None).await;
        for number in 0..5 {
            t.advance(1).await;
            let key = say(&t, account, &session, &number.to_string()).await;
            assert!(answer(&t, account, key, "네").await);
        }
        let said: Vec<String> = context(&t, account, &session, 3).await.into_iter().map(|turn| turn.user_message).collect();
        assert_eq!(said, ["2", "3", "4"]);
    }

    async fn what_the_elder_of_a_family_said_is_found_by_time(t: TestDb) {
        let house = t.household().await;
        let session = open(&t, house.elder, None).await;
        let start = t.now();
        for number in 0..4 {
            say(&t, house.elder, &session, &number.to_string()).await;
            t.advance(1_000).await;
        }
        let stranger = t.elder().await;
        let other = open(&t, stranger, None).await;
        say(&t, stranger, &other, "남의 말").await;
        let said = async |from: i64, to: i64, limit| {
            let range = Range { start: start.plus_millis(from), end: start.plus_millis(to) };
            let found = chats::said(&mut t.db.read(), &permit(house.family), range, limit).await.unwrap();
            let count = chats::count_said(&mut t.db.read(), &permit(house.family), range).await.unwrap();
            (found.into_iter().map(|said| said.text).collect::<Vec<_>>(), count)
        };
        assert_eq!(said(0, 3_000, 10).await, (["0", "1", "2", "3"].map(str::to_owned).to_vec(), 4));
        assert_eq!(said(1, 2_000, 1).await, (vec!["2".to_owned()], 2));
        assert_eq!(said(-9, -1, 10).await, (vec![], 0));
        transact!(t.db, tx => { families::delete(&mut tx, &permit(house.family), t.now()).await }).unwrap();
        assert_eq!(said(0, 3_000, 10).await, (vec![], 0));
    }

    async fn conversations_are_deleted_in_bounded_steps(t: TestDb) {
        let (account, other) = (t.elder().await, t.elder().await);
        let (session, others) = (open(&t, account, None).await, open(&t, other, None).await);
        say(&t, other, &others, "나는 남아").await;
        transact!(t.db, tx => {
            for number in 0..1_500 {
                chats::add_turn(&mut tx, &permit(account), t.id(), &session, &long("말"), t.now().plus_millis(number)).await?;
            }
            Ok::<_, DbError>(())
        }).unwrap();
        let step = async || transact!(t.db, tx => { chats::delete_step(&mut tx, &permit(account)).await }).unwrap();
        assert_eq!((step().await, step().await, step().await), (1_000, 500, 0));
        assert_eq!((count(&t, "chat_turns").await, count(&t, "chat_sessions").await), (1, 1));
    }

    async fn old_conversations_go_and_newer_ones_stay(t: TestDb) {
        let house = t.household().await;
        let (old, both) = (open(&t, house.elder, None).await, open(&t, house.elder, None).await);
        say(&t, house.elder, &old, "옛날").await;
        say(&t, house.elder, &both, "옛날").await;
        let words = Keywords { words: vec!["옛날".into()], utterances: 2 };
        let day = t.now().date();
        transact!(t.db, tx => { chats::put_keywords(&mut tx, &permit(house.family), day, &words, "m", t.now()).await }).unwrap();
        t.advance(DAY).await;
        open(&t, house.elder, Some(&both)).await;
        say(&t, house.elder, &both, "오늘").await;
        let gone = async |before| transact!(t.db, tx => { chats::delete_before(&mut tx, before).await }).unwrap();
        assert_eq!(gone(t.now()).await, 2);
        assert_eq!(gone(t.now()).await, 0);
        assert_eq!(everything(&t, house.elder).await.len(), 1);
        assert_eq!((count(&t, "chat_sessions").await, count(&t, "chat_keywords").await), (1, 0));
    }

    async fn keywords_of_a_day_replace_those_before(t: TestDb) {
        let (family, other) = (t.family().await, t.family().await);
        let day = t.now().date();
        let read = async |family| chats::keywords(&mut t.db.read(), &permit(family), day).await.unwrap();
        assert_eq!(read(family).await, None);
        for (words, utterances) in [(vec!["손주", "김장"], 3), (vec!["병원"], 8)] {
            let words = Keywords { words: words.into_iter().map(str::to_owned).collect(), utterances };
            transact!(t.db, tx => { chats::put_keywords(&mut tx, &permit(family), day, &words, "m", t.now()).await }).unwrap();
            assert_eq!(read(family).await, Some(words));
        }
        assert_eq!(read(other).await, None);
    }

    async fn a_mood_says_what_it_rests_on_until_it_is_deleted(t: TestDb) {
        let family = t.family().await;
        let report = t.new_report(Mental { score: Some(70), is_critical: Some(false), description: Some("{}".into()) });
        let basis = Basis { utterances: 12, model: "a model".into() };
        transact!(t.db, tx => { chats::create_mood(&mut tx, &permit(family), &report, &basis).await }).unwrap();
        let key = (report.reported_at, report.id);
        let read = async || chats::mood_basis(&mut t.db.read(), &permit(family), key).await.unwrap();
        assert_eq!(read().await, Some(basis));
        assert!(transact!(t.db, tx => { status::delete_latest::<Mental>(&mut tx, &permit(family)).await }).unwrap());
        assert_eq!(read().await, None);
    }
}
