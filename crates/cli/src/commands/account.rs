//! `carebot account`: accounts, as their operator sees them.

use std::sync::Arc;

use carebot_database::accounts;
use carebot_model::AccountId;
use carebot_model::access::{Action, Actor, Permit};
use carebot_model::accounts::Account;
use carebot_model::text::Email;
use carebot_service::accounts::Details;
use carebot_service::{Error, Service, passwords};
use clap::{Args, Subcommand};

use crate::arguments::{Common, DatabaseFlags};
use crate::failure::{Failure, Result};
use crate::{logging, output, secret, setup};

const ROLES: [&str; 4] = ["main", "sub", "system", "test"];

/// Makes and changes accounts
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    long_about = "Makes and changes accounts, straight in the database: the server may run meanwhile. Whoever can read \
                  the database's URL may do everything here.",
    after_help = "Example:\n  carebot account create --email you@example.org --role system --generate-password\n\n\
                  Roles: main (the elder, whose account the robot uses), sub (a guardian), system (an operator), test \
                  (without rights)."
)]
pub struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(Create),
    List(List),
    ResetPassword(ResetPassword),
    SetRole(SetRole),
}

/// Makes an account and prints its id
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
                        printf '%s\\n' 'a long password' | carebot account create --email you@example.org --role system --password-stdin\n  \
                        carebot account create --email robot1@example.org --role main --name 김말순 --generate-password")]
struct Create {
    /// The address to sign in with
    #[arg(long)]
    email: String,
    /// main, sub, system or test
    #[arg(long, value_parser = ROLES)]
    role: String,
    /// The person's name
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    password: Password,
    #[command(flatten)]
    database: DatabaseFlags,
}

/// Lists every account
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  carebot account list --database sqlite:carebot.db")]
struct List {
    #[command(flatten)]
    database: DatabaseFlags,
}

/// Sets a new password
#[derive(Debug, Args)]
#[command(
    long_about = "Sets a new password. Whoever is signed in with the account in a browser has to sign in again; its robot \
                  goes on.",
    after_help = "Example:\n  carebot account reset-password --email you@example.org --generate-password"
)]
struct ResetPassword {
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    password: Password,
    #[command(flatten)]
    database: DatabaseFlags,
}

/// Changes what an account is
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  carebot account set-role --email you@example.org --role system")]
struct SetRole {
    #[command(flatten)]
    who: Who,
    /// main, sub, system or test
    #[arg(long, value_parser = ROLES)]
    role: String,
    #[command(flatten)]
    database: DatabaseFlags,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Who {
    /// The account's address
    #[arg(long)]
    email: Option<String>,
    /// The account's id
    #[arg(long)]
    id: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Password {
    /// Reads the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
    /// Makes a random password and prints it once
    #[arg(long, alias = "generate")]
    generate_password: bool,
}

impl Password {
    fn get(&self) -> Result<String> {
        if self.password_stdin { secret::from_stdin() } else { Ok(secret::generate()) }
    }

    /// Shows a password that nobody knows yet.
    fn show(&self, password: &str) {
        if self.generate_password {
            output::line(&format!("password {password}"));
        }
    }
}

/// Runs the command.
pub fn run(common: &Common, flags: &Flags) -> Result {
    let operator = Actor::operator();
    match &flags.command {
        Command::Create(flags) => {
            let password = flags.password.get()?;
            let details = Details {
                email: Some(flags.email.clone()),
                role: Some(flags.role.clone()),
                user_name: flags.name.clone(),
                ..Details::default()
            };
            with_service(common, &flags.database, async |service, shortest| {
                let made = service.create_account(&operator, details, &password).await;
                let id = made.map_err(|error| explain(error, shortest))?;
                output::line(&format!("id {id}"));
                flags.password.show(&password);
                Ok(())
            })
        }
        Command::List(flags) => with_service(common, &flags.database, async |service, _| {
            let rows: Vec<Vec<String>> = service.list_accounts(&operator).await?.iter().map(row).collect();
            output::table(&["ID", "ROLE", "E-MAIL", "NAME"], &rows);
            Ok(())
        }),
        Command::ResetPassword(flags) => {
            let password = flags.password.get()?;
            with_service(common, &flags.database, async |service, shortest| {
                let account = flags.who.find(service, &operator).await?;
                let permit = permit(&operator, account.id)?;
                service.set_password(&permit, &password, None).await.map_err(|error| explain(error, shortest))?;
                output::line(&format!("{} has a new password", account.email));
                flags.password.show(&password);
                Ok(())
            })
        }
        Command::SetRole(flags) => with_service(common, &flags.database, async |service, shortest| {
            let account = flags.who.find(service, &operator).await?;
            let details = Details { role: Some(flags.role.clone()), ..Details::default() };
            let changed = service.update_account(&operator, account.id.as_str(), details).await;
            let changed = changed.map_err(|error| explain(error, shortest))?;
            output::line(&format!("{} is {} now", changed.email, changed.role.name()));
            Ok(())
        }),
    }
}

fn permit(operator: &Actor, account: AccountId) -> Result<Permit<AccountId>> {
    Permit::ask(operator.relations_to_account(account), Action::PasswordChange, account)
        .map_err(|denied| Error::from(denied).into())
}

/// Runs with the use cases of the configured database, and the fewest characters of a password.
fn with_service(
    common: &Common,
    database: &DatabaseFlags,
    work: impl AsyncFnOnce(&Arc<Service>, usize) -> Result,
) -> Result {
    let config = common.load(database.settings())?;
    logging::for_command(common.verbose);
    setup::with_service(&config, async |service| work(service, config.accounts.password_min_length).await)
}

impl Who {
    async fn find(&self, service: &Arc<Service>, operator: &Actor) -> Result<Account> {
        if let Some(id) = &self.id {
            return service.get_account(operator, id).await.map_err(|error| match error {
                Error::NotFound(_) => missing(&format!("the id {id}")),
                other => other.into(),
            });
        }
        let email = self.email.as_deref().unwrap_or_default();
        let found = accounts::id_by_email(&mut service.db().read(), &Email::key_of(email)).await?;
        let id = found.ok_or_else(|| missing(&format!("the address {}", output::plain(email))))?;
        Ok(service.get_account(operator, id.as_str()).await?)
    }
}

fn missing(what: &str) -> Failure {
    Failure::new(format!("no account has {what}")).next("`carebot account list` shows all.")
}

fn explain(error: Error, shortest: usize) -> Failure {
    let next = match &error {
        Error::Invalid(passwords::REFUSED) => Some(format!(
            "A password has at least {shortest} characters and at most {} bytes, and is not one of the commonest.",
            passwords::LONGEST
        )),
        Error::Invalid(text) if text.contains("email") => Some("Write it like name@example.org.".to_owned()),
        Error::Conflict(text) if text.contains("mail") => Some("`carebot account list` shows whose it is.".to_owned()),
        _ => None,
    };
    let failure = Failure::from(error);
    match next {
        Some(next) => failure.next(next),
        None => failure,
    }
}

fn row(account: &Account) -> Vec<String> {
    vec![
        account.id.to_string(),
        account.role.name().to_owned(),
        output::plain(&account.email),
        output::plain(account.user_name.as_deref().unwrap_or("-")),
    ]
}
