//! Rows that break a rule are told, and what was done with them is what the report says.

use carebot_database::{accounts, families, members, tools};

use super::*;

/// The lines about a table as (key, column, rule, done), sorted.
fn about(lines: &Lines, table: &str) -> Vec<(String, String, String, String)> {
    let text = |line: &Json, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let mut found: Vec<_> = lines
        .json()
        .iter()
        .filter(|line| line["table"] == table)
        .map(|line| (text(line, "key"), text(line, "column"), text(line, "rule"), text(line, "done")))
        .collect();
    found.sort();
    found
}

#[track_caller]
fn assert_told(lines: &Lines, table: &str, expected: &[(&str, &str, &str, &str)]) {
    let told = about(lines, table);
    let told: Vec<_> = told.iter().map(|(a, b, c, d)| (a.as_str(), b.as_str(), c.as_str(), d.as_str())).collect();
    assert_eq!(told, expected, "{table}");
}

both_engines! {
    async fn what_is_wrong_with_people_is_told(t: TestDb) {
        let existing = Existing::new();
        let Ran { outcome, lines } = import(&existing, &t).await;
        assert_eq!(outcome.unwrap().unknown, ["gamescores"]);
        assert_told(&lines, "accounts", &[
            ("Ubad-00000000001", "id", "id", "skipped, with all that refers to it"),
            ("Uelder0000000002", "email", "second_email",
             "imported; nobody can sign in until it has another address, because Uelder0000000001 has this one"),
            ("Uzero00000000001", "birth_date", "zero_date", "imported as NULL"),
            ("Uzero00000000001", "email", "email_form", "imported unchanged"),
            ("Uzero00000000001", "gender", "unknown_word", "imported as NULL"),
            ("Uzero00000000001", "password", "password_form", "imported without a password: it has to be reset"),
            ("Uzero00000000001", "role", "unknown_word", "imported as test, which has no rights"),
        ]);
        assert_told(&lines, "families", &[
            ("Ffamily000000002", "main_user", "second_family", "not made: what refers to it goes to Ffamily000000001"),
            ("Ffamily000000003", "family_name", "too_long", "cut to 32 characters"),
            ("Forphan000000001", "main_user", "orphan", "skipped, with all that refers to it"),
        ]);
        assert_told(&lines, "memberrelations", &[
            ("Mmember000000002", "", "second_member", "skipped: Mmember000000001 is the same"),
            ("Mmember000000003", "family_id", "second_family",
             "imported as a request to join Ffamily000000001, for its main user or an operator to approve"),
            ("Mmember000000005", "user_id", "orphan", "skipped"),
            ("Mmember000000006", "", "second_member", "skipped: Mmember000000001 is the same"),
        ]);
        assert_told(&lines, "settings", &[
            ("Ffamily000000002", "family_id", "second_family", "skipped: those of Ffamily000000001 count"),
            ("Fnobody000000001", "family_id", "orphan", "skipped"),
        ]);
        assert!(!lines.text().contains("0000000e") && !lines.text().contains("example.com"), "{}", lines.text());

        let mut tx = t.db.read();
        let second = accounts::get(&mut tx, account("Uelder0000000002")).await.unwrap().unwrap();
        assert_eq!(second.email, "Elder@Example.com");
        assert_eq!(accounts::id_by_email(&mut tx, "elder@example.com").await.unwrap(), Some(account("Uelder0000000001")));
        let zero = accounts::get(&mut tx, account("Uzero00000000001")).await.unwrap().unwrap();
        assert_eq!((zero.role, zero.gender, zero.birth_date), (Role::Test, None, None));
        assert_eq!(accounts::password_hash(&mut tx, zero.id).await.unwrap().as_deref(), Some("!"));
        assert_eq!(families::get(&mut tx, family("Ffamily000000002")).await.unwrap(), None);
        let third = families::get(&mut tx, family("Ffamily000000003")).await.unwrap().unwrap();
        assert_eq!(third.family_name.unwrap().chars().count(), 32);
        let requests = members::requests(&mut tx, Some(family("Ffamily000000001")), None).await.unwrap();
        assert_eq!(requests.len(), 1);
        assert_eq!((requests[0].id.as_str(), requests[0].user_id), ("Mmember000000003", account("Uguard0000000002")));
        let switches = tools::get_settings(&mut tx, &permit(family("Ffamily000000001"))).await.unwrap().unwrap();
        assert!(!switches.is_camera_enabled, "those of the first family");
    }

    async fn what_is_wrong_with_reports_is_told(t: TestDb) {
        let existing = Existing::new();
        let Ran { lines, .. } = import(&existing, &t).await;
        let epoch = "imported with the time 1970-01-01T00:00:00";
        assert_told(&lines, "homestatus", &[
            ("2", "others", "python_text", "imported unchanged"),
            ("3", "reported_at", "no_time", epoch),
            ("4", "reported_at", "zero_date", epoch),
            ("6", "family_id", "orphan", "skipped"),
        ]);
        assert_told(&lines, "healthstatus", &[]);
        assert_told(&lines, "activestatus", &[("2", "description", "python_text", "imported unchanged")]);
        assert_told(&lines, "mentalstatus", &[("2", "description", "too_long", "cut to 65535 bytes")]);
        assert_told(&lines, "mentalreports", &[
            ("1", "average_score", "fraction", "rounded to a whole number"),
            ("1", "worst_day", "zero_date", "imported as NULL"),
        ]);
        assert_told(&lines, "messages", &[("3", "to_id", "orphan", "skipped")]);
        assert_told(&lines, "notifications", &[
            ("3", "notification_grade", "unknown_word", "imported with the grade none"),
            ("4", "family_id", "orphan", "skipped"),
        ]);
        assert_told(&lines, "backgrounds", &[("2", "uploader_id", "orphan", "skipped")]);
        assert_told(&lines, "chatsessions", &[("22222222-2222-4222-8222-222222222222", "user_id", "orphan", "skipped")]);
        assert_told(&lines, "chathistories", &[("2", "user_message", "no_text", "imported with an empty text")]);
        assert_told(&lines, "chatkeywords", &[]);
        assert_told(&lines, "news", &[("2", "title", "too_long", "cut to 255 characters"), ("3", "category", "unknown_word", "skipped")]);
        for private in ["점심", "김순자", "산책", "가'", "안녕", "plain text"] {
            assert!(!lines.text().contains(private), "{private} is in the report");
        }
    }

    async fn an_address_that_is_taken_here_is_not_taken_away(t: TestDb) {
        let existing = Existing::new();
        existing.execute("UPDATE accounts SET email = 'someone@example.org' WHERE id = 'Uguard0000000001'");
        let operator = carebot_model::text::Email::parse("Someone@example.org").unwrap();
        let new = carebot_model::accounts::NewAccount { email: operator, ..new_account(&t, Role::System, "운영자") };
        let id = transact!(t.db, tx => { accounts::create(&mut tx, &new, "hash", t.now(), &*t.rng).await }).unwrap();
        let Ran { outcome, lines } = import(&existing, &t).await;
        assert!(outcome.unwrap().is_complete);
        assert_eq!(accounts::id_by_email(&mut t.db.read(), "someone@example.org").await.unwrap(), Some(id));
        assert!(lines.text().contains(&format!("because {id} has this one")));
    }
}
