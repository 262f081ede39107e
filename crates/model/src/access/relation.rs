//! How a caller stands towards what he asks for.

use crate::wire_enum;

wire_enum!(
    /// One relation of a caller to a family or an account. A caller can stand in several at once.
    Relation {
        /// An operator.
        System = "system",
        /// The elder: owner of the family, or an elder towards his own account.
        Main = "main",
        /// An approved member of the family.
        Member = "member",
        /// Has asked to join the family; nobody approved it yet.
        Unapproved = "unapproved",
        /// The account is the caller's own.
        Own = "self",
        /// An approved member of the family that the account owns.
        GuardianOf = "guardian_of",
        /// The owner of a family that the account is an approved member of.
        WardOf = "ward_of",
        /// May read something that refers to the picture in question.
        Referred = "referred",
        /// Signed in, nothing else.
        Stranger = "stranger",
        /// Signed in with the role `test`, nothing else.
        Test = "test",
        /// Not signed in.
        Anonymous = "anonymous",
    }
);

/// A set of relations.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Relations(u16);

impl Relations {
    /// The set of one.
    pub const fn of(relation: Relation) -> Self {
        Self(1 << relation as u16)
    }

    /// This set and one more.
    #[must_use]
    pub const fn with(self, relation: Relation) -> Self {
        Self(self.0 | Self::of(relation).0)
    }

    /// This set, and one more if a condition holds.
    #[must_use]
    pub const fn with_if(self, condition: bool, relation: Relation) -> Self {
        if condition { self.with(relation) } else { self }
    }

    /// Whether the relation is in the set.
    pub const fn contains(self, relation: Relation) -> bool {
        self.0 & Self::of(relation).0 != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The relations of the set.
    pub fn iter(self) -> impl Iterator<Item = Relation> {
        Relation::ALL.iter().copied().filter(move |relation| self.contains(*relation))
    }
}

impl std::fmt::Debug for Relations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
