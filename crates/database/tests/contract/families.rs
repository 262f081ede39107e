use carebot_database::{accounts, families, tools};
use carebot_model::accounts::{AccountChange, Gender, NewAccount};
use carebot_model::families::{Family, FamilySearch, FoundFamily};
use carebot_model::settings::Settings;
use carebot_model::text::{Address, Name};
use carebot_testkit::fixtures::PASSWORD_HASH;

use crate::prelude::*;

async fn create(t: &TestDb, owner: AccountId, name: Option<&Name>) -> Result<FamilyId, DbError> {
    transact!(t.db, tx => { families::create(&mut tx, &permit(owner), name, t.now(), &*t.rng).await })
}

async fn rename(t: &TestDb, id: FamilyId, name: Option<&str>) -> bool {
    let name = name.map(|name| Name::new(name.to_owned()));
    transact!(t.db, tx => { families::update(&mut tx, &permit(id), name.as_ref()).await }).unwrap()
}

async fn delete(t: &TestDb, id: FamilyId) -> bool {
    transact!(t.db, tx => { families::delete(&mut tx, &permit(id), t.now()).await }).unwrap()
}

async fn get(t: &TestDb, id: FamilyId) -> Option<Family> {
    families::get(&mut t.db.read(), id).await.unwrap()
}

async fn find(t: &TestDb, search: &FamilySearch) -> Vec<FoundFamily> {
    families::find(&mut t.db.read(), search).await.unwrap()
}

/// A family whose elder lives at an address, and what finds it.
async fn at(t: &TestDb, name: &str, address: &str) -> (FamilyId, FamilySearch) {
    let new = NewAccount { address: Some(Address::new(address.to_owned())), ..new_account(t, Role::Main, name) };
    let elder =
        transact!(t.db, tx => { accounts::create(&mut tx, &new, PASSWORD_HASH, t.now(), &*t.rng).await }).unwrap();
    let search = FamilySearch {
        user_name: name.to_owned(),
        birth_date: Date::new(1945, 3, 1).unwrap(),
        gender: Gender::Female,
        address: address.to_owned(),
    };
    (t.family_of(elder).await, search)
}

