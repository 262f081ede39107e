//! `/app/`: the frame of the pages, the way in and out, and one's own account.

use carebot_model::alarms::Channel;
use carebot_testkit::app::Postbox;

use crate::prelude::*;

const FORM: &str = "application/x-www-form-urlencoded";

/// Sends a form as a browser does.
pub async fn submit(app: &TestApp, path: &str, who: impl carebot_testkit::app::Who, fields: &[(&str, &str)]) -> Reply {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    app.request(&format!("POST {path}")).by(who).body(FORM, body).send().await
}

/// Where an answer leads.
pub fn led(reply: &Reply) -> &str {
    assert_eq!(reply.status, 303, "{}", reply.text());
    reply.header("location")
}

async fn forget(app: &TestApp, email: &str) -> String {
    led(&submit(app, "/app/forgotten", ANYONE, &[("email", email)]).await).to_owned()
}

async fn reset(app: &TestApp, token: &str, password: &str) -> Reply {
    submit(app, "/app/reset", ANYONE, &[("token", token), ("password", password)]).await
}

both_engines! {
    async fn who_is_nobody_is_led_to_sign_in_and_back_to_where_he_wanted_to_go(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        assert_eq!(led(&app.get("/", ANYONE).await), "/app/");
        let place = format!("/app/families/{}", house.family);
        let reply = app.get(&place, ANYONE).await;
        assert_eq!(led(&reply), format!("/app/sign-in?next=%2Fapp%2Ffamilies%2F{}", house.family));
        let email = house.guardian.email.as_str();
        let fields = [("email", email), ("password", PASSWORD), ("next", place.as_str())];
        let reply = submit(&app, "/app/sign-in", ANYONE, &fields).await;
        assert_eq!(led(&reply), place);
        let cookie = reply.header("set-cookie").to_owned();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite"), "{cookie}");
        let page = app.get(&place, &house.guardian).await;
        assert_eq!(page.status, 200);
        assert!(page.text().contains("id=\"glance\""), "{}", page.text());
    }

    async fn nobody_is_led_away_from_this_server(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        for next in ["https://evil.example/app/", "//evil.example", "/app//evil.example", "/app/\\evil", "/apple", ""] {
            let fields = [("email", house.guardian.email.as_str()), ("password", PASSWORD), ("next", next)];
            assert_eq!(led(&submit(&app, "/app/sign-in", ANYONE, &fields).await), "/app/", "{next}");
        }
    }

    async fn a_wrong_password_is_said_in_the_language_of_the_browser_and_is_not_repeated(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let body = format!("email={}&password=not+this+one", house.guardian.email.replace('@', "%40"));
        for (language, words) in [("ko-KR,ko;q=0.9", "이메일이나 비밀번호가 맞지 않습니다"), ("fr,en;q=0.8", "or the password is wrong")] {
            let request = app.request("POST /app/sign-in").body(FORM, body.clone()).header("accept-language", language);
            let reply = request.send().await;
            assert_eq!(reply.status, 401);
            let text = reply.text();
            assert!(text.contains(words) && !text.contains("not this one"), "{text}");
        }
    }

    async fn a_chosen_language_is_kept(t: TestDb) {
        let app = TestApp::new(&t).await;
        let reply = submit(&app, "/app/language", ANYONE, &[("language", "en"), ("next", "/app/sign-up")]).await;
        assert_eq!(led(&reply), "/app/sign-up");
        let cookie = reply.header("set-cookie").split(';').next().expect("a cookie").to_owned();
        let page = app.request("GET /app/sign-up").header("cookie", cookie).header("accept-language", "ko").send().await;
        assert!(page.text().contains("<html lang=\"en\">"), "{}", page.text());
    }

    async fn every_page_says_what_it_may_load_and_a_foreign_page_sends_no_form(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        for path in ["/app/sign-in", "/app/nothing-here", "/app/account"] {
            let page = app.get(path, &house.guardian).await;
            let policy = page.header("content-security-policy").to_owned();
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
            assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"), "{policy}");
            assert_eq!(page.header("cache-control"), "no-store");
            let text = page.text();
            assert!(!text.contains("style=") && !text.contains("<script>") && !text.contains("onclick"), "{text}");
        }
        let sent = app.request("POST /app/sign-out").by(&house.guardian).header("origin", "https://evil.example");
        assert_eq!(sent.send().await.status, 403);
        assert_eq!(app.get("/app/account", &house.guardian).await.status, 200, "still signed in");
    }

    async fn what_is_not_there_and_what_is_not_for_one_says_so_as_a_page(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, other) = (app.house().await, app.house().await);
        let page = app.get("/app/nothing-here", &house.guardian).await;
        assert_eq!(page.status, 404);
        assert!(page.text().contains("<html lang=\"ko\">"), "{}", page.text());
        let page = app.get(&format!("/app/families/{}", other.family), &house.guardian).await;
        assert_eq!(page.status, 403);
        assert!(page.text().contains("권한이 없습니다"), "{}", page.text());
    }

    async fn nobody_is_called_all_right_because_her_robot_reports(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let place = format!("/app/families/{}", house.family);
        let glance = async |words: &str| {
            let page = app.get(&place, &house.guardian).await.text();
            let glance = page.split("id=\"glance\"").nth(1).and_then(|rest| rest.split("</section>").next()).expect("a glance");
            assert!(glance.contains(words), "{words} is not in {glance}");
        };
        let report = async |kind: &str, fields: Value| {
            let mut body = json!({"family_id": house.family});
            body.as_object_mut().expect("an object").extend(fields.as_object().expect("fields").clone());
            app.call(&format!("POST /status/{kind}"), &house.elder, body).await.succeeds(201);
        };
        glance("아직 로봇에게서 온 소식이 없습니다").await;
        report("home", json!({"temperature": 22.0})).await;
        glance("움직임은 아직 보이지 않았습니다").await;
        let sensed = t.now().plus_millis(-4 * 3_600_000);
        let walk = json!({"family_id": house.family, "score": 70, "action": "산책"});
        let sent = app.request("POST /status/active").by(&house.elder).header("carebot-sensed-at", format!("{sensed}Z"));
        sent.json(&walk).send().await.succeeds(201);
        glance("마지막 움직임은 4시간 전입니다").await;
        report("health", json!({"heart_rate": 0})).await;
        glance("마지막 움직임은 4시간 전입니다").await;
        report("health", json!({"heart_rate": 64})).await;
        glance("괜찮으세요. 방금 맥박이 잡혔어요").await;
        report("active", json!({"score": 70, "action": "산책"})).await;
        glance("괜찮으세요. 방금 움직이셨어요").await;
        report("active", json!({"score": 0, "action": "낙상", "is_critical": true})).await;
        glance("지금 확인해 주세요").await;
    }

    async fn what_was_critical_and_ended_unseen_is_shown_until_somebody_confirms_it(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let place = format!("/app/families/{}", house.family);
        for minutes in 0..10 {
            let ethanol = if minutes < 3 { 20.0 } else { 0.1 };
            let body = json!({"family_id": house.family, "ethanol": ethanol});
            app.call("POST /status/home", &house.elder, body).await.succeeds(201);
            app.service.judge_rules().await.expect("judged");
            app.advance(60_000).await;
        }
        app.call("POST /status/active", &house.elder, json!({"family_id": house.family, "score": 70, "action": "산책"})).await.succeeds(201);
        let page = app.get(&place, &house.guardian).await.text();
        assert!(page.contains("끝남, 아무도 확인하지 않음") && page.contains("살펴볼 일이 있습니다"), "{page}");
        let act = page.split('"').find(|part| part.ends_with("/ack")).expect("something to confirm").to_owned();
        led(&submit(&app, &act, &house.guardian, &[]).await);
        let page = app.get(&place, &house.guardian).await.text();
        assert!(page.contains("괜찮으세요") && !page.contains("/ack\""), "{page}");
    }

    async fn who_is_signed_out_while_pressing_a_button_comes_back_to_the_page_it_is_on(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let page = format!("/app/families/{}", house.family);
        let sent = app.request(&format!("POST {page}/alarms/1/ack")).header("referer", format!("http://localhost{page}"));
        let reply = sent.body(FORM, "").send().await;
        assert_eq!(led(&reply), format!("/app/sign-in?next=%2Fapp%2Ffamilies%2F{}", house.family));
    }

    async fn a_kept_sign_in_outlives_the_browser(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let fields = [("email", house.guardian.email.as_str()), ("password", PASSWORD)];
        let reply = submit(&app, "/app/sign-in", ANYONE, &fields).await;
        assert!(!reply.header("set-cookie").contains("Max-Age"), "{}", reply.header("set-cookie"));
        let reply = submit(&app, "/app/sign-in", ANYONE, &[&fields[..], &[("remember", "on")]].concat()).await;
        assert!(reply.header("set-cookie").contains("Max-Age=34560000"), "{}", reply.header("set-cookie"));
    }

    async fn files_are_kept_by_browsers_and_their_address_tells_their_version(t: TestDb) {
        let app = TestApp::new(&t).await;
        let page = app.get("/app/sign-in", ANYONE).await.text();
        let mut count = 0;
        for piece in page.split(['"']).filter(|piece| piece.starts_with("/app/static/")) {
            let file = app.get(piece, ANYONE).await;
            assert_eq!((file.status, file.header("cache-control")), (200, "public, max-age=31536000, immutable"), "{piece}");
            count += 1;
        }
        assert!(count >= 5, "{page}");
        let worker = app.get("/app/sw.js", ANYONE).await;
        assert_eq!(worker.header("cache-control"), "no-cache");
        assert!(!worker.text().contains("@VERSION@"));
    }

    async fn one_signs_up_and_is_welcome(t: TestDb) {
        let app = TestApp::new(&t).await;
        let fields = [
            ("role", "sub"), ("email", "new@example.com"), ("password", "seven grey geese"), ("user_name", "이하나"),
            ("birth_date", "1970-02-03"), ("gender", "female"), ("address", ""),
        ];
        let reply = submit(&app, "/app/sign-up", ANYONE, &fields).await;
        assert_eq!(led(&reply), "/app/welcome");
        let again = submit(&app, "/app/sign-up", ANYONE, &fields).await;
        assert_eq!(again.status, 400);
        assert!(again.text().contains("이미 쓰고 있는 이메일") && again.text().contains("이하나"), "{}", again.text());
        let mut privileged = fields;
        (privileged[0].1, privileged[1].1) = ("system", "other@example.com");
        submit(&app, "/app/sign-up", ANYONE, &privileged).await;
        let token = app.sign_in("other@example.com", "seven grey geese").await;
        assert_eq!(app.request("GET /app/operator").header("cookie", format!("session_id={token}")).send().await.status, 403);
    }

    async fn a_forgotten_password_is_set_anew_by_a_link_once(t: TestDb) {
        let post = Postbox::default();
        let carrier = post.clone();
        let app = TestApp::with(&t, |settings, _| {
            settings.alarms.carrier = Some(std::sync::Arc::new(carrier));
            settings.alarms.public_url = Some("https://care.example".to_owned());
        }).await;
        let house = app.house().await;
        assert_eq!(forget(&app, "nobody@example.com").await, "/app/forgotten?asked", "the same for an unknown address");
        assert_eq!(forget(&app, &house.guardian.email).await, "/app/forgotten?asked");
        let mut posted = Vec::new();
        until!("the mail goes out", { posted.extend(post.take()); !posted.is_empty() });
        assert_eq!((posted.len(), posted[0].channel, posted[0].to.as_str()), (1, Channel::Email, house.guardian.email.as_str()));
        let link = posted[0].notice.link.clone().expect("a link");
        let path = link.strip_prefix("https://care.example").expect("this server's");
        let token = path.split_once("token=").expect("a token").1.to_owned();
        assert_eq!(app.get(path, ANYONE).await.status, 200);
        forget(&app, &house.guardian.email).await;
        forget(&app, &house.elder.email).await;
        let mut posted = Vec::new();
        until!("the elder's mail goes out", { posted.extend(post.take()); !posted.is_empty() });
        assert_eq!((posted.len(), posted[0].to.as_str()), (1, house.elder.email.as_str()), "nobody fills a mailbox");
        assert_eq!(reset(&app, &token, "short").await.status, 400);
        assert_eq!(led(&reset(&app, &token, "eight black ravens").await), "/app/sign-in?done=password");
        assert_eq!(reset(&app, &token, "nine white swans").await.status, 404, "used up");
        assert_eq!(app.get("/app/account", &house.guardian).await.status, 303, "sessions have ended");
        app.sign_in(&house.guardian.email, "eight black ravens").await;
    }

    async fn a_link_for_a_new_password_is_void_after_half_an_hour_and_when_another_is_sent(t: TestDb) {
        let post = Postbox::default();
        let carrier = post.clone();
        let app = TestApp::with(&t, |settings, _| {
            settings.alarms.carrier = Some(std::sync::Arc::new(carrier));
            settings.alarms.public_url = Some("https://care.example".to_owned());
        }).await;
        let house = app.house().await;
        let mut links = Vec::new();
        for _ in 0..2 {
            submit(&app, "/app/forgotten", ANYONE, &[("email", house.elder.email.as_str())]).await;
            let mut posted = Vec::new();
            until!("the mail goes out", { posted.extend(post.take()); !posted.is_empty() });
            links.push(posted[0].notice.link.clone().expect("a link").replace("https://care.example", ""));
            app.advance(3 * 60_000).await;
        }
        assert_eq!(app.get(&links[0], ANYONE).await.status, 404, "the newer one counts");
        assert_eq!(app.get(&links[1], ANYONE).await.status, 200);
        app.advance(27 * 60_000).await;
        assert_eq!(app.get(&links[1], ANYONE).await.status, 404);
    }

    async fn who_asks_for_links_again_and_again_has_to_wait(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| {
            settings.throttle.address = 2;
            settings.alarms.carrier = Some(std::sync::Arc::new(Postbox::default()));
            settings.alarms.public_url = Some("https://care.example".to_owned());
        }).await;
        let ask = async |address: &str, email: &str| {
            let body = format!("email={}", email.replace('@', "%40"));
            app.request("POST /app/forgotten").from(address).body(FORM, body).send().await
        };
        let mut statuses = Vec::new();
        for number in 0..5 {
            statuses.push(ask("192.0.2.1", &format!("nobody-{number}@example.com")).await.status);
        }
        assert_eq!(statuses, [303, 303, 429, 429, 429], "whether there are such accounts or not");
        let refused = ask("192.0.2.1", "somebody@example.com").await;
        assert!(refused.text().contains("value=\"somebody@example.com\""), "{}", refused.text());
        assert!(!refused.header("retry-after").is_empty());
        assert_eq!(ask("192.0.2.2", "nobody-0@example.com").await.status, 303, "nobody keeps others from asking");
    }

    async fn without_mail_a_forgotten_password_is_the_operators(t: TestDb) {
        let app = TestApp::new(&t).await;
        let page = app.get("/app/forgotten", ANYONE).await.text();
        assert!(page.contains("운영자") && !page.contains("<form class=\"card\""), "{page}");
    }

    async fn a_refused_form_keeps_what_was_typed_and_says_what_is_wrong_with_it(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let who = &house.guardian;
        let refused = async |status: u16, path: &str, fields: &[(&str, &str)], words: &[&str]| {
            let reply = submit(&app, path, who, fields).await;
            assert_eq!(reply.status, status, "{path}");
            let page = reply.text();
            for word in words {
                assert!(page.contains(word), "{word} is not in {page}");
            }
            assert!(!page.contains("secret words"), "a password comes back: {page}");
        };
        let taken = [("email", house.elder.email.as_str()), ("user_name", "김 <영> 호"), ("birth_date", "1980-05-06")];
        let words = ["이미 쓰고 있는", &house.elder.email, "김 &lt;영&gt; 호", "1980-05-06"];
        refused(409, "/app/account/profile", &taken, &words).await;
        let half = [("channel", "email"), ("phone", "010-1234-5678"), ("language", "en"), ("quiet_from", "22:30"), ("webhook_url", "https://a.example/x")];
        let words = ["조용한 시간은 시작과 끝을", "010-1234-5678", "22:30", "https://a.example/x", "<option value=\"en\" selected>"];
        refused(400, "/app/account/channels", &half, &words).await;
        refused(400, "/app/account/address", &[("province", "경기도"), ("district", "없는 곳")], &["시도와 시군구를"]).await;
        refused(401, "/app/account/password", &[("current", "secret words"), ("new", "secret words 2")], &["비밀번호가 맞지 않습니다"]).await;
        refused(401, "/app/account/delete", &[("password", "secret words")], &["비밀번호가 맞지 않습니다", "<details open>"]).await;
        let page = app.get("/app/account", who).await.text();
        assert!(!page.contains("010-1234-5678") && page.contains(&who.email), "nothing was kept: {page}");
    }

    async fn a_message_that_can_not_be_sent_is_not_written_twice(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let place = format!("/app/families/{}/messages", house.family);
        let parts = |content: &str, picture: &[u8]| {
            let mut body = Vec::new();
            for (name, value) in [("with", house.elder.id.as_str()), ("content", content)] {
                body.extend(format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").into_bytes());
            }
            body.extend(b"--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n");
            body.extend(picture);
            body.extend(b"\r\n--B--\r\n");
            body
        };
        let send = async |content: &str, picture: &[u8]| {
            let request = app.request(&format!("POST {place}")).by(&house.guardian);
            request.body("multipart/form-data; boundary=B", parts(content, picture)).send().await
        };
        let reply = send("점심 드셨어요?\n<저녁은요>", b"no picture at all").await;
        assert_eq!(reply.status, 400);
        let page = reply.text();
        assert!(page.contains("사진 파일이 아닙니다") && page.contains("점심 드셨어요?\n&lt;저녁은요&gt;</textarea>"), "{page}");
        let reply = send("", b"").await;
        assert!(reply.status == 422 && reply.text().contains("글이나 사진을"), "{}", reply.text());
        assert_eq!(app.get("/messages/sent", &house.guardian).await.result(), json!([]));
        assert!(led(&send("점심 드셨어요?", b"").await).ends_with("done=sent#write"));
        assert_eq!(app.get("/messages/sent", &house.guardian).await.result()[0]["content"], "점심 드셨어요?");
    }

    async fn ones_account_is_changed_by_its_forms(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let who = &house.guardian;
        let fields = [
            ("channel", "email"), ("channel", ""), ("channel", "push"), ("phone", "010-1234-5678"), ("language", "en"),
            ("quiet_from", "22:00"), ("quiet_until", "07:00"), ("webhook_url", ""),
        ];
        assert_eq!(led(&submit(&app, "/app/account/channels", who, &fields).await), "/app/account?done=saved");
        let contact = app.get("/v1/contacts", who).await.result();
        assert_eq!((&contact["channels"], &contact["phone"]), (&json!(["email", "push"]), &json!("010-1234-5678")));
        assert_eq!(contact["quiet"], json!({"from": "22:00", "until": "07:00"}));
        let fields = [("email", who.email.as_str()), ("user_name", "새 이름"), ("birth_date", "1980-05-06"), ("address", "경기도 수원시")];
        assert_eq!(led(&submit(&app, "/app/account/profile", who, &fields).await), "/app/account?done=saved");
        let page = app.get("/app/account?done=saved", who).await.text();
        assert!(page.contains("새 이름") && page.contains("저장했습니다"), "{page}");
        let other = app.sign_in(&who.email, PASSWORD).await;
        assert_eq!(led(&submit(&app, "/app/account/sessions/end", who, &[]).await), "/app/account?done=saved");
        let as_other = app.request("GET /app/account").header("cookie", format!("session_id={other}")).send().await;
        assert_eq!(as_other.status, 303, "signed out there");
        assert_eq!(app.get("/app/account", who).await.status, 200, "and not here");
    }
}
