//! Every row, out of one engine and into any: for backups, and for moving from one engine to the other.
//!
//! [`Db::snapshot`](crate::Db::snapshot) gives everything as it is at one moment; [`tables`] says what there is, [`dump`] reads a table and
//! [`load`] writes its rows again. Bookkeeping of the connector itself (migrations, node numbers, leases) is no data and stays
//! behind.

use carebot_model::AccountId;
use carebot_model::FamilyId;

use crate::connector::error::DbError;
use crate::deletion::{OF_ACCOUNT, OF_FAMILY};
use crate::{Db, Result, Tx, Value, params, transact};

/// What is no data.
const BOOKKEEPING: [&str; 4] = ["schema_migrations", "schema_lock", "nodes", "job_leases"];
/// What others refer to, before those.
const PARENTS: [&str; 3] = ["accounts", "families", "images"];
/// The most rows that are written in one transaction, and in one statement.
const BATCH: usize = 1_000;
const STATEMENT: usize = 50;

/// A table as it is dumped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns in order.
    pub columns: Vec<Column>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Whether it holds bytes instead of text.
    pub is_bytes: bool,
}

/// Which rows of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The table.
    pub table: String,
    /// The column that must hold the id; none for all rows.
    pub of: Option<(&'static str, String)>,
}

/// Every table with data, parents before what refers to them.
///
/// # Errors
/// As any statement.
pub async fn tables(tx: &mut Tx) -> Result<Vec<Table>> {
    let sql = if tx.is_sqlite() {
        "SELECT m.name, c.name, c.type FROM sqlite_master m, pragma_table_info(m.name) c
         WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY m.name, c.cid"
    } else {
        "SELECT table_name, column_name, data_type FROM information_schema.columns
         WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position"
    };
    let columns: Vec<(String, String, String)> =
        tx.fetch(sql, vec![], |row| Ok((row.get(0)?, row.get(1)?, row.get::<String>(2)?.to_lowercase()))).await?;
    let mut tables: Vec<Table> = Vec::new();
    for (table, name, kind) in columns.into_iter().filter(|(table, ..)| !BOOKKEEPING.contains(&table.as_str())) {
        let column = Column { name, is_bytes: matches!(kind.as_str(), "blob" | "binary" | "varbinary") };
        match tables.last_mut().filter(|last| last.name == table) {
            Some(last) => last.columns.push(column),
            None => tables.push(Table { name: table, columns: vec![column] }),
        }
    }
    let rank = |table: &Table| PARENTS.iter().position(|parent| *parent == table.name).unwrap_or(PARENTS.len());
    tables.sort_by(|one, other| rank(one).cmp(&rank(other)).then_with(|| one.name.cmp(&other.name)));
    Ok(tables)
}

/// What belongs to an account: its row, what hangs from it, and its family with all that hangs from that.
pub fn parts_of_account(account: AccountId, family: Option<FamilyId>) -> Vec<Part> {
    let mut parts = vec![Part { table: "accounts".to_owned(), of: Some(("id", account.to_string())) }];
    parts.extend(
        OF_ACCOUNT
            .iter()
            .map(|child| Part { table: child.table.to_owned(), of: Some((child.column, account.to_string())) }),
    );
    parts.extend(family.map(parts_of_family).unwrap_or_default());
    parts
}

/// What belongs to a family: its row and what hangs from it.
pub fn parts_of_family(family: FamilyId) -> Vec<Part> {
    let mut parts = vec![Part { table: "families".to_owned(), of: Some(("id", family.to_string())) }];
    parts.extend(
        OF_FAMILY
            .iter()
            .map(|child| Part { table: child.table.to_owned(), of: Some((child.column, family.to_string())) }),
    );
    parts
}

/// Reads a table, row by row as they come; says how many. What `row` answers ends it early.
///
/// # Errors
/// As any statement, and as `row`.
pub async fn dump(
    tx: &mut Tx,
    table: &Table,
    of: Option<&(&'static str, String)>,
    row: impl Fn(Vec<Value>) -> Result<()> + Send + Sync + 'static,
) -> Result<u64> {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    let bytes: Vec<bool> = table.columns.iter().map(|column| column.is_bytes).collect();
    let (filter, values) = match of {
        Some((column, id)) => (format!(" WHERE {column} = ?"), params![id.as_str()]),
        None => (String::new(), vec![]),
    };
    let sql = format!("SELECT {} FROM {}{filter}", names.join(", "), table.name);
    tx.fold(
        sql,
        values,
        || 0,
        move |count, found| {
            row(bytes
                .iter()
                .enumerate()
                .map(|(index, is_bytes)| found.value(index, *is_bytes))
                .collect::<Result<_>>()?)?;
            *count += 1;
            Ok(())
        },
    )
    .await
}

/// Writes rows of a table, many in a transaction.
///
/// # Errors
/// As any statement; then none of these rows were written.
pub async fn load(db: &Db, table: &str, columns: &[String], rows: &[Vec<Value>]) -> Result<()> {
    for batch in rows.chunks(BATCH) {
        transact!(db, tx => {
            for rows in batch.chunks(STATEMENT) {
                let one = format!("({})", vec!["?"; columns.len()].join(","));
                let all = vec![one; rows.len()].join(",");
                let sql = format!("INSERT INTO {table} ({}) VALUES {all}", columns.join(", "));
                tx.execute(sql, rows.iter().flatten().cloned().collect()).await?;
            }
            Ok::<_, DbError>(())
        })?;
    }
    Ok(())
}

/// Whether there is nobody in a database yet.
///
/// # Errors
/// As any statement.
pub async fn is_empty(tx: &mut Tx) -> Result<bool> {
    tx.fetch_one("SELECT (SELECT COUNT(*) FROM accounts) + (SELECT COUNT(*) FROM families)", vec![], |row| {
        row.get::<i64>(0)
    })
    .await
    .map(|count| count == 0)
}

/// A picture of somebody, for taking it along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// What its bytes are called in the store.
    pub object: String,
    /// Whose it is.
    pub owner: AccountId,
    /// What it is called on the wire.
    pub file_name: String,
}

/// Pictures: of an account or shown to it or to a family; or all.
///
/// # Errors
/// As any statement.
pub async fn pictures(tx: &mut Tx, account: Option<AccountId>, family: Option<FamilyId>) -> Result<Vec<Picture>> {
    let (filter, values) = match (account, family) {
        (None, None) => ("", vec![]),
        (account, family) => (
            " WHERE i.owner_id = ? OR EXISTS
             (SELECT 1 FROM image_references r WHERE r.image_id = i.id AND (r.family_id = ? OR r.account_id = ?))",
            params![
                account.map(|id| id.to_string()),
                family.map(|id| id.to_string()),
                account.map(|id| id.to_string())
            ],
        ),
    };
    tx.fetch(format!("SELECT i.object, i.owner_id, i.file_name FROM images i{filter} ORDER BY i.id"), values, |row| {
        Ok(Picture { object: row.get(0)?, owner: row.get(1)?, file_name: row.get(2)? })
    })
    .await
}
