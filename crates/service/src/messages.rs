//! Messages between an elder and the guardians.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use carebot_database::images::Viewer;
use carebot_database::journal::{Journal, Written};
use carebot_database::listing::Range;
use carebot_database::messages::{self, Mailbox};
use carebot_database::{DbError, Tx, accounts, families, idempotency, members, transact};
use carebot_model::access::{Action, Actor, Permit};
use carebot_model::accounts::Role;
use carebot_model::alarms::{Cause, EventKind, Rule, Severity};
use carebot_model::images::Source;
use carebot_model::messages::{Message, NewMessage, Receivable};
use carebot_model::text::LongText;
use carebot_model::wire::{Order, Processed};
use carebot_model::{AccountId, FamilyId, RowId, Timestamp};
use serde_json::json;

use crate::access::general;
use crate::alarms::Danger;
use crate::idempotency::{Request, earlier, keyed};
use crate::pages::{Bounds, Pages, Step};
use crate::status::sensed;
use crate::{Error, Result, Service};

const MISSING: Error = Error::NotFound("Message does not exist");
const NOBODY: Error = Error::NotFound("No receivable account");

/// What a message of the elder begins with that is a cry for help: the robot writes it to every guardian.
const CRY_FOR_HELP: &str = "[긴급]";

/// The most elements of a read-many.
pub const MANY: usize = 1_000;

/// A range of time as lists of messages and notifications take it: the end counts only with a start.
pub type OptionalRange = (Option<Timestamp>, Option<Timestamp>, Order);

/// To whom an account may write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receivables {
    /// To everybody: an operator.
    All,
    /// To these.
    These(Vec<Receivable>),
}

impl Service {
    pub(crate) fn optional_range(&self, start: Option<Timestamp>, end: Option<Timestamp>) -> Range {
        start.map_or(Range::ALL, |start| Range::seconds(start, end.unwrap_or_else(|| self.now())))
    }

    /// To whom an account may write: an elder to the members of the family, a guardian to the elders.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NotFound`] if there is nobody.
    pub async fn receivables(&self, actor: &Actor, user: &str) -> Result<Receivables> {
        let permit = match self.account(actor, user, Action::ReceivableRead).await {
            Err(Error::NotFound(_)) => return Err(NOBODY),
            permit => permit?,
        };
        let id = *permit.resource();
        let mut tx = self.db.read();
        let account = accounts::get(&mut tx, id).await?.ok_or(NOBODY)?;
        let people = match account.role {
            Role::System => return Ok(Receivables::All),
            Role::Test => return Err(NOBODY),
            Role::Main => match families::id_by_main_user(&mut tx, id).await? {
                Some(family) => members::named(&mut tx, family).await?,
                // An elder without a family reaches nobody.
                None => return Err(NOBODY),
            },
            Role::Sub => members::elders(&mut tx, id).await?,
        };
        if people.is_empty() {
            return Err(NOBODY);
        }
        Ok(Receivables::These(people.into_iter().map(|(user_id, name)| Receivable { user_id, name }).collect()))
    }

