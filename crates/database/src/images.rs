//! Pictures: what is known of them, what refers to them, and which of their objects are still to be deleted.
//!
//! The bytes of a picture lie in a store outside of the database, as an *object*. It is written before the row that names
//! it and deleted after it ([`discarded`]), so that a row always has its object; the other way round is tidied up by a job.

use std::ops::Range;

use carebot_model::access::Permit;
use carebot_model::images::{Image, Source};
use carebot_model::{AccountId, FamilyId, RowId, Timestamp};

use crate::{DbError, Result, Row, Tx, Value, params};

/// The most pictures that are discarded in one transaction.
pub const STEP: u32 = 100;
/// The most references that are removed in one transaction.
const REFERENCES: u32 = 1_000;

/// Pictures whose owner still is there.
const LIVE: &str = "images i JOIN accounts a ON a.id = i.owner_id AND a.deleted_at IS NULL";
const COLUMNS: &str =
    "i.id, i.owner_id, i.file_name, i.format, i.bytes, i.width, i.height, i.object, i.sha256, i.created_at";

/// Who may read what refers to a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// Everybody in a family.
    Family(FamilyId),
    /// An account.
    Account(AccountId),
}

/// A reference to be stored.
#[derive(Clone, Copy, Debug)]
pub struct NewReference {
    /// Its number.
    pub id: RowId,
    /// Who may read what refers.
    pub viewer: Viewer,
}

fn image(row: &Row<'_>) -> Result<Image> {
    Ok(Image {
        id: row.get(0)?,
        owner: row.get(1)?,
        file_name: row.get(2)?,
        format: row.get(3)?,
        bytes: row.get(4)?,
        width: row.get(5)?,
        height: row.get(6)?,
        object: row.get(7)?,
        sha256: row.get(8)?,
        created_at: row.get(9)?,
    })
}

fn marks(number: usize) -> String {
    vec!["?"; number].join(",")
}

/// Locks an account until the end of the transaction, so that two uploads do not both find the same room in its quota.
/// Says whether the account is there and not deleted.
///
/// # Errors
/// As any statement.
pub async fn lock_owner(tx: &mut Tx, owner: AccountId) -> Result<bool> {
    tx.lock_one("SELECT 1 FROM accounts WHERE id = ? AND deleted_at IS NULL", params![owner]).await
}

/// How many bytes an account's pictures have.
///
/// # Errors
/// As any statement.
pub async fn usage(tx: &mut Tx, owner: AccountId) -> Result<u64> {
    tx.fetch_one(
        "SELECT CAST(COALESCE(SUM(bytes), 0) AS SIGNED) FROM images WHERE owner_id = ?",
        params![owner],
        |row| row.get(0),
    )
    .await
}

/// Stores what is known of a picture, whose object must be in the store already.
///
/// # Errors
/// [`DbError::Duplicate`] of `file_name` if its owner has another of this name,
/// [`DbError::MissingParent`] if the owner is gone; else as any statement.
pub async fn create(tx: &mut Tx, new: &Image) -> Result<()> {
    tx.execute(
        "INSERT INTO images (id, owner_id, file_name, format, bytes, width, height, object, sha256, created_at, unreferenced_since)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            new.id,
            new.owner,
            new.file_name.as_str(),
            new.format,
            i64::try_from(new.bytes).unwrap_or(i64::MAX),
            new.width,
            new.height,
            new.object.as_str(),
            &new.sha256[..],
            new.created_at,
            new.created_at,
        ],
    )
    .await
    .map(drop)
}

/// An account's picture of a name.
///
/// # Errors
/// As any statement.
pub async fn find(tx: &mut Tx, owner: AccountId, file_name: &str) -> Result<Option<Image>> {
    tx.fetch_optional(
        format!("SELECT {COLUMNS} FROM {LIVE} WHERE i.owner_id = ? AND i.file_name = ?"),
        params![owner, file_name],
        image,
    )
    .await
}

