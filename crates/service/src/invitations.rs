//! Invitations into a family: a link that lets whoever holds it join, once and for two days.

use carebot_database::authentication::TokenHash;
use carebot_database::invitations::{self, Invitation};
use carebot_database::journal::Journal;
use carebot_database::members::NewMember;
use carebot_database::{DbError, accounts, members, transact};
use carebot_model::access::{Action, Actor, Permit, Relation, Relations};
use carebot_model::accounts::Role;
use carebot_model::members::Position;
use carebot_model::text::{Name, hexadecimal};
use carebot_model::{FamilyId, RowId, Timestamp};

use crate::access::general;
use crate::members::{TAKEN, no_family, tell};
use crate::{Error, Join, Result, Service};

/// There is no such invitation, or it was taken back.
pub const MISSING: Error = Error::NotFound("Invitation not found");
/// Somebody has joined with it.
pub const USED: Error = Error::Conflict("Invitation was used");
/// It is too old, or whoever made it does not belong to the family any more.
pub const EXPIRED: Error = Error::Conflict("Invitation has expired");
/// A family has as many as it may.
pub const ENOUGH: Error = Error::Conflict("Too many open invitations");

/// How long an invitation is good, in milliseconds.
const LASTS: i64 = 48 * 3_600_000;
/// How long one that is over is known, so that it can be said that it is.
const KNOWN: i64 = 30 * 24 * 3_600_000;
/// The most that a family has open at once.
const OPEN: usize = 20;

/// A new invitation. The token is given out here and never again.
#[derive(Clone)]
pub struct Made {
    /// What lets its holder in.
    pub token: String,
    /// Until when.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for Made {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Made").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Whether an invitation can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It can.
    Open,
    /// Somebody has.
    Used,
    /// Not any more.
    Expired,
}

/// An invitation as whoever holds the link sees it.
#[derive(Clone, Debug)]
pub struct Invited {
    /// What the family is called.
    pub family_name: Option<String>,
    /// Who invites.
    pub inviter: Option<String>,
    /// Whether it can be used.
    pub state: State,
    /// Until when.
    pub expires_at: Timestamp,
    /// Whether nobody has to approve.
    pub is_at_once: bool,
}

/// Into what somebody came by an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The family.
    pub family: FamilyId,
    /// Whether he belongs to it now; else somebody has to approve.
    pub is_member: bool,
}

impl Service {
    /// Makes an invitation into a family.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators, [`Error::Conflict`] if too many are open.
    pub async fn invite(&self, actor: &Actor, family: &str) -> Result<Made> {
        let permit = self.family(actor, family, Action::InvitationCreate).await?;
        let by = actor.account().ok_or(Error::Forbidden)?;
        let mut bytes = [0_u8; 16];
        self.random(&mut bytes);
        let token = hexadecimal(&bytes);
        let now = self.now();
        let expires_at = now.plus_millis(LASTS);
        let id = self.next_id(now)?;
        let made = transact!(self.db, tx => {
            invitations::forget(&mut tx, &permit, now.plus_millis(-KNOWN)).await?;
            if invitations::open(&mut tx, &permit, now).await?.len() >= OPEN {
                return Err(ENOUGH);
            }
            invitations::create(&mut tx, &permit, (id, TokenHash::of(&token)), by, (now, expires_at)).await?;
            Ok(())
        });
        match made {
            Ok(()) => Ok(Made { token, expires_at }),
            // The family went away meanwhile.
            Err(Error::Internal(DbError::MissingParent)) => Err(Error::Forbidden),
            Err(error) => Err(error),
        }
    }

    /// A family's invitations that can still be used, the newest first.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] of the family for operators.
    pub async fn list_invitations(&self, actor: &Actor, family: &str) -> Result<Vec<Invitation>> {
        let permit = self.family(actor, family, Action::InvitationCreate).await?;
        Ok(invitations::open(&mut self.db.read(), &permit, self.now()).await?)
    }

