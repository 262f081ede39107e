//! A valid request for every operation.

use carebot_model::access::{Action, Relation};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::world::{About, At, World};
use crate::prelude::*;

/// A request that would succeed if it came from somebody who may.
pub struct Case {
    /// `GET /accounts/{user_id}`, as in the document.
    pub operation: &'static str,
    /// What tells this request from others of the operation.
    pub variant: &'static str,
    /// The action it asks for, if it is not the one in the document.
    pub asks: Option<Action>,
    pub about: About,
    query: &'static str,
    body: fn(&World<'_>, &At) -> Value,
    /// Relations that make no sense here, each with the reason.
    pub senseless: &'static [(Relation, &'static str)],
}

/// Allowed or not, these fail: they need the assistant or another provider, and there is none yet.
pub const NEEDS_A_PROVIDER: &[Action] =
    &[Action::AssistantCheck, Action::Chat, Action::ConversationRead, Action::MentalCreate, Action::WeatherRead];

const fn case(operation: &'static str, about: About) -> Case {
    Case { operation, variant: "", asks: None, about, query: "", body: |_, _| Value::Null, senseless: &[] }
}

impl Case {
    const fn with(self, body: fn(&World<'_>, &At) -> Value) -> Self {
        Self { body, ..self }
    }

    const fn query(self, query: &'static str) -> Self {
        Self { query, ..self }
    }

    const fn variant(self, variant: &'static str, asks: Action) -> Self {
        Self { variant, asks: Some(asks), ..self }
    }

    const fn but(self, senseless: &'static [(Relation, &'static str)]) -> Self {
        Self { senseless, ..self }
    }

    /// The line and the body of the request.
    pub fn request(&self, world: &World<'_>, at: &At) -> (String, Value) {
        let template = format!("{}{}", self.operation, self.query);
        let member = if self.about == About::JoinRequest { world.request } else { world.member };
        let line = template
            .replace("{user_id}", at.target.id.as_str())
            .replace("{family_id}", world.family.as_str())
            .replace("{member_id}", member.as_str())
            .replace("{message_id}", &world.message_to(at.target.id).to_string())
            .replace("{notification_id}", &world.notification.to_string())
            .replace("{image_id}", &world.image.to_string())
            .replace("{file_name}", world.picture)
            .replace("{session_id}", &at.target.session.to_string())
            .replace("{alarm_id}", &world.alarm.to_string())
            .replace("{subscription_id}", &world.device_of(at.target.id).to_string())
            .replace("{master_region}", &utf8_percent_encode("경기", NON_ALPHANUMERIC).to_string());
        (line, (self.body)(world, at))
    }
}

fn own_password(_: &World<'_>, _: &At) -> Value {
    json!({"password": PASSWORD})
}

fn family(world: &World<'_>, _: &At) -> Value {
    json!({"family_id": world.family})
}

/// From the account it is about, to somebody whom that account reaches.
fn message(world: &World<'_>, at: &At) -> Value {
    let to = if at.target.id == world.elder.id { &world.guardian } else { &world.elder };
    json!({"from_id": at.target.id, "to_id": to.id, "content": "점심 드셨어요?"})
}

const ONLY_ELDERS_OWN_FAMILIES: (Relation, &str) = (Relation::Own, "only an elder owns a family");

