//! The rules: what is dangerous, in which numbers, and where the numbers come from.
//!
//! # To add a rule
//! A value of [`Rule`] and its [`Definition`] in [`Rule::definition`]; its sentences in [`text`](super::text).

use schemars::JsonSchema;
use serde::Serialize;

use crate::wire_enum;

wire_enum!(
    /// A rule. Every family has each, from its first minute.
    Rule {
        /// Gas in the air.
        Gas = "gas",
        /// A room too hot.
        Heat = "heat",
        /// A room too cold.
        Cold = "cold",
        /// Fine dust, PM10.
        Dust = "dust",
        /// Ultrafine dust, PM2.5.
        UltrafineDust = "ultrafine_dust",
        /// A heart too fast.
        HeartFast = "heart_fast",
        /// A heart too slow.
        HeartSlow = "heart_slow",
        /// A fall.
        Fall = "fall",
        /// A critical notification of something else.
        Emergency = "emergency",
        /// Nothing is heard of the robot.
        Silence = "silence",
        /// The elder shows no sign of life.
        Inactivity = "inactivity",
        /// The elder's mood is low.
        Mood = "mood",
        /// Words of danger, said to the robot.
        Phrase = "phrase",
        /// Somebody called for help.
        Sos = "sos",
        /// A disaster message for the region.
        Disaster = "disaster",
        /// A test of the alarm itself.
        Drill = "drill",
    }
);

wire_enum!(
    /// How a rule judges. A closed set.
    RuleKind {
        /// A reading above or below a bound for some time.
        Threshold = "threshold",
        /// Something that was reported as critical.
        CriticalFlag = "critical_flag",
        /// No report for some time.
        Silence = "silence",
        /// No sign of life for some waking hours.
        Inactivity = "inactivity",
        /// A low score, or several days of lower ones.
        Decline = "decline",
        /// Words of danger.
        Phrase = "phrase",
        /// A call for help.
        Sos = "sos",
        /// A disaster message.
        Disaster = "disaster",
    }
);

wire_enum!(
    /// A reading that a threshold is compared with.
    Field {
        /// Gas in ppm (`home.ethanol`).
        Ethanol = "ethanol",
        /// Room temperature in degrees Celsius (`home.temperature`).
        Temperature = "temperature",
        /// PM10 in micrograms per cubic metre (`home.dust_level`).
        DustLevel = "dust_level",
        /// PM2.5 in micrograms per cubic metre (`ultrafinedust` in `home.others`, where it is there).
        UltrafineDust = "ultrafinedust",
        /// Beats per minute (`health.heart_rate`).
        HeartRate = "heart_rate",
    }
);

/// On which side of a bound the danger lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Above, the bound itself excluded.
    Above,
    /// At the bound or above.
    AtOrAbove,
    /// At the bound or below.
    AtOrBelow,
}

/// A number that a family can set within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What it is if nobody sets it.
    pub default: f64,
    /// The least it can be.
    pub least: f64,
    /// The most it can be.
    pub most: f64,
}

const fn parameter(name: &'static str, unit: &'static str, default: f64, (least, most): (f64, f64)) -> Parameter {
    Parameter { name, unit, default, least, most }
}

/// What a rule is.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// How it judges.
    pub kind: RuleKind,
    /// What a threshold is compared with, and where the danger lies.
    pub reading: Option<(Field, Side)>,
    /// What can be set.
    pub parameters: &'static [Parameter],
    /// Where the figures come from.
    pub source: &'static str,
}

