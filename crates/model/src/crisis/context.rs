//! What stands around a crisis phrase, and whether the phrase stands.

use super::Crisis;
use super::letters::{Letter, final_consonant};
use super::pattern::Span;
use super::table::{Role, TABLE};

/// Most letters that what is told of a film or of long ago reaches.
const STORY_REACH: usize = 60;
/// Most letters between a crisis phrase and "이제 괜찮아".
const OVER_REACH: usize = 25;
/// Letters of an ending that are looked at.
const ENDING_REACH: usize = 24;
/// How many letters behind "아파서" a verb in the past tells that the pain is past, too.
const THEN_REACH: usize = 12;

/// What is known of one place of the utterance.
#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other, not a state")]
struct Mark {
    harmless: bool,
    story: bool,
    long_ago: bool,
    /// A phrase of [`Role::Between`] begins here.
    between: bool,
    /// A phrase of [`Role::Over`] begins here.
    over: bool,
    /// Somebody of the household was named before, in this sentence.
    household: bool,
    turn: bool,
    /// Where the end of what is told, which begins here, ends.
    story_end: Option<usize>,
}

/// The rules of the module's head for one utterance. The work is done once, so that each phrase costs little.
pub(super) struct Context<'a> {
    letters: &'a [Letter],
    marks: Vec<Mark>,
    /// Without blanks every place may begin a word, which then says nothing.
    has_blanks: bool,
}

impl<'a> Context<'a> {
    pub fn new(letters: &'a [Letter]) -> Self {
        let mut context = Self {
            letters,
            marks: vec![Mark::default(); letters.len()],
            has_blanks: letters.iter().any(|letter| !letter.word),
        };
        let (mut stories, mut pasts) = (Vec::new(), Vec::new());
        for place in 0..letters.len() {
            for (phrase, span) in TABLE.around.at(letters, place) {
                match phrase.role {
                    Role::Harmless => {
                        context.marks[span.start..span.first_end].iter_mut().for_each(|mark| mark.harmless = true);
                        context.marks[span.last..span.end].iter_mut().for_each(|mark| mark.harmless = true);
                    }
                    Role::Story => stories.push(span),
                    Role::StoryEnd => context.marks[place].story_end = Some(span.end),
                    Role::Turn => context.marks[place].turn = true,
                    Role::LongAgo => pasts.push(span),
                    Role::Between => context.marks[place].between = true,
                    Role::Over => context.marks[place].over |= !context.refused(span.last),
                    Role::Household => context.marks[place].household = true,
                    Role::Crisis(_) | Role::Denied | Role::Supposed | Role::Hearsay | Role::Was | Role::Then => {}
                }
            }
            let household = place > 0 && !letters[place].sentence && context.marks[place - 1].household;
            context.marks[place].household |= household;
        }
        for span in stories {
            let reach = context.reach(span, true);
            context.marks[reach].iter_mut().for_each(|mark| mark.story = true);
        }
        for span in pasts {
            let reach = context.reach(span, false);
            context.marks[reach].iter_mut().for_each(|mark| mark.long_ago = true);
        }
        context
    }

    /// How far the words that begin a story, or a memory, colour what follows. What begins with them is not of it.
    fn reach(&self, span: Span, story: bool) -> std::ops::Range<usize> {
        let most = self.letters.len().min(span.end + STORY_REACH);
        for place in span.end..most {
            let mark = self.marks[place];
            if self.letters[place].sentence || mark.turn {
                return span.start + 1..place;
            }
            if let Some(end) = mark.story_end.filter(|_| story) {
                return span.start + 1..end;
            }
        }
        span.start + 1..most
    }

    /// Whether a crisis phrase that was found at `span` is meant.
    pub fn stands(&self, crisis: Crisis, span: Span) -> bool {
        let mark = self.marks[span.start];
        if mark.harmless || mark.story || self.refused(span.last) {
            return false;
        }
        if self.marks[span.start..span.last].iter().any(|mark| mark.between) {
            return false;
        }
        let ending = self.ending(span);
        if ending.denied || (ending.hearsay && !mark.household) {
            return false;
        }
        if ending.supposed && !matches!(crisis, Crisis::Suicide | Crisis::SelfHarm) {
            return false;
        }
        let after = span.end..self.letters.len().min(span.end + OVER_REACH);
        !(ending.was && (mark.long_ago || self.marks[after].iter().any(|mark| mark.over)))
    }

    /// Whether "안" stands directly before `place`, as a word: at the beginning of one or behind a particle, not as the end
    /// of 동안, 집안, 불안.
    fn refused(&self, place: usize) -> bool {
        const PARTICLES: &str = "이가은는도를을로혀제";
        let Some(no) = place.checked_sub(1).map(|before| self.letters[before]) else {
            return false;
        };
        let behind_particle = || place >= 2 && PARTICLES.contains(self.letters[place - 2].written);
        matches!(no.written, '안' | '않') && (no.word && self.has_blanks || behind_particle())
    }

    /// Whether a verb in the past (았, 었, 했; not 있, 겠) follows soon in the sentence.
    fn goes_on_in_the_past(&self, place: usize) -> bool {
        self.letters[place..]
            .iter()
            .take(THEN_REACH)
            .take_while(|letter| !letter.sentence)
            .any(|letter| final_consonant(letter.written) == Some('ㅆ') && !matches!(letter.written, '있' | '겠'))
    }

    /// The roles of the endings directly behind a phrase.
    fn ending(&self, span: Span) -> Ending {
        let letters = self.letters;
        let last = letters[span.end - 1];
        let end = (span.end..letters.len()).find(|&place| !letters[place].drawn).unwrap_or(letters.len());
        let rest = &letters[end..letters.len().min(end + ENDING_REACH)];
        let left_over = final_consonant(last.written).filter(|_| span.stem);
        let with_left_over: Vec<Letter>;
        let rest = match left_over {
            Some(consonant) => {
                let first = Letter {
                    written: consonant,
                    key: consonant,
                    open: consonant,
                    word: false,
                    sentence: false,
                    drawn: false,
                };
                with_left_over = std::iter::once(first).chain(rest.iter().copied()).collect();
                &with_left_over
            }
            None => rest,
        };
        // A stem's final consonant is left over and judged by the table, which knows 았 from 겠.
        let was = !span.stem && final_consonant(last.written) == Some('ㅆ') && last.written != '겠';
        let mut ending = Ending { was, ..Ending::default() };
        for (phrase, _) in TABLE.endings.at(rest, 0) {
            match phrase.role {
                Role::Denied => ending.denied = true,
                Role::Supposed => ending.supposed = true,
                Role::Hearsay => ending.hearsay = true,
                Role::Was => ending.was = true,
                Role::Then => ending.was |= self.goes_on_in_the_past(end),
                _ => {}
            }
        }
        ending
    }
}

/// What the words directly behind a phrase make of it.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other, not a state")]
struct Ending {
    denied: bool,
    supposed: bool,
    hearsay: bool,
    was: bool,
}
