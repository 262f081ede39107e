//! Memberships, and requests for them.

use carebot_database::members::NewMember;
use carebot_database::{DbError, accounts, families, members, params, transact};
use carebot_model::access::{Action, Actor, Permit, Relation};
use carebot_model::accounts::Role;
use carebot_model::members::{JoinRequest, Member, Position};
use carebot_model::text::Name;
use carebot_model::{AccountId, FamilyId, MemberId};

use crate::access::general;
use crate::{Error, Join, Result, Service};

const MISSING: Error = Error::NotFound("Member not found");
const NO_REQUEST: Error = Error::NotFound("Join request not found");
const NOT_SUB: Error = Error::Invalid("User not found or is not a sub user");

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
        let no_family = Error::NotFound("Family not found");
        let family = FamilyId::parse(family).ok_or(no_family)?;
        families::get(&mut self.db.read(), family).await?.ok_or(Error::NotFound("Family not found"))?;
        let permit = permit.ok_or(NOT_SUB)?;
        let at_once = actor.is_system() || self.settings.join == Join::Open;
        let new = NewMember {
            family,
            nickname: nickname.map(Name::new),
            position: Position::Guardian,
            approved_by: actor.account().filter(|_| at_once),
        };
        let now = self.now();
        let id = transact!(self.db, tx => {
            tx.lock_one("SELECT 1 FROM accounts WHERE id = ?", params![*permit.resource()]).await?;
            match accounts::get(&mut tx, *permit.resource()).await? {
                Some(account) if account.role == Role::Sub => {}
                _ => return Err(NOT_SUB),
            }
            families::get(&mut tx, family).await?.ok_or(Error::NotFound("Family not found"))?;
            members::create(&mut tx, &permit, &new, now, &*self.rng).await.map_err(|error| match error {
                DbError::Duplicate { .. } => Error::Conflict("Member already exists in family"),
                other => other.into(),
            })
        })?;
        self.sessions.forget_all();
        Ok(id)
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
        let (_, permit) = self.member(actor, member, action).await?;
        self.own_password(actor, password).await?;
        let existed = transact!(self.db, tx => { members::delete(&mut tx, &permit).await })?;
        self.sessions.forget_all();
        if existed { Ok(()) } else { Err(MISSING) }
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
        let permit = self.join_request(actor, member, Action::JoinRequestApprove).await?;
        let (by, now) = (actor.account().ok_or(Error::Forbidden)?, self.now());
        let member = transact!(self.db, tx => {
            if !members::approve(&mut tx, &permit, by, now).await? {
                return Err(NO_REQUEST);
            }
            members::get(&mut tx, *permit.resource()).await?.ok_or(NO_REQUEST)
        })?;
        self.sessions.forget_all();
        Ok(member)
    }

    /// Refuses a request, or withdraws one's own.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`].
    pub async fn delete_join_request(&self, actor: &Actor, member: &str) -> Result<()> {
        let permit = self.join_request(actor, member, Action::JoinRequestDelete).await?;
        let existed = transact!(self.db, tx => {
            // It may be approved at this moment: a member is not removed this way.
            tx.lock_one("SELECT 1 FROM members WHERE id = ?", params![*permit.resource()]).await?;
            if members::request_by_id(&mut tx, *permit.resource()).await?.is_none() {
                return Ok::<_, DbError>(false);
            }
            members::delete(&mut tx, &permit).await
        })?;
        self.sessions.forget_all();
        if existed { Ok(()) } else { Err(NO_REQUEST) }
    }

    async fn join_request(&self, actor: &Actor, member: &str, action: Action) -> Result<Permit<MemberId>> {
        let id = MemberId::parse(member).ok_or(NO_REQUEST)?;
        let row = members::request_by_id(&mut self.db.read(), id).await?.ok_or(NO_REQUEST)?;
        member_permit(actor, row.family_id, row.user_id, action, id)
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
