//! How people want to be told: language, channels, quiet hours, browsers and phones.

use std::sync::Arc;

use carebot_database::contacts::{self, Contact, Device};
use carebot_database::{params, transact};
use carebot_external::channels::addresses::{BadAddress, Policy};
use carebot_external::channels::push::{BadSubscription, Subscription, VapidKey};
use carebot_external::channels::webhook::Secret;
use carebot_model::access::{Action, Actor, Permit};
use carebot_model::alarms::Channel;
use carebot_model::alarms::text::Language;
use carebot_model::{AccountId, RowId, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::alarms::carrier;
use crate::{Change, Error, Result, Service};

/// What is no telephone number.
pub const PHONE: &str = "Invalid value provided for phone";
/// What is no language.
pub const LANGUAGE: &str = "Invalid value provided for language";
/// What is no order of channels.
pub const CHANNELS: &str = "channels are push, email and webhook, at least one of them, each at most once";
/// What are no quiet hours.
pub const QUIET: &str = "Quiet hours are two different times of the day, as 22:00 and 07:00";
/// What is no address.
pub const NO_ADDRESS: &str = "This is not a valid web address";
/// An address that is too long.
pub const LONG_ADDRESS: &str = "The web address is too long";
/// An address that is not encrypted.
pub const NOT_HTTPS: &str = "The web address must begin with https://";
/// An address with a password in it.
pub const CREDENTIALS: &str = "The web address must not contain a user name or a password";
/// An address inside.
pub const PRIVATE: &str = "The web address must not lead into a private network";
/// What no browser made.
pub const KEYS: &str = "The keys are not those of a push subscription";
/// There is no such device.
pub const NO_DEVICE: &str = "Subscription not found";

/// The most browsers and phones of an account.
const MOST_DEVICES: u32 = 10;
/// The longest telephone number and name of a device, in characters.
const LONGEST_PHONE: usize = 32;
const LONGEST_LABEL: usize = 64;

/// Hours in which only what is critical gets through, Korean time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Quiet {
    /// From when, as `22:00`.
    pub from: String,
    /// Until when, as `07:00`; the next day if that is earlier.
    pub until: String,
}

impl Quiet {
    fn of((from, until): (i32, i32)) -> Self {
        let shown = |minutes: i32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        Self { from: shown(from), until: shown(until) }
    }

