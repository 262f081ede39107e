//! Interruptions, wrong installations, and that nothing is ever changed there.

use tokio::sync::Notify;

use super::*;

/// The same as an import that was never interrupted.
async fn assert_whole(existing: &Existing, t: &TestDb) {
    import(existing, t).await.tables();
    let other = TestDb::new(t.engine, None).await;
    import(existing, &other).await.tables();
    assert_eq!(everything(t).await, everything(&other).await);
}

both_engines! {
    async fn nothing_is_changed_there(t: TestDb) {
        let existing = Existing::new();
        let before = existing.checksums();
        import(&existing, &t).await.tables();
        import(&existing, &t).await.tables();
        assert_eq!(existing.checksums(), before);
    }

    async fn a_dry_run_stores_nothing_and_tells_the_same(t: TestDb) {
        let existing = Existing::new();
        let empty = everything(&t).await;
        let dry = Settings { dry_run: true, ..settings(&t, 300) };
        let Ran { outcome, lines: told } = import_with(&existing, &t, dry, |_| ControlFlow::Continue(())).await;
        assert_eq!(everything(&t).await, empty);
        let dry = Ran { outcome, lines: told.clone() }.tables();
        // And without any database.
        let source = existing.open().await;
        let nowhere = Lines::default();
        let mut report = Report::new(Box::new(nowhere.clone()), []);
        let outcome = import::run(&source, None, Settings { dry_run: true, ..settings(&t, 300) }, &mut report, &mut |_| ControlFlow::Continue(())).await;
        assert!(outcome.unwrap().is_complete);
        let real = import(&existing, &t).await;
        assert_eq!(told.text(), real.lines.text());
        assert_eq!(nowhere.text(), told.text());
        for (table, counts) in real.tables() {
            assert_eq!((counts.read, counts.written, counts.skipped), (dry[table].read, dry[table].written, dry[table].skipped.clone()), "{table}");
        }
    }

    async fn a_run_that_is_stopped_goes_on(t: TestDb) {
        let existing = Existing::new();
        for most in [1, 2, 5, 9] {
            let mut pages = 0;
            let ran = import_with(&existing, &t, settings(&t, 100), |_| {
                pages += 1;
                if pages > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }).await;
            assert!(!ran.outcome.unwrap().is_complete);
        }
        assert_whole(&existing, &t).await;
    }

    /// As when the process is killed.
    async fn a_run_that_vanishes_in_the_middle_of_a_page_goes_on(t: TestDb) {
        let existing = Existing::new();
        for most in [3, 12, 19] {
            let (stop, mut pages) = (Arc::new(Notify::new()), 0);
            let told = Arc::clone(&stop);
            let run = import_with(&existing, &t, settings(&t, 100), move |_| {
                pages += 1;
                if pages > most {
                    told.notify_one();
                }
                ControlFlow::Continue(())
            });
            tokio::select! {
                biased;
                () = stop.notified() => {}
                _ = run => panic!("it is still at work"),
            }
        }
        assert_whole(&existing, &t).await;
    }

    async fn a_run_that_loses_the_installation_goes_on(t: TestDb) {
        let existing = Existing::new();
        let mut pages = 0;
        let ran = import_with(&existing, &t, settings(&t, 100), |_| {
            pages += 1;
            if pages == 15 {
                existing.lock();
            }
            ControlFlow::Continue(())
        }).await;
        let error = ran.outcome.unwrap_err();
        assert!(matches!(error, ImportError::Source(_)), "{error:?}");
        let (stored, _) = everything(&t).await.into_iter().map(|(table, count, _)| (count, table)).max().unwrap();
        assert!(stored > 100, "what was read up to there is stored");
        existing.unlock();
        assert_whole(&existing, &t).await;
    }

    async fn what_was_stored_before_and_not_noted_is_not_stored_twice(t: TestDb) {
        let existing = Existing::new();
        import(&existing, &t).await.tables();
        let whole = everything(&t).await;
        t.db.execute("DELETE FROM import_progress", vec![]).await.unwrap();
        t.db.execute("DELETE FROM import_rows", vec![]).await.unwrap();
        let counts = import(&existing, &t).await.tables();
        assert_eq!(everything(&t).await, whole);
        assert_eq!((counts["homestatus"].written, counts["homestatus"].already), (0, 2_506));
        assert_eq!((counts["accounts"].written, counts["accounts"].already), (0, 6));
    }

    async fn another_installation_is_refused(t: TestDb) {
        let (one, other) = (Existing::new(), Existing::new());
        other.execute("UPDATE accounts SET id = REPLACE(id, '000', 'xyz')");
        import(&one, &t).await.tables();
        let error = import(&other, &t).await.outcome.unwrap_err();
        assert!(error.to_string().contains("another installation"), "{error}");
        one.execute("DELETE FROM accounts WHERE id <> 'Usystem000000001'");
        assert!(import(&one, &t).await.outcome.is_ok(), "one account is enough to know it");
    }

    async fn an_installation_may_lack_what_is_newer(t: TestDb) {
        let existing = Existing::new();
        existing.execute("DROP TABLE chatsessions, chathistories, chatkeywords, news; ALTER TABLE notifications DROP message_sn");
        let counts = import(&existing, &t).await.tables();
        for table in ["chatsessions", "chathistories", "chatkeywords", "news"] {
            assert!(counts[table].is_missing, "{table}");
        }
        assert_eq!(counts["notifications"].written, 3);
    }
}

only_mariadb! {
    async fn what_is_no_installation_is_refused(t: TestDb) {
        let wrong = async |url: &str| Source::open(&url.parse().unwrap()).await.unwrap_err().to_string();
        let ours = mariadb::shared().url("mysql");
        assert!(wrong(&ours).await.contains("no existing installation"));
        assert!(wrong("sqlite:carebot.db").await.contains("mariadb://"));
        assert!(wrong("mariadb://nobody:secret@127.0.0.1:1/x").await.starts_with("the existing installation: "));
        let existing = Existing::new();
        existing.execute("ALTER TABLE accounts DROP email");
        let error = import(&existing, &t).await.outcome.unwrap_err();
        assert_eq!(error.to_string(), "the column accounts.email is missing");
        let db = carebot_database::Db::open(&existing.url().parse().unwrap(), &carebot_database::Options::default()).await.unwrap();
        assert!(import::is_existing_installation(&db).await.unwrap());
        assert!(!import::is_existing_installation(&t.db).await.unwrap());
    }
}
