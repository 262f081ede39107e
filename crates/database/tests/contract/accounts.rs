use carebot_database::accounts;
use carebot_model::accounts::{Account, AccountChange, Gender, NewAccount};
use carebot_model::text::{Address, Email, Name};
use carebot_testkit::fixtures::PASSWORD_HASH;

use crate::prelude::*;

async fn create(t: &TestDb, new: &NewAccount) -> Result<AccountId, DbError> {
    transact!(t.db, tx => { accounts::create(&mut tx, new, PASSWORD_HASH, t.now(), &*t.rng).await })
}

async fn update(t: &TestDb, id: AccountId, change: &AccountChange) -> Result<bool, DbError> {
    transact!(t.db, tx => { accounts::update(&mut tx, &permit(id), change).await })
}

async fn delete(t: &TestDb, id: AccountId) -> bool {
    transact!(t.db, tx => { accounts::delete(&mut tx, &permit(id), t.now()).await }).unwrap()
}

async fn get(t: &TestDb, id: AccountId) -> Option<Account> {
    accounts::get(&mut t.db.read(), id).await.unwrap()
}

fn with_email(t: &TestDb, email: &str) -> NewAccount {
    NewAccount { email: Email::parse(email).expect("an address"), ..new_account(t, Role::Sub, "박서연") }
}

