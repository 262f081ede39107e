//! The whole installation at a glance, for operators. Nothing of what people say.

use carebot_database::accounts;
use carebot_database::overview::{self, Counts, Lease, SignIn};
pub use carebot_external::guard::Health;
use carebot_model::access::{Action, Actor};
use carebot_model::accounts::Account;
use carebot_model::text::Email;
use carebot_model::{FamilyId, Timestamp};

use crate::access::general;
use crate::board::SILENT;
use crate::reach::FAILING;
use crate::{Error, Result, Service};

/// The most sign-ins that are told.
const SIGN_INS: u32 = 50;
/// How far they go back, in milliseconds: 30 days.
const LATELY: i64 = 30 * 24 * 3_600_000;

/// The installation at the moment.
#[derive(Clone, Debug)]
pub struct Overview {
    /// How much there is.
    pub counts: Counts,
    /// The jobs that one server of several does.
    pub leases: Vec<Lease>,
    /// The engine of the database.
    pub engine: &'static str,
    /// Its version.
    pub version: String,
    /// How many bytes the database takes, if its engine says.
    pub size: Option<i64>,
    /// Other services, and how they do; none if one is not configured.
    pub providers: Vec<(Provider, Option<Health>)>,
    /// Whether the assistant answers.
    pub has_assistant: bool,
    /// The loop of alarms that does not turn, if one does not.
    pub stuck_loop: Option<&'static str>,
    /// Who signed in last.
    pub sign_ins: Vec<SignIn>,
    /// The time at which this was so.
    pub at: Timestamp,
}

/// Another service that this one asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// The weather.
    Weather,
    /// Disaster messages.
    Disasters,
}

/// An account with the families it has to do with.
#[derive(Clone, Debug)]
pub struct Known {
    /// The account.
    pub account: Account,
    /// Its families: whether it owns each, and whether it belongs to it or has only asked to.
    pub families: Vec<(FamilyId, bool, bool)>,
}

impl Service {
    /// The installation in numbers.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn overview(&self, actor: &Actor) -> Result<Overview> {
        let permit = general(actor, Action::AccountList)?;
        let now = self.now();
        let mut tx = self.db.read();
        let counts = overview::counts(&mut tx, &permit, (now.plus_millis(-SILENT), now), FAILING).await?;
        let leases = overview::leases(&mut tx, &permit).await?;
        let size = overview::size(&mut tx, &permit, self.db.dialect()).await?;
        let sign_ins = overview::sign_ins(&mut tx, &permit, now.plus_millis(-LATELY), SIGN_INS).await?;
        let has_assistant = match self.check_assistant().await {
            Ok(()) => true,
            Err(Error::Teapot) => false,
            Err(error) => return Err(error),
        };
        Ok(Overview {
            counts,
            leases,
            engine: self.db.dialect().name(),
            version: self.db.version().await?,
            size,
            providers: vec![(Provider::Weather, self.weather_health()), (Provider::Disasters, self.disasters_health())],
            has_assistant,
            stuck_loop: self.stuck_loop(),
            sign_ins,
            at: now,
        })
    }

    /// The account of an e-mail address, and its families.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NotFound`] if there is none.
    pub async fn look_up_account(&self, actor: &Actor, email: &str) -> Result<Known> {
        general(actor, Action::AccountList)?;
        let missing = || Error::NotFound("Account not found");
        let id = accounts::id_by_email(&mut self.db.read(), &Email::key_of(email)).await?.ok_or_else(missing)?;
        let permit = self.account_id(actor, id, Action::MemberListOfAccount).await?;
        let account = accounts::get(&mut self.db.read(), id).await?.ok_or_else(missing)?;
        let families = overview::families_of(&mut self.db.read(), &permit).await?;
        Ok(Known { account, families })
    }
}
