//! Accounts: the elder (main), guardians and care workers (sub), operators (system).

use schemars::JsonSchema;
use serde::Serialize;

use crate::text::{Address, Email, Name};
use crate::{AccountId, Date, wire_enum};

wire_enum!(
    /// What an account is.
    Role {
        /// Without rights of its own; kept for existing data.
        Test = "test",
        /// An operator: may do everything the policy gives to the system.
        System = "system",
        /// The elder, who owns a family and whose account the robot uses.
        Main = "main",
        /// A guardian or care worker, who joins families.
        Sub = "sub",
    }
);

impl Role {
    /// Only an operator may hand out this role.
    pub const fn is_privileged(self) -> bool {
        matches!(self, Self::System | Self::Test)
    }
}

wire_enum!(
    /// Gender as the front ends ask for it.
    Gender {
        /// Male.
        Male = "male",
        /// Female.
        Female = "female",
        /// Neither, or not said.
        Other = "other",
    }
);

/// An account as everybody with the right to it sees it. Never the password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The e-mail address it signs in with, as typed.
    pub email: String,
    /// What it is.
    pub role: Role,
    /// The person's name, at most 32 code points.
    pub user_name: Option<String>,
    /// The day of birth.
    pub birth_date: Option<Date>,
    /// Gender.
    pub gender: Option<Gender>,
    /// Postal address, "province district", at most 128 code points.
    pub address: Option<String>,
}

/// What is needed to make an account; the password comes as a hash, beside it.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The address to sign in with.
    pub email: Email,
    /// What it will be.
    pub role: Role,
    /// The person's name.
    pub user_name: Option<Name>,
    /// The day of birth.
    pub birth_date: Option<Date>,
    /// Gender; absent is stored as [`Gender::Other`].
    pub gender: Gender,
    /// Postal address.
    pub address: Option<Address>,
}

/// A change of an account; `None` leaves as it is.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    /// A new address to sign in with.
    pub email: Option<Email>,
    /// A new role.
    pub role: Option<Role>,
    /// A new name.
    pub user_name: Option<Name>,
    /// A new day of birth.
    pub birth_date: Option<Date>,
    /// A new gender.
    pub gender: Option<Gender>,
    /// A new address.
    pub address: Option<Address>,
}
