use carebot_external::news::newsdata::Settings;
use carebot_external::news::{Feed, Item, NewsData};
use carebot_model::news::Category;

use crate::prelude::*;

async fn feed(provider: &Provider, limits: Limits) -> Result<Vec<Item>, ProviderError> {
    let url = format!("{}/rss?token=secret", provider.url());
    Feed::new(url, limits, 7).expect("a client").items().await
}

/// "속보: 눈 온다" in EUC-KR.
const EUC_KR: &[u8] = b"\xbc\xd3\xba\xb8: \xb4\xab \xbf\xc2\xb4\xd9";

fn rss(head: &str, title: &[u8]) -> Vec<u8> {
    [
        head.as_bytes(),
        b"<rss version=\"2.0\"><channel><title>t</title><item><title>",
        title,
        b"</title><link>https://news.example/1</link></item></channel></rss>",
    ]
    .concat()
}

#[tokio::test]
async fn rss_is_read_with_its_pictures_and_without_its_html() {
    let text = r#"<?xml version="1.0" encoding="UTF-8"?>
        <rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/"><channel><title>뉴스</title>
        <item><title><![CDATA[<b>속보</b> 눈&nbsp;온다]]></title><link> https://news.example/1?a=1&amp;b=2 </link>
          <pubDate>Mon, 02 Mar 2026 00:30:00 +0900</pubDate><media:content url="https://img.example/1.jpg" type="image/jpeg"/></item>
        <item><title>&amp;quot;물가&amp;quot; 3% ↑</title><link>http://news.example/2</link>
          <enclosure url="https://img.example/2.png" type="image/png" length="1"/></item>
        <item><title>스크립트</title><link>javascript:alert(1)</link></item>
        <item><title>파일</title><link>file:///etc/passwd</link></item>
        <item><title>그림</title><link>https://news.example/3</link><enclosure url="data:image/png;base64,AA" type="image/png" length="1"/></item>
        <item><title> </title><link>https://news.example/4</link></item>
        <item><title>링크 없음</title></item>
        </channel></rss>"#;
    let provider = Provider::start(move |_| Play::xml(text)).await;
    let items = feed(&provider, patient()).await.expect("news");
    let shown: Vec<_> =
        items.iter().map(|item| (item.title.as_str(), item.link.as_str(), item.image_url.as_deref())).collect();
    assert_eq!(
        shown,
        [
            ("속보 눈 온다", "https://news.example/1?a=1&b=2", Some("https://img.example/1.jpg")),
            ("\"물가\" 3% ↑", "http://news.example/2", Some("https://img.example/2.png")),
            ("그림", "https://news.example/3", None),
        ]
    );
    assert_eq!(items[0].published_at.map(|at| at.to_string()).as_deref(), Some("2026-03-01T15:30:00"));
    assert_eq!(items[1].published_at, None);
}

#[tokio::test]
async fn atom_is_read() {
    let text = r#"<feed xmlns="http://www.w3.org/2005/Atom"><title>t</title><id>i</id><updated>2026-03-02T00:00:00Z</updated>
        <entry><id>1</id><title type="html">산책 &lt;i&gt;길&lt;/i&gt;</title><updated>2026-03-02T01:00:00+09:00</updated>
        <link rel="self" href="https://news.example/self"/><link rel="alternate" href="https://news.example/1"/></entry></feed>"#;
    let provider = Provider::start(move |_| Play::xml(text)).await;
    let items = feed(&provider, patient()).await.expect("news");
    assert_eq!(
        (items.len(), items[0].title.as_str(), items[0].link.as_str()),
        (1, "산책 길", "https://news.example/1")
    );
    assert_eq!(items[0].published_at.map(|at| at.to_string()).as_deref(), Some("2026-03-01T16:00:00"));
}

#[tokio::test]
async fn a_long_title_is_cut_to_its_column() {
    let title = "가".repeat(400);
    let provider = Provider::start(move |_| Play::xml(rss("", title.as_bytes()))).await;
    let items = feed(&provider, patient()).await.expect("news");
    assert_eq!(items[0].title.chars().count(), 255);
}

#[tokio::test]
async fn an_encoding_is_read_if_it_is_declared_and_never_guessed() {
    let declared = rss("<?xml version=\"1.0\" encoding=\"euc-kr\"?>", EUC_KR);
    let provider = Provider::start(move |_| Play::xml(declared.clone())).await;
    assert_eq!(feed(&provider, patient()).await.expect("news")[0].title, "속보: 눈 온다");
    let undeclared = rss("", EUC_KR);
    provider.plays(move |_| Play::xml(undeclared.clone()));
    let error = feed(&provider, patient()).await.expect_err("unreadable");
    assert!(error.to_string().contains("encoding"), "{error}");
}

#[tokio::test]
async fn a_broken_byte_costs_one_title_and_not_the_feed() {
    let whole = String::from_utf8(rss("", "첫째".as_bytes())).expect("text");
    let broken =
        whole.replace("</item>", "</item><item><title>둘\u{1}째</title><link>https://news.example/2</link></item>");
    let bytes: Vec<u8> = broken.bytes().map(|byte| if byte == 1 { 0xff } else { byte }).collect();
    let provider = Provider::start(move |_| Play::xml(bytes.clone())).await;
    let items = feed(&provider, patient()).await.expect("news");
    assert_eq!(items.iter().map(|item| item.title.as_str()).collect::<Vec<_>>(), ["첫째"]);
}

