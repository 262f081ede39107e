//! News of a day, in eight categories.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{Date, RowId, Timestamp, wire_enum};

wire_enum!(
    /// A category of news.
    Category {
        /// Business.
        Business = "business",
        /// Entertainment.
        Entertainment = "entertainment",
        /// Environment.
        Environment = "environment",
        /// Health.
        Health = "health",
        /// Politics.
        Politics = "politics",
        /// Science.
        Science = "science",
        /// Sports.
        Sports = "sports",
        /// Technology.
        Technology = "technology",
    }
);

/// One piece of news.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Article {
    /// Its number.
    pub id: RowId,
    /// Its category.
    pub category: Category,
    /// The headline.
    pub title: String,
    /// Where to read it.
    pub link: String,
    /// A picture.
    pub image_url: Option<String>,
    /// The day it was published.
    pub pub_date: Date,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// The news of a day: always all eight categories, each possibly empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DailyNews {
    /// Business.
    pub business: Vec<Article>,
    /// Entertainment.
    pub entertainment: Vec<Article>,
    /// Environment.
    pub environment: Vec<Article>,
    /// Health.
    pub health: Vec<Article>,
    /// Politics.
    pub politics: Vec<Article>,
    /// Science.
    pub science: Vec<Article>,
    /// Sports.
    pub sports: Vec<Article>,
    /// Technology.
    pub technology: Vec<Article>,
}

impl DailyNews {
    /// Files an article under its category.
    pub fn push(&mut self, article: Article) {
        let list = match article.category {
            Category::Business => &mut self.business,
            Category::Entertainment => &mut self.entertainment,
            Category::Environment => &mut self.environment,
            Category::Health => &mut self.health,
            Category::Politics => &mut self.politics,
            Category::Science => &mut self.science,
            Category::Sports => &mut self.sports,
            Category::Technology => &mut self.technology,
        };
        list.push(article);
    }
}
