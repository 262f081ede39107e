//! What lies in the store, and what is tidied up there.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use carebot_database::deletion;
use carebot_service::images::storage::{SHARDS, Storage};
use carebot_testkit::TestDb;

use super::{draw, upload};
use crate::prelude::*;

/// A server whose pictures lie in a folder.
struct Kept {
    app: TestApp,
    folder: tempfile::TempDir,
}

impl Kept {
    async fn new(t: &TestDb) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pictures");
        let app = TestApp::with(t, |settings, _| settings.images.storage = Storage::Folder(path)).await;
        Self { app, folder }
    }

    fn pictures(&self) -> PathBuf {
        self.folder.path().join("pictures")
    }

    /// The files that there are.
    fn files(&self) -> Vec<PathBuf> {
        files_of(&self.pictures())
    }

    /// Lets the files be of the time of the test's clock.
    fn date(&self) {
        let now = u64::try_from(self.app.t.now().millis()).expect("it is after 1970");
        for path in self.files() {
            let file = std::fs::File::options().write(true).open(path).expect("it is there");
            file.set_modified(UNIX_EPOCH + Duration::from_millis(now)).expect("it is dated");
        }
    }

    async fn tidy(&self) -> usize {
        let mut count = 0;
        for shard in 0..SHARDS {
            count += self.app.service.tidy_images(shard).await.expect("it is tidied");
        }
        count
    }

    async fn discard(&self) -> usize {
        let mut count = 0;
        loop {
            match self.app.service.delete_discarded_images().await.expect("they are deleted") {
                0 => return count,
                some => count += some,
            }
        }
    }
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .flat_map(|entry| {
            let path = entry.expect("it can be read").path();
            if path.is_dir() { files_of(&path) } else { vec![path] }
        })
        .collect();
    files.sort();
    files
}

const DAY: i64 = 86_400_000;

