//! The language of the tables. Nothing in it is guessed: what cannot be read fails.
//!
//! A line is a case: what it is called, its steps and what is expected, with tabs between. Lines that begin with `#` are comments.
//!
//! # Times
//! `0s`, `5m`, `29m59s999ms`, `1d7h`: since the case began, which is at midnight in Korea.
//!
//! # Steps, in the order in which they happen
//! | | |
//! |---|---|
//! | `5m:33` | at five minutes a report says 33; other tables know other words, and texts in quotes or backticks |
//! | `12m<5m:33` | it arrives after twelve minutes and was sensed after five |
//! | `0s..30m/5m:33` | one every five minutes, the first and the last included |
//! | `set:warn=30,warn_seconds=60` | the family sets numbers of the rule before anything happens |
//! | `mute@0s..2h` | the family mutes the rule; where nobody can, that has to be refused |
//! | `ack@5m` `clear@5m` | a guardian acknowledges, or clears, the alarm that is active |
//! | `look@5m` | nothing happens but that time has passed |
//! | `restart@5m` | the server is killed, and another one goes on |
//! | `outage@5m..1h` | the server is killed, and the next one is there only after an hour |
//! | `listen@5m` | the robot's program asks what it is to say |
//! | `fine@5m` `help@5m` | the elder answers the robot |
//!
//! # What is expected: all that the rule does, in order, or `nothing`
//! | | |
//! |---|---|
//! | `warn@5m` `crit@5m` | an alarm is raised, or rises |
//! | `again@5m` | it happened again after somebody had confirmed it, and is told anew |
//! | `same@5m` | it happened again, and nobody is told |
//! | `clear@5m` | it is over |
//! | `expired@5m` | it was confirmed a day ago, and is over |
//! | `asked@5m` `silent@5m` `well@5m` | the elder is asked; does not answer; says that all is well, and that ends it |
//!
//! Behind the first three `since:1m` says when the danger began, and `late` that it is told as something of earlier.

use carebot_model::alarms::{Answer, Rule};
use carebot_model::status::Home;
use serde_json::json;

/// A case of a table.
#[derive(Debug)]
pub struct Case {
    /// What it is called.
    pub name: String,
    /// Steps and expectation as they are written.
    pub written: (String, String),
    /// What happens.
    pub steps: Vec<Step>,
    /// What the rule is to do about it.
    pub expected: Vec<Told>,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When, in milliseconds since the beginning.
    pub at: i64,
    /// What.
    pub deed: Deed,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Something arrives, and when it was sensed if that was not now.
    Arrives(What, Option<i64>),
    /// Numbers of the rule are set.
    Set(Vec<(String, f64)>),
    /// The rule is muted until a time.
    Mute(i64),
    /// The active alarm is acknowledged.
    Acknowledge,
    /// The active alarm is cleared.
    Clear,
    /// Nothing.
    Look,
    /// The server is killed, and there again at a time.
    Outage(i64),
    /// The robot asks what it is to say.
    Listen,
    /// The elder answers the robot.
    Answer(Answer),
}

/// What arrives.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Readings of the air.
    Home(Home),
    /// A heart rate.
    Health(Option<f64>),
    /// What the elder did, and whether that is critical.
    Active(Option<bool>),
    /// A notification of a grade.
    Notice(String, Option<String>),
    /// Something said to the robot, over the wire.
    Said(String),
    /// Something said to the robot that the assistant kept.
    Kept,
    /// A message.
    Wrote(Hand, String),
    /// A call for help.
    Call(Hand),
    /// A disaster message: its step and its regions.
    Disaster(String, String),
    /// A score of the mood.
    Score(Option<i32>),
    /// That the robot lives.
    Lives,
    /// That the robot asks what it is to say.
    Prompts,
}

/// Who writes or calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    /// The elder, to the first guardian.
    Elder,
    /// The elder, to the second guardian.
    ElderToSecond,
    /// The first guardian, to the elder.
    Guardian,
}

/// Something that a rule did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What: a word of the language.
    pub what: &'static str,
    /// When.
    pub at: i64,
    /// When the danger began, where that is said.
    pub since: Option<i64>,
    /// Whether it is told as something of earlier.
    pub is_late: bool,
}

impl Told {
    /// Whether it tells people of a danger.
    pub fn is_raise(&self) -> bool {
        ["warn", "crit", "again"].contains(&self.what)
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.what, Time(self.at))?;
        if let Some(since) = self.since {
            write!(f, " since:{}", Time(since))?;
        }
        if self.is_late { f.write_str(" late") } else { Ok(()) }
    }
}

