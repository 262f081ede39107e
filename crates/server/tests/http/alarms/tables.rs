//! The truth tables of the rules: at least a hundred cases each, written down from what the rules are to do, and tried on the server.
//!
//! `language` says how a case is written, `stage` how it is played.

mod language;
mod stage;

use super::*;

use language::Case;
use stage::Stage;

macro_rules! tables {
    ($($test:ident: $rule:ident $file:literal),+ $(,)?) => {
        /// The rules and their tables.
        const TABLES: &[(Rule, &str)] = &[$((Rule::$rule, include_str!(concat!("tables/", $file, ".tsv")))),+];

        both_engines! {
            $(async fn $test(t: TestDb) {
                play(&t, Rule::$rule).await;
            })+
        }
    };
}

tables! {
    gas_is_as_its_table_says: Gas "gas",
    heat_is_as_its_table_says: Heat "heat",
    cold_is_as_its_table_says: Cold "cold",
    dust_is_as_its_table_says: Dust "dust",
    ultrafine_dust_is_as_its_table_says: UltrafineDust "ultrafine_dust",
    a_fast_heart_is_as_its_table_says: HeartFast "heart_fast",
    a_slow_heart_is_as_its_table_says: HeartSlow "heart_slow",
    falls_are_as_their_table_says: Fall "fall",
    emergencies_are_as_their_table_says: Emergency "emergency",
    silence_is_as_its_table_says: Silence "silence",
    inactivity_is_as_its_table_says: Inactivity "inactivity",
    the_mood_is_as_its_table_says: Mood "mood",
    words_of_danger_are_as_their_table_says: Phrase "phrase",
    calls_for_help_are_as_their_table_says: Sos "sos",
    disasters_are_as_their_table_says: Disaster "disaster",
}

fn cases(rule: Rule) -> Vec<Case> {
    let text = TABLES.iter().find(|(other, _)| *other == rule).map_or("", |(_, text)| text);
    language::table(rule, text).unwrap_or_else(|faults| panic!("{faults}"))
}

/// Plays all cases of a table and tells of all that went otherwise.
async fn play(t: &TestDb, rule: Rule) {
    let cases = cases(rule);
    let failures = Stage::new(t, rule).await.play(&cases).await;
    let told = failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} of the {} cases of {rule} went otherwise:\n{told}", failures.len(), cases.len());
}

#[test]
fn every_rule_has_a_table_of_at_least_a_hundred_cases() {
    for rule in Rule::ALL.iter().filter(|rule| **rule != Rule::Drill) {
        let count = cases(*rule).len();
        assert!(count >= 100, "{rule} has {count} cases");
    }
}
