//! The small language that the phrases are written in, and its matcher.
//!
//! | written | means |
//! |---|---|
//! | a syllable, digit or letter | itself, by sound |
//! | `아프-` | the syllable before it with any final consonant: 아프다, 아픈, 아픕니다 |
//! | <code>(이&#124;가&#124;)</code> | one of the alternatives; an empty one makes the group optional |
//! | `_` | up to [`SHORT_GAP`] letters, whatever they are: a particle, a short adverb |
//! | `~` | up to [`LONG_GAP`] letters |
//! | `^` | a word begins here |
//! | `$` | the sentence ends here |
//! | `!서` | the next letter is not this one |
//! | `ㄴ`, `ㄹ`, `ㅆ` .. | what is left of a syllable whose stem was met by `-`; only first in an ending |
//! | a blank | nothing: blanks make a phrase legible |
//!
//! A gap never crosses the border of two sentences. Among several ways to match the first is taken: alternatives in the
//! order written, gaps as short as possible. Letters that only draw out the one before are passed over where they would
//! prevent a match. A pattern has no unbounded repetition, so a match costs a bounded number of steps at every place.

use super::letters::{Letter, open, sound};

/// Most letters that `_` passes over.
pub(super) const SHORT_GAP: u8 = 3;
/// Most letters that `~` passes over.
pub(super) const LONG_GAP: u8 = 12;

/// One step of a compiled pattern.
#[derive(Debug)]
enum Step {
    /// This letter, by sound.
    Letter(char),
    /// This letter with any final consonant.
    Stem(char),
    /// Up to so many letters.
    Gap(u8),
    WordBegins,
    SentenceEnds,
    /// The next letter is not this one.
    Not(char),
    /// One of several ways to go on.
    Choice(Choice),
    Jump(usize),
}

/// The alternatives of a group, as the steps they begin with. Most groups are long and one letter rules out nearly all of
/// it, so the alternatives are found by the letter they can begin with.
#[derive(Debug, Default)]
struct Choice {
    all: Vec<usize>,
    /// By letter without final consonant, ascending.
    by_letter: Vec<(char, Vec<usize>)>,
    /// Those that do not begin with a letter, for example with a gap.
    otherwise: Vec<usize>,
}

impl Choice {
    /// The alternatives that can match where `letter` stands, in the order written.
    fn among(&self, letter: Option<&Letter>) -> &[usize] {
        match letter {
            // It may be passed over.
            Some(letter) if letter.drawn => &self.all,
            Some(letter) => match self.by_letter.binary_search_by_key(&letter.open, |(first, _)| *first) {
                Ok(at) => &self.by_letter[at].1,
                Err(_) => &self.otherwise,
            },
            None => &self.otherwise,
        }
    }
}

/// A compiled phrase.
#[derive(Debug)]
pub(super) struct Pattern(Vec<Step>);

/// Where a phrase was found, as positions in the letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The first letter.
    pub start: usize,
    /// Behind the letters before the first gap; `end` in a phrase without gap.
    pub first_end: usize,
    /// The first letter behind the last gap; `start` in a phrase without gap.
    pub last: usize,
    /// Behind the last letter.
    pub end: usize,
    /// The last letter was met by its stem: its final consonant belongs to the ending.
    pub stem: bool,
}

/// How far a match has come.
#[derive(Clone, Copy)]
struct State {
    step: usize,
    place: usize,
    first_end: Option<usize>,
    last: usize,
    stem: bool,
}