    /// Takes an invitation back.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn delete_invitation(&self, actor: &Actor, family: &str, id: RowId) -> Result<()> {
        let permit = self.family(actor, family, Action::InvitationCreate).await?;
        let existed = transact!(self.db, tx => { invitations::delete(&mut tx, &permit, id).await })?;
        if existed { Ok(()) } else { Err(MISSING) }
    }

    /// What somebody who is signed in and holds the link is invited to.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without a session, [`Error::NotFound`].
    pub async fn invitation(&self, actor: &Actor, token: &str) -> Result<Invited> {
        general(actor, Action::FamilyNameRead)?;
        let invitation = invitations::find(&mut self.db.read(), TokenHash::of(token)).await?.ok_or(MISSING)?;
        Ok(Invited {
            state: self.state_of(&invitation).await?,
            is_at_once: self.is_at_once(&invitation),
            family_name: invitation.family_name.filter(|name| !name.is_empty()),
            inviter: invitation.creator.filter(|name| !name.is_empty()),
            expires_at: invitation.expires_at,
        })
    }

    /// Joins the family one is invited to: at once if its elder invites, else by a request that the elder approves.
    ///
    /// # Errors
    /// In this order: [`Error::Forbidden`], [`Error::NotFound`], [`Error::Conflict`] if it was used or has expired,
    /// [`Error::Invalid`] if the account is no guardian's, [`Error::Conflict`] if it belongs to the family or has asked already.
    pub async fn accept_invitation(&self, actor: &Actor, token: &str, nickname: Option<String>) -> Result<Joined> {
        let user = actor.account().ok_or(Error::Forbidden)?;
        let permit = self.account_id(actor, user, Action::MemberJoin).await?;
        let invitation = invitations::find(&mut self.db.read(), TokenHash::of(token)).await?.ok_or(MISSING)?;
        match self.state_of(&invitation).await? {
            State::Open => {}
            State::Used => return Err(USED),
            State::Expired => return Err(EXPIRED),
        }
        let (family, now) = (invitation.family, self.now());
        let new = NewMember {
            family,
            nickname: nickname.map(Name::new),
            position: Position::Guardian,
            approved_by: self.is_at_once(&invitation).then_some(invitation.created_by),
        };
        let written = transact!(self.db, tx => {
            let mut journal = Journal::open(&mut tx, family, now).await.map_err(no_family)?;
            if !invitations::use_up(&mut tx, invitation.id, user, now).await? {
                return Err(USED);
            }
            let asked = members::requests(&mut tx, Some(family), Some(user)).await?.into_iter().next();
            match (asked, new.approved_by) {
                (Some(request), Some(by)) => {
                    // The elder's invitation is the answer to what was asked before.
                    let approves = Permit::ask(Relations::of(Relation::Main), Action::JoinRequestApprove, request.id)?;
                    members::approve(&mut tx, &approves, by, now).await?;
                    tell(&mut journal, "approved", request.id, user);
                }
                (Some(_), None) => return Err(TAKEN),
                (None, _) => self.enter_family(&mut tx, &mut journal, &permit, &new).await.map(drop)?,
            }
            Ok::<_, Error>(journal.close(&mut tx).await?)
        })?;
        self.rights_changed().await;
        self.written(&written);
        Ok(Joined { family, is_member: new.approved_by.is_some() })
    }

    /// Whether whoever comes with an invitation belongs to the family at once.
    fn is_at_once(&self, invitation: &Invitation) -> bool {
        invitation.created_by == invitation.main_user || self.settings.join == Join::Open
    }

    async fn state_of(&self, invitation: &Invitation) -> Result<State> {
        if invitation.used_at.is_some() {
            return Ok(State::Used);
        }
        let (family, by) = (invitation.family, invitation.created_by);
        let mut tx = self.db.read();
        // Who left the family does not bring anybody into it any more.
        let may_invite = by == invitation.main_user
            || members::is_member(&mut tx, family, by).await?
            || accounts::get(&mut tx, by).await?.is_some_and(|account| account.role == Role::System);
        Ok(if may_invite && invitation.expires_at > self.now() { State::Open } else { State::Expired })
    }
}
