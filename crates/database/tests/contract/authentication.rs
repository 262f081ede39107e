use carebot_database::authentication::{self, CurrentUser, Found, NewSession, TokenHash};
use carebot_database::{accounts, families};
use carebot_model::access::{Actor, Membership, SessionInfo};
use carebot_model::authentication::{IdleLimits, Session, SessionKind};

use crate::prelude::*;

async fn found(t: &TestDb, token: &str) -> Option<Found> {
    authentication::current_user(&mut t.db.read(), TokenHash::of(token)).await.unwrap()
}

async fn is_live(t: &TestDb, token: &str) -> bool {
    matches!(found(t, token).await, Some(Found::Live(_)))
}

async fn live(t: &TestDb, token: &str) -> CurrentUser {
    match found(t, token).await {
        Some(Found::Live(user)) => user,
        other => panic!("the session lives, but {other:?}"),
    }
}

async fn get(t: &TestDb, id: RowId) -> Option<Session> {
    authentication::get_session(&mut t.db.read(), id).await.unwrap()
}

async fn list(t: &TestDb, account: AccountId) -> Vec<RowId> {
    let sessions = authentication::list_sessions(&mut t.db.read(), &permit(account)).await.unwrap();
    sessions.into_iter().map(|session| session.id).collect()
}

async fn mark_robot(t: &TestDb, id: RowId) -> bool {
    transact!(t.db, tx => { authentication::mark_robot(&mut tx, id).await }).unwrap()
}

async fn remember(t: &TestDb, id: RowId) -> bool {
    transact!(t.db, tx => { authentication::remember_session(&mut tx, id).await }).unwrap()
}

async fn end(t: &TestDb, account: AccountId, id: RowId) -> bool {
    transact!(t.db, tx => { authentication::end_session(&mut tx, &permit(account), id, t.now()).await }).unwrap()
}

async fn clean(t: &TestDb) -> u64 {
    let limits = IdleLimits::default();
    transact!(t.db, tx => { authentication::delete_expired_sessions(&mut tx, &limits, t.now()).await }).unwrap()
}

