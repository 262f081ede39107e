//! Opens a database and prints the newest home report of a family: the connector as a library, in one page.
//!
//! ```text
//! cargo run -p carebot-database --example latest -- sqlite:carebot.db Fa1B2c3D4e5F6g7H
//! ```

use std::process::ExitCode;

use carebot_database::{Db, DbError, DbUrl, Options, migrate, status};
use carebot_model::FamilyId;
use carebot_model::access::{Action, Permit, Relation, Relations};
use carebot_model::status::Home;

const USAGE: &str = "\
Prints the newest home report of a family as JSON.

Usage: latest URL FAMILY

  URL     sqlite:PATH or mariadb://user:password@host[:port][,host[:port]]/schema
  FAMILY  the family's id, 16 letters and digits

Example: latest sqlite:carebot.db Fa1B2c3D4e5F6g7H";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let [url, family] = arguments.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match latest(url, family).await {
        Ok(Some(report)) => println!("{report}"),
        Ok(None) => println!("There is no report of family {family}."),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// The report as JSON, if there is one.
async fn latest(url: &str, family: &str) -> Result<Option<String>, Box<dyn std::error::Error>> {
    let url: DbUrl = url.parse()?;
    let family = FamilyId::parse(family).ok_or("the id of a family is 16 letters and digits")?;
    let db = Db::open(&url, &Options::default()).await?;
    // A database that this version does not fit is refused in words, instead of by the first statement that fails.
    migrate::check(&db).await?;
    // Whoever can open the database may see everything, and says so.
    let permit = Permit::ask(Relations::of(Relation::System), Action::StatusRead, family)
        .map_err(|_| DbError::Configuration("operators may not read reports".into()))?;
    let report = status::latest::<Home>(&mut db.read(), &permit).await?;
    db.close().await;
    Ok(report.map(|report| serde_json::to_string_pretty(&report)).transpose()?)
}