/// The bound of a warning.
pub const WARN: &str = "warn";
/// How long it must be passed, in seconds.
pub const WARN_SECONDS: &str = "warn_seconds";
/// The bound of an emergency.
pub const CRIT: &str = "crit";
/// How long it must be passed, in seconds.
pub const CRIT_SECONDS: &str = "crit_seconds";
/// How far back on the safe side of the warning's bound a reading must be to count as normal.
pub const HYSTERESIS: &str = "hysteresis";
/// How long readings must be normal until the alarm is over, in seconds.
pub const CLEAR_SECONDS: &str = "clear_seconds";
/// How long after somebody cleared the alarm it is raised again if the danger lasts, in seconds.
pub const AGAIN_SECONDS: &str = "again_seconds";
/// How long the elder has to answer before others are told, in seconds.
pub const ASK_SECONDS: &str = "ask_seconds";
/// Days in a row.
pub const WARN_DAYS: &str = "warn_days";
/// When the waking hours begin, Korean time.
pub const WAKING_FROM: &str = "waking_from";
/// When the waking hours end, Korean time.
pub const WAKING_UNTIL: &str = "waking_until";

const AGAIN: Parameter = parameter(AGAIN_SECONDS, "s", 600.0, (60.0, 900.0));
const AGAIN_WARN: Parameter = parameter(AGAIN_SECONDS, "s", 3_600.0, (600.0, 86_400.0));

const GAS: Definition = Definition {
    kind: RuleKind::Threshold,
    reading: Some((Field::Ethanol, Side::Above)),
    parameters: &[
        parameter(WARN, "ppm", 1.5, (0.5, 5.0)),
        parameter(WARN_SECONDS, "s", 0.0, (0.0, 60.0)),
        parameter(CRIT, "ppm", 15.0, (5.0, 30.0)),
        parameter(CRIT_SECONDS, "s", 0.0, (0.0, 10.0)),
        parameter(HYSTERESIS, "ppm", 0.3, (0.0, 0.5)),
        parameter(CLEAR_SECONDS, "s", 60.0, (0.0, 600.0)),
        AGAIN,
    ],
    source: "thresholds of the existing clients",
};

const HEAT: Definition = Definition {
    kind: RuleKind::Threshold,
    reading: Some((Field::Temperature, Side::AtOrAbove)),
    parameters: &[
        parameter(WARN, "°C", 33.0, (28.0, 38.0)),
        parameter(WARN_SECONDS, "s", 1_800.0, (0.0, 7_200.0)),
        parameter(CRIT, "°C", 35.0, (30.0, 42.0)),
        parameter(CRIT_SECONDS, "s", 1_800.0, (0.0, 3_600.0)),
        parameter(HYSTERESIS, "°C", 1.0, (0.0, 3.0)),
        parameter(CLEAR_SECONDS, "s", 600.0, (0.0, 3_600.0)),
        AGAIN,
    ],
    source: "heat advisory (33 °C) and heat warning (35 °C) of the Korea Meteorological Administration",
};

const COLD: Definition = Definition {
    kind: RuleKind::Threshold,
    reading: Some((Field::Temperature, Side::AtOrBelow)),
    parameters: &[
        parameter(WARN, "°C", 18.0, (8.0, 22.0)),
        parameter(WARN_SECONDS, "s", 1_800.0, (0.0, 7_200.0)),
        parameter(CRIT, "°C", 10.0, (2.0, 16.0)),
        parameter(CRIT_SECONDS, "s", 1_800.0, (0.0, 3_600.0)),
        parameter(HYSTERESIS, "°C", 1.0, (0.0, 3.0)),
        parameter(CLEAR_SECONDS, "s", 600.0, (0.0, 3_600.0)),
        AGAIN,
    ],
    source: "WHO housing and health guidelines 2018: at least 18 °C",
};

const DUST: Definition = Definition {
    kind: RuleKind::Threshold,
    reading: Some((Field::DustLevel, Side::Above)),
    parameters: &[
        parameter(WARN, "µg/m³", 150.0, (80.0, 500.0)),
        parameter(WARN_SECONDS, "s", 3_600.0, (0.0, 14_400.0)),
        parameter(HYSTERESIS, "µg/m³", 10.0, (0.0, 50.0)),
        parameter(CLEAR_SECONDS, "s", 600.0, (0.0, 3_600.0)),
        AGAIN_WARN,
    ],
    source: "AirKorea, class “very bad” of PM10",
};