both_engines! {
    async fn a_token_says_who_calls(t: TestDb) {
        let house = t.household().await;
        let other = t.household().await;
        t.join(other.family, house.guardian, None).await;

        let (token, id) = t.session(house.elder, true).await;
        assert!(token.len() >= 32 && token.chars().all(|c| c.is_ascii_hexdigit()), "{token}");
        let user = live(&t, &token).await;
        assert_eq!((user.is_main, user.is_remembered, user.last_seen), (true, false, t.now()));
        let Actor::Account { id: account, role, family, memberships, session } = user.actor else { panic!("an account") };
        assert_eq!((account, role, family), (house.elder, Role::Main, Some(house.family)));
        assert_eq!(memberships, []);
        assert_eq!(session, SessionInfo { id, kind: SessionKind::Person });

        let (token, _) = t.session(house.guardian, false).await;
        let Actor::Account { family, mut memberships, .. } = live(&t, &token).await.actor else { panic!("an account") };
        memberships.sort_by_key(|membership| !membership.approved);
        assert_eq!(family, None);
        assert_eq!(
            memberships,
            [
                Membership { family: house.family, main_user: house.elder, approved: true },
                Membership { family: other.family, main_user: other.elder, approved: false },
            ]
        );
    }

    async fn a_wrong_token_is_nobodys(t: TestDb) {
        let (token, id) = t.session(t.elder().await, true).await;
        assert!(is_live(&t, &token).await);
        for wrong in ["", "0", &token[1..], &token.to_ascii_uppercase(), &format!("{token} ")] {
            assert!(found(&t, wrong).await.is_none(), "{wrong:?}");
        }
        let stored = t.db.read().fetch("SELECT token_hash FROM sessions WHERE id = ?", params![id], |row| {
            row.get::<Vec<u8>>(0)
        }).await.unwrap();
        assert_eq!(stored.len(), 1);
        assert_eq!(stored[0].len(), 32, "only the hash is stored");
        assert!(!stored[0].windows(8).any(|part| token.as_bytes().windows(8).any(|clear| clear == part)));
    }

    async fn a_session_of_nobody_is_a_typed_error(t: TestDb) {
        let account = AccountId::parse("U234567890123456").unwrap();
        let new = NewSession { id: t.id(), account, is_main: false, label: None };
        let result = transact!(t.db, tx => { authentication::create_session(&mut tx, &new, t.now(), &*t.rng).await });
        assert!(matches!(result, Err(DbError::MissingParent)), "{result:?}");
    }

    async fn a_session_is_shown_without_its_token(t: TestDb) {
        let elder = t.elder().await;
        let (_, id) = t.session(elder, true).await;
        let session = Session {
            id,
            account_id: elder,
            kind: SessionKind::Person,
            label: Some("a browser".to_owned()),
            is_main: true,
            is_remembered: false,
            created_at: t.now(),
            last_seen: t.now(),
            revoked_at: None,
            refused_at: None,
        };
        assert_eq!(get(&t, id).await, Some(session));
        assert_eq!(get(&t, RowId(id.0 + 1)).await, None);
        t.advance(1_000).await;
        let (_, newer) = t.session(elder, true).await;
        assert_eq!(list(&t, elder).await, [newer, id], "newest first");
        assert_eq!(list(&t, t.guardian().await).await, []);
    }

    async fn labels_come_back_as_they_went_in(t: TestDb) {
        let account = t.elder().await;
        for text in TEXTS {
            let new = NewSession { id: t.id(), account, is_main: true, label: Some(text.repeat(2)) };
            transact!(t.db, tx => { authentication::create_session(&mut tx, &new, t.now(), &*t.rng).await }).unwrap();
            assert_eq!(get(&t, new.id).await.unwrap().label, Some(text.repeat(2)));
        }
    }

    async fn logging_out_ends_the_session(t: TestDb) {
        let (token, id) = t.session(t.elder().await, true).await;
        let hash = TokenHash::of(&token);
        assert!(transact!(t.db, tx => { authentication::delete_session(&mut tx, hash).await }).unwrap());
        assert!(!transact!(t.db, tx => { authentication::delete_session(&mut tx, hash).await }).unwrap());
        assert!(!is_live(&t, &token).await);
        assert_eq!(get(&t, id).await, None);
    }

    async fn use_is_noted_and_never_moved_back(t: TestDb) {
        let (_, id) = t.session(t.elder().await, true).await;
        let (start, later) = (t.now(), t.now().plus_millis(90_000));
        for (at, moves, seen) in [(later, true, later), (later, false, later), (start, false, later)] {
            let moved = transact!(t.db, tx => { authentication::touch_session(&mut tx, id, at).await }).unwrap();
            assert_eq!((moved, get(&t, id).await.unwrap().last_seen), (moves, seen));
        }
        let gone = RowId(id.0 + 1);
        assert!(!transact!(t.db, tx => { authentication::touch_session(&mut tx, gone, later).await }).unwrap());
    }

    async fn a_session_can_be_remembered_or_become_a_robots(t: TestDb) {
        let (token, id) = t.session(t.elder().await, true).await;
        assert!(remember(&t, id).await);
        assert!(mark_robot(&t, id).await);
        assert!(mark_robot(&t, id).await, "as often as one likes");
        let user = live(&t, &token).await;
        assert!(user.is_remembered);
        assert_eq!(user.actor.session(), Some(SessionInfo { id, kind: SessionKind::Robot }));
        let none = RowId(id.0 + 1);
        assert!(!remember(&t, none).await);
        assert!(!mark_robot(&t, none).await);
    }

    async fn a_new_password_ends_the_other_sessions_of_persons(t: TestDb) {
        let elder = t.elder().await;
        let (own, own_id) = t.session(elder, true).await;
        let (other, _) = t.session(elder, true).await;
        let (robot, robot_id) = t.session(elder, true).await;
        let (stranger, _) = t.session(t.guardian().await, false).await;
        mark_robot(&t, robot_id).await;
        let changed = transact!(t.db, tx => {
            authentication::change_password(&mut tx, &permit(elder), "new hash", Some(own_id)).await
        });
        assert!(changed.unwrap());
        assert_eq!(accounts::password_hash(&mut t.db.read(), elder).await.unwrap().as_deref(), Some("new hash"));
        assert!(is_live(&t, &own).await);
        assert!(!is_live(&t, &other).await);
        assert!(is_live(&t, &robot).await);
        assert!(is_live(&t, &stranger).await);

        let reset = transact!(t.db, tx => { authentication::change_password(&mut tx, &permit(elder), "newer", None).await });
        assert!(reset.unwrap());
        assert!(!is_live(&t, &own).await, "no session is kept when none is named");
    }

    async fn the_password_of_nobody_is_not_changed(t: TestDb) {
        let nobody = AccountId::parse("U234567890123456").unwrap();
        assert!(!transact!(t.db, tx => { authentication::change_password(&mut tx, &permit(nobody), "x", None).await }).unwrap());
        assert!(!transact!(t.db, tx => { authentication::upgrade_hash(&mut tx, nobody, "x").await }).unwrap());
    }

    async fn a_better_hash_ends_no_session(t: TestDb) {
        let elder = t.elder().await;
        let (token, _) = t.session(elder, true).await;
        assert!(transact!(t.db, tx => { authentication::upgrade_hash(&mut tx, elder, "better").await }).unwrap());
        assert_eq!(accounts::password_hash(&mut t.db.read(), elder).await.unwrap().as_deref(), Some("better"));
        assert!(is_live(&t, &token).await);
    }

    async fn the_sessions_of_persons_can_be_ended_all_but_one(t: TestDb) {
        let elder = t.elder().await;
        let (_, first) = t.session(elder, true).await;
        let (_, second) = t.session(elder, true).await;
        let (_, robot) = t.session(elder, true).await;
        mark_robot(&t, robot).await;
        let end = async |except| {
            transact!(t.db, tx => { authentication::end_person_sessions(&mut tx, elder, except).await }).unwrap()
        };
        assert_eq!(end(Some(second)).await, 1);
        assert_eq!(get(&t, first).await, None);
        assert_eq!(end(None).await, 1);
        assert_eq!(end(None).await, 0);
        assert_eq!(list(&t, elder).await, [robot]);
    }

    async fn ending_one_session_deletes_a_persons_and_revokes_a_robots(t: TestDb) {
        let elder = t.elder().await;
        let (person, person_id) = t.session(elder, true).await;
        let (robot, robot_id) = t.session(elder, true).await;
        mark_robot(&t, robot_id).await;
        let stranger = t.guardian().await;
        assert!(!end(&t, stranger, person_id).await, "only one's own");
        assert!(!end(&t, stranger, robot_id).await);
        assert!(end(&t, elder, person_id).await);
        assert!(!end(&t, elder, person_id).await);
        assert!(found(&t, &person).await.is_none());

        t.advance(5_000).await;
        assert!(end(&t, elder, robot_id).await);
        assert!(!end(&t, elder, robot_id).await, "it is revoked already");
        assert!(matches!(
            found(&t, &robot).await,
            Some(Found::Revoked { id, account }) if id == robot_id && account == elder
        ));
        assert!(transact!(t.db, tx => { authentication::note_refused(&mut tx, robot_id, t.now()).await }).unwrap());
        let session = get(&t, robot_id).await.unwrap();
        assert_eq!((session.revoked_at, session.refused_at), (Some(t.now()), Some(t.now())));
    }

    async fn a_session_is_deleted_when_it_idled_beyond_its_limit(t: TestDb) {
        let limits = IdleLimits::default();
        let elder = t.elder().await;
        let guardian = t.guardian().await;
        let (_, normal) = t.session(guardian, false).await;
        let (_, main) = t.session(elder, true).await;
        let (_, remembered) = t.session(guardian, false).await;
        remember(&t, remembered).await;
        let (_, revoked) = t.session(elder, true).await;
        mark_robot(&t, revoked).await;
        remember(&t, revoked).await;
        end(&t, elder, revoked).await;

        let mut passed = 0;
        // In the order in which they end; a revoked one is shown for 30 days.
        for (id, lives) in [
            (normal, limits.normal + IdleLimits::WRITE_INTERVAL),
            (main, limits.main + IdleLimits::WRITE_INTERVAL),
            (revoked, 30 * 86_400_000),
            (remembered, limits.remembered + IdleLimits::WRITE_INTERVAL),
        ] {
            t.advance(lives - passed).await;
            assert_eq!(clean(&t).await, 0, "at the limit itself a session lives");
            t.advance(1).await;
            assert_eq!(clean(&t).await, 1);
            assert_eq!(get(&t, id).await, None);
            passed = lives + 1;
        }
        assert_eq!(clean(&t).await, 0);
    }

    async fn expired_sessions_are_deleted_at_most_a_thousand_a_call(t: TestDb) {
        let elder = t.elder().await;
        transact!(t.db, tx => {
            for _ in 0..1_001 {
                let new = NewSession { id: t.id(), account: elder, is_main: true, label: None };
                authentication::create_session(&mut tx, &new, t.now(), &*t.rng).await?;
            }
            Ok::<_, DbError>(())
        }).unwrap();
        t.advance(IdleLimits::default().main * 2).await;
        assert_eq!(clean(&t).await, 1_000);
        assert_eq!(clean(&t).await, 1);
        assert_eq!(clean(&t).await, 0);
    }

    async fn sessions_and_memberships_end_with_account_and_family(t: TestDb) {
        let house = t.household().await;
        let (elder, elder_id) = t.session(house.elder, true).await;
        let (guardian, _) = t.session(house.guardian, false).await;
        assert!(transact!(t.db, tx => { families::delete(&mut tx, &permit(house.family), t.now()).await }).unwrap());
        assert_eq!(live(&t, &elder).await.actor.own_family(), None);
        assert_eq!(live(&t, &guardian).await.actor.wards().count(), 0);
        let Actor::Account { memberships, .. } = live(&t, &guardian).await.actor else { panic!("an account") };
        assert_eq!(memberships, []);
        assert!(transact!(t.db, tx => { accounts::delete(&mut tx, &permit(house.elder), t.now()).await }).unwrap());
        assert!(found(&t, &elder).await.is_none());
        assert_eq!(get(&t, elder_id).await, None);
        assert_eq!(list(&t, house.elder).await, []);
        assert!(is_live(&t, &guardian).await);
    }
}
