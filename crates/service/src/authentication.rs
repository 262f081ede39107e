//! Signing in and out.

use std::net::IpAddr;
use std::sync::Arc;

use carebot_database::authentication::{self as sessions, Found, NewSession, TokenHash};
use carebot_database::{DbError, accounts, transact};
use carebot_model::access::{Action, Actor, Permit};
use carebot_model::accounts::{Account, Role};
use carebot_model::authentication::{IdleLimits, Session, SessionKind};
use carebot_model::text::{Cut, Email};
use carebot_model::{AccountId, RowId};

use crate::access::general;
use crate::passwords::Verified;
use crate::sessions::Entry;
use crate::throttle::Key;
use crate::{Error, Result, Service};

/// A session token in clear: 32 lower-case hexadecimal digits.
pub(crate) fn token_hash(token: &str) -> Option<TokenHash> {
    let plain = token.len() == 32 && token.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    plain.then(|| TokenHash::of(token))
}

/// Where and with what somebody signs in.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// The address the request came from.
    pub address: Option<IpAddr>,
    /// What the program calls itself.
    pub agent: Option<String>,
}

impl Service {
    /// Who calls with a token. No token, an unknown and a dead one are the same: anonymous. A live session is prolonged.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database cannot be asked: then nobody is sent away as unknown.
    pub async fn current_actor(self: &Arc<Self>, token: Option<&str>) -> Result<Arc<Actor>> {
        self.actor_asking(token, || None).await
    }

    /// As [`Service::current_actor`]; what is asked for is only looked at if it is a robot that asks in vain.
    ///
    /// # Errors
    /// As [`Service::current_actor`].
    pub async fn actor_asking(
        self: &Arc<Self>,
        token: Option<&str>,
        asks: impl FnOnce() -> Option<Action> + Send,
    ) -> Result<Arc<Actor>> {
        let anonymous = || Arc::new(Actor::Anonymous);
        let Some(hash) = token.and_then(token_hash) else { return Ok(anonymous()) };
        let entry = match self.sessions.get(&hash) {
            Some(entry) => entry,
            None => match self.read_session(hash, asks).await? {
                Some(entry) => entry,
                None => return Ok(anonymous()),
            },
        };
        let now = self.now();
        let seen = entry.last_seen();
        if self.settings.idle.is_expired(entry.is_main, entry.is_remembered, seen, now) {
            self.sessions.forget(&hash);
            transact!(self.db, tx => { sessions::delete_session(&mut tx, hash).await })?;
            self.session_ended(&hash).await;
            return Ok(anonymous());
        }
        if entry.claim_touch(now, IdleLimits::WRITE_INTERVAL)
            && let Some(session) = entry.actor.session()
        {
            let (service, entry) = (Arc::clone(self), Arc::clone(&entry));
            self.background.spawn(async move {
                let touched = transact!(service.db, tx => { sessions::touch_session(&mut tx, session.id, now).await });
                if let Err(error) = touched {
                    tracing::warn!(%error, session = session.id.0, "the use of a session could not be written; the next use tries again");
                    entry.unclaim_touch(seen);
                }
            });
        }
        Ok(Arc::clone(&entry.actor))
    }

    /// Who a session's holder is at this moment, as the database says. That is no use of the session; a dead one is anonymous.
    pub(crate) async fn look_again(&self, token: TokenHash) -> Result<Actor> {
        match sessions::current_user(&mut self.db.read(), token).await? {
            Some(Found::Live(user))
                if !self.settings.idle.is_expired(user.is_main, user.is_remembered, user.last_seen, self.now()) =>
            {
                Ok(user.actor)
            }
            _ => Ok(Actor::Anonymous),
        }
    }

    async fn read_session(
        &self,
        hash: TokenHash,
        asks: impl FnOnce() -> Option<Action> + Send,
    ) -> Result<Option<Arc<Entry>>> {
        let generation = self.sessions.generation();
        match sessions::current_user(&mut self.db.read(), hash).await? {
            None => Ok(None),
            Some(Found::Revoked { id, account }) => {
                self.refuse(id, account, asks()).await?;
                Ok(None)
            }
            Some(Found::Live(user)) => {
                let entry = Arc::new(Entry::new(user));
                self.sessions.remember(hash, &entry, generation);
                Ok(Some(entry))
            }
        }
    }

