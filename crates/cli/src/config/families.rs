//! Rules for families.

use super::setting::section;
use super::value::choice;

section! {
    /// Rules for families.
    pub struct Families in "families" {
        /// What happens when somebody asks to join a family. `approval`: the family's main user or a system account must
        /// approve; until then the asker sees nothing of the family. `open`: whoever knows the family is in at once, as in
        /// the original system, whose pages have no approval.
        join: Join = Join::Approval;
    }
}

choice! {
    /// How one joins a family.
    pub enum Join {
        /// Somebody must approve.
        Approval = "approval",
        /// At once.
        Open = "open",
    }
}
