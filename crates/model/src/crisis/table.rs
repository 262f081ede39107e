//! `data/crisis_phrases.tsv`, read once. The file's head says how it is written.

use std::sync::LazyLock;

use super::Crisis;
use super::letters::Letter;
use super::pattern::{Pattern, Span};

const DATA: &str = include_str!("../../data/crisis_phrases.tsv");

/// The phrases of the program.
pub(super) static TABLE: LazyLock<Table> =
    LazyLock::new(|| Table::parse(DATA).unwrap_or_else(|fault| panic!("crisis_phrases.tsv: {fault}")));

/// What a phrase is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Crisis(Crisis),
    /// A crisis phrase that begins inside it is none.
    Harmless,
    /// Begins what is told of a film, a song, a dream.
    Story,
    /// Ends what is told.
    StoryEnd,
    /// The speaker comes back to the here and now.
    Turn,
    /// Begins what is long past.
    LongAgo,
    /// Separates two words that a gap would connect.
    Between,
    /// All is well now.
    Over,
    /// A person the speaker lives with, or is close to.
    Household,
    /// An ending that denies.
    Denied,
    /// An ending that only supposes.
    Supposed,
    /// An ending of what is hearsay.
    Hearsay,
    /// An ending of the past.
    Was,
    /// An ending that is past if the sentence goes on in the past.
    Then,
}

impl Role {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "harmless" => Self::Harmless,
            "story" => Self::Story,
            "story_end" => Self::StoryEnd,
            "turn" => Self::Turn,
            "long_ago" => Self::LongAgo,
            "between" => Self::Between,
            "over" => Self::Over,
            "household" => Self::Household,
            "denied" => Self::Denied,
            "supposed" => Self::Supposed,
            "hearsay" => Self::Hearsay,
            "was" => Self::Was,
            "then" => Self::Then,
            crisis => Self::Crisis(Crisis::parse(crisis)?),
        })
    }

    fn is_ending(self) -> bool {
        matches!(self, Self::Denied | Self::Supposed | Self::Hearsay | Self::Was | Self::Then)
    }
}

/// One line of the file.
#[derive(Debug)]
pub(super) struct Phrase {
    pub role: Role,
    pub title: &'static str,
    pattern: Pattern,
}

/// Phrases by the letters they begin with, so that a place in a text is compared with a few of them only.
#[derive(Debug)]
pub(super) struct Index {
    pub phrases: Vec<Phrase>,
    by_letter: Vec<Vec<Entry>>,
}

/// A phrase under a letter it can begin with.
#[derive(Clone, Copy, Debug)]
struct Entry {
    phrase: u16,
    /// One bit for some of the letters that can follow; several letters share a bit, so it only rules out.
    seconds: u64,
}

impl Index {
    /// Initials times vowels, and one more for all other letters.
    const BUCKETS: usize = 19 * 21 + 1;

    fn new(phrases: Vec<Phrase>) -> Self {
        let mut by_letter: Vec<Vec<Entry>> = vec![Vec::new(); Self::BUCKETS];
        for (number, phrase) in phrases.iter().enumerate() {
            let number = u16::try_from(number).expect("far fewer than 65,536 phrases");
            for (first, seconds) in phrase.pattern.beginnings() {
                let seconds = seconds
                    .map_or(u64::MAX, |letters| letters.into_iter().fold(0, |all, letter| all | Self::bit(letter)));
                let bucket = &mut by_letter[Self::bucket(first)];
                match bucket.last_mut().filter(|entry| entry.phrase == number) {
                    Some(entry) => entry.seconds |= seconds,
                    None => bucket.push(Entry { phrase: number, seconds }),
                }
            }
        }
        Self { phrases, by_letter }
    }

    /// `letter` has no final consonant.
    fn bucket(letter: char) -> usize {
        match u32::from(letter) {
            code @ 0xAC00..=0xD7A3 => usize::try_from((code - 0xAC00) / 28).expect("less than 399"),
            _ => Self::BUCKETS - 1,
        }
    }

    /// `letter` has no final consonant.
    fn bit(letter: char) -> u64 {
        1 << (Self::bucket(letter) % 61)
    }

    /// Every phrase that matches at `place`.
    pub fn at<'a>(&'a self, letters: &'a [Letter], place: usize) -> impl Iterator<Item = (&'a Phrase, Span)> {
        let bucket = letters.get(place).map_or(&[][..], |letter| &self.by_letter[Self::bucket(letter.open)]);
        let second = match letters.get(place + 1) {
            // A letter that is drawn out may be passed over.
            Some(next) if !next.drawn => Self::bit(next.open),
            _ => u64::MAX,
        };
        bucket.iter().filter(move |entry| entry.seconds & second != 0).filter_map(move |entry| {
            let phrase = &self.phrases[usize::from(entry.phrase)];
            Some((phrase, phrase.pattern.at(letters, place)?))
        })
    }
}

/// The file by use.
#[derive(Debug)]
pub(super) struct Table {
    /// The crisis phrases.
    pub crises: Index,
    /// What is looked for around a crisis phrase.
    pub around: Index,
    /// What is looked for directly behind one.
    pub endings: Index,
}

impl Table {
    fn parse(data: &'static str) -> Result<Self, String> {
        let mut abbreviations: Vec<(String, String)> = Vec::new();
        let (mut crises, mut around, mut endings) = (Vec::new(), Vec::new(), Vec::new());
        for (number, line) in data.lines().enumerate() {
            let at = number + 1;
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let expand = |text: &str| {
                abbreviations.iter().fold(text.to_owned(), |text, (name, all)| text.replace(name.as_str(), all))
            };
            let fields: Vec<&'static str> = line.split('\t').collect();
            match fields[..] {
                [name, all] if name.starts_with('{') && name.ends_with('}') => {
                    let all = format!("({})", expand(all));
                    abbreviations.push((name.to_owned(), all));
                }
                [role, title, pattern] => {
                    let role = Role::parse(role).ok_or_else(|| format!("line {at}: no role '{role}'"))?;
                    let pattern = Pattern::parse(&expand(pattern)).map_err(|fault| format!("line {at}: {fault}"))?;
                    let phrase = Phrase { role, title, pattern };
                    match role {
                        Role::Crisis(_) => crises.push(phrase),
                        ending if ending.is_ending() => endings.push(phrase),
                        _ => around.push(phrase),
                    }
                }
                _ => return Err(format!("line {at}: three fields, or an abbreviation and its meaning")),
            }
        }
        Ok(Self { crises: Index::new(crises), around: Index::new(around), endings: Index::new(endings) })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_file_is_read_whole() {
        let table = Table::parse(DATA).unwrap();
        let titles: HashSet<&str> = table.crises.phrases.iter().map(|phrase| phrase.title).collect();
        assert!(titles.len() >= 150, "{} phrases", titles.len());
        for &crisis in Crisis::ALL {
            assert!(table.crises.phrases.iter().any(|phrase| phrase.role == Role::Crisis(crisis)), "{crisis}");
        }
    }

    #[test]
    fn every_line_is_found_out() {
        let fault = |data| Table::parse(data).unwrap_err();
        assert!(fault("# a comment\n\nfear\t무섭다\t무서워").contains("line 3: no role 'fear'"));
        assert!(fault("fire\t불이야").contains("line 1: three fields"));
        assert!(fault("fire\t불이야\t불(이야").contains("line 1: '('"));
        assert!(fault("fire\t불이야\t{없음}").contains("line 1"));
    }
}
