//! Disaster messages (긴급재난문자): what the government sends to every telephone of a region.

use crate::Timestamp;
use crate::alarms::Severity;

/// A disaster message as it was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisasterMessage {
    /// Its serial number (`SN`).
    pub sn: i64,
    /// When it was written (`CRT_DT`).
    pub created_at: Timestamp,
    /// What it says (`MSG_CN`).
    pub text: String,
    /// The regions it was sent to (`RCPTN_RGN_NM`), as published.
    pub regions: String,
    /// How urgent it is (`EMRG_STEP_NM`): 위급재난, 긴급재난 or 안전안내.
    pub step: String,
    /// What kind of disaster it is about (`DST_SE_NM`): 호우, 지진 ..
    pub kind: String,
}

impl DisasterMessage {
    /// Whether it is of the most urgent step, 위급재난: lives are in danger at once.
    pub fn is_extreme(&self) -> bool {
        self.step.trim() == "위급재난"
    }

    /// How bad it is: 위급재난 (lives are in danger at once) is critical, 긴급재난 warns, 안전안내 is for information only.
    pub fn severity(&self) -> Option<Severity> {
        match self.step.trim() {
            "위급재난" => Some(Severity::Crit),
            "긴급재난" => Some(Severity::Warn),
            _ => None,
        }
    }
}