/// Whether something refers to a picture that an account may read: by itself or as one of these families.
///
/// # Errors
/// As any statement.
pub async fn is_shown_to(tx: &mut Tx, image: RowId, account: AccountId, families: &[FamilyId]) -> Result<bool> {
    let mut sql = "SELECT 1 FROM image_references WHERE image_id = ? AND (account_id = ?".to_owned();
    let mut values = params![image, account];
    if !families.is_empty() {
        sql.push_str(" OR family_id IN (");
        sql.push_str(&marks(families.len()));
        sql.push(')');
        values.extend(families.iter().map(|family| Value::from(*family)));
    }
    sql += ") LIMIT 1";
    tx.fetch_optional(sql, values, |_| Ok(())).await.map(|row| row.is_some())
}

/// Notes that a row refers to a picture; to be called in the transaction that writes the row. Says whether the picture
/// still is there; if not, nothing is noted.
///
/// # Errors
/// [`DbError::MissingParent`] if a viewer is gone; else as any statement.
pub async fn refer(tx: &mut Tx, image: RowId, source: (Source, RowId), references: &[NewReference]) -> Result<bool> {
    // Also locks it against being discarded as something that nothing refers to.
    if tx.execute("UPDATE images SET unreferenced_since = NULL WHERE id = ?", params![image]).await? == 0 {
        return Ok(false);
    }
    for NewReference { id, viewer } in references {
        let (family, account) = match viewer {
            Viewer::Family(family) => (Some(*family), None),
            Viewer::Account(account) => (None, Some(*account)),
        };
        tx.execute(
            "INSERT INTO image_references (id, image_id, family_id, account_id, source_kind, source_id) VALUES (?, ?, ?, ?, ?, ?)",
            params![*id, image, family, account, source.0, source.1],
        )
        .await?;
    }
    Ok(true)
}

/// Removes the references of rows that are deleted; to be called in the transaction that deletes them.
///
/// # Errors
/// As any statement.
pub async fn forget(tx: &mut Tx, kind: Source, rows: &[RowId]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut values = params![kind];
    values.extend(rows.iter().map(|row| Value::from(*row)));
    let sql = format!("DELETE FROM image_references WHERE source_kind = ? AND source_id IN ({})", marks(rows.len()));
    tx.execute(sql, values).await.map(drop)
}

/// Deletes a picture; says whether it existed. Its object is noted in [`discarded`].
///
/// # Errors
/// As any statement.
pub async fn delete(tx: &mut Tx, permit: &Permit<RowId>, now: Timestamp) -> Result<bool> {
    let id = *permit.resource();
    if !tx.lock_one("SELECT 1 FROM images WHERE id = ?", params![id]).await? {
        return Ok(false);
    }
    discard(tx, &[id], now).await?;
    Ok(true)
}

async fn discard(tx: &mut Tx, images: &[RowId], now: Timestamp) -> Result<()> {
    let ids: Vec<Value> = images.iter().map(|id| Value::from(*id)).collect();
    let marks = marks(ids.len());
    let mut values = params![now];
    values.extend(ids.iter().cloned());
    tx.execute(
        format!(
            "INSERT INTO discarded_images (object, discarded_at) SELECT object, ? FROM images WHERE id IN ({marks})"
        ),
        values,
    )
    .await?;
    tx.execute(format!("DELETE FROM images WHERE id IN ({marks})"), ids).await.map(drop)
}