    /// Signs in; the session's clear token and the account.
    ///
    /// # Errors
    /// [`Error::Unauthorized`], the same for an unknown address and a wrong password and after the same time;
    /// [`Error::TooMany`] after too many failures.
    pub async fn sign_in(&self, email: &str, password: &str, client: &Client) -> Result<(String, Account)> {
        let email_key = Email::key_of(email);
        let key = self.throttle.key(&email_key, client.address);
        self.throttle.check(&key, self.now())?;
        let found = accounts::credentials(&mut self.db.read(), &email_key).await?;
        let (account, hash) = found.map_or((None, None), |(account, hash)| (Some(account), Some(hash)));
        let (Some(account), Some(verified)) = (account, self.guess(&key, password, hash).await?) else {
            return Err(Error::Unauthorized("Invalid email or password"));
        };
        let better = if verified.outdated { Some(self.passwords.hash(password).await?) } else { None };
        let now = self.now();
        let new = NewSession {
            id: self.next_id(now)?,
            account: account.id,
            is_main: account.role == Role::Main,
            label: client.agent.clone().map(|agent| Cut::<64>::new(agent).as_str().to_owned()),
        };
        let token = transact!(self.db, tx => {
            if let Some(better) = &better {
                sessions::upgrade_hash(&mut tx, new.account, better).await?;
            }
            sessions::create_session(&mut tx, &new, now, &*self.rng).await
        })
        .map_err(|error| match error {
            // The account went away between the two.
            DbError::MissingParent => Error::Unauthorized("Invalid email or password"),
            other => other.into(),
        })?;
        Ok((token, account))
    }

    /// Checks a password and remembers whether it was right. Many that guess at once are slowed down as if they came one
    /// after another: each counts before the next one's turn.
    pub(crate) async fn guess(&self, key: &Key, password: &str, hash: Option<String>) -> Result<Option<Verified>> {
        let turn = self.passwords.turn().await?;
        self.throttle.check(key, self.now())?;
        let verified = turn.verify(password, hash).await?;
        match verified {
            Some(_) => self.throttle.forget(key),
            None => self.throttle.failed(key, self.now()),
        }
        Ok(verified)
    }

    /// Signs out; says whether there was a live session.
    ///
    /// # Errors
    /// As the database.
    pub async fn sign_out(&self, token: Option<&str>) -> Result<bool> {
        let Some(hash) = token.and_then(token_hash) else { return Ok(false) };
        // Whether or not that is known to succeed, it is not believed any more.
        self.sessions.forget(&hash);
        let now = self.now();
        let existed = transact!(self.db, tx => { sessions::sign_out(&mut tx, hash, now).await })?;
        self.session_ended(&hash).await;
        Ok(existed)
    }

    /// Whose session a token is; prolongs it.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if it is dead.
    pub async fn check_session(self: &Arc<Self>, token: &str) -> Result<Account> {
        let dead = Error::Unauthorized("You do not have permission");
        let Some(id) = self.current_actor(Some(token)).await?.account() else { return Err(dead) };
        accounts::get(&mut self.db.read(), id).await?.ok_or(dead)
    }

    /// Has the caller's session remembered.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without a session.
    pub async fn remember_session(&self, actor: &Actor) -> Result<()> {
        general(actor, Action::SessionRemember)?;
        let session = actor.session().ok_or(Error::Forbidden)?;
        transact!(self.db, tx => { sessions::remember_session(&mut tx, session.id).await })?;
        self.rights_changed().await;
        Ok(())
    }

