//! Families.

use carebot_database::{DbError, Tx, accounts, families, journal, params, transact};
use carebot_model::access::{Action, Actor};
use carebot_model::accounts::{Gender, Role};
use carebot_model::families::{Family, FamilySearch, FoundFamily};
use carebot_model::text::Name;
use carebot_model::{Date, FamilyId, Timestamp};

use crate::access::general;
use crate::accounts::DateParts;
use crate::{Error, Result, Service};

const MISSING: Error = Error::NotFound("Family not found");
const OWNS_ONE: Error = Error::Conflict("Main user already has a family");
const NOT_MAIN: Error = Error::Invalid("You are not a main user");
const PAGE: u32 = 1_000;

impl Service {
    /// The family that an account owns.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn family_of(&self, actor: &Actor, main_user: &str) -> Result<FamilyId> {
        let missing = Error::NotFound("Main ID does not have a family");
        match self.account(actor, main_user, Action::FamilyLookUp).await {
            Ok(permit) => families::id_by_main_user(&mut self.db.read(), *permit.resource()).await?.ok_or(missing),
            Err(Error::NotFound(_)) => Err(missing),
            Err(error) => Err(error),
        }
    }

    /// Makes a family for an elder.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::Conflict`] if there is one, [`Error::Invalid`] if there is no such elder.
    pub async fn create_family(&self, actor: &Actor, main_user: &str, name: Option<String>) -> Result<FamilyId> {
        let permit = match self.account(actor, main_user, Action::FamilyCreate).await {
            Err(Error::NotFound(_)) => return Err(NOT_MAIN),
            permit => permit?,
        };
        let (id, name, now) = (*permit.resource(), name.map(Name::new), self.now());
        let family = transact!(self.db, tx => {
            tx.lock_one("SELECT 1 FROM accounts WHERE id = ?", params![id]).await?;
            if families::id_by_main_user(&mut tx, id).await?.is_some() {
                return Err(OWNS_ONE);
            }
            match accounts::get(&mut tx, id).await? {
                Some(account) if account.role == Role::Main => {}
                _ => return Err(NOT_MAIN),
            }
            families::create(&mut tx, &permit, name.as_ref(), now, &*self.rng).await.map_err(|error| match error {
                DbError::Duplicate { .. } => OWNS_ONE,
                other => other.into(),
            })
        })?;
        self.rights_changed().await;
        Ok(family)
    }

    /// Every family, in the order of ids.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn list_families(&self, actor: &Actor) -> Result<Vec<Family>> {
        general(actor, Action::FamilyList)?;
        let mut all: Vec<Family> = Vec::new();
        loop {
            let after = all.last().map(|family| family.id);
            let page = families::list(&mut self.db.read(), after, PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Finds families by what one knows of the elder. The caller is known to be signed in ([`Service::may_find`]).
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`] if there is none.
    pub async fn find_families(
        &self,
        actor: &Actor,
        user_name: String,
        birth_date: DateParts,
        gender: &str,
        address: String,
    ) -> Result<Vec<FoundFamily>> {
        self.may_find(actor)?;
        let gender =
            Gender::parse_any_case(gender).ok_or(Error::Invalid("Invalid value provided for find option (gender)"))?;
        let birth_date = Date::new(birth_date.0, birth_date.1, birth_date.2)
            .ok_or(Error::Invalid("Invalid value provided for find option (birth_date)"))?;
        let search = FamilySearch { user_name, birth_date, gender, address };
        let found = families::find(&mut self.db.read(), &search).await?;
        if found.is_empty() { Err(Error::NotFound("No families found")) } else { Ok(found) }
    }

    /// Whether the caller may look for families.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn may_find(&self, actor: &Actor) -> Result<()> {
        general(actor, Action::FamilyFind).map(drop)
    }

    /// A family.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn get_family(&self, actor: &Actor, family: &str) -> Result<Family> {
        let permit = self.family(actor, family, Action::FamilyRead).await?;
        // Between permit and read it may have been deleted: then nobody but an operator learns that it was there.
        let gone = if actor.is_system() { MISSING } else { Error::Forbidden };
        families::get(&mut self.db.read(), *permit.resource()).await?.ok_or(gone)
    }

    /// What a family's elder is called, for whoever may see the family; nothing if nobody said.
    ///
    /// # Errors
    /// As [`Service::get_family`].
    pub async fn elder_name(&self, actor: &Actor, family: &Family) -> Result<Option<String>> {
        self.family(actor, family.id.as_str(), Action::FamilyRead).await?;
        let elder = accounts::get(&mut self.db.read(), family.main_user).await?;
        Ok(elder.and_then(|elder| elder.user_name).filter(|name| !name.is_empty()))
    }

    /// A family's name, for whoever is signed in and knows its id; an empty name is none.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn family_name(&self, actor: &Actor, family: &str) -> Result<Option<String>> {
        general(actor, Action::FamilyNameRead)?;
        let id = FamilyId::parse(family).ok_or(MISSING)?;
        let family = families::get(&mut self.db.read(), id).await?.ok_or(MISSING)?;
        Ok(family.family_name.filter(|name| !name.is_empty()))
    }

    /// Changes a family's name; the new state.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn update_family(&self, actor: &Actor, family: &str, name: Option<String>) -> Result<Family> {
        let permit = self.family(actor, family, Action::FamilyUpdate).await?;
        let name = name.map(Name::new);
        transact!(self.db, tx => {
            families::update(&mut tx, &permit, name.as_ref()).await?;
            families::get(&mut tx, *permit.resource()).await?.ok_or(MISSING)
        })
    }

    /// Deletes a family and all that is stored about it. Whoever calls proves it with his own password.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Unauthorized`].
    pub async fn delete_family(&self, actor: &Actor, family: &str, password: &str) -> Result<()> {
        let permit = self.family(actor, family, Action::FamilyDelete).await?;
        self.own_password(actor, password).await?;
        let now = self.now();
        let existed = transact!(self.db, tx => {
            self.sign_off(&mut tx, *permit.resource(), now).await?;
            families::delete(&mut tx, &permit, now).await
        })?;
        self.rights_changed().await;
        self.polls.clear();
        self.deleted.notify_one();
        if existed { Ok(()) } else { Err(MISSING) }
    }

    /// Signs what will remain of the timeline of a family that is about to be deleted.
    pub(crate) async fn sign_off(&self, tx: &mut Tx, family: FamilyId, now: Timestamp) -> Result<(), DbError> {
        // As everybody who writes into the timeline, so that what is signed is its end.
        tx.lock_one("SELECT 1 FROM family_heads WHERE family_id = ?", params![family]).await?;
        if families::get(tx, family).await?.is_some() {
            journal::leave_stub(tx, self.alarms.key(), family, now).await?;
        }
        Ok(())
    }
}
