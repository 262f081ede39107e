//! Disaster messages, from a service that answers as it is documented.

mod replay;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use carebot_database::{Db, accounts, families, params, transact};
use carebot_external::Key;
use carebot_external::ProviderError;
use carebot_external::disaster::Settings as Provided;
use carebot_external::guard::Limits;
use carebot_model::accounts::NewAccount;
use carebot_model::text::{Address, Name};
use carebot_model::{FamilyId, Timestamp, korea};
use carebot_service::disasters::{Round, Settings};
use carebot_testkit::TestDb;
use carebot_testkit::fixtures::{new_account, permit};
use carebot_testkit::provider::{Asked, Play, Provider};
use tokio_util::sync::CancellationToken;

use crate::prelude::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// A message, and from when on the service has it.
#[derive(Clone, Debug)]
struct Message {
    sn: i64,
    created_at: Timestamp,
    published_at: Timestamp,
    text: String,
    regions: String,
    step: &'static str,
    /// The day it was written, as the service is asked for it.
    day: String,
}

impl Message {
    fn new(sn: i64, at: Timestamp, regions: &str) -> Self {
        let text = format!("{sn}번, '호우' \"경보\", 외출 자제 [행정안전부]");
        let day = korea::civil(at).strftime("%Y%m%d").to_string();
        Self { sn, created_at: at, published_at: at, text, regions: regions.to_owned(), step: "안전안내", day }
    }

    fn row(&self) -> Value {
        let time = korea::civil(self.created_at).strftime("%Y/%m/%d %H:%M:%S").to_string();
        json!({
            "MSG_CN": self.text, "RCPTN_RGN_NM": self.regions, "CRT_DT": time, "REG_YMD": "2026-03-02", "EMRG_STEP_NM": self.step,
            "SN": self.sn, "DST_SE_NM": "호우", "MDFCN_YMD": null,
        })
    }
}

/// The messages of the country, and what time it is there.
#[derive(Clone, Debug, Default)]
struct Country(Arc<Mutex<(Vec<Message>, i64)>>);

impl Country {
    fn write(&self, message: Message) {
        self.0.lock().expect("it is whole").0.push(message);
    }

    fn set(&self, now: Timestamp) {
        self.0.lock().expect("it is whole").1 = now.millis();
    }

    /// A page of a day, newest first, so that what is new moves the pages.
    fn play(&self, asked: &Asked) -> Play {
        let number = |name: &str| asked.parameter(name).and_then(|text| text.parse::<usize>().ok()).expect("a number");
        let (rows, page) = (number("numOfRows"), number("pageNo"));
        let day = asked.parameter("crtDt").expect("a day");
        let country = self.0.lock().expect("it is whole");
        let of_day = country.0.iter().rev().filter(|message| message.day == day);
        let of_day: Vec<&Message> = of_day.filter(|message| message.published_at.millis() <= country.1).collect();
        let body: Vec<Value> = of_day.iter().skip(rows * (page - 1)).take(rows).map(|message| message.row()).collect();
        Play::json(
            json!({
                "header": {"resultMsg": "NORMAL SERVICE", "resultCode": "00", "errorMsg": null},
                "numOfRows": rows, "pageNo": page, "totalCount": of_day.len(), "body": body,
            })
            .to_string(),
        )
    }

    async fn serve(&self) -> Provider {
        let country = self.clone();
        Provider::start(move |asked| country.play(asked)).await
    }
}

async fn on(t: &TestDb, db: Db, provider: &Provider) -> TestApp {
    let limits = Limits { timeout: Duration::from_secs(20), tries: 1, failures: 1_000_000, ..Limits::default() };
    let provider = Provided { url: format!("{}/V2/api/DSSP-IF-00247", provider.url()), key: Key("k".into()), limits };
    TestApp::on(t, db, move |settings, _| {
        settings.disasters = Some(Settings { provider, interval: Duration::from_mins(1) });
    })
    .await
}

async fn receive(app: &TestApp) -> Round {
    app.service.receive_disasters(&CancellationToken::new()).await.expect("the database answers")
}

