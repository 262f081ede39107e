//! `/status`: mounted once per kind, from the list of kinds.

use axum::extract::State;
use carebot_model::access::Action;
use carebot_model::status::series::{Choice, Series};
use carebot_model::status::{Active, Health, Home, Mental, MentalReport, RangeOn, Report, StatusKind};
use carebot_model::{Timestamp, for_each_status_kind};
use carebot_service::series::{BACKWARDS, TOO_MANY};
use carebot_service::status::{Origin, Taken};
use http::StatusCode;
use serde_json::{Value, json};

use crate::answer::{Answer, corrected, gives, lists, mark, new_page, says, streams, thinned, write_row};
use crate::app::App;
use crate::context::{Body, Caller, IdempotencyKey, Path, Range, RawQuery, SensedAt};
use crate::error::Echo;
use crate::extract::{Query, StatusForm};
use crate::operation::{Api, delete, get, post};
use crate::routes::{filled, missing};

const FAMILY: &str = "Family ID is required";
const QUERY: &str = "Query data is required";
const BUCKET: &str = "How long a bucket is; a day is a Korean one. `auto`: 5m up to 2 days, 1h up to 60 days, else 1d.";

/// A path of a kind; made once, kept for the life of the program.
fn path<K: StatusKind>(pattern: &str) -> &'static str {
    pattern.replace("{kind}", K::NAME).leak()
}

fn time_schema() -> Value {
    crate::extract::datetime::timestamp_schema().to_value()
}

pub fn add(api: &mut Api) {
    macro_rules! mount {
        ($kind:ident) => {
            add_kind::<$kind>(api);
        };
    }
    for_each_status_kind!(mount);
    add_computed(api);
}

fn add_kind<K: StatusKind>(api: &mut Api) {
    if K::REPORTED {
        api.add(
            post(path::<K>("/status/{kind}"), Action::StatusReport, "Report a reading")
                .takes::<StatusForm<K>>()
                .says(201, K::TEXTS.created)
                .no_data(FAMILY)
                .not_found("Family not found")
                .bounded()
                .keyed()
                .sensed(),
            create::<K>,
        );
    }
    api.add(
        get(path::<K>("/status/{kind}/{family_id}"), Action::StatusRead, "Reports of a range")
            .range()
            .lists::<Report<K>>(K::TEXTS.retrieved, K::TEXTS.none)
            .no_data(QUERY)
            .of_family()
            .bounded_list(K::THINNED),
        list::<K>,
    );
    if !K::SERIES.is_empty() {
        api.add(
            get(path::<K>("/status/{kind}/{family_id}/series"), Action::StatusRead, "Reports summed up in buckets")
                .query("start", "From the bucket of this second. UTC, or with an offset.", time_schema())
                .query("end", "To the bucket of this second; now if absent.", time_schema())
                .query("bucket", BUCKET, json!({"type": "string", "enum": Choice::ALL, "default": "auto"}))
                .gives::<Series>(200, K::TEXTS.retrieved)
                .gives::<Series>(200, K::TEXTS.none)
                .no_data(QUERY)
                .invalid(BACKWARDS)
                .invalid(TOO_MANY)
                .of_family(),
            series::<K>,
        );
    }
    api.add(
        get(path::<K>("/status/{kind}/latest/{family_id}"), Action::StatusRead, "The newest report")
            .gives::<Report<K>>(200, K::TEXTS.retrieved)
            .of_family()
            .not_found(K::TEXTS.none),
        latest::<K>,
    );
    api.add(
        delete(path::<K>("/status/{kind}/latest/{family_id}"), Action::StatusDelete, "Delete the newest report")
            .says(200, K::TEXTS.deleted)
            .of_family()
            .not_found(K::TEXTS.none),
        remove::<K>,
    );
}

/// What is computed from conversations. The `GET` forms that make something stay for the existing clients; each has a
/// `POST` twin.
fn add_computed(api: &mut Api) {
    for operation in [
        get("/status/mental/new/{family_id}", Action::MentalCreate, "Compute today's mood"),
        post("/v1/status/mental/{family_id}", Action::MentalCreate, "Compute today's mood"),
    ] {
        let operation = operation
            .gives::<Value>(201, Mental::TEXTS.created)
            .of_family()
            .not_found(Mental::TEXTS.none)
            .fails(Mental::TEXTS.not_created);
        api.add(operation, new_mental);
    }
    for operation in [
        get("/status/mental-reports/new/{family_id}", Action::MentalCreate, "Compute the mood over a period"),
        post("/v1/status/mental-reports/{family_id}", Action::MentalCreate, "Compute the mood over a period"),
    ] {
        let operation = operation
            .range()
            .gives::<Value>(201, MentalReport::TEXTS.created)
            .no_data(QUERY)
            .of_family()
            .not_found(MentalReport::TEXTS.none)
            .fails(MentalReport::TEXTS.not_created);
        api.add(operation, new_report);
    }
    api.add(
        get("/status/keywords/{family_id}", Action::ConversationRead, "What the conversations are about")
            .gives::<Value>(200, "Conversation keywords created successfully")
            .of_family()
            .fails("Failed to create conversation keywords"),
        keywords,
    );
    api.add(
        get("/status/psychology/{family_id}", Action::ConversationRead, "How the elder speaks and thinks")
            .range()
            .gives::<Value>(200, "Psychology report created successfully")
            .of_family()
            .not_found(carebot_service::status::TOO_LITTLE)
            .fails("Failed to create psychology report"),
        psychology,
    );
}

