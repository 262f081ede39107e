//! What is done about pictures without anybody asking.

use carebot_database::{images, transact};

use super::storage::SHARDS;
use crate::{Result, Service};

const DAY: i64 = 86_400_000;
/// How many objects the database is asked about at once.
const ASKED_AT_ONCE: usize = 500;

impl Service {
    /// Deletes some of the objects whose pictures are gone; how many there were to be deleted. Two servers may do this at
    /// once.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable).
    pub async fn delete_discarded_images(&self) -> Result<usize> {
        let objects = images::discarded(&mut self.db.read()).await?;
        for object in &objects {
            self.images.store.delete(object).await?;
        }
        if !objects.is_empty() {
            transact!(self.db, tx => { images::objects_are_gone(&mut tx, &objects).await })?;
        }
        Ok(objects.len())
    }

    /// Discards some of the pictures that nothing has referred to for as long as is set; how many.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable).
    pub async fn discard_unreferenced_images(&self) -> Result<usize> {
        let days = i64::from(self.settings.images.unreferenced_days);
        if days == 0 {
            return Ok(0);
        }
        let now = self.now();
        let since = now.plus_millis(-days * DAY);
        Ok(transact!(self.db, tx => { images::discard_unreferenced(&mut tx, since, now).await })?)
    }

    /// Looks through one of the [`SHARDS`] folders of the store: starts the time of the pictures in it that nothing refers
    /// to any more, and deletes objects older than a day that no picture has (an upload that was broken off, a thumbnail
    /// made while its picture was deleted). How many of those.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable).
    pub async fn tidy_images(&self, shard: u32) -> Result<usize> {
        let shard = shard % SHARDS;
        let (from, to) =
            (format!("{shard:02x}"), if shard + 1 == SHARDS { "g".into() } else { format!("{:02x}", shard + 1) });
        let now = self.now();
        transact!(self.db, tx => { images::mark_unreferenced(&mut tx, &*from..&*to, now).await })?;
        // A store without any picture in the database is more likely beside the wrong database than full of leftovers.
        if !images::is_any(&mut self.db.read()).await? {
            return Ok(0);
        }
        let objects = self.images.store.older(&from, now.plus_millis(-DAY)).await?;
        let mut count = 0;
        for some in objects.chunks(ASKED_AT_ONCE) {
            let asked: Vec<&str> = some.iter().map(String::as_str).collect();
            let known = images::known_objects(&mut self.db.read(), &asked).await?;
            for object in some.iter().filter(|object| !known.contains(object)) {
                self.images.store.delete(object).await?;
                count += 1;
            }
        }
        if count > 0 {
            tracing::warn!(count, "objects without a picture deleted from the store");
        }
        Ok(count)
    }
}
