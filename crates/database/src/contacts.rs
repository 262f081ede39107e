//! How people want to be told: language and telephone, channels in their order, quiet hours, browsers and phones.

use std::fmt;

use carebot_model::access::Permit;
use carebot_model::accounts::Role;
use carebot_model::alarms::Channel;
use carebot_model::alarms::text::Language;
use carebot_model::members::Position;
use carebot_model::{AccountId, FamilyId, RowId, Timestamp};
use ring::digest;

use crate::connector::error::DbError;
use crate::{Result, Row, Tx, params};

/// How somebody wants to be told.
#[derive(Clone, PartialEq, Eq)]
pub struct Contact {
    /// The account.
    pub account: AccountId,
    /// The address of the account.
    pub email: Option<String>,
    /// What to call the person.
    pub name: Option<String>,
    /// The telephone, as it was typed.
    pub phone: Option<String>,
    /// The language.
    pub language: Language,
    /// The channels, in the order in which they are tried.
    pub channels: Vec<Channel>,
    /// Minutes of the Korean day between which only what is critical gets through; the second can be the smaller one.
    pub quiet: Option<(i32, i32)>,
    /// An address that is called, and the secret it is signed with.
    pub webhook: Option<(String, String)>,
}

impl fmt::Debug for Contact {
    /// Without what leads to the person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, language, channels, quiet, .. } = self;
        write!(f, "Contact of {account} {{ {language}, {channels:?}, quiet: {quiet:?}, .. }}")
    }
}

/// The order in which channels are tried if nobody set one.
pub const CHANNELS: &[Channel] = &[Channel::Push, Channel::Webhook, Channel::Email];

fn channels(list: Option<&str>) -> Vec<Channel> {
    let set = list.map(|list| list.split(',').filter_map(Channel::parse).collect::<Vec<_>>());
    set.filter(|set| !set.is_empty()).unwrap_or_else(|| CHANNELS.to_vec())
}

fn contact(row: &Row<'_>) -> Result<Contact> {
    let list: Option<String> = row.get(5)?;
    let (from, until): (Option<i32>, Option<i32>) = (row.get(6)?, row.get(7)?);
    let (url, secret): (Option<String>, Option<String>) = (row.get(8)?, row.get(9)?);
    Ok(Contact {
        account: row.get(0)?,
        email: row.get(1)?,
        name: row.get(2)?,
        phone: row.get(3)?,
        language: row.get::<Option<String>>(4)?.as_deref().and_then(Language::parse).unwrap_or(Language::Korean),
        channels: channels(list.as_deref()),
        quiet: from.zip(until),
        webhook: url.zip(secret),
    })
}

/// How somebody wants to be told; what was never said is the default. Nothing if the account is gone.
///
/// # Errors
/// As any statement.
pub async fn get(tx: &mut Tx, account: AccountId) -> Result<Option<Contact>> {
    tx.fetch_optional(
        "SELECT a.id, a.email, a.user_name, c.phone, c.language, h.channels, h.quiet_from, h.quiet_until, h.webhook_url, h.webhook_secret
         FROM accounts a LEFT JOIN contacts c ON c.account_id = a.id LEFT JOIN contact_channels h ON h.account_id = a.id
         WHERE a.id = ? AND a.deleted_at IS NULL",
        params![account],
        contact,
    )
    .await
}

/// Stores how somebody wants to be told; address and name are the account's and stay.
///
/// # Errors
/// As any statement.
pub async fn set(tx: &mut Tx, permit: &Permit<AccountId>, contact: &Contact, now: Timestamp) -> Result<()> {
    let account = *permit.resource();
    tx.execute("DELETE FROM contacts WHERE account_id = ?", params![account]).await?;
    tx.execute(
        "INSERT INTO contacts (account_id, phone, language) VALUES (?, ?, ?)",
        params![account, contact.phone.as_deref(), contact.language],
    )
    .await?;
    let channels = contact.channels.iter().map(|channel| channel.name()).collect::<Vec<_>>().join(",");
    let (from, until) = contact.quiet.unzip();
    let (url, secret) = contact.webhook.as_ref().map(|(url, secret)| (url.as_str(), secret.as_str())).unzip();
    tx.execute("DELETE FROM contact_channels WHERE account_id = ?", params![account]).await?;
    tx.execute(
        "INSERT INTO contact_channels (account_id, channels, quiet_from, quiet_until, webhook_url, webhook_secret, updated_at)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![account, channels, from, until, url, secret, now],
    )
    .await
    .map(drop)
}

/// A browser or phone that takes web push.
#[derive(Clone, PartialEq, Eq)]
pub struct Device {
    /// Its number.
    pub id: RowId,
    /// Where to send. A secret.
    pub endpoint: String,
    /// Its public key, base64url.
    pub p256dh: String,
    /// Its secret, base64url.
    pub auth: String,
    /// What it is called.
    pub label: Option<String>,
    /// Since when it takes them.
    pub created_at: Timestamp,
}

impl fmt::Debug for Device {
    /// Without what lets anybody send.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device {{ id: {}, created_at: {}, .. }}", self.id, self.created_at)
    }
}

/// Somebody's browsers and phones, the oldest first.
///
/// # Errors
/// As any statement.
pub async fn devices(tx: &mut Tx, account: AccountId) -> Result<Vec<Device>> {
    tx.fetch(
        "SELECT id, endpoint, p256dh, auth, label, created_at FROM push_subscriptions WHERE account_id = ? ORDER BY id",
        params![account],
        |row| {
            Ok(Device {
                id: row.get(0)?,
                endpoint: row.get(1)?,
                p256dh: row.get(2)?,
                auth: row.get(3)?,
                label: row.get(4)?,
                created_at: row.get(5)?,
            })
        },
    )
    .await
}

