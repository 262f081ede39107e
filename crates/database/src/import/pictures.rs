//! Which rows show which pictures. Addresses stand as text in messages, notifications, albums and reports; whoever may read
//! such a row may see the picture, if whoever wrote the row could see it himself.

use std::collections::HashMap;
use std::ops::ControlFlow;

use carebot_model::images::Source as Kind;
use carebot_model::{AccountId, FamilyId, RowId, Timestamp};
use percent_encoding::percent_decode_str;

use super::cells::{NO_TIME, Raw, Read};
use super::progress::marks;
use super::report::{Finding, Rule};
use super::source::Record;
use super::tables::key_of;
use super::{Import, ImportError, Result};
use crate::images::{self, NewReference, Viewer};
use crate::{Db, DbError, Tx, Value, params, transact};

/// The most rows of a page: each is looked at by itself.
const PAGE: u32 = 500;

/// The column with the rows' numbers, in all of them.
const KEY: &str = "index";

/// A table whose rows may show a picture.
#[derive(Clone, Copy, Debug)]
struct Table {
    /// There.
    from: &'static str,
    /// What its counts are told as.
    told: &'static str,
    kind: Kind,
    /// What is needed to find the row here: family and time.
    columns: &'static [(&'static str, Read, bool)],
}

const TABLES: &[Table] = &[
    Table { from: "messages", told: "pictures in messages", kind: Kind::Message, columns: &[URL] },
    Table { from: "notifications", told: "pictures in notifications", kind: Kind::Notification, columns: &[URL] },
    Table { from: "backgrounds", told: "pictures in albums", kind: Kind::Background, columns: &[URL] },
    Table {
        from: "activestatus",
        told: "pictures in reports",
        kind: Kind::Report,
        columns: &[URL, ("family_id", Read::Text, true), ("reported_at", Read::Time, true)],
    },
];
const URL: (&str, Read, bool) = ("image_url", Read::Text, false);

/// Whose picture and which one an address names, at whatever host.
fn named(url: &str) -> Option<(AccountId, String)> {
    let (_, rest) = url.rsplit_once("/access/")?;
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (owner, file_name) = rest.split_once('/')?;
    let file_name = percent_decode_str(file_name).decode_utf8().ok()?;
    (!file_name.is_empty() && !file_name.contains('/')).then_some((AccountId::parse(owner)?, file_name.into_owned()))
}

/// A row here: who wrote it, and who may read it.
struct Readable {
    writer: AccountId,
    viewers: Vec<Viewer>,
}

/// What became of a row.
enum Shown {
    /// It is noted.
    Noted,
    /// It was noted before.
    Already,
    /// There is no such picture or row here.
    Missing,
    /// Whoever wrote it may not see the picture.
    Foreign,
}

