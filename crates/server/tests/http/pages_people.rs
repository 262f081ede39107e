//! The pages of people: invitations, joining, messages, notices, the album, the robot's switches, and taking one's data away.

use crate::images::png;
use crate::prelude::*;

/// Sends a form of a page.
async fn post(app: &TestApp, who: impl carebot_testkit::app::Who, path: &str, fields: &[(&str, &str)]) -> Reply {
    let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = app.request(&format!("POST {path}")).by(who);
    request.body("application/x-www-form-urlencoded", encoded).send().await
}

/// Sends a form that has a file after its fields.
async fn post_file(app: &TestApp, who: &Person, path: &str, fields: &[(&str, &str)], file: &[u8]) -> Reply {
    let mut form = Vec::new();
    for (name, value) in fields {
        form.extend_from_slice(
            format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").as_bytes(),
        );
    }
    let name = if file.is_empty() { "" } else { "생일.png" };
    let head = format!(
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
    );
    form.extend_from_slice(&[head.as_bytes(), file, b"\r\n--x--\r\n"].concat());
    let request = app.request(&format!("POST {path}")).by(who);
    request.body("multipart/form-data; boundary=x", form).send().await
}

/// Where a form led.
#[track_caller]
fn led(reply: &Reply) -> &str {
    assert_eq!(reply.status, 303, "{}", reply.text());
    reply.header("location")
}

/// A page that must be shown.
async fn page(app: &TestApp, who: impl carebot_testkit::app::Who, path: &str) -> String {
    let reply = app.get(path, who).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.text()
}

#[track_caller]
fn says(page: &str, what: &str) {
    assert!(page.contains(what), "{what} is not in {page}");
}

#[track_caller]
fn keeps_silent(page: &str, what: &str) {
    assert!(!page.contains(what), "{what} is in {page}");
}

