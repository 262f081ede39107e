//! `carebot migrate`: brings the database's schema up to date, or says where it stands.

use carebot_database::migrate;
use clap::Args;

use crate::arguments::{Common, DatabaseFlags};
use crate::failure::{Failure, Result};
use crate::{logging, output, setup};

/// Brings the database's schema up to date
#[derive(Debug, Args)]
#[command(
    long_about = "Brings the database's schema up to date. Doing it again changes nothing. `carebot serve` does the same \
                  when it starts, so that this is needed only with `serve --no-migrate`.\n\n\
                  A database that is newer than this program is left alone.",
    after_help = "Examples:\n  \
                  carebot migrate --database sqlite:carebot.db --create\n  \
                  carebot migrate --status\n\n\
                  Exit code of --status: 0 when the schema is up to date, 1 when something is to be done."
)]
pub struct Flags {
    /// Only tells what was applied and what is pending
    #[arg(long, conflicts_with = "create")]
    status: bool,
    /// Makes the SQLite file if it is missing
    #[arg(long)]
    create: bool,
    #[command(flatten)]
    database: DatabaseFlags,
}

/// Runs the command.
pub fn run(common: &Common, flags: &Flags) -> Result {
    let mut settings = flags.database.settings();
    settings.extend(flags.create.then(|| ("database.create", "true".to_owned())));
    let config = common.load(settings)?;
    logging::for_command(common.verbose);
    setup::runtime(1)?.block_on(async {
        let db = if flags.status { setup::open_existing(&config).await? } else { setup::open(&config).await? };
        let done = if flags.status { status(&db).await } else { apply(&db).await };
        db.close().await;
        done.map_err(|failure| failure.about(&format!("database {}", config.database.url)))
    })
}

async fn apply(db: &carebot_database::Db) -> Result {
    let applied = migrate::run(db, &*setup::clock(), &*setup::rng()).await?;
    for migration in &applied {
        output::line(&format!("applied {:04} {}", migration.version, migration.name));
    }
    if applied.is_empty() {
        output::line("nothing to do: the schema is up to date");
    }
    Ok(())
}

async fn status(db: &carebot_database::Db) -> Result {
    let status = migrate::status(db).await?;
    for done in status.applied.iter().filter(|done| done.finished_at.is_some()) {
        let when = done.finished_at.map(|at| at.to_string()).unwrap_or_default();
        output::line(&format!("applied {:04} {}  {when}", done.version, done.name));
    }
    for migration in &status.pending {
        let begun = status.applied.iter().any(|done| done.version == migration.version);
        let state = if begun { "begun  " } else { "pending" };
        output::line(&format!("{state} {:04} {}", migration.version, migration.name));
    }
    if status.pending.is_empty() {
        return Ok(());
    }
    output::note("`carebot migrate` applies what is pending");
    Err(Failure::quiet())
}
