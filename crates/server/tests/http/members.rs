use carebot_service::Join;

use crate::prelude::*;

const NONE: &str = r#"{"message":"No members found","result":[]}"#;
const REFUSED: &str = r#"{"detail":{"type":"can not access","message":"You do not have permission"}}"#;
const MISSING: &str = r#"{"detail":{"type":"not found","message":"Member not found"}}"#;

/// Asks to join; the membership's id.
async fn ask(app: &TestApp, house: &House, who: &Person) -> String {
    let body = json!({"family_id": house.family, "user_id": who.id, "nickname": "막내"});
    let id = app.call("POST /members", who, body).await.given("id");
    app.names.set(&id, "REQUEST-ID");
    id
}

both_engines! {
    async fn joining_is_a_request_that_the_elder_approves(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        let (asker, stranger) = (app.person(Role::Sub, "ASKER").await, app.person(Role::Sub, "STRANGER").await);
        let body = json!({"family_id": house.family, "user_id": asker.id, "nickname": "막내"});
        let reply = app.call("POST /members", &asker, body.clone()).await;
        reply.is(201, r#"{"message":"New member created successfully","result":{"id":"ID"}}"#);
        let id = reply.given("id");
        assert!(id.starts_with('M'), "{id}");
        app.names.set(&id, "NEW");

        // Until then the asker stands in no list of the contract.
        app.get(&format!("/members?userId={}", asker.id), &asker).await.is(200, NONE);
        app.get(&format!("/members/{id}"), &asker).await.is(404, MISSING);
        let members = app.get(&format!("/members?familyId={}", house.family), &house.elder).await.result();
        assert_eq!(members.as_array().map(Vec::len), Some(1));
        app.get(&format!("/families/{}", house.family), &asker).await.is(403, REFUSED);
        let twice = app.call("POST /members", &asker, body).await;
        twice.refuses(409, "already exists", "Member already exists in family");

        let open = concat!(
            r#"{"message":"Join requests retrieved successfully","result":[{"id":"NEW","family_id":"FAMILY","user_id":"ASKER","#,
            r#""user_name":"김순자","nickname":"막내","created_at":"2026-03-02T09:00:00"}]}"#
        );
        for who in [&house.elder, &asker, &system] {
            app.get("/v1/members/requests", who).await.is(200, open);
        }
        for who in [&house.guardian, &stranger] {
            app.get("/v1/members/requests", who).await.is(200, r#"{"message":"No join requests found","result":[]}"#);
        }
        app.get("/v1/members/requests", ANYONE).await.is(403, REFUSED);

        let line = format!("PATCH /v1/members/requests/{id}");
        for who in [&asker, &house.guardian, &stranger] {
            app.call(&line, who, json!(null)).await.is(403, REFUSED);
        }
        app.call(&line, &house.elder, json!(null)).await.is(
            200,
            r#"{"message":"Join request approved successfully","result":{"id":"NEW","family_id":"FAMILY","user_id":"ASKER","nickname":"막내"}}"#,
        );
        // At once, although the asker's session was believed to be without rights a moment ago.
        assert_eq!(app.get(&format!("/families/{}", house.family), &asker).await.status, 200);
        app.call(&line, &house.elder, json!(null)).await.refuses(404, "not found", "Join request not found");
        app.get("/v1/members/requests", &system).await.is(200, r#"{"message":"No join requests found","result":[]}"#);
    }

    async fn a_request_is_refused_or_withdrawn_without_a_password(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        let (asker, stranger) = (app.person(Role::Sub, "ASKER").await, app.person(Role::Sub, "STRANGER").await);
        for who in [&house.elder, &asker, &system] {
            let id = ask(&app, &house, &asker).await;
            let line = format!("DELETE /v1/members/requests/{id}");
            for other in [&house.guardian, &stranger] {
                app.call(&line, other, json!(null)).await.is(403, REFUSED);
            }
            app.call(&line, ANYONE, json!(null)).await.is(403, REFUSED);
            app.call(&line, who, json!(null)).await.is(200, r#"{"message":"Join request deleted successfully"}"#);
            app.call(&line, who, json!(null))
                .await
                .is(404, r#"{"detail":{"type":"not found","message":"Join request not found"}}"#);
        }
        // A member is not removed this way.
        let line = format!("DELETE /v1/members/requests/{}", house.member);
        app.call(&line, &house.elder, json!(null)).await.refuses(404, "not found", "Join request not found");
        assert_eq!(app.get(&format!("/families/{}", house.family), &house.guardian).await.status, 200);
        app.call("DELETE /v1/members/requests/x", &system, json!(null)).await.refuses(
            404,
            "not found",
            "Join request not found",
        );
    }

    async fn joining_is_refused_in_the_contracts_order(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system, asker) = (app.house().await, app.system().await, app.person(Role::Sub, "ASKER").await);
        let join = async |who: Option<&Person>, family: &str, user: &str| {
            app.call("POST /members", who, json!({"family_id": family, "user_id": user})).await
        };
        app.call("POST /members", ANYONE, json!({"family_id": ""})).await.is(
            422,
            concat!(
                r#"{"detail":{"type":"no data","loc":["body","family_id","user_id"],"message":"Family ID and User ID are required","#,
                r#""input":{"family_id":"","user_id":null,"nickname":null}}}"#
            ),
        );
        let (family, own, nobody) = (house.family.as_str(), asker.id.as_str(), "Uabcdefghijklmno");
        join(Some(&house.elder), "x", own).await.is(
            403,
            r#"{"detail":{"type":"can not access","message":"You do not have permission","input":{"family_id":"x","user_id":"ASKER","nickname":null}}}"#,
        );
        join(ANYONE, family, own).await.forbids();
        for unknown in ["x", "Fabcdefghijklmno"] {
            let reply = join(Some(&asker), unknown, own).await;
            reply.refuses(404, "not found", "Family not found");
            assert_eq!(reply.json()["detail"]["input"]["family_id"], unknown);
        }
        let no_guardian = "User not found or is not a sub user";
        join(Some(&house.elder), family, house.elder.id.as_str()).await.refuses(400, "invalid value", no_guardian);
        for user in [nobody, "x", house.elder.id.as_str()] {
            join(Some(&system), "Fabcdefghijklmno", user).await.refuses(404, "not found", "Family not found");
            join(Some(&system), family, user).await.refuses(400, "invalid value", no_guardian);
        }
        join(Some(&house.guardian), family, house.guardian.id.as_str()).await.refuses(
            409,
            "already exists",
            "Member already exists in family",
        );
        // What an operator joins is approved at once; the nickname is cut.
        let body = json!({"family_id": family, "user_id": own, "nickname": "별".repeat(40)});
        let id = app.call("POST /members", &system, body).await.given("id");
        let member = app.get(&format!("/members/{id}"), &asker).await.result();
        assert_eq!(member["nickname"], "별".repeat(32));
    }

    async fn where_families_are_open_a_request_is_approved_at_once(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| settings.join = Join::Open).await;
        let (house, asker) = (app.house().await, app.person(Role::Sub, "ASKER").await);
        app.get(&format!("/families/{}", house.family), &asker).await.forbids();
        ask(&app, &house, &asker).await;
        assert_eq!(app.get(&format!("/families/{}", house.family), &asker).await.status, 200);
        app.get("/v1/members/requests", &asker).await.is(200, r#"{"message":"No join requests found","result":[]}"#);
    }

    async fn memberships_are_listed_by_family_by_account_or_both(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system, stranger) =
            (app.house().await, app.system().await, app.person(Role::Sub, "STRANGER").await);
        let one = r#"{"message":"All members retrieved successfully","result":[{"id":"MEMBER","family_id":"FAMILY","user_id":"GUARDIAN","nickname":"막내"}]}"#;
        let (family, user) = (format!("familyId={}", house.family), format!("userId={}", house.guardian.id));
        let list = async |who: Option<&Person>, query: &str| app.get(&format!("/members?{query}"), who).await;
        let both = format!("{family}&{user}");
        for (who, query) in [
            (&house.elder, &family),
            (&house.guardian, &family),
            (&house.guardian, &user),
            (&house.guardian, &both),
            (&system, &family),
            (&system, &user),
            (&system, &both),
            (&system, &String::new()),
        ] {
            list(Some(who), query).await.is(200, one);
        }
        list(Some(&stranger), &format!("userId={}", stranger.id)).await.is(200, NONE);
        list(Some(&system), &format!("{family}&userId={}", stranger.id)).await.is(200, NONE);
        list(Some(&system), "userId=Uabcdefghijklmno").await.is(200, NONE);
        list(Some(&system), "familyId=Fabcdefghijklmno").await.refuses(404, "not found", "Family not found");
        for (who, query) in [
            (ANYONE, ""),
            (ANYONE, family.as_str()),
            (ANYONE, &user),
            (Some(&house.elder), ""),
            (Some(&house.elder), &user),
            (Some(&house.elder), &both),
            (Some(&stranger), &family),
            (Some(&stranger), &format!("{family}&userId={}", stranger.id)),
        ] {
            list(who, query).await.is(403, REFUSED);
        }
        app.get("/members", ANYONE).await.is(403, REFUSED);
        list(ANYONE, "familyId=&userId=U%EA%B0%80cdefghijklmno").await.is(
            422,
            concat!(
                r#"{"detail":[{"type":"string_too_short","loc":["query","familyId"],"msg":"String should have at least 16 characters","input":"","ctx":{"min_length":16}},"#,
                r#"{"type":"string_too_short","loc":["query","userId"],"msg":"String should have at least 16 characters","input":"U가cdefghijklmno","ctx":{"min_length":16}}]}"#
            ),
        );
        list(ANYONE, "familyId=F_bcdefghijklmno&userId=Uabcdefghijklmnop").await.is(
            422,
            concat!(
                r#"{"detail":[{"type":"string_pattern_mismatch","loc":["query","familyId"],"msg":"String should match pattern '^[a-zA-Z0-9]+$'","#,
                r#""input":"F_bcdefghijklmno","ctx":{"pattern":"^[a-zA-Z0-9]+$"}},"#,
                r#"{"type":"string_too_long","loc":["query","userId"],"msg":"String should have at most 16 characters","input":"Uabcdefghijklmnop","ctx":{"max_length":16}}]}"#
            ),
        );
    }

    async fn an_elder_without_a_family_reaches_nobody(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, lonely) = (app.house().await, app.person(Role::Main, "LONELY").await);
        app.get(&format!("/messages/receivable/{}", lonely.id), &lonely).await.refuses(
            404,
            "not found",
            "No receivable account",
        );
        let body = json!({"from_id": lonely.id, "to_id": house.guardian.id, "content": "x"});
        app.call("POST /messages/send", &lonely, body).await.forbids();
        app.get(&format!("/tools/weather/{}", house.guardian.id), &lonely).await.forbids();
        app.get(&format!("/members?familyId={}", house.family), &lonely).await.forbids();
    }

    async fn a_membership_that_is_not_there_comes_before_the_right_to_it(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, stranger) = (app.house().await, app.person(Role::Sub, "STRANGER").await);
        let path = format!("/members/{}", house.member);
        for who in [&house.elder, &house.guardian] {
            app.get(&path, who).await.is(
                200,
                r#"{"message":"Member retrieved successfully","result":{"id":"MEMBER","family_id":"FAMILY","user_id":"GUARDIAN","nickname":"막내"}}"#,
            );
        }
        app.get(&path, &stranger).await.is(403, REFUSED);
        app.get(&path, ANYONE).await.is(403, REFUSED);
        for unknown in ["Mabcdefghijklmno", "x"] {
            app.get(&format!("/members/{unknown}"), ANYONE).await.is(404, MISSING);
            let reply = app.call(&format!("PATCH /members/{unknown}"), ANYONE, json!({"nickname": "x"})).await;
            reply.refuses(404, "not found", "Member not found");
            for line in [format!("DELETE /members/{unknown}"), format!("DELETE /members/kick/{unknown}")] {
                app.call(&line, ANYONE, json!({"password": "wrong"})).await.is(404, MISSING);
            }
        }
    }

    async fn a_nickname_is_changed_by_the_family(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, stranger) = (app.house().await, app.person(Role::Sub, "STRANGER").await);
        let line = format!("PATCH /members/{}", house.member);
        let body = json!({"nickname": "큰딸", "family_id": "Fabcdefghijklmno", "user_id": stranger.id});
        let changed = r#"{"message":"Member updated successfully","result":{"id":"MEMBER","family_id":"FAMILY","user_id":"GUARDIAN","nickname":"큰딸"}}"#;
        app.call(&line, &house.elder, body).await.is(200, changed);
        app.call(&line, &house.guardian, json!({"nickname": null})).await.is(200, changed);
        app.call(&line, &house.guardian, json!({"nickname": ""})).await.is(200, &changed.replace("큰딸", ""));
        app.call(&line, &stranger, json!({"nickname": "x"})).await.is(403, REFUSED);
    }

    async fn a_member_leaves_or_is_removed_and_loses_every_right_at_once(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (system, stranger) = (app.system().await, app.person(Role::Sub, "STRANGER").await);
        for (kick, done) in [("", "Member deleted successfully"), ("kick/", "Member kicked successfully")] {
            let house = app.house().await;
            let line = format!("DELETE /members/{kick}{}", house.member);
            let (may, may_not) =
                if kick.is_empty() { (&house.guardian, &house.elder) } else { (&house.elder, &house.guardian) };
            app.call(&line, ANYONE, json!({}))
                .await
                .is(422, r#"{"detail":{"type":"no data","loc":["body","password"],"message":"Password is required"}}"#);
            for who in [may_not, &stranger] {
                app.call(&line, who, json!({"password": PASSWORD})).await.is(403, REFUSED);
            }
            for who in [may, &system] {
                app.call(&line, who, json!({"password": "wrong"}))
                    .await
                    .is(401, r#"{"detail":{"type":"unauthorized","message":"Invalid password"}}"#);
            }
            assert_eq!(app.get(&format!("/families/{}", house.family), &house.guardian).await.status, 200);
            app.call(&line, may, json!({"password": PASSWORD})).await.is(200, &format!(r#"{{"message":"{done}"}}"#));
            app.get(&format!("/families/{}", house.family), &house.guardian).await.is(403, REFUSED);
            app.get(&format!("/messages/receivable/{}", house.guardian.id), &house.guardian).await.refuses(
                404,
                "not found",
                "No receivable account",
            );
            app.call(&line, may, json!({"password": PASSWORD})).await.is(404, MISSING);
        }
    }

    async fn an_operator_removes_members_with_his_own_password(t: TestDb) {
        let app = TestApp::new(&t).await;
        let system = app.system().await;
        for kick in ["", "kick/"] {
            let house = app.house().await;
            let line = format!("DELETE /members/{kick}{}", house.member);
            assert_eq!(app.call(&line, &system, json!({"password": PASSWORD})).await.status, 200);
            app.get(&format!("/families/{}", house.family), &house.guardian).await.forbids();
        }
    }
}
