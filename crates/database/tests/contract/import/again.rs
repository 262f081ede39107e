//! Another run: nothing twice, what is new and what changed, and nothing that was changed or deleted here.

use carebot_database::authentication::{self, TokenHash};
use carebot_database::{accounts, members, messages, notifications, tools};
use carebot_model::accounts::AccountChange;
use carebot_model::text::Name;

use super::*;

both_engines! {
    async fn the_second_time_there_is_nothing_new(t: TestDb) {
        let existing = Existing::new();
        let first = import(&existing, &t).await.tables();
        let whole = everything(&t).await;
        let second = import(&existing, &t).await.tables();
        assert_eq!(everything(&t).await, whole);
        for (table, counts) in &second {
            assert_eq!((counts.written, counts.changed), (0, 0), "{table}: {counts:?}");
            assert_eq!(counts.already, first[table].written, "{table}: {counts:?}");
        }
        assert_eq!(first["homestatus"].already, 0);
    }

    async fn what_came_meanwhile_is_fetched(t: TestDb) {
        let existing = Existing::new();
        import(&existing, &t).await.tables();
        existing.execute(
            "INSERT INTO accounts VALUES ('Aguard0000000009', 'new@example.com', 'x', 'SUB', '정하은', NULL, 'FEMALE', NULL);
             INSERT INTO memberrelations VALUES ('Amember000000009', 'Ffamily000000001', 'Aguard0000000009', '새 식구');
             INSERT INTO homestatus SELECT 9000 + seq, 'Ffamily000000001', FROM_UNIXTIME(1772400000 + seq), 1, 1, 1, 1, NULL FROM seq_1_to_700;
             INSERT INTO healthstatus VALUES (2, 'Ffamily000000001', '2026-03-01 00:00:01', 66); -- committed late

             INSERT INTO messages VALUES (9001, 'Aguard0000000009', 'Uelder0000000001', '2026-03-02 01:00:00', '새 메시지', NULL, 0);
             INSERT INTO chathistories VALUES (9, '11111111-1111-4111-8111-111111111111', '또', '네', '2026-03-02 01:00:00', 'Uelder0000000001');
             UPDATE chatsessions SET last_active = '2026-03-02 01:00:00' WHERE uid LIKE '1%';
             INSERT INTO loginsessions VALUES ('00000000000000000000000000000aaa', 'Aguard0000000009', '2026-03-02 08:59:00', 0, 0)",
        );
        let counts = import(&existing, &t).await.tables();
        assert_eq!((counts["homestatus"].written, counts["homestatus"].already), (700, 2_506));
        assert_eq!((counts["healthstatus"].written, counts["healthstatus"].already), (1, 2));
        assert_eq!((counts["accounts"].written, counts["memberrelations"].written, counts["loginsessions"].written), (1, 1, 1));
        assert_eq!((counts["messages"].written, counts["chathistories"].written, counts["chatsessions"].changed), (1, 1, 1));
        let joined = members::list(&mut t.db.read(), Some(family("Ffamily000000001")), None).await.unwrap();
        assert_eq!(joined.iter().map(|member| member.nickname.as_deref().unwrap()).collect::<Vec<_>>(), ["막내", "새 식구"]);
        let counts = import(&existing, &t).await.tables();
        assert!(counts.values().all(|counts| counts.written + counts.changed == 0), "{counts:?}");
    }

    async fn what_changed_there_changes_here(t: TestDb) {
        let existing = Existing::new();
        import(&existing, &t).await.tables();
        existing.execute(
            "UPDATE accounts SET password = REPLACE(password, '$04$', '$05$'), user_name = '김순자 님' WHERE id = 'Uelder0000000001';
             UPDATE families SET family_name = '새 이름' WHERE id = 'Ffamily000000001';
             UPDATE memberrelations SET nickname = '첫째' WHERE id = 'Mmember000000001';
             UPDATE settings SET is_driving_enabled = 1 WHERE family_id = 'Ffamily000000001';
             UPDATE loginsessions SET last_active = '2026-03-02 08:58:00', is_remember = 1 WHERE xid LIKE '%b';
             UPDATE messages SET is_read = 1 WHERE `index` IN (1, 1007);
             UPDATE notifications SET is_read = 1 WHERE `index` = 1",
        );
        let counts = import(&existing, &t).await.tables();
        for (table, changed) in [
            ("accounts", 1), ("families", 1), ("memberrelations", 1), ("settings", 1), ("loginsessions", 1),
            ("messages", 2), ("notifications", 1), ("homestatus", 0),
        ] {
            assert_eq!((counts[table].changed, counts[table].written), (changed, 0), "{table}: {:?}", counts[table]);
        }
        let mut tx = t.db.read();
        let (elder, hash) = accounts::credentials(&mut tx, "elder@example.com").await.unwrap().unwrap();
        assert_eq!((elder.user_name.as_deref(), &hash[..7]), (Some("김순자 님"), "$2b$05$"));
        assert_eq!(members::list(&mut tx, Some(family("Ffamily000000001")), None).await.unwrap()[0].nickname.as_deref(), Some("첫째"));
        assert!(tools::get_settings(&mut tx, &permit(family("Ffamily000000001"))).await.unwrap().unwrap().is_driving_enabled);
        assert!(messages::get(&mut tx, RowId(1)).await.unwrap().unwrap().is_read);
        assert!(messages::get(&mut tx, RowId(1_007)).await.unwrap().unwrap().is_read);
        assert!(!messages::get(&mut tx, RowId(1_008)).await.unwrap().unwrap().is_read);
        assert!(notifications::get(&mut tx, RowId(1)).await.unwrap().unwrap().is_read);
        let token = format!("{}b", "0".repeat(31));
        let Some(authentication::Found::Live(user)) = authentication::current_user(&mut tx, TokenHash::of(&token)).await.unwrap() else {
            panic!("it lives")
        };
        assert_eq!((user.last_seen.to_string().as_str(), user.is_remembered), ("2026-03-02T08:58:00", true));
    }

    async fn what_was_changed_or_deleted_here_stays_so(t: TestDb) {
        let existing = Existing::new();
        import(&existing, &t).await.tables();
        let (elder, second) = (account("Uelder0000000001"), account("Uelder0000000002"));
        let change = AccountChange { user_name: Some(Name::new("여기서".into())), ..AccountChange::default() };
        transact!(t.db, tx => {
            accounts::update(&mut tx, &permit(elder), &change).await?;
            accounts::delete(&mut tx, &permit(second), t.now()).await?;
            members::delete(&mut tx, &permit(MemberId::parse("Mmember000000001").unwrap())).await?;
            messages::delete(&mut tx, &permit(RowId(1))).await?;
            messages::delete(&mut tx, &permit(RowId(2_199))).await?;
            messages::mark_read(&mut tx, &permit(account("Uguard0000000001")), &[RowId(1_009)]).await?;
            authentication::delete_session(&mut tx, TokenHash::of(&format!("{}b", "0".repeat(31)))).await
        }).unwrap();
        while carebot_database::deletion::step(&t.db).await.unwrap() {}
        let whole = everything(&t).await;
        let counts = import(&existing, &t).await.tables();
        assert_eq!(everything(&t).await, whole);
        assert!(counts.values().all(|counts| counts.written + counts.changed == 0), "{counts:?}");
        let elder = accounts::get(&mut t.db.read(), elder).await.unwrap().unwrap();
        assert_eq!(elder.user_name.as_deref(), Some("여기서"));
    }

    async fn a_family_that_was_deleted_here_is_not_replaced_by_its_double(t: TestDb) {
        let existing = Existing::new();
        import(&existing, &t).await.tables();
        transact!(t.db, tx => { carebot_database::families::delete(&mut tx, &permit(family("Ffamily000000001")), t.now()).await }).unwrap();
        while carebot_database::deletion::step(&t.db).await.unwrap() {}
        import(&existing, &t).await.tables();
        let left = carebot_database::families::id_by_main_user(&mut t.db.read(), account("Uelder0000000001")).await.unwrap();
        assert_eq!(left, None);
    }

    async fn what_was_deleted_there_is_told_and_stays(t: TestDb) {
        let existing = Existing::new();
        import(&existing, &t).await.tables();
        existing.execute(
            "DELETE FROM accounts WHERE id = 'Uguard0000000002';
             DELETE FROM memberrelations WHERE id = 'Mmember000000001';
             DELETE FROM messages WHERE `index` IN (2, 1003);
             DELETE FROM backgrounds WHERE `index` = 1;
             DELETE FROM loginsessions WHERE xid LIKE '%a' OR xid LIKE '%b'",
        );
        // This one has been used here meanwhile.
        let used = TokenHash::of(&format!("{}b", "0".repeat(31)));
        t.db.execute("UPDATE sessions SET last_seen = ? WHERE token_hash = ?", params![t.now(), used]).await.unwrap();
        let Ran { outcome, lines } = import(&existing, &t).await;
        assert!(outcome.unwrap().is_complete);
        let gone: Vec<_> = lines.json().iter().filter(|line| line["rule"] == "gone")
            .map(|line| format!("{} {}", line["table"].as_str().unwrap(), line["key"].as_str().unwrap())).collect();
        assert_eq!(gone, [
            "accounts Uguard0000000002", "memberrelations Mmember000000001", "messages 2", "messages 1003", "backgrounds 1",
        ]);
        assert!(messages::get(&mut t.db.read(), RowId(2)).await.unwrap().is_some());
        let left: i64 = t.db.read().fetch_one("SELECT COUNT(*) FROM sessions", vec![], |row| row.get(0)).await.unwrap();
        assert_eq!(left, 2, "a session that was ended there and not used here ends here");
    }
}
