//! What the engine itself says about its tables.

use carebot_database::Value;
use carebot_testkit::Engine;

use crate::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Integer,
    Real,
    Text,
    Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    pub nullable: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignKey {
    pub parent: String,
    pub table: String,
    pub column: String,
    pub on_delete: String,
}

pub async fn tables(t: &TestDb) -> Vec<String> {
    let sql = match t.engine {
        Engine::Sqlite => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name"
        }
        Engine::MariaDb => {
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name"
        }
    };
    let mut names: Vec<String> = t.db.read().fetch(sql, vec![], |row| row.get(0)).await.unwrap();
    // The engines do not agree on where `_` belongs.
    names.sort();
    names
}

/// In the order of declaration.
pub async fn columns(t: &TestDb, table: &str) -> Vec<Column> {
    let sql = match t.engine {
        Engine::Sqlite => {
            "SELECT name, type, CASE \"notnull\" WHEN 0 THEN 'YES' ELSE 'NO' END FROM pragma_table_info(?) ORDER BY cid"
        }
        Engine::MariaDb => {
            "SELECT column_name, data_type, is_nullable FROM information_schema.columns
             WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position"
        }
    };
    let column = |row: &carebot_database::Row<'_>| {
        let kind = match row.get::<String>(1)?.to_ascii_lowercase().as_str() {
            "integer" | "bigint" | "int" | "tinyint" => Kind::Integer,
            "real" | "double" => Kind::Real,
            "text" | "varchar" | "char" => Kind::Text,
            "blob" | "binary" => Kind::Bytes,
            other => panic!("a column of type {other}"),
        };
        Ok(Column { name: row.get(0)?, kind, nullable: row.get::<String>(2)? == "YES" })
    };
    let columns = t.db.read().fetch(sql, params![table], column).await.unwrap();
    assert!(!columns.is_empty(), "there is no table {table}");
    columns
}

/// Sorted.
pub async fn foreign_keys(t: &TestDb) -> Vec<ForeignKey> {
    let sql = match t.engine {
        Engine::Sqlite => {
            "SELECT f.\"table\", m.name, f.\"from\", f.on_delete FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'"
        }
        Engine::MariaDb => {
            "SELECT k.referenced_table_name, k.table_name, k.column_name, r.delete_rule
             FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r
             ON r.constraint_schema = k.constraint_schema AND r.table_name = k.table_name AND r.constraint_name = k.constraint_name
             WHERE k.table_schema = DATABASE() AND k.referenced_table_name IS NOT NULL"
        }
    };
    let mut keys =
        t.db.read()
            .fetch(sql, vec![], |row| {
                Ok(ForeignKey { parent: row.get(0)?, table: row.get(1)?, column: row.get(2)?, on_delete: row.get(3)? })
            })
            .await
            .unwrap();
    keys.sort();
    keys
}

pub async fn count(t: &TestDb, table: &str, column: &str, value: impl Into<Value>) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM {table} WHERE {column} = ?");
    t.db.read().fetch_one(sql, vec![value.into()], |row| row.get(0)).await.unwrap()
}

/// Inserts a row: the given columns, made-up values for the others that must not be NULL.
pub async fn insert(t: &TestDb, table: &str, given: &[(&str, Value)]) {
    let mut names = Vec::new();
    let mut values = Vec::new();
    for column in columns(t, table).await {
        let value = match given.iter().find(|(name, _)| *name == column.name) {
            Some((_, value)) => value.clone(),
            None if column.nullable => continue,
            None => made_up(t, &column),
        };
        names.push(column.name);
        values.push(value);
    }
    let marks = vec!["?"; values.len()].join(", ");
    let sql = format!("INSERT INTO {table} ({}) VALUES ({marks})", names.join(", "));
    let inserted = t.db.execute(&sql, values).await;
    assert_eq!(inserted.unwrap_or_else(|error| panic!("{sql}: {error}")), 1);
}

fn made_up(t: &TestDb, column: &Column) -> Value {
    match (column.kind, column.name.as_str()) {
        (Kind::Integer, name) if name == "id" || name.ends_with("_id") => t.id().into(),
        (Kind::Integer, _) => 1_i64.into(),
        (Kind::Real, _) => 0.5.into(),
        (Kind::Text, "id" | "object") => new_id(t).into(),
        (Kind::Text, _) => "x".into(),
        (Kind::Bytes, _) => [t.rng.next().to_le_bytes(); 4].concat().as_slice().into(),
    }
}

/// An id of whatever it may be: the database does not look at the first letter.
pub fn new_id(t: &TestDb) -> String {
    format!("{:016x}", t.rng.next())
}
