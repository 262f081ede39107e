use carebot_database::members::{self, NewMember};
use carebot_database::{accounts, families};
use carebot_model::members::{JoinRequest, Member, Place, Position};
use carebot_model::text::Name;

use crate::prelude::*;

fn new_member(family: FamilyId, approved_by: Option<AccountId>) -> NewMember {
    NewMember { family, nickname: None, position: Position::CareWorker, approved_by }
}

async fn create(t: &TestDb, user: AccountId, new: &NewMember) -> Result<MemberId, DbError> {
    transact!(t.db, tx => { members::create(&mut tx, &permit(user), new, t.now(), &*t.rng).await })
}

async fn list(t: &TestDb, family: Option<FamilyId>, user: Option<AccountId>) -> Vec<MemberId> {
    members::list(&mut t.db.read(), family, user).await.unwrap().into_iter().map(|member| member.id).collect()
}

async fn requests(t: &TestDb, family: Option<FamilyId>, user: Option<AccountId>) -> Vec<MemberId> {
    members::requests(&mut t.db.read(), family, user).await.unwrap().into_iter().map(|request| request.id).collect()
}

async fn approve(t: &TestDb, id: MemberId, by: AccountId) -> bool {
    transact!(t.db, tx => { members::approve(&mut tx, &permit(id), by, t.now()).await }).unwrap()
}

async fn delete(t: &TestDb, id: MemberId) -> bool {
    transact!(t.db, tx => { members::delete(&mut tx, &permit(id)).await }).unwrap()
}