/// Makes an invitation; the path of its page.
async fn invite(app: &TestApp, who: &Person, house: &House) -> String {
    let reply = post(app, who, &format!("/app/families/{}/invitations", house.family), &[]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let text = reply.text();
    says(&text, "<svg");
    let (_, rest) = text.split_once("carebot.test/app/invitations/").expect("a link with the host that was asked for");
    format!("/app/invitations/{}", rest.split('"').next().expect("the link ends"))
}

fn family_page(house: &House, page: &str) -> String {
    format!("/app/families/{}{page}", house.family)
}

const OVER: i64 = 48 * 3_600_000 + 1;

both_engines! {
    async fn an_elders_invitation_lets_one_person_in_at_once(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let (son, other) = (app.person(Role::Sub, "SON").await, app.person(Role::Sub, "OTHER").await);
        let place = invite(&app, &house.elder, &house).await;
        let offer = page(&app, &son, &place).await;
        says(&offer, "김순자 님이");
        says(&offer, "가입하기");
        app.get(&family_page(&house, ""), &son).await.succeeds(403);
        assert_eq!(led(&post(&app, &son, &place, &[("nickname", "아들")]).await), family_page(&house, ""));
        says(&page(&app, &house.elder, &family_page(&house, "/people")).await, "아들");
        page(&app, &son, &family_page(&house, "")).await;
        // Once.
        let late = post(&app, &other, &place, &[]).await;
        assert_eq!(late.status, 409);
        says(&late.text(), "이미 사용되었습니다");
        says(&page(&app, &other, &place).await, "이미 사용되었습니다");
        app.get(&family_page(&house, ""), &other).await.succeeds(403);
    }

    async fn two_at_once_do_not_both_come_in_by_one_invitation(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let (one, two) = (app.person(Role::Sub, "ONE").await, app.person(Role::Sub, "TWO").await);
        let place = invite(&app, &house.elder, &house).await;
        let (first, second) = tokio::join!(post(&app, &one, &place, &[]), post(&app, &two, &place, &[]));
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 409]);
        let members = app.get(&format!("/members?familyId={}", house.family), &house.elder).await.result();
        assert_eq!(members.as_array().map(Vec::len), Some(2));
    }

    async fn a_members_invitation_asks_the_elder(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let aunt = app.person(Role::Sub, "AUNT").await;
        let place = invite(&app, &house.guardian, &house).await;
        assert_eq!(led(&post(&app, &aunt, &place, &[]).await), "/app/welcome?done=asked");
        app.get(&family_page(&house, ""), &aunt).await.succeeds(403);
        says(&page(&app, &aunt, "/app/welcome").await, "승인을 기다리는 가족");
        let people = page(&app, &house.elder, &family_page(&house, "/people")).await;
        let (_, rest) = people.split_once("/requests/").expect("the request is shown");
        let request = rest.split('/').next().expect("its id");
        // Who is no elder does not even see it.
        keeps_silent(&page(&app, &house.guardian, &family_page(&house, "/people")).await, "/requests/");
        let approve = family_page(&house, &format!("/requests/{request}/approve"));
        assert_eq!(post(&app, &house.guardian, &approve, &[]).await.status, 403);
        led(&post(&app, &house.elder, &approve, &[]).await);
        page(&app, &aunt, &family_page(&house, "")).await;
    }

    async fn an_elders_invitation_approves_what_was_asked_before(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let aunt = app.person(Role::Sub, "AUNT").await;
        t.join(house.family, aunt.id, None).await;
        let by_member = invite(&app, &house.guardian, &house).await;
        assert_eq!(post(&app, &aunt, &by_member, &[]).await.status, 409);
        let by_elder = invite(&app, &house.elder, &house).await;
        led(&post(&app, &aunt, &by_elder, &[]).await);
        page(&app, &aunt, &family_page(&house, "")).await;
        // Who belongs already uses nothing up.
        assert_eq!(post(&app, &aunt, &by_member, &[]).await.status, 409);
        says(&page(&app, &app.person(Role::Sub, "LATER").await, &by_member).await, "가입하기");
    }

    async fn an_invitation_expires(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let place = invite(&app, &house.elder, &house).await;
        app.advance(OVER).await;
        let son = app.person(Role::Sub, "SON").await;
        says(&page(&app, &son, &place).await, "기한이 지났습니다");
        let late = post(&app, &son, &place, &[]).await;
        assert_eq!(late.status, 409);
        says(&late.text(), "기한이 지났습니다");
        app.get(&family_page(&house, ""), &son).await.succeeds(403);
    }

    async fn nobody_invites_who_does_not_belong_to_the_family(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let stranger = app.person(Role::Sub, "STRANGER").await;
        let asker = app.person(Role::Sub, "ASKER").await;
        t.join(house.family, asker.id, None).await;
        let path = family_page(&house, "/invitations");
        for who in [&stranger, &asker] {
            assert_eq!(post(&app, who, &path, &[]).await.status, 403);
        }
        assert!(led(&post(&app, ANYONE, &path, &[]).await).starts_with("/app/sign-in?next="));
        // Who was removed does not bring anybody in any more.
        let place = invite(&app, &house.guardian, &house).await;
        let kick = family_page(&house, &format!("/people/{}/kick", house.member));
        assert_eq!(post(&app, &house.elder, &kick, &[("password", "falsch falsch")]).await.status, 401);
        led(&post(&app, &house.elder, &kick, &[("password", PASSWORD)]).await);
        assert_eq!(post(&app, &stranger, &place, &[]).await.status, 409);
    }

    async fn an_invitation_tells_nothing_to_who_is_not_signed_in_and_can_be_taken_back(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let son = app.person(Role::Sub, "SON").await;
        let place = invite(&app, &house.elder, &house).await;
        let offer = page(&app, ANYONE, &place).await;
        keeps_silent(&offer, "김순자");
        says(&offer, "/app/sign-in?next=%2Fapp%2Finvitations%2F");
        assert!(led(&post(&app, ANYONE, &place, &[]).await).starts_with("/app/sign-in?next="));
        // An elder's account joins nobody's family.
        says(&page(&app, &app.house().await.elder, &place).await, "보호자 계정으로만");
        let people = page(&app, &house.elder, &family_page(&house, "/people")).await;
        keeps_silent(&people, place.rsplit('/').next().expect("a token"));
        let (_, rest) = people.split_once("/invitations/").expect("it is listed");
        let number = rest.split('/').next().expect("its number");
        let path = family_page(&house, &format!("/invitations/{number}/delete"));
        assert_eq!(post(&app, &son, &path, &[]).await.status, 403);
        led(&post(&app, &house.guardian, &path, &[]).await);
        for place in [place.as_str(), "/app/invitations/00000000000000000000000000000000"] {
            assert_eq!(app.get(place, &son).await.status, 404);
            assert_eq!(post(&app, &son, place, &[]).await.status, 404);
        }
    }

    async fn a_family_has_only_so_many_open_invitations(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        for _ in 0..20 {
            invite(&app, &house.elder, &house).await;
        }
        let path = family_page(&house, "/invitations");
        let refused = post(&app, &house.elder, &path, &[]).await;
        assert_eq!(refused.status, 409);
        says(&refused.text(), "초대가 너무 많습니다");
    }

    async fn a_guardian_finds_the_elder_and_asks_to_join(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let son = app.person(Role::Sub, "SON").await;
        let known = app.get(&format!("/accounts/{}", house.elder.id), &house.elder).await.result();
        let text = |name: &str| known[name].as_str().unwrap_or_else(|| panic!("no {name} in {known}")).to_owned();
        let (birth, gender, address) = (text("birth_date"), text("gender"), text("address"));
        let (province, district) = address.split_once(' ').expect("a province and a district");
        let all = |province: &str, district: &str, name: &str| {
            [("user_name", name.to_owned()), ("birth_date", birth.clone()), ("gender", gender.clone()),
             ("province", province.to_owned()), ("district", district.to_owned())]
        };
        let send = async |fields: &[(&str, String)]| {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            post(&app, &son, "/app/welcome/find", &fields).await
        };
        // Without a script: first the province, which brings its districts.
        says(&page(&app, &son, "/app/welcome").await, "시도를 먼저 고르세요");
        let mut choosing = all(province, "", "김순자").to_vec();
        choosing.push(("choose", "province".to_owned()));
        let districts = send(&choosing).await;
        assert_eq!(districts.status, 200);
        says(&districts.text(), &format!("<option value=\"{district}\">"));
        says(&districts.text(), "김순자");
        assert_eq!(send(&all(province, "", "김순자")).await.status, 400);
        says(&send(&all(province, district, "박순자")).await.text(), "찾지 못했습니다");
        let found = send(&all(province, district, "김순자")).await;
        assert_eq!(found.status, 200);
        says(&found.text(), house.family.as_str());
        let join = [("family", house.family.as_str()), ("nickname", "아들")];
        assert_eq!(led(&post(&app, &son, "/app/welcome/join", &join).await), "/app/welcome?done=asked");
        assert_eq!(post(&app, &son, "/app/welcome/join", &join).await.status, 409);
        let waiting = page(&app, &son, "/app/welcome").await;
        says(&waiting, "승인을 기다리는 가족");
        says(&page(&app, &house.elder, &family_page(&house, "/people")).await, "아들");
        let (_, rest) = waiting.split_once("name=\"request\" value=\"").expect("the request");
        let request = rest.split('"').next().expect("its id");
        led(&post(&app, &son, "/app/welcome/withdraw", &[("request", request)]).await);
        keeps_silent(&page(&app, &son, "/app/welcome").await, "승인을 기다리는 가족");
    }

    async fn an_elder_founds_a_family(t: TestDb) {
        let app = TestApp::new(&t).await;
        let elder = app.person(Role::Main, "ELDER").await;
        says(&page(&app, &elder, "/app/welcome").await, "가족 만들기");
        let made = post(&app, &elder, "/app/welcome/family", &[("family_name", "순자네")]).await;
        let place = led(&made).to_owned();
        says(&page(&app, &elder, &place).await, "순자네");
        keeps_silent(&page(&app, &elder, "/app/welcome").await, "/app/welcome/family");
    }

    async fn a_message_with_a_picture_is_written_read_and_taken_back(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let path = family_page(&house, "/messages");
        let to_elder = [("with", house.elder.id.as_str()), ("content", "점심 드셨어요?\n<b>사랑해요</b>")];
        let sent = post_file(&app, &house.guardian, &path, &to_elder, &png(8, 8)).await;
        let own = format!("{path}?with={}", house.elder.id);
        assert_eq!(led(&sent), format!("{own}&done=sent#write"));
        let talk = page(&app, &house.guardian, &own).await;
        says(&talk, "&lt;b&gt;사랑해요");
        says(&talk, "아직 안 읽음");
        says(&page(&app, &house.elder, &path).await, "새 메시지 1개");
        let theirs = format!("{path}?with={}", house.guardian.id);
        // The script that looks again marks nothing as read.
        let again = app.request(&format!("GET {theirs}")).by(&house.elder).header("accept", "text/html").send().await;
        assert_eq!(again.status, 200);
        let again = app.request(&format!("GET {theirs}")).by(&house.elder).header("sec-fetch-mode", "cors").send().await;
        let again = again.text();
        let (_, picture) = again.split_once("src=\"/access/").expect("a picture");
        says(&page(&app, &house.guardian, &own).await, "아직 안 읽음");
        says(&page(&app, &house.elder, &theirs).await, "새 메시지");
        keeps_silent(&page(&app, &house.guardian, &own).await, "아직 안 읽음");
        let picture = format!("/access/{}", picture.split('"').next().expect("an address"));
        assert_eq!(app.get(&picture, &house.elder).await.status, 200);
        // Only whoever wrote it takes it back.
        let number = app.get("/messages/sent", &house.guardian).await.result()[0]["index"].clone();
        let delete = format!("{path}/{number}/delete");
        assert_eq!(post(&app, &house.elder, &delete, &[("with", house.guardian.id.as_str())]).await.status, 403);
        led(&post(&app, &house.guardian, &delete, &[("with", house.elder.id.as_str())]).await);
        says(&page(&app, &house.elder, &theirs).await, "아직 주고받은 메시지가 없습니다");
    }

    async fn a_message_needs_a_text_or_a_picture(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let path = family_page(&house, "/messages");
        let with = ("with", house.elder.id.as_str());
        assert_eq!(post_file(&app, &house.guardian, &path, &[with, ("content", " ")], b"").await.status, 422);
        assert_eq!(post_file(&app, &house.guardian, &path, &[with, ("content", "네")], b"no picture").await.status, 400);
        led(&post_file(&app, &house.guardian, &path, &[with, ("content", "네")], b"").await);
        let stranger = app.person(Role::Sub, "STRANGER").await;
        assert_eq!(post_file(&app, &stranger, &path, &[with, ("content", "네")], b"").await.status, 403);
        assert_eq!(app.get(&path, &stranger).await.status, 403);
        let sent = app.get("/messages/sent", &house.guardian).await.result();
        assert_eq!(sent.as_array().map(Vec::len), Some(1));
    }

    async fn reading_a_notice_acknowledges_its_alarm(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let notify = json!({"family_id": house.family, "notification_grade": "CRIT", "descriptions": "낙상감지,거실에서 <넘어짐>"});
        app.call("POST /notify", &house.elder, notify).await.succeeds(201);
        let index = app.get(&format!("/notify/all/{}", house.family), &house.guardian).await.result()[0]["index"].to_string();
        let path = family_page(&house, "/notifications");
        let shown = page(&app, &house.guardian, &path).await;
        says(&shown, "거실에서 &lt;넘어짐&gt;");
        says(&shown, "알람도 확인한 것이 됩니다");
        says(&page(&app, &house.elder, &path).await, "알람은 보호자가 확인합니다");
        let stranger = app.person(Role::Sub, "STRANGER").await;
        led(&post(&app, &stranger, &format!("{path}/read"), &[("index", &index)]).await);
        assert_eq!(acknowledged(&app, &house).await, None);
        let read = format!("{path}/read");
        assert_eq!(led(&post(&app, &house.guardian, &read, &[("index", &index)]).await), format!("{path}?done=saved"));
        assert_eq!(acknowledged(&app, &house).await, Some(house.guardian.id));
        says(&page(&app, &house.guardian, &path).await, "모두 읽었습니다");
    }

    async fn a_picture_comes_into_the_album_and_out_of_it(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let path = family_page(&house, "/album");
        says(&page(&app, &house.elder, &path).await, "아직 사진이 없습니다");
        assert_eq!(post_file(&app, &house.guardian, &path, &[], b"").await.status, 422);
        led(&post_file(&app, &house.guardian, &path, &[], &png(400, 4)).await);
        let album = page(&app, &house.elder, &path).await;
        says(&album, "?w=320");
        says(&album, "올린 사람: 막내");
        let (_, rest) = album.split_once("/album/").expect("a picture");
        let number = rest.split('/').next().expect("its number");
        let stranger = app.person(Role::Sub, "STRANGER").await;
        let delete = format!("{path}/{number}/delete");
        assert_eq!(post(&app, &stranger, &delete, &[]).await.status, 403);
        led(&post(&app, &house.elder, &delete, &[]).await);
        says(&page(&app, &house.elder, &path).await, "아직 사진이 없습니다");
    }

    async fn the_family_is_put_in_order_named_and_left(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let nurse = app.person(Role::Sub, "NURSE").await;
        let member = t.join(house.family, nurse.id, Some(house.elder.id)).await;
        let people = family_page(&house, "/people");
        let of = |what: &str| format!("{people}/{member}/{what}");
        led(&post(&app, &house.guardian, &of("place"), &[("position", "care_worker"), ("order", "1")]).await);
        led(&post(&app, &house.guardian, &of("nickname"), &[("nickname", "이 간호사")]).await);
        let shown = page(&app, &house.guardian, &people).await;
        says(&shown, "1. 이 간호사");
        says(&shown, "돌봄 인력");
        led(&post(&app, &house.guardian, &family_page(&house, "/name"), &[("family_name", "순자네")]).await);
        says(&page(&app, &house.elder, &people).await, "순자네");
        assert_eq!(post(&app, &house.guardian, &of("kick"), &[("password", PASSWORD)]).await.status, 403);
        assert_eq!(post(&app, &nurse, &of("leave"), &[("password", "falsch falsch")]).await.status, 401);
        assert_eq!(led(&post(&app, &nurse, &of("leave"), &[("password", PASSWORD)]).await), "/app/");
        assert_eq!(app.get(&people, &nurse).await.status, 403);
        let delete = family_page(&house, "/delete");
        assert_eq!(post(&app, &house.guardian, &delete, &[("password", PASSWORD)]).await.status, 403);
        assert_eq!(led(&post(&app, &house.elder, &delete, &[("password", PASSWORD)]).await), "/app/");
        assert_eq!(app.get(&people, &house.guardian).await.status, 403);
    }

    async fn a_switch_turns_and_leaves_the_others(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let path = family_page(&house, "/settings");
        led(&post(&app, &house.guardian, &path, &[("switch", "camera"), ("on", "yes")]).await);
        led(&post(&app, &house.guardian, &path, &[("switch", "driving"), ("on", "yes")]).await);
        led(&post(&app, &house.guardian, &path, &[("switch", "camera")]).await);
        assert_eq!(post(&app, &house.guardian, &path, &[("switch", "rocket")]).await.status, 400);
        let known = app.get(&format!("/tools/settings/{}", house.family), &house.elder).await.result();
        assert_eq!((&known["is_camera_enabled"], &known["is_driving_enabled"]), (&json!(false), &json!(true)));
        says(&page(&app, &house.elder, &path).await, "켜짐");
    }

    async fn everybody_takes_what_is_known_of_him_away(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let neighbour = app.house().await;
        for (from, to, text) in [(&house.guardian, &house.elder, "안녕하세요"), (&house.elder, &house.guardian, "그래"),
                                 (&neighbour.guardian, &neighbour.elder, "비밀")] {
            let body = json!({"from_id": from.id, "to_id": to.id, "content": text});
            app.call("POST /messages/send", from, body).await.succeeds(201);
        }
        let body = json!({"family_id": house.family, "temperature": 21.5, "humidity": 40.0, "dust_level": 1.0, "ethanol": 0.5});
        app.call("POST /status/home", &house.elder, body).await.succeeds(201);
        let reply = app.get("/app/account/export", &house.guardian).await;
        assert_eq!(reply.status, 200);
        assert!(reply.header("content-disposition").starts_with("attachment; filename=\"carebot-2026-"));
        keeps_silent(&reply.text(), "비밀");
        let all = reply.json();
        assert_eq!(all["account"]["id"], json!(house.guardian.id));
        assert_eq!(all["messages_sent"][0]["content"], "안녕하세요");
        assert_eq!(all["messages_received"][0]["content"], "그래");
        assert_eq!((&all["messages_sent_is_whole"], &all["chats"]), (&json!(true), &json!([])));
        assert_eq!(all["families"][0]["newest"]["home"]["temperature"], 21.5);
        assert!(led(&app.get("/app/account/export", ANYONE).await).starts_with("/app/sign-in"));
    }
}

/// Who acknowledged the one alarm that there is.
async fn acknowledged(app: &TestApp, house: &House) -> Option<carebot_model::AccountId> {
    let actor = app.service.current_actor(Some(&house.guardian.token)).await.expect("the session lives");
    let alarms = app.service.list_alarms(&actor, house.family.as_str(), true, None, 9).await;
    alarms.expect("alarms are listed")[0].acknowledged_by
}
