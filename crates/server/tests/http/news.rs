//! News, from feeds and a service that answer as they are documented.

use std::time::Duration;

use carebot_external::Key;
use carebot_external::guard::Limits;
use carebot_external::news::newsdata;
use carebot_model::news::Category;
use carebot_service::news::{Collected, Settings};
use carebot_testkit::TestDb;
use carebot_testkit::provider::{Asked, Play, Provider};
use tokio_util::sync::CancellationToken;

use crate::prelude::*;

const HOUR: i64 = 3_600_000;

fn limits() -> Limits {
    Limits { timeout: Duration::from_secs(20), tries: 1, failures: 1_000, ..Limits::default() }
}

/// `/health` and `/sports` are feeds, `/broken` is none; newsdata.io is below `/api/1`.
fn play(asked: &Asked) -> Play {
    let item = |number: u32, date: &str| {
        format!("<item><title>기사 {number}</title><link>https://news.example/{number}</link>{date}</item>")
    };
    let rss =
        |items: String| Play::xml(format!("<rss version=\"2.0\"><channel><title>t</title>{items}</channel></rss>"));
    match asked.path() {
        "/health" => rss([
            // 00:30 in Korea on the second, 23:30 on the first, tomorrow, long ago, and without a date.
            item(1, "<pubDate>Sun, 01 Mar 2026 15:30:00 GMT</pubDate>"),
            item(2, "<pubDate>Sun, 01 Mar 2026 14:30:00 GMT</pubDate>"),
            item(3, "<pubDate>Wed, 04 Mar 2026 14:30:00 GMT</pubDate>"),
            item(4, "<pubDate>Thu, 01 Jan 2026 14:30:00 GMT</pubDate>"),
            item(5, ""),
            item(1, "<pubDate>Sun, 01 Mar 2026 16:30:00 GMT</pubDate>"),
        ].concat()),
        "/sports" => rss(item(1, "")),
        "/api/1/latest" => Play::json(json!({"status": "success", "results": [{
            "title": "기사 9", "link": "https://news.example/9", "pubDate": "2026-03-02 01:00:00", "image_url": "https://img.example/9.jpg",
        }], "nextPage": null}).to_string()),
        _ => Play::Answer(503, "text/plain", b"away".to_vec()),
    }
}

async fn on(t: &TestDb, db: carebot_database::Db, set: impl FnOnce(&mut Settings)) -> TestApp {
    TestApp::on(t, db, |settings, _| {
        settings.news.limits = limits();
        set(&mut settings.news);
    })
    .await
}

async fn collect(app: &TestApp) -> Collected {
    app.service.collect_news(&CancellationToken::new()).await.expect("the database answers")
}

async fn titles(app: &TestApp, who: &Person, day: &str, category: &str) -> Vec<String> {
    let news = app.get(&format!("/tools/news?when={day}"), who).await.result();
    let list = news[category].as_array().expect("a list").clone();
    list.iter().map(|article| article["title"].as_str().unwrap_or_default().to_owned()).collect()
}

