//! Who can be reached: how channels serve people, and what somebody should see to.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use carebot_database::contacts::{self, Contact, Health};
use carebot_database::{DbError, Tx, members, presence, rules, transact};
use carebot_external::channels::{Notice, Undelivered};
use carebot_model::access::{Action, Actor};
use carebot_model::alarms::text::Language;
use carebot_model::alarms::{Alarm, Channel};
use carebot_model::members::{Place, Position};
use carebot_model::{AccountId, FamilyId, MemberId, Timestamp};
use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::alarms::Address;
use crate::alarms::deliver::{addresses, cut, for_address, sees};
use crate::contacts::channel;
use crate::{Error, Result, Service};

/// What is no channel that can be tried.
pub const CHANNEL: &str = "Invalid value provided for channel";
/// A test right after another.
pub const TOO_SOON: &str = "A test was sent just now, try again in ten seconds";

/// How long after a test there is another, in milliseconds.
const PAUSE: i64 = 10_000;
/// After how many failures in a row a channel does not count any more.
pub(crate) const FAILING: i32 = 3;

/// When each account last tried a channel.
#[derive(Debug, Default)]
pub(crate) struct Tests {
    /// In unix milliseconds.
    tested: Mutex<HashMap<AccountId, i64>>,
}

impl Tests {
    /// Whether an account may try a channel now; from then on it may not for a while.
    fn may_test(&self, account: AccountId, now: Timestamp) -> bool {
        let mut tested = self.tested.lock().unwrap_or_else(PoisonError::into_inner);
        tested.retain(|_, at| (0..PAUSE).contains(&(now.millis() - *at)));
        if tested.contains_key(&account) {
            return false;
        }
        tested.insert(account, now.millis());
        true
    }
}

/// A sentence in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Words {
    /// In Korean.
    pub ko: String,
    /// In English.
    pub en: String,
}

impl Words {
    fn new(ko: impl Into<String>, en: impl Into<String>) -> Self {
        Self { ko: ko.into(), en: en.into() }
    }
}

/// How a test went.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Tested {
    /// The channel.
    pub channel: Channel,
    /// Whether it took the notice.
    pub is_delivered: bool,
    /// To how many addresses it was sent.
    pub addresses: usize,
    /// How it went, in plain words.
    pub said: Words,
}

/// How a channel serves somebody.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ChannelView {
    /// The channel.
    pub channel: Channel,
    /// Whether the server has it and the person an address for it.
    pub configured: bool,
    /// When it last took something.
    pub succeeded_at: Option<Timestamp>,
    /// When it last did not.
    pub failed_at: Option<Timestamp>,
    /// How often it did not since it last did.
    pub failures: i32,
    /// Why.
    pub last_error: Option<String>,
}

impl ChannelView {
    const fn works(&self) -> bool {
        self.configured && self.failures < FAILING
    }
}

/// Whether a member of a family can be reached.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Reach {
    /// The membership.
    pub member_id: MemberId,
    /// The account.
    pub user_id: AccountId,
    /// In which capacity.
    pub position: Position,
    /// The place in the family's order, from 1.
    pub order: i32,
    /// The language.
    pub language: Language,
    /// Whether there are hours in which only what is critical gets through.
    pub has_quiet_hours: bool,
    /// The channels, in the order in which they are tried.
    pub channels: Vec<ChannelView>,
    /// Whether a page is open that shows alarms.
    pub watching: bool,
    /// Whether a page is open, or a channel works.
    pub reachable: bool,
}

/// What is known of a family's robot.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RobotView {
    /// When anything was last heard of it.
    pub heard_at: Option<Timestamp>,
    /// When it last read what it is to ask.
    pub prompts_at: Option<Timestamp>,
    /// When it was last refused because its session had been ended.
    pub refused_at: Option<Timestamp>,
    /// The version of its program.
    pub version: Option<String>,
    /// Its battery in percent.
    pub battery: Option<i32>,
}

/// Who of a family can be reached.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Channels {
    /// Its members, in their order.
    pub members: Vec<Reach>,
    /// Its robot.
    pub robot: RobotView,
    /// What somebody should see to.
    pub warning: Vec<Words>,
}

