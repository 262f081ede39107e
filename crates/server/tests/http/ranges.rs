//! Long lists: bounded, thinned where the kind allows it, valid to the last byte.

use carebot_database::{Value as Cell, transact};
use carebot_model::status::{Active, Home, MentalReport, StatusKind};
use carebot_model::{FamilyId, RowId};
use carebot_testkit::TestDb;
use carebot_testkit::database::START;
use carebot_testkit::fixtures::{blank, sample};
use http_body_util::BodyExt;

use crate::prelude::*;

/// Stores reports, one a second from the start, and comes back with their numbers; fast, for many.
async fn store<K: StatusKind>(t: &TestDb, family: FamilyId, count: i64, fields: &K) -> Vec<i64> {
    let ids: Vec<i64> = (1..=count).collect();
    let columns = K::COLUMNS.len() + 4;
    for chunk in ids.chunks(500) {
        let marks = vec![format!("({})", vec!["?"; columns].join(",")); chunk.len()].join(",");
        let sql = format!(
            "INSERT INTO {} (family_id, reported_at, id, received_at, {}) VALUES {marks}",
            K::TABLE,
            K::COLUMNS.join(",")
        );
        let mut values: Vec<Cell> = Vec::with_capacity(chunk.len() * columns);
        for id in chunk {
            let at = START + id * 1000;
            values.extend([family.into(), Cell::Int(at), RowId(*id).into(), Cell::Int(at)]);
            values.extend(fields.values().into_iter().map(Cell::from));
        }
        let stored = transact!(t.db, tx => { tx.execute(sql.clone(), values.clone()).await });
        assert_eq!(stored.expect("the rows are stored"), chunk.len() as u64);
    }
    ids
}

/// The numbers of the rows of an answer.
fn numbers(reply: &Reply) -> Vec<i64> {
    let rows = reply.result();
    rows.as_array().expect("a list").iter().map(|row| row["index"].as_i64().expect("a number")).collect()
}

fn marks(reply: &Reply) -> (&str, &str) {
    (reply.header("carebot-thinned"), reply.header("carebot-truncated"))
}

async fn small(t: &TestDb) -> TestApp {
    TestApp::with(t, |settings, _| (settings.row_limit, settings.newest_whole) = (50, 10)).await
}

