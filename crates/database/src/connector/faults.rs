//! Breaking a database on purpose: for simulations of what happens when it fails at the worst moment.

use std::fmt::Debug;

use crate::Result;

/// A moment at which a database can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before a statement that reads.
    Read,
    /// Before a transaction begins.
    Begin,
    /// Before a statement that writes.
    Write,
    /// Before a commit.
    Commit,
    /// After a commit, before the program learns of it.
    Committed,
}

/// Says at each moment whether the database fails then. What it answers is what the program sees.
pub trait Faults: Debug + Send + Sync {
    /// Whether it fails now.
    ///
    /// # Errors
    /// What the program is to see. After [`Moment::Committed`] the transaction stays, whatever this says.
    fn at(&self, moment: Moment) -> Result<()>;
}
