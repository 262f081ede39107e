//! `carebot backup`: everything in one file, while the server runs.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use carebot_database::backup::{self, Column, Table};
use carebot_database::migrate::MIGRATIONS;
use carebot_database::{Db, DbError, Value};
use carebot_model::text::hexadecimal;
use carebot_service::images::storage::Store;
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::archive::{self, Shared, create_private, lock};
use crate::arguments::{Common, DatabaseFlags};
use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::{logging, output, setup};

/// How backups are written; a program that writes them otherwise counts on.
pub const FORMAT: u32 = 1;
/// The entry that says what a backup is.
pub const MANIFEST: &str = "manifest.json";

/// Writes everything into one file, while the server runs
#[derive(Debug, Args)]
#[command(
    long_about = "Writes the whole database, as it is at one moment, and the pictures into one file. The server may go on running. \
                  With SQLite a copy is made beside the file first, so there must be room for both; with MariaDB it is one consistent read.\n\n\
                  The file holds everything about everybody, hashes of passwords and sessions among it: keep it as safe as the database.",
    after_help = "Examples:\n  \
                  carebot backup carebot-2026-11-23.zip --database sqlite:carebot.db\n  \
                  carebot restore carebot-2026-11-23.zip --database sqlite:/srv/restored/carebot.db"
)]
pub struct Flags {
    /// The file to write; there must be none of that name
    file: PathBuf,
    #[command(flatten)]
    database: DatabaseFlags,
}

/// What a backup says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// How it is written.
    pub format: u32,
    /// The version of the program that wrote it.
    pub program: String,
    /// The last migration of the schema.
    pub schema: i64,
    /// When it was begun, UTC.
    pub created_at: String,
    /// The tables in the order in which they can be written again.
    pub tables: Vec<TableEntry>,
}

/// A table of a backup.
#[derive(Debug, Serialize, Deserialize)]
pub struct TableEntry {
    /// Its name; its rows are the entry `tables/NAME.jsonl`.
    pub name: String,
    /// Its columns in the order of the values of a row.
    pub columns: Vec<String>,
}

impl TableEntry {
    /// Where its rows are.
    pub fn entry(&self) -> String {
        format!("tables/{}.jsonl", self.name)
    }
}

/// Runs the command.
pub fn run(common: &Common, flags: &Flags) -> Result {
    let config = common.load(flags.database.settings())?;
    logging::for_command(common.verbose);
    setup::runtime(1)?.block_on(async {
        let db = setup::open_existing(&config).await?;
        let done = write(&db, &config, &flags.file).await;
        db.close().await;
        done
    })
}

async fn write(db: &Db, config: &Config, file: &Path) -> Result {
    carebot_database::migrate::check(db).await?;
    let ((rows, pictures, missing), bytes) =
        archive::write(file, async |writer| write_snapshot(writer, db, config, file).await).await?;
    if missing > 0 {
        output::note(&format!(
            "{missing} pictures are known to the database and not in the store; they are not in the backup"
        ));
    }
    output::line(&format!("{}: {rows} rows, {pictures} pictures, {bytes} bytes", file.display()));
    Ok(())
}

/// Rows, pictures and missing pictures.
async fn write_snapshot(writer: &Shared, db: &Db, config: &Config, file: &Path) -> Result<(u64, usize, usize)> {
    // Beside the archive, where there must be room anyway, and where no other backup writes.
    let mut copy = file.as_os_str().to_owned();
    copy.push(".copy");
    let copy = PathBuf::from(copy);
    delete_copy(&copy)?;
    create_private(&copy).map_err(|error| Failure::new(format!("can not write {}: {error}", copy.display())))?;
    let written = match db.snapshot(&copy).await {
        Ok(mut snapshot) => {
            let written = write_entries(writer, &mut snapshot.tx, config).await;
            snapshot.close().await;
            written
        }
        Err(error) => Err(error.into()),
    };
    delete_copy(&copy)?;
    written
}

fn delete_copy(copy: &Path) -> Result {
    for suffix in ["", "-wal", "-shm"] {
        let mut path = copy.as_os_str().to_owned();
        path.push(suffix);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::new(format!("can not delete {}: {error}", path.display())));
            }
            _ => {}
        }
    }
    Ok(())
}

