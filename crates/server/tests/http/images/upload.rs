//! `POST /upload`: what is taken, what is refused and in which order, and what is left of a file.

use axum::body::Body;
use carebot_testkit::TestDb;
use futures_util::stream;
use image::AnimationDecoder;
use image::codecs::gif::GifDecoder;

use super::draw::{self, SECRET};
use super::{see, upload};
use crate::prelude::*;

const NOT_A_PICTURE: &str = "Only image files can be uploaded";

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

async fn bytes(app: &TestApp, who: &Person, path: &str) -> Vec<u8> {
    let reply = app.get(path, who).await;
    assert_eq!(reply.status, 200);
    reply.body.to_vec()
}

/// As browsers send a file of unknown length.
fn streamed(name: &str, content: &[u8]) -> Body {
    let head = format!("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
    let form = [head.as_bytes(), content, b"\r\n--b--\r\n"].concat();
    let pieces: Vec<Result<Vec<u8>, std::io::Error>> = form.chunks(10_000).map(|piece| Ok(piece.to_vec())).collect();
    Body::from_stream(stream::iter(pieces))
}

both_engines! {
    async fn an_upload_is_answered_as_the_contract_says(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| settings.images.public_url = Some("https://care.test".into())).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let form = app.request("POST /upload").by(&guardian).file("생일 파티.PNG", &draw::jpeg(20, 10));
        form.send().await.is(
            201,
            concat!(
                r#"{"message":"Image uploaded successfully","result":{"request_id":"GUARDIAN","#,
                r#""file_name":"생일 파티_20260302_090000_000.jpg","file_type":"image/jpeg","#,
                r#""file_path":"https://care.test/access/GUARDIAN/%EC%83%9D%EC%9D%BC%20%ED%8C%8C%ED%8B%B0_20260302_090000_000.jpg"}}"#
            ),
        );
    }

    async fn without_a_known_address_the_path_alone_is_told(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let path = upload(&app, &guardian, "x.gif", &draw::gif(4, 4)).await;
        assert_eq!(path, format!("/access/{}/x_20260302_090000_000.gif", guardian.id));
        assert_eq!(see(&app, &guardian, &path).await.width(), 4);
    }

    async fn every_format_is_told_by_its_content(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        for (content, kind, extension) in [
            (draw::jpeg(30, 20), "image/jpeg", ".jpg"),
            (draw::png(30, 20), "image/png", ".png"),
            (draw::gif(30, 20), "image/gif", ".gif"),
            (draw::webp(30, 20), "image/webp", ".webp"),
        ] {
            let reply = app.request("POST /upload").by(&guardian).file("lies.exe", &content).send().await;
            assert_eq!(reply.given("file_type"), kind);
            assert!(reply.given("file_name").ends_with(extension));
            let path = reply.given("file_path");
            let seen = app.get(&path, &guardian).await;
            assert_eq!((seen.status, seen.header("content-type")), (200, kind));
            assert_eq!(seen.header("content-length"), seen.body.len().to_string());
            let picture = image::load_from_memory(&seen.body).expect("a picture");
            assert_eq!((picture.width(), picture.height()), (30, 20));
        }
    }

    async fn two_pictures_of_a_moment_have_two_names(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let mut paths = Vec::new();
        for width in 1..=3 {
            paths.push(upload(&app, &guardian, "x.png", &draw::png(width, 1)).await);
        }
        for (width, path) in (1..=3).zip(&paths) {
            assert!(path.ends_with(&format!("x_20260302_090000_{:03}.png", width - 1)), "{path}");
            assert_eq!(see(&app, &guardian, path).await.width(), width);
        }
    }

    async fn names_of_clients_do_no_harm(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        for name in ["../../../etc/passwd", "..\\..\\boot.ini", "....", "a;b=c", "%2e%2e%2f", "x?w=1#y", "'--", "👵🏻", &"긴".repeat(500)] {
            let path = upload(&app, &guardian, name, &draw::png(3, 3)).await;
            assert!(path.starts_with(&format!("/access/{}/", guardian.id)) && path.matches('/').count() == 3, "{path}");
            assert_eq!(see(&app, &guardian, &path).await.width(), 3, "{name}");
        }
    }

    async fn refusals_come_in_the_order_of_the_contract(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| settings.images.max_mib = 1).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let missing = r#"{"detail":[{"type":"missing","loc":["body","file"],"msg":"Field required","input":null}]}"#;
        let (junk, huge) = (b"no picture".to_vec(), vec![0_u8; (1 << 20) + 1]);
        // No file: before anything else.
        app.call("POST /upload", ANYONE, json!({})).await.is(422, missing);
        app.call("POST /upload", ANYONE, Value::Null).await.is(422, missing);
        let other = "--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"x.png\"\r\n\r\nx\r\n--b--\r\n";
        app.request("POST /upload").by(&guardian).body("multipart/form-data; boundary=b", other).send().await.is(422, missing);
        // No session: before size and content.
        app.request("POST /upload").file("x.png", &huge).send().await.forbids();
        app.request("POST /upload").file("x.png", &junk).send().await.forbids();
        app.request("POST /upload").by("no such session").file("x.png", &draw::png(3, 3)).send().await.forbids();
        // Too large: before the content.
        let reply = app.request("POST /upload").by(&guardian).file("큰 것.png", &huge).send().await;
        reply.refuses(413, "too large", "Image size exceeds the limit(1MB max).");
        let input = &reply.json()["detail"]["input"];
        assert_eq!(input["request_id"], guardian.id.as_str());
        assert_eq!(input["file_name"], "큰 것.png");
        assert!(input["file_size"].as_u64() > Some(1 << 20), "{input}");
        let reply = app.request("POST /upload").by(&guardian).file("x.png", &junk).send().await;
        reply.is(
            400,
            r#"{"detail":{"type":"invalid value","message":"Only image files can be uploaded","input":{"request_id":"GUARDIAN","file_name":"x.png","file_type":null}}}"#,
        );
    }

    async fn a_file_of_unannounced_length_is_stopped_at_the_limit(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| settings.images.max_mib = 1).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let request = app.request("POST /upload").by(&guardian);
        let reply = request.body("multipart/form-data; boundary=b", streamed("x.png", &vec![0; 3 << 20])).send().await;
        reply.refuses(413, "too large", "Image size exceeds the limit(1MB max).");
        let request = app.request("POST /upload").by(&guardian);
        let reply = request.body("multipart/form-data; boundary=b", streamed("x.png", &draw::png(9, 9))).send().await;
        assert_eq!(reply.status, 201, "{}", reply.text());
    }

    async fn what_is_no_whole_picture_is_refused(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let mut broken: Vec<Vec<u8>> = vec![
            Vec::new(),
            b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>".to_vec(),
            b"%PDF-1.7".to_vec(),
            b"BM\x3a\0\0\0".to_vec(),
            b"GIF89a".to_vec(),
            b"\xff\xd8\xff\xd9".to_vec(),
            b"\x89PNG\r\n\x1a\n".to_vec(),
            b"RIFF\xff\xff\xff\xffWEBP".to_vec(),
            draw::png_bomb(0, 0),
            draw::png_bomb(10, 10),
        ];
        for whole in [draw::jpeg(40, 40), draw::png(40, 40), draw::gif(40, 40), draw::webp(40, 40)] {
            for part in [1, 4, 9] {
                broken.push(whole[..whole.len() * part / 10].to_vec());
            }
            broken.push(whole[..whole.len() - 1].to_vec());
        }
        for file in broken {
            let reply = app.request("POST /upload").by(&guardian).file("x.png", &file).send().await;
            reply.refuses(400, "invalid value", NOT_A_PICTURE);
        }
    }

    async fn a_bomb_is_refused_by_its_head(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        for bomb in [draw::png_bomb(20_000, 20_000), draw::png_bomb(u32::MAX >> 1, u32::MAX >> 1), draw::jpeg_bomb(), draw::gif_bomb()] {
            let reply = app.request("POST /upload").by(&guardian).file("x.png", &bomb).send().await;
            reply.refuses(400, "invalid value", "Image dimensions exceed the limit");
        }
        let small = TestApp::with(&t, |settings, _| settings.images.max_megapixels = 1).await;
        let reply = small.request("POST /upload").by(&guardian).file("x.png", &draw::png(1_001, 1_000)).send().await;
        reply.refuses(400, "invalid value", "Image dimensions exceed the limit");
        upload(&small, &guardian, "x.png", &draw::png(1_000, 1_000)).await;
    }

    async fn no_metadata_are_left(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        for file in [
            draw::jpeg_with_metadata(40, 20, 1),
            draw::jpeg_with_metadata(40, 20, 6),
            draw::png_with_metadata(40, 20, 1),
            draw::png_with_metadata(40, 20, 3),
            draw::webp_with_metadata(40, 20, 1),
            draw::webp_with_metadata(40, 20, 8),
            draw::gif_with_metadata(40, 20),
        ] {
            assert!(contains(&file, SECRET));
            let path = upload(&app, &guardian, "x", &file).await;
            let stored = bytes(&app, &guardian, &path).await;
            assert!(!contains(&stored, SECRET), "{path}");
            for trace in [&b"Exif"[..], b"eXIf", b"EXIF", b"http://ns.adobe.com", b"XMP", b"tEXt", b"iTXt", b"Photoshop", b"MPF\0"] {
                assert!(!contains(&stored, trace), "{path} {}", String::from_utf8_lossy(trace));
            }
            assert!(image::load_from_memory(&stored).is_ok(), "{path}");
        }
    }

    async fn a_picture_that_lies_on_its_side_is_turned_upright(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        // Orientation 6: the camera was turned; what is stored on the left belongs to the top.
        for file in [draw::jpeg_with_metadata(64, 32, 6), draw::png_with_metadata(64, 32, 6), draw::webp_with_metadata(64, 32, 6)] {
            let path = upload(&app, &guardian, "x", &file).await;
            let seen = see(&app, &guardian, &path).await.to_rgb8();
            assert_eq!(seen.dimensions(), (32, 64), "{path}");
            let (top, bottom) = (seen.get_pixel(16, 8).0, seen.get_pixel(16, 56).0);
            assert!(top[0] > 180 && top[2] < 60, "{path}: {top:?}");
            assert!(bottom[2] > 180 && bottom[0] < 60, "{path}: {bottom:?}");
        }
    }

    async fn a_picture_that_stands_upright_is_not_touched(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        for (plain, with_metadata) in [
            (draw::jpeg(64, 32), draw::jpeg_with_metadata(64, 32, 1)),
            (draw::png(64, 32), draw::png_with_metadata(64, 32, 1)),
            (draw::gif(64, 32), draw::gif_with_metadata(64, 32)),
        ] {
            let path = upload(&app, &guardian, "x", &with_metadata).await;
            assert!(bytes(&app, &guardian, &path).await == plain, "{path}");
        }
    }

    async fn an_animation_goes_on_moving(t: TestDb) {
        let app = TestApp::new(&t).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let path = upload(&app, &guardian, "x.gif", &draw::gif_with_metadata(20, 20)).await;
        let stored = bytes(&app, &guardian, &path).await;
        let frames = GifDecoder::new(std::io::Cursor::new(&stored)).expect("a GIF").into_frames().collect_frames();
        assert_eq!(frames.expect("whole").len(), 2);
        assert!(contains(&stored, b"NETSCAPE2.0"));
    }

    async fn an_account_has_a_quota(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| (settings.images.quota_mib, settings.images.max_mib) = (1, 4)).await;
        let (guardian, other) = (app.person(Role::Sub, "GUARDIAN").await, app.person(Role::Sub, "OTHER").await);
        // Of 400 kB each, as noise does not get smaller.
        let noise = noise(&t, 366);
        assert!((350_000..450_000).contains(&noise.len()), "{}", noise.len());
        let first = upload(&app, &guardian, "x.png", &noise).await;
        upload(&app, &guardian, "x.png", &noise).await;
        let reply = app.request("POST /upload").by(&guardian).file("x.png", &noise).send().await;
        reply.refuses(413, "too large", "Image quota of 1MB exceeded.");
        assert_eq!(reply.json()["detail"]["input"]["file_name"], "x.png");
        upload(&app, &other, "x.png", &noise).await;
        let path = first.replace("/access/", "DELETE /delete/");
        assert_eq!(app.call(&path, &guardian, Value::Null).await.status, 200);
        upload(&app, &guardian, "x.png", &noise).await;
    }

    async fn uploads_at_once_do_not_both_squeeze_into_the_quota(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| settings.images.quota_mib = 1).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let noise = noise(&t, 366);
        let one = || app.request("POST /upload").by(&guardian).file("x.png", &noise).send();
        let (a, b, c, d, e) = tokio::join!(one(), one(), one(), one(), one());
        let mut statuses = [a.status, b.status, c.status, d.status, e.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 201, 413, 413, 413]);
    }

    async fn pictures_are_not_cached_by_others(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| settings.images.cache = std::time::Duration::from_secs(77)).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        let path = upload(&app, &guardian, "할머니.png", &draw::png(3, 3)).await;
        let seen = app.get(&path, &guardian).await;
        assert_eq!(seen.header("cache-control"), "private, max-age=77");
        assert_eq!(seen.header("x-content-type-options"), "nosniff");
        assert!(seen.header("content-disposition").starts_with("inline; filename*=UTF-8''%ED%95%A0"), "{:?}", seen.headers);
        assert_eq!(seen.header("last-modified"), "Mon, 02 Mar 2026 09:00:00 GMT");
        assert_eq!(app.get(&path, ANYONE).await.header("cache-control"), "no-store");
    }
}

/// A picture whose file is as large as it has bytes.
fn noise(t: &TestDb, edge: u32) -> Vec<u8> {
    let picture = image::RgbImage::from_fn(edge, edge, |_, _| {
        let [a, b, c, ..] = t.rng.next().to_le_bytes();
        image::Rgb([a, b, c])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).expect("it is encoded");
    bytes.into_inner()
}