both_engines! {
    async fn a_range_as_long_as_the_limit_is_whole(t: TestDb) {
        let app = small(&t).await;
        let house = app.house().await;
        let ids = store(&t, house.family, 50, &sample::<Home>(1)).await;
        store(&t, house.family, 50, &sample::<Active>(1)).await;
        app.advance(1_000_000).await;
        for kind in ["home", "active"] {
            for (order, expected) in [("asc", ids.clone()), ("desc", ids.iter().rev().copied().collect())] {
                let reply = app
                    .get(&format!("/status/{kind}/{}?start=2026-01-01&order={order}", house.family), &house.elder)
                    .await;
                assert_eq!((numbers(&reply), marks(&reply)), (expected, ("", "")), "{kind} {order}");
            }
        }
    }

    async fn a_longer_range_of_the_air_is_thinned_evenly(t: TestDb) {
        let app = small(&t).await;
        let house = app.house().await;
        for count in [51, 60, 200, 1_000] {
            t.db.execute("DELETE FROM home_status", vec![]).await.expect("emptied");
            let ids = store(&t, house.family, count, &sample::<Home>(1)).await;
            app.advance(1_000_000).await;
            let ask = async |order: &str| {
                let reply = app
                    .get(&format!("/status/home/{}?start=2026-01-01&order={order}", house.family), &house.guardian)
                    .await;
                assert_eq!(marks(&reply), ("true", ""), "{count} {order}");
                numbers(&reply)
            };
            let rows = ask("asc").await;
            assert!(rows.len() <= 50, "{} rows of {count}", rows.len());
            assert!(rows.is_sorted_by(|a, b| a < b), "{rows:?}");
            assert!(rows.iter().all(|row| ids.contains(row)));
            let newest = &ids[ids.len() - 10..];
            assert_eq!(&rows[rows.len() - 10..], newest, "the newest are whole");
            // Of the rest, every so many seconds one.
            let rest = &rows[..rows.len() - 10];
            assert_eq!(rest.first(), Some(&1), "the oldest is there");
            // From the oldest to the second cell of the grid it may be less.
            let gaps: Vec<i64> = rest[1..].windows(2).map(|pair| pair[1] - pair[0]).collect();
            let (least, most) = (gaps.iter().min().expect("gaps"), gaps.iter().max().expect("gaps"));
            assert!(most - least <= 1, "{gaps:?}");
            assert!(newest[0] - rest.last().expect("a row") <= most + 1, "the rest goes on to the newest: {rest:?}");
            let mut turned = ask("desc").await;
            turned.reverse();
            assert_eq!(turned, rows, "both orders give the same rows");
        }
    }

    async fn only_the_rows_of_the_range_count(t: TestDb) {
        let app = small(&t).await;
        let house = app.house().await;
        store(&t, house.family, 500, &sample::<Home>(1)).await;
        app.advance(1_000_000).await;
        // The reports number 101 to 150 and one more.
        for (end, expected) in [("09:02:30", (50, "")), ("09:02:31", (50, "true"))] {
            let reply = app
                .get(
                    &format!("/status/home/{}?start=2026-03-02T09:01:41&end=2026-03-02T{end}", house.family),
                    &house.elder,
                )
                .await;
            let rows = numbers(&reply);
            assert!(rows.len() <= expected.0 && rows[0] == 101, "{rows:?}");
            assert_eq!(marks(&reply), (expected.1, ""));
        }
    }

    async fn rows_of_one_second_and_gaps_are_thinned_too(t: TestDb) {
        let app = small(&t).await;
        let house = app.house().await;
        // All at one time, and then all again a month later.
        let columns = "family_id, reported_at, id, received_at";
        for id in 1..=200_i64 {
            let at = if id <= 100 { START } else { START + 2_592_000_000 };
            let values = vec![house.family.into(), Cell::Int(at), RowId(id).into(), Cell::Int(at)];
            t.db.execute(&format!("INSERT INTO home_status ({columns}) VALUES (?, ?, ?, ?)"), values)
                .await
                .expect("stored");
        }
        app.advance(2_592_001_000).await;
        let token = t.session(house.elder.id, true).await.0;
        let reply = app.get(&format!("/status/home/{}?start=2026-01-01", house.family), &token).await;
        let rows = numbers(&reply);
        assert!(rows.len() <= 50 && rows.len() > 10, "{rows:?}");
        assert_eq!(&rows[rows.len() - 10..], (191..=200).collect::<Vec<_>>());
        assert_eq!(rows[0], 1);
        let mut turned =
            numbers(&app.get(&format!("/status/home/{}?start=2026-01-01&order=desc", house.family), &token).await);
        turned.reverse();
        assert_eq!(turned, rows);
    }

    async fn what_may_not_be_thinned_stops_at_the_newest(t: TestDb) {
        let app = small(&t).await;
        let house = app.house().await;
        let ids = store(&t, house.family, 51, &sample::<Active>(1)).await;
        app.advance(1_000_000).await;
        for (order, expected) in [("asc", ids[1..].to_vec()), ("desc", ids[1..].iter().rev().copied().collect())] {
            let reply =
                app.get(&format!("/status/active/{}?start=2026-01-01&order={order}", house.family), &house.elder).await;
            assert_eq!((numbers(&reply), marks(&reply)), (expected, ("", "true")), "{order}");
        }
        for number in 0..51_i32 {
            let body = json!({"from_id": house.guardian.id, "to_id": house.elder.id, "content": number.to_string()});
            assert_eq!(app.call("POST /messages/send", &house.guardian, body).await.status, 201);
            let body = json!({"family_id": house.family, "descriptions": number.to_string()});
            assert_eq!(app.call("POST /notify", &house.elder, body).await.status, 201);
            t.report(house.family, MentalReport { average_score: Some(number), ..sample(number) }).await;
        }
        let lists = [
            ("/messages/new?".to_owned(), &house.elder, "content"),
            ("/messages/all?".to_owned(), &house.elder, "content"),
            ("/messages/sent?".to_owned(), &house.guardian, "content"),
            (format!("/notify/new/{}?", house.family), &house.guardian, "description"),
            (format!("/notify/all/{}?", house.family), &house.guardian, "description"),
            (format!("/status/mental-reports/{}?start=2026-01-01&", house.family), &house.guardian, "average_score"),
        ];
        for (path, who, field) in &lists {
            for order in ["asc", "desc"] {
                let reply = app.get(&format!("{path}order={order}"), *who).await;
                assert_eq!(marks(&reply), ("", "true"), "{path}");
                let rows = reply.result();
                let mut texts: Vec<String> = rows
                    .as_array()
                    .expect("a list")
                    .iter()
                    .map(|row| row[field].to_string().replace('"', ""))
                    .collect();
                if order == "desc" {
                    texts.reverse();
                }
                assert_eq!(texts, (1..51).map(|number: i32| number.to_string()).collect::<Vec<_>>(), "{path} {order}");
            }
        }
    }

    async fn a_list_that_cannot_be_finished_is_broken_off(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        store(&t, house.family, 3_000, &sample::<Home>(1)).await;
        app.advance(3_000_000).await;
        let request = http::Request::get(format!("/status/home/{}?start=2026-01-01", house.family))
            .header("cookie", format!("session_id={}", house.elder.token))
            .body(axum::body::Body::empty())
            .expect("a request");
        let answer = app.edge.serve(carebot_server::Peer::default(), request).await;
        assert_eq!(answer.status(), 200);
        t.db.close().await;
        let error = answer.into_body().collect().await.expect_err("nobody must take half a list for a whole one");
        assert_eq!(error.to_string(), "the list was broken off");
    }

    async fn twenty_five_thousand_reports_are_ten_thousand_rows_at_most(t: TestDb) {
        let app = TestApp::new(&t).await;
        let house = app.house().await;
        let fields = Home { temperature: Some(21.5), others: Some("밖은 \"비\"".to_owned()), ..blank() };
        let ids = store(&t, house.family, 25_000, &fields).await;
        store(&t, house.family, 10_001, &blank::<Active>()).await;
        // The session's too.
        app.advance(25_000_000).await;
        let path = format!("/status/home/{}?start=2026-01-01", house.family);
        let reply = app.get(&path, &house.elder).await;
        let rows = numbers(&reply);
        assert_eq!(marks(&reply), ("true", ""));
        assert!(rows.len() <= 10_000 && rows.len() > 9_000, "{}", rows.len());
        assert_eq!(&rows[rows.len() - 1_000..], &ids[24_000..]);
        let gaps: Vec<i64> = rows[1..rows.len() - 1_000].windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| (2..=4).contains(gap)), "{gaps:?}");
        assert_eq!(reply.result()[0]["others"], "밖은 \"비\"");
        let mut turned = numbers(
            &app.request(&format!("GET {path}&order=desc"))
                .by(&house.elder)
                .header("accept-encoding", "gzip")
                .send()
                .await,
        );
        turned.reverse();
        assert_eq!(turned, rows);
        // One more than the limit.
        let reply = app.get(&format!("/status/active/{}?start=2026-01-01", house.family), &house.elder).await;
        assert_eq!((numbers(&reply), marks(&reply)), ((2..=10_001).collect(), ("", "true")));
        let reply = app.get(&format!("/status/active/{}?start=2026-03-02T09:00:02", house.family), &house.elder).await;
        assert_eq!((numbers(&reply), marks(&reply)), ((2..=10_001).collect(), ("", "")));
    }
}