const UNITS: [(&str, i64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const TOLD: [&str; 9] = ["warn", "crit", "again", "same", "clear", "expired", "asked", "silent", "well"];

/// A time as the tables write it.
struct Time(i64);

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 < 0 {
            return write!(f, "-{}", Self(-self.0));
        }
        let mut rest = self.0;
        for (unit, length) in UNITS {
            if rest >= length {
                write!(f, "{}{unit}", rest / length)?;
                rest %= length;
            }
        }
        if self.0 == 0 { f.write_str("0s") } else { Ok(()) }
    }
}

type Read<T> = Result<T, String>;

/// The cases of a table, or every line of it that cannot be read.
pub fn table(rule: Rule, text: &str) -> Read<Vec<Case>> {
    let (mut cases, mut faults) = (Vec::<Case>::new(), Vec::new());
    for (line, number) in text.lines().zip(1..) {
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        match case(rule, line) {
            Ok(case) if cases.iter().any(|other| other.name == case.name) => {
                faults.push(format!("{rule}.tsv, line {number}: there is a case of this name already"));
            }
            Ok(case) => cases.push(case),
            Err(fault) => faults.push(format!("{rule}.tsv, line {number}: {fault}")),
        }
    }
    if faults.is_empty() { Ok(cases) } else { Err(faults.join("\n")) }
}

fn case(rule: Rule, line: &str) -> Read<Case> {
    let columns: Vec<&str> = line.split('\t').collect();
    let [name, steps, expected] = columns[..] else { return Err(format!("{} columns, not 3", columns.len())) };
    if name.trim() != name || !name.contains(' ') {
        return Err("a name is a phrase".to_owned());
    }
    let mut all = Vec::new();
    let mut begun = 0;
    for word in words(steps)? {
        let read = step(rule, word).map_err(|fault| format!("step `{word}`: {fault}"))?;
        let (first, last) = read.first().zip(read.last()).ok_or_else(|| format!("step `{word}`: nothing happens"))?;
        if first.at < begun {
            return Err(format!("step `{word}` comes after one that begins later"));
        }
        if matches!(first.deed, Deed::Set(_)) && !all.is_empty() {
            return Err(format!("step `{word}` is not the first"));
        }
        begun = first.at;
        debug_assert!(first.at <= last.at);
        all.extend(read);
    }
    // Steady: what a line writes first happens first.
    all.sort_by_key(|step: &Step| step.at);
    let expected_read = told(expected).map_err(|fault| format!("expected `{expected}`: {fault}"))?;
    Ok(Case {
        name: name.to_owned(),
        written: (steps.to_owned(), expected.to_owned()),
        steps: all,
        expected: expected_read,
    })
}

/// The words of a column: single blanks stand between them, and more only within quotes.
fn words(text: &str) -> Read<Vec<&str>> {
    let (mut words, mut begin, mut quote) = (Vec::new(), 0, None);
    for (place, letter) in text.char_indices() {
        match (quote, letter) {
            (None, '"' | '`') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (None, ' ') => {
                words.push(&text[begin..place]);
                begin = place + 1;
            }
            _ => {}
        }
    }
    words.push(&text[begin..]);
    if quote.is_some() {
        return Err(format!("a quote is not closed: {text}"));
    }
    if words.iter().any(|word| word.is_empty()) { Err(format!("blanks too many: `{text}`")) } else { Ok(words) }
}

fn time(text: &str) -> Read<i64> {
    let fault = || format!("`{text}` is no time");
    let (mut rest, mut sum, mut units) = (text, 0, UNITS.iter());
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(fault)?;
        let number: i64 = rest[..digits].parse().map_err(|_| fault())?;
        rest = &rest[digits..];
        let letters = rest.find(|letter: char| !letter.is_ascii_lowercase()).unwrap_or(rest.len());
        // From the longest unit to the shortest, each once.
        let (_, length) = units.find(|(unit, _)| *unit == &rest[..letters]).ok_or_else(fault)?;
        sum += number * length;
        rest = &rest[letters..];
    }
    if text.is_empty() { Err(fault()) } else { Ok(sum) }
}

fn step(rule: Rule, word: &str) -> Read<Vec<Step>> {
    if let Some(numbers) = word.strip_prefix("set:") {
        let number = |pair: &str| {
            let (name, value) = pair.split_once('=').ok_or_else(|| format!("`{pair}` sets nothing"))?;
            Ok((name.to_owned(), value.parse::<f64>().map_err(|_| format!("`{value}` is no number"))?))
        };
        let numbers = numbers.split(',').map(number).collect::<Read<Vec<_>>>()?;
        return Ok(vec![Step { at: 0, deed: Deed::Set(numbers) }]);
    }
    let ends = word.find(['@', ':']).ok_or("neither a deed nor a report")?;
    let (before, after) = (&word[..ends], &word[ends + 1..]);
    if word[ends..].starts_with('@') { Ok(vec![deed(before, after)?]) } else { reports(rule, before, after) }
}

