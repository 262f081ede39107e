//! From the ids of a request to permits.

use carebot_database::{accounts, families, members};
use carebot_model::access::{Action, Actor, Permit, Relation};
use carebot_model::{AccountId, FamilyId};

use crate::{Error, Result, Service};

/// Permission for something that concerns nothing in particular.
pub fn general(actor: &Actor, action: Action) -> Result<Permit<()>> {
    Ok(Permit::ask(actor.relations(), action, ())?)
}

impl Service {
    /// Permission for a family, named as in a request. Only the system learns that there is no such family.
    pub(crate) async fn family(&self, actor: &Actor, family: &str, action: Action) -> Result<Permit<FamilyId>> {
        let id = FamilyId::parse(family);
        if actor.is_system() {
            let id = id.ok_or(Error::NotFound("Family not found"))?;
            let known = families::get(&mut self.db.read(), id).await?;
            return match known {
                Some(_) => Ok(Permit::ask(actor.relations_to_family(id), action, id)?),
                None => Err(Error::NotFound("Family not found")),
            };
        }
        let id = id.ok_or(Error::Forbidden)?;
        Ok(Permit::ask(actor.relations_to_family(id), action, id)?)
    }

    /// Permission for an account, named as in a request; whether it exists is not looked at.
    pub(crate) async fn account(&self, actor: &Actor, account: &str, action: Action) -> Result<Permit<AccountId>> {
        let denied = if actor.is_system() { Error::NotFound("Account not found") } else { Error::Forbidden };
        let id = AccountId::parse(account).ok_or(denied)?;
        self.account_id(actor, id, action).await
    }

    /// As [`Service::account`], with an id that was read already.
    pub(crate) async fn account_id(&self, actor: &Actor, id: AccountId, action: Action) -> Result<Permit<AccountId>> {
        let mut relations = actor.relations_to_account(id);
        if let (Some(family), Action::MessageSendTo | Action::WeatherRead) = (actor.own_family(), action) {
            let is_ward = members::is_member(&mut self.db.read(), family, id).await?;
            relations = relations.with_if(is_ward, Relation::WardOf);
        }
        Ok(Permit::ask(relations, action, id)?)
    }

    /// Checks the password of whoever calls.
    pub(crate) async fn own_password(&self, actor: &Actor, password: &str) -> Result<()> {
        let id = actor.account().ok_or(Error::Forbidden)?;
        let key = self.throttle.key(&format!("password:{id}"), None);
        self.throttle.check(&key, self.now())?;
        let hash = accounts::password_hash(&mut self.db.read(), id).await?;
        self.guess(&key, password, hash).await?.map(drop).ok_or(Error::Unauthorized("Invalid password"))
    }
}
