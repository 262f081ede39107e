//! What was there is here, field by field, as our own functions tell it.

use carebot_database::authentication::{self, Found, TokenHash};
use carebot_database::{accounts, chats, families, members, messages, notifications, status, tools};
use carebot_model::accounts::Gender;
use carebot_model::chats::Keywords;
use carebot_model::notifications::Grade;
use carebot_model::status::{Active, Health, Home, Mental, MentalReport, Report, StatusKind};

use super::*;

fn at(seconds: i64) -> Timestamp {
    // 2026-03-01T00:00:00Z
    Timestamp::from_millis(1_772_323_200_000 + seconds * 1_000)
}

fn day(month: i64, day: i64) -> Option<Date> {
    Date::new(2026, month, day)
}

async fn reports<K: StatusKind>(t: &TestDb, id: &str) -> Vec<Report<K>> {
    status::list::<K>(&mut t.db.read(), &permit(family(id)), Range::ALL, Order::Ascending, 10_000).await.unwrap()
}

fn home(temperature: f64) -> Home {
    Home { temperature: Some(temperature), humidity: None, dust_level: None, ethanol: None, others: None }
}

both_engines! {
    async fn people_are_as_they_were(t: TestDb) {
        let existing = Existing::new();
        import(&existing, &t).await.tables();
        let mut tx = t.db.read();
        let elder = accounts::get(&mut tx, account("Uelder0000000001")).await.unwrap().unwrap();
        assert_eq!((elder.email.as_str(), elder.role), ("elder@example.com", Role::Main));
        assert_eq!((elder.user_name.as_deref(), elder.birth_date), (Some("김순자"), Date::new(1945, 3, 1)));
        assert_eq!((elder.gender, elder.address.as_deref()), (Some(Gender::Female), Some("경기도 수원시")));
        let guardian = accounts::get(&mut tx, account("Uguard0000000001")).await.unwrap().unwrap();
        assert_eq!((guardian.email.as_str(), guardian.user_name.as_deref()), ("Guard@example.com", Some("이민준 👩‍👧")));
        assert_eq!((guardian.role, guardian.gender), (Role::Sub, Some(Gender::Male)));
        let operator = accounts::get(&mut tx, account("Usystem000000001")).await.unwrap().unwrap();
        assert_eq!((operator.role, operator.user_name, operator.gender, operator.birth_date), (Role::System, None, None, None));
        let (found, hash) = accounts::credentials(&mut tx, "guard@example.com").await.unwrap().unwrap();
        assert_eq!((found.id, hash.as_str()), (guardian.id, BCRYPT));

        let own = families::get(&mut tx, family("Ffamily000000001")).await.unwrap().unwrap();
        assert_eq!((own.main_user, own.family_name.as_deref()), (elder.id, Some("순자네 🏠")));
        let joined = members::list(&mut tx, Some(own.id), None).await.unwrap();
        let joined: Vec<_> = joined.iter().map(|member| (member.id.as_str(), member.user_id, member.nickname.as_deref())).collect();
        assert_eq!(joined, [("Mmember000000001", guardian.id, Some("막내"))], "approved");
        let switches = tools::get_settings(&mut tx, &permit(own.id)).await.unwrap().unwrap();
        assert_eq!(
            (switches.is_alarm_enabled, switches.is_camera_enabled, switches.is_microphone_enabled, switches.is_driving_enabled),
            (true, false, true, false)
        );
        let defaults = tools::get_settings(&mut tx, &permit(family("Ffamily000000003"))).await.unwrap().unwrap();
        assert!(!defaults.is_alarm_enabled && !defaults.is_driving_enabled, "without a row there");
    }

    async fn sessions_that_live_go_on(t: TestDb) {
        let existing = Existing::new();
        let counts = import(&existing, &t).await.tables();
        let sessions = &counts["loginsessions"];
        assert_eq!((sessions.read, sessions.written), (6, 3));
        assert_eq!(sessions.skipped, BTreeMap::from([("expired", 1), ("no_time", 1), ("orphan", 1)]));
        let of = async |last: char| {
            let token = format!("{}{last}", "0".repeat(31));
            match authentication::current_user(&mut t.db.read(), TokenHash::of(&token)).await.unwrap() {
                Some(Found::Live(user)) => Some((user.actor.account().unwrap().to_string(), user.is_main, user.is_remembered, user.last_seen.to_string())),
                _ => None,
            }
        };
        let found = |id: &str, main, remembered, seen: &str| Some((id.to_owned(), main, remembered, seen.to_owned()));
        assert_eq!(of('a').await, found("Uelder0000000001", true, false, "2026-02-28T09:00:00"));
        assert_eq!(of('b').await, found("Uguard0000000001", false, false, "2026-03-02T08:50:00"));
        assert_eq!(of('c').await, found("Uguard0000000002", false, true, "2026-02-10T09:00:00"));
        for expired in ['d', 'e', 'f'] {
            assert_eq!(of(expired).await, None, "{expired}");
        }
        let mut ids: Vec<i64> = t.db.read().fetch("SELECT id FROM sessions", vec![], |row| row.get(0)).await.unwrap();
        ids.dedup();
        assert_eq!(ids.len(), 3);
        let held: i64 = t.db.read()
            .fetch_one("SELECT COUNT(*) FROM nodes WHERE leased_until > ?", params![t.now().plus_millis(1_000)], |row| row.get(0)).await.unwrap();
        assert_eq!(held, 1, "only the test's own node number is still leased");
    }

    async fn reports_are_as_they_were(t: TestDb) {
        let existing = Existing::new();
        let counts = import(&existing, &t).await.tables();
        let homes = reports::<Home>(&t, "Ffamily000000001").await;
        assert_eq!(homes.len(), 2_505);
        let small: Vec<_> = homes.iter().filter(|report| report.index.0 < 1_000).collect();
        assert_eq!(small.iter().map(|report| (report.index.0, report.reported_at)).collect::<Vec<_>>(), [
            (3, Timestamp::from_millis(0)), (4, Timestamp::from_millis(0)), (1, at(1)), (2, at(2)), (5, at(5)),
        ]);
        assert_eq!(small[2].fields, Home {
            temperature: Some(21.5), humidity: Some(12.3457), dust_level: Some(0.0), ethanol: None,
            others: Some(r#"{"pm1": 3}"#.into()),
        });
        assert_eq!(small[3].fields, Home {
            temperature: Some(-3.25), humidity: None, dust_level: Some(1e-5), ethanol: Some(123_457.0),
            others: Some("{'가': 1}".into()),
        });
        assert_eq!(small[0].fields, home(1.0));
        assert_eq!(small[4].fields, Home { others: Some("밖은 비 ☔".into()), ..home(3.0) }, "of the second family");
        let many: Vec<_> = homes.iter().filter(|report| report.index.0 > 1_000).collect();
        assert!((1_i64..).zip(&many).all(|(number, report)| report.index.0 == 1_000 + number));
        assert_eq!(many[1_233].fields.temperature, Some(21.234));
        assert_eq!(many[0].reported_at.to_string(), "2026-01-01T00:00:01");
        assert_eq!(reports::<Home>(&t, "Ffamily000000003").await.len(), 1);
        assert_eq!((counts["homestatus"].read, counts["homestatus"].written), (2_507, 2_506));

        let rates: Vec<_> = reports::<Health>(&t, "Ffamily000000001").await.into_iter().map(|report| (report.index.0, report.fields.heart_rate)).collect();
        assert_eq!(rates, [(1, Some(72)), (3, None)]);
        let active = reports::<Active>(&t, "Ffamily000000001").await;
        assert_eq!(active[0].fields, Active {
            score: Some(90), action: Some("산책".into()), is_critical: Some(false),
            description: Some(r#"{"where": "공원"}"#.into()), image_url: None,
        });
        assert_eq!(active[1].fields.is_critical, Some(true));
        assert_eq!(active[1].fields.image_url.as_deref(), Some("https://image.example.org/access/Uelder0000000001/fall_1.png"));
        let mental = reports::<Mental>(&t, "Ffamily000000001").await;
        assert_eq!((mental[0].fields.score, mental[0].fields.is_critical), (Some(30), Some(true)));
        assert_eq!(mental[0].fields.description.as_deref(), Some(r#"{"overall_emotional_state": "😢"}"#));
        assert_eq!(mental[1].fields.description.as_ref().unwrap().len(), 65_535, "cut to what fits");
        let periods = reports::<MentalReport>(&t, "Ffamily000000001").await;
        assert_eq!(periods[0].fields, MentalReport {
            start_time: Some(Timestamp::from_millis(1_769_904_000_000)), end_time: Some(Timestamp::from_millis(1_772_323_199_000)),
            average_score: Some(68), critical_days: Some(2), best_day: day(2, 3), worst_day: None,
            improvement_needed: Some(true), summary: Some("괜찮아요".into()),
        });
        let latest = status::latest::<MentalReport>(&mut t.db.read(), &permit(family("Ffamily000000001"))).await.unwrap().unwrap();
        assert_eq!((latest.index.0, latest.fields.average_score, latest.fields.start_time), (2, Some(50), None));
        let received: Vec<Timestamp> = t.db.read()
            .fetch("SELECT received_at FROM health_status WHERE id = 1", vec![], |row| row.get(0)).await.unwrap();
        assert_eq!(received, [at(1)]);
    }

    async fn what_people_wrote_is_as_it_was(t: TestDb) {
        let existing = Existing::new();
        import(&existing, &t).await.tables();
        let mut tx = t.db.read();
        let message = messages::get(&mut tx, RowId(1)).await.unwrap().unwrap();
        assert_eq!((message.from_id, message.to_id, message.created_at), (account("Uguard0000000001"), account("Uelder0000000001"), at(1)));
        assert_eq!((message.content.as_deref(), message.is_read), (Some("점심 드셨어요? 🍚"), false));
        assert_eq!(message.image_url.as_deref(), Some("https://image.example.org/access/Uguard0000000001/lunch_1.png"));
        let message = messages::get(&mut tx, RowId(2)).await.unwrap().unwrap();
        assert_eq!((message.content, message.image_url, message.is_read), (None, None, true));
        assert_eq!(messages::get(&mut tx, RowId(3)).await.unwrap(), None, "to nobody");
        assert!(!messages::get(&mut tx, RowId(4)).await.unwrap().unwrap().is_read);
        let inbox = messages::list_received(&mut tx, &permit(account("Uguard0000000001")), Range::ALL, Order::Ascending, 10_000).await.unwrap();
        assert_eq!(inbox.len(), 1_202);
        assert_eq!(inbox[7].content.as_deref(), Some("메시지 8"));

        let told = notifications::list(&mut tx, &permit(family("Ffamily000000001")), Range::ALL, Order::Ascending, 100).await.unwrap();
        let told: Vec<_> = told.iter()
            .map(|told| (told.index.0, told.created_at, told.notification_grade, told.description.as_deref(), told.is_read)).collect();
        assert_eq!(told, [
            (1, at(1), Some(Grade::Crit), Some("낙상,거실"), false),
            (2, at(2), None, Some(r#"{"a": 1}"#), true),
            (3, at(3), Some(Grade::None), None, false),
        ]);
        let sn: Option<i64> = tx.fetch_one("SELECT message_sn FROM notifications WHERE id = 2", vec![], |row| row.get(0)).await.unwrap();
        assert_eq!(sn, Some(12_345));
        let album = tools::get_backgrounds(&mut tx, &permit(family("Ffamily000000001")), None).await.unwrap();
        assert_eq!(album.len(), 1);
        assert_eq!((album[0].id.0, album[0].uploader_id), (1, account("Uguard0000000001")));
        assert_eq!(album[0].image_url.as_deref(), Some("https://image.example.org/access/Uguard0000000001/lunch_1.png"));
    }

    async fn conversations_and_news_are_as_they_were(t: TestDb) {
        let existing = Existing::new();
        let counts = import(&existing, &t).await.tables();
        let elder = account("Uelder0000000001");
        let talk = "11111111-1111-4111-8111-111111111111";
        let opened = transact!(t.db, tx => { chats::open_session(&mut tx, &permit(elder), Some(talk), "fresh", t.now()).await }).unwrap();
        assert_eq!(opened, talk, "it goes on");
        let turns = chats::context(&mut t.db.read(), &permit(elder), talk, 10).await.unwrap();
        assert_eq!(turns.len(), 1, "of two, one was answered");
        assert_eq!((turns[0].index.0, turns[0].created_at), (1, at(1)));
        assert_eq!((turns[0].user_message.as_str(), turns[0].bot_message.as_deref()), ("안녕", Some("안녕하세요, 할머니 👵")));
        assert_eq!((counts["chathistories"].written, counts["chatsessions"].written), (2, 1));

        let words = async |on| chats::keywords(&mut t.db.read(), &permit(family("Ffamily000000001")), on).await.unwrap();
        let list = |words: &[&str]| Some(Keywords { words: words.iter().map(|word| (*word).to_owned()).collect(), utterances: 0 });
        assert_eq!(words(day(2, 28).unwrap()).await, list(&["어제", "김장"]), "a Korean day ends at 15 o'clock UTC");
        assert_eq!(words(day(3, 1).unwrap()).await, list(&["산책", "날씨"]), "the newest of the day");

        let news = tools::news(&mut t.db.read(), day(3, 1).unwrap()).await.unwrap();
        assert_eq!(news.health.len(), 2);
        assert_eq!((news.health[0].id.0, news.health[0].title.as_str(), news.health[0].created_at), (1, "제목", at(1)));
        assert_eq!(news.health[1].title.chars().count(), 255);
        assert_eq!(news.health[1].image_url.as_deref(), Some("https://news.example.org/1.png"));
        assert_eq!(counts["news"].skipped, BTreeMap::from([("unknown_word", 1)]));
        let mut again = news.health[0].clone();
        again.id = t.id();
        assert!(!transact!(t.db, tx => { tools::add_news_once(&mut tx, &again).await }).unwrap(), "the job knows the link");
    }
}
