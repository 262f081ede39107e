//! `/v1/contacts`, `/v1/push`, `/v1/channels`

use axum::extract::State;
use carebot_model::access::Action;
use carebot_model::{AccountId, RowId};
use carebot_service::Change;
use carebot_service::contacts::{self, ContactChange, ContactView, NewSubscription, Quiet, SubscriptionView};
use carebot_service::reach::{self, Channels, Tested};
use http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;

use crate::answer::{Answer, gives, lists, says};
use crate::app::App;
use crate::context::{Body, Caller, Path, RawQuery};
use crate::error::{ApiError, Echo, types};
use crate::extract::{Fault, Field, Item, MASK, OrNull, Query, Secret, field, id_schema, path, schemas};
use crate::operation::{Api, Operation, delete, get, patch, post};
use crate::routes::accounts::Created;
use crate::routes::{filled, missing};

crate::form! {
    /// How somebody wants to be told.
    pub struct UpdateContact {
        /// Up to 32 digits, `+`, `-`, brackets and blanks; null removes it.
        phone: OrNull<String>,
        /// `ko` or `en`.
        language: String,
        /// `push`, `email` and `webhook`, or some of them, in the order in which they are tried.
        channels: Vec<Value>,
        /// Hours in which only what is critical gets through, Korean time; null ends them.
        quiet: OrNull<QuietHours>,
        /// An https address to be called, signed after Standard Webhooks with the secret of the answer; null removes it.
        webhook_url: OrNull<Secret>,
    }
}

crate::form! {
    /// A browser's `PushSubscription.toJSON()`, and what to call it.
    pub struct Subscribe {
        /// The address of its push service.
        endpoint: Secret,
        /// Its keys.
        keys: PushKeys,
        /// What it is called, at most 64 characters.
        label: String,
    }
}

crate::form! {
    /// A channel to be tried.
    pub struct TestContact {
        /// `push`, `email` or `webhook`.
        channel: String,
    }
}

/// What a browser needs to subscribe.
#[derive(Serialize, JsonSchema)]
pub struct PushKey {
    /// `applicationServerKey`: the public key in base64url.
    #[serde(rename = "applicationServerKey")]
    pub application_server_key: String,
}

const SUBSCRIPTION: &str = "Endpoint and keys are required";
const CHANNEL: &str = "A channel is required";
const MISSING: &str = "Account not found";
const DEVICES: &str = "Subscriptions retrieved successfully";
const NO_DEVICES: &str = "No subscriptions found";

/// `{"from": "22:00", "until": "07:00"}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuietHours {
    from: Option<String>,
    until: Option<String>,
}

impl Field for QuietHours {
    fn read(value: &Value, at: &[&'static str], items: &mut Vec<Item>) -> Option<Self> {
        if !value.is_object() {
            items.push(Fault::NOT_AN_OBJECT.at(at, value.clone()));
            return None;
        }
        Some(Self { from: field::part(value, at, "from", items), until: field::part(value, at, "until", items) })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        schemas::nullable(&generator.subschema_for::<Self>())
    }
}

impl JsonSchema for QuietHours {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "QuietHours".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let time = json_schema!({ "type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$" });
        json_schema!({
            "type": "object",
            "description": "Two different times of the Korean day; until the next day if that is the earlier one.",
            "properties": {"from": time, "until": time},
            "required": ["from", "until"],
            "examples": [{"from": "22:00", "until": "07:00"}],
        })
    }
}

/// `{"p256dh": .., "auth": ..}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PushKeys {
    p256dh: Option<Secret>,
    auth: Option<Secret>,
}

impl Field for PushKeys {
    const SECRET: bool = true;

    fn read(value: &Value, at: &[&'static str], items: &mut Vec<Item>) -> Option<Self> {
        if !value.is_object() {
            items.push(Fault::NOT_AN_OBJECT.at(at, MASK.into()));
            return None;
        }
        Some(Self { p256dh: field::part(value, at, "p256dh", items), auth: field::part(value, at, "auth", items) })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        schemas::nullable(&generator.subschema_for::<Self>())
    }
}

impl JsonSchema for PushKeys {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PushKeys".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "The keys of a push subscription, base64url.",
            "properties": {"p256dh": {"type": "string"}, "auth": {"type": "string"}},
            "required": ["p256dh", "auth"],
        })
    }
}

