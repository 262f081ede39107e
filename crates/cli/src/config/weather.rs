//! The weather.

use std::time::Duration;

use carebot_external::Key;
use carebot_external::guard::Limits;
use carebot_external::weather::{self as provider, BASE_URL};
use carebot_service::weather;

use super::secret::Secret;
use super::server::PublicUrl;
use super::setting::section;

section! {
    /// The weather where somebody lives, from the short-range forecasts of the Korea Meteorological Administration. Without a
    /// key there is none, unless the assistant is the existing system's AI server, which has its own.
    pub struct Weather in "weather" {
        /// The key of 기상청 단기예보 조회서비스 from data.go.kr, plain or percent-encoded.
        key: Option<Secret> = None;
        /// Where the service is, up to and with its name.
        url: Option<PublicUrl> = None, default "`https://apis.data.go.kr/1360000/VilageFcstInfoService_2.0`";
        /// How long one call may take.
        timeout_seconds: u64 = 5, in 1..=60;
        /// While the service fails, forecasts up to this old are given, with their age.
        longest_age_hours: u64 = 6, in 1..=24;
    }
}

impl Weather {
    /// What the use cases need to know; nothing without a key.
    pub fn for_service(&self) -> Option<weather::Settings> {
        let key = Key(self.key.as_ref()?.reveal().to_owned());
        let limits = Limits { timeout: Duration::from_secs(self.timeout_seconds), tries: 2, ..Limits::default() };
        let base_url = self.url.as_ref().map_or(BASE_URL, PublicUrl::as_str).to_owned();
        let provider = provider::Settings { base_url, key, limits };
        Some(weather::Settings { provider, longest_age: Duration::from_hours(self.longest_age_hours) })
    }
}