const ULTRAFINE_DUST: Definition = Definition {
    kind: RuleKind::Threshold,
    reading: Some((Field::UltrafineDust, Side::Above)),
    parameters: &[
        parameter(WARN, "µg/m³", 75.0, (35.0, 300.0)),
        parameter(WARN_SECONDS, "s", 3_600.0, (0.0, 14_400.0)),
        parameter(HYSTERESIS, "µg/m³", 5.0, (0.0, 30.0)),
        parameter(CLEAR_SECONDS, "s", 600.0, (0.0, 3_600.0)),
        AGAIN_WARN,
    ],
    source: "AirKorea, class “very bad” of PM2.5",
};

const HEART_FAST: Definition = Definition {
    kind: RuleKind::Threshold,
    reading: Some((Field::HeartRate, Side::AtOrAbove)),
    parameters: &[
        parameter(WARN, "bpm", 111.0, (90.0, 140.0)),
        parameter(WARN_SECONDS, "s", 300.0, (0.0, 1_800.0)),
        parameter(CRIT, "bpm", 131.0, (110.0, 170.0)),
        parameter(CRIT_SECONDS, "s", 60.0, (0.0, 300.0)),
        parameter(HYSTERESIS, "bpm", 3.0, (0.0, 10.0)),
        parameter(CLEAR_SECONDS, "s", 120.0, (0.0, 1_800.0)),
        AGAIN,
    ],
    source: "NEWS2 of the Royal College of Physicians, 2017: pulse 111-130 scores 2, 131 and more scores 3",
};

const HEART_SLOW: Definition = Definition {
    kind: RuleKind::Threshold,
    reading: Some((Field::HeartRate, Side::AtOrBelow)),
    parameters: &[
        parameter(WARN, "bpm", 50.0, (35.0, 60.0)),
        parameter(WARN_SECONDS, "s", 300.0, (0.0, 1_800.0)),
        parameter(CRIT, "bpm", 40.0, (25.0, 50.0)),
        parameter(CRIT_SECONDS, "s", 60.0, (0.0, 300.0)),
        parameter(HYSTERESIS, "bpm", 3.0, (0.0, 10.0)),
        parameter(CLEAR_SECONDS, "s", 120.0, (0.0, 1_800.0)),
        AGAIN,
    ],
    source: "NEWS2 of the Royal College of Physicians, 2017: pulse 41-50 scores 1, 40 and less scores 3",
};

const FALL: Definition = Definition {
    kind: RuleKind::CriticalFlag,
    reading: None,
    parameters: &[parameter(ASK_SECONDS, "s", 30.0, (0.0, 60.0))],
    source: "the existing robot; in 2024 18.6 % of the fire crews sent by 응급안전안심서비스 went in vain, so the elder is asked first",
};

const EMERGENCY: Definition =
    Definition { kind: RuleKind::CriticalFlag, reading: None, parameters: &[], source: "the existing robot" };

const SILENCE: Definition = Definition {
    kind: RuleKind::Silence,
    reading: None,
    parameters: &[
        parameter(WARN_SECONDS, "s", 660.0, (360.0, 3_600.0)),
        parameter(CRIT_SECONDS, "s", 1_200.0, (660.0, 7_200.0)),
        AGAIN,
    ],
    source: "a healthy robot reports every five minutes: two reports missed, then four",
};

const INACTIVITY: Definition = Definition {
    kind: RuleKind::Inactivity,
    reading: None,
    parameters: &[
        parameter(WARN_SECONDS, "s", 21_600.0, (7_200.0, 86_400.0)),
        parameter(CRIT_SECONDS, "s", 43_200.0, (14_400.0, 172_800.0)),
        parameter(WAKING_FROM, "hour", 7.0, (4.0, 12.0)),
        parameter(WAKING_UNTIL, "hour", 21.0, (17.0, 24.0)),
        AGAIN,
    ],
    source: "care practice",
};

