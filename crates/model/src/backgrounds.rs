//! The album of a family: pictures the robot shows in the background.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{AccountId, FamilyId, RowId, wire_enum};

wire_enum!(
    /// Whose pictures a list shows.
    Uploader {
        /// Everybody's.
        All = "all",
        /// One's own.
        Mine = "mine",
    }
);

/// A picture in a family's album.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Background {
    /// Its number.
    pub id: RowId,
    /// The family.
    pub family_id: FamilyId,
    /// Who added it.
    pub uploader_id: AccountId,
    /// Where the picture is.
    pub image_url: Option<String>,
}

/// The answer to adding a picture, where the contract calls the number `index`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AddedBackground {
    /// Its number.
    pub index: RowId,
    /// The family.
    pub family_id: FamilyId,
    /// Who added it.
    pub uploader_id: AccountId,
    /// Where the picture is.
    pub image_url: Option<String>,
}

impl From<Background> for AddedBackground {
    fn from(row: Background) -> Self {
        Self { index: row.id, family_id: row.family_id, uploader_id: row.uploader_id, image_url: row.image_url }
    }
}
