//! Long lists as a stream of pages: bounded, thinned where the kind allows it, and never whole in memory.
//!
//! The first page is read before the answer begins, so that a failure is still an error and an empty list is known. Every
//! page is a query of its own: a slow reader of the answer holds no connection.

use std::sync::Arc;

use carebot_database::listing::{Key, Listing};
use carebot_database::{Db, Row};
use carebot_model::Timestamp;
use carebot_model::wire::Order;

use crate::Result;

/// Rows of a page. A thousand rows, a usual answer, are one page.
const PAGE: u32 = 1_024;

/// How much of what was asked for an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// The newest rows whole, of the rest some, evenly spaced.
    Thinned,
    /// The newest rows.
    Truncated,
}

/// How long lists are bounded.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most rows.
    pub row_limit: u32,
    /// If the list may be thinned: how many of them, the newest, are whole.
    pub newest_whole: Option<u32>,
}

/// Puts a row into a page.
pub type Step<S> = Arc<dyn Fn(&mut S, &Row<'_>) -> carebot_database::Result<()> + Send + Sync>;

enum Plan {
    /// Page by page beyond a key, newer than a floor, so many rows at most.
    Rows { after: Option<Key>, floor: Option<Key>, left: u32 },
    /// One row of each cell of a grid, `done` of them so far (from the oldest, or from the newest if descending).
    Thinned { oldest: Timestamp, grid: Grid, done: u32 },
}

/// Where rows are thinned: one row of each cell of a grid of equal steps of time. The cells begin at multiples of the step, and steps
/// have few lengths, so that another range, or the same when newer rows have come, keeps the same rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    /// Milliseconds.
    pub step: i64,
    /// The number of the first cell, that of the oldest row.
    pub first: i64,
    /// How many cells there are.
    pub cells: u32,
}

impl Grid {
    /// The finest one that has at most so many cells between two times.
    pub fn between(oldest: Timestamp, newest: Timestamp, most: u32) -> Self {
        let most = i64::from(most.max(1));
        let mut step = Self::length((newest.since(oldest) / most).max(1));
        loop {
            let (first, last) = (oldest.millis().div_euclid(step), newest.millis().div_euclid(step));
            let cells = (last - first + 1).max(1);
            // Two times around zero never get into one cell.
            if cells <= most || step > Timestamp::MAX.millis() {
                return Self { step, first, cells: u32::try_from(cells.min(most)).unwrap_or(1) };
            }
            step = Self::length(step + 1);
        }
    }

    /// The least length of a step that is not shorter: of its binary digits only the first five are not 0.
    fn length(at_least: i64) -> i64 {
        let unit = 1_i64 << 59_u32.saturating_sub(at_least.leading_zeros());
        (at_least + unit - 1) / unit * unit
    }

    /// Where a cell begins.
    pub fn start(self, cell: i64) -> Timestamp {
        Timestamp::from_millis(self.step.saturating_mul(cell))
    }
}

/// A list that is read page by page.
pub struct Pages<S> {
    db: Db,
    listing: Listing,
    order: Order,
    /// What is to be read, the next last.
    plans: Vec<Plan>,
    step: Step<S>,
    init: fn() -> S,
    /// What was read to plan.
    first: Option<(S, u32)>,
    /// How much of the list this is.
    pub extent: Extent,
}