fn deed(name: &str, when: &str) -> Read<Step> {
    let span = |make: fn(i64) -> Deed| {
        let (from, until) = when.split_once("..").ok_or("it has a beginning and an end")?;
        let (at, until) = (time(from)?, time(until)?);
        if at < until { Ok(Step { at, deed: make(until) }) } else { Err("it ends before it begins".to_owned()) }
    };
    let deed = match name {
        "mute" => return span(Deed::Mute),
        "outage" => return span(Deed::Outage),
        "ack" => Deed::Acknowledge,
        "clear" => Deed::Clear,
        "look" => Deed::Look,
        "restart" => Deed::Outage(time(when)?),
        "listen" => Deed::Listen,
        "fine" => Deed::Answer(Answer::Fine),
        "help" => Deed::Answer(Answer::Help),
        _ => return Err("no such deed".to_owned()),
    };
    Ok(Step { at: time(when)?, deed })
}

fn reports(rule: Rule, when: &str, said: &str) -> Read<Vec<Step>> {
    let what = what(rule, said).ok_or_else(|| format!("`{said}` is nothing that arrives here"))?;
    if let Some((arrives, sensed)) = when.split_once('<') {
        let (at, sensed) = (time(arrives)?, time(sensed)?);
        return Ok(vec![Step { at, deed: Deed::Arrives(what, Some(sensed)) }]);
    }
    let Some((from, rest)) = when.split_once("..") else {
        return Ok(vec![Step { at: time(when)?, deed: Deed::Arrives(what, None) }]);
    };
    let (until, every) = rest.split_once('/').ok_or("a series has a distance")?;
    let (from, until, every) = (time(from)?, time(until)?, time(every)?);
    if from >= until || every == 0 || (until - from) % every != 0 {
        return Err("the last of a series lies at its end".to_owned());
    }
    let at = (0..=(until - from) / every).map(|place| from + place * every);
    Ok(at.map(|at| Step { at, deed: Deed::Arrives(what.clone(), None) }).collect())
}

/// What a word means in the table of a rule.
fn what(rule: Rule, said: &str) -> Option<What> {
    let (word, text) = match said.find(['"', '`']) {
        Some(open) => {
            let quote = &said[open..=open];
            let text = said[open + 1..].strip_suffix(quote).filter(|text| !text.contains(quote))?;
            (&said[..open], Some(text.to_owned()))
        }
        None => (said, None),
    };
    let number = || if word == "null" { Some(None) } else { word.parse::<f64>().ok().map(Some) };
    match (rule, word, text) {
        (Rule::Gas | Rule::Heat | Rule::Cold | Rule::Dust, _, None) => {
            let (value, mut home) = (number()?, air());
            match rule {
                Rule::Gas => home.ethanol = value,
                Rule::Dust => home.dust_level = value,
                _ => home.temperature = value,
            }
            Some(What::Home(home))
        }
        (Rule::UltrafineDust, "", Some(others)) => Some(What::Home(Home { others: Some(others), ..air() })),
        (Rule::UltrafineDust, _, None) => {
            let others = number()?.map(|value| json!({ "ultrafinedust": value }).to_string().replace('"', "'"));
            Some(What::Home(Home { others, ..air() }))
        }
        (Rule::HeartFast | Rule::HeartSlow, _, None) => Some(What::Health(number()?)),
        (Rule::Silence | Rule::Inactivity, _, None) => sign(word),
        (Rule::Mood, "null", None) => Some(What::Score(None)),
        (Rule::Mood, _, None) => Some(What::Score(Some(word.parse().ok()?))),
        (Rule::Fall, "fall", None) => Some(What::Active(Some(true))),
        (Rule::Fall, "active", None) => Some(What::Active(Some(false))),
        (Rule::Fall, "null", None) => Some(What::Active(None)),
        (Rule::Fall, "detector", None) => Some(What::Notice("CRIT".to_owned(), Some("낙상감지".to_owned()))),
        (Rule::Emergency, "null", None) => Some(What::Notice("crit".to_owned(), None)),
        (Rule::Fall | Rule::Emergency, grade, Some(text)) => {
            let known = ["crit", "warn", "info", "none"].contains(&grade.to_lowercase().as_str());
            known.then(|| What::Notice(grade.to_owned(), Some(text)))
        }
        (Rule::Phrase, "", Some(text)) => Some(What::Said(text)),
        (Rule::Sos, "elder", Some(text)) => Some(What::Wrote(Hand::Elder, text)),
        (Rule::Sos, "second", Some(text)) => Some(What::Wrote(Hand::ElderToSecond, text)),
        (Rule::Sos, "guardian", Some(text)) => Some(What::Wrote(Hand::Guardian, text)),
        (Rule::Sos, "button", None) => Some(What::Call(Hand::Elder)),
        (Rule::Sos, "guardian-button", None) => Some(What::Call(Hand::Guardian)),
        (Rule::Disaster, "위급재난" | "긴급재난" | "안전안내", regions) => {
            Some(What::Disaster(word.to_owned(), regions.unwrap_or_else(|| "경기도 수원시".to_owned())))
        }
        _ => None,
    }
}

