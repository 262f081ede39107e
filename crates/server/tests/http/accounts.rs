use carebot_testkit::fixtures::new_account;

use crate::prelude::*;

const ROLE: &str = "Invalid value provided for account details (role)";
const GENDER: &str = "Invalid value provided for account details (gender)";
const EMAIL: &str = "Invalid value provided for account details (email)";
const PASSWORD_REFUSED: &str = "Invalid value provided for account details (password)";
const BIRTH_DATE: &str = "Invalid value provided for account details (birth date)";
const BOUND: &str = "The role can not be changed while the account owns or belongs to a family";

/// What the sign-up page sends.
fn sign_up() -> Value {
    json!({"email": "soonja@example.com", "password": PASSWORD, "role": "main", "user_name": "김순자",
        "birth_date": {"year": 1945, "month": 3, "day": 1}, "gender": "female", "address": "경기도 수원시"})
}

/// The same with other values.
fn but(mut body: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

both_engines! {
    async fn an_address_is_free_or_taken_whatever_its_letter_case(t: TestDb) {
        let app = TestApp::new(&t).await;
        app.person_at(Role::Sub, "Mother@Example.com").await;
        let check = async |email: Value| app.call("POST /accounts/check-email", ANYONE, json!({"email": email})).await;
        check(json!("free@example.com")).await.is(200, r#"{"message":"Email is available"}"#);
        // Whether it is an address at all is not asked here.
        check(json!("no address")).await.is(200, r#"{"message":"Email is available"}"#);
        check(json!("Mother@Example.com")).await.is(
            409,
            r#"{"detail":{"type":"already exists","message":"Email is already in use","input":{"email":"Mother@Example.com"}}}"#,
        );
        for same in ["mother@example.com", " MOTHER@EXAMPLE.COM "] {
            check(json!(same)).await.refuses(409, "already exists", "Email is already in use");
        }
        for other in ["móther@example.com", "mother@example.com.", "mother @example.com", "ｍother@example.com"] {
            check(json!(other)).await.is(200, r#"{"message":"Email is available"}"#);
        }
        let missing = r#"{"detail":{"type":"no data","loc":["body","email"],"message":"Email is required","input":{"email":null}}}"#;
        check(json!(null)).await.is(422, missing);
        app.call("POST /accounts/check-email", ANYONE, json!({"other": 1})).await.is(422, missing);
        check(json!("")).await.is(422, &missing.replace(r#""input":{"email":null}"#, r#""input":{"email":""}"#));
        check(json!(5)).await.is(
            422,
            r#"{"detail":[{"type":"string_type","loc":["body","email"],"msg":"Input should be a valid string","input":5}]}"#,
        );
    }

    async fn an_account_is_made_and_read_back(t: TestDb) {
        let app = TestApp::new(&t).await;
        let reply = app.call("POST /accounts", ANYONE, sign_up()).await;
        reply.is(201, r#"{"message":"New account created successfully","result":{"id":"ID"}}"#);
        let id = reply.given("id");
        assert!(id.starts_with('U') && id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
        let token = app.sign_in("soonja@example.com", PASSWORD).await;
        app.get(&format!("/accounts/{id}"), &token).await.is(
            200,
            concat!(
                r#"{"message":"Account retrieved successfully","result":{"id":"ID","email":"soonja@example.com","role":"main","#,
                r#""user_name":"김순자","birth_date":"1945-03-01","gender":"female","address":"경기도 수원시"}}"#
            ),
        );
    }

    async fn what_may_be_absent_of_an_account_may_be_absent(t: TestDb) {
        let app = TestApp::new(&t).await;
        let body = json!({"email": " Plain@Example.com ", "password": PASSWORD, "role": "SUB", "shoe_size": [42], "gender": null});
        let id = app.call("POST /accounts", ANYONE, body).await.given("id");
        let token = app.sign_in("plain@example.com", PASSWORD).await;
        app.get(&format!("/accounts/{id}"), &token).await.is(
            200,
            concat!(
                r#"{"message":"Account retrieved successfully","result":{"id":"ID","email":"Plain@Example.com","role":"sub","#,
                r#""user_name":null,"birth_date":null,"gender":"other","address":null}}"#
            ),
        );
        let long = json!({"email": "long@example.com", "gender": "FEMALE", "user_name": "가".repeat(40), "address": "나".repeat(140)});
        let id = app.call("POST /accounts", ANYONE, but(sign_up(), &long)).await.given("id");
        let token = app.sign_in("long@example.com", PASSWORD).await;
        let account = app.get(&format!("/accounts/{id}"), &token).await.result();
        assert_eq!(account["user_name"], "가".repeat(32));
        assert_eq!(account["address"], "나".repeat(128));
        assert_eq!(account["gender"], "female");
    }

    async fn the_first_that_is_missing_is_told_and_no_password_comes_back(t: TestDb) {
        let app = TestApp::new(&t).await;
        let missing = async |body: Value| {
            let reply = app.call("POST /accounts", ANYONE, body).await;
            reply.refuses(422, "no data", "User data is required");
            reply.json()["detail"]["loc"].clone()
        };
        assert_eq!(missing(json!({})).await, json!(["body", "password"]));
        assert_eq!(missing(json!({"password": ""})).await, json!(["body", "password"]));
        assert_eq!(missing(json!({"password": PASSWORD})).await, json!(["body", "role"]));
        assert_eq!(missing(but(sign_up(), &json!({"email": "", "role": ""}))).await, json!(["body", "role"]));
        assert_eq!(missing(but(sign_up(), &json!({"email": null}))).await, json!(["body", "email"]));
        let body = json!({"password": PASSWORD, "role": "main", "birth_date": {"year": 1945, "month": "3", "day": 1}});
        app.call("POST /accounts", ANYONE, body).await.is(
            422,
            concat!(
                r#"{"detail":{"type":"no data","loc":["body","email"],"message":"User data is required","input":"#,
                r#"{"email":null,"password":"<PASSWORD>","role":"main","user_name":null,"#,
                r#""birth_date":{"year":1945,"month":3,"day":1},"gender":null,"address":null}}}"#
            ),
        );
    }

    async fn of_several_faults_the_first_in_order_is_told(t: TestDb) {
        let app = TestApp::new(&t).await;
        app.person_at(Role::Sub, "taken@example.com").await;
        // Everything is wrong; then one fault after the other is mended.
        let mut body = but(
            sign_up(),
            &json!({"role": "king", "gender": "", "email": "nobody", "password": "short", "birth_date": {"year": 1945, "month": 2, "day": 30}}),
        );
        let mut mend = async |name: &str, value: Value, status: u16, kind: &str, message: &str| {
            let reply = app.call("POST /accounts", ANYONE, body.clone()).await;
            reply.refuses(status, kind, message);
            assert_eq!(reply.json()["detail"]["input"].get("password"), None);
            body[name] = value;
        };
        mend("role", json!("system"), 400, "invalid value", ROLE).await;
        mend("role", json!("Main"), 403, "can not access", "You do not have permission").await;
        mend("gender", json!("Other"), 400, "invalid value", GENDER).await;
        mend("email", json!("Taken@example.com"), 400, "invalid value", EMAIL).await;
        mend("password", json!(PASSWORD), 400, "invalid value", PASSWORD_REFUSED).await;
        mend("email", json!("new@example.com"), 409, "already exists", "Email is already in use").await;
        mend("birth_date", json!({"year": 1945, "month": 2, "day": 28}), 400, "invalid value", BIRTH_DATE).await;
        app.call("POST /accounts", ANYONE, body)
            .await
            .is(201, r#"{"message":"New account created successfully","result":{"id":"ID"}}"#);
    }

    async fn a_refusal_echoes_the_body_without_the_password(t: TestDb) {
        let app = TestApp::new(&t).await;
        app.call("POST /accounts", ANYONE, but(sign_up(), &json!({"role": "king", "extra": 1}))).await.is(
            400,
            concat!(
                r#"{"detail":{"type":"invalid value","message":"Invalid value provided for account details (role)","input":"#,
                r#"{"email":"soonja@example.com","role":"king","user_name":"김순자","birth_date":{"year":1945,"month":3,"day":1},"#,
                r#""gender":"female","address":"경기도 수원시"}}}"#
            ),
        );
    }

    async fn privileged_roles_are_given_by_operators_alone(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (system, elder) = (app.system().await, app.person(Role::Main, "ELDER").await);
        for role in ["system", "test", "System"] {
            let body = but(sign_up(), &json!({"role": role, "email": format!("{}@example.com", role)}));
            app.call("POST /accounts", ANYONE, body.clone()).await.forbids();
            app.call("POST /accounts", &elder, body.clone()).await.forbids();
            if role != "System" {
                assert_eq!(app.call("POST /accounts", &system, body).await.status, 201);
            }
            app.call(&format!("PATCH /accounts/{}", elder.id), &elder, json!({"role": role})).await.forbids();
        }
        assert_eq!(app.get("/accounts", &system).await.result().as_array().expect("a list").len(), 4);
    }

    async fn passwords_must_be_worth_their_name(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| settings.password_min_length = 10).await;
        for password in ["nine char", "가나다라마바사아자", "qwertyuiop", &"a".repeat(1025)] {
            let reply = app.call("POST /accounts", ANYONE, but(sign_up(), &json!({"password": password}))).await;
            reply.refuses(400, "invalid value", PASSWORD_REFUSED);
            assert!(!reply.text().contains(password));
        }
        for (number, password) in
            ["ten chars!", "가나다라마바사아자차", "nul\0nul\0nul\0", &"긴".repeat(341)].iter().enumerate()
        {
            let email = format!("p{number}@example.com");
            let reply = app
                .call("POST /accounts", ANYONE, but(sign_up(), &json!({"password": password, "email": email})))
                .await;
            assert_eq!(reply.status, 201, "{password:?}");
            app.sign_in(&email, password).await;
        }
    }

    async fn an_address_must_look_like_one(t: TestDb) {
        let app = TestApp::new(&t).await;
        for email in [
            "a",
            "a@b",
            "a b@example.com",
            "@example.com",
            "a@example..com",
            "a\n@example.com",
            &format!("{}@example.com", "a".repeat(117)),
        ] {
            app.call("POST /accounts", ANYONE, but(sign_up(), &json!({"email": email}))).await.refuses(
                400,
                "invalid value",
                EMAIL,
            );
        }
        let longest = format!("{}@example.com", "a".repeat(116));
        assert_eq!(app.call("POST /accounts", ANYONE, but(sign_up(), &json!({"email": longest}))).await.status, 201);
    }

    async fn operators_list_all_accounts_in_the_order_of_ids(t: TestDb) {
        let app = TestApp::new(&t).await;
        let system = app.system().await;
        let (elder, guardian) = (app.person(Role::Main, "ELDER").await, app.person(Role::Sub, "GUARDIAN").await);
        let reply = app.get("/accounts", &system).await;
        let mut ids = [system.id, elder.id, guardian.id];
        ids.sort();
        let list = reply.result();
        let listed: Vec<_> = list.as_array().expect("a list").iter().map(|account| account["id"].clone()).collect();
        assert_eq!(json!(listed), json!(ids));
        assert!(
            reply.text().starts_with(r#"{"message":"All accounts retrieved successfully","result":[{"id":"#),
            "{}",
            reply.text()
        );
        assert!(!reply.text().contains("argon2"), "{}", reply.text());
        let keys: Vec<_> = list[0].as_object().expect("an account").keys().cloned().collect();
        assert_eq!(keys, ["id", "email", "role", "user_name", "birth_date", "gender", "address"]);
        let refused = r#"{"detail":{"type":"can not access","message":"You do not have permission"}}"#;
        app.get("/accounts", &elder).await.is(403, refused);
        app.get("/accounts", ANYONE).await.is(403, refused);
    }

    async fn only_operators_learn_that_an_account_is_not_there(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (system, elder) = (app.system().await, app.person(Role::Main, "ELDER").await);
        for id in ["Uabcdefghijklmno", "x", "%EA%B0%80", "U%00bcdefghijklmno", "%FF", "Uabcdefghijklmnopq"] {
            app.get(&format!("/accounts/{id}"), &system)
                .await
                .is(404, r#"{"detail":{"type":"not found","message":"Account not found"}}"#);
            app.get(&format!("/accounts/{id}"), &elder)
                .await
                .is(403, r#"{"detail":{"type":"can not access","message":"You do not have permission"}}"#);
        }
        // Ids are exact.
        let other_case: String = elder
            .id
            .as_str()
            .chars()
            .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect();
        app.get(&format!("/accounts/{other_case}"), &elder).await.forbids();
        app.get(&format!("/accounts/{other_case}"), &system).await.refuses(404, "not found", "Account not found");
    }

    async fn an_account_is_changed_field_by_field(t: TestDb) {
        let app = TestApp::new(&t).await;
        let elder = app.person(Role::Main, "ELDER").await;
        let line = format!("PATCH /accounts/{}", elder.id);
        let body = json!({"user_name": "박영희", "password": "another fine password", "gender": "MALE", "id": "U123456789012345",
            "birth_date": {"year": "1950", "month": 12, "day": 31.0}, "address": "", "role": null, "email": null});
        app.call(&line, &elder, body).await.is(
            200,
            concat!(
                r#"{"message":"Account updated successfully","result":{"id":"ELDER","email":"elder@","role":"main","#,
                r#""user_name":"박영희","birth_date":"1950-12-31","gender":"male","address":""}}"#
            ),
        );
        // The password was passed over.
        app.sign_in(&elder.email, PASSWORD).await;
        let nothing = app.call(&line, &elder, json!({"user_name": ""})).await;
        assert_eq!(nothing.result()["user_name"], "");
        assert_eq!(nothing.result()["birth_date"], "1950-12-31");
        // One's own address is no conflict, in whatever letter case; it is shown as it was typed last.
        let shouted = elder.email.to_uppercase();
        assert_eq!(app.call(&line, &elder, json!({"email": shouted})).await.result()["email"], shouted.as_str());
        app.sign_in(&elder.email, PASSWORD).await;
        assert_eq!(app.call(&line, &elder, json!({"role": "MAIN"})).await.result()["role"], "main");
    }

    async fn a_change_is_refused_in_the_contracts_order(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (system, elder, stranger) =
            (app.system().await, app.person(Role::Main, "ELDER").await, app.person(Role::Sub, "STRANGER").await);
        let mut body = json!({"role": "king", "gender": "x", "email": "", "birth_date": {"year": 0, "month": 1, "day": 1}, "password": PASSWORD});
        app.call(&format!("PATCH /accounts/{}", elder.id), &stranger, body.clone()).await.is(
            403,
            concat!(
                r#"{"detail":{"type":"can not access","message":"You do not have permission","input":{"user_id":"ELDER","email":"","#,
                r#""role":"king","user_name":null,"birth_date":{"year":0,"month":1,"day":1},"gender":"x","address":null}}}"#
            ),
        );
        let gone = app.call("PATCH /accounts/Uabcdefghijklmno", &system, body.clone()).await;
        gone.refuses(404, "not found", "Account not found");
        assert_eq!(gone.json()["detail"]["input"]["user_id"], "Uabcdefghijklmno");
        let line = format!("PATCH /accounts/{}", elder.id);
        let mut mend = async |name: &str, value: Value, status: u16, kind: &str, message: &str| {
            let reply = app.call(&line, &elder, body.clone()).await;
            reply.refuses(status, kind, message);
            assert_eq!(reply.json()["detail"]["input"].get("password"), None);
            body[name] = value;
        };
        mend("role", json!(null), 400, "invalid value", ROLE).await;
        mend("gender", json!(null), 400, "invalid value", GENDER).await;
        mend("email", json!(stranger.email.to_uppercase()), 400, "invalid value", EMAIL).await;
        mend("email", json!(null), 409, "already exists", "Email is already in use").await;
        mend("birth_date", json!(null), 400, "invalid value", BIRTH_DATE).await;
        assert_eq!(app.call(&line, &elder, body).await.status, 200);
        app.call(&line, &elder, json!({"role": ""})).await.refuses(400, "invalid value", ROLE);
    }

    async fn a_role_stays_while_it_is_needed_in_a_family(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let asker = app.person(Role::Sub, "ASKER").await;
        t.join(house.family, asker.id, None).await;
        for (person, role) in [(&house.elder, "sub"), (&house.guardian, "main"), (&asker, "main")] {
            let line = format!("PATCH /accounts/{}", person.id);
            app.call(&line, person, json!({"role": role})).await.refuses(409, "already exists", BOUND);
            let own = if role == "sub" { "main" } else { "sub" };
            assert_eq!(app.call(&line, person, json!({"role": own})).await.status, 200);
        }
        let free = app.person(Role::Sub, "FREE").await;
        let changed = app.call(&format!("PATCH /accounts/{}", free.id), &free, json!({"role": "main"})).await;
        assert_eq!(changed.result()["role"], "main");
        // A test account keeps its role when it says so.
        let test = app.person(Role::Test, "TEST").await;
        assert_eq!(app.call(&format!("PATCH /accounts/{}", test.id), &test, json!({"role": "test"})).await.status, 200);
    }

    async fn an_account_is_deleted_with_the_callers_password(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        let elder = &house.elder;
        let line = format!("DELETE /accounts/{}", elder.id);
        let needed = r#"{"detail":{"type":"no data","loc":["body","password"],"message":"Password is required","input":{"user_id":"ELDER"}}}"#;
        app.call(&line, ANYONE, json!({})).await.is(422, needed);
        app.call(&line, &house.guardian, json!({"password": ""})).await.is(422, needed);
        let password = json!({"password": PASSWORD});
        app.call(&line, &house.guardian, password.clone()).await.is(
            403,
            r#"{"detail":{"type":"can not access","message":"You do not have permission","input":{"user_id":"ELDER"}}}"#,
        );
        app.call("DELETE /accounts/Uabcdefghijklmno", &system, password.clone()).await.is(
            404,
            r#"{"detail":{"type":"not found","message":"Account not found","input":{"user_id":"Uabcdefghijklmno"}}}"#,
        );
        let wrong = json!({"password": "not the password"});
        let refused = r#"{"detail":{"type":"unauthorized","message":"Invalid password","input":{"user_id":"ELDER"}}}"#;
        app.call(&line, elder, wrong.clone()).await.is(401, refused);
        app.call(&line, &system, wrong).await.is(401, refused);
        app.call(&line, elder, password.clone()).await.is(200, r#"{"message":"Account deleted successfully"}"#);
        app.call(&line, elder, password.clone()).await.forbids();
        app.call(&line, &system, password).await.refuses(404, "not found", "Account not found");
    }

    async fn with_an_account_goes_all_that_hangs_from_it(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        let (elder, guardian, family) = (&house.elder, &house.guardian, house.family);
        for (from, to) in [(elder, guardian), (guardian, elder), (guardian, guardian)] {
            let body = json!({"from_id": from.id, "to_id": to.id, "content": "안녕"});
            assert_eq!(app.call("POST /messages/send", from, body).await.status, 201);
        }
        assert_eq!(app.call("POST /tools/background", elder, json!({"family_id": family})).await.status, 201);
        assert_eq!(
            app.call(&format!("DELETE /accounts/{}", elder.id), elder, json!({"password": PASSWORD})).await.status,
            200
        );
        // For everybody at once, before anything is cleaned up.
        app.get(&format!("/families/{family}"), guardian).await.forbids();
        app.get(&format!("/families/{family}"), &system).await.refuses(404, "not found", "Family not found");
        app.get(&format!("/members?userId={}", guardian.id), guardian)
            .await
            .is(200, r#"{"message":"No members found","result":[]}"#);
        let sent = app.get("/messages/sent", guardian).await.result();
        assert_eq!(sent.as_array().map(Vec::len), Some(1), "only the one to himself is left: {sent}");
        app.get("/messages/all", guardian).await.shown();
        app.call("POST /accounts/check-email", ANYONE, json!({"email": elder.email}))
            .await
            .is(200, r#"{"message":"Email is available"}"#);
        app.call("POST /auth/login", ANYONE, json!({"email": elder.email, "password": PASSWORD})).await.refuses(
            401,
            "unauthorized",
            "Invalid email or password",
        );
        // The address can be used again.
        app.person_of(new_account(&t, Role::Sub, "x")).await;
        let again = but(sign_up(), &json!({"email": elder.email}));
        assert_eq!(app.call("POST /accounts", ANYONE, again).await.status, 201);
    }
}