/// Takes note of a browser or phone. One that is known already, whoever's it was, is now this account's alone; of those beyond
/// `most` the oldest go.
///
/// # Errors
/// [`DbError::Conflict`] if another request takes note of it in this moment; else as any statement.
pub async fn add_device(tx: &mut Tx, permit: &Permit<AccountId>, device: &Device, most: u32) -> Result<()> {
    let account = *permit.resource();
    let hash = digest::digest(&digest::SHA256, device.endpoint.as_bytes());
    tx.execute("DELETE FROM push_subscriptions WHERE endpoint_hash = ?", params![hash.as_ref()]).await?;
    let added = tx
        .execute(
            "INSERT INTO push_subscriptions (id, account_id, endpoint_hash, endpoint, p256dh, auth, label, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                device.id,
                account,
                hash.as_ref(),
                device.endpoint.as_str(),
                device.p256dh.as_str(),
                device.auth.as_str(),
                device.label.as_deref(),
                device.created_at,
            ],
        )
        .await;
    match added {
        Err(DbError::Duplicate { .. }) => return Err(DbError::Conflict("two requests noted one device".into())),
        added => drop(added?),
    }
    let beyond: Vec<RowId> = tx
        .fetch(
            "SELECT id FROM push_subscriptions WHERE account_id = ? ORDER BY id DESC LIMIT 100 OFFSET ?",
            params![account, most],
            |row| row.get(0),
        )
        .await?;
    for id in beyond {
        forget_device(tx, account, id).await?;
    }
    Ok(())
}

/// Forgets a browser or phone; says whether it was known.
///
/// # Errors
/// As any statement.
pub async fn forget_device(tx: &mut Tx, account: AccountId, id: RowId) -> Result<bool> {
    let gone =
        tx.execute("DELETE FROM push_subscriptions WHERE account_id = ? AND id = ?", params![account, id]).await?;
    Ok(gone == 1)
}

/// Notes that a channel took something for somebody, or did not.
///
/// # Errors
/// [`DbError::Conflict`] if something else about it is noted for the first time in this moment; else as any statement.
pub async fn note_health(
    tx: &mut Tx,
    account: AccountId,
    channel: Channel,
    error: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    let (succeeded, failed) = if error.is_none() { (Some(now), None) } else { (None, Some(now)) };
    let noted = tx
        .execute(
            "UPDATE channel_health SET succeeded_at = COALESCE(?, succeeded_at), failed_at = COALESCE(?, failed_at),
                 failures = CASE WHEN ? = 1 THEN failures + 1 ELSE 0 END, last_error = ? WHERE account_id = ? AND channel = ?",
            params![succeeded, failed, error.is_some(), error, account, channel],
        )
        .await?;
    if noted == 0 {
        let made = tx
            .execute(
                "INSERT INTO channel_health (account_id, channel, succeeded_at, failed_at, failures, last_error) VALUES (?, ?, ?, ?, ?, ?)",
                params![account, channel, succeeded, failed, i32::from(error.is_some()), error],
            )
            .await;
        match made {
            Err(DbError::Duplicate { .. }) => return Err(DbError::Conflict("two notices noted one channel".into())),
            made => drop(made?),
        }
    }
    Ok(())
}

/// How a channel has served somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The channel.
    pub channel: Channel,
    /// When it last took something.
    pub succeeded_at: Option<Timestamp>,
    /// When it last did not.
    pub failed_at: Option<Timestamp>,
    /// How often it did not since.
    pub failures: i32,
    /// Why.
    pub last_error: Option<String>,
}

/// How the channels have served somebody.
///
/// # Errors
/// As any statement.
pub async fn health(tx: &mut Tx, account: AccountId) -> Result<Vec<Health>> {
    tx.fetch(
        "SELECT channel, succeeded_at, failed_at, failures, last_error FROM channel_health WHERE account_id = ? ORDER BY channel",
        params![account],
        |row| {
            Ok(Health {
                channel: row.get(0)?,
                succeeded_at: row.get(1)?,
                failed_at: row.get(2)?,
                failures: row.get(3)?,
                last_error: row.get(4)?,
            })
        },
    )
    .await
}

/// Who looks after a family's elder, in the family's order.
///
/// # Errors
/// As any statement.
pub async fn watchers(tx: &mut Tx, family: FamilyId) -> Result<Vec<(AccountId, Position)>> {
    tx.fetch(
        "SELECT m.user_id, m.position FROM members m JOIN accounts a ON a.id = m.user_id AND a.deleted_at IS NULL
         WHERE m.family_id = ? AND m.approved_at IS NOT NULL ORDER BY m.sort_order, m.id",
        params![family],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
    .await
}

/// Whether somebody is an operator.
///
/// # Errors
/// As any statement.
pub async fn is_operator(tx: &mut Tx, account: AccountId) -> Result<bool> {
    let found = tx.fetch_optional(
        "SELECT 1 FROM accounts WHERE id = ? AND role = ? AND deleted_at IS NULL",
        params![account, Role::System],
        |_| Ok(()),
    );
    Ok(found.await?.is_some())
}

/// The operators, the oldest first; at most 20.
///
/// # Errors
/// As any statement.
pub async fn operators(tx: &mut Tx) -> Result<Vec<AccountId>> {
    tx.fetch(
        "SELECT id FROM accounts WHERE role = ? AND deleted_at IS NULL ORDER BY created_at, id LIMIT 20",
        params![Role::System],
        |row| row.get(0),
    )
    .await
}