/// What is heard of a robot, or seen of an elder.
fn sign(word: &str) -> Option<What> {
    Some(match word {
        "home" => What::Home(Home { temperature: Some(22.0), ..air() }),
        "null" => What::Home(air()),
        "health" | "pulse" => What::Health(Some(72.0)),
        "pulseless" => What::Health(None),
        "active" => What::Active(Some(false)),
        "fall" => What::Active(Some(true)),
        "lives" => What::Lives,
        "prompts" => What::Prompts,
        "chat" => What::Kept,
        "message" => What::Wrote(Hand::Elder, "안녕하세요".to_owned()),
        "from-guardian" => What::Wrote(Hand::Guardian, "안녕하세요".to_owned()),
        _ => return None,
    })
}

const fn air() -> Home {
    Home { temperature: None, humidity: None, dust_level: None, ethanol: None, others: None }
}

fn told(text: &str) -> Read<Vec<Told>> {
    let mut all: Vec<Told> = Vec::new();
    if text == "nothing" {
        return Ok(all);
    }
    for word in words(text)? {
        let last = all.last_mut().filter(|told| told.is_raise() && !told.is_late);
        if word == "late" {
            last.ok_or("`late` stands behind what is raised")?.is_late = true;
        } else if let Some(since) = word.strip_prefix("since:") {
            let last = last.filter(|told| told.since.is_none()).ok_or("`since` stands behind what is raised")?;
            last.since = Some(time(since)?);
        } else {
            let (what, at) = word.split_once('@').ok_or_else(|| format!("`{word}` is no change"))?;
            let what = TOLD.into_iter().find(|told| *told == what).ok_or_else(|| format!("`{what}` is no change"))?;
            let told = Told { what, at: time(at)?, since: None, is_late: false };
            if all.last().is_some_and(|last| last.at > told.at) {
                return Err("changes come in the order of time".to_owned());
            }
            all.push(told);
        }
    }
    Ok(all)
}

#[test]
fn what_is_no_case_is_refused() {
    let read = |line: &str| table(Rule::Heat, line).map(|cases| cases.len());
    assert_eq!(read("a hot room\t0s..30m/5m:33\twarn@30m since:0s"), Ok(1));
    assert_eq!(read("# a comment\n\na hot room\t0s:33\tnothing"), Ok(1));
    for line in [
        "a hot room\t0s:33",
        "hot\t0s:33\tnothing",
        "a hot room\t0s:33\t",
        "a hot room\t\tnothing",
        "a hot room\t0s:warm\tnothing",
        "a hot room\t5:33\tnothing",
        "a hot room\t5s1m:33\tnothing",
        "a hot room\t5m5m:33\tnothing",
        "a hot room\t5m:33 0s:33\tnothing",
        "a hot room\t0s:33  5m:33\tnothing",
        "a hot room\t0s..31m/5m:33\tnothing",
        "a hot room\t0s..30m:33\tnothing",
        "a hot room\t0s:33 set:warn=30\tnothing",
        "a hot room\tset:warn\tnothing",
        "a hot room\twait@5m\tnothing",
        "a hot room\tmute@5m\tnothing",
        "a hot room\toutage@5m..5m\tnothing",
        "a hot room\t0s:33\twarn",
        "a hot room\t0s:33\twarn@30m warn@29m",
        "a hot room\t0s:33\tlate",
        "a hot room\t0s:33\tclear@5m late",
        "a hot room\t0s:33\thot@5m",
        "a hot room\t0s:33\tnothing\na hot room\t5m:33\tnothing",
        "a hot room\t0s:`33\tnothing",
    ] {
        assert!(read(line).is_err(), "{line}");
    }
}

#[test]
fn a_time_is_written_as_it_is_read() {
    for text in ["0s", "1ms", "29m59s999ms", "1h", "1d7h", "90d"] {
        assert_eq!(time(text).map(|millis| Time(millis).to_string()), Ok(text.to_owned()));
    }
}