/// An operation about an account's contact: one's own, or for operators somebody's.
fn of_account(operation: Operation) -> Operation {
    operation
        .query("userId", "The account, for operators; one's own if absent.", id_schema().to_value())
        .forbidden()
        .not_found(MISSING)
}

/// Refusals of an address.
fn addressed(operation: Operation) -> Operation {
    operation
        .invalid(contacts::NO_ADDRESS)
        .invalid(contacts::LONG_ADDRESS)
        .invalid(contacts::NOT_HTTPS)
        .invalid(contacts::CREDENTIALS)
        .invalid(contacts::PRIVATE)
}

pub fn add(api: &mut Api) {
    api.add(
        of_account(get("/v1/contacts", Action::ContactRead, "How somebody wants to be told"))
            .gives::<ContactView>(200, "Contact retrieved successfully"),
        read,
    );
    api.add(
        addressed(of_account(patch("/v1/contacts", Action::ContactUpdate, "Change how somebody wants to be told")))
            .takes::<UpdateContact>()
            .gives::<ContactView>(200, "Contact updated successfully")
            .invalid(contacts::PHONE)
            .invalid(contacts::LANGUAGE)
            .invalid(contacts::CHANNELS)
            .invalid(contacts::QUIET),
        update,
    );
    api.add(
        of_account(post("/v1/contacts/test", Action::ContactUpdate, "Send a test to oneself"))
            .takes::<TestContact>()
            .gives::<Tested>(200, "Channel tested successfully")
            .no_data(CHANNEL)
            .invalid(reach::CHANNEL)
            .refuses(429, types::TOO_MANY, reach::TOO_SOON),
        test,
    );
    api.add(
        get("/v1/push/key", Action::ServerRead, "The key that a browser subscribes with")
            .gives::<PushKey>(200, "Key retrieved successfully"),
        key,
    );
    api.add(
        of_account(get("/v1/push/subscriptions", Action::ContactRead, "Browsers and phones that take notices"))
            .lists::<SubscriptionView>(DEVICES, NO_DEVICES),
        devices,
    );
    api.add(
        addressed(of_account(post(
            "/v1/push/subscriptions",
            Action::ContactUpdate,
            "Send notices to a browser or phone; of an account's ten the oldest goes",
        )))
        .takes::<Subscribe>()
        .gives::<Created<RowId>>(201, "Subscribed successfully")
        .no_data(SUBSCRIPTION)
        .invalid(contacts::KEYS)
        .bounded(),
        subscribe,
    );
    api.add(
        of_account(delete(
            "/v1/push/subscriptions/{subscription_id}",
            Action::ContactUpdate,
            "Send no more notices to a browser or phone",
        ))
        .row()
        .says(200, "Unsubscribed successfully")
        .not_found(contacts::NO_DEVICE),
        unsubscribe,
    );
    api.add(
        get("/v1/channels/{family_id}", Action::RuleRead, "Who of a family can be reached, and its robot")
            .gives::<Channels>(200, "Channels retrieved successfully")
            .of_family(),
        channels,
    );
}

/// The account that the query names, if it names one.
fn user(raw: Option<&str>) -> Result<Option<AccountId>, ApiError> {
    let mut query = Query::new(raw);
    let user = query.id("userId", AccountId::parse);
    query.finish()?;
    Ok(user)
}

fn change<T: Clone, U>(field: Option<&OrNull<T>>, map: impl FnOnce(T) -> U) -> Change<U> {
    match field {
        None => Change::Leave,
        Some(OrNull(None)) => Change::Unset,
        Some(OrNull(Some(value))) => Change::Set(map(value.clone())),
    }
}

async fn read(State(app): State<App>, caller: Caller, RawQuery(raw): RawQuery) -> Answer {
    let user = user(raw.as_deref())?;
    let contact = app.service().get_contact(&caller, user.as_ref().map(AccountId::as_str)).await?;
    gives(StatusCode::OK, "Contact retrieved successfully", &contact)
}

