//! Memberships, and requests for them.

use carebot_database::journal::Journal;
use carebot_database::members::NewMember;
use carebot_database::{DbError, Tx, accounts, families, members, params, transact};
use carebot_model::access::{Action, Actor, Permit, Relation};
use carebot_model::accounts::Role;
use carebot_model::alarms::EventKind;
use carebot_model::members::{JoinRequest, Member, Place, Position};
use carebot_model::text::Name;
use carebot_model::{AccountId, FamilyId, MemberId};
use serde_json::json;

use crate::access::general;
use crate::{Error, Join, Result, Service};

const MISSING: Error = Error::NotFound("Member not found");
const NO_REQUEST: Error = Error::NotFound("Join request not found");
const NO_FAMILY: Error = Error::NotFound("Family not found");
const NOT_SUB: Error = Error::Invalid("User not found or is not a sub user");
/// Who belongs to the family, or has asked to, does not join it once more.
pub const TAKEN: Error = Error::Conflict("Member already exists in family");
/// In no capacity that there is.
pub const POSITION: &str = "Invalid value provided for position";
/// No place in an order.
pub const ORDER: &str = "order must be 1 or more";

impl Service {
    /// Asks to join a family; where the setting says so, or if an operator does it, it is approved at once.
    ///
    /// # Errors
    /// In this order: [`Error::Forbidden`], [`Error::NotFound`] of the family, [`Error::Invalid`] if the account is no
    /// guardian's, [`Error::Conflict`] if it belongs to the family or has asked already.
    pub async fn join_family(
        &self,
        actor: &Actor,
        family: &str,
        user: &str,
        nickname: Option<String>,
    ) -> Result<MemberId> {
        let permit = match self.account(actor, user, Action::MemberJoin).await {
            Err(Error::NotFound(_)) => None,
            permit => Some(permit?),
        };
        let family = FamilyId::parse(family).ok_or(NO_FAMILY)?;
        families::get(&mut self.db.read(), family).await?.ok_or(NO_FAMILY)?;
        let permit = permit.ok_or(NOT_SUB)?;
        let at_once = actor.is_system() || self.settings.join == Join::Open;
        let new = NewMember {
            family,
            nickname: nickname.map(Name::new),
            position: Position::Guardian,
            approved_by: actor.account().filter(|_| at_once),
        };
        let now = self.now();
        let (id, written) = transact!(self.db, tx => {
            let mut journal = Journal::open(&mut tx, family, now).await.map_err(no_family)?;
            let id = self.enter_family(&mut tx, &mut journal, &permit, &new).await?;
            Ok::<_, Error>((id, journal.close(&mut tx).await?))
        })?;
        self.rights_changed().await;
        self.written(&written);
        Ok(id)
    }

    /// Makes a guardian a member of a family, or notes that he asks to be one, and tells whom it concerns.
    pub(crate) async fn enter_family(
        &self,
        tx: &mut Tx,
        journal: &mut Journal,
        permit: &Permit<AccountId>,
        new: &NewMember,
    ) -> Result<MemberId> {
        let user = *permit.resource();
        tx.lock_one("SELECT 1 FROM accounts WHERE id = ?", params![user]).await?;
        match accounts::get(tx, user).await? {
            Some(account) if account.role == Role::Sub => {}
            _ => return Err(NOT_SUB),
        }
        let of = families::get(tx, new.family).await?.ok_or(NO_FAMILY)?;
        let created = members::create(tx, permit, new, journal.now(), &*self.rng).await;
        let id = created.map_err(|error| match error {
            DbError::Duplicate { .. } => TAKEN,
            other => other.into(),
        })?;
        match new.approved_by {
            Some(_) => tell(journal, "approved", id, user),
            None => tell_two(journal, "asked", id, user, of.main_user),
        }
        Ok(id)
    }

    /// The approved members of a family in its order, each with what to call him.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators.
    pub async fn list_places(&self, actor: &Actor, family: &str) -> Result<Vec<(Place, String)>> {
        let permit = self.family(actor, family, Action::MemberListOfFamily).await?;
        let mut tx = self.db.read();
        let names = members::named(&mut tx, *permit.resource()).await?;
        let name = |user| names.iter().find(|(other, _)| *other == user).map(|(_, name)| name.clone());
        let places = members::placed(&mut tx, *permit.resource()).await?;
        Ok(places
            .into_iter()
            .map(|place| {
                let name = name(place.user_id).unwrap_or_default();
                (place, name)
            })
            .collect())
    }