    /// Sends a message; its number, and whether its time had to be corrected. With a key it is sent once, however often it is asked for.
    /// A cry for help is judged by when it was made.
    ///
    /// # Errors
    /// In this order: [`Error::Forbidden`] if the sender is somebody else, [`Error::NotFound`] if sender or receiver is
    /// not there, [`Error::Forbidden`] if the receiver is out of reach, [`Error::TooLong`], [`Error::Conflict`] if the key
    /// was used for another one.
    pub async fn send_message(
        &self,
        actor: &Actor,
        from: &str,
        to: &str,
        content: Option<String>,
        image_url: Option<String>,
        request: Request<'_>,
    ) -> Result<(RowId, bool)> {
        let no_receiver = Error::NotFound("Received user does not exist");
        let from = match self.account(actor, from, Action::MessageSendAs).await {
            Err(Error::NotFound(_)) => return Err(Error::NotFound("Sending user does not exist")),
            permit => permit?,
        };
        let mut tx = self.db.read();
        let to = match AccountId::parse(to) {
            Some(to) => accounts::get(&mut tx, to).await?.ok_or(no_receiver)?.id,
            None => return Err(no_receiver),
        };
        self.account_id(actor, to, Action::MessageSendTo).await?;
        let long = |field, text: Option<String>| {
            text.map(|text| LongText::parse(text).ok_or(Error::TooLong(field))).transpose()
        };
        let new = NewMessage {
            from_id: *from.resource(),
            to_id: to,
            content: long("content", content)?,
            image_url: long("image_url", image_url)?,
        };
        let picture = self.picture_named(actor, new.image_url.as_ref().map(LongText::as_str)).await?;
        let viewers = [Viewer::Account(new.to_id), Viewer::Account(new.from_id)];
        let now = self.now();
        let (sensed_at, is_corrected) = sensed(request.sensed_at, true, now)?;
        let id = self.next_id(now)?;
        let content = [
            Some(new.from_id.as_str()),
            Some(new.to_id.as_str()),
            new.content.as_ref().map(LongText::as_str),
            new.image_url.as_ref().map(LongText::as_str),
        ];
        let keyed = keyed(actor, "send_message", request.key, &content);
        let is_cry = new.content.as_ref().is_some_and(|text| text.as_str().trim_start().starts_with(CRY_FOR_HELP));
        let (id, written) = transact!(self.db, tx => {
            let own = families::id_by_main_user(&mut tx, new.from_id).await?;
            let family = match own {
                Some(family) => Some(family),
                None => families::id_by_main_user(&mut tx, new.to_id).await?,
            };
            let mut journal = match family {
                Some(family) => Some(Journal::open(&mut tx, family, now).await?),
                None => None,
            };
            if let Some(sent) = earlier(&mut tx, keyed.as_ref()).await? {
                return Ok((sent, None));
            }
            // An operator may have named a sender who is not there.
            if accounts::get(&mut tx, new.from_id).await?.is_none() {
                return Err(Error::NotFound("Sending user does not exist"));
            }
            messages::create(&mut tx, &from, id, &new, now).await.map_err(|error| match error {
                DbError::MissingParent => Error::NotFound("Received user does not exist"),
                other => other.into(),
            })?;
            if let Some(keyed) = &keyed {
                idempotency::remember(&mut tx, keyed, id, now).await?;
            }
            self.refer(&mut tx, picture, (Source::Message, id), &viewers).await?;
            let Some(mut open) = journal.take() else { return Ok((id, None)) };
            let body = json!({"what": "sent", "index": id, "from_id": new.from_id, "to_id": new.to_id});
            open.event_between(EventKind::Message, Some((new.from_id, new.to_id)), &body);
            if is_cry && own.is_some() {
                let danger = Danger {
                    image_url: new.image_url.as_ref().map(|url| url.as_str().to_owned()),
                    ..Danger::at(Rule::Sos, Severity::Crit, sensed_at, (Cause::Message, Some(id)))
                };
                self.raise(&mut tx, &mut open, danger).await?;
            }
            Ok((id, Some(open.close(&mut tx).await?)))
        })?;
        if let Some(written) = &written {
            self.written(written);
        }
        Ok((id, is_corrected))
    }

