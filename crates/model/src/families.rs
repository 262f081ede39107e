//! Families: an elder (the main user) and the people who look after them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::accounts::Gender;
use crate::{AccountId, Date, FamilyId};

/// A family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Family {
    /// Its id.
    pub id: FamilyId,
    /// The elder who owns it.
    pub main_user: AccountId,
    /// Its name, at most 32 code points.
    pub family_name: Option<String>,
}

/// What a guardian must know of an elder to find the family: an exact match on all four.
#[derive(Clone, Debug)]
pub struct FamilySearch {
    /// The elder's name.
    pub user_name: String,
    /// The elder's day of birth.
    pub birth_date: Date,
    /// The elder's gender.
    pub gender: Gender,
    /// The elder's address; old and new names of a region are the same place.
    pub address: String,
}

/// A family that was found, with what was searched for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FoundFamily {
    /// The family's id.
    pub family_id: FamilyId,
    /// The family's name.
    pub family_name: Option<String>,
    /// The elder's account.
    pub account_id: AccountId,
    /// The elder's name.
    pub account_name: Option<String>,
    /// The elder's day of birth.
    pub account_birth_date: Option<Date>,
    /// The elder's gender.
    pub account_gender: Option<Gender>,
    /// The elder's address as stored.
    pub account_address: Option<String>,
}
