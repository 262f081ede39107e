//! Forgotten passwords: a mail with a link that sets a new one, once and soon.

use std::sync::Arc;

use carebot_database::authentication::TokenHash;
use carebot_database::{DbError, accounts, authentication, resets, transact};
use carebot_external::channels::Notice;
use carebot_model::access::{Action, Permit, Relation, Relations};
use carebot_model::alarms::Channel;
use carebot_model::alarms::text::Language;
use carebot_model::text::{Email, hexadecimal};
use carebot_model::{AccountId, Timestamp};
use serde_json::json;

use crate::alarms::deliver::Address;
use crate::authentication::Client;
use crate::{Error, Result, Service};

/// How long a link is good, in milliseconds.
const LASTS: i64 = 30 * 60_000;
/// How often an account gets one at most, in milliseconds.
const PAUSE: i64 = 2 * 60_000;
/// The link is not good, or not any more.
pub const EXPIRED: Error = Error::NotFound("Password reset not found");

impl Service {
    /// Whether forgotten passwords can be set anew by mail: this server sends mail, and knows what it is called from outside.
    pub fn can_reset_passwords(&self) -> bool {
        let settings = &self.settings.alarms;
        settings.public_url.is_some() && settings.carrier.as_ref().is_some_and(|carrier| carrier.has(Channel::Email))
    }

    /// Sends a link for a new password to an address, if somebody has an account with it. Whoever asks learns nothing of whether
    /// there is one, not even by the time that it takes: all of it happens after the answer.
    ///
    /// # Errors
    /// [`Error::Failed`] if this server sends no mail; [`Error::TooMany`] if too many were asked for from one network address.
    pub fn forgot_password(self: &Arc<Self>, email: &str, language: Language, client: &Client) -> Result<()> {
        if !self.can_reset_passwords() {
            return Err(Error::Failed("This server sends no mail"));
        }
        let now = self.now();
        // Not by account: an account gets no more than one every two minutes, and nobody keeps anybody else from asking.
        let key = self.links.key("", client.address);
        self.links.check(&key, now)?;
        self.links.failed(&key, now);
        let Some(email) = Email::parse(email) else { return Ok(()) };
        let service = Arc::clone(self);
        self.background.spawn(async move {
            if let Err(error) = service.send_link(email, language).await {
                tracing::error!(?error, "a link for a new password could not be made");
            }
        });
        Ok(())
    }

    async fn send_link(&self, email: Email, language: Language) -> Result<()> {
        let known = accounts::credentials(&mut self.db.read(), email.key()).await?;
        let Some((account, _)) = known else { return Ok(()) };
        let mut bytes = [0_u8; 32];
        self.random(&mut bytes);
        let token = hexadecimal(&bytes);
        let now = self.now();
        let times = (now, now.plus_millis(-PAUSE), now.plus_millis(LASTS));
        let made = transact!(self.db, tx => {
            resets::create(&mut tx, account.id, TokenHash::of(&token), times).await
        });
        match made {
            Ok(true) => {}
            // One is on its way, or the account went away meanwhile.
            Ok(false) | Err(DbError::MissingParent | DbError::Duplicate { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        self.mail_link(account.id, &account.email, &token, language, now).await;
        Ok(())
    }

    async fn mail_link(&self, account: AccountId, to: &str, token: &str, language: Language, now: Timestamp) {
        let settings = &self.settings.alarms;
        let (Some(carrier), Some(base)) = (settings.carrier.as_ref(), settings.public_url.as_ref()) else { return };
        let (title, body) = match language {
            Language::Korean => (
                "[carebot] 비밀번호 다시 정하기",
                "아래 주소에서 새 비밀번호를 정해 주세요. 30분 동안 한 번만 쓸 수 있습니다. 요청하지 않으셨다면 이 메일은 잊으셔도 됩니다.",
            ),
            Language::English => (
                "[carebot] Set a new password",
                "Set a new password at the address below. It works once, for 30 minutes. If you did not ask for it, forget this mail.",
            ),
        };
        let notice = Notice {
            id: format!("reset-{account}-{}", now.millis()),
            topic: "reset".to_owned(),
            title: title.to_owned(),
            body: body.to_owned(),
            link: Some(format!("{base}/app/reset?token={token}")),
            is_urgent: false,
            data: json!({}),
            at: now,
        };
        match carrier.carry(&Address::Email(to.to_owned()), &notice, language).await {
            Ok(()) => tracing::info!(%account, "a link for a new password was mailed"),
            Err(error) => tracing::error!(%account, %error, "a link for a new password could not be mailed"),
        }
    }

    /// Whether a link is still good.
    ///
    /// # Errors
    /// [`EXPIRED`]; as the database.
    pub async fn check_reset(&self, token: &str) -> Result<()> {
        resets::account_of(&mut self.db.read(), TokenHash::of(token), self.now()).await?.map(drop).ok_or(EXPIRED)
    }

    /// Sets a new password by a link. It is used up, and all sessions of persons end; the robot's goes on.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a password that may not be, then [`EXPIRED`].
    pub async fn reset_password(&self, token: &str, new: &str) -> Result<()> {
        self.passwords.acceptable(new)?;
        self.check_reset(token).await?;
        let hash = self.passwords.hash(new).await?;
        let now = self.now();
        let done = transact!(self.db, tx => {
            let Some(account) = resets::take(&mut tx, TokenHash::of(token), now).await? else {
                return Ok::<_, DbError>(false);
            };
            // Who has the link has the mailbox, and so is taken for the owner.
            let permit = Permit::ask(Relations::of(Relation::Own), Action::PasswordChange, account)
                .map_err(|_| DbError::Statement("nobody may change a password".into()))?;
            authentication::change_password(&mut tx, &permit, &hash, None).await
        })?;
        self.rights_changed().await;
        if done { Ok(()) } else { Err(EXPIRED) }
    }
}
