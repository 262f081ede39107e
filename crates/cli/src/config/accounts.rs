//! Rules for accounts.

use super::setting::section;

section! {
    /// Rules for accounts.
    pub struct Accounts in "accounts" {
        /// Fewest characters of a new password. Passwords that exist already keep working.
        password_min_length: usize = 8, in 1..=128, unit "characters";
    }
}