impl Pattern {
    /// Compiles a phrase. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let letters: Vec<char> = text.chars().filter(|letter| *letter != ' ').collect();
        let mut parser = Parser { letters: &letters, place: 0, steps: Vec::new() };
        parser.sequence()?;
        if let Some(rest) = parser.peek() {
            return Err(format!("'{rest}' at {} closes nothing", parser.place));
        }
        let mut pattern = Self(parser.steps);
        if pattern.first_letters(0).is_none() {
            return Err("it has to begin with a letter".into());
        }
        pattern.sort_choices();
        Ok(pattern)
    }

    /// The letters a match can begin with, each with those that can follow it (`None`: any, or the end), all without
    /// their final consonants. A letter may be listed several times.
    pub fn beginnings(&self) -> Vec<(char, Option<Vec<char>>)> {
        let (first, _) = self.next_letters(0);
        first.into_iter().map(|(letter, step)| (letter, self.first_letters(step + 1))).collect()
    }

    /// The letters a match of the steps from `step` on can begin with; `None` if it can begin with anything, or be empty.
    fn first_letters(&self, step: usize) -> Option<Vec<char>> {
        let (letters, only_letters) = self.next_letters(step);
        only_letters.then(|| letters.into_iter().map(|(letter, _)| letter).collect())
    }

    /// The letters, with their steps, that can come next at `step`; and whether nothing but a letter can.
    fn next_letters(&self, step: usize) -> (Vec<(char, usize)>, bool) {
        let (mut letters, mut only_letters) = (Vec::new(), true);
        let mut steps = vec![step];
        while let Some(step) = steps.pop() {
            match self.0.get(step) {
                Some(Step::Letter(letter) | Step::Stem(letter)) => letters.push((open(*letter), step)),
                Some(Step::WordBegins) => steps.push(step + 1),
                Some(Step::Choice(choice)) => steps.extend(&choice.all),
                Some(Step::Jump(other)) => steps.push(*other),
                Some(Step::Gap(_) | Step::SentenceEnds | Step::Not(_)) | None => only_letters = false,
            }
        }
        (letters, only_letters)
    }

    /// Fills in which alternatives a letter leaves open.
    fn sort_choices(&mut self) {
        for at in 0..self.0.len() {
            let Step::Choice(Choice { all, .. }) = &self.0[at] else { continue };
            let all = all.clone();
            let firsts: Vec<Option<Vec<char>>> = all.iter().map(|&step| self.first_letters(step)).collect();
            let mut letters: Vec<char> = firsts.iter().flatten().flatten().copied().collect();
            letters.sort_unstable();
            letters.dedup();
            let can_begin = |letter: Option<char>| -> Vec<usize> {
                let possible = |first: &Option<Vec<char>>| match (first, letter) {
                    (Some(first), Some(letter)) => first.contains(&letter),
                    (Some(_), None) => false,
                    (None, _) => true,
                };
                all.iter().zip(&firsts).filter(|(_, first)| possible(first)).map(|(&step, _)| step).collect()
            };
            let by_letter = letters.iter().map(|&letter| (letter, can_begin(Some(letter)))).collect();
            let otherwise = can_begin(None);
            self.0[at] = Step::Choice(Choice { all, by_letter, otherwise });
        }
    }

    /// Matches at `start`.
    pub fn at(&self, letters: &[Letter], start: usize) -> Option<Span> {
        self.go_on(letters, start, State { step: 0, place: start, first_end: None, last: start, stem: false })
    }

    /// Matches the rest of the pattern. Calls itself once for a gap or group it is in, so not deep.
    fn go_on(&self, letters: &[Letter], start: usize, mut next: State) -> Option<Span> {
        loop {
            let here = letters.get(next.place);
            let Some(step) = self.0.get(next.step) else {
                let first_end = next.first_end.unwrap_or(next.place);
                return Some(Span { start, first_end, last: next.last, end: next.place, stem: next.stem });
            };
            let goes_on = match step {
                Step::Letter(wanted) => here?.key == *wanted,
                Step::Stem(wanted) => here?.open == *wanted,
                Step::WordBegins => here.is_none_or(|letter| letter.word),
                Step::SentenceEnds => {
                    letters[next.place..].iter().find(|letter| !letter.drawn).is_none_or(|letter| letter.sentence)
                }
                Step::Not(unwanted) => here.is_none_or(|letter| letter.key != *unwanted),
                Step::Jump(_) => true,
                Step::Gap(most) => return self.pass(letters, start, next, usize::from(*most)),
                Step::Choice(choice) => {
                    let mut ways = choice.among(here).iter();
                    return ways.find_map(|&step| self.go_on(letters, start, State { step, ..next }));
                }
            };
            match step {
                Step::Letter(_) | Step::Stem(_) if goes_on => {
                    next.stem = matches!(step, Step::Stem(_));
                    next.place += 1;
                    next.step += 1;
                }
                Step::Letter(_) | Step::Stem(_) if here?.drawn && next.place > start => next.place += 1,
                Step::Jump(other) => next.step = *other,
                _ if goes_on => next.step += 1,
                _ => return None,
            }
        }
    }

    /// Matches the rest of the pattern behind a gap of at most `most` letters, as short as possible.
    fn pass(&self, letters: &[Letter], start: usize, gap: State, most: usize) -> Option<Span> {
        let first_end = gap.first_end.or(Some(gap.place));
        for place in gap.place..=gap.place + most {
            // Two words beside each other may stand in two sentences ("가슴. 아파"), with others between them they do not
            // belong together.
            let crosses = place > gap.place && letters.get(place).is_some_and(|letter| letter.sentence);
            if place > letters.len() || crosses {
                return None;
            }
            let behind = State { step: gap.step + 1, place, first_end, last: place, ..gap };
            if let Some(span) = self.go_on(letters, start, behind) {
                return Some(span);
            }
            if letters.get(place).is_some_and(|letter| letter.sentence) {
                return None;
            }
        }
        None
    }
}