both_engines! {
    async fn a_family_has_an_owner_a_name_and_its_settings(t: TestDb) {
        let elder = t.elder().await;
        let name = Name::new("순자네".to_owned());
        let id = create(&t, elder, Some(&name)).await.unwrap();
        assert_eq!(get(&t, id).await, Some(Family { id, main_user: elder, family_name: Some("순자네".to_owned()) }));
        let tx = &mut t.db.read();
        assert_eq!(families::id_by_main_user(tx, elder).await.unwrap(), Some(id));
        assert_eq!(tools::get_settings(tx, &permit(id)).await.unwrap(), Some(Settings::defaults(id)));
    }

    async fn what_is_absent_is_none(t: TestDb) {
        let none = FamilyId::parse("F234567890123456").unwrap();
        let tx = &mut t.db.read();
        assert_eq!(families::get(tx, none).await.unwrap(), None);
        assert_eq!(families::id_by_main_user(tx, t.elder().await).await.unwrap(), None);
        assert_eq!(families::list(tx, None, 10).await.unwrap(), []);
        assert!(!rename(&t, none, Some("x")).await);
        assert!(!delete(&t, none).await);
    }

    async fn an_elder_owns_one_family(t: TestDb) {
        let elder = t.elder().await;
        create(&t, elder, None).await.unwrap();
        let error = create(&t, elder, None).await.unwrap_err();
        assert!(error.is_duplicate("main_user"), "{error}");
        assert_eq!(families::list(&mut t.db.read(), None, 10).await.unwrap().len(), 1);
    }

    async fn a_family_of_nobody_is_a_typed_error_and_leaves_no_settings(t: TestDb) {
        let nobody = AccountId::parse("U234567890123456").unwrap();
        assert!(matches!(create(&t, nobody, None).await, Err(DbError::MissingParent)));
        let count = t.db.read().fetch_one("SELECT COUNT(*) FROM settings", vec![], |row| row.get::<i64>(0)).await;
        assert_eq!(count.unwrap(), 0);
    }

    async fn a_name_changes_or_stays(t: TestDb) {
        let id = t.family().await;
        assert!(rename(&t, id, Some("우리 집")).await);
        assert!(rename(&t, id, None).await);
        assert_eq!(get(&t, id).await.unwrap().family_name.as_deref(), Some("우리 집"));
        for text in TEXTS {
            assert!(rename(&t, id, Some(text)).await);
            assert_eq!(get(&t, id).await.unwrap().family_name.as_deref(), Some(*text));
        }
    }

    async fn a_list_is_paged_by_id(t: TestDb) {
        let mut ids = [t.family().await, t.family().await, t.family().await];
        ids.sort_unstable();
        let tx = &mut t.db.read();
        let first = families::list(tx, None, 2).await.unwrap();
        let second = families::list(tx, Some(first[1].id), 2).await.unwrap();
        let seen: Vec<FamilyId> = first.iter().chain(&second).map(|family| family.id).collect();
        assert_eq!(seen, ids);
    }

    async fn a_family_is_found_by_all_four_exactly(t: TestDb) {
        let (id, search) = at(&t, "최영희", "경기도 수원시").await;
        at(&t, "최영희", "경기도 성남시").await;
        let found = find(&t, &search).await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].family_id, id);
        assert_eq!(found[0].family_name.as_deref(), Some("순자네"));
        assert_eq!(found[0].account_name.as_deref(), Some("최영희"));
        assert_eq!(found[0].account_birth_date, Some(search.birth_date));
        assert_eq!(found[0].account_gender, Some(Gender::Female));
        assert_eq!(found[0].account_address.as_deref(), Some("경기도 수원시"));

        let wrong = [
            FamilySearch { user_name: "최영".to_owned(), ..search.clone() },
            FamilySearch { user_name: "최영희 ".to_owned(), ..search.clone() },
            FamilySearch { user_name: "%".to_owned(), ..search.clone() },
            FamilySearch { birth_date: Date::new(1945, 3, 2).unwrap(), ..search.clone() },
            FamilySearch { gender: Gender::Male, ..search.clone() },
            FamilySearch { address: "경기도".to_owned(), ..search.clone() },
        ];
        for search in wrong {
            assert_eq!(find(&t, &search).await, [], "{search:?}");
        }
    }

    async fn letter_case_counts_in_names(t: TestDb) {
        let (_, search) = at(&t, "Anna Kim", "경기도 수원시").await;
        assert_eq!(find(&t, &search).await.len(), 1);
        assert_eq!(find(&t, &FamilySearch { user_name: "anna kim".to_owned(), ..search }).await, []);
    }

    async fn old_and_new_region_names_are_the_same_place(t: TestDb) {
        let (old, search) = at(&t, "정말순", "강원도 춘천시").await;
        let today = FamilySearch { address: "강원특별자치도 춘천시".to_owned(), ..search.clone() };
        let (new, _) = at(&t, "정말순", "강원특별자치도 춘천시").await;
        let mut both = [old, new];
        both.sort_unstable();
        for search in [search, today] {
            let found: Vec<FamilyId> = find(&t, &search).await.iter().map(|found| found.family_id).collect();
            assert_eq!(found, both, "{}", search.address);
        }
    }

    async fn an_elder_without_a_family_is_not_found(t: TestDb) {
        let (id, search) = at(&t, "한복례", "경기도 수원시").await;
        assert!(delete(&t, id).await);
        assert_eq!(find(&t, &search).await, []);
    }

    async fn a_deleted_family_is_gone_and_its_owner_can_have_another(t: TestDb) {
        let elder = t.elder().await;
        let id = t.family_of(elder).await;
        assert!(delete(&t, id).await);
        assert!(!delete(&t, id).await, "it can be deleted once");
        assert!(!rename(&t, id, Some("x")).await);
        assert_eq!(get(&t, id).await, None);
        assert_eq!(families::id_by_main_user(&mut t.db.read(), elder).await.unwrap(), None);
        assert_eq!(families::list(&mut t.db.read(), None, 10).await.unwrap(), []);
        let again = t.family_of(elder).await;
        assert_eq!(families::id_by_main_user(&mut t.db.read(), elder).await.unwrap(), Some(again));
    }

    async fn a_deleted_account_takes_its_family_with_it(t: TestDb) {
        let house = t.household().await;
        assert!(transact!(t.db, tx => { accounts::delete(&mut tx, &permit(house.elder), t.now()).await }).unwrap());
        assert_eq!(get(&t, house.family).await, None);
        assert_eq!(families::list(&mut t.db.read(), None, 10).await.unwrap(), []);
        assert!(accounts::get(&mut t.db.read(), house.guardian).await.unwrap().is_some(), "the guardian stays");
    }

    async fn ids_are_told_apart_by_letter_case(t: TestDb) {
        let id = t.family().await;
        let other = FamilyId::parse(&other_case(id.as_str())).unwrap();
        assert_eq!(get(&t, other).await, None);
        assert!(!rename(&t, other, Some("x")).await);
        assert!(!delete(&t, other).await);
    }

    async fn a_changed_address_finds_at_the_new_place(t: TestDb) {
        let (_, search) = at(&t, "오분남", "경기도 수원시").await;
        let elder = find(&t, &search).await[0].account_id;
        let change = AccountChange { address: Some(Address::new("제주특별자치도 제주시".to_owned())), ..AccountChange::default() };
        assert!(transact!(t.db, tx => { accounts::update(&mut tx, &permit(elder), &change).await }).unwrap());
        assert_eq!(find(&t, &search).await, []);
        let moved = FamilySearch { address: "제주특별자치도 제주시".to_owned(), ..search };
        assert_eq!(find(&t, &moved).await.len(), 1);
    }
}