    /// Approved memberships: of a family, of an account, of both, or (for operators) of everybody.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators.
    pub async fn list_members(&self, actor: &Actor, family: Option<&str>, user: Option<&str>) -> Result<Vec<Member>> {
        if family.is_none() && user.is_none() {
            general(actor, Action::MemberListAll)?;
        }
        let family = match family {
            Some(family) => Some(*self.family(actor, family, Action::MemberListOfFamily).await?.resource()),
            None => None,
        };
        let user = match user {
            Some(user) => match self.account(actor, user, Action::MemberListOfAccount).await {
                Err(Error::NotFound(_)) => return Ok(Vec::new()),
                permit => Some(*permit?.resource()),
            },
            None => None,
        };
        Ok(members::list(&mut self.db.read(), family, user).await?)
    }

    /// The membership of a request and permission for it; not found comes before forbidden.
    async fn member(&self, actor: &Actor, member: &str, action: Action) -> Result<(Member, Permit<MemberId>)> {
        let id = MemberId::parse(member).ok_or(MISSING)?;
        let row = members::get(&mut self.db.read(), id).await?.ok_or(MISSING)?;
        let permit = member_permit(actor, row.family_id, row.user_id, action, id)?;
        Ok((row, permit))
    }

    /// A membership.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`].
    pub async fn get_member(&self, actor: &Actor, member: &str) -> Result<Member> {
        Ok(self.member(actor, member, Action::MemberRead).await?.0)
    }

    /// Changes what a member is called; the new state.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`].
    pub async fn update_member(&self, actor: &Actor, member: &str, nickname: Option<String>) -> Result<Member> {
        let (_, permit) = self.member(actor, member, Action::MemberUpdate).await?;
        let nickname = nickname.map(Name::new);
        transact!(self.db, tx => {
            members::update(&mut tx, &permit, nickname.as_ref()).await?;
            members::get(&mut tx, *permit.resource()).await?.ok_or(MISSING)
        })
    }

    /// Says in which capacity somebody belongs to a family, and where in its order: who is told of an alarm first. Those behind
    /// move down. The family in its new order.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`], [`Error::Invalid`].
    pub async fn place_member(
        &self,
        actor: &Actor,
        member: &str,
        position: Option<&str>,
        order: Option<i64>,
    ) -> Result<Vec<Place>> {
        let (row, _) = self.member(actor, member, Action::RuleUpdate).await?;
        let permit = Permit::ask(actor.relations_to_family(row.family_id), Action::RuleUpdate, row.family_id)?;
        let position = position.map(|name| Position::parse(name).ok_or(Error::Invalid(POSITION))).transpose()?;
        if order.is_some_and(|order| order < 1) {
            return Err(Error::Invalid(ORDER));
        }
        let now = self.now();
        let (places, written) = transact!(self.db, tx => {
            let mut journal = Journal::open(&mut tx, row.family_id, now).await.map_err(no_family)?;
            let mut places = members::placed(&mut tx, row.family_id).await?;
            let from = places.iter().position(|place| place.id == row.id).ok_or(MISSING)?;
            let mut moved = places.remove(from);
            moved.position = position.unwrap_or(moved.position);
            let to = order.map_or(from, |order| usize::try_from(order - 1).unwrap_or(usize::MAX));
            places.insert(to.min(places.len()), moved);
            for (place, order) in places.iter_mut().zip(1..) {
                place.order = order;
            }
            members::set_places(&mut tx, &permit, &places).await?;
            tell(&mut journal, "order", row.id, row.user_id);
            Ok::<_, Error>((places, journal.close(&mut tx).await?))
        })?;
        self.written(&written);
        Ok(places)
    }

    /// Leaves a family. Whoever calls proves it with his own password.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`], [`Error::Unauthorized`].
    pub async fn leave_family(&self, actor: &Actor, member: &str, password: &str) -> Result<()> {
        self.remove_member(actor, member, password, Action::MemberLeave).await
    }

    /// Removes somebody from a family. Whoever calls proves it with his own password.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`], [`Error::Unauthorized`].
    pub async fn kick_member(&self, actor: &Actor, member: &str, password: &str) -> Result<()> {
        self.remove_member(actor, member, password, Action::MemberKick).await
    }

    async fn remove_member(&self, actor: &Actor, member: &str, password: &str, action: Action) -> Result<()> {
        let (row, permit) = self.member(actor, member, action).await?;
        self.own_password(actor, password).await?;
        let what = if action == Action::MemberKick { "kicked" } else { "left" };
        let now = self.now();
        let written = transact!(self.db, tx => {
            let mut journal = Journal::open(&mut tx, row.family_id, now).await.map_err(no_family)?;
            if !members::delete(&mut tx, &permit).await? {
                return Err(MISSING);
            }
            tell(&mut journal, what, row.id, row.user_id);
            Ok::<_, Error>(journal.close(&mut tx).await?)
        })?;
        self.rights_changed().await;
        self.written(&written);
        Ok(())
    }