async fn create<K: StatusKind>(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    sensed_at: SensedAt,
    Body(form): Body<StatusForm<K>>,
) -> Answer {
    let family = filled(form.family_id.as_ref());
    missing("body", &[("family_id", family.is_some())], FAMILY).echo(&form)?;
    let fields = form.fields()?.clone();
    let origin = Origin::new(key.0, sensed_at.0);
    let taken = app.service().report(&caller, family.unwrap_or_default(), fields, origin).await.echo(&form)?;
    Ok(corrected(says(StatusCode::CREATED, K::TEXTS.created)?, taken == Taken::Corrected))
}

async fn list<K: StatusKind>(State(app): State<App>, caller: Caller, path: Path, Range(range): Range) -> Answer {
    missing("query", &[("start", range.start.is_some())], QUERY).echo(&range.echo())?;
    let bounds = (range.start.unwrap_or(carebot_model::Timestamp::MIN), range.end, range.order);
    if K::RANGE == RangeOn::Period {
        let (rows, extent) = app.service().list_periods::<K>(&caller, path.one(), bounds).await.echo(&range.echo())?;
        let mut response = lists(&rows, K::TEXTS.retrieved, K::TEXTS.none)?;
        mark(&mut response, extent);
        return Ok(response);
    }
    if K::THINNED {
        let kept = app.service().poll_reports::<K>(&caller, path.one(), bounds, write_row).await;
        if let Some(rows) = kept.echo(&range.echo())? {
            return thinned(&rows, K::TEXTS.retrieved);
        }
    }
    let pages = app.service().list_reports::<K, _>(&caller, path.one(), bounds, new_page, write_row).await;
    streams(pages.echo(&range.echo())?, K::TEXTS.retrieved, K::TEXTS.none).await
}

async fn series<K: StatusKind>(State(app): State<App>, caller: Caller, path: Path, query: RawQuery) -> Answer {
    let mut query = Query::new(query.0.as_deref());
    let (start, end) = (query.time("start"), query.time("end"));
    let choice = query.choice("bucket", Choice::ALL).unwrap_or(Choice::Auto);
    let text = |name: &str| query.text(name).map(str::to_owned);
    let echo = json!({"start": text("start"), "end": text("end"), "bucket": choice});
    query.finish()?;
    missing("query", &[("start", start.is_some())], QUERY).echo(&echo)?;
    let range = (start.unwrap_or(Timestamp::MIN), end);
    let series = app.service().series::<K>(&caller, path.one(), range, choice).await.echo(&echo)?;
    gives(StatusCode::OK, if series.sums.is_empty() { K::TEXTS.none } else { K::TEXTS.retrieved }, &series)
}

async fn latest<K: StatusKind>(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    let report = app.service().latest_report::<K>(&caller, path.one()).await?;
    gives(StatusCode::OK, K::TEXTS.retrieved, &report)
}

async fn remove<K: StatusKind>(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    app.service().delete_latest_report::<K>(&caller, path.one()).await?;
    says(StatusCode::OK, K::TEXTS.deleted)
}

async fn new_mental(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    let result = app.service().compute_mood(&caller, path.one()).await?;
    gives(StatusCode::CREATED, Mental::TEXTS.created, &result)
}

async fn new_report(State(app): State<App>, caller: Caller, path: Path, Range(range): Range) -> Answer {
    missing("query", &[("start", range.start.is_some())], QUERY).echo(&range.period_echo())?;
    let period = (range.start.unwrap_or(carebot_model::Timestamp::MIN), range.end);
    let result = app.service().compute_mood_report(&caller, path.one(), period).await?;
    gives(StatusCode::CREATED, MentalReport::TEXTS.created, &result)
}

async fn keywords(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    let result = app.service().keywords(&caller, path.one()).await?;
    gives(StatusCode::OK, "Conversation keywords created successfully", &result)
}

async fn psychology(State(app): State<App>, caller: Caller, path: Path, Range(range): Range) -> Answer {
    let result = app.service().psychology(&caller, path.one(), (range.start, range.end)).await?;
    gives(StatusCode::OK, "Psychology report created successfully", &result)
}
