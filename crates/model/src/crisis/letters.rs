//! An utterance as the phrases see it: its syllables alone, compared by sound.
//!
//! Blanks, punctuation, emoticons and single letters ("ㅠㅠ") are left out, since speech recognisers and thumbs set them
//! at random; where a word and a sentence begin is remembered. What sounds alike compares alike (넘어졌어, 넘어졋어,
//! 넘어젔어), so that the phrases need not list slips of spelling.

/// First code point of the precomposed Hangul syllables; the arithmetic is section 3.12 of the Unicode Standard.
const FIRST: u32 = 0xAC00;
const LAST: u32 = 0xD7A3;
const VOWELS: u32 = 21;
const FINALS: u32 = 28;

/// A scream of more letters than this is cut, so that its length costs nothing.
const MOST_DRAWN: usize = 3;

/// One letter of an utterance that is compared: a Hangul syllable, or a digit or letter of another script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    /// As it was written, composed.
    pub written: char,
    /// As it sounds; see [`sound`].
    pub key: char,
    /// `key` without its final consonant.
    pub open: char,
    /// A word begins here. Without any blank in the utterance a word may begin anywhere.
    pub word: bool,
    /// A sentence begins here.
    pub sentence: bool,
    /// It only draws out or repeats the letter before it ("살려줘어어", "도와와줘").
    pub drawn: bool,
}

/// A Hangul syllable by the numbers of its letters: initial, vowel, final (0 for none).
fn split(letter: char) -> Option<(u32, u32, u32)> {
    let index = u32::from(letter).checked_sub(FIRST).filter(|_| u32::from(letter) <= LAST)?;
    Some((index / (VOWELS * FINALS), index / FINALS % VOWELS, index % FINALS))
}

fn join(initial: u32, vowel: u32, end: u32) -> char {
    char::from_u32(FIRST + (initial * VOWELS + vowel) * FINALS + end).expect("the numbers of a syllable's letters")
}

/// The same syllable without its final consonant; other letters as they are.
pub(super) fn open(letter: char) -> char {
    split(letter).map_or(letter, |(initial, vowel, _)| join(initial, vowel, 0))
}

/// The final consonant of a syllable as a letter of its own, `None` for an open syllable and for other scripts.
pub(super) fn final_consonant(letter: char) -> Option<char> {
    const LETTERS: [char; 27] = [
        'ㄱ', 'ㄲ', 'ㄳ', 'ㄴ', 'ㄵ', 'ㄶ', 'ㄷ', 'ㄹ', 'ㄺ', 'ㄻ', 'ㄼ', 'ㄽ', 'ㄾ', 'ㄿ', 'ㅀ', 'ㅁ', 'ㅂ', 'ㅄ',
        'ㅅ', 'ㅆ', 'ㅇ', 'ㅈ', 'ㅊ', 'ㅋ', 'ㅌ', 'ㅍ', 'ㅎ',
    ];
    let (_, _, end) = split(letter)?;
    Some(LETTERS[usize::try_from(end.checked_sub(1)?).expect("one of 27")])
}

/// How a letter sounds: vowels that are pronounced alike today (ㅐ ㅔ; ㅙ ㅚ ㅞ; ㅕ ㅓ and the like after ㅈ ㅉ ㅊ) and
/// finals that are (ㅅ ㅆ ㅈ ㅊ ㅌ ㅎ as ㄷ and so on; 표준 발음법, articles 5 and 8 to 12) become one.
/// ㅄ does not become ㅂ: 없어졌다 (is gone) must not become 엎어졌다 (fell over).
pub(super) fn sound(letter: char) -> char {
    let Some((initial, vowel, end)) = split(letter) else {
        return letter;
    };
    let after_palatal = matches!(initial, 12..=14);
    let vowel = match vowel {
        1 => 5,                    // ㅐ ㅔ
        3 => 7,                    // ㅒ ㅖ
        10 | 11 => 15,             // ㅙ ㅚ ㅞ
        2 if after_palatal => 0,   // ㅑ ㅏ
        6 if after_palatal => 4,   // ㅕ ㅓ
        12 if after_palatal => 8,  // ㅛ ㅗ
        17 if after_palatal => 13, // ㅠ ㅜ
        other => other,
    };
    let end = match end {
        2 | 3 | 9 | 24 => 1,              // ㄲ ㄳ ㄺ ㅋ: ㄱ
        5 | 6 => 4,                       // ㄵ ㄶ: ㄴ
        19 | 20 | 22 | 23 | 25 | 27 => 7, // ㅅ ㅆ ㅈ ㅊ ㅌ ㅎ: ㄷ
        11 | 12 | 13 | 15 => 8,           // ㄼ ㄽ ㄾ ㅀ: ㄹ
        10 => 16,                         // ㄻ: ㅁ
        14 | 26 => 17,                    // ㄿ ㅍ: ㅂ
        other => other,
    };
    join(initial, vowel, end)
}

/// Whether `letter` is the vowel of `before` drawn out: "아파아", "줘어".
fn draws_out(before: char, letter: char) -> bool {
    let (Some((_, said, 0)), Some((11, vowel, 0))) = (split(before), split(letter)) else {
        return false;
    };
    // The simple vowel that a diphthong ends in.
    let tail = match said {
        2 | 9 => 0,    // ㅑ ㅘ: ㅏ
        6 | 14 => 4,   // ㅕ ㅝ: ㅓ
        3 | 10 => 1,   // ㅒ ㅙ: ㅐ
        7 | 15 => 5,   // ㅖ ㅞ: ㅔ
        12 => 8,       // ㅛ: ㅗ
        17 => 13,      // ㅠ: ㅜ
        16 | 19 => 20, // ㅟ ㅢ: ㅣ
        other => other,
    };
    vowel == said || vowel == tail || (said == 1 && vowel == 5) || (said == 5 && vowel == 1)
}