both_engines! {
    async fn what_was_created_is_read_back(t: TestDb) {
        let new = new_account(&t, Role::Main, "김순자");
        let id = create(&t, &new).await.unwrap();
        let account = Account {
            id,
            email: new.email.as_str().to_owned(),
            role: Role::Main,
            user_name: Some("김순자".to_owned()),
            birth_date: Date::new(1945, 3, 1),
            gender: Some(Gender::Female),
            address: Some("경기도 수원시".to_owned()),
        };
        assert_eq!(get(&t, id).await, Some(account.clone()));
        let tx = &mut t.db.read();
        assert_eq!(accounts::id_by_email(tx, new.email.key()).await.unwrap(), Some(id));
        assert_eq!(accounts::password_hash(tx, id).await.unwrap().as_deref(), Some(PASSWORD_HASH));
        assert_eq!(accounts::credentials(tx, new.email.key()).await.unwrap(), Some((account, PASSWORD_HASH.to_owned())));
        assert!(accounts::email_exists(tx, new.email.key()).await.unwrap());
    }

    async fn what_is_unknown_stays_unknown(t: TestDb) {
        let new = NewAccount { user_name: None, birth_date: None, address: None, ..new_account(&t, Role::Sub, "") };
        let id = create(&t, &new).await.unwrap();
        let account = get(&t, id).await.unwrap();
        assert_eq!((account.user_name, account.birth_date, account.address), (None, None, None));
    }

    async fn who_is_absent_is_none(t: TestDb) {
        let nobody = AccountId::parse("U234567890123456").unwrap();
        let tx = &mut t.db.read();
        assert_eq!(accounts::get(tx, nobody).await.unwrap(), None);
        assert_eq!(accounts::id_by_email(tx, "nobody@example.com").await.unwrap(), None);
        assert_eq!(accounts::password_hash(tx, nobody).await.unwrap(), None);
        assert_eq!(accounts::credentials(tx, "nobody@example.com").await.unwrap(), None);
        assert!(!accounts::email_exists(tx, "nobody@example.com").await.unwrap());
        assert_eq!(accounts::emails(tx).await.unwrap(), Vec::<String>::new());
        assert_eq!(accounts::list(tx, None, 10).await.unwrap(), []);
        assert_eq!(accounts::count_by_role(tx, Role::Main).await.unwrap(), 0);
        assert!(!update(&t, nobody, &AccountChange { role: Some(Role::Sub), ..AccountChange::default() }).await.unwrap());
        assert!(!delete(&t, nobody).await);
    }

    async fn a_taken_email_is_a_typed_error_whatever_its_letter_case(t: TestDb) {
        create(&t, &with_email(&t, "  Mother@Example.com ")).await.unwrap();
        let error = create(&t, &with_email(&t, "mOTHER@example.COM")).await.unwrap_err();
        assert!(error.is_duplicate("email"), "{error}");
        assert!(!error.to_string().to_lowercase().contains("mother"), "an error never holds the value: {error}");
        assert_eq!(accounts::emails(&mut t.db.read()).await.unwrap(), ["Mother@Example.com"]);
        assert!(accounts::email_exists(&mut t.db.read(), &Email::key_of(" MOTHER@example.com ")).await.unwrap());
    }

    async fn letters_outside_of_ascii_have_no_case_folded_away_in_an_email(t: TestDb) {
        create(&t, &with_email(&t, "e@example.com")).await.unwrap();
        create(&t, &with_email(&t, "é@example.com")).await.unwrap();
        create(&t, &with_email(&t, "어머니@example.com")).await.unwrap();
        assert!(create(&t, &with_email(&t, "É@example.com")).await.unwrap_err().is_duplicate("email"));
    }

    async fn an_email_can_change_unless_it_is_taken(t: TestDb) {
        let first = create(&t, &with_email(&t, "first@example.com")).await.unwrap();
        create(&t, &with_email(&t, "second@example.com")).await.unwrap();
        let change = |email: &str| AccountChange { email: Email::parse(email), ..AccountChange::default() };
        assert!(update(&t, first, &change("SECOND@example.com")).await.unwrap_err().is_duplicate("email"));
        assert!(update(&t, first, &change("First@example.com")).await.unwrap());
        assert!(update(&t, first, &change("third@example.com")).await.unwrap());
        assert!(!accounts::email_exists(&mut t.db.read(), "first@example.com").await.unwrap());
        assert_eq!(accounts::id_by_email(&mut t.db.read(), "third@example.com").await.unwrap(), Some(first));
    }

    async fn a_change_leaves_what_it_does_not_name(t: TestDb) {
        let id = t.elder().await;
        let before = get(&t, id).await.unwrap();
        assert!(update(&t, id, &AccountChange::default()).await.unwrap(), "an empty change meets the row all the same");
        assert_eq!(get(&t, id).await.unwrap(), before);
        let change = AccountChange {
            email: None,
            role: Some(Role::Sub),
            user_name: Some(Name::new("김순이".to_owned())),
            birth_date: Date::new(1946, 12, 31),
            gender: Some(Gender::Other),
            address: None,
        };
        assert!(update(&t, id, &change).await.unwrap());
        let expected = Account {
            role: Role::Sub,
            user_name: Some("김순이".to_owned()),
            birth_date: Date::new(1946, 12, 31),
            gender: Some(Gender::Other),
            ..before
        };
        assert_eq!(get(&t, id).await.unwrap(), expected);
        assert!(update(&t, id, &change).await.unwrap(), "a change to the same values meets the row too");
    }

    async fn a_list_is_paged_by_id(t: TestDb) {
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(t.guardian().await);
        }
        ids.sort_unstable();
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = accounts::list(&mut t.db.read(), after, 2).await.unwrap();
            assert!(page.len() <= 2);
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            seen.extend(page.into_iter().map(|account| account.id));
        }
        assert_eq!(seen, ids);
        assert_eq!(accounts::emails(&mut t.db.read()).await.unwrap().len(), 5);
    }

    async fn roles_are_counted(t: TestDb) {
        t.elder().await;
        t.guardian().await;
        t.guardian().await;
        let tx = &mut t.db.read();
        assert_eq!(accounts::count_by_role(tx, Role::Sub).await.unwrap(), 2);
        assert_eq!(accounts::count_by_role(tx, Role::Main).await.unwrap(), 1);
        assert_eq!(accounts::count_by_role(tx, Role::System).await.unwrap(), 0);
    }

    async fn ids_are_told_apart_by_letter_case(t: TestDb) {
        let id = t.elder().await;
        let other = AccountId::parse(&other_case(id.as_str())).unwrap();
        assert_eq!(get(&t, other).await, None);
        t.db.execute(
            "INSERT INTO accounts (id, password_hash, role, created_at) VALUES (?, '', 'sub', 0)",
            params![other],
        ).await.expect("an id that differs in letter case is another key");
        assert!(!accounts::emails(&mut t.db.read()).await.is_ok_and(|emails| emails.len() > 2));
    }

    async fn every_text_comes_back_as_it_went_in(t: TestDb) {
        for text in TEXTS {
            let new = NewAccount {
                user_name: Some(Name::new((*text).to_owned())),
                address: Some(Address::new(text.repeat(4))),
                ..new_account(&t, Role::Sub, "")
            };
            let id = transact!(t.db, tx => { accounts::create(&mut tx, &new, text, t.now(), &*t.rng).await }).unwrap();
            let account = get(&t, id).await.unwrap();
            assert_eq!(account.user_name.as_deref(), Some(*text));
            assert_eq!(account.address, Some(text.repeat(4)));
            assert_eq!(accounts::password_hash(&mut t.db.read(), id).await.unwrap().as_deref(), Some(*text));
        }
    }

    async fn the_longest_texts_fit(t: TestDb) {
        let wide = "\u{1F475}";
        let new = NewAccount {
            email: Email::parse(&format!("{}@example.com", "한".repeat(116))).expect("128 code points"),
            user_name: Some(Name::new(wide.repeat(32))),
            address: Some(Address::new(wide.repeat(128))),
            ..new_account(&t, Role::Sub, "")
        };
        let id = create(&t, &new).await.unwrap();
        let account = get(&t, id).await.unwrap();
        assert_eq!(account.email, new.email.as_str());
        assert_eq!(account.user_name, Some(wide.repeat(32)));
        assert_eq!(account.address, Some(wide.repeat(128)));
    }

    async fn a_deleted_account_is_gone_and_its_email_is_free(t: TestDb) {
        let id = create(&t, &with_email(&t, "again@example.com")).await.unwrap();
        assert!(delete(&t, id).await);
        assert!(!delete(&t, id).await, "it can be deleted once");
        let tx = &mut t.db.read();
        assert_eq!(accounts::get(tx, id).await.unwrap(), None);
        assert_eq!(accounts::password_hash(tx, id).await.unwrap(), None);
        assert_eq!(accounts::credentials(tx, "again@example.com").await.unwrap(), None);
        assert!(!accounts::email_exists(tx, "again@example.com").await.unwrap());
        assert_eq!(accounts::count_by_role(tx, Role::Sub).await.unwrap(), 0);
        assert_eq!(accounts::list(tx, None, 10).await.unwrap(), []);
        assert!(!update(&t, id, &AccountChange { role: Some(Role::System), ..AccountChange::default() }).await.unwrap());
        let again = create(&t, &with_email(&t, "again@example.com")).await.unwrap();
        assert_ne!(again, id);
    }
}
