//! Regions, news, the robot's switches and the album.

use carebot_model::access::Permit;
use carebot_model::backgrounds::Background;
use carebot_model::images::Source;
use carebot_model::news::{Article, Category, DailyNews};
use carebot_model::regions::{self, MasterRegion, SubRegion};
use carebot_model::settings::{Settings, SettingsChange};
use carebot_model::text::LongText;
use carebot_model::{AccountId, Date, FamilyId, RowId, Timestamp};

use crate::{Result, Row, Tx, Value, images, params};

/// The upper-level governments. They come with the program, not from the database.
pub fn master_regions() -> &'static [MasterRegion] {
    regions::masters()
}

/// The regions below those whose name contains a text (plain, without wildcards), or all.
pub fn sub_regions(part: Option<&str>) -> Vec<&'static SubRegion> {
    part.map_or_else(|| regions::subs().iter().collect(), regions::subs_of)
}

/// The stored news of a day.
///
/// # Errors
/// As any statement.
pub async fn news(tx: &mut Tx, day: Date) -> Result<DailyNews> {
    tx.fold(
        "SELECT id, category, title, link, image_url, pub_date, created_at FROM news WHERE pub_date = ? ORDER BY category, id",
        params![day],
        DailyNews::default,
        |news, row| {
            news.push(Article {
                id: row.get(0)?,
                category: row.get(1)?,
                title: row.get(2)?,
                link: row.get(3)?,
                image_url: row.get(4)?,
                pub_date: row.get(5)?,
                created_at: row.get(6)?,
            });
            Ok(())
        },
    )
    .await
}

/// Stores one piece of news.
///
/// # Errors
/// As any statement.
pub async fn add_news(tx: &mut Tx, article: &Article) -> Result<RowId> {
    tx.execute(
        "INSERT INTO news (id, category, title, link, image_url, pub_date, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![
            article.id,
            article.category,
            article.title.as_str(),
            article.link.as_str(),
            article.image_url.clone(),
            article.pub_date,
            article.created_at,
        ],
    )
    .await?;
    Ok(article.id)
}

/// What a link is compared by.
fn hash_of(text: &str) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref().to_vec()
}

/// Stores one piece of news, unless its category has the link already, of whatever day; says whether it was stored.
///
/// # Errors
/// [`DbError::Duplicate`](crate::DbError::Duplicate) if another server stored it at the same moment; else as any statement.
pub async fn add_news_once(tx: &mut Tx, article: &Article) -> Result<bool> {
    let hash = hash_of(&article.link);
    let known = tx
        .fetch_optional(
            "SELECT 1 FROM news_links WHERE category = ? AND link_hash = ? LIMIT 1",
            params![article.category, hash.as_slice()],
            |_| Ok(()),
        )
        .await?;
    if known.is_some() {
        return Ok(false);
    }
    tx.execute(
        "INSERT INTO news_links (category, link_hash, pub_date) VALUES (?, ?, ?)",
        params![article.category, hash.as_slice(), article.pub_date],
    )
    .await?;
    add_news(tx, article).await?;
    Ok(true)
}

/// The last round of a source of news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewsRound {
    /// The day it was for.
    pub day: Date,
    /// How often it failed.
    pub failures: u32,
    /// Whether it succeeded.
    pub is_done: bool,
    /// When it was tried last.
    pub tried_at: Timestamp,
}

/// The last round of a source (named by its address) for a category, if there was one.
///
/// # Errors
/// As any statement.
pub async fn news_round(tx: &mut Tx, category: Category, source: &str) -> Result<Option<NewsRound>> {
    tx.fetch_optional(
        "SELECT day, failures, is_done, tried_at FROM news_rounds WHERE category = ? AND source_hash = ?",
        params![category, hash_of(source).as_slice()],
        |row| Ok(NewsRound { day: row.get(0)?, failures: row.get(1)?, is_done: row.get(2)?, tried_at: row.get(3)? }),
    )
    .await
}

/// Notes a round of a source for a category.
///
/// # Errors
/// As any statement.
pub async fn note_news_round(tx: &mut Tx, category: Category, source: &str, round: &NewsRound) -> Result<()> {
    let hash = hash_of(source);
    let (category, hash) = (Value::from(category), Value::from(hash.as_slice()));
    let mut values = params![round.day, round.failures, round.is_done, round.tried_at];
    values.extend([category, hash]);
    let sql = "UPDATE news_rounds SET day = ?, failures = ?, is_done = ?, tried_at = ? WHERE category = ? AND source_hash = ?";
    if tx.execute(sql, values.clone()).await? == 0 {
        let sql = "INSERT INTO news_rounds (day, failures, is_done, tried_at, category, source_hash) VALUES (?, ?, ?, ?, ?, ?)";
        tx.execute(sql, values).await?;
    }
    Ok(())
}

/// The most pieces of news that [`forget_news`] removes in one transaction.
const FORGET: u32 = 500;

/// Removes some of the news of the days before one; false if nothing is left of them.
///
/// # Errors
/// As any statement.
pub async fn forget_news(tx: &mut Tx, before: Date) -> Result<bool> {
    let ids = tx
        .fetch(
            "SELECT id FROM news WHERE pub_date < ? ORDER BY pub_date, category, id LIMIT ?",
            params![before, FORGET],
            |row| row.get::<RowId>(0),
        )
        .await?;
    if ids.is_empty() {
        // As many as there are news, and much smaller: they go at once.
        tx.execute("DELETE FROM news_links WHERE pub_date < ?", params![before]).await?;
        tx.execute("DELETE FROM news_rounds WHERE day < ?", params![before]).await?;
        return Ok(false);
    }
    let marks = vec!["?"; ids.len()].join(",");
    let values = ids.into_iter().map(Value::from).collect();
    tx.execute(format!("DELETE FROM news WHERE id IN ({marks})"), values).await?;
    Ok(true)
}