/// As `receive`, at a time after some has passed.
async fn receive_after(app: &TestApp, country: &Country, millis: i64) -> Round {
    app.advance(millis).await;
    country.set(app.t.now());
    receive(app).await
}

/// Families of elders at an address.
async fn homes(t: &TestDb, address: &str, count: usize) -> Vec<FamilyId> {
    let mut new = Vec::new();
    for _ in 0..count {
        let address = Some(Address::new(address.to_owned()));
        new.push(NewAccount { address, ..new_account(t, Role::Main, "김순자") });
    }
    transact!(t.db, tx => {
        let mut made = Vec::new();
        for account in &new {
            let elder = accounts::create(&mut tx, account, "x", t.now(), &*t.rng).await?;
            let name = Name::new("순자네".to_owned());
            made.push(families::create(&mut tx, &permit(elder), Some(&name), t.now(), &*t.rng).await?);
        }
        Ok::<_, carebot_database::DbError>(made)
    })
    .expect("they are made")
}

/// Serial number, grade and text of a family's notifications of messages.
async fn notified(t: &TestDb, family: FamilyId) -> Vec<(i64, String, String)> {
    let sql = "SELECT message_sn, grade, description FROM notifications WHERE family_id = ? ORDER BY message_sn";
    t.db.read()
        .fetch(sql, params![family], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .await
        .expect("it can be read")
}

async fn numbers(t: &TestDb, family: FamilyId) -> Vec<i64> {
    notified(t, family).await.into_iter().map(|(sn, _, _)| sn).collect()
}

both_engines! {
    async fn a_message_becomes_a_notification_of_the_families_it_is_for(t: TestDb) {
        let country = Country::default();
        let provider = country.serve().await;
        let app = on(&t, t.db.clone(), &provider).await;
        let house = app.house().await;
        let far = homes(&t, "서울특별시 종로구", 1).await[0];
        assert_eq!(receive_after(&app, &country, 0).await, Round::default());
        country.write(Message::new(1, t.now().plus_millis(MINUTE), "경기도 수원시 장안구 ,"));
        country.write(Message { step: "위급재난", ..Message::new(2, t.now().plus_millis(MINUTE), " 서울특별시 전체 ,경기도 전체 ") });
        let round = receive_after(&app, &country, MINUTE).await;
        assert_eq!((round.stored, round.delivered, round.trouble), (2, 3, None));
        let found = notified(&t, house.family).await;
        assert_eq!((found[0].0, found[0].1.as_str(), found[1].0, found[1].1.as_str()), (1, "warn", 2, "crit"));
        assert_eq!(numbers(&t, far).await, [2]);
        assert_eq!(found[1].2, "위급재난 호우 (행정안전부 긴급재난문자),2번, '호우' \"경보\", 외출 자제 [행정안전부]");
        let shown = app.get(&format!("/notify/all/{}?order=asc", house.family), &house.guardian).await.result();
        assert_eq!(shown[0]["notification_grade"], "warn");
        assert_eq!(shown[0]["is_read"], false);
        let read: Value = serde_json::from_str(shown[0]["description"].as_str().expect("a text")).expect("JSON");
        assert_eq!(read, json!({
            "DST_SE_NM": "호우", "EMRG_STEP_NM": "안전안내", "MSG_CN": "1번, '호우' \"경보\", 외출 자제 [행정안전부]",
            "RCPTN_RGN_NM": "경기도 수원시 장안구 ,", "SOURCE": "행정안전부 긴급재난문자",
        }));
        for _ in 0..3 {
            let again = receive_after(&app, &country, MINUTE).await;
            assert_eq!((again.stored, again.delivered), (0, 0));
        }
    }

    async fn the_first_start_sends_nothing_old_and_a_new_family_gets_nothing_old(t: TestDb) {
        let country = Country::default();
        let provider = country.serve().await;
        let app = on(&t, t.db.clone(), &provider).await;
        let early = homes(&t, "경기도 수원시", 1).await[0];
        country.write(Message::new(1, t.now().plus_millis(-HOUR - 1_000), "경기도 전체"));
        country.write(Message::new(2, t.now().plus_millis(-HOUR + 1_000), "경기도 전체"));
        country.write(Message::new(3, t.now().plus_millis(-20 * HOUR), "경기도 전체"));
        let round = receive_after(&app, &country, 0).await;
        assert_eq!((round.stored, round.delivered), (3, 1), "of yesterday too, after a start");
        assert_eq!(numbers(&t, early).await, [2]);
        t.advance(1_000).await;
        let late = homes(&t, "경기도 수원시", 1).await[0];
        // Late data: it was written long ago and is found now.
        country.write(Message::new(4, t.now().plus_millis(-50 * MINUTE), "경기도 수원시"));
        receive_after(&app, &country, MINUTE).await;
        assert_eq!((numbers(&t, early).await, numbers(&t, late).await), (vec![2, 4], vec![4]));
        // Another server that is started now sends nothing again.
        let other = on(&t, t.open_again().await, &provider).await;
        t.advance(91_000).await;
        other.service.renew_node().await.expect("the lease holds");
        assert_eq!(receive(&other).await, Round::default());
    }

    async fn after_midnight_yesterday_is_asked_for_as_well(t: TestDb) {
        let country = Country::default();
        let provider = country.serve().await;
        let app = on(&t, t.db.clone(), &provider).await;
        let family = homes(&t, "경기도 수원시", 1).await[0];
        receive_after(&app, &country, 0).await;
        // From 18:00 to 23:58.
        receive_after(&app, &country, 6 * HOUR - 2 * MINUTE).await;
        country.write(Message { published_at: t.now().plus_millis(30 * MINUTE), ..Message::new(1, t.now().plus_millis(MINUTE), "경기도 전체") });
        receive_after(&app, &country, 40 * MINUTE).await;
        assert_eq!(numbers(&t, family).await, [1]);
        let before = provider.count();
        receive_after(&app, &country, 30 * MINUTE).await;
        let days: Vec<_> = provider.asked()[before..].iter().filter_map(|asked| asked.parameter("crtDt")).collect();
        assert_eq!(days, ["20260303"], "from one o'clock on only today");
    }

    async fn what_fails_is_asked_for_again_and_loses_nothing(t: TestDb) {
        let country = Country::default();
        let provider = country.serve().await;
        let app = on(&t, t.db.clone(), &provider).await;
        let family = homes(&t, "경기도 수원시", 1).await[0];
        receive_after(&app, &country, 0).await;
        let xml = |code: &str| Play::xml(format!(
            "<OpenAPI_ServiceResponse><cmmMsgHeader><errMsg>SERVICE ERROR</errMsg><returnReasonCode>{code}</returnReasonCode></cmmMsgHeader></OpenAPI_ServiceResponse>"
        ));
        let plays = [
            (xml("30"), ProviderError::Key("30 SERVICE ERROR".into())),
            (xml("22"), ProviderError::Quota("22 SERVICE ERROR".into())),
            (Play::Answer(502, "text/html", b"<html>".to_vec()), ProviderError::Refused { status: 502, reason: "<html>".into() }),
        ];
        for (number, (play, expected)) in (1..).zip(plays) {
            country.write(Message::new(number, t.now(), "경기도 전체"));
            provider.plays(move |_| play.clone());
            let round = receive_after(&app, &country, MINUTE).await;
            assert_eq!((round.stored, round.trouble), (0, Some(expected)));
        }
        // The second page fails: what the first had is sent.
        for number in 10..160 {
            country.write(Message::new(number, t.now(), "경기도 전체"));
        }
        let pages = country.clone();
        provider.plays(move |asked| if asked.parameter("pageNo").as_deref() == Some("1") { pages.play(asked) } else { Play::HangUp });
        let round = receive_after(&app, &country, MINUTE).await;
        assert!(round.delivered == 100 && round.trouble.is_some(), "{round:?}");
        let whole = country.clone();
        provider.plays(move |asked| whole.play(asked));
        let round = receive_after(&app, &country, MINUTE).await;
        assert_eq!((round.delivered, round.trouble), (53, None));
        assert_eq!(numbers(&t, family).await, (1..=3).chain(10..160).collect::<Vec<_>>());
    }

    async fn of_two_servers_one_asks_and_the_other_takes_over(t: TestDb) {
        let country = Country::default();
        let provider = country.serve().await;
        let (app, other) = (on(&t, t.db.clone(), &provider).await, on(&t, t.open_again().await, &provider).await);
        let family = homes(&t, "경기도 수원시", 1).await[0];
        country.set(t.now());
        receive(&app).await;
        let asked = provider.count();
        assert_eq!(receive(&other).await, Round::default());
        assert_eq!(provider.count(), asked, "the other does not ask");
        country.write(Message::new(1, t.now(), "경기도 전체"));
        // The first one is gone for longer than its lease.
        t.advance(91_000).await;
        country.set(t.now());
        other.service.renew_node().await.expect("the lease holds");
        assert_eq!(receive(&other).await.delivered, 1);
        app.service.renew_node().await.expect("the lease holds");
        assert_eq!(receive(&app).await, Round::default());
        assert_eq!(numbers(&t, family).await, [1]);
        // One that is stopped gives its lead back.
        other.service.finish().await;
        country.write(Message::new(2, t.now(), "경기도 전체"));
        country.set(t.now());
        assert_eq!(receive(&app).await.delivered, 1);
    }

    async fn a_message_for_many_can_be_cut_off_anywhere_and_goes_on(t: TestDb) {
        let country = Country::default();
        let provider = country.serve().await;
        let app = on(&t, t.db.clone(), &provider).await;
        let inside = homes(&t, "경기도 수원시", 450).await;
        let outside = homes(&t, "경기도 성남시", 30).await;
        receive_after(&app, &country, 0).await;
        country.write(Message::new(1, t.now(), "경기도 수원시 장안구"));
        country.set(t.now());
        let mut cuts = 0;
        // Every place at the beginning, then ever fewer: each cut begins the same transaction anew.
        for polls in std::iter::successors(Some(1_usize), |polls| Some(polls + 1 + polls / 16)) {
            // However long this takes: the lease counts real time, too.
            app.service.renew_node().await.expect("the node number is still this server's");
            let stop = CancellationToken::new();
            let mut round = Box::pin(app.service.receive_disasters(&stop));
            let mut left = polls;
            // Dropped in the middle of whatever it was doing, as by a signal that cannot be caught.
            let done = std::future::poll_fn(|context| {
                if left == 0 {
                    return std::task::Poll::Ready(None);
                }
                left -= 1;
                round.as_mut().poll(context).map(Some)
            }).await;
            drop(round);
            match done {
                None => cuts += 1,
                Some(done) => {
                    done.expect("the database answers");
                    break;
                }
            }
        }
        assert!(cuts > 10, "{cuts}");
        receive(&app).await;
        let sql = "SELECT family_id FROM notifications WHERE message_sn = 1 ORDER BY family_id";
        let found = t.db.read().fetch(sql, vec![], |row| row.get::<FamilyId>(0)).await.expect("it can be read");
        let mut expected = inside;
        expected.sort_by_key(ToString::to_string);
        assert_eq!(found, expected);
        assert_eq!(numbers(&t, outside[0]).await, [0; 0]);
    }

    async fn a_server_that_is_told_to_stop_stops_and_the_next_start_goes_on(t: TestDb) {
        let country = Country::default();
        let provider = country.serve().await;
        let app = on(&t, t.db.clone(), &provider).await;
        let family = homes(&t, "경기도 수원시", 1).await[0];
        receive_after(&app, &country, 0).await;
        country.write(Message::new(1, t.now(), "경기도 수원시"));
        let stopped = CancellationToken::new();
        stopped.cancel();
        assert_eq!(app.service.receive_disasters(&stopped).await.expect("the database answers"), Round::default());
        assert_eq!(receive(&app).await.delivered, 1);
        assert_eq!(numbers(&t, family).await, [1]);
    }
}