#[tokio::test]
async fn hostile_feeds_are_refused_in_bounded_time() {
    let provider = Provider::start(|_| Play::HangUp).await;
    for (name, play, _) in nonsense() {
        provider.plays(move |_| play.clone());
        let error = feed(&provider, limits()).await.expect_err(name);
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }
    // Entities that would grow to gigabytes, and elements in each other that would fill a stack.
    let entities = (1..=9).map(|level| {
        let inner = format!("&e{};", level - 1).repeat(10);
        format!("<!ENTITY e{level} \"{inner}\">")
    });
    let bomb = format!("<!DOCTYPE rss [<!ENTITY e0 \"lol\">{}]>", entities.collect::<String>());
    let bomb = rss(&bomb, b"&e9;");
    let deep = rss("", "<b>".repeat(300_000).as_bytes());
    for (name, feed_text) in [("bomb", bomb), ("deep", deep)] {
        provider.plays(move |_| Play::xml(feed_text.clone()));
        if let Ok(items) = feed(&provider, patient()).await {
            assert!(items.iter().all(|item| item.title.chars().count() <= 255), "{name}");
        }
    }
}

fn newsdata(provider: &Provider, pages: u32, limits: Limits) -> NewsData {
    let settings =
        Settings { base_url: format!("{}/api/1", provider.url()), key: Key("pub_secret".into()), pages, limits };
    NewsData::new(settings, 7).expect("a client")
}

fn article(number: u32) -> Value {
    json!({
        "article_id": "a", "title": format!("기사 {number}"), "link": format!("https://news.example/{number}"),
        "keywords": null, "creator": null, "description": "..", "content": "ONLY AVAILABLE IN PAID PLANS",
        "pubDate": "2026-03-02 15:30:00", "pubDateTZ": "UTC", "image_url": "https://img.example/1.jpg",
        "source_id": "s", "language": "korean", "country": ["south korea"], "category": ["health"],
    })
}

#[tokio::test]
async fn newsdata_is_asked_and_read_as_documented() {
    let provider = Provider::start(|asked| {
        let page = asked.parameter("page");
        let (number, next) = match page.as_deref() {
            None => (1, json!("p2")),
            Some("p2") => (2, json!("p3")),
            _ => (3, Value::Null),
        };
        Play::json(
            json!({"status": "success", "totalResults": 30, "results": [article(number)], "nextPage": next})
                .to_string(),
        )
    })
    .await;
    let items = newsdata(&provider, 2, patient()).items(Category::Health).await.expect("news");
    assert_eq!(items.iter().map(|item| item.title.as_str()).collect::<Vec<_>>(), ["기사 1", "기사 2"]);
    assert_eq!(items[0].published_at.map(|at| at.to_string()).as_deref(), Some("2026-03-02T15:30:00"));
    assert_eq!(items[0].image_url.as_deref(), Some("https://img.example/1.jpg"));
    let asked = provider.asked();
    assert_eq!((asked.len(), asked[0].path()), (2, "/api/1/latest"));
    for (name, value) in [("country", "kr"), ("language", "ko"), ("category", "health")] {
        assert_eq!(asked[0].parameter(name).as_deref(), Some(value));
    }
    assert_eq!(asked[0].header("x-access-key"), Some("pub_secret"));
    assert!(!asked[0].target.contains("pub_secret"), "{}", asked[0].target);
    let all = newsdata(&provider, 9, patient()).items(Category::Health).await.expect("news");
    assert_eq!(all.len(), 3, "until there is no further page");
}

#[tokio::test]
async fn a_further_page_that_fails_only_ends_the_list() {
    let provider = Provider::start(|asked| match asked.parameter("page") {
        None => Play::json(json!({"status": "success", "results": [article(1)], "nextPage": "p2"}).to_string()),
        Some(_) => Play::HangUp,
    })
    .await;
    assert_eq!(newsdata(&provider, 5, patient()).items(Category::Sports).await.expect("news").len(), 1);
}

/// Whether an error is the expected one.
type Is = fn(&ProviderError) -> bool;

#[tokio::test]
async fn what_newsdata_refuses_is_told_apart() {
    let provider = Provider::start(|_| Play::HangUp).await;
    let body = |code: &str| {
        json!({"status": "error", "results": {"message": "The key pub_secret ..", "code": code}}).to_string()
    };
    let with_status = |status, code: &str| Play::Answer(status, "application/json", body(code).into_bytes());
    let cases: [(Play, Is); 6] = [
        (Play::json(body("Unauthorized")), |error| *error == ProviderError::Key("Unauthorized".into())),
        (Play::json(body("TooManyRequests")), |error| *error == ProviderError::Quota("TooManyRequests".into())),
        (Play::json(body("UnsupportedFilter")), |error| matches!(error, ProviderError::Refused { status: 200, .. })),
        (with_status(401, "Unauthorized"), |error| matches!(error, ProviderError::Key(_))),
        (with_status(429, "RateLimitExceeded"), |error| matches!(error, ProviderError::Quota(_))),
        (with_status(422, "UnsupportedFilter"), |error| matches!(error, ProviderError::Refused { status: 422, .. })),
    ];
    for (play, is) in cases {
        let shown = format!("{play:?}");
        provider.plays(move |_| play.clone());
        let error = newsdata(&provider, 1, patient()).items(Category::Health).await.expect_err("refused");
        assert!(is(&error), "{shown}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("pub_secret"), "{error:?}");
    }
    for (name, play, _) in nonsense() {
        provider.plays(move |_| play.clone());
        assert!(newsdata(&provider, 1, limits()).items(Category::Health).await.is_err(), "{name}");
    }
}
