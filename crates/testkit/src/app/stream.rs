//! A stream of events, as who follows it sees it.

use std::time::Duration;

use axum::body::Body;
use http::HeaderMap;
use http_body_util::BodyExt;
use serde_json::Value;

/// Nothing that is waited for takes so long.
const PATIENCE: Duration = Duration::from_mins(2);

/// An event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Where to go on behind it, if it has an id.
    pub id: Option<String>,
    /// What it is called.
    pub name: String,
    /// What it says.
    pub data: Value,
}

/// A stream that is being followed. Nothing is read ahead: who does not ask is a slow reader.
#[derive(Debug)]
pub struct EventStream {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    body: Body,
    text: String,
}

impl EventStream {
    pub(super) const fn new(status: u16, headers: HeaderMap, body: Body) -> Self {
        Self { status, headers, body, text: String::new() }
    }

    /// The next block as it was sent, a comment too; nothing at the end.
    ///
    /// # Panics
    /// When the stream breaks off, or nothing comes.
    pub async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let rest = self.text.split_off(end + 2);
                return Some(std::mem::replace(&mut self.text, rest));
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("something comes");
            let Some(frame) = frame else {
                assert_eq!(self.text, "", "the stream ends within a block");
                return None;
            };
            let bytes = frame.expect("the stream does not break off").into_data().expect("there are no trailers");
            self.text.push_str(std::str::from_utf8(&bytes).expect("it is text"));
        }
    }

    /// The next event; comments are passed over. Nothing at the end.
    ///
    /// # Panics
    /// As [`EventStream::block`], and when a block is none.
    pub async fn next(&mut self) -> Option<Event> {
        // A stream that only shows that it lives is one on which nothing comes.
        tokio::time::timeout(PATIENCE, self.find()).await.expect("an event comes")
    }

    async fn find(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            let Some(name) = field("event: ") else {
                assert!(block.starts_with(": ") || block.starts_with("retry: "), "{block:?}");
                continue;
            };
            let data = field("data: ").unwrap_or_else(|| panic!("no data in {block:?}"));
            let data = serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error} in {block:?}"));
            return Some(Event { id: field("id: "), name, data });
        }
    }

    /// The next event, which must have a name.
    ///
    /// # Panics
    /// When it has another.
    #[track_caller]
    pub fn expect(&mut self, name: &'static str) -> impl Future<Output = Event> {
        let caller = std::panic::Location::caller();
        async move {
            let event = self.next().await.unwrap_or_else(|| panic!("{caller}: the stream ends, no {name} came"));
            assert_eq!(event.name, name, "{caller}: {event:?}");
            event
        }
    }

    /// Asserts that the server ends the stream next, and says why.
    ///
    /// # Panics
    /// When it does not.
    pub async fn ends(&mut self, reason: &str) {
        let event = self.next().await.unwrap_or_else(|| panic!("it ends without a word"));
        assert_eq!((event.name.as_str(), &event.data["reason"]), ("end", &Value::from(reason)), "{event:?}");
        assert_eq!(self.next().await, None);
    }
}