struct Parser<'a> {
    letters: &'a [char],
    place: usize,
    steps: Vec<Step>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.place).copied()
    }

    fn take(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.place += 1;
        Some(letter)
    }

    /// Up to the end, a `|` or a `)`, which stays.
    fn sequence(&mut self) -> Result<(), String> {
        while let Some(letter) = self.peek() {
            match letter {
                '|' | ')' => break,
                '(' => self.group()?,
                _ => self.item()?,
            }
        }
        Ok(())
    }

    fn item(&mut self) -> Result<(), String> {
        let at = self.place;
        let step = match self.take() {
            Some('_') => Step::Gap(SHORT_GAP),
            Some('~') => Step::Gap(LONG_GAP),
            Some('^') => Step::WordBegins,
            Some('$') => Step::SentenceEnds,
            Some('!') => match self.take() {
                Some(letter) if letter.is_alphanumeric() => Step::Not(sound(letter)),
                _ => return Err(format!("'!' at {at} wants a letter")),
            },
            Some(letter) if letter.is_alphanumeric() => match self.peek() {
                Some('-') if open(letter) == letter => {
                    self.place += 1;
                    Step::Stem(sound(letter))
                }
                Some('-') => return Err(format!("'{letter}-' at {at}: a stem ends in a vowel")),
                _ => Step::Letter(sound(letter)),
            },
            other => return Err(format!("{other:?} at {at} means nothing")),
        };
        self.steps.push(step);
        Ok(())
    }

    /// `(a|b|c)` as: the choice; a, jump behind the group; b, jump behind the group; c, jump behind the group.
    fn group(&mut self) -> Result<(), String> {
        let at = self.place;
        self.place += 1;
        let choice = self.steps.len();
        self.steps.push(Step::Choice(Choice::default()));
        let (mut all, mut jumps) = (Vec::new(), Vec::new());
        loop {
            all.push(self.steps.len());
            self.sequence()?;
            jumps.push(self.steps.len());
            self.steps.push(Step::Jump(0));
            match self.take() {
                Some('|') => {}
                Some(')') => break,
                _ => return Err(format!("'(' at {at} is not closed")),
            }
        }
        for jump in jumps {
            self.steps[jump] = Step::Jump(self.steps.len());
        }
        self.steps[choice] = Step::Choice(Choice { all, ..Choice::default() });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::letters::read;
    use super::*;

    /// What `pattern` meets in `text`, at the first place it meets anything.
    fn met(pattern: &str, text: &str) -> Option<String> {
        let pattern = Pattern::parse(pattern).unwrap();
        let letters = read(text);
        let span = (0..letters.len()).find_map(|start| pattern.at(&letters, start))?;
        Some(letters[span.start..span.end].iter().map(|letter| letter.written).collect())
    }

    #[test]
    fn letters_stems_groups_and_gaps() {
        assert_eq!(met("살려줘", "아이고 살려 줘요").as_deref(), Some("살려줘"));
        assert_eq!(met("가슴(이|도|) 아프-", "가슴도 아픕니다").as_deref(), Some("가슴도아픕"));
        assert_eq!(met("가슴(이|도|) 아프", "가슴도 아픕니다"), None);
        assert_eq!(met("숨 _ 차", "숨이 막 차").as_deref(), Some("숨이막차"));
        assert_eq!(met("숨 _ 차", "숨이 가득히 막 차"), None);
        assert_eq!(met("숨 ~ 차", "숨이 가득히 막 차").as_deref(), Some("숨이가득히막차"));
        assert_eq!(met("(가(나|다)|라)마", "바 라 마").as_deref(), Some("라마"));
        assert_eq!(met("(가(나|다)|라)마", "가다마").as_deref(), Some("가다마"));
    }

    #[test]
    fn borders() {
        assert_eq!(met("^피가", "커피가 많아"), None);
        assert_eq!(met("^피가", "손에 피가").as_deref(), Some("피가"));
        assert_eq!(met("살려$", "나 좀 살려. 빨리").as_deref(), Some("살려"));
        assert_eq!(met("살려$", "살려어어").as_deref(), Some("살려"));
        assert_eq!(met("살려$", "살려낸 사람"), None);
        assert_eq!(met("면!서", "아프면서"), None);
        assert_eq!(met("면!서", "아프면 가").as_deref(), Some("면"));
        assert_eq!(met("가슴~아파", "가슴을 펴요. 배가 아파"), None);
    }

    #[test]
    fn drawn_out_letters_are_passed_over() {
        assert_eq!(met("살려줘", "살려어어줘어").as_deref(), Some("살려어어줘"));
        assert_eq!(met("배가아파", "배가 아파").as_deref(), Some("배가아파"));
    }

    #[test]
    fn faults_are_told() {
        for bad in ["", "(가", "가)", "가|나", "살-", "!", "가!", "~가", "(가|)", "가#"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }
}
