//! `carebot restore`: a backup becomes a database again, on either engine.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

use carebot_database::migrate::MIGRATIONS;
use carebot_database::{Db, Value, backup, migrate};
use carebot_service::images::storage::Store;
use clap::Args;

use super::backup::{FORMAT, MANIFEST, Manifest, TableEntry, decode};
use crate::archive::Reader;
use crate::arguments::{Common, DatabaseFlags};
use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::{logging, output, setup};

/// Rows that are held in memory at once.
const ROWS: usize = 5_000;

/// Makes a database out of a backup, on either engine
#[derive(Debug, Args)]
#[command(
    long_about = "Makes a database out of a file that `carebot backup` wrote: on SQLite a new file, on MariaDB an empty schema, whichever the backup came \
                  from. The whole file is compared with its checksums first. A database that has accounts in it is left alone.\n\n\
                  The pictures go where `images.storage` says, which must be empty unless they belong to the database that this one replaces. \
                  A restore that was interrupted leaves a database that no server accepts; it is begun again on a new file or an empty schema.",
    after_help = "Examples:\n  \
                  carebot restore carebot-2026-11-23.zip --database sqlite:/srv/restored/carebot.db\n  \
                  carebot restore carebot-2026-11-23.zip --verify      only compares it with its checksums\n  \
                  CAREBOT_DATABASE__URL=mariadb://carebot:password@host/carebot carebot restore carebot-2026-11-23.zip"
)]
pub struct Flags {
    /// The backup
    file: PathBuf,
    /// Only compares the file with its checksums
    #[arg(long)]
    verify: bool,
    /// The pictures that are there belong to the database that this one replaces
    #[arg(long)]
    same_pictures: bool,
    #[command(flatten)]
    database: DatabaseFlags,
}

/// Runs the command.
pub fn run(common: &Common, flags: &Flags) -> Result {
    let mut settings = flags.database.settings();
    settings.push(("database.create", "true".to_owned()));
    let config = common.load(settings)?;
    logging::for_command(common.verbose);
    let mut archive = Reader::open(&flags.file)?;
    let manifest: Manifest = serde_json::from_slice(&archive.content(MANIFEST)?)
        .map_err(|error| Failure::new(format!("{} is no backup: {error}", flags.file.display())))?;
    let newest = MIGRATIONS.last().map_or(0, |migration| migration.version);
    if manifest.format != FORMAT || manifest.schema > newest {
        let next = format!("It was written by carebot {}; use that version or a later one.", manifest.program);
        return Err(Failure::new("the backup is newer than this program").next(next));
    }
    let mut progress = output::Progress::new();
    archive.verify(|name| progress.show(|| format!("checking {name}")))?;
    progress.clear();
    output::line(&format!("{}: whole, of {} UTC", flags.file.display(), manifest.created_at));
    if flags.verify {
        return Ok(());
    }
    setup::runtime(1)?.block_on(async {
        let db = setup::open(&config).await?;
        let done = load(&db, &config, &manifest, &mut archive, flags.same_pictures).await;
        db.close().await;
        done.map_err(|failure| failure.about(&format!("database {}", config.database.url)))
    })
}

async fn load(db: &Db, config: &Config, manifest: &Manifest, archive: &mut Reader, same_pictures: bool) -> Result {
    migrate::run_to(db, &*setup::clock(), &*setup::rng(), manifest.schema).await?;
    if !backup::is_empty(&mut db.read()).await? {
        return Err(Failure::new("there are accounts in it already")
            .next("Restore into a new SQLite file or an empty schema, and then point the server at it."));
    }
    let store = Store::new(config.image_settings(setup::cores()).storage);
    let names: Vec<String> = archive.entries.keys().filter(|name| name.starts_with("pictures/")).cloned().collect();
    if !same_pictures && !store.is_empty().await? {
        return Err(Failure::new("there are pictures where this database would keep its own").next(
            "Two databases must not share a place: each deletes what the other added. Set images.storage to an empty one, or \
             restore into another folder; if the pictures there belong to the very database that this one replaces, add \
             --same-pictures.",
        ));
    }
    migrate::begin_restore(db).await?;
    let mut rows = 0;
    let mut progress = output::Progress::new();
    for table in &manifest.tables {
        rows += load_table(db, table, archive, |count| {
            progress.show(|| format!("{} rows, now {}", rows + count, table.name));
        })
        .await?;
    }
    for name in &names {
        progress.show(|| format!("{rows} rows, {name}"));
        let content = archive.content(name)?;
        store.put(name.trim_start_matches("pictures/"), content.into()).await?;
    }
    migrate::end_restore(db).await?;
    migrate::run(db, &*setup::clock(), &*setup::rng()).await?;
    progress.clear();
    output::line(&format!("{rows} rows and {} pictures restored", names.len()));
    Ok(())
}

async fn load_table(db: &Db, table: &TableEntry, archive: &mut Reader, mut progress: impl FnMut(u64)) -> Result<u64> {
    let name = table.entry();
    let broken = |line: u64| Failure::new(format!("{name}: line {line} is no row"));
    let lines = BufReader::new(archive.entry(&name)?).lines();
    let (mut batch, mut count) = (Vec::new(), 0);
    for line in lines {
        let line = line.map_err(|error| Failure::new(format!("{name}: {error}")))?;
        count += 1;
        let values: Vec<serde_json::Value> = serde_json::from_str(&line).map_err(|_| broken(count))?;
        let values: Option<Vec<Value>> = values.into_iter().map(decode).collect();
        batch.push(values.filter(|values| values.len() == table.columns.len()).ok_or_else(|| broken(count))?);
        if batch.len() == ROWS {
            backup::load(db, &table.name, &table.columns, &batch).await?;
            batch.clear();
            progress(count);
        }
    }
    backup::load(db, &table.name, &table.columns, &batch).await?;
    Ok(count)
}
