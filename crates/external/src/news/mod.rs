//! News: any RSS, Atom or JSON feed, or newsdata.io.

pub mod feed;
pub mod newsdata;

mod clean;

pub use feed::Feed;
pub use newsdata::NewsData;

use carebot_model::Timestamp;
use carebot_model::text::Cut;
use reqwest::Url;

/// The longest address that is taken, in bytes.
const LONGEST_URL: usize = 2_048;

/// One piece of news as a source has it. The title is plain text of 1 to 255 code points, the addresses are of `http` or
/// `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The headline.
    pub title: String,
    /// Where to read it.
    pub link: String,
    /// A picture.
    pub image_url: Option<String>,
    /// When it was published, if the source says so.
    pub published_at: Option<Timestamp>,
}

impl Item {
    /// `None` without a title or a usable address. A picture without a usable address is left out.
    fn new(title: &str, link: &str, image_url: Option<&str>, published_at: Option<Timestamp>) -> Option<Self> {
        let title = Cut::<255>::new(clean::plain(title)).as_str().trim_end().to_owned();
        // What was lost on the way cannot be read to anybody.
        if title.is_empty() || title.contains('\u{fffd}') {
            return None;
        }
        Some(Self { title, link: web_address(link)?, image_url: image_url.and_then(web_address), published_at })
    }
}

fn web_address(text: &str) -> Option<String> {
    let url = Url::parse(text.trim()).ok()?;
    let usable = matches!(url.scheme(), "http" | "https") && url.has_host() && url.as_str().len() <= LONGEST_URL;
    usable.then(|| url.into())
}
