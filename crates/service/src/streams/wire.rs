//! What goes over a stream, as text: server-sent events (WHATWG HTML, 9.2).

use std::fmt::Write as _;

use carebot_database::journal::Event;
use carebot_model::FamilyId;
use serde_json::json;

/// A comment, so that both ends and what is between them know that the other still is there.
pub const ALIVE: &str = ": alive\n\n";
/// How long a client should wait before it connects again, in milliseconds.
pub const RETRY: u64 = 2_000;

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Who follows may not any more.
    Access,
    /// The server stops.
    Restart,
    /// Nobody took what was sent.
    Slow,
}

impl End {
    const fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Restart => "restart",
            Self::Slow => "slow",
        }
    }
}

/// Writes an event. `data` is one line.
pub fn event(out: &mut String, name: &str, id: &str, data: &serde_json::Value) {
    if !id.is_empty() {
        let _ = writeln!(out, "id: {id}");
    }
    let _ = write!(out, "event: {name}\ndata: {data}\n\n");
}

/// Tells a client when to come again.
pub fn retry(out: &mut String, millis: u64) {
    let _ = write!(out, "retry: {millis}\n\n");
}

/// Tells why a stream ends.
pub fn end(out: &mut String, why: End) {
    event(out, "end", "", &json!({ "reason": why.name() }));
}

/// Something that happened, but for its id, which depends on who follows what.
pub fn happened(event: &Event) -> String {
    let Event { family, seq, created_at, kind, body, .. } = event;
    // A line break between two values of a body, which nothing of this program writes, would end the line.
    let body = body.replace(['\r', '\n'], " ");
    format!(
        "event: {kind}\ndata: {{\"seq\":{seq},\"family_id\":\"{family}\",\"at\":\"{created_at}\",\"kind\":\"{kind}\",\"body\":{body}}}\n\n"
    )
}

/// The newest report of a kind.
pub fn reading(family: FamilyId, kind: &str, report: &serde_json::Value) -> String {
    let mut out = String::new();
    event(&mut out, "reading", "", &json!({"family_id": family, "kind": kind, "report": report}));
    out
}

#[cfg(test)]
mod tests {
    use carebot_model::Timestamp;
    use carebot_model::alarms::EventKind;

    use super::*;

    #[test]
    fn nothing_in_a_body_ends_its_line() {
        let event = Event {
            family: FamilyId::parse("F234567890123456").expect("an id"),
            seq: 12,
            created_at: Timestamp::from_millis(1_772_442_000_000),
            kind: EventKind::Settings,
            between: None,
            body: "{\"text\":\"a\\nb\",\r\n\"more\":\r1}".into(),
        };
        assert_eq!(
            happened(&event),
            concat!(
                "event: settings\n",
                r#"data: {"seq":12,"family_id":"F234567890123456","at":"2026-03-02T09:00:00","kind":"settings","#,
                r#""body":{"text":"a\nb",  "more": 1}}"#,
                "\n\n"
            )
        );
    }
}
