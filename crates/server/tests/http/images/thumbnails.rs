//! `GET /access`: smaller pictures, parts of pictures, and pictures that the client has already.

use super::{draw, see, upload};
use crate::prelude::*;

both_engines! {
    async fn a_thumbnail_is_the_next_larger_of_a_few_widths(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let path = upload(&app, &guardian, "x", &draw::jpeg(1_000, 500)).await;
        for (wanted, size) in [(16, (160, 80)), (160, (160, 80)), (161, (320, 160)), (320, (320, 160)), (600, (640, 320)), (641, (1_000, 500)), (2_048, (1_000, 500))] {
            let seen = see(&app, &guardian, &format!("{path}?w={wanted}")).await;
            assert_eq!((seen.width(), seen.height()), size, "{wanted}");
            // Still red on the left and blue on the right.
            let seen = seen.to_rgb8();
            let (left, right) = (seen.get_pixel(5, 5).0, seen.get_pixel(seen.width() - 5, 5).0);
            assert!(left[0] > 180 && right[2] > 180, "{left:?} {right:?}");
        }
    }

    async fn a_thumbnail_is_a_jpeg_or_where_something_shows_through_a_png(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        for (file, kind) in [
            (draw::jpeg(400, 100), "image/jpeg"),
            (draw::png(400, 100), "image/jpeg"),
            (draw::webp(400, 100), "image/jpeg"),
            (draw::gif(400, 100), "image/jpeg"),
            (draw::holed_png(400, 100), "image/png"),
        ] {
            let path = upload(&app, &guardian, "x", &file).await;
            let seen = app.get(&format!("{path}?w=160"), &guardian).await;
            assert_eq!((seen.status, seen.header("content-type")), (200, kind), "{path}");
            let picture = image::load_from_memory(&seen.body).expect("a picture");
            assert_eq!((picture.width(), picture.height()), (160, 40));
            assert_eq!(seen.header("content-length"), seen.body.len().to_string());
        }
    }

    async fn a_picture_that_was_turned_has_an_upright_thumbnail_without_metadata(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let path = upload(&app, &guardian, "x", &draw::jpeg_with_metadata(800, 400, 6)).await;
        let seen = see(&app, &guardian, &format!("{path}?w=160")).await;
        assert_eq!((seen.width(), seen.height()), (160, 320));
    }

    async fn a_width_that_can_not_be_is_told(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let path = upload(&app, &guardian, "x", &draw::jpeg(10, 10)).await;
        for (width, kind) in [
            ("15", "greater_than_equal"), ("-1", "greater_than_equal"), ("2049", "less_than_equal"),
            ("99999999999999999999", "less_than_equal"), ("big", "int_parsing"), ("", "int_parsing"), ("1.5", "int_parsing"),
        ] {
            let reply = app.get(&format!("{path}?w={width}"), &guardian).await;
            assert_eq!((reply.status, reply.json()["detail"][0]["type"].as_str()), (422, Some(kind)), "{width}");
        }
        // What the server does not know is no concern of it.
        assert_eq!(see(&app, &guardian, &format!("{path}?width=5&x")).await.width(), 10);
    }

    async fn what_the_client_has_is_not_sent_again(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (guardian, stranger) = (app.person(Role::Sub, "GUARDIAN").await, app.person(Role::Sub, "STRANGER").await);
        let path = upload(&app, &guardian, "x", &draw::jpeg(400, 100)).await;
        let small = format!("{path}?w=160");
        let tag = app.get(&path, &guardian).await.header("etag").to_owned();
        let small_tag = app.get(&small, &guardian).await.header("etag").to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() == 34, "{tag}");
        assert_ne!(tag, small_tag);
        for (path, tag, status) in [
            (&path, tag.as_str(), 304),
            (&path, &format!("\"other\", W/{tag}"), 304),
            (&path, "*", 304),
            (&path, small_tag.as_str(), 200),
            (&small, small_tag.as_str(), 304),
            (&small, tag.as_str(), 200),
        ] {
            let reply = app.request(&format!("GET {path}")).by(&guardian).header("if-none-match", tag).send().await;
            assert_eq!(reply.status, status, "{path} {tag}");
            assert_eq!(reply.body.is_empty(), status == 304);
            assert!(!reply.header("etag").is_empty() && reply.header("cache-control").starts_with("private"));
        }
        // Having it does not mean that one may see it.
        app.request(&format!("GET {path}")).by(&stranger).header("if-none-match", tag).send().await.forbids();
    }

    async fn a_part_of_a_picture_can_be_asked_for(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let path = upload(&app, &guardian, "x", &draw::jpeg(400, 100)).await;
        for path in [path.clone(), format!("{path}?w=160")] {
            let whole = app.get(&path, &guardian).await;
            assert_eq!(whole.header("accept-ranges"), "bytes");
            let size = whole.body.len();
            let ask = async |range: &str| app.request(&format!("GET {path}")).by(&guardian).header("range", range).send().await;
            for (range, first, last) in [("bytes=0-9".to_owned(), 0, 9), ("bytes=100-".to_owned(), 100, size - 1), ("bytes=-10".to_owned(), size - 10, size - 1), (format!("bytes={}-{}", size - 1, size + 50), size - 1, size - 1)] {
                let part = ask(&range).await;
                assert_eq!(part.status, 206, "{range}");
                assert_eq!(part.header("content-range"), format!("bytes {first}-{last}/{size}"));
                assert_eq!(part.header("content-length"), (last + 1 - first).to_string());
                assert!(part.body == whole.body[first..=last], "{range}");
            }
            for range in ["bytes=0-1,5-6", "bytes=x", "pages=1"] {
                let all = ask(range).await;
                assert_eq!((all.status, all.body.len()), (200, size), "{range}");
            }
            let beyond = ask(&format!("bytes={size}-")).await;
            beyond.refuses(416, "invalid value", "The range is outside of the picture");
            assert_eq!(beyond.header("content-range"), format!("bytes */{size}"));
            let old = app.request(&format!("GET {path}")).by(&guardian).header("range", "bytes=0-9").header("if-range", "\"old\"");
            assert_eq!(old.send().await.status, 200);
        }
    }
}
