//! Who calls.

use crate::accounts::Role;
use crate::authentication::SessionKind;
use crate::{AccountId, FamilyId, RowId};

use super::{Relation, Relations};

/// An approved or requested membership of an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The family.
    pub family: FamilyId,
    /// The elder who owns it.
    pub main_user: AccountId,
    /// Whether the membership is approved.
    pub approved: bool,
}

/// The session an actor came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its number.
    pub id: RowId,
    /// Who holds it.
    pub kind: SessionKind,
}

/// Who calls: anonymous is an actor too.
#[derive(Clone, Debug)]
pub enum Actor {
    /// No valid session.
    Anonymous,
    /// A signed-in account.
    Account {
        /// The account.
        id: AccountId,
        /// What it is.
        role: Role,
        /// The family it owns.
        family: Option<FamilyId>,
        /// The families it belongs to or has asked to join.
        memberships: Vec<Membership>,
        /// The session it came with.
        session: SessionInfo,
    },
}

impl Actor {
    /// The operator at the command line: may do what the system may, is no stored account and has no stored session.
    ///
    /// # Panics
    /// Never: its id is a valid one.
    pub fn operator() -> Self {
        Self::Account {
            id: AccountId::parse("U000000000000000").expect("sixteen letters and digits are an id"),
            role: Role::System,
            family: None,
            memberships: Vec::new(),
            session: SessionInfo { id: RowId(0), kind: SessionKind::Person },
        }
    }

    /// The account, if signed in.
    pub const fn account(&self) -> Option<AccountId> {
        match self {
            Self::Anonymous => None,
            Self::Account { id, .. } => Some(*id),
        }
    }

    /// The role, if signed in.
    pub const fn role(&self) -> Option<Role> {
        match self {
            Self::Anonymous => None,
            Self::Account { role, .. } => Some(*role),
        }
    }

    /// The session, if signed in.
    pub const fn session(&self) -> Option<SessionInfo> {
        match self {
            Self::Anonymous => None,
            Self::Account { session, .. } => Some(*session),
        }
    }

    /// Whether this is an operator.
    pub const fn is_system(&self) -> bool {
        matches!(self, Self::Account { role: Role::System, .. })
    }

    /// The family that this account owns.
    pub const fn own_family(&self) -> Option<FamilyId> {
        match self {
            Self::Anonymous => None,
            Self::Account { family, .. } => *family,
        }
    }

    /// The elders that this account looks after.
    pub fn wards(&self) -> impl Iterator<Item = AccountId> {
        let memberships = match self {
            Self::Anonymous => &[],
            Self::Account { memberships, .. } => memberships.as_slice(),
        };
        memberships.iter().filter(|membership| membership.approved).map(|membership| membership.main_user)
    }

    /// The families whose matters this account may read: its own, and those it is an approved member of.
    pub fn families(&self) -> impl Iterator<Item = FamilyId> {
        let memberships = match self {
            Self::Anonymous => &[],
            Self::Account { memberships, .. } => memberships.as_slice(),
        };
        let joined = memberships.iter().filter(|membership| membership.approved).map(|membership| membership.family);
        self.own_family().into_iter().chain(joined)
    }

    /// The relations towards nothing in particular.
    pub fn relations(&self) -> Relations {
        match self {
            Self::Anonymous => Relations::of(Relation::Anonymous),
            Self::Account { .. } => self.or_stranger(Relations::default().with_if(self.is_system(), Relation::System)),
        }
    }

    /// The relations towards a family.
    pub fn relations_to_family(&self, to: FamilyId) -> Relations {
        let Self::Account { family, memberships, .. } = self else {
            return Relations::of(Relation::Anonymous);
        };
        let mut relations = Relations::default()
            .with_if(self.is_system(), Relation::System)
            .with_if(*family == Some(to), Relation::Main);
        for membership in memberships.iter().filter(|membership| membership.family == to) {
            relations = relations.with(if membership.approved { Relation::Member } else { Relation::Unapproved });
        }
        self.or_stranger(relations)
    }

    /// The relations towards an account, less [`Relation::WardOf`], which needs a look at the family's members.
    pub fn relations_to_account(&self, to: AccountId) -> Relations {
        let Self::Account { id, role, .. } = self else {
            return Relations::of(Relation::Anonymous);
        };
        let own = *id == to;
        let relations = Relations::default()
            .with_if(self.is_system(), Relation::System)
            .with_if(own, Relation::Own)
            .with_if(own && *role == Role::Main, Relation::Main)
            .with_if(self.wards().any(|ward| ward == to), Relation::GuardianOf);
        self.or_stranger(relations)
    }

    fn or_stranger(&self, relations: Relations) -> Relations {
        if relations.is_empty() {
            Relations::of(if self.role() == Some(Role::Test) { Relation::Test } else { Relation::Stranger })
        } else {
            relations
        }
    }
}
