//! Disaster messages.

use std::time::Duration;

use carebot_external::Key;
use carebot_external::disaster::{self as provider, URL};
use carebot_external::guard::Limits;
use carebot_service::disasters;

use super::secret::Secret;
use super::server::PublicUrl;
use super::setting::section;

section! {
    /// Disaster messages (긴급재난문자) of the Ministry of the Interior and Safety, handed to the families whose elder lives in a
    /// receiving region. Without a key there are none.
    pub struct Disasters in "disasters" {
        /// The key of 행정안전부_긴급재난문자 (`DSSP-IF-00247`) from safetydata.go.kr.
        key: Option<Secret> = None;
        /// Where the service is.
        url: Option<PublicUrl> = None, default "`https://www.safetydata.go.kr/V2/api/DSSP-IF-00247`";
        /// How often it is asked, by one of several servers.
        interval_seconds: u64 = 60, in 20..=3_600;
        /// How long one call may take.
        timeout_seconds: u64 = 15, in 1..=60;
    }
}

impl Disasters {
    /// What the use cases need to know; nothing without a key.
    pub fn for_service(&self) -> Option<disasters::Settings> {
        let key = Key(self.key.as_ref()?.reveal().to_owned());
        let limits = Limits { timeout: Duration::from_secs(self.timeout_seconds), tries: 2, ..Limits::default() };
        let url = self.url.as_ref().map_or(URL, PublicUrl::as_str).to_owned();
        let provider = provider::Settings { url, key, limits };
        Some(disasters::Settings { provider, interval: Duration::from_secs(self.interval_seconds) })
    }
}
