//! Proof that somebody may do something.

use super::{Action, Relations, rules};

/// Proof that an action on a resource was allowed. Only [`Permit::ask`] makes one, so a data function that demands it
/// cannot be called without asking.
#[derive(Clone, Copy, Debug)]
pub struct Permit<R> {
    resource: R,
    action: Action,
}

/// The action is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied;

impl<R> Permit<R> {
    /// Asks the policy. A program that acts on its operator's behalf asks with
    /// [`Relation::System`](super::Relation::System).
    ///
    /// # Errors
    /// [`Denied`] if none of the relations allows the action.
    pub fn ask(relations: Relations, action: Action, resource: R) -> Result<Self, Denied> {
        if rules::allows(relations, action) { Ok(Self { resource, action }) } else { Err(Denied) }
    }

    /// What it is about.
    pub const fn resource(&self) -> &R {
        &self.resource
    }

    /// What is allowed.
    pub const fn action(&self) -> Action {
        self.action
    }
}
