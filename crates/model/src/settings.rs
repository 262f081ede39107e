//! The robot's own four switches. Nothing in the server is muted by them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::FamilyId;

/// The switches of a family's robot.
#[expect(clippy::struct_excessive_bools, reason = "they are four independent switches")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Settings {
    /// The family.
    pub family_id: FamilyId,
    /// The robot's alarm sound.
    pub is_alarm_enabled: bool,
    /// The camera.
    pub is_camera_enabled: bool,
    /// The microphone.
    pub is_microphone_enabled: bool,
    /// Driving by itself.
    pub is_driving_enabled: bool,
}

impl Settings {
    /// The defaults: everything off.
    pub const fn defaults(family_id: FamilyId) -> Self {
        Self {
            family_id,
            is_alarm_enabled: false,
            is_camera_enabled: false,
            is_microphone_enabled: false,
            is_driving_enabled: false,
        }
    }
}

/// A change of the switches; `None` leaves as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct SettingsChange {
    /// The robot's alarm sound.
    pub is_alarm_enabled: Option<bool>,
    /// The camera.
    pub is_camera_enabled: Option<bool>,
    /// The microphone.
    pub is_microphone_enabled: Option<bool>,
    /// Driving by itself.
    pub is_driving_enabled: Option<bool>,
}