/// Makes a family's switches with their defaults.
///
/// # Errors
/// [`DbError::Duplicate`](crate::DbError::Duplicate) if there are some; else as any statement.
pub async fn create_settings(tx: &mut Tx, family: FamilyId) -> Result<()> {
    tx.execute(
        "INSERT INTO settings (family_id, is_alarm_enabled, is_camera_enabled, is_microphone_enabled, is_driving_enabled)
         VALUES (?, 0, 0, 0, 0)",
        params![family],
    )
    .await
    .map(drop)
}

/// A family's switches, if there are any.
///
/// # Errors
/// As any statement.
pub async fn get_settings(tx: &mut Tx, permit: &Permit<FamilyId>) -> Result<Option<Settings>> {
    tx.fetch_optional(
        "SELECT s.family_id, s.is_alarm_enabled, s.is_camera_enabled, s.is_microphone_enabled, s.is_driving_enabled
         FROM settings s JOIN families f ON f.id = s.family_id AND f.deleted_at IS NULL WHERE s.family_id = ?",
        params![*permit.resource()],
        |row| {
            Ok(Settings {
                family_id: row.get(0)?,
                is_alarm_enabled: row.get(1)?,
                is_camera_enabled: row.get(2)?,
                is_microphone_enabled: row.get(3)?,
                is_driving_enabled: row.get(4)?,
            })
        },
    )
    .await
}

/// Changes a family's switches; those that are absent stay. Says whether there were any.
///
/// # Errors
/// As any statement.
pub async fn update_settings(tx: &mut Tx, permit: &Permit<FamilyId>, change: SettingsChange) -> Result<bool> {
    let touched = tx
        .execute(
            "UPDATE settings SET is_alarm_enabled = COALESCE(?, is_alarm_enabled), is_camera_enabled = COALESCE(?, is_camera_enabled),
             is_microphone_enabled = COALESCE(?, is_microphone_enabled), is_driving_enabled = COALESCE(?, is_driving_enabled)
             WHERE family_id = ?",
            params![
                change.is_alarm_enabled,
                change.is_camera_enabled,
                change.is_microphone_enabled,
                change.is_driving_enabled,
                *permit.resource(),
            ],
        )
        .await?;
    Ok(touched == 1)
}

/// Deletes a family's switches, which then have their defaults; says whether there were any.
///
/// # Errors
/// As any statement.
pub async fn delete_settings(tx: &mut Tx, permit: &Permit<FamilyId>) -> Result<bool> {
    Ok(tx.execute("DELETE FROM settings WHERE family_id = ?", params![*permit.resource()]).await? == 1)
}

fn background(row: &Row<'_>) -> Result<Background> {
    Ok(Background { id: row.get(0)?, family_id: row.get(1)?, uploader_id: row.get(2)?, image_url: row.get(3)? })
}

const BACKGROUNDS: &str = "SELECT b.id, b.family_id, b.uploader_id, b.image_url FROM backgrounds b
    JOIN accounts a ON a.id = b.uploader_id AND a.deleted_at IS NULL
    JOIN families f ON f.id = b.family_id AND f.deleted_at IS NULL";

/// Adds a picture to a family's album.
///
/// # Errors
/// [`DbError::MissingParent`](crate::DbError::MissingParent) if family or account is gone; else as any statement.
pub async fn add_background(
    tx: &mut Tx,
    permit: &Permit<FamilyId>,
    id: RowId,
    uploader: AccountId,
    image_url: Option<&LongText>,
    now: Timestamp,
) -> Result<Background> {
    let family_id = *permit.resource();
    tx.execute(
        "INSERT INTO backgrounds (id, family_id, uploader_id, image_url, created_at) VALUES (?, ?, ?, ?, ?)",
        params![id, family_id, uploader, image_url, now],
    )
    .await?;
    Ok(Background { id, family_id, uploader_id: uploader, image_url: image_url.map(|url| url.as_str().to_owned()) })
}

/// A family's album, oldest first; one uploader's pictures if asked for. At most 10,000.
///
/// # Errors
/// As any statement.
pub async fn get_backgrounds(
    tx: &mut Tx,
    permit: &Permit<FamilyId>,
    uploader: Option<AccountId>,
) -> Result<Vec<Background>> {
    let mut sql = format!("{BACKGROUNDS} WHERE b.family_id = ?");
    let mut values = params![*permit.resource()];
    if let Some(uploader) = uploader {
        sql.push_str(" AND b.uploader_id = ?");
        values.push(uploader.into());
    }
    sql.push_str(" ORDER BY b.id LIMIT 10000");
    tx.fetch(sql, values, background).await
}

/// A picture of a family's album; one of another family is not found.
///
/// # Errors
/// As any statement.
pub async fn get_one_background(tx: &mut Tx, permit: &Permit<FamilyId>, id: RowId) -> Result<Option<Background>> {
    tx.fetch_optional(
        format!("{BACKGROUNDS} WHERE b.id = ? AND b.family_id = ?"),
        params![id, *permit.resource()],
        background,
    )
    .await
}

/// Deletes a picture of a family's album; says whether it existed.
///
/// # Errors
/// As any statement.
pub async fn delete_background(tx: &mut Tx, permit: &Permit<FamilyId>, id: RowId) -> Result<bool> {
    let deleted =
        tx.execute("DELETE FROM backgrounds WHERE id = ? AND family_id = ?", params![id, *permit.resource()]).await?;
    if deleted == 1 {
        images::forget(tx, Source::Background, &[id]).await?;
    }
    Ok(deleted == 1)
}
