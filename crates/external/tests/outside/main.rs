//! Clients of other people's services against servers on this machine that answer as the services are documented to, and as
//! they should not.

mod channels;
mod disaster;
mod news;
mod ping;
mod weather;

/// What nearly every test needs.
mod prelude {
    pub use std::time::Duration;

    pub use carebot_external::Key;
    pub use carebot_external::ProviderError;
    pub use carebot_external::guard::Limits;
    pub use carebot_testkit::provider::{Play, Provider};
    pub use serde_json::{Value, json};

    /// Impatient: one try, at most two seconds.
    pub fn limits() -> Limits {
        Limits { timeout: Duration::from_secs(2), tries: 1, failures: 1_000, ..Limits::default() }
    }

    /// Patient, for what is meant to succeed.
    pub fn patient() -> Limits {
        Limits { timeout: Duration::from_secs(20), tries: 1, failures: 1_000, ..Limits::default() }
    }

    /// The key of every client, plain.
    pub const KEY: &str = "ab+c/d1e==";

    /// What the portals answer instead of JSON when they refuse by themselves; with HTTP 200.
    pub fn portal_xml(code: &str, word: &str) -> Play {
        Play::xml(format!(
            "<OpenAPI_ServiceResponse>\n\t<cmmMsgHeader>\n\t\t<errMsg>SERVICE ERROR</errMsg>\n\t\t\
             <returnAuthMsg>{word}</returnAuthMsg>\n\t\t<returnReasonCode>{code}</returnReasonCode>\n\t</cmmMsgHeader>\n\
             </OpenAPI_ServiceResponse>"
        ))
    }

    /// Answers that no provider should give, and whether each must be refused as malformed.
    pub fn nonsense() -> Vec<(&'static str, Play, bool)> {
        vec![
            ("nothing", Play::json(""), true),
            ("no JSON", Play::json("Unexpected errors"), true),
            ("broken off JSON", Play::json(r#"{"response":{"header":{"resultCode":"00""#), true),
            ("other JSON", Play::json("[1,2,3]"), true),
            ("null", Play::json("null"), true),
            ("HTML", Play::Answer(200, "text/html", b"<html><body>maintenance</body></html>".to_vec()), true),
            ("no UTF-8", Play::Answer(200, "application/json", vec![b'{', 0xff, 0xfe, b'}']), true),
            ("deep JSON", Play::json("[".repeat(100_000)), true),
            ("too much", Play::json("\"".to_owned() + &"x".repeat(5 << 20) + "\""), true),
            ("cut short", Play::CutShort(b"{".to_vec()), false),
            ("silence", Play::Silence, false),
            ("hanging up", Play::HangUp, false),
        ]
    }
}
