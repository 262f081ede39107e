use carebot_external::disaster::{Disasters, Page, Settings};
use carebot_model::{Date, disasters::DisasterMessage, korea};

use crate::prelude::*;

fn day() -> Date {
    Date::new(2026, 3, 2).expect("a day")
}

async fn ask(provider: &Provider, limits: Limits) -> Result<Page, ProviderError> {
    let url = format!("{}/V2/api/DSSP-IF-00247", provider.url());
    let client = Disasters::new(Settings { url, key: Key(KEY.to_owned()), limits }, 7).expect("a client");
    client.page(day(), 3).await
}

fn row(sn: impl Into<Value>) -> Value {
    json!({
        "MSG_CN": "오늘 10시 호우경보, 외출 자제 [행정안전부]", "RCPTN_RGN_NM": "서울특별시 전체 ,경기도 수원시 장안구 ",
        "CRT_DT": "2026/03/02 09:00:00", "REG_YMD": "2026-03-02", "EMRG_STEP_NM": "안전안내", "SN": sn.into(),
        "DST_SE_NM": "호우", "MDFCN_YMD": "2026-03-02",
    })
}

fn answer(body: &Value, total: u64) -> Play {
    Play::json(
        json!({
            "header": {"resultMsg": "NORMAL SERVICE", "resultCode": "00", "errorMsg": null},
            "numOfRows": 100, "pageNo": 3, "totalCount": total, "body": body,
        })
        .to_string(),
    )
}

fn refusal(code: &str, word: &str) -> Play {
    Play::json(json!({"header": {"resultMsg": word, "resultCode": code, "errorMsg": word}, "body": null}).to_string())
}

#[tokio::test]
async fn a_page_is_asked_for_and_read_as_documented() {
    let provider = Provider::start(|_| answer(&json!([row(232_201), row("232202")]), 250)).await;
    let page = ask(&provider, patient()).await.expect("a page");
    let expected = DisasterMessage {
        sn: 232_201,
        created_at: korea::timestamp("2026-03-02T09:00:00".parse().expect("a time")),
        text: "오늘 10시 호우경보, 외출 자제 [행정안전부]".to_owned(),
        regions: "서울특별시 전체 ,경기도 수원시 장안구 ".to_owned(),
        step: "안전안내".to_owned(),
        kind: "호우".to_owned(),
    };
    let second = DisasterMessage { sn: 232_202, ..expected.clone() };
    assert_eq!(page, Page { messages: vec![expected, second], rows: 2, total: 250 });
    let asked = &provider.asked()[0];
    assert_eq!((asked.method.as_str(), asked.path()), ("GET", "/V2/api/DSSP-IF-00247"));
    let expected =
        [("serviceKey", KEY), ("numOfRows", "100"), ("pageNo", "3"), ("crtDt", "20260302"), ("returnType", "json")];
    for (name, value) in expected {
        assert_eq!(asked.parameter(name).as_deref(), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_day_without_messages_is_an_empty_page() {
    let provider = Provider::start(|_| Play::HangUp).await;
    let empty = Page { messages: Vec::new(), rows: 0, total: 0 };
    let plays = [
        answer(&json!([]), 0),
        answer(&json!(null), 0),
        answer(&json!(""), 0),
        refusal("03", "NODATA"),
        portal_xml("03", "NODATA_ERROR"),
    ];
    for play in plays {
        let shown = format!("{play:?}");
        provider.plays(move |_| play.clone());
        assert_eq!(ask(&provider, patient()).await.as_ref(), Ok(&empty), "{shown}");
    }
}

#[tokio::test]
async fn what_the_service_refuses_is_told_apart() {
    let provider = Provider::start(|_| Play::HangUp).await;
    let wrong = "SERVICE_KEY_IS_NOT_REGISTERED_ERROR";
    let spent = "LIMITED_NUMBER_OF_SERVICE_REQUESTS_EXCEEDS_ERROR";
    let cases = [
        (refusal("30", wrong), ProviderError::Key(format!("30 {wrong}"))),
        (portal_xml("30", wrong), ProviderError::Key(format!("30 {wrong}"))),
        (refusal("22", spent), ProviderError::Quota(format!("22 {spent}"))),
        (portal_xml("22", spent), ProviderError::Quota(format!("22 {spent}"))),
        (refusal("99", "UNKNOWN_ERROR"), ProviderError::Refused { status: 500, reason: "99 UNKNOWN_ERROR".into() }),
        (Play::Answer(403, "text/plain", b"Forbidden".to_vec()), ProviderError::Key("Forbidden".into())),
    ];
    for (play, expected) in cases {
        let shown = format!("{play:?}");
        provider.plays(move |_| play.clone());
        assert_eq!(ask(&provider, patient()).await, Err(expected), "{shown}");
    }
}

#[tokio::test]
async fn nonsense_is_refused_in_bounded_time_and_never_shows_the_key() {
    let provider = Provider::start(|_| Play::HangUp).await;
    for (name, play, malformed) in nonsense() {
        provider.plays(move |_| play.clone());
        let error = ask(&provider, limits()).await.expect_err(name);
        assert_eq!(matches!(error, ProviderError::Malformed(_)), malformed, "{name}: {error}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("ab+c") && !shown.contains("ab%2B"), "{shown}");
    }
}

#[tokio::test]
async fn one_row_that_cannot_be_understood_does_not_hide_the_others() {
    let mut no_time = row(2);
    no_time["CRT_DT"] = json!("어제");
    let bare = json!({"SN": 4, "CRT_DT": "2026-03-02 09:00:00"});
    let rows = json!([row(1), no_time, row(Value::Null), 7, bare]);
    let provider = Provider::start(move |_| answer(&rows, 5)).await;
    let page = ask(&provider, patient()).await.expect("a page");
    assert_eq!(page.messages.iter().map(|message| message.sn).collect::<Vec<_>>(), [1, 4]);
    assert_eq!((page.rows, page.messages[1].text.as_str(), page.messages[1].regions.as_str()), (5, "", ""));
    provider.plays(|_| answer(&json!([{"SN": "x"}]), 1));
    assert!(matches!(ask(&provider, patient()).await, Err(ProviderError::Malformed(_))));
}