async fn update(
    State(app): State<App>,
    caller: Caller,
    RawQuery(raw): RawQuery,
    Body(form): Body<UpdateContact>,
) -> Answer {
    let user = user(raw.as_deref())?;
    // What is no text is no channel either.
    let name = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let quiet =
        |hours: QuietHours| Quiet { from: hours.from.unwrap_or_default(), until: hours.until.unwrap_or_default() };
    let change = ContactChange {
        phone: change(form.phone.as_ref(), |phone| phone),
        language: form.language.clone(),
        channels: form.channels.as_ref().map(|channels| channels.iter().map(name).collect()),
        quiet: change(form.quiet.as_ref(), quiet),
        webhook_url: change(form.webhook_url.as_ref(), |url| url.expose().to_owned()),
    };
    let contact = app.service().update_contact(&caller, user.as_ref().map(AccountId::as_str), change).await;
    gives(StatusCode::OK, "Contact updated successfully", &contact.echo(&form)?)
}

async fn test(
    State(app): State<App>,
    caller: Caller,
    RawQuery(raw): RawQuery,
    Body(form): Body<TestContact>,
) -> Answer {
    let user = user(raw.as_deref())?;
    let channel = filled(form.channel.as_ref());
    missing("body", &[("channel", channel.is_some())], CHANNEL).echo(&form)?;
    let user = user.as_ref().map(AccountId::as_str);
    let tested = app.service().test_contact(&caller, user, channel.unwrap_or_default()).await.echo(&form)?;
    gives(StatusCode::OK, "Channel tested successfully", &tested)
}

async fn key(State(app): State<App>) -> Answer {
    let application_server_key = app.service().vapid_key().await?.public();
    gives(StatusCode::OK, "Key retrieved successfully", &PushKey { application_server_key })
}

async fn devices(State(app): State<App>, caller: Caller, RawQuery(raw): RawQuery) -> Answer {
    let user = user(raw.as_deref())?;
    let devices = app.service().list_subscriptions(&caller, user.as_ref().map(AccountId::as_str)).await?;
    lists(&devices, DEVICES, NO_DEVICES)
}

async fn subscribe(
    State(app): State<App>,
    caller: Caller,
    RawQuery(raw): RawQuery,
    Body(form): Body<Subscribe>,
) -> Answer {
    let user = user(raw.as_deref())?;
    let text = |secret: Option<&Secret>| secret.map(|secret| secret.expose().to_owned()).unwrap_or_default();
    let keys = form.keys.as_ref();
    let (p256dh, auth) = (keys.and_then(|keys| keys.p256dh.as_ref()), keys.and_then(|keys| keys.auth.as_ref()));
    let has_keys = p256dh.is_some() && auth.is_some();
    let has_endpoint = form.endpoint.as_ref().is_some_and(|endpoint| !endpoint.is_empty());
    missing("body", &[("endpoint", has_endpoint), ("keys", has_keys)], SUBSCRIPTION).echo(&form)?;
    let new = NewSubscription {
        endpoint: text(form.endpoint.as_ref()),
        p256dh: text(p256dh),
        auth: text(auth),
        label: filled(form.label.as_ref()).map(str::to_owned),
    };
    let id = app.service().subscribe(&caller, user.as_ref().map(AccountId::as_str), new).await.echo(&form)?;
    gives(StatusCode::CREATED, "Subscribed successfully", &Created { id })
}

async fn unsubscribe(State(app): State<App>, caller: Caller, path: Path, RawQuery(raw): RawQuery) -> Answer {
    let user = user(raw.as_deref())?;
    let id = path::row("subscription_id", path.one())?;
    app.service().unsubscribe(&caller, user.as_ref().map(AccountId::as_str), id).await?;
    says(StatusCode::OK, "Unsubscribed successfully")
}

async fn channels(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    let channels = app.service().family_channels(&caller, path.one()).await?;
    gives(StatusCode::OK, "Channels retrieved successfully", &channels)
}