/// What somebody should see to, so that alarms reach people.
fn warnings(members: &[Reach]) -> Vec<Words> {
    if members.is_empty() {
        return vec![Words::new(
            "돌보는 사람이 없습니다. 위급한 알림은 운영자에게 갑니다.",
            "Nobody looks after this family: its alarms go to the operators.",
        )];
    }
    let mut warnings = Vec::new();
    let somebody = members.iter().any(|member| member.reachable);
    if !somebody {
        warnings.push(Words::new(
            "아무에게도 알림을 보낼 수 없습니다. 알림 받을 방법을 등록해 주세요.",
            "Nobody can be reached: somebody should set up a channel.",
        ));
    }
    match members.iter().find(|member| member.position == Position::Guardian) {
        None => warnings.push(Words::new(
            "보호자가 없습니다. 알림은 돌봄 인력에게 바로 갑니다.",
            "There is no guardian: alarms go to care workers and staff at once.",
        )),
        Some(first) if somebody && !first.reachable => warnings.push(Words::new(
            "첫 번째 보호자에게 알림을 보낼 수 없습니다. 알림 받을 방법을 등록하거나 순서를 바꿔 주세요.",
            "The first guardian can not be reached: set up a channel, or change the order.",
        )),
        Some(_) => {}
    }
    warnings
}

impl Service {
    /// Sends a test to somebody's own address on a channel, at once; how it went.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the account for operators; [`Error::Invalid`]; [`Error::Busy`] right after
    /// another test.
    pub async fn test_contact(&self, actor: &Actor, user: Option<&str>, name: &str) -> Result<Tested> {
        let permit = self.contact_of(actor, user, Action::ContactUpdate).await?;
        let channel = channel(name).ok_or(Error::Invalid(CHANNEL))?;
        let contact = self.known_contact(&permit).await?;
        let now = self.now();
        if !self.tests.may_test(contact.account, now) {
            return Err(Error::Busy(TOO_SOON));
        }
        let untried = |said| Tested { channel, is_delivered: false, addresses: 0, said };
        let Some(carrier) = self.settings.alarms.carrier.as_ref().filter(|carrier| carrier.has(channel)) else {
            return Ok(untried(Words::new(
                "이 서버에는 이 방법이 설정되어 있지 않습니다.",
                "This server has no such channel.",
            )));
        };
        let addresses = addresses(&mut self.db.read(), channel, &contact).await?;
        if addresses.is_empty() {
            return Ok(untried(Words::new(
                "이 방법으로 받을 주소가 등록되어 있지 않습니다.",
                "There is no address for this channel yet.",
            )));
        }
        let notice = self.test_notice(contact.account, contact.language, now);
        let notices: Vec<Notice> = addresses.iter().map(|address| for_address(&notice, address, &contact)).collect();
        let tries =
            addresses.iter().zip(&notices).map(|(address, notice)| carrier.carry(address, notice, contact.language));
        let (mut is_delivered, mut error) = (false, None);
        for (address, outcome) in addresses.iter().zip(join_all(tries).await) {
            match outcome {
                Ok(()) => is_delivered = true,
                Err(undelivered) => {
                    error = Some(cut(&undelivered.to_string()));
                    if let (Undelivered::Gone, Address::Push(device)) = (undelivered, address) {
                        transact!(self.db, tx => { contacts::forget_device(&mut tx, contact.account, device.id).await })?;
                    }
                }
            }
        }
        let error = error.filter(|_| !is_delivered);
        transact!(self.db, tx => {
            contacts::note_health(&mut tx, contact.account, channel, error.as_deref(), now).await
        })?;
        let said = match error {
            None => Words::new(
                "시험 알림을 보냈습니다. 곧 보이지 않으면 기기의 알림 설정을 확인해 주세요.",
                "The test was handed over. If you do not see it soon, check the settings of your device.",
            ),
            Some(reason) => {
                Words::new(format!("보내지 못했습니다: {reason}"), format!("It could not be sent: {reason}"))
            }
        };
        Ok(Tested { channel, is_delivered, addresses: addresses.len(), said })
    }

