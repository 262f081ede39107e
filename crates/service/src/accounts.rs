//! Accounts.

use carebot_database::{DbError, accounts, families, members, transact};
use carebot_model::access::{Action, Actor};
use carebot_model::accounts::{Account, AccountChange, Gender, NewAccount, Role};
use carebot_model::text::{Address, Email, Name};
use carebot_model::{AccountId, Date};

use crate::access::general;
use crate::{Error, Result, Service};

const ROLE: Error = Error::Invalid("Invalid value provided for account details (role)");
const GENDER: Error = Error::Invalid("Invalid value provided for account details (gender)");
const EMAIL: Error = Error::Invalid("Invalid value provided for account details (email)");
const BIRTH_DATE: Error = Error::Invalid("Invalid value provided for account details (birth date)");
const TAKEN: Error = Error::Conflict("Email is already in use");
const MISSING: Error = Error::NotFound("Account not found");
/// A main user with a family cannot become a sub user, nor a sub user who belongs to one a main user.
const BOUND: Error = Error::Conflict("The role can not be changed while the account owns or belongs to a family");

/// How many rows are read at once of a list that is not bounded.
const PAGE: u32 = 1_000;

/// A day as it is asked for: year, month, day.
pub type DateParts = (i64, i64, i64);

/// An account as it is asked for.
#[derive(Clone, Debug, Default)]
pub struct Details {
    /// The address to sign in with.
    pub email: Option<String>,
    /// `main` or `sub`; `system` and `test` only from an operator.
    pub role: Option<String>,
    /// The person's name.
    pub user_name: Option<String>,
    /// The day of birth.
    pub birth_date: Option<DateParts>,
    /// `male`, `female` or `other`.
    pub gender: Option<String>,
    /// Postal address.
    pub address: Option<String>,
}

fn gender(text: Option<&str>) -> Result<Option<Gender>> {
    text.map(|text| Gender::parse_any_case(text).ok_or(GENDER)).transpose()
}

fn birth_date(parts: Option<DateParts>) -> Result<Option<Date>> {
    parts.map(|(year, month, day)| Date::new(year, month, day).ok_or(BIRTH_DATE)).transpose()
}

fn taken(error: DbError) -> Error {
    if error.is_duplicate("email") { TAKEN } else { error.into() }
}

impl Service {
    /// Whether an address is free.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it is not.
    pub async fn check_email(&self, email: &str) -> Result<()> {
        if accounts::email_exists(&mut self.db.read(), &Email::key_of(email)).await? { Err(TAKEN) } else { Ok(()) }
    }

    /// Makes an account; `details` must have an e-mail address and a role.
    ///
    /// # Errors
    /// In this order: role, right to give it, gender, e-mail address, password, address taken, date of birth.
    pub async fn create_account(&self, actor: &Actor, details: Details, password: &str) -> Result<AccountId> {
        let role = details.role.as_deref().and_then(Role::parse_any_case).ok_or(ROLE)?;
        if role.is_privileged() {
            general(actor, Action::AccountPrivilege)?;
        }
        let gender = gender(details.gender.as_deref())?.unwrap_or(Gender::Other);
        let email = details.email.as_deref().and_then(Email::parse).ok_or(EMAIL)?;
        self.passwords.acceptable(password)?;
        self.check_email(email.as_str()).await?;
        let birth_date = birth_date(details.birth_date)?;
        let new = NewAccount {
            email,
            role,
            user_name: details.user_name.map(Name::new),
            birth_date,
            gender,
            address: details.address.map(Address::new),
        };
        let hash = self.passwords.hash(password).await?;
        let now = self.now();
        transact!(self.db, tx => { accounts::create(&mut tx, &new, &hash, now, &*self.rng).await }).map_err(taken)
    }

    /// Every account, in the order of ids.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn list_accounts(&self, actor: &Actor) -> Result<Vec<Account>> {
        general(actor, Action::AccountList)?;
        let mut all: Vec<Account> = Vec::new();
        loop {
            let after = all.last().map(|account| account.id);
            let page = accounts::list(&mut self.db.read(), after, PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// An account.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn get_account(&self, actor: &Actor, user: &str) -> Result<Account> {
        let permit = self.account(actor, user, Action::AccountRead).await?;
        accounts::get(&mut self.db.read(), *permit.resource()).await?.ok_or(MISSING)
    }

    /// Changes an account; the new state.
    ///
    /// # Errors
    /// In this order: forbidden, not found, role (and right to give it), gender, e-mail address, taken, date of birth.
    pub async fn update_account(&self, actor: &Actor, user: &str, details: Details) -> Result<Account> {
        let permit = self.account(actor, user, Action::AccountUpdate).await?;
        let id = *permit.resource();
        let known = accounts::get(&mut self.db.read(), id).await?.ok_or(MISSING)?;
        let role = details.role.as_deref().map(|text| Role::parse_any_case(text).ok_or(ROLE)).transpose()?;
        if role.is_some_and(|role| role.is_privileged() && role != known.role) {
            general(actor, Action::AccountPrivilege)?;
        }
        let gender = gender(details.gender.as_deref())?;
        let email = details.email.as_deref().map(|text| Email::parse(text).ok_or(EMAIL)).transpose()?;
        if let Some(email) = &email {
            let owner = accounts::id_by_email(&mut self.db.read(), email.key()).await?;
            if owner.is_some_and(|owner| owner != id) {
                return Err(TAKEN);
            }
        }
        let change = AccountChange {
            email,
            role,
            user_name: details.user_name.map(Name::new),
            birth_date: birth_date(details.birth_date)?,
            gender,
            address: details.address.map(Address::new),
        };
        let updated = transact!(self.db, tx => {
            // Families are made and joined under the same lock, so the role cannot change between check and use.
            if !tx.lock_one("SELECT 1 FROM accounts WHERE id = ?", carebot_database::params![id]).await? {
                return Err(MISSING);
            }
            let now_role = accounts::get(&mut tx, id).await?.ok_or(MISSING)?.role;
            if change.role.is_some_and(|role| role != now_role) {
                let owns = families::id_by_main_user(&mut tx, id).await?.is_some();
                if owns || members::belongs_anywhere(&mut tx, id).await? {
                    return Err(BOUND);
                }
            }
            accounts::update(&mut tx, &permit, &change).await.map_err(taken)?;
            accounts::get(&mut tx, id).await?.ok_or(MISSING)
        })?;
        self.rights_changed().await;
        Ok(updated)
    }

    /// Deletes an account, and with it its family, memberships, sessions, messages and pictures. Whoever calls proves it
    /// with his own password.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Unauthorized`].
    pub async fn delete_account(&self, actor: &Actor, user: &str, password: &str) -> Result<()> {
        let permit = self.account(actor, user, Action::AccountDelete).await?;
        accounts::get(&mut self.db.read(), *permit.resource()).await?.ok_or(MISSING)?;
        self.own_password(actor, password).await?;
        let now = self.now();
        let existed = transact!(self.db, tx => {
            if let Some(family) = families::id_by_main_user(&mut tx, *permit.resource()).await? {
                self.sign_off(&mut tx, family, now).await?;
            }
            accounts::delete(&mut tx, &permit, now).await
        })?;
        self.rights_changed().await;
        self.polls.clear();
        self.deleted.notify_one();
        if existed { Ok(()) } else { Err(MISSING) }
    }
}