impl Import<'_> {
    /// Notes everything that shows a picture that is here.
    pub(super) async fn references(&mut self) -> Result<ControlFlow<()>> {
        let Some(db) = self.target else { return Ok(ControlFlow::Continue(())) };
        let merged = self.merged(db).await?;
        for table in TABLES {
            if self.start(table.from).is_break() {
                continue;
            }
            self.counts().table = table.told;
            if self.references_of(db, *table, &merged).await?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The families that are not here because their main user has another, and that one.
    async fn merged(&mut self, db: &Db) -> Result<HashMap<FamilyId, FamilyId>> {
        let sql = "SELECT f.id, f.main_user FROM families f
                   JOIN (SELECT main_user FROM families GROUP BY main_user HAVING COUNT(*) > 1) d ON d.main_user = f.main_user";
        let map = |row: &crate::Row<'_>| Ok((row.get::<String>(0)?, row.get::<String>(1)?));
        let mut merged = HashMap::new();
        for (family, main_user) in self.source.fetch(sql.to_owned(), vec![], map).await? {
            let (Some(family), Some(main_user)) = (FamilyId::parse(family.trim()), AccountId::parse(main_user.trim()))
            else {
                continue;
            };
            if let Some(first) = crate::families::id_by_main_user(&mut db.read(), main_user).await? {
                merged.insert(family, first);
            }
        }
        Ok(merged)
    }

    async fn references_of(
        &mut self,
        db: &Db,
        table: Table,
        merged: &HashMap<FamilyId, FamilyId>,
    ) -> Result<ControlFlow<()>> {
        let select = self.source.select(table.from, (KEY, Read::Whole), table.columns)?;
        // Only the rows that could be meant, of a table in which hardly any row has a picture.
        let select = select.only("t.`image_url` LIKE '%/access/%'");
        let mut last = i64::MIN;
        loop {
            let page = self.source.page(&select, last.into(), PAGE).await?;
            let Some(newest) = page.records.last() else { return Ok(ControlFlow::Continue(())) };
            last = key_of(newest);
            self.lease_ids().await?;
            for record in &page.records {
                let shown = self.reference(db, table, record, merged).await?;
                let counts = self.counts();
                counts.read += 1;
                match shown {
                    Shown::Noted => counts.written += 1,
                    Shown::Already => counts.already += 1,
                    Shown::Missing => *counts.skipped.entry("no_picture").or_default() += 1,
                    Shown::Foreign => *counts.skipped.entry(Rule::ForeignPicture.name()).or_default() += 1,
                }
            }
            if self.tell().is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    async fn reference(
        &mut self,
        db: &Db,
        table: Table,
        record: &Record,
        merged: &HashMap<FamilyId, FamilyId>,
    ) -> Result<Shown> {
        let Some((owner, file_name)) = record[1].text().and_then(named) else { return Ok(Shown::Missing) };
        let id = RowId(key_of(record));
        let mut tx = db.read();
        let Some(image) = images::find(&mut tx, owner, &file_name).await? else { return Ok(Shown::Missing) };
        let Some(row) = table.row(&mut tx, record, merged).await? else { return Ok(Shown::Missing) };
        let noted = tx
            .fetch_optional(
                "SELECT 1 FROM image_references WHERE source_id = ? AND source_kind = ? LIMIT 1",
                params![id, table.kind],
                |_| Ok(()),
            )
            .await?;
        if noted.is_some() {
            return Ok(Shown::Already);
        }
        if !may_see(&mut tx, row.writer, owner).await? {
            let key = id.to_string();
            let finding = Finding {
                table: table.from,
                key,
                column: Some("image_url"),
                rule: Rule::ForeignPicture,
                done: "the picture is shown to nobody because of it".into(),
            };
            self.report.write(&[finding])?;
            return Ok(Shown::Foreign);
        }
        if self.settings.dry_run {
            return Ok(Shown::Noted);
        }
        let now = self.settings.clock.now();
        let mut references = Vec::new();
        for viewer in row.viewers {
            references.push(NewReference { id: self.next_id(now)?, viewer });
        }
        let stored = transact!(db, tx => {
            images::refer(&mut tx, image.id, (table.kind, id), &references).await.map_err(ImportError::from)
        });
        match stored {
            Ok(true) => Ok(Shown::Noted),
            // Deleted here a moment ago.
            Ok(false) | Err(ImportError::Database(DbError::MissingParent)) => Ok(Shown::Missing),
            Err(error) => Err(error),
        }
    }
}

impl Table {
    /// The row here, if it is.
    async fn row(
        self,
        tx: &mut Tx,
        record: &Record,
        merged: &HashMap<FamilyId, FamilyId>,
    ) -> Result<Option<Readable>, DbError> {
        let id = RowId(key_of(record));
        let of_family =
            |row: &crate::Row<'_>| Ok(Readable { writer: row.get(0)?, viewers: vec![Viewer::Family(row.get(1)?)] });
        match self.kind {
            Kind::Message => {
                tx.fetch_optional("SELECT from_id, to_id FROM messages WHERE id = ?", params![id], |row| {
                    let (writer, to): (AccountId, AccountId) = (row.get(0)?, row.get(1)?);
                    Ok(Readable { writer, viewers: vec![Viewer::Account(to), Viewer::Account(writer)] })
                })
                .await
            }
            Kind::Background => {
                let sql = "SELECT uploader_id, family_id FROM backgrounds WHERE id = ?";
                tx.fetch_optional(sql, params![id], of_family).await
            }
            // What the robot makes, it makes for the family's main user.
            Kind::Notification => {
                let sql = "SELECT f.main_user, n.family_id FROM notifications n JOIN families f ON f.id = n.family_id
                           WHERE n.id = ? AND f.deleted_at IS NULL";
                tx.fetch_optional(sql, params![id], of_family).await
            }
            Kind::Report => {
                let Some(family) = record.get(2).map(Raw::trimmed).and_then(FamilyId::parse) else { return Ok(None) };
                let at = Timestamp::from_millis(record.get(3).and_then(Raw::whole).unwrap_or(NO_TIME));
                let families: Vec<Value> =
                    [Some(family), merged.get(&family).copied()].into_iter().flatten().map(Value::from).collect();
                let sql = format!(
                    "SELECT f.main_user, s.family_id FROM active_status s JOIN families f ON f.id = s.family_id
                     WHERE s.reported_at = ? AND s.id = ? AND f.deleted_at IS NULL AND s.family_id IN ({})",
                    marks(families.len())
                );
                let values = [at.into(), id.into()].into_iter().chain(families).collect();
                tx.fetch_optional(sql, values, of_family).await
            }
        }
    }
}

/// Whether somebody may see somebody's pictures, whatever shows them: his own, those of who belongs to his family, and those of
/// the elder whose family he belongs to.
async fn may_see(tx: &mut Tx, who: AccountId, owner: AccountId) -> Result<bool, DbError> {
    if who == owner {
        return Ok(true);
    }
    let sql = "SELECT 1 FROM families f JOIN members m ON m.family_id = f.id AND m.approved_at IS NOT NULL
               WHERE f.deleted_at IS NULL AND ((f.main_user = ? AND m.user_id = ?) OR (f.main_user = ? AND m.user_id = ?)) LIMIT 1";
    tx.fetch_optional(sql, params![who, owner, owner, who], |_| Ok(())).await.map(|row| row.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_address_names_a_picture() {
        let owner = AccountId::parse("U234567890123456").expect("an id");
        for url in [
            "https://image.example.org/access/U234567890123456/생일_1.jpg",
            "/access/U234567890123456/%EC%83%9D%EC%9D%BC_1.jpg?w=320",
        ] {
            assert_eq!(named(url), Some((owner, "생일_1.jpg".to_owned())), "{url}");
        }
        for url in [
            "",
            "https://example.org/a.jpg",
            "/access/U2/a.jpg",
            "/access/U234567890123456/",
            "/access/U234567890123456/a/b",
        ] {
            assert_eq!(named(url), None, "{url}");
        }
    }
}
