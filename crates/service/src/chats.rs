//! Talking with the assistant.

use std::sync::Arc;
use std::time::Duration;

use carebot_database::ambient::uuid;
use carebot_database::journal::Journal;
use carebot_database::{DbError, chats, families, notifications, transact};
use carebot_external::ProviderError;
use carebot_model::access::{Action, Actor, Permit};
use carebot_model::alarms::{Cause, EventKind, Rule, Severity};
use carebot_model::chats::Turn;
use carebot_model::crisis::{self, Crisis, Hit};
use carebot_model::notifications::{Grade, NewNotification};
use carebot_model::text::LongText;
use carebot_model::wire::Order;
use carebot_model::{AccountId, Timestamp};
use serde_json::json;
use tokio::sync::mpsc;

use crate::alarms::{Danger, own_notice};
use crate::assistant::{Asked, Trouble};
use crate::pages::{Bounds, Pages, Step};
use crate::{Error, Result, Service};

/// The longest thing somebody can say at once, in characters.
pub const LONGEST: usize = 4_000;

const FAILED: &str = "Failed to send chat";
/// How long it is believed that the assistant lives, or does not.
const ALIVE_FOR: Duration = Duration::from_secs(10);
/// How much one account can say at the same time.
pub(crate) const AT_ONCE: usize = 2;

/// What the robot says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Reply {
    /// Names the conversation; sent back with what is said next.
    pub session_id: String,
    /// What the robot says.
    pub bot_message: String,
}

/// What was said, and by whom.
#[derive(Clone, Debug)]
pub struct Talk {
    permit: Permit<AccountId>,
    message: LongText,
    session: Option<String>,
    crisis: Option<Crisis>,
}

impl Service {
    /// Takes something said: whether it may be said, and whether it means danger, in which case the family is told before this
    /// comes back. [`Service::answer`] then answers it.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::TooLong`]; [`Error::Unavailable`] if a danger could not be stored.
    pub async fn hear(&self, actor: &Actor, user: &str, message: &str, session: Option<&str>) -> Result<Talk> {
        let permit = match self.account(actor, user, Action::Chat).await {
            // The contract knows only a failure.
            Err(Error::NotFound(_)) => return Err(Error::Failed(FAILED)),
            permit => permit?,
        };
        // First: who cries for help at length is heard, too.
        let hit = crisis::find(message);
        if let Some(hit) = &hit {
            self.cry(*permit.resource(), hit).await?;
        }
        if message.chars().count() > LONGEST {
            return Err(Error::TooLong("message"));
        }
        let message = LongText::parse(message.to_owned()).ok_or(Error::TooLong("message"))?;
        let session = session.filter(|session| session.len() <= 64).map(str::to_owned);
        Ok(Talk { permit, message, session, crisis: hit.map(|hit| hit.crisis) })
    }

    /// Answers something said. With `pieces`, they are sent when they come; whoever listens there may go away.
    ///
    /// Advice for an emergency needs no assistant: it comes first, and alone if there is none.
    ///
    /// # Errors
    /// [`Error::Failed`] if there is no answer and no danger.
    pub async fn answer(&self, talk: &Talk, pieces: Option<&mpsc::Sender<String>>) -> Result<Reply> {
        let advice = talk.crisis.map(Crisis::advice);
        if let (Some(advice), Some(pieces)) = (advice, pieces) {
            let _ = pieces.send(format!("{advice}\n")).await;
        }
        let fresh = uuid(&*self.rng);
        let settings = &self.settings.assistant;
        let asked = Asked {
            service: self,
            permit: &talk.permit,
            message: &talk.message,
            session: talk.session.as_deref(),
            fresh: &fresh,
            // Who is in danger waits for the advice, not for a model.
            within: if advice.is_some() { settings.answer_in_danger_within } else { settings.answer_within },
            crisis: talk.crisis,
            pieces,
        };
        let replied = match self.chatting.take(*talk.permit.resource()) {
            Some(_share) => self.assistant.reply(asked).await,
            None => Err(Trouble::Provider(ProviderError::Busy)),
        };
        match (replied, advice) {
            (Ok(said), None) => Ok(Reply { session_id: said.session_id, bot_message: said.text }),
            (Ok(said), Some(advice)) => {
                Ok(Reply { session_id: said.session_id, bot_message: format!("{advice}\n{}", said.text) })
            }
            (Err(trouble), Some(advice)) => {
                if !matches!(trouble, Trouble::Off) {
                    tracing::warn!(
                        ?trouble,
                        "the assistant did not answer somebody in danger; the advice was given without it"
                    );
                }
                // Under this name what was said is stored, if it could be: the next words go on there.
                let session_id = talk.session.clone().unwrap_or(fresh);
                Ok(Reply { session_id, bot_message: advice.to_owned() })
            }
            (Err(trouble), None) => Err(trouble.refusal(FAILED, None)),
        }
    }

