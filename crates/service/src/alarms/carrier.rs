//! The channels of a running server: web push, mail, webhooks.

use std::sync::Arc;

use carebot_database::ambient::Clock;
use carebot_database::contacts::Device;
use carebot_database::{Db, DbError, journal, transact};
use carebot_external::Key;
use carebot_external::channels::addresses::Policy;
use carebot_external::channels::mail::{self, Mailer};
use carebot_external::channels::push::{Push, Subscription, VapidKey};
use carebot_external::channels::webhook::{Event, Secret, Webhooks};
use carebot_external::channels::{BadSetting, Notice, Timeouts, Undelivered};
use carebot_model::alarms::Channel;
use carebot_model::alarms::text::Language;

use super::deliver::Carried;
use super::{Address, Carrier};
use crate::{Error, Result};

/// What the key of web push is called among the things this installation made for itself.
pub const VAPID: &str = "vapid";

/// The key by which push services know this installation; made when it is asked for the first time. Whoever asks, on however many
/// servers, gets the same.
///
/// # Errors
/// [`Error::Unavailable`] if the database does not answer, or what it keeps is no key.
pub async fn vapid_key(db: &Db) -> Result<VapidKey> {
    let kept = journal::installed(&mut db.read(), VAPID).await?;
    let text = if let Some(text) = kept { text } else { make_vapid_key(db).await? };
    VapidKey::from_text(&Key(text)).map_err(unusable)
}

async fn make_vapid_key(db: &Db) -> Result<String> {
    let made = VapidKey::generate().map_err(unusable)?.to_text();
    match transact!(db, tx => { journal::install(&mut tx, VAPID, &made.0).await }) {
        // Another server made one in this moment: that one counts.
        Err(DbError::Duplicate { .. }) => {
            let kept = journal::installed(&mut db.read(), VAPID).await?;
            Ok(kept.ok_or_else(|| DbError::Conflict("the key of web push went away".into()))?)
        }
        kept => Ok(kept?),
    }
}

fn unusable(setting: BadSetting) -> Error {
    Error::Unavailable(DbError::Configuration(setting.0))
}

/// Hands notices to the services outside.
#[derive(Debug)]
pub struct Outward {
    /// Nothing if this installation's key cannot be used: everything else goes out all the same.
    push: Option<Push>,
    mailer: Option<Mailer>,
    webhooks: Webhooks,
    policy: Policy,
    clock: Arc<dyn Clock>,
}

impl Outward {
    /// Nothing is sent yet. Without a key there is no web push, without a mailer no mail. `contact` is whom a push service can turn to.
    ///
    /// # Errors
    /// If the contact is none, or TLS cannot be set up.
    pub fn new(
        key: Option<VapidKey>,
        contact: &str,
        mailer: Option<Mailer>,
        policy: Policy,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BadSetting> {
        let push = key.map(|key| Push::new(key, contact, policy, Timeouts::default())).transpose()?;
        let webhooks = Webhooks::new(policy, Timeouts::default())?;
        Ok(Self { push, mailer, webhooks, policy, clock })
    }

    async fn push(&self, device: &Device, notice: &Notice) -> Result<(), Undelivered> {
        let push = self.push.as_ref();
        let push = push.ok_or_else(|| Undelivered::Refused("this server's key of web push cannot be used".into()))?;
        let subscription = Subscription::new(&device.endpoint, &device.p256dh, &device.auth, self.policy)
            .map_err(|bad| Undelivered::Refused(format!("the subscription of a device: {bad}")))?;
        push.send(&subscription, notice, self.clock.now()).await
    }

    async fn mail(&self, to: &str, notice: &Notice, language: Language) -> Result<(), Undelivered> {
        let mailer = self.mailer.as_ref().ok_or_else(|| Undelivered::Refused("this server sends no mail".into()))?;
        let language = match language {
            Language::Korean => mail::Language::Korean,
            Language::English => mail::Language::English,
        };
        mailer.send(to, notice, language).await
    }

    async fn call(&self, url: &str, secret: &str, notice: &Notice) -> Result<(), Undelivered> {
        let secret = Secret::from_text(secret)
            .map_err(|bad| Undelivered::Refused(format!("the secret of the webhook: {bad}")))?;
        self.webhooks.send(url, &secret, &Event::of(notice), self.clock.now()).await
    }
}

impl Carrier for Outward {
    fn carry<'a>(&'a self, address: &'a Address, notice: &'a Notice, language: Language) -> Carried<'a> {
        Box::pin(async move {
            match address {
                Address::Push(device) => self.push(device, notice).await,
                Address::Email(to) => self.mail(to, notice, language).await,
                Address::Webhook(url, secret) => self.call(url, secret, notice).await,
            }
        })
    }

    fn has(&self, channel: Channel) -> bool {
        match channel {
            Channel::Push | Channel::Webhook => true,
            Channel::Email => self.mailer.is_some(),
            Channel::Stream | Channel::Robot => false,
        }
    }
}