    /// The caller's own messages, page by page.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without a session.
    pub async fn list_messages<S: Send + 'static>(
        &self,
        actor: &Actor,
        mailbox: Mailbox,
        (start, end, order): OptionalRange,
        init: fn() -> S,
        step: fn(&mut S, &Message),
    ) -> Result<Pages<S>> {
        general(actor, Action::MessageRead)?;
        let own = actor.account().ok_or(Error::Forbidden)?;
        let permit = Permit::ask(actor.relations(), Action::MessageRead, own)?;
        let listing = messages::listing(&permit, mailbox, self.optional_range(start, end));
        let bounds = Bounds { row_limit: self.settings.row_limit, newest_whole: None };
        let step: Step<S> = Arc::new(move |page, row| {
            step(page, &messages::message(row)?);
            Ok(())
        });
        Pages::open(&self.db, listing, order, bounds, init, step).await
    }

    /// Marks a received message as read; the message.
    ///
    /// # Errors
    /// [`Error::NotFound`] before [`Error::Forbidden`].
    pub async fn read_message(&self, actor: &Actor, id: RowId) -> Result<Message> {
        let message = messages::get(&mut self.db.read(), id).await?.ok_or(MISSING)?;
        let permit = self.account_id(actor, message.to_id, Action::MessageMarkRead).await?;
        let now = self.now();
        let (count, written) = transact!(self.db, tx => {
            let mut journals = Journals::open(&mut tx, &[&message], now).await?;
            journals.tell_unread(&mut tx, &[id]).await?;
            let count = messages::mark_read(&mut tx, &permit, &[id]).await?;
            Ok::<_, DbError>((count, journals.close(&mut tx).await?))
        })?;
        for written in &written {
            self.written(written);
        }
        if count == 0 { Err(MISSING) } else { Ok(Message { is_read: true, ..message }) }
    }

    /// Notes that the robot has read a message out to who received it, at the first time it is said.
    ///
    /// # Errors
    /// [`Error::NotFound`] before [`Error::Forbidden`].
    pub async fn message_spoken(&self, actor: &Actor, id: RowId) -> Result<()> {
        let message = messages::get(&mut self.db.read(), id).await?.ok_or(MISSING)?;
        let permit = self.account_id(actor, message.to_id, Action::MessageMarkRead).await?;
        if message.spoken_at.is_some() {
            return Ok(());
        }
        let now = self.now();
        let written = transact!(self.db, tx => {
            let mut journals = Journals::open(&mut tx, &[&message], now).await?;
            if messages::mark_spoken(&mut tx, &permit, id, now).await? {
                journals.tell(&message, "spoken");
            }
            journals.close(&mut tx).await
        })?;
        for written in &written {
            self.written(written);
        }
        Ok(())
    }

    /// Marks several received messages as read, each judged by itself; elements are echoed as they were sent.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without a session.
    pub async fn read_messages(&self, actor: &Actor, elements: Vec<serde_json::Value>) -> Result<Vec<Processed>> {
        let own = actor.account().ok_or(Error::Forbidden)?;
        let permit = Permit::ask(actor.relations_to_account(own), Action::MessageMarkRead, own)?;
        let ids: Vec<RowId> = elements.iter().filter_map(element_id).collect();
        let known = messages::get_many(&mut self.db.read(), &ids).await?;
        let unread: Vec<&Message> = known.iter().filter(|message| message.to_id == own && !message.is_read).collect();
        let unread_ids: Vec<RowId> = unread.iter().map(|message| message.index).collect();
        let now = self.now();
        let written = transact!(self.db, tx => {
            let mut journals = Journals::open(&mut tx, &unread, now).await?;
            journals.tell_unread(&mut tx, &unread_ids).await?;
            messages::mark_read(&mut tx, &permit, &ids).await?;
            journals.close(&mut tx).await
        })?;
        for written in &written {
            self.written(written);
        }
        Ok(elements
            .into_iter()
            .map(|element| {
                let message = element_id(&element).and_then(|id| known.iter().find(|message| message.index == id));
                let (code, message) = match message {
                    None => (404, "This message does not exist"),
                    Some(message) if message.to_id != own => (403, "You do not have permission"),
                    Some(_) => (200, "Message read successfully"),
                };
                Processed { index: element, is_processed: code == 200, code, message }
            })
            .collect())
    }

    /// The newest of the caller's own messages with somebody, the oldest first.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without a session, [`Error::NotFound`] if there is no such account.
    pub async fn talk(&self, actor: &Actor, with: &str, limit: u32) -> Result<Vec<Message>> {
        general(actor, Action::MessageRead)?;
        let own = actor.account().ok_or(Error::Forbidden)?;
        let permit = Permit::ask(actor.relations(), Action::MessageRead, own)?;
        let with = AccountId::parse(with).ok_or(NOBODY)?;
        let mut tx = self.db.read();
        accounts::get(&mut tx, with).await?.ok_or(NOBODY)?;
        Ok(messages::between(&mut tx, &permit, with, limit).await?)
    }

    /// Takes back a message of one's own: it is gone for both.
    ///
    /// # Errors
    /// [`Error::NotFound`] before [`Error::Forbidden`].
    pub async fn withdraw_message(&self, actor: &Actor, id: RowId) -> Result<()> {
        let message = messages::get(&mut self.db.read(), id).await?.ok_or(MISSING)?;
        let permit = Permit::ask(actor.relations_to_account(message.from_id), Action::MessageWithdraw, id)?;
        let existed = transact!(self.db, tx => { messages::delete(&mut tx, &permit).await })?;
        if existed { Ok(()) } else { Err(MISSING) }
    }

    /// Deletes a message.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn delete_message(&self, actor: &Actor, id: RowId) -> Result<()> {
        let permit = Permit::ask(actor.relations(), Action::MessageDelete, id)?;
        let existed = transact!(self.db, tx => { messages::delete(&mut tx, &permit).await })?;
        if existed { Ok(()) } else { Err(MISSING) }
    }
}