    fn minutes(&self) -> Option<(i32, i32)> {
        let minutes = |text: &str| {
            let (hours, minutes) = text.split_once(':')?;
            let two = |digits: &str| {
                (digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
            };
            let (hours, minutes): (i32, i32) = (two(hours)?, two(minutes)?);
            (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
        };
        minutes(&self.from).zip(minutes(&self.until)).filter(|(from, until)| from != until)
    }
}

/// How somebody wants to be told, as clients see it.
#[derive(Clone, Serialize, JsonSchema)]
pub struct ContactView {
    /// The account.
    pub user_id: AccountId,
    /// The telephone, as it was typed.
    pub phone: Option<String>,
    /// The language.
    pub language: Language,
    /// The channels, in the order in which they are tried.
    pub channels: Vec<Channel>,
    /// Hours in which only what is critical gets through.
    pub quiet: Option<Quiet>,
    /// The address that is called.
    pub webhook_url: Option<String>,
    /// What calls are signed with. Shown once, in the answer to the request that set the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<String>,
}

impl ContactView {
    fn new(contact: Contact, secret: Option<String>) -> Self {
        Self {
            user_id: contact.account,
            phone: contact.phone,
            language: contact.language,
            channels: contact.channels,
            quiet: contact.quiet.map(Quiet::of),
            webhook_url: contact.webhook.map(|(url, _)| url),
            webhook_secret: secret,
        }
    }
}

/// What is to change about how somebody is told.
#[derive(Clone, Default)]
pub struct ContactChange {
    /// The telephone.
    pub phone: Change<String>,
    /// The language.
    pub language: Option<String>,
    /// The channels, in their order.
    pub channels: Option<Vec<String>>,
    /// Quiet hours.
    pub quiet: Change<Quiet>,
    /// The address that is called.
    pub webhook_url: Change<String>,
}

/// What a browser says of itself.
#[derive(Clone)]
pub struct NewSubscription {
    /// The address of its push service.
    pub endpoint: String,
    /// Its public key, base64url.
    pub p256dh: String,
    /// Its secret, base64url.
    pub auth: String,
    /// What it is called.
    pub label: Option<String>,
}

/// A browser or phone that takes notices, as clients see it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SubscriptionView {
    /// Its number.
    pub id: RowId,
    /// The host of its push service.
    pub host: String,
    /// What it is called.
    pub label: Option<String>,
    /// Since when it takes them.
    pub created_at: Timestamp,
}

impl From<Device> for SubscriptionView {
    fn from(device: Device) -> Self {
        Self { id: device.id, host: host(&device.endpoint), label: device.label, created_at: device.created_at }
    }
}

/// The host of an address.
fn host(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned()
}

/// Why an address is refused, in a sentence.
const fn refused(bad: BadAddress) -> Error {
    Error::Invalid(match bad {
        BadAddress::Malformed => NO_ADDRESS,
        BadAddress::TooLong => LONG_ADDRESS,
        BadAddress::NotHttps => NOT_HTTPS,
        BadAddress::Credentials => CREDENTIALS,
        BadAddress::Private => PRIVATE,
    })
}

fn phone(text: &str) -> Result<String> {
    let text = text.trim();
    let is_one = text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-() ".contains(&byte));
    if is_one && text.len() <= LONGEST_PHONE { Ok(text.to_owned()) } else { Err(Error::Invalid(PHONE)) }
}

/// A channel that people have addresses for.
pub(crate) fn channel(name: &str) -> Option<Channel> {
    Channel::parse(name).filter(|channel| matches!(channel, Channel::Push | Channel::Email | Channel::Webhook))
}

fn channels(names: &[String]) -> Result<Vec<Channel>> {
    let channels: Option<Vec<Channel>> = names.iter().map(|name| channel(name)).collect();
    let is_order = |channels: &Vec<Channel>| {
        !channels.is_empty() && channels.iter().enumerate().all(|(place, channel)| !channels[..place].contains(channel))
    };
    channels.filter(is_order).ok_or(Error::Invalid(CHANNELS))
}

impl Service {
    /// Whose contact is meant: an account named as in a request, or the caller's own.
    pub(crate) async fn contact_of(
        &self,
        actor: &Actor,
        user: Option<&str>,
        action: Action,
    ) -> Result<Permit<AccountId>> {
        match (user, actor.account()) {
            (Some(user), _) => self.account(actor, user, action).await,
            (None, Some(own)) => self.account_id(actor, own, action).await,
            (None, None) => Err(Error::Forbidden),
        }
    }

    pub(crate) async fn known_contact(&self, permit: &Permit<AccountId>) -> Result<Contact> {
        let contact = contacts::get(&mut self.db.read(), *permit.resource()).await?;
        contact.ok_or(Error::NotFound("Account not found"))
    }

    /// Which addresses people may enter.
    const fn addresses_allowed(&self) -> Policy {
        Policy { allow_private: self.settings.alarms.allow_private }
    }

    /// How somebody wants to be told; the caller if nobody is named.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the account for operators.
    pub async fn get_contact(&self, actor: &Actor, user: Option<&str>) -> Result<ContactView> {
        let permit = self.contact_of(actor, user, Action::ContactRead).await?;
        Ok(ContactView::new(self.known_contact(&permit).await?, None))
    }