/// Discards some pictures of a deleted account, at most [`STEP`], and at most a thousand references to them before; how
/// many rows that were. For [`deletion`](crate::deletion).
pub(crate) async fn discard_owned(tx: &mut Tx, owner: &str) -> Result<usize> {
    let images: Vec<RowId> = tx
        .fetch(format!("SELECT id FROM images WHERE owner_id = ? LIMIT {STEP}"), params![owner], |row| row.get(0))
        .await?;
    if images.is_empty() {
        return Ok(0);
    }
    let references: Vec<RowId> = tx
        .fetch(
            format!("SELECT id FROM image_references WHERE image_id IN ({}) LIMIT {REFERENCES}", marks(images.len())),
            images.iter().map(|id| Value::from(*id)).collect(),
            |row| row.get(0),
        )
        .await?;
    if !references.is_empty() {
        tx.execute(
            format!("DELETE FROM image_references WHERE id IN ({})", marks(references.len())),
            references.iter().map(|id| Value::from(*id)).collect(),
        )
        .await?;
    }
    if references.len() < REFERENCES as usize {
        let at = tx
            .fetch_one("SELECT deleted_at FROM accounts WHERE id = ?", params![owner], |row| {
                row.get::<Option<Timestamp>>(0)
            })
            .await?;
        discard(tx, &images, at.unwrap_or(Timestamp::MIN)).await?;
    }
    Ok(images.len() + references.len())
}

/// Objects that are still to be deleted from the store, at most [`STEP`].
///
/// # Errors
/// As any statement.
pub async fn discarded(tx: &mut Tx) -> Result<Vec<String>> {
    tx.fetch(format!("SELECT object FROM discarded_images ORDER BY object LIMIT {STEP}"), vec![], |row| row.get(0))
        .await
}

/// Notes that objects are no longer in the store.
///
/// # Errors
/// As any statement.
pub async fn objects_are_gone(tx: &mut Tx, objects: &[String]) -> Result<()> {
    if objects.is_empty() {
        return Ok(());
    }
    tx.execute(
        format!("DELETE FROM discarded_images WHERE object IN ({})", marks(objects.len())),
        objects.iter().map(|object| Value::from(object.as_str())).collect(),
    )
    .await
    .map(drop)
}

/// Those of some objects that a picture has. At most a thousand may be asked about at once.
///
/// # Errors
/// As any statement.
pub async fn known_objects(tx: &mut Tx, objects: &[&str]) -> Result<Vec<String>> {
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    tx.fetch(
        format!("SELECT object FROM images WHERE object IN ({})", marks(objects.len())),
        objects.iter().map(|object| Value::from(*object)).collect(),
        |row| row.get(0),
    )
    .await
}

/// Whether there is any picture at all.
///
/// # Errors
/// As any statement.
pub async fn is_any(tx: &mut Tx) -> Result<bool> {
    tx.fetch_optional("SELECT 1 FROM images LIMIT 1", vec![], |_| Ok(())).await.map(|row| row.is_some())
}

/// Starts the time of the pictures that nothing refers to any more, of those whose object's name lies in a range; how many
/// that were.
///
/// # Errors
/// As any statement.
pub async fn mark_unreferenced(tx: &mut Tx, objects: Range<&str>, now: Timestamp) -> Result<u64> {
    tx.execute(
        "UPDATE images SET unreferenced_since = ? WHERE object >= ? AND object < ? AND unreferenced_since IS NULL
         AND NOT EXISTS (SELECT 1 FROM image_references r WHERE r.image_id = images.id)",
        params![now, objects.start, objects.end],
    )
    .await
}

/// Discards pictures that nothing has referred to since a time, at most [`STEP`]; how many.
///
/// # Errors
/// As any statement.
pub async fn discard_unreferenced(tx: &mut Tx, since: Timestamp, now: Timestamp) -> Result<usize> {
    let found: Vec<RowId> = tx
        .fetch(
            format!("SELECT id FROM images WHERE unreferenced_since <= ? ORDER BY unreferenced_since LIMIT {STEP}"),
            params![since],
            |row| row.get(0),
        )
        .await?;
    let mut unused = Vec::new();
    for id in found {
        // Asked again under the lock: something may refer to it by now.
        let sql = "SELECT 1 FROM images WHERE id = ? AND unreferenced_since <= ?";
        if tx.lock_one(sql, params![id, since]).await? {
            unused.push(id);
        }
    }
    if !unused.is_empty() {
        discard(tx, &unused, now).await?;
    }
    Ok(unused.len())
}

/// The error of a second picture of the same name.
pub fn is_name_taken(error: &DbError) -> bool {
    error.is_duplicate("file_name")
}
