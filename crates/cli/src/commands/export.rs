//! `carebot export`: everything of one account or family, to take along.

use std::path::PathBuf;

use carebot_database::backup::{self, Column, Part};
use carebot_database::{Db, Value, families};
use carebot_model::{AccountId, FamilyId};
use carebot_service::images::storage::Store;
use clap::Args;

use super::backup::{dump, encode};
use crate::archive::{self, Shared, lock};
use crate::arguments::{Common, DatabaseFlags};
use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::{logging, output, setup};

/// What stays here: it is no data about somebody but the means to act in his name.
const SECRETS: [&str; 3] = ["password_hash", "token_hash", "email_key"];
/// Tables that hold nothing else.
const OF_NO_USE: [&str; 1] = ["sessions"];

const README: &str = "\
이 파일에는 carebot이 보관하던 한 사람 또는 한 가족의 모든 기록이 들어 있습니다.
data/*.jsonl: 표마다 한 파일, 한 줄에 한 기록(JSON). 시각(.._at, .._time, last_..)은 1970-01-01 UTC부터의 밀리초입니다.
pictures/: 사진.

This file holds everything that carebot kept about one person or one family.
data/*.jsonl: a file for each table, a record (JSON) a line. Times (.._at, .._time, last_..) are milliseconds since 1970-01-01 UTC.
pictures/: the pictures.
";

/// Writes everything of one account or family into a file, to take along
#[derive(Debug, Args)]
#[command(
    long_about = "Writes everything that is kept about one account (with the family it owns) or one family into a ZIP file: JSON Lines and \
                  the pictures. Passwords and sessions are left out.",
    after_help = "Examples:\n  \
                  carebot export --account U0123456789abcde mother.zip\n  \
                  carebot export --family F0123456789abcde family.zip --database sqlite:carebot.db"
)]
#[command(group(clap::ArgGroup::new("whose").required(true)))]
pub struct Flags {
    /// The file to write; there must be none of that name
    file: PathBuf,
    /// Of this account, and of the family it owns
    #[arg(long, group = "whose", value_name = "ID")]
    account: Option<String>,
    /// Of this family
    #[arg(long, group = "whose", value_name = "ID")]
    family: Option<String>,
    #[command(flatten)]
    database: DatabaseFlags,
}

/// Runs the command.
pub fn run(common: &Common, flags: &Flags) -> Result {
    let config = common.load(flags.database.settings())?;
    logging::for_command(common.verbose);
    setup::runtime(1)?.block_on(async {
        let db = setup::open_existing(&config).await?;
        let done = export(&db, &config, flags).await;
        db.close().await;
        done
    })
}

async fn export(db: &Db, config: &Config, flags: &Flags) -> Result {
    carebot_database::migrate::check(db).await?;
    let (parts, account, family) = whose(db, flags).await?;
    let of = (account, family);
    let ((rows, pictures), _) =
        archive::write(&flags.file, async |writer| write(db, config, writer, &parts, of).await).await?;
    output::line(&format!("{}: {rows} records, {pictures} pictures", flags.file.display()));
    Ok(())
}

/// What is asked for, which must exist.
async fn whose(db: &Db, flags: &Flags) -> Result<(Vec<Part>, Option<AccountId>, Option<FamilyId>)> {
    let mut tx = db.read();
    if let Some(text) = &flags.account {
        let unknown = || Failure::new(format!("there is no account {text}")).next("`carebot account list` shows them.");
        let account = AccountId::parse(text).ok_or_else(unknown)?;
        carebot_database::accounts::get(&mut tx, account).await?.ok_or_else(unknown)?;
        let family = families::id_by_main_user(&mut tx, account).await?;
        return Ok((backup::parts_of_account(account, family), Some(account), family));
    }
    let text = flags.family.as_deref().unwrap_or_default();
    let unknown = || Failure::new(format!("there is no family {text}")).next("`carebot family list` shows them.");
    let family = FamilyId::parse(text).ok_or_else(unknown)?;
    families::get(&mut tx, family).await?.ok_or_else(unknown)?;
    Ok((backup::parts_of_family(family), None, Some(family)))
}

async fn write(
    db: &Db,
    config: &Config,
    writer: &Shared,
    parts: &[Part],
    (account, family): (Option<AccountId>, Option<FamilyId>),
) -> Result<(u64, usize)> {
    lock(writer).add("README.txt", README.as_bytes(), true)?;
    let mut tx = db.read();
    let tables = backup::tables(&mut tx).await?;
    let mut rows = 0;
    for part in parts.iter().filter(|part| !OF_NO_USE.contains(&part.table.as_str())) {
        let Some(table) = tables.iter().find(|table| table.name == part.table) else { continue };
        let column = part.of.as_ref().map_or("", |(column, _)| column);
        // Messages come twice: sent and received.
        let twice = parts.iter().filter(|other| other.table == part.table).count() > 1;
        let entry =
            if twice { format!("data/{}.{column}.jsonl", part.table) } else { format!("data/{}.jsonl", part.table) };
        rows += dump(writer, &mut tx, table, &entry, part.of.as_ref(), as_object).await?;
    }
    let pictures = backup::pictures(&mut tx, account, family).await?;
    let (mut taken, mut missing) = (0, 0);
    if !pictures.is_empty() {
        let store = Store::new(config.image_settings(setup::cores()).storage);
        for picture in &pictures {
            match store.read(&picture.object).await? {
                Some(bytes) => {
                    lock(writer).add(&format!("pictures/{}/{}", picture.owner, picture.file_name), &bytes, false)?;
                    taken += 1;
                }
                None => missing += 1,
            }
        }
    }
    if missing > 0 {
        output::note(&format!(
            "{missing} pictures are known to the database and not in the store; they are not in the file"
        ));
    }
    Ok((rows, taken))
}

/// A row as an object, without secrets.
fn as_object(columns: &[Column], values: &[Value]) -> serde_json::Value {
    columns
        .iter()
        .zip(values)
        .filter(|(column, _)| !SECRETS.contains(&column.name.as_str()))
        .map(|(column, value)| (column.name.clone(), encode(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