    fn test_notice(&self, account: AccountId, language: Language, now: Timestamp) -> Notice {
        let (title, body) = match language {
            Language::Korean => ("[시험] 알림 시험", "알림이 잘 도착하는지 확인하는 시험입니다. 아무 일도 없습니다."),
            Language::English => ("[Test] Test", "This is a test of this channel. Nothing has happened."),
        };
        Notice {
            id: format!("test-{account}-{}", now.millis()),
            topic: "test".to_owned(),
            title: title.to_owned(),
            body: body.to_owned(),
            link: self.settings.alarms.public_url.clone(),
            // As an alarm comes, so that it shows whether one would.
            is_urgent: true,
            data: json!({"test": true}),
            at: now,
        }
    }

    /// Who of a family can be reached, and what is known of its robot.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators.
    pub async fn family_channels(&self, actor: &Actor, family: &str) -> Result<Channels> {
        let permit = self.family(actor, family, Action::RuleRead).await?;
        let family = *permit.resource();
        let now = self.now();
        let mut reached = Vec::new();
        for place in members::placed(&mut self.db.read(), family).await? {
            if let Some(contact) = contacts::get(&mut self.db.read(), place.user_id).await? {
                reached.push(self.reach(place, family, contact, now).await?);
            }
        }
        let warning = warnings(&reached);
        Ok(Channels { members: reached, robot: self.robot_view(family).await?, warning })
    }

    /// Whether any of some can be told of an alarm: a page is open, or a channel works.
    pub(crate) async fn reaches_any(
        &self,
        tx: &mut Tx,
        alarm: &Alarm,
        people: &[(AccountId, Position)],
        now: Timestamp,
    ) -> Result<bool, DbError> {
        for (account, _) in people {
            if sees(tx, alarm, *account, now).await? {
                return Ok(true);
            }
            if let Some(contact) = contacts::get(tx, *account).await?
                && self.channels_of(tx, &contact).await?.iter().any(ChannelView::works)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How somebody's channels serve.
    async fn channels_of(&self, tx: &mut Tx, contact: &Contact) -> Result<Vec<ChannelView>, DbError> {
        let health = contacts::health(tx, contact.account).await?;
        let mut channels = Vec::new();
        for channel in &contact.channels {
            let has_channel = self.settings.alarms.carrier.as_ref().is_some_and(|carrier| carrier.has(*channel));
            let configured = has_channel && !addresses(tx, *channel, contact).await?.is_empty();
            let known = health.iter().find(|health| health.channel == *channel).cloned();
            let unknown =
                Health { channel: *channel, succeeded_at: None, failed_at: None, failures: 0, last_error: None };
            let Health { channel, succeeded_at, failed_at, failures, last_error } = known.unwrap_or(unknown);
            channels.push(ChannelView { channel, configured, succeeded_at, failed_at, failures, last_error });
        }
        Ok(channels)
    }

    async fn reach(&self, place: Place, family: FamilyId, contact: Contact, now: Timestamp) -> Result<Reach> {
        let mut reader = self.db.read();
        let channels = self.channels_of(&mut reader, &contact).await?;
        let watching = presence::is_watching(&mut reader, contact.account, family, now).await?;
        Ok(Reach {
            member_id: place.id,
            user_id: place.user_id,
            position: place.position,
            order: place.order,
            language: contact.language,
            has_quiet_hours: contact.quiet.is_some(),
            reachable: watching || channels.iter().any(ChannelView::works),
            channels,
            watching,
        })
    }

    async fn robot_view(&self, family: FamilyId) -> Result<RobotView> {
        let robot = rules::robot(&mut self.db.read(), family).await?.unwrap_or_default();
        let rules::Robot { prompts_at, refused_at, version, battery, .. } = robot;
        let heard_at = rules::heard_at(&mut self.db.read(), family, self.now()).await?;
        Ok(RobotView { heard_at, prompts_at, refused_at, version, battery })
    }
}