/// What `mark` is in plain width: full-width forms (U+FF01 to U+FF5E) lie 0xFEE0 above ASCII.
fn plain_width(mark: char) -> char {
    match u32::from(mark) {
        wide @ 0xFF01..=0xFF5E => char::from_u32(wide - 0xFEE0).unwrap_or(mark),
        _ => mark,
    }
}

/// Joins `mark` to `before` if it is a conjoining vowel or final (U+1161.., U+11A8..) that completes it: text from some
/// systems comes decomposed (NFD).
fn compose(before: char, mark: char) -> Option<char> {
    let code = u32::from(mark);
    match code {
        0x1161..=0x1175 => {
            let initial = u32::from(before).checked_sub(0x1100).filter(|&initial| initial < 19)?;
            Some(join(initial, code - 0x1161, 0))
        }
        0x11A8..=0x11C2 => match split(before)? {
            (initial, vowel, 0) => Some(join(initial, vowel, code - 0x11A7)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a full stop behind `letter` ends a sentence. Behind a particle ("가슴이. 아파") it is a pause.
fn can_end_sentence(letter: char) -> bool {
    const PARTICLES: &str = "이가은는을를에의";
    !PARTICLES.contains(letter)
}

/// The letters of `utterance` that are compared.
pub(super) fn read(utterance: &str) -> Vec<Letter> {
    let mut letters: Vec<Letter> = Vec::with_capacity(utterance.len() / 3 + 1);
    let (mut word, mut sentence, mut stops) = (true, true, 0);
    let mut has_blank = false;
    for mark in utterance.chars() {
        let mark = plain_width(mark);
        if !word
            && let Some(last) = letters.last_mut()
            && let Some(whole) = compose(last.written, mark)
        {
            last.written = whole;
            continue;
        }
        if !mark.is_alphanumeric() || matches!(mark, 'ㄱ'..='ㆎ') {
            has_blank |= mark.is_whitespace();
            // A row of dots is a pause; so is a single one where no sentence can end.
            stops = if mark == '.' { stops + 1 } else { 0 };
            let ends = letters.last().is_some_and(|last| can_end_sentence(last.written));
            sentence = match mark {
                '.' => ends && stops == 1,
                '!' | '?' | '。' => sentence || ends,
                '\n' => true,
                _ => sentence,
            };
            word = true;
            continue;
        }
        let written = mark.to_lowercase().next().unwrap_or(mark);
        letters.push(Letter { written, key: written, open: written, word, sentence, drawn: false });
        (word, sentence, stops) = (false, false, 0);
    }
    let mut before: Option<Letter> = None;
    let mut run = 0;
    letters.retain_mut(|letter| {
        letter.key = sound(letter.written);
        letter.open = open(letter.key);
        letter.word |= !has_blank;
        letter.drawn = !letter.sentence
            && before.is_some_and(|before| before.key == letter.key || draws_out(before.written, letter.written));
        before = Some(*letter);
        run = if letter.drawn { run + 1 } else { 0 };
        run <= MOST_DRAWN
    });
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(utterance: &str) -> String {
        read(utterance).iter().map(|letter| letter.written).collect()
    }

    #[test]
    fn only_letters_are_left() {
        assert_eq!(written("살려 줘!!! ㅠㅠ~ 119…"), "살려줘119");
        assert_eq!(written("ＳＯＳ　１１９"), "sos119");
        assert_eq!(written(""), "");
    }

    #[test]
    fn decomposed_text_is_composed() {
        assert_eq!(
            written("\u{1109}\u{1161}\u{11AF}\u{1105}\u{1167}\u{110C}\u{116F} \u{1100}\u{1161}\u{11A8}"),
            "살려줘각"
        );
        // A vowel without an initial, a final without a vowel: nothing to join.
        assert_eq!(read("\u{1161}\u{11AF}").len(), 2);
    }

    #[test]
    fn what_sounds_alike_compares_alike() {
        let sounds = |text: &str| text.chars().map(sound).collect::<String>();
        for (one, other) in [("넘어졌어", "넘어젔어"), ("죽고싶", "죽고십"), ("않", "안"), ("도와주세요", "도와주새요")]
        {
            assert_eq!(sounds(one), sounds(other));
        }
        assert_ne!(sounds("살"), sounds("상"));
    }

    #[test]
    fn words_and_sentences_are_marked() {
        let begins = |text: &str, what: fn(&Letter) -> bool| {
            read(text).iter().filter(|letter| what(letter)).map(|letter| letter.written).collect::<String>()
        };
        assert_eq!(begins("가슴이 아파요. 나 좀 봐", |letter| letter.word), "가아나좀봐");
        assert_eq!(begins("가슴이. 아파... 너무요. 나 좀 봐!? 응", |letter| letter.sentence), "가나응");
        assert_eq!(begins("가슴이아파", |letter| letter.word), "가슴이아파");
    }

    #[test]
    fn drawn_out_vowels_are_marked() {
        let drawn = |text: &str| {
            read(text).iter().filter(|letter| letter.drawn).map(|letter| letter.written).collect::<String>()
        };
        assert_eq!(drawn("살려줘어어어"), "어어어");
        assert_eq!(drawn("살려주세요오"), "오");
        assert_eq!(drawn("도도와줘줘"), "도줘");
        assert_eq!(drawn("배가 고파"), "");
    }

    #[test]
    fn finals_have_letters_of_their_own() {
        assert_eq!(final_consonant('각'), Some('ㄱ'));
        assert_eq!(final_consonant('팠'), Some('ㅆ'));
        assert_eq!(final_consonant('히'), None);
        assert_eq!(final_consonant('x'), None);
    }
}