both_engines! {
    async fn feeds_are_filed_by_category_and_korean_day_once(t: TestDb) {
        let provider = Provider::start(play).await;
        let (health, sports) = (format!("{}/health", provider.url()), format!("{}/sports", provider.url()));
        let app = on(&t, t.db.clone(), |news| {
            news.feeds = vec![(Category::Health, health), (Category::Sports, sports)];
        }).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        assert_eq!(collect(&app).await, Collected { answered: 2, failed: 0, stored: 5 });
        assert_eq!(titles(&app, &guardian, "2026-03-02", "health").await, ["기사 1", "기사 3", "기사 5"]);
        assert_eq!(titles(&app, &guardian, "2026-03-01", "health").await, ["기사 2"]);
        assert_eq!(titles(&app, &guardian, "2026-03-02", "sports").await, ["기사 1"]);
        assert_eq!(titles(&app, &guardian, "2026-03-02", "business").await, [""; 0]);
        assert_eq!(collect(&app).await, Collected::default(), "once a day");
        assert_eq!(provider.count(), 2);
        // 22:00 in Korea: the day's round.
        app.advance(4 * HOUR).await;
        let again = collect(&app).await;
        assert_eq!((again.answered, again.stored), (2, 0), "everything is there already");
        app.advance(24 * HOUR).await;
        let next = collect(&app).await;
        assert_eq!((next.answered, next.stored), (2, 0), "a link stands once, on the day it was first seen");
        // Who signed in yesterday has to again.
        let guardian = app.person(Role::Sub, "LATER").await;
        assert_eq!(titles(&app, &guardian, "2026-03-03", "health").await, [""; 0]);
    }

    async fn newsdata_fills_all_eight_categories(t: TestDb) {
        let provider = Provider::start(play).await;
        let base_url = format!("{}/api/1", provider.url());
        let app = on(&t, t.db.clone(), |news| {
            news.newsdata = Some(newsdata::Settings { base_url, key: Key("k".into()), pages: 1, limits: limits() });
        }).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        assert_eq!(collect(&app).await, Collected { answered: 8, failed: 0, stored: 8 });
        let mut asked: Vec<_> = provider.asked().iter().filter_map(|asked| asked.parameter("category")).collect();
        asked.sort_unstable();
        let expected = ["business", "entertainment", "environment", "health", "politics", "science", "sports", "technology"];
        assert_eq!(asked, expected);
        for category in expected {
            assert_eq!(titles(&app, &guardian, "2026-03-02", category).await, ["기사 9"], "{category}");
        }
        assert_eq!(collect(&app).await, Collected::default());
    }

    async fn a_source_that_fails_is_asked_again_and_costs_the_others_nothing(t: TestDb) {
        let provider = Provider::start(play).await;
        let (broken, sports) = (format!("{}/broken", provider.url()), format!("{}/sports", provider.url()));
        let app = on(&t, t.db.clone(), |news| {
            news.feeds = vec![(Category::Health, broken), (Category::Sports, sports)];
        }).await;
        assert_eq!(collect(&app).await, Collected { answered: 1, failed: 1, stored: 1 });
        assert_eq!(collect(&app).await, Collected::default(), "not at once");
        app.advance(10 * 60_000).await;
        assert_eq!(collect(&app).await, Collected { answered: 0, failed: 1, stored: 0 });
        app.advance(10 * 60_000).await;
        assert_eq!(collect(&app).await, Collected::default(), "twice as long the second time");
        let same = provider.url();
        provider.plays(move |_| Play::xml(format!(
            "<rss version=\"2.0\"><channel><title>t</title><item><title>다시</title><link>{same}/x</link></item></channel></rss>"
        )));
        app.advance(10 * 60_000).await;
        assert_eq!(collect(&app).await, Collected { answered: 1, failed: 0, stored: 1 });
        app.advance(HOUR).await;
        assert_eq!(collect(&app).await, Collected::default());
    }

    async fn of_two_servers_one_collects(t: TestDb) {
        let provider = Provider::start(play).await;
        let feeds = vec![(Category::Health, format!("{}/health", provider.url()))];
        let app = on(&t, t.db.clone(), |news| news.feeds.clone_from(&feeds)).await;
        let other = on(&t, t.open_again().await, |news| news.feeds = feeds).await;
        let (one, two) = tokio::join!(collect(&app), collect(&other));
        assert_eq!((one.answered + two.answered, one.stored + two.stored), (1, 4));
        assert_eq!(provider.count(), 1);
        // When the one that led is gone, the other takes over.
        app.advance(24 * HOUR).await;
        other.service.renew_node().await.expect("the lease holds");
        assert_eq!(collect(&other).await.answered, 1);
        assert_eq!(collect(&app).await, Collected::default());
    }

    async fn old_news_go_even_without_a_source(t: TestDb) {
        let provider = Provider::start(play).await;
        let feeds = vec![(Category::Health, format!("{}/health", provider.url()))];
        let app = on(&t, t.db.clone(), |news| news.feeds = feeds).await;
        collect(&app).await;
        t.advance(30 * 24 * HOUR).await;
        let bare = on(&t, t.open_again().await, |_| {}).await;
        assert!(!bare.service.collects_news() && app.service.collects_news());
        collect(&bare).await;
        let left = async |day: &'static str| carebot_database::tools::news(
            &mut t.db.read(), carebot_model::Date::parse(day).expect("a day"),
        ).await.expect("it can be read").health.len();
        assert_eq!((left("2026-03-01").await, left("2026-03-02").await), (0, 3));
    }
}