const MOOD: Definition = Definition {
    kind: RuleKind::Decline,
    reading: None,
    parameters: &[
        parameter(WARN, "score", 50.0, (20.0, 80.0)),
        parameter(WARN_DAYS, "days", 3.0, (1.0, 14.0)),
        parameter(CRIT, "score", 30.0, (10.0, 50.0)),
    ],
    source: "the existing system's is_critical",
};

const PHRASE: Definition = Definition {
    kind: RuleKind::Phrase,
    reading: None,
    parameters: &[],
    source: "the list of words of danger of this program",
};

const SOS: Definition = Definition {
    kind: RuleKind::Sos,
    reading: None,
    parameters: &[],
    source: "the existing robot's “[긴급]” messages",
};

const DISASTER: Definition = Definition {
    kind: RuleKind::Disaster,
    reading: None,
    parameters: &[],
    source: "steps of the Ministry of the Interior and Safety: 긴급재난 warns, 위급재난 is critical",
};

const DRILL: Definition = Definition { kind: RuleKind::Sos, reading: None, parameters: &[], source: "somebody tests" };

impl Rule {
    /// What the rule is.
    pub const fn definition(self) -> &'static Definition {
        match self {
            Self::Gas => &GAS,
            Self::Heat => &HEAT,
            Self::Cold => &COLD,
            Self::Dust => &DUST,
            Self::UltrafineDust => &ULTRAFINE_DUST,
            Self::HeartFast => &HEART_FAST,
            Self::HeartSlow => &HEART_SLOW,
            Self::Fall => &FALL,
            Self::Emergency => &EMERGENCY,
            Self::Silence => &SILENCE,
            Self::Inactivity => &INACTIVITY,
            Self::Mood => &MOOD,
            Self::Phrase => &PHRASE,
            Self::Sos => &SOS,
            Self::Disaster => &DISASTER,
            Self::Drill => &DRILL,
        }
    }

    /// Whether nobody can switch it off: fire and gas, falls, calls for help, and the robot's own silence, without which
    /// none of the others says anything.
    pub const fn is_always_on(self) -> bool {
        matches!(
            self,
            Self::Gas
                | Self::Fall
                | Self::Emergency
                | Self::Phrase
                | Self::Sos
                | Self::Disaster
                | Self::Silence
                | Self::Drill
        )
    }

    /// Whether the elder is asked before others are told.
    pub const fn asks_first(self) -> bool {
        matches!(self, Self::Fall)
    }

    /// Whether somebody may be dying: of many notices that wait, its go out first.
    pub const fn comes_first(self) -> bool {
        matches!(self, Self::Fall | Self::Emergency | Self::Phrase | Self::Sos | Self::Gas)
    }

    /// Whether what raises it happens and is over, so that no reading ever clears the alarm.
    pub const fn is_momentary(self) -> bool {
        matches!(self, Self::Fall | Self::Emergency | Self::Phrase | Self::Sos | Self::Disaster | Self::Drill)
    }
}

/// The numbers of a rule in a family.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    rule: Rule,
    values: Vec<f64>,
}

/// Why numbers are not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadParameter {
    /// The rule has no number of this name.
    Unknown(String),
    /// It is not within its bounds.
    OutOfBounds(&'static str),
    /// The emergency would begin before the warning.
    Order,
}

impl Parameters {
    /// What a rule is if nobody sets anything.
    pub fn default_of(rule: Rule) -> Self {
        Self { rule, values: rule.definition().parameters.iter().map(|parameter| parameter.default).collect() }
    }