    /// Changes a password. An operator changes anybody's with his own. The account's other sessions of persons end; its
    /// robots' go on, because a fall reported with a dead session would be refused.
    ///
    /// # Errors
    /// In this order: [`Error::Forbidden`], [`Error::NotFound`], [`Error::Unauthorized`], [`Error::Invalid`].
    pub async fn change_password(&self, actor: &Actor, user: &str, current: &str, new: &str) -> Result<()> {
        let permit = self.account(actor, user, Action::PasswordChange).await.map_err(no_user)?;
        let known = accounts::get(&mut self.db.read(), *permit.resource()).await?;
        known.ok_or(Error::NotFound("User not found"))?;
        self.own_password(actor, current).await?;
        self.set_password(&permit, new, actor.session().map(|session| session.id)).await
    }

    /// Sets a password without knowing the old one; for the operator at the command line.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it may not be.
    pub async fn set_password(&self, permit: &Permit<AccountId>, new: &str, keep: Option<RowId>) -> Result<()> {
        self.passwords.acceptable(new)?;
        let hash = self.passwords.hash(new).await?;
        let existed = transact!(self.db, tx => { sessions::change_password(&mut tx, permit, &hash, keep).await })?;
        self.rights_changed().await;
        if existed { Ok(()) } else { Err(Error::NotFound("User not found")) }
    }

    /// The sessions of an account; `None` is the caller's own.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn list_sessions(&self, actor: &Actor, user: Option<&str>) -> Result<Vec<Session>> {
        let permit = self.session_owner(actor, user, Action::SessionList).await?;
        let mut reader = self.db.read();
        if actor.is_system() && accounts::get(&mut reader, *permit.resource()).await?.is_none() {
            return Err(Error::NotFound("Account not found"));
        }
        Ok(sessions::list_sessions(&mut reader, &permit).await?)
    }

    /// Ends a session. A robot's only if that is confirmed: until it has signed in again, what it reports is refused.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] if it is a robot's and that is not confirmed.
    pub async fn end_session(&self, actor: &Actor, id: RowId, robot_confirmed: bool) -> Result<()> {
        let missing = Error::NotFound("Session not found");
        let caller = actor.account().ok_or(Error::Forbidden)?;
        let session = sessions::get_session(&mut self.db.read(), id).await?;
        let session = session.filter(|session| session.revoked_at.is_none()).ok_or(missing)?;
        // Somebody else's session is not there for anybody but an operator.
        if session.account_id != caller && !actor.is_system() {
            return Err(Error::NotFound("Session not found"));
        }
        let permit = self.account_id(actor, session.account_id, Action::SessionEnd).await?;
        if session.kind == SessionKind::Robot && !robot_confirmed {
            return Err(Error::Conflict(
                "This session belongs to a robot: until it signs in again its reports and alarms are refused. Confirm to end it",
            ));
        }
        let now = self.now();
        let ended = transact!(self.db, tx => { sessions::end_session(&mut tx, &permit, id, now).await })?;
        self.rights_changed().await;
        if ended { Ok(()) } else { Err(Error::NotFound("Session not found")) }
    }

    async fn session_owner(&self, actor: &Actor, user: Option<&str>, action: Action) -> Result<Permit<AccountId>> {
        match (user, actor.account()) {
            (Some(user), _) => self.account(actor, user, action).await,
            (None, Some(own)) => self.account_id(actor, own, action).await,
            (None, None) => Err(Error::Forbidden),
        }
    }

    /// Marks the caller's session as a robot's, once: it reports.
    pub(crate) async fn note_robot(&self, actor: &Actor) -> Result<()> {
        if let Some(session) = actor.session()
            && session.kind == SessionKind::Person
            && actor.role() == Some(Role::Main)
        {
            transact!(self.db, tx => { sessions::mark_robot(&mut tx, session.id).await })?;
            self.rights_changed().await;
        }
        Ok(())
    }

    /// Deletes sessions that have idled too long; how many.
    ///
    /// # Errors
    /// As the database.
    pub async fn delete_expired_sessions(&self) -> Result<u64> {
        let (mut all, now) = (0, self.now());
        loop {
            let count = transact!(self.db, tx => { sessions::delete_expired_sessions(&mut tx, &self.settings.idle, now).await })?;
            all += count;
            if count < 1000 {
                return Ok(all);
            }
        }
    }
}

fn no_user(error: Error) -> Error {
    match error {
        Error::NotFound(_) => Error::NotFound("User not found"),
        other => other,
    }
}