    /// Open requests: to the caller's family and by the caller himself; for operators all.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn list_join_requests(&self, actor: &Actor) -> Result<Vec<JoinRequest>> {
        general(actor, Action::JoinRequestList)?;
        let mut tx = self.db.read();
        if actor.is_system() {
            return Ok(members::requests(&mut tx, None, None).await?);
        }
        let mut open = match actor.own_family() {
            Some(family) => members::requests(&mut tx, Some(family), None).await?,
            None => Vec::new(),
        };
        open.extend(members::requests(&mut tx, None, actor.account()).await?);
        Ok(open)
    }

    /// Approves a request; the membership it became.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`].
    pub async fn approve_join_request(&self, actor: &Actor, member: &str) -> Result<Member> {
        let (request, permit) = self.join_request(actor, member, Action::JoinRequestApprove).await?;
        let (by, now) = (actor.account().ok_or(Error::Forbidden)?, self.now());
        let (member, written) = transact!(self.db, tx => {
            let mut journal = Journal::open(&mut tx, request.family_id, now).await.map_err(no_family)?;
            if !members::approve(&mut tx, &permit, by, now).await? {
                return Err(NO_REQUEST);
            }
            let member = members::get(&mut tx, *permit.resource()).await?.ok_or(NO_REQUEST)?;
            tell(&mut journal, "approved", member.id, member.user_id);
            Ok::<_, Error>((member, journal.close(&mut tx).await?))
        })?;
        self.rights_changed().await;
        self.written(&written);
        Ok(member)
    }

    /// Refuses a request, or withdraws one's own.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`].
    pub async fn delete_join_request(&self, actor: &Actor, member: &str) -> Result<()> {
        let (request, permit) = self.join_request(actor, member, Action::JoinRequestDelete).await?;
        let what = if actor.account() == Some(request.user_id) { "withdrawn" } else { "refused" };
        let now = self.now();
        let written = transact!(self.db, tx => {
            let mut journal = Journal::open(&mut tx, request.family_id, now).await.map_err(no_family)?;
            // It may be approved at this moment: a member is not removed this way.
            tx.lock_one("SELECT 1 FROM members WHERE id = ?", params![*permit.resource()]).await?;
            if members::request_by_id(&mut tx, *permit.resource()).await?.is_none() {
                return Err(NO_REQUEST);
            }
            members::delete(&mut tx, &permit).await?;
            if let Some(family) = families::get(&mut tx, request.family_id).await? {
                tell_two(&mut journal, what, request.id, request.user_id, family.main_user);
            }
            Ok::<_, Error>(journal.close(&mut tx).await?)
        })?;
        self.rights_changed().await;
        self.written(&written);
        Ok(())
    }

    async fn join_request(
        &self,
        actor: &Actor,
        member: &str,
        action: Action,
    ) -> Result<(JoinRequest, Permit<MemberId>)> {
        let id = MemberId::parse(member).ok_or(NO_REQUEST)?;
        let row = members::request_by_id(&mut self.db.read(), id).await?.ok_or(NO_REQUEST)?;
        let permit = member_permit(actor, row.family_id, row.user_id, action, id)?;
        Ok((row, permit))
    }
}

/// A membership concerns a family and an account: relations to both count, that of being the account's own included.
fn member_permit(
    actor: &Actor,
    family: FamilyId,
    user: AccountId,
    action: Action,
    id: MemberId,
) -> Result<Permit<MemberId>> {
    let relations = actor.relations_to_family(family).with_if(actor.account() == Some(user), Relation::Own);
    Ok(Permit::ask(relations, action, id)?)
}

/// The family went away meanwhile.
pub(crate) fn no_family(error: DbError) -> Error {
    match error {
        DbError::MissingParent => NO_FAMILY,
        other => other.into(),
    }
}

/// Tells the family that its members have changed.
pub(crate) fn tell(journal: &mut Journal, what: &str, member: MemberId, user: AccountId) {
    journal.event(EventKind::Membership, &json!({"what": what, "member_id": member, "user_id": user}));
}

/// Tells of a request to join, which concerns the elder and who asks.
fn tell_two(journal: &mut Journal, what: &str, member: MemberId, user: AccountId, elder: AccountId) {
    let body = json!({"what": what, "member_id": member, "user_id": user});
    journal.event_between(EventKind::Membership, Some((elder, user)), &body);
}