    /// These numbers with some changed.
    ///
    /// # Errors
    /// [`BadParameter`], and nothing is changed.
    pub fn with<'a>(&self, changes: impl IntoIterator<Item = (&'a str, f64)>) -> Result<Self, BadParameter> {
        let mut new = self.clone();
        for (name, value) in changes {
            let parameters = self.rule.definition().parameters;
            let Some(place) = parameters.iter().position(|parameter| parameter.name == name) else {
                return Err(BadParameter::Unknown(name.to_owned()));
            };
            let parameter = &parameters[place];
            // NaN is within nothing.
            if !(parameter.least..=parameter.most).contains(&value) {
                return Err(BadParameter::OutOfBounds(parameter.name));
            }
            new.values[place] = value;
        }
        if new.is_ordered() { Ok(new) } else { Err(BadParameter::Order) }
    }

    /// Whether the emergency lies beyond the warning.
    fn is_ordered(&self) -> bool {
        let beyond = |warn: f64, crit: f64| match self.rule.definition().reading {
            // Scores, too: the lower, the worse.
            Some((_, Side::AtOrBelow)) | None => crit <= warn,
            Some(_) => crit >= warn,
        };
        let values = self.find(WARN).zip(self.find(CRIT)).is_none_or(|(warn, crit)| beyond(warn, crit));
        let is_threshold = self.rule.definition().kind == RuleKind::Threshold;
        let times = self.find(WARN_SECONDS).zip(self.find(CRIT_SECONDS));
        values && times.is_none_or(|(warn, crit)| is_threshold || crit >= warn)
    }

    /// The rule.
    pub const fn rule(&self) -> Rule {
        self.rule
    }

    /// A number, if the rule has one of this name.
    pub fn find(&self, name: &str) -> Option<f64> {
        let place = self.rule.definition().parameters.iter().position(|parameter| parameter.name == name)?;
        self.values.get(place).copied()
    }

    /// A time, in milliseconds; zero if the rule has none of this name.
    #[expect(clippy::cast_possible_truncation, reason = "the bounds of every parameter are far within")]
    pub fn millis(&self, name: &str) -> i64 {
        (self.find(name).unwrap_or_default() * 1_000.0).round() as i64
    }

    /// Names and values, in the order of the definition.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        self.rule.definition().parameters.iter().map(|parameter| parameter.name).zip(self.values.iter().copied())
    }

    /// What differs from the defaults, as it is stored.
    pub fn changes(&self) -> Vec<(&'static str, f64)> {
        let defaults = Self::default_of(self.rule);
        #[expect(clippy::float_cmp, reason = "both were set, neither was computed")]
        self.iter()
            .zip(defaults.values)
            .filter(|((_, value), default)| value != default)
            .map(|(pair, _)| pair)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_every_rule_are_within_their_bounds() {
        for rule in Rule::ALL {
            for parameter in rule.definition().parameters {
                let same = [(parameter.name, parameter.default)];
                assert!(Parameters::default_of(*rule).with(same).is_ok(), "{rule} {}", parameter.name);
                assert!(!rule.definition().source.is_empty());
            }
        }
    }

    #[test]
    fn what_is_out_of_bounds_unknown_or_turned_round_is_refused() {
        let gas = Parameters::default_of(Rule::Gas);
        assert_eq!(gas.with([(CRIT, 31.0)]), Err(BadParameter::OutOfBounds(CRIT)));
        assert_eq!(gas.with([(CRIT, f64::NAN)]), Err(BadParameter::OutOfBounds(CRIT)));
        assert_eq!(gas.with([("volume", 1.0)]), Err(BadParameter::Unknown("volume".into())));
        let cold = Parameters::default_of(Rule::Cold);
        assert_eq!(cold.with([(WARN, 9.0)]), Err(BadParameter::Order));
        assert!(cold.with([(WARN, 9.0), (CRIT, 8.0)]).is_ok());
        let silence = Parameters::default_of(Rule::Silence);
        assert_eq!(silence.with([(WARN_SECONDS, 1_800.0)]), Err(BadParameter::Order));
    }

    #[test]
    fn only_what_was_changed_is_stored() {
        let gas = Parameters::default_of(Rule::Gas).with([(CRIT, 12.0), (WARN, 1.5)]).expect("within bounds");
        assert_eq!(gas.changes(), [(CRIT, 12.0)]);
    }
}
