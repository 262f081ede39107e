//! `carebot family`: families, as their operator sees them.

use std::collections::HashMap;
use std::sync::Arc;

use carebot_database::params;
use carebot_model::access::Actor;
use carebot_model::accounts::Account;
use carebot_model::status::StatusKind;
use carebot_model::{AccountId, FamilyId, for_each_status_kind};
use carebot_service::{Error, Service};
use clap::{Args, Subcommand};

use crate::arguments::{Common, DatabaseFlags};
use crate::failure::{Failure, Result};
use crate::{logging, output, setup};

/// Shows families
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Example:\n  carebot family list --database sqlite:carebot.db"
)]
pub struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists every family with its elder
    #[command(after_help = "Example:\n  carebot family list")]
    List(List),
    /// Shows a family: elder, members, open requests to join, and what its robot has reported
    #[command(after_help = "Example:\n  carebot family show F234567890123456")]
    Show(Show),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    database: DatabaseFlags,
}

#[derive(Debug, Args)]
struct Show {
    /// The family's id
    id: String,
    #[command(flatten)]
    database: DatabaseFlags,
}

type Accounts = HashMap<AccountId, Account>;

/// Runs the command.
pub fn run(common: &Common, flags: &Flags) -> Result {
    let database = match &flags.command {
        Command::List(list) => &list.database,
        Command::Show(show) => &show.database,
    };
    let config = common.load(database.settings())?;
    logging::for_command(common.verbose);
    setup::with_service(&config, async |service| match &flags.command {
        Command::List(_) => list(service).await,
        Command::Show(show) => self::show(service, &show.id).await,
    })
}

async fn accounts(service: &Arc<Service>) -> Result<Accounts> {
    let accounts = service.list_accounts(&Actor::operator()).await?;
    Ok(accounts.into_iter().map(|account| (account.id, account)).collect())
}

fn name_of(accounts: &Accounts, id: AccountId) -> String {
    output::plain(accounts.get(&id).and_then(|account| account.user_name.as_deref()).unwrap_or("-"))
}

fn email_of(accounts: &Accounts, id: AccountId) -> String {
    output::plain(accounts.get(&id).map_or("-", |account| account.email.as_str()))
}

async fn list(service: &Arc<Service>) -> Result {
    let operator = Actor::operator();
    let accounts = accounts(service).await?;
    let members = service.list_members(&operator, None, None).await?;
    let requests = service.list_join_requests(&operator).await?;
    let rows: Vec<Vec<String>> = service
        .list_families(&operator)
        .await?
        .iter()
        .map(|family| {
            vec![
                family.id.to_string(),
                output::plain(family.family_name.as_deref().unwrap_or("-")),
                name_of(&accounts, family.main_user),
                email_of(&accounts, family.main_user),
                members.iter().filter(|member| member.family_id == family.id).count().to_string(),
                requests.iter().filter(|request| request.family_id == family.id).count().to_string(),
            ]
        })
        .collect();
    output::table(&["ID", "NAME", "ELDER", "E-MAIL", "MEMBERS", "REQUESTS"], &rows);
    Ok(())
}

async fn show(service: &Arc<Service>, id: &str) -> Result {
    let operator = Actor::operator();
    let family = service.get_family(&operator, id).await.map_err(|error| match error {
        Error::NotFound(_) => {
            Failure::new(format!("there is no family {}", output::plain(id))).next("`carebot family list` shows all.")
        }
        other => other.into(),
    })?;
    let accounts = accounts(service).await?;
    output::line(&format!("family  {}  {}", family.id, output::plain(family.family_name.as_deref().unwrap_or("-"))));
    output::line(&format!(
        "elder   {}  {}  {}",
        family.main_user,
        name_of(&accounts, family.main_user),
        email_of(&accounts, family.main_user)
    ));

    let members = service.list_members(&operator, Some(id), None).await?;
    output::line(&format!("\nmembers: {}", members.len()));
    let person = |user: AccountId, nickname: Option<&str>| {
        [output::plain(nickname.unwrap_or("-")), name_of(&accounts, user), email_of(&accounts, user)]
    };
    if !members.is_empty() {
        let rows: Vec<Vec<String>> = members
            .iter()
            .map(|member| {
                let mut row = vec![member.id.to_string()];
                row.extend(person(member.user_id, member.nickname.as_deref()));
                row
            })
            .collect();
        output::table(&["ID", "CALLED", "NAME", "E-MAIL"], &rows);
    }

    let mut requests = service.list_join_requests(&operator).await?;
    requests.retain(|request| request.family_id == family.id);
    output::line(&format!("\nopen requests to join: {}", requests.len()));
    if !requests.is_empty() {
        let rows: Vec<Vec<String>> = requests
            .iter()
            .map(|request| {
                let mut row = vec![request.id.to_string(), request.created_at.to_string()];
                row.extend(person(request.user_id, request.nickname.as_deref()));
                row
            })
            .collect();
        output::table(&["ID", "SINCE (UTC)", "CALLED", "NAME", "E-MAIL"], &rows);
    }

    output::line("\nreports (times are UTC):");
    let mut rows = Vec::new();
    macro_rules! add {
        ($kind:ident) => {
            rows.push(reports::<carebot_model::status::$kind>(service, &operator, family.id).await?);
        };
    }
    for_each_status_kind!(add);
    output::table(&["KIND", "COUNT", "NEWEST"], &rows);
    Ok(())
}

async fn reports<K: StatusKind>(service: &Arc<Service>, operator: &Actor, family: FamilyId) -> Result<Vec<String>> {
    let newest = match service.latest_report::<K>(operator, family.as_str()).await {
        Ok(report) => report.reported_at.to_string(),
        Err(Error::NotFound(_)) => "-".to_owned(),
        Err(error) => return Err(error.into()),
    };
    let count = format!("SELECT COUNT(*) FROM {} WHERE family_id = ?", K::TABLE);
    let count = service.db().read().fetch_one(count, params![family], |row| row.get::<i64>(0)).await?;
    Ok(vec![K::NAME.to_owned(), count.to_string(), newest])
}