both_engines! {
    async fn names_in_the_store_are_ours(t: TestDb) {
        let kept = Kept::new(&t).await;
        assert!(!kept.pictures().exists(), "made when it is needed");
        let guardian = kept.app.person(Role::Sub, "GUARDIAN").await;
        let path = upload(&kept.app, &guardian, "../../할머니.png", &draw::png(400, 400)).await;
        kept.app.get(&format!("{path}?w=160"), &guardian).await;
        let files = kept.files();
        assert_eq!(files.len(), 2, "{files:?}");
        let first = files[0].file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        assert!(first.len() == 32 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
        assert!(files[0].ends_with(format!("pictures/{}/{first}", &first[..2])), "{files:?}");
        assert!(files[1].ends_with(format!("{first}-w160")), "{files:?}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(kept.pictures()).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "nobody else reads it");
        }
    }

    async fn a_thumbnail_is_made_once(t: TestDb) {
        let kept = Kept::new(&t).await;
        let guardian = kept.app.person(Role::Sub, "GUARDIAN").await;
        let path = upload(&kept.app, &guardian, "x", &draw::png(400, 400)).await;
        let first = kept.app.get(&format!("{path}?w=160"), &guardian).await;
        // What is kept is what is given: another picture in its place shows that.
        let thumbnail = kept.files().pop().expect("a thumbnail");
        std::fs::write(&thumbnail, draw::jpeg(7, 7)).expect("written");
        let second = kept.app.get(&format!("{path}?w=100"), &guardian).await;
        assert!(first.body != second.body && second.body == draw::jpeg(7, 7));
        // One that is broken is made again.
        std::fs::write(&thumbnail, "junk").expect("written");
        assert!(kept.app.get(&format!("{path}?w=160"), &guardian).await.body == first.body);
    }

    async fn a_refused_upload_leaves_nothing(t: TestDb) {
        let kept = Kept::new(&t).await;
        let guardian = kept.app.person(Role::Sub, "GUARDIAN").await;
        for file in [b"junk".to_vec(), draw::png_bomb(20_000, 20_000)] {
            assert_eq!(kept.app.request("POST /upload").by(&guardian).file("x", &file).send().await.status, 400);
        }
        assert!(kept.files().is_empty());
    }

    async fn a_deleted_picture_leaves_the_store(t: TestDb) {
        let kept = Kept::new(&t).await;
        let guardian = kept.app.person(Role::Sub, "GUARDIAN").await;
        let path = upload(&kept.app, &guardian, "x", &draw::png(400, 400)).await;
        let other = upload(&kept.app, &guardian, "y", &draw::png(4, 4)).await;
        kept.app.get(&format!("{path}?w=160"), &guardian).await;
        assert_eq!(kept.files().len(), 3);
        let line = path.replace("/access/", "DELETE /delete/");
        assert_eq!(kept.app.call(&line, &guardian, Value::Null).await.status, 200);
        assert_eq!((kept.discard().await, kept.files().len()), (1, 1));
        assert_eq!((kept.discard().await, kept.files().len()), (0, 1));
        assert_eq!(kept.app.get(&other, &guardian).await.status, 200);
    }

    async fn a_deleted_account_leaves_an_empty_store(t: TestDb) {
        let kept = Kept::new(&t).await;
        let house = kept.app.house().await;
        for number in 0..5 {
            let path = upload(&kept.app, &house.guardian, "x", &draw::png(200 + number, 4)).await;
            kept.app.get(&format!("{path}?w=160"), &house.guardian).await;
            let body = json!({"family_id": house.family, "image_url": path});
            assert_eq!(kept.app.call("POST /tools/background", &house.guardian, body).await.status, 201);
        }
        let elders = upload(&kept.app, &house.elder, "x", &draw::png(4, 4)).await;
        let line = format!("DELETE /accounts/{}", house.guardian.id);
        assert_eq!(kept.app.call(&line, &house.guardian, json!({"password": PASSWORD})).await.status, 200);
        assert_eq!(kept.files().len(), 11);
        while deletion::step(&t.db).await.expect("a step") {}
        assert_eq!(kept.discard().await, 5);
        assert_eq!(kept.files().len(), 1);
        assert_eq!(kept.app.get(&elders, &house.elder).await.status, 200);
    }

    async fn objects_without_a_picture_are_deleted_after_a_day(t: TestDb) {
        let kept = Kept::new(&t).await;
        let guardian = kept.app.person(Role::Sub, "GUARDIAN").await;
        let path = upload(&kept.app, &guardian, "x", &draw::png(400, 400)).await;
        kept.app.get(&format!("{path}?w=160"), &guardian).await;
        let folder = kept.pictures().join("a7");
        std::fs::create_dir_all(&folder).expect("a folder");
        let zeros = format!("a7{}", "0".repeat(30));
        // The third is what a server leaves that died while it wrote.
        for name in [&zeros, &format!("a7{}-w160", "1".repeat(30)), &format!("{zeros}#1"), "a7 notes of the operator.txt"] {
            std::fs::write(folder.join(name), "x").expect("written");
        }
        kept.date();
        assert_eq!((kept.tidy().await, kept.files().len()), (0, 6), "an upload may be under way");
        kept.app.advance(DAY + 1_000).await;
        assert_eq!((kept.tidy().await, kept.files().len()), (2, 3));
        assert_eq!((kept.tidy().await, kept.files().len()), (0, 3), "what is not named like ours stays");
        let session = t.session(guardian.id, false).await.0;
        assert_eq!(kept.app.get(&path, &session).await.status, 200);
    }

    async fn beside_a_database_without_pictures_nothing_is_deleted(t: TestDb) {
        let kept = Kept::new(&t).await;
        let folder = kept.pictures().join("a7");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(format!("a7{}", "0".repeat(30))), "x").expect("written");
        kept.date();
        kept.app.advance(2 * DAY).await;
        assert_eq!((kept.tidy().await, kept.files().len()), (0, 1));
    }

    async fn what_nothing_refers_to_goes_after_thirty_days(t: TestDb) {
        let kept = Kept::new(&t).await;
        let house = kept.app.house().await;
        let unused = upload(&kept.app, &house.guardian, "x", &draw::png(4, 4)).await;
        let used = upload(&kept.app, &house.guardian, "y", &draw::png(4, 4)).await;
        let body = json!({"family_id": house.family, "image_url": used});
        let added = kept.app.call("POST /tools/background", &house.guardian, body).await.result()["index"].clone();
        let discard = async || kept.app.service.discard_unreferenced_images().await.expect("discarded");
        let status = async |path: &str| {
            let session = t.session(house.guardian.id, false).await.0;
            kept.app.get(path, &session).await.status
        };
        kept.app.advance(30 * DAY - 1_000).await;
        assert_eq!(discard().await, 0);
        kept.app.advance(1_000).await;
        assert_eq!(discard().await, 1);
        assert_eq!((status(&unused).await, status(&used).await), (404, 200));
        let session = t.session(house.guardian.id, false).await.0;
        let line = format!("DELETE /tools/background/{}/{added}", house.family);
        assert_eq!(kept.app.call(&line, &session, Value::Null).await.status, 200);
        kept.tidy().await;
        kept.app.advance(29 * DAY).await;
        assert_eq!(discard().await, 0, "its thirty days began when nothing referred to it any more");
        kept.app.advance(DAY).await;
        assert_eq!(discard().await, 1);
        kept.discard().await;
        assert!(kept.files().is_empty());
    }

    async fn with_zero_days_unused_pictures_stay(t: TestDb) {
        let app = TestApp::with(&t, |settings, _| settings.images.unreferenced_days = 0).await;
        let guardian = app.person(Role::Sub, "GUARDIAN").await;
        upload(&app, &guardian, "x", &draw::png(4, 4)).await;
        app.advance(1_000 * DAY).await;
        assert_eq!(app.service.discard_unreferenced_images().await.expect("nothing"), 0);
    }

    async fn a_store_that_lost_or_spoiled_a_picture_is_told_apart(t: TestDb) {
        let kept = Kept::new(&t).await;
        let guardian = kept.app.person(Role::Sub, "GUARDIAN").await;
        let path = upload(&kept.app, &guardian, "x", &draw::png(400, 4)).await;
        let file = kept.files().pop().expect("a file");
        std::fs::write(&file, "junk").expect("written");
        let reply = kept.app.get(&format!("{path}?w=160"), &guardian).await;
        reply.refuses(400, "invalid value", "Only image files can be provided to the user");
        std::fs::remove_file(&file).expect("removed");
        for path in [path.clone(), format!("{path}?w=160")] {
            kept.app.get(&path, &guardian).await.refuses(404, "not found", "Image not found");
        }
    }

    async fn a_store_that_can_not_be_used_is_unavailable(t: TestDb) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a file");
        std::fs::write(&file, "x").expect("written");
        let app = TestApp::with(&t, |settings, _| settings.images.storage = Storage::Folder(file.join("pictures"))).await;
        let house = app.house().await;
        let reply = app.request("POST /upload").by(&house.guardian).file("x", &draw::png(4, 4)).send().await;
        assert_eq!(reply.status, 503, "{}", reply.text());
        assert!(!reply.text().contains("a file"), "{}", reply.text());
        // Everything else goes on.
        let body = json!({"family_id": house.family, "heart_rate": 70});
        assert_eq!(app.call("POST /status/health", &house.elder, body).await.status, 201);
    }
}