impl<S: Send + 'static> Pages<S> {
    /// Reads the first page and plans the others.
    ///
    /// # Errors
    /// As the database.
    pub async fn open(
        db: &Db,
        listing: Listing,
        order: Order,
        bounds: Bounds,
        init: fn() -> S,
        step: Step<S>,
    ) -> Result<Self> {
        let rows = |after, left| Plan::Rows { after, floor: None, left };
        let mut pages = Self {
            db: db.clone(),
            listing,
            order,
            plans: vec![rows(None, bounds.row_limit)],
            step,
            init,
            first: None,
            extent: Extent::Whole,
        };
        let first = pages.read().await?;
        // A page that is not full is all there is.
        if pages.plans.is_empty() && bounds.row_limit > PAGE {
            pages.first = first;
            return Ok(pages);
        }
        let mut tx = db.read();
        let Some(oldest_kept) = pages.listing.nth_newest(&mut tx, bounds.row_limit).await? else {
            pages.first = first;
            return Ok(pages);
        };
        // Longer than the limit: what was read may be the wrong end.
        pages.plans.clear();
        match bounds.newest_whole {
            None => {
                pages.extent = Extent::Truncated;
                pages.plans.push(Plan::Rows { after: None, floor: Some(oldest_kept), left: bounds.row_limit });
            }
            Some(newest) => {
                pages.extent = Extent::Thinned;
                let boundary = pages.listing.nth_newest(&mut tx, newest).await?.unwrap_or(oldest_kept);
                let oldest = pages.listing.oldest(&mut tx).await?.unwrap_or(boundary.time);
                pages.plans.push(Plan::Rows { after: None, floor: Some(boundary), left: newest });
                let rest = bounds.row_limit.saturating_sub(newest);
                if rest > 0 {
                    // No cell begins behind the boundary, the newest row that is not whole: what lies there is.
                    let grid = Grid::between(oldest, boundary.time, rest);
                    pages.plans.push(Plan::Thinned { oldest, grid, done: 0 });
                }
                // The next to be read is the last.
                if order == Order::Descending {
                    pages.plans.reverse();
                }
            }
        }
        pages.first = pages.read().await?;
        Ok(pages)
    }

    /// The next page and how many rows it has; `None` at the end. A page can be empty before the end.
    ///
    /// # Errors
    /// As the database.
    pub async fn next(&mut self) -> Result<Option<(S, u32)>> {
        match self.first.take() {
            Some(page) => Ok(Some(page)),
            None => self.read().await,
        }
    }

    /// Whether everything has been read.
    pub fn is_read(&self) -> bool {
        self.first.is_none() && self.plans.is_empty()
    }

    async fn read(&mut self) -> Result<Option<(S, u32)>> {
        let Some(plan) = self.plans.pop() else { return Ok(None) };
        let (init, step) = (self.init, Arc::clone(&self.step));
        let start = move || (init(), 0_u32);
        let count = move |(state, count): &mut (S, u32), row: &Row<'_>| {
            *count += 1;
            step(state, row)
        };
        let mut tx = self.db.read();
        match plan {
            Plan::Rows { after, floor, left } => {
                let limit = left.min(PAGE);
                let page = self.listing.page(&mut tx, self.order, after, floor, limit, start, count).await?;
                if page.is_full && left > limit {
                    self.plans.push(Plan::Rows { after: page.last, floor, left: left - limit });
                }
                Ok(Some(page.state))
            }
            Plan::Thinned { oldest, grid, done } => {
                let now = (grid.cells - done).min(Listing::PROBES);
                let skipped = match self.order {
                    Order::Ascending => done,
                    Order::Descending => grid.cells - done - now,
                };
                // What lies in the first cell before the oldest row is not of the range.
                let (mut times, known) = if skipped == 0 { (vec![oldest], 1) } else { (Vec::new(), 0) };
                if now > known {
                    let from = grid.start(grid.first + i64::from(skipped + known));
                    times.extend(self.listing.probe(&mut tx, from, grid.step, now - known).await?);
                }
                let page = self.listing.at_times(&mut tx, &times, self.order, start, count).await?;
                if done + now < grid.cells {
                    self.plans.push(Plan::Thinned { oldest, grid, done: done + now });
                }
                Ok(Some(page))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_grid_is_as_fine_as_may_be(oldest in 0_i64..2_000_000_000_000, span in 0_i64..100_000_000_000, most in 1_u32..20_000) {
            let (oldest, newest) = (Timestamp::from_millis(oldest), Timestamp::from_millis(oldest + span));
            let grid = Grid::between(oldest, newest, most);
            prop_assert!(grid.cells <= most);
            prop_assert!(grid.start(grid.first) <= oldest);
            prop_assert!(newest < grid.start(grid.first + i64::from(grid.cells)));
            prop_assert!(grid.step.trailing_zeros() >= 59_u32.saturating_sub(grid.step.leading_zeros()));
            // A sixteenth at most is given away, and where the cells begin.
            let span = span / i64::from(most);
            prop_assert!(most < 1_000 || grid.step <= span + span / 14 + 2, "{grid:?}");
        }
    }
}
