//! `/tools`

use axum::extract::State;
use carebot_database::tools::{master_regions, sub_regions};
use carebot_model::access::Action;
use carebot_model::backgrounds::{AddedBackground, Background, Uploader};
use carebot_model::news::DailyNews;
use carebot_model::settings::{Settings, SettingsChange};
use carebot_model::weather::Weather;
use http::{HeaderName, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::answer::{Answer, gives, says};
use crate::app::App;
use crate::context::{Body, Caller, Path, RawQuery};
use crate::error::{Echo, types};
use crate::extract::{Query, datetime, path};
use crate::operation::{Api, delete, get, patch, post};
use crate::routes::{filled, missing};

crate::form! {
    /// A change of the robot's switches; those that are absent stay.
    pub struct ChangeSettings {
        /// The robot's alarm sound.
        is_alarm_enabled: bool,
        /// The camera.
        is_camera_enabled: bool,
        /// The microphone.
        is_microphone_enabled: bool,
        /// Driving by itself.
        is_driving_enabled: bool,
    }
}

crate::form! {
    /// A picture for the album.
    pub struct AddBackground {
        /// The family.
        family_id: String,
        /// Where the picture is.
        image_url: String,
    }
}

/// An upper-level government.
#[derive(Serialize, JsonSchema)]
pub struct Master {
    region_name: &'static str,
    region_type: &'static str,
}

/// A region below one.
#[derive(Serialize, JsonSchema)]
pub struct Sub {
    main_region: &'static str,
    sub_region_name: &'static str,
    region_type: &'static str,
}

/// How many seconds ago the forecast was issued that the weather is from.
const AGE: HeaderName = HeaderName::from_static("carebot-age");
const NO_REGION: &str = "Failed to retrieve sub region data";
const NO_BACKGROUND: &str = "Background not found";
const WHEN: &str = "Password data is required";

pub fn add(api: &mut Api) {
    api.add(
        get("/tools/master-region", Action::RegionRead, "Upper-level governments of Korea")
            .gives::<Vec<Master>>(200, "All master region data retrieved successfully"),
        masters,
    );
    for path in ["/tools/sub-region", "/tools/sub-region/{master_region}"] {
        api.add(
            get(path, Action::RegionRead, "Regions below the upper-level governments")
                .gives::<Vec<Sub>>(200, "All sub region data retrieved successfully")
                .not_found(NO_REGION),
            subs,
        );
    }
    api.add(
        get("/tools/ai-server", Action::AssistantCheck, "Whether the assistant lives")
            .says(200, "AI Process Server is running.")
            .refuses(418, types::TEAPOT, "AI Process Server serves coffee."),
        assistant,
    );
    api.add(
        get("/tools/news", Action::NewsRead, "The news of a day")
            .query("when", "The day.", datetime::date_schema().to_value())
            .gives::<DailyNews>(200, "News retrieved successfully")
            .forbidden()
            .no_data(WHEN),
        news,
    );
    api.add(
        get("/tools/weather/{user_id}", Action::WeatherRead, "The weather at an account's address")
            .gives::<Weather>(200, "Weather retrieved successfully")
            .aged()
            .forbidden()
            .not_found("Weather not found")
            .fails("Failed to retrieve weather"),
        weather,
    );
    api.add(
        get("/tools/settings/{family_id}", Action::SettingsRead, "The robot's switches")
            .gives::<Settings>(200, "Settings retrieved successfully")
            .of_family(),
        settings,
    );
    api.add(
        patch("/tools/settings/{family_id}", Action::SettingsUpdate, "Change the robot's switches")
            .takes::<ChangeSettings>()
            .says(200, "Settings updated successfully")
            .of_family(),
        change_settings,
    );
    api.add(
        post("/tools/background", Action::BackgroundAdd, "Add a picture to the album")
            .takes::<AddBackground>()
            .gives::<AddedBackground>(201, "New background added successfully")
            .no_data("Family ID is required")
            .of_family()
            .bounded(),
        add_background,
    );
    api.add(
        get("/tools/background/{family_id}", Action::BackgroundRead, "The album")
            .query("uploader", "Whose pictures.", json!({"type": "string", "enum": ["all", "mine"], "default": "all"}))
            .gives::<Vec<Background>>(200, "Background retrieved successfully")
            .of_family()
            .not_found(NO_BACKGROUND),
        album,
    );
    api.add(
        delete("/tools/background/{family_id}/{image_id}", Action::BackgroundDelete, "Delete a picture of the album")
            .row()
            .says(200, "Background deleted successfully")
            .of_family()
            .not_found(NO_BACKGROUND),
        delete_background,
    );
}

async fn masters() -> Answer {
    let rows: Vec<Master> =
        master_regions().iter().map(|region| Master { region_name: region.name, region_type: region.kind }).collect();
    gives(StatusCode::OK, "All master region data retrieved successfully", &rows)
}

async fn subs(path: Path) -> Answer {
    let part = path.0.first().map(String::as_str);
    let rows: Vec<Sub> = sub_regions(part)
        .into_iter()
        .map(|region| Sub { main_region: region.master, sub_region_name: region.name, region_type: region.kind })
        .collect();
    if rows.is_empty() {
        return Err(carebot_service::Error::NotFound(NO_REGION).into());
    }
    gives(StatusCode::OK, "All sub region data retrieved successfully", &rows)
}

async fn assistant(State(app): State<App>) -> Answer {
    app.service().check_assistant().await?;
    says(StatusCode::OK, "AI Process Server is running.")
}

async fn news(State(app): State<App>, caller: Caller, RawQuery(raw): RawQuery) -> Answer {
    let mut query = Query::new(raw.as_deref());
    let day = query.date("when");
    query.finish()?;
    app.service().may_read_news(&caller)?;
    missing("query", &[("when", day.is_some())], WHEN)?;
    let day = day.unwrap_or_else(|| app.service().now().date());
    gives(StatusCode::OK, "News retrieved successfully", &app.service().news(&caller, day).await?)
}

async fn weather(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    let observed = app.service().weather(&caller, path.one()).await?;
    let mut response = gives(StatusCode::OK, "Weather retrieved successfully", &observed.weather)?;
    if let Some(age) = observed.age {
        response.headers_mut().insert(AGE, age.into());
    }
    Ok(response)
}

async fn settings(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    let settings = app.service().get_settings(&caller, path.one()).await?;
    gives(StatusCode::OK, "Settings retrieved successfully", &settings)
}

async fn change_settings(
    State(app): State<App>,
    caller: Caller,
    path: Path,
    Body(form): Body<ChangeSettings>,
) -> Answer {
    let change = SettingsChange {
        is_alarm_enabled: form.is_alarm_enabled,
        is_camera_enabled: form.is_camera_enabled,
        is_microphone_enabled: form.is_microphone_enabled,
        is_driving_enabled: form.is_driving_enabled,
    };
    app.service().update_settings(&caller, path.one(), change).await.echo(&form)?;
    says(StatusCode::OK, "Settings updated successfully")
}

async fn add_background(State(app): State<App>, caller: Caller, Body(form): Body<AddBackground>) -> Answer {
    let family = filled(form.family_id.as_ref());
    missing("body", &[("family_id", family.is_some())], "Family ID is required")?;
    let added = app.service().add_background(&caller, family.unwrap_or_default(), form.image_url.clone()).await;
    gives(StatusCode::CREATED, "New background added successfully", &AddedBackground::from(added.echo(&form)?))
}

async fn album(State(app): State<App>, caller: Caller, path: Path, RawQuery(raw): RawQuery) -> Answer {
    let mut query = Query::new(raw.as_deref());
    let uploader = query.choice("uploader", Uploader::ALL).unwrap_or(Uploader::All);
    query.finish()?;
    let album = app.service().list_backgrounds(&caller, path.one(), uploader).await?;
    gives(StatusCode::OK, "Background retrieved successfully", &album)
}

async fn delete_background(State(app): State<App>, caller: Caller, path: Path) -> Answer {
    let image = path::row("image_id", path.two())?;
    app.service().delete_background(&caller, path.one(), image).await?;
    says(StatusCode::OK, "Background deleted successfully")
}
