//! Memberships: which guardian or care worker belongs to which family.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{AccountId, FamilyId, MemberId, Timestamp, wire_enum};

wire_enum!(
    /// In which capacity somebody belongs to a family.
    Position {
        /// Family or friend.
        Guardian = "guardian",
        /// Professional care worker.
        CareWorker = "care_worker",
        /// Staff of the operating institution.
        Staff = "staff",
    }
);

/// An approved membership.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// The family.
    pub family_id: FamilyId,
    /// The guardian's account.
    pub user_id: AccountId,
    /// What the elder calls the guardian, at most 32 code points.
    pub nickname: Option<String>,
}

/// Where a member stands in the family: who is told of an alarm when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Place {
    /// The membership.
    pub id: MemberId,
    /// The member's account.
    pub user_id: AccountId,
    /// What the elder calls the member.
    pub nickname: Option<String>,
    /// In which capacity.
    pub position: Position,
    /// The place in the family's order, from 1.
    pub order: i32,
}

/// A request to join a family that nobody has approved yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct JoinRequest {
    /// The id the membership will have.
    pub id: MemberId,
    /// The family.
    pub family_id: FamilyId,
    /// Who asks.
    pub user_id: AccountId,
    /// The name of who asks, so that the elder can tell.
    pub user_name: Option<String>,
    /// What the asker wants to be called.
    pub nickname: Option<String>,
    /// When it was asked.
    pub created_at: Timestamp,
}