both_engines! {
    async fn an_approved_member_is_read_back(t: TestDb) {
        let house = t.household().await;
        let member = Member {
            id: house.member,
            family_id: house.family,
            user_id: house.guardian,
            nickname: Some("막내".to_owned()),
        };
        let tx = &mut t.db.read();
        assert_eq!(members::get(tx, house.member).await.unwrap(), Some(member.clone()));
        assert_eq!(members::list(tx, None, None).await.unwrap(), [member]);
        assert!(members::is_member(tx, house.family, house.guardian).await.unwrap());
        assert!(!members::is_member(tx, house.family, house.elder).await.unwrap());
        assert!(members::belongs_anywhere(tx, house.guardian).await.unwrap());
        assert!(!members::belongs_anywhere(tx, house.elder).await.unwrap());
    }

    async fn what_is_absent_is_none(t: TestDb) {
        let none = MemberId::parse("M234567890123456").unwrap();
        let elder = t.elder().await;
        let tx = &mut t.db.read();
        assert_eq!(members::get(tx, none).await.unwrap(), None);
        assert_eq!(members::request_by_id(tx, none).await.unwrap(), None);
        assert_eq!(members::list(tx, None, None).await.unwrap(), []);
        assert_eq!(members::requests(tx, None, None).await.unwrap(), []);
        assert!(!transact!(t.db, tx => { members::update(&mut tx, &permit(none), None).await }).unwrap());
        assert!(!approve(&t, none, elder).await);
        assert!(!delete(&t, none).await);
    }

    async fn joining_twice_is_a_typed_error(t: TestDb) {
        let house = t.household().await;
        for approved_by in [None, Some(house.elder)] {
            let error = create(&t, house.guardian, &new_member(house.family, approved_by)).await.unwrap_err();
            assert!(matches!(error, DbError::Duplicate { .. }), "{error}");
        }
        assert_eq!(list(&t, Some(house.family), None).await, [house.member]);
        assert!(delete(&t, house.member).await);
        create(&t, house.guardian, &new_member(house.family, None)).await.expect("who left can ask again");
    }

    async fn joining_nothing_or_as_nobody_is_a_typed_error(t: TestDb) {
        let house = t.household().await;
        let nothing = FamilyId::parse("F234567890123456").unwrap();
        let nobody = AccountId::parse("U234567890123456").unwrap();
        assert!(matches!(create(&t, house.guardian, &new_member(nothing, None)).await, Err(DbError::MissingParent)));
        assert!(matches!(create(&t, nobody, &new_member(house.family, None)).await, Err(DbError::MissingParent)));
    }

    async fn a_filter_that_is_absent_filters_nothing(t: TestDb) {
        let (first, second) = (t.household().await, t.household().await);
        let both = t.join(second.family, first.guardian, Some(second.elder)).await;
        let sorted = |mut ids: Vec<MemberId>| {
            ids.sort_unstable();
            ids
        };
        assert_eq!(sorted(list(&t, None, None).await), sorted(vec![first.member, second.member, both]));
        assert_eq!(list(&t, Some(second.family), None).await, [second.member, both], "in the order they joined");
        assert_eq!(sorted(list(&t, None, Some(first.guardian)).await), sorted(vec![first.member, both]));
        assert_eq!(list(&t, Some(second.family), Some(first.guardian)).await, [both]);
        assert_eq!(list(&t, Some(first.family), Some(second.guardian)).await, []);
    }

    async fn a_request_becomes_a_membership_when_it_is_approved(t: TestDb) {
        let elder = t.elder().await;
        let family = t.family_of(elder).await;
        let guardian = t.guardian().await;
        let id = t.join(family, guardian, None).await;
        let request = JoinRequest {
            id,
            family_id: family,
            user_id: guardian,
            user_name: Some("이민준".to_owned()),
            nickname: Some("막내".to_owned()),
            created_at: t.now(),
        };
        assert_eq!(members::request_by_id(&mut t.db.read(), id).await.unwrap(), Some(request));
        assert_eq!(members::get(&mut t.db.read(), id).await.unwrap(), None, "not a member yet");
        assert!(!members::is_member(&mut t.db.read(), family, guardian).await.unwrap());
        assert!(members::belongs_anywhere(&mut t.db.read(), guardian).await.unwrap(), "asking counts");
        assert_eq!(list(&t, None, None).await, []);

        assert!(approve(&t, id, elder).await);
        assert!(!approve(&t, id, elder).await, "it is no open request any more");
        assert_eq!(members::request_by_id(&mut t.db.read(), id).await.unwrap(), None);
        assert!(members::is_member(&mut t.db.read(), family, guardian).await.unwrap());
        assert_eq!(list(&t, None, None).await, [id]);
        assert_eq!(requests(&t, None, None).await, []);
    }

    async fn requests_are_listed_oldest_first(t: TestDb) {
        let (first, second) = (t.family().await, t.family().await);
        let (anna, bora) = (t.guardian().await, t.guardian().await);
        let one = t.join(first, anna, None).await;
        t.advance(1).await;
        let two = t.join(second, anna, None).await;
        t.advance(1).await;
        let three = t.join(first, bora, None).await;
        assert_eq!(requests(&t, None, None).await, [one, two, three]);
        assert_eq!(requests(&t, Some(first), None).await, [one, three]);
        assert_eq!(requests(&t, None, Some(anna)).await, [one, two]);
        assert_eq!(requests(&t, Some(second), Some(bora)).await, []);
        assert!(delete(&t, one).await, "a request can be withdrawn");
        assert_eq!(requests(&t, Some(first), None).await, [three]);
    }

    async fn members_are_called_by_nickname_else_by_name(t: TestDb) {
        let house = t.household().await;
        let plain = t.account(Role::Sub, "김하준").await;
        create(&t, plain, &new_member(house.family, Some(house.elder))).await.unwrap();
        let nameless = new_account(&t, Role::Sub, "");
        let nameless = carebot_model::accounts::NewAccount { user_name: None, ..nameless };
        let nameless = transact!(t.db, tx => { accounts::create(&mut tx, &nameless, "", t.now(), &*t.rng).await }).unwrap();
        create(&t, nameless, &new_member(house.family, Some(house.elder))).await.unwrap();
        create(&t, t.guardian().await, &new_member(house.family, None)).await.unwrap();
        let named = members::named(&mut t.db.read(), house.family).await.unwrap();
        let expected = [(house.guardian, "막내"), (plain, "김하준"), (nameless, "")];
        assert_eq!(named, expected.map(|(id, name)| (id, name.to_owned())));
    }

    async fn who_looks_after_several_homes_has_their_elders(t: TestDb) {
        let (one, other) = (t.household().await, t.household().await);
        let elders = async || members::elders(&mut t.db.read(), one.guardian).await.unwrap();
        let name = "SELECT COALESCE(user_name, '') FROM accounts WHERE id = ?";
        let mut expected = Vec::new();
        for house in [&one, &other] {
            let name: String = t.db.read().fetch_one(name, params![house.elder], |row| row.get(0)).await.unwrap();
            expected.push((house.family, (house.elder, name)));
        }
        assert_eq!(elders().await, [expected[0].1.clone()]);
        let asked = create(&t, one.guardian, &new_member(other.family, None)).await.unwrap();
        assert_eq!(elders().await.len(), 1, "who only asks is no member");
        assert!(approve(&t, asked, other.elder).await);
        expected.sort();
        assert_eq!(elders().await, expected.into_iter().map(|(_, elder)| elder).collect::<Vec<_>>());
        assert_eq!(members::elders(&mut t.db.read(), one.elder).await.unwrap(), []);
    }

    async fn a_nickname_changes_or_stays(t: TestDb) {
        let house = t.household().await;
        for text in TEXTS {
            let name = Name::new((*text).to_owned());
            for change in [Some(&name), None] {
                assert!(transact!(t.db, tx => { members::update(&mut tx, &permit(house.member), change).await }).unwrap());
                let member = members::get(&mut t.db.read(), house.member).await.unwrap().unwrap();
                assert_eq!(member.nickname.as_deref(), Some(*text));
            }
        }
    }

    async fn who_leaves_is_gone(t: TestDb) {
        let house = t.household().await;
        assert!(delete(&t, house.member).await);
        assert!(!delete(&t, house.member).await);
        assert_eq!(members::get(&mut t.db.read(), house.member).await.unwrap(), None);
        assert!(!members::belongs_anywhere(&mut t.db.read(), house.guardian).await.unwrap());
    }

    async fn memberships_end_with_family_or_account(t: TestDb) {
        for family_goes in [true, false] {
            let house = t.household().await;
            let asked = t.join(house.family, t.guardian().await, None).await;
            if family_goes {
                assert!(transact!(t.db, tx => { families::delete(&mut tx, &permit(house.family), t.now()).await }).unwrap());
                assert_eq!(members::request_by_id(&mut t.db.read(), asked).await.unwrap(), None);
                assert_eq!(requests(&t, Some(house.family), None).await, []);
            } else {
                assert!(transact!(t.db, tx => { accounts::delete(&mut tx, &permit(house.guardian), t.now()).await }).unwrap());
                assert_eq!(requests(&t, Some(house.family), None).await, [asked]);
            }
            let tx = &mut t.db.read();
            assert_eq!(members::get(tx, house.member).await.unwrap(), None);
            assert_eq!(members::named(tx, house.family).await.unwrap(), []);
            assert!(!members::is_member(tx, house.family, house.guardian).await.unwrap());
            assert!(!members::belongs_anywhere(tx, house.guardian).await.unwrap());
            assert_eq!(list(&t, Some(house.family), None).await, []);
            assert_eq!(list(&t, None, Some(house.guardian)).await, []);
        }
    }

    async fn ids_are_told_apart_by_letter_case(t: TestDb) {
        let house = t.household().await;
        let other = MemberId::parse(&other_case(house.member.as_str())).unwrap();
        assert_eq!(members::get(&mut t.db.read(), other).await.unwrap(), None);
        assert!(!delete(&t, other).await);
    }

    async fn a_family_is_put_in_another_order_with_requests_behind(t: TestDb) {
        let (house, other) = (t.household().await, t.household().await);
        let (asker, nurse) = (t.guardian().await, t.guardian().await);
        let request = t.join(house.family, asker, None).await;
        let second = create(&t, nurse, &new_member(house.family, Some(house.elder))).await.unwrap();
        let places = members::placed(&mut t.db.read(), house.family).await.unwrap();
        let shown = |places: &[Place]| places.iter().map(|place| (place.id, place.position, place.order)).collect::<Vec<_>>();
        assert_eq!(shown(&places), [(house.member, Position::Guardian, 1), (second, Position::CareWorker, 2)]);
        assert_eq!((places[0].user_id, places[0].nickname.as_deref()), (house.guardian, Some("막내")));
        let mut turned = vec![places[1].clone(), places[0].clone()];
        turned[0].position = Position::Staff;
        transact!(t.db, tx => { members::set_places(&mut tx, &permit(house.family), &turned).await }).unwrap();
        let expected = [(second, Position::Staff, 1), (house.member, Position::Guardian, 2)];
        assert_eq!(shown(&members::placed(&mut t.db.read(), house.family).await.unwrap()), expected);
        assert!(approve(&t, request, house.elder).await);
        assert_eq!(list(&t, Some(house.family), None).await, [second, house.member, request]);
        // Another family's members are not touched, whatever is asked.
        transact!(t.db, tx => { members::set_places(&mut tx, &permit(other.family), &turned).await }).unwrap();
        assert_eq!(list(&t, Some(house.family), None).await, [second, house.member, request]);
    }
}