async fn write_entries(writer: &Shared, tx: &mut carebot_database::Tx, config: &Config) -> Result<(u64, usize, usize)> {
    let mut progress = output::Progress::new();
    let tables = backup::tables(tx).await?;
    let manifest = Manifest {
        format: FORMAT,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        schema: MIGRATIONS.last().map_or(0, |migration| migration.version),
        created_at: setup::clock().now().to_string(),
        tables: tables
            .iter()
            .map(|table| TableEntry {
                name: table.name.clone(),
                columns: table.columns.iter().map(|column| column.name.clone()).collect(),
            })
            .collect(),
    };
    let text = serde_json::to_vec_pretty(&manifest).map_err(|error| Failure::new(error.to_string()))?;
    lock(writer).add(MANIFEST, &text, true)?;
    let mut rows = 0;
    for table in &tables {
        progress.show(|| format!("{} rows, now {}", rows, table.name));
        rows += dump(writer, tx, table, &format!("tables/{}.jsonl", table.name), None, as_list).await?;
    }
    let pictures = backup::pictures(tx, None, None).await?;
    let (mut taken, mut missing) = (0, 0);
    if !pictures.is_empty() {
        let store = Store::new(config.image_settings(setup::cores()).storage);
        for picture in &pictures {
            progress.show(|| format!("{rows} rows, {taken} of {} pictures", pictures.len()));
            match store.read(&picture.object).await? {
                Some(bytes) => {
                    lock(writer).add(&format!("pictures/{}", picture.object), &bytes, false)?;
                    taken += 1;
                }
                None => missing += 1,
            }
        }
    }
    progress.clear();
    Ok((rows, taken, missing))
}

/// Writes rows of a table as an entry, a line each, as `encode` says; says how many.
pub async fn dump(
    writer: &Shared,
    tx: &mut carebot_database::Tx,
    table: &Table,
    entry: &str,
    of: Option<&(&'static str, String)>,
    encode: fn(&[Column], &[Value]) -> serde_json::Value,
) -> Result<u64> {
    let begun = lock(writer).begin(entry, true);
    begun.map_err(|error| Failure::new(format!("can not write {entry}: {error}")))?;
    let (shared, columns) = (Arc::clone(writer), table.columns.clone());
    let rows = backup::dump(tx, table, of, move |values| {
        let mut line = encode(&columns, &values).to_string();
        line.push('\n');
        let written = lock(&shared).write_all(line.as_bytes());
        written.map_err(|error| DbError::Unavailable(format!("can not write the archive: {error}")))
    });
    Ok(rows.await?)
}

/// A row as the list of its values; bytes as `{"hex": ".."}`.
fn as_list(_: &[Column], values: &[Value]) -> serde_json::Value {
    values.iter().map(encode).collect()
}

/// A value in JSON.
pub fn encode(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Int(number) => (*number).into(),
        Value::Real(number) => (*number).into(),
        Value::Text(text) => text.as_str().into(),
        Value::Blob(bytes) => json!({"hex": hexadecimal(bytes)}),
    }
}

/// A value out of JSON; nothing if [`encode`] did not write it.
pub fn decode(value: serde_json::Value) -> Option<Value> {
    match value {
        serde_json::Value::Null => Some(Value::Null),
        serde_json::Value::String(text) => Some(Value::Text(text)),
        serde_json::Value::Number(number) => {
            number.as_i64().map(Value::Int).or_else(|| number.as_f64().map(Value::Real))
        }
        serde_json::Value::Object(mut map) => {
            let hex = map.remove("hex")?;
            let hex = hex.as_str()?;
            let pairs = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok());
            pairs.collect::<Option<Vec<u8>>>().map(Value::Blob)
        }
        serde_json::Value::Bool(_) | serde_json::Value::Array(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were() {
        let values = [
            Value::Null,
            Value::Int(i64::MAX),
            Value::Int(-1),
            Value::Real(22.0),
            Value::Real(0.1 + 0.2),
            Value::Real(1e300),
            Value::Text("순자네 👵🏻 \"'\n\u{0}".into()),
            Value::Blob(vec![0, 255, 16]),
            Value::Blob(vec![]),
        ];
        let text = as_list(&[], &values).to_string();
        let back: Vec<serde_json::Value> = serde_json::from_str(&text).expect("JSON");
        let back: Option<Vec<Value>> = back.into_iter().map(decode).collect();
        assert_eq!(back.expect("values"), values);
    }
}
