//! Families.

use carebot_model::access::Permit;
use carebot_model::families::{Family, FamilySearch, FoundFamily};
use carebot_model::text::Name;
use carebot_model::{AccountId, FamilyId, Timestamp, regions};

use crate::ambient::Rng;
use crate::{Result, Row, Tx, Value, params, tools};

fn family(row: &Row<'_>) -> Result<Family> {
    Ok(Family { id: row.get(0)?, main_user: row.get(1)?, family_name: row.get(2)? })
}

/// The family that an account owns.
///
/// # Errors
/// As any statement.
pub async fn id_by_main_user(tx: &mut Tx, main_user: AccountId) -> Result<Option<FamilyId>> {
    tx.fetch_optional("SELECT id FROM families WHERE main_user = ? AND deleted_at IS NULL", params![main_user], |row| {
        row.get(0)
    })
    .await
}

/// Makes a family, with its settings.
///
/// # Errors
/// [`DbError::Duplicate`](crate::DbError::Duplicate) of `main_user` if the account owns one already,
/// [`DbError::MissingParent`](crate::DbError::MissingParent) if there is no such account; else as any statement.
pub async fn create(
    tx: &mut Tx,
    main_user: &Permit<AccountId>,
    name: Option<&Name>,
    now: Timestamp,
    rng: &dyn Rng,
) -> Result<FamilyId> {
    let id = FamilyId::from_random(&mut |bytes| rng.fill(bytes));
    tx.execute(
        "INSERT INTO families (id, main_user, family_name, created_at, deleted_at) VALUES (?, ?, ?, ?, NULL)",
        params![id, *main_user.resource(), name, now],
    )
    .await?;
    tools::create_settings(tx, id).await?;
    Ok(id)
}

/// Up to `limit` families with ids after `after`, in the order of ids.
///
/// # Errors
/// As any statement.
pub async fn list(tx: &mut Tx, after: Option<FamilyId>, limit: u32) -> Result<Vec<Family>> {
    tx.fetch(
        "SELECT id, main_user, family_name FROM families WHERE id > ? AND deleted_at IS NULL ORDER BY id LIMIT ?",
        params![after.map_or(String::new(), |id| id.to_string()), limit],
        family,
    )
    .await
}

/// The families whose elder matches in name, day of birth, gender and place. At most 100.
///
/// # Errors
/// As any statement.
pub async fn find(tx: &mut Tx, search: &FamilySearch) -> Result<Vec<FoundFamily>> {
    let places = regions::same_places(&search.address);
    let marks = vec!["?"; places.len()].join(",");
    let mut values: Vec<Value> = params![search.user_name.as_str(), search.birth_date, search.gender];
    values.extend(places.into_iter().map(Value::from));
    tx.fetch(
        format!(
            "SELECT f.id, f.family_name, a.id, a.user_name, a.birth_date, a.gender, a.address
             FROM accounts a JOIN families f ON f.main_user = a.id AND f.deleted_at IS NULL
             WHERE a.user_name = ? AND a.birth_date = ? AND a.gender = ? AND a.address IN ({marks}) AND a.deleted_at IS NULL
             ORDER BY f.id LIMIT 100"
        ),
        values,
        |row| {
            Ok(FoundFamily {
                family_id: row.get(0)?,
                family_name: row.get(1)?,
                account_id: row.get(2)?,
                account_name: row.get(3)?,
                account_birth_date: row.get(4)?,
                account_gender: row.get(5)?,
                account_address: row.get(6)?,
            })
        },
    )
    .await
}

/// A family.
///
/// # Errors
/// As any statement.
pub async fn get(tx: &mut Tx, id: FamilyId) -> Result<Option<Family>> {
    tx.fetch_optional(
        "SELECT id, main_user, family_name FROM families WHERE id = ? AND deleted_at IS NULL",
        params![id],
        family,
    )
    .await
}

/// Changes a family's name (`None` leaves it); says whether the family existed.
///
/// # Errors
/// As any statement.
pub async fn update(tx: &mut Tx, permit: &Permit<FamilyId>, name: Option<&Name>) -> Result<bool> {
    let touched = tx
        .execute(
            "UPDATE families SET family_name = COALESCE(?, family_name) WHERE id = ? AND deleted_at IS NULL",
            params![name, *permit.resource()],
        )
        .await?;
    Ok(touched == 1)
}

/// Deletes a family for everybody at once; says whether it existed. Its rows are removed by
/// [`deletion`](crate::deletion).
///
/// # Errors
/// As any statement.
pub async fn delete(tx: &mut Tx, permit: &Permit<FamilyId>, now: Timestamp) -> Result<bool> {
    mark_deleted(tx, *permit.resource(), now).await
}

pub(crate) async fn mark_deleted(tx: &mut Tx, id: FamilyId, now: Timestamp) -> Result<bool> {
    let touched = tx
        .execute(
            "UPDATE families SET deleted_at = ?, main_user = NULL WHERE id = ? AND deleted_at IS NULL",
            params![now, id],
        )
        .await?;
    Ok(touched == 1)
}