    /// Raises the alarm that somebody may be in danger. The words themselves are not passed on, only what they were taken for.
    async fn cry(&self, elder: AccountId, hit: &Hit) -> Result<()> {
        let Some(family) = families::id_by_main_user(&mut self.db.read(), elder).await? else {
            tracing::warn!(account = %elder, crisis = hit.crisis.name(), "somebody without a family may be in danger");
            return Ok(());
        };
        let permit = own_notice(family)?;
        let now = self.now();
        let id = self.next_id(now)?;
        // Plain text, `title,detail`: the existing page cuts it at commas.
        let text = format!(
            "{},로봇이 “{}”(으)로 들리는 말씀을 들었습니다. 지금 바로 연락해 보세요.",
            hit.crisis.korean(),
            hit.phrase
        );
        let new = NewNotification { grade: Grade::Crit, description: LongText::parse(text), image_url: None };
        let made = transact!(self.db, tx => {
            let mut journal = Journal::open(&mut tx, family, now).await?;
            notifications::create(&mut tx, &permit, id, &new, now).await?;
            journal.event(EventKind::Notification, &json!({"index": id, "grade": new.grade}));
            let danger = Danger {
                adopts: Some(id),
                inputs: json!({"crisis": hit.crisis.name()}),
                ..Danger::at(Rule::Phrase, Severity::Crit, now, (Cause::Chat, None))
            };
            self.raise(&mut tx, &mut journal, danger).await?;
            journal.close(&mut tx).await
        });
        match made {
            Ok(written) => {
                self.written(&written);
                tracing::info!(%family, crisis = hit.crisis.name(), notification = id.0, "words of danger: the family was told");
                Ok(())
            }
            // The family went away in this moment.
            Err(DbError::MissingParent) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the assistant lives.
    ///
    /// # Errors
    /// [`Error::Teapot`] if not.
    pub async fn check_assistant(&self) -> Result<()> {
        // Anybody may ask: one call answers all who ask within a few seconds.
        let mut last = self.assistant_alive.lock().await;
        let now = tokio::time::Instant::now();
        let alive = match *last {
            Some((at, alive)) if now.duration_since(at) < ALIVE_FOR => alive,
            _ => {
                let alive = self.assistant.alive().await;
                if let Err(Trouble::Provider(error)) = &alive {
                    tracing::debug!(%error, "the assistant was asked whether it lives");
                }
                *last = Some((tokio::time::Instant::now(), alive.is_ok()));
                alive.is_ok()
            }
        };
        if alive { Ok(()) } else { Err(Error::Teapot) }
    }

    /// One's own conversations, page by page.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn list_chats<S: Send + 'static>(
        &self,
        actor: &Actor,
        user: &str,
        (start, end, order): (Option<Timestamp>, Option<Timestamp>, Order),
        init: fn() -> S,
        step: fn(&mut S, &Turn),
    ) -> Result<Pages<S>> {
        let permit = self.account(actor, user, Action::ChatRead).await?;
        let listing = chats::listing(&permit, self.optional_range(start, end));
        let bounds = Bounds { row_limit: self.settings.row_limit, newest_whole: None };
        let step: Step<S> = Arc::new(move |page, row| {
            step(page, &chats::turn(row)?);
            Ok(())
        });
        Pages::open(&self.db, listing, order, bounds, init, step).await
    }

    /// Deletes an account's conversations.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn delete_chats(&self, actor: &Actor, user: &str) -> Result<()> {
        let permit = self.account(actor, user, Action::ChatDelete).await?;
        // What is said meanwhile stays, and what the talk was about is forgotten with it.
        while transact!(self.db, tx => { chats::delete_step(&mut tx, &permit).await })? >= u64::from(chats::STEP) {}
        Ok(())
    }

    /// Deletes conversations that have been kept long enough; says how many turns.
    ///
    /// # Errors
    /// As the database.
    pub async fn delete_old_chats(&self) -> Result<u64> {
        const DAY: i64 = 24 * 3_600_000;
        let before = self.now().plus_millis(-i64::from(self.settings.assistant.keep_days) * DAY);
        let mut total = 0;
        loop {
            let gone = transact!(self.db, tx => { chats::delete_before(&mut tx, before).await })?;
            total += gone;
            if gone < u64::from(chats::STEP) {
                return Ok(total);
            }
        }
    }
}