/// The journals of the families that messages belong to.
struct Journals {
    open: BTreeMap<FamilyId, Journal>,
    families: HashMap<(AccountId, AccountId), FamilyId>,
}

impl Journals {
    /// Opens them in the order of the families, as everybody does who waits for several.
    async fn open(tx: &mut Tx, some: &[&Message], now: Timestamp) -> Result<Self, DbError> {
        let mut families = HashMap::new();
        for pair in some.iter().map(|message| (message.from_id, message.to_id)).collect::<BTreeSet<_>>() {
            let own = families::id_by_main_user(tx, pair.1).await?;
            let family = if own.is_some() { own } else { families::id_by_main_user(tx, pair.0).await? };
            families.extend(family.map(|family| (pair, family)));
        }
        let mut open = BTreeMap::new();
        for family in families.values().copied().collect::<BTreeSet<_>>() {
            open.insert(family, Journal::open(tx, family, now).await?);
        }
        Ok(Self { open, families })
    }

    /// Tells the two whom a message is between what became of it.
    fn tell(&mut self, message: &Message, what: &str) {
        let pair @ (from, to) = (message.from_id, message.to_id);
        if let Some(journal) = self.families.get(&pair).and_then(|family| self.open.get_mut(family)) {
            let body = json!({"what": what, "index": message.index, "from_id": from, "to_id": to});
            journal.event_between(EventKind::Message, Some(pair), &body);
        }
    }

    /// Tells of those that are read now and were not before: nobody else marks them while the journals are open.
    async fn tell_unread(&mut self, tx: &mut Tx, ids: &[RowId]) -> Result<(), DbError> {
        for message in messages::get_many(tx, ids).await?.iter().filter(|message| !message.is_read) {
            self.tell(message, "read");
        }
        Ok(())
    }

    async fn close(self, tx: &mut Tx) -> Result<Vec<Written>, DbError> {
        let mut written = Vec::with_capacity(self.open.len());
        for journal in self.open.into_values() {
            written.push(journal.close(tx).await?);
        }
        Ok(written)
    }
}

/// The number that an element of a read-many names: a whole number, also as a text.
pub(crate) fn element_id(element: &serde_json::Value) -> Option<RowId> {
    match element {
        serde_json::Value::Number(number) => number.as_i64().map(RowId),
        serde_json::Value::String(text) => text.trim().parse().ok().map(RowId),
        _ => None,
    }
}