/// The list. What differs only in its path stands together.
pub const CASES: &[Case] = &[
    case("GET /healthz", About::Nothing),
    case("GET /readyz", About::Nothing),
    case("GET /openapi.json", About::Nothing),
    case("POST /accounts/check-email", About::Nothing).with(|_, _| json!({"email": "free@example.com"})),
    case("POST /accounts", About::Nothing)
        .with(|world, _| json!({"email": fresh_email(world), "password": "a fine password", "role": "sub"})),
    case("POST /accounts", About::Nothing)
        .variant("(role system)", Action::AccountPrivilege)
        .with(|world, _| json!({"email": fresh_email(world), "password": "a fine password", "role": "system"})),
    case("GET /accounts", About::Nothing),
    case("GET /accounts/{user_id}", About::Account),
    case("PATCH /accounts/{user_id}", About::Account).with(|_, _| json!({"user_name": "박영희"})),
    case("PATCH /accounts/{user_id}", About::Joiner)
        .variant("(role test)", Action::AccountPrivilege)
        .with(|_, _| json!({"role": "test"})),
    case("DELETE /accounts/{user_id}", About::Account).with(own_password),
    case("POST /auth/login", About::Nothing).with(|_, at| json!({"email": at.target.email, "password": PASSWORD})),
    case("POST /auth/logout", About::Nothing),
    case("PATCH /auth/change-password", About::Account).with(|_, at| {
        json!({"user_id": at.target.id, "current_password": PASSWORD, "new_password": "another fine password"})
    }),
    case("PATCH /auth/auto-login", About::Nothing),
    case("POST /auth/check", About::Nothing).with(|_, at| json!({"session_id": at.target.token})),
    case("POST /families/check-exist", About::Account)
        .with(|_, at| json!({"id": at.target.id}))
        .but(&[ONLY_ELDERS_OWN_FAMILIES]),
    case("POST /families", About::Founder).with(|_, at| json!({"main_user": at.target.id, "family_name": "영희네"})),
    case("GET /families", About::Nothing),
    case("POST /families/find", About::Nothing).with(|_, _| {
        json!({"user_name": "김순자", "birth_date": {"year": 1945, "month": 3, "day": 1}, "gender": "female",
            "address": "경기도 수원시"})
    }),
    case("GET /families/{family_id}", About::Family),
    case("GET /families/name/{family_id}", About::Nothing),
    case("PATCH /families/{family_id}", About::Family).with(|_, _| json!({"family_name": "새 이름"})),
    case("DELETE /families/{family_id}", About::Family).with(own_password),
    case("POST /members", About::Joiner).with(|world, at| json!({"family_id": world.family, "user_id": at.target.id})),
    case("GET /members", About::Nothing),
    case("GET /members", About::Family).query("?familyId={family_id}").variant("(familyId)", Action::MemberListOfFamily),
    case("GET /members", About::Account).query("?userId={user_id}").variant("(userId)", Action::MemberListOfAccount),
    case("GET /members/{member_id}", About::Membership),
    case("PATCH /members/{member_id}", About::Membership).with(|_, _| json!({"nickname": "큰딸"})),
    case("DELETE /members/{member_id}", About::Membership).with(own_password),
    case("DELETE /members/kick/{member_id}", About::Membership).with(own_password),
    case("GET /v1/members/requests", About::Nothing),
    case("PATCH /v1/members/requests/{member_id}", About::JoinRequest),
    case("DELETE /v1/members/requests/{member_id}", About::JoinRequest),
    case("POST /status/home", About::Family).with(|world, _| {
        json!({"family_id": world.family, "temperature": 21.5, "humidity": 40, "dust_level": 3, "ethanol": 0.1, "others": ""})
    }),
    case("POST /status/health", About::Family).with(|world, _| json!({"family_id": world.family, "heart_rate": 72.5})),
    case("POST /status/active", About::Family).with(|world, _| {
        json!({"family_id": world.family, "score": 3, "action": "산책", "is_critical": false, "description": "{}"})
    }),
    case("GET /status/home/{family_id}", About::Family).query("?start=2026-01-01"),
    case("GET /status/health/{family_id}", About::Family).query("?start=2026-01-01"),
    case("GET /status/active/{family_id}", About::Family).query("?start=2026-01-01"),
    case("GET /status/mental/{family_id}", About::Family).query("?start=2026-01-01"),
    case("GET /status/mental-reports/{family_id}", About::Family).query("?start=2026-01-01"),
    case("GET /status/home/{family_id}/series", About::Family).query("?start=2026-01-01"),
    case("GET /status/health/{family_id}/series", About::Family).query("?start=2026-01-01"),
    case("GET /status/active/{family_id}/series", About::Family).query("?start=2026-01-01"),
    case("GET /status/mental/{family_id}/series", About::Family).query("?start=2026-01-01"),
    case("GET /status/home/latest/{family_id}", About::Family),
    case("GET /status/health/latest/{family_id}", About::Family),
    case("GET /status/active/latest/{family_id}", About::Family),
    case("GET /status/mental/latest/{family_id}", About::Family),
    case("GET /status/mental-reports/latest/{family_id}", About::Family),
    case("DELETE /status/home/latest/{family_id}", About::Family),
    case("DELETE /status/health/latest/{family_id}", About::Family),
    case("DELETE /status/active/latest/{family_id}", About::Family),
    case("DELETE /status/mental/latest/{family_id}", About::Family),
    case("DELETE /status/mental-reports/latest/{family_id}", About::Family),
    case("GET /status/mental/new/{family_id}", About::Family),
    case("POST /v1/status/mental/{family_id}", About::Family),
    case("GET /status/mental-reports/new/{family_id}", About::Family).query("?start=2026-01-01"),
    case("POST /v1/status/mental-reports/{family_id}", About::Family).query("?start=2026-01-01"),
    case("GET /status/keywords/{family_id}", About::Family),
    case("GET /status/psychology/{family_id}", About::Family),
    case("POST /chats", About::Account).with(|_, at| json!({"user_id": at.target.id, "message": "심심해"})),
    case("GET /messages/receivable/{user_id}", About::Account),
    case("POST /messages/send", About::Account).with(message),
    case("POST /messages/send", About::Account)
        .variant("(to)", Action::MessageSendTo)
        .with(|_, at| json!({"from_id": at.caller.as_ref().unwrap_or(&at.target).id, "to_id": at.target.id})),
    case("GET /messages/new", About::Nothing),
    case("GET /messages/all", About::Nothing),
    case("GET /messages/sent", About::Nothing),
    case("PATCH /messages/read/{message_id}", About::Account),
    case("PATCH /messages/read-many", About::Account)
        .with(|world, at| json!({"index_list": [world.message_to(at.target.id)]})),
    case("DELETE /messages/delete/{message_id}", About::Nothing),
    case("POST /notify", About::Family).with(family),
    case("GET /notify/new/{family_id}", About::Family),
    case("GET /notify/all/{family_id}", About::Family),
    case("PATCH /notify/read/{notification_id}", About::Family),
    case("PATCH /notify/read-many", About::Family).with(|world, _| json!({"index_list": [world.notification]})),
    case("DELETE /notify/delete/{notification_id}", About::Nothing),
    case("GET /tools/master-region", About::Nothing),
    case("GET /tools/sub-region", About::Nothing),
    case("GET /tools/sub-region/{master_region}", About::Nothing),
    case("GET /tools/ai-server", About::Nothing),
    case("GET /tools/news", About::Nothing).query("?when=2026-03-01"),
    case("GET /tools/weather/{user_id}", About::Account),
    case("GET /tools/settings/{family_id}", About::Family),
    case("PATCH /tools/settings/{family_id}", About::Family).with(|_, _| json!({"is_camera_enabled": true})),
    case("POST /tools/background", About::Family).with(family),
    case("GET /tools/background/{family_id}", About::Family),
    case("DELETE /tools/background/{family_id}/{image_id}", About::Family),
    case("POST /upload", About::Nothing),
    case("GET /access/{user_id}/{file_name}", About::Picture),
    case("DELETE /delete/{user_id}/{file_name}", About::Picture),
    case("POST /v1/status/batch", About::Family).with(|world, _| {
        json!({"family_id": world.family, "reports": [
            {"kind": "health", "key": "robot-1", "sensed_at": world.app.t.now(), "heart_rate": 72},
        ]})
    }),
    case("POST /v1/robots/heartbeat", About::Family).with(family),
    case("GET /v1/robots/prompts", About::Family).query("?family_id={family_id}"),
    case("GET /v1/chats/{user_id}", About::Account),
    case("DELETE /v1/chats/{user_id}", About::Account),
    case("GET /v1/events", About::Nothing),
    case("GET /v1/events/{family_id}", About::Family),
    case("GET /v1/alarms/{family_id}", About::Family),
    case("GET /v1/alarms/{alarm_id}/timeline", About::Family),
    case("POST /v1/alarms/{alarm_id}/ack", About::Family),
    case("POST /v1/alarms/{alarm_id}/clear", About::Family).with(|_, _| json!({"comment": "괜찮으셨어요"})),
    case("POST /v1/alarms/{alarm_id}/comment", About::Family).with(|_, _| json!({"text": "가고 있어요"})),
    case("POST /v1/alarms/{alarm_id}/snooze", About::Family)
        .with(|_, _| json!({"seconds": 300, "reason": "가고 있어요"})),
    case("POST /v1/messages/{message_id}/spoken", About::Account).with(|_, _| json!(null)),
    case("POST /v1/alarms/{alarm_id}/answer", About::Family).with(|_, _| json!({"answer": "help"})),
    case("POST /v1/alarms/sos", About::Family).with(family),
    case("POST /v1/drills", About::Family).with(family),
    case("GET /v1/rules/{family_id}", About::Family),
    case("PATCH /v1/rules/{family_id}", About::Family)
        .with(|_, _| json!({"rule": "heat", "parameters": {"warn": 32}, "mute": null})),
    case("POST /v1/rules/{family_id}/try", About::Family).with(|_, _| json!({"rule": "heat", "parameters": {"warn": 32}})),
    case("GET /v1/ladders/{family_id}", About::Family),
    case("PATCH /v1/ladders/{family_id}", About::Family).with(|_, _| json!({"severity": "warn", "steps": null})),
    case("GET /v1/channels/{family_id}", About::Family),
    case("PATCH /v1/members/{member_id}/order", About::Membership).with(|_, _| json!({"order": 1})),
    case("GET /v1/contacts", About::Account).query("?userId={user_id}"),
    case("PATCH /v1/contacts", About::Account).query("?userId={user_id}").with(|_, _| json!({"language": "en"})),
    case("POST /v1/contacts/test", About::Account).query("?userId={user_id}").with(|_, _| json!({"channel": "email"})),
    case("GET /v1/push/key", About::Nothing),
    case("GET /v1/push/subscriptions", About::Account).query("?userId={user_id}"),
    case("POST /v1/push/subscriptions", About::Account)
        .query("?userId={user_id}")
        .with(|_, _| crate::contacts::subscription("https://push.example.net/push/new")),
    case("DELETE /v1/push/subscriptions/{subscription_id}", About::Account).query("?userId={user_id}"),
    case("GET /v1/sessions", About::Account).query("?userId={user_id}"),
    case("DELETE /v1/sessions/{session_id}", About::Account).with(|_, _| json!({"end_robot": false})),
];

fn fresh_email(world: &World<'_>) -> String {
    format!("new-{:x}@example.com", world.app.t.rng.next())
}