    /// Changes how somebody wants to be told; the new state. With an address to be called comes a new secret, which is never
    /// shown again.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the account for operators; [`Error::Invalid`].
    pub async fn update_contact(
        &self,
        actor: &Actor,
        user: Option<&str>,
        change: ContactChange,
    ) -> Result<ContactView> {
        let permit = self.contact_of(actor, user, Action::ContactUpdate).await?;
        let account = *permit.resource();
        // An empty number is none.
        let number = match change.phone {
            Change::Set(text) if text.trim().is_empty() => Change::Unset,
            other => other.try_map(|text| phone(&text))?,
        };
        let language = change.language.as_deref();
        let language = language.map(|name| Language::parse(name).ok_or(Error::Invalid(LANGUAGE))).transpose()?;
        let order = change.channels.as_deref().map(channels).transpose()?;
        let quiet = change.quiet.try_map(|quiet| quiet.minutes().ok_or(Error::Invalid(QUIET)))?;
        let webhook = change.webhook_url.try_map(|url| {
            let url = self.addresses_allowed().check(url.trim()).map_err(refused)?;
            let mut random = [0; 32];
            self.random(&mut random);
            Ok::<_, Error>((url.to_string(), Secret::generate(random).to_text().0))
        })?;
        let now = self.now();
        let contact = transact!(self.db, tx => {
            tx.lock_one("SELECT 1 FROM accounts WHERE id = ?", params![account]).await?;
            let before = contacts::get(&mut tx, account).await?.ok_or(Error::NotFound("Account not found"))?;
            let contact = Contact {
                phone: number.clone().after(before.phone.clone()),
                language: language.unwrap_or(before.language),
                channels: order.clone().unwrap_or_else(|| before.channels.clone()),
                quiet: quiet.clone().after(before.quiet),
                webhook: webhook.clone().after(before.webhook.clone()),
                ..before
            };
            contacts::set(&mut tx, &permit, &contact, now).await?;
            Ok::<_, Error>(contact)
        })?;
        let secret = if let Change::Set((_, secret)) = webhook { Some(secret) } else { None };
        Ok(ContactView::new(contact, secret))
    }

    /// The key by which push services know this installation; made when it is asked for the first time.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn vapid_key(&self) -> Result<Arc<VapidKey>> {
        let key = self.vapid.get_or_try_init(async || carrier::vapid_key(&self.db).await.map(Arc::new));
        key.await.cloned()
    }

    /// Takes note of a browser or phone; its number. One that is known is known anew, and nobody else's any more.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the account for operators; [`Error::Invalid`], [`Error::TooLong`].
    pub async fn subscribe(&self, actor: &Actor, user: Option<&str>, new: NewSubscription) -> Result<RowId> {
        let permit = self.contact_of(actor, user, Action::ContactUpdate).await?;
        self.known_contact(&permit).await?;
        if new.label.as_ref().is_some_and(|label| label.chars().count() > LONGEST_LABEL) {
            return Err(Error::TooLong("label"));
        }
        let subscription = Subscription::new(&new.endpoint, &new.p256dh, &new.auth, self.addresses_allowed());
        let subscription = subscription.map_err(|bad| match bad {
            BadSubscription::Endpoint(bad) => refused(bad),
            BadSubscription::PublicKey | BadSubscription::Secret => Error::Invalid(KEYS),
        })?;
        let now = self.now();
        let device = Device {
            id: self.next_id(now)?,
            endpoint: subscription.endpoint().to_owned(),
            p256dh: subscription.p256dh(),
            auth: subscription.auth().0,
            label: new.label,
            created_at: now,
        };
        transact!(self.db, tx => { contacts::add_device(&mut tx, &permit, &device, MOST_DEVICES).await })?;
        Ok(device.id)
    }

    /// Somebody's browsers and phones, the oldest first.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the account for operators.
    pub async fn list_subscriptions(&self, actor: &Actor, user: Option<&str>) -> Result<Vec<SubscriptionView>> {
        let permit = self.contact_of(actor, user, Action::ContactRead).await?;
        self.known_contact(&permit).await?;
        let devices = contacts::devices(&mut self.db.read(), *permit.resource()).await?;
        Ok(devices.into_iter().map(SubscriptionView::from).collect())
    }

    /// Forgets a browser or phone.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn unsubscribe(&self, actor: &Actor, user: Option<&str>, id: RowId) -> Result<()> {
        let permit = self.contact_of(actor, user, Action::ContactUpdate).await?;
        let account = *permit.resource();
        let was_known = transact!(self.db, tx => { contacts::forget_device(&mut tx, account, id).await })?;
        if was_known { Ok(()) } else { Err(Error::NotFound(NO_DEVICE)) }
    }
}
