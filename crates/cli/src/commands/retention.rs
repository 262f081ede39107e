//! `carebot retention`: what is deleted by age, and that an operator agrees to it.

use carebot_database::rollups::Kind;
use carebot_database::{rollups, transact};
use carebot_model::Timestamp;
use carebot_service::Service;
use carebot_service::series::too_old;
use clap::{Args, Subcommand};

use crate::arguments::{Common, DatabaseFlags};
use crate::failure::Result;
use crate::{logging, output, setup};

/// So many families are looked for at once.
const FAMILIES: u32 = 500;

/// Shows which reports are deleted by age, and lets that begin after an import
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  \
                  carebot retention status --database sqlite:carebot.db\n  \
                  carebot retention confirm --database sqlite:carebot.db"
)]
pub struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows what is kept for how long, and how many reports are older
    #[command(after_help = "Example:\n  carebot retention status")]
    Status(Database),
    /// Lets reports be deleted by age in a database that had some before
    #[command(
        long_about = "Lets reports be deleted by age in a database that had some before: one that was moved over from an existing \
                      installation, or that an older version has filled. Until then a server deletes none.\n\n\
                      `carebot retention status` shows how many would go. Their sums stay: count, least, mean and greatest of every \
                      hour and day.",
        after_help = "Example:\n  carebot retention confirm"
    )]
    Confirm(Database),
}

#[derive(Debug, Args)]
struct Database {
    #[command(flatten)]
    database: DatabaseFlags,
}

/// Runs the command.
pub fn run(common: &Common, flags: &Flags) -> Result {
    let (Command::Status(Database { database }) | Command::Confirm(Database { database })) = &flags.command;
    let config = common.load(database.settings())?;
    logging::for_command(common.verbose);
    setup::with_service(&config, async |service| match &flags.command {
        Command::Status(_) => status(service).await,
        Command::Confirm(_) => confirm(service).await,
    })
}

fn kept(days: u32) -> String {
    if days == 0 { "for ever".to_owned() } else { format!("{days} days") }
}

async fn status(service: &Service) -> Result {
    let (retention, now) = (service.settings().retention, service.now());
    let mut rows = Vec::new();
    for (kind, days) in retention.kinds() {
        let older = match too_old(now, days) {
            Some(before) => count_older(service, kind, before).await?,
            None => 0,
        };
        rows.push(vec![format!("{} reports", kind.name), kept(days), older.to_string()]);
    }
    rows.push(vec!["sums of 5 minutes".to_owned(), kept(retention.five_minutes_days), "-".to_owned()]);
    rows.push(vec!["sums of hours and days".to_owned(), kept(0), "-".to_owned()]);
    output::table(&["WHAT", "KEPT", "OLDER"], &rows);
    output::line(&match rollups::held(&mut service.db().read()).await? {
        Some(why) => {
            format!("nothing is deleted until you agree ({}): `carebot retention confirm`", output::plain(&why))
        }
        None => "what is older is deleted by the running server".to_owned(),
    });
    Ok(())
}

/// Family by family: a statement that counts the reports of everybody could take longer than one may.
async fn count_older(service: &Service, kind: Kind, before: Timestamp) -> Result<u64> {
    let (mut tx, mut older, mut after) = (service.db().read(), 0, None);
    loop {
        let families = rollups::families(&mut tx, after, FAMILIES).await?;
        let Some(last) = families.last() else { return Ok(older) };
        after = Some(*last);
        for family in families {
            older += rollups::older(&mut tx, family, kind, before).await?;
        }
    }
}

async fn confirm(service: &Service) -> Result {
    let was_held = transact!(service.db(), tx => { rollups::release(&mut tx).await })?;
    output::line(if was_held {
        "agreed: the running server deletes what is older, within the next hour"
    } else {
        "nothing was to be agreed to: reports are deleted by age already"
    });
    Ok(())
}
