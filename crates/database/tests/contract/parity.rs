//! Both engines have the same tables, and they are the model's.

use carebot_model::for_each_status_kind;
use carebot_model::status::{Active, Health, Home, Mental, MentalReport, StatusKind};
use carebot_testkit::Engine;

use crate::catalogue::{Kind, columns, foreign_keys, tables};
use crate::prelude::*;

only_sqlite! {
    async fn the_engines_have_the_same_tables(sqlite: TestDb) {
        let mariadb = TestDb::new(Engine::MariaDb, None).await;
        let names = tables(&sqlite).await;
        assert_eq!(names, tables(&mariadb).await);
        for table in names {
            assert_eq!(columns(&sqlite, &table).await, columns(&mariadb, &table).await, "{table}");
        }
        assert_eq!(foreign_keys(&sqlite).await, foreign_keys(&mariadb).await);
        assert_eq!(unique_keys(&sqlite).await, unique_keys(&mariadb).await);
    }

    /// A delete of a parent looks for its children by that.
    async fn every_foreign_key_is_the_start_of_an_index(t: TestDb) {
        for key in foreign_keys(&t).await {
            let firsts: Vec<Option<String>> = t.db.read().fetch(
                "SELECT c.name FROM pragma_index_list(?) i, pragma_index_info(i.name) c WHERE c.seqno = 0 AND i.partial = 0",
                params![key.table.as_str()],
                |row| row.get(0),
            ).await.unwrap();
            assert!(firsts.contains(&Some(key.column.clone())), "{}.{} has none", key.table, key.column);
        }
    }
}

/// Table and columns of every unique key, the primary ones among them.
async fn unique_keys(t: &TestDb) -> Vec<String> {
    let sql = match t.engine {
        Engine::Sqlite => {
            "SELECT m.name || ': ' || GROUP_CONCAT(c.name, ',' ORDER BY c.seqno)
             FROM sqlite_master m, pragma_index_list(m.name) i, pragma_index_info(i.name) c
             WHERE m.type = 'table' AND i.\"unique\" = 1 GROUP BY m.name, i.name"
        }
        Engine::MariaDb => {
            "SELECT CONCAT(table_name, ': ', GROUP_CONCAT(column_name ORDER BY seq_in_index SEPARATOR ',')) FROM information_schema.statistics
             WHERE table_schema = DATABASE() AND non_unique = 0 GROUP BY table_name, index_name"
        }
    };
    let mut keys: Vec<String> = t.db.read().fetch(sql, vec![], |row| row.get(0)).await.unwrap();
    keys.sort();
    keys
}

async fn as_the_model<K: StatusKind>(t: &TestDb) {
    let names: Vec<String> = columns(t, K::TABLE).await.into_iter().map(|column| column.name).collect();
    let mut expected = vec!["family_id", "reported_at", "id", "received_at", "source_key"];
    expected.extend(K::COLUMNS);
    assert_eq!(names, expected, "{}", K::TABLE);
    for column in columns(t, K::TABLE).await.iter().skip(5) {
        assert!(column.nullable, "{}.{} can be unknown", K::TABLE, column.name);
    }
}

both_engines! {
    async fn a_table_of_reports_has_the_columns_of_its_kind(t: TestDb) {
        macro_rules! kind { ($kind:ident) => { as_the_model::<$kind>(&t).await }; }
        for_each_status_kind!(kind);
    }

    async fn what_must_be_unique_is(t: TestDb) {
        let keys = unique_keys(&t).await;
        for key in [
            "accounts: email_key",
            "families: main_user",
            "members: family_id,user_id",
            "sessions: token_hash",
            "home_status: family_id,reported_at,id",
            "home_status: family_id,source_key",
        ] {
            assert!(keys.iter().any(|there| there == key), "{key} is missing in {keys:#?}");
        }
    }

    async fn reports_lie_together_by_family_and_time(t: TestDb) {
        let columns = columns(&t, "home_status").await;
        let first: Vec<(&str, Kind, bool)> =
            columns.iter().take(3).map(|column| (column.name.as_str(), column.kind, column.nullable)).collect();
        let key = [("family_id", Kind::Text, false), ("reported_at", Kind::Integer, false), ("id", Kind::Integer, false)];
        assert_eq!(first, key);
    }
}
