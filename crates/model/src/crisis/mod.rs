//! Words that do not wait for a model: an utterance that asks for help, speaks of dying, of pain in the chest, of fire.
//!
//! [`find`] looks for the phrases of `data/crisis_phrases.tsv` in what somebody said to the robot. It needs no network,
//! depends on its argument alone and takes microseconds, so it can stand before everything else that is done with an
//! utterance. Adding a phrase is adding a line to that file, whose head explains the notation, and an utterance to
//! `tests/crisis/positive.txt`.
//!
//! A cry that is missed is worse than a false alarm, so a phrase that was found stands unless one of these applies:
//!
//! 1. it begins inside a harmless phrase ("배고파 죽겠다", "살려줘서 고마워", "전화 거는 거 좀 도와줘");
//! 2. it is denied by the word next to it ("가슴이 안 아파", "죽고 싶지 않아"), or all is well between its two halves
//!    ("가슴은 괜찮은데 허리가 아파");
//! 3. it is only supposed ("불이 나면 어떡해"), which never excuses talk of suicide;
//! 4. it is hearsay ("옆집 사람이 쓰러졌다고 하더라") and nobody of the household was named before it;
//! 5. it is told of a film, a song, a dream, up to the end of the sentence, of what is told ("..하더라") or the return to
//!    the here and now ("근데 나도 ..");
//! 6. it is in the past tense and either long ago ("젊었을 때 ..") or followed by "이제 괜찮아".
//!
//! Each rule is about one phrase in one place: whatever else was said is judged by itself. The files: `letters` is the
//! utterance without blanks and slips of spelling, `pattern` the notation, `table` the file, `context` the rules.

mod context;
mod letters;
mod pattern;
mod table;

use context::Context;
use table::{Role, TABLE};

use crate::wire_enum;

wire_enum!(
    /// What an utterance warns of, the most serious first.
    Crisis {
        /// Wanting to die, planning it.
        Suicide = "suicide",
        /// Hurting oneself.
        SelfHarm = "self_harm",
        /// Somebody does not react, has collapsed or is about to.
        Collapse = "collapse",
        /// Not getting air, choking.
        Breathing = "breathing",
        /// Pain or pressure in the chest, the heart.
        ChestPain = "chest_pain",
        /// Signs of a stroke: one side without strength, speech, sight, the worst headache.
        Stroke = "stroke",
        /// Fire, smoke.
        Fire = "fire",
        /// Gas escapes.
        Gas = "gas",
        /// Beaten, threatened, robbed, a stranger in the house.
        Violence = "violence",
        /// A wound, blood where none should be.
        Bleeding = "bleeding",
        /// Swallowed or bitten by something poisonous, too much medicine.
        Poison = "poison",
        /// Burnt, scalded, an electric shock.
        Burn = "burn",
        /// Fallen, cannot get up.
        Fall = "fall",
        /// A broken bone, a blow to the head, caught in something.
        Injury = "injury",
        /// Pain beyond bearing.
        Pain = "pain",
        /// A cry for help that does not say why; locked in, lost.
        Help = "help",
    }
);

impl Crisis {
    /// Title of a notification, in Korean. Holds no comma: clients split a notification's text at the first.
    pub const fn korean(self) -> &'static str {
        match self {
            Self::Suicide => "자살 위험",
            Self::SelfHarm => "자해 위험",
            Self::Collapse => "쓰러짐",
            Self::Breathing => "호흡 곤란",
            Self::ChestPain => "가슴 통증",
            Self::Stroke => "뇌졸중 의심",
            Self::Fire => "화재",
            Self::Gas => "가스 누출",
            Self::Violence => "폭력 위험",
            Self::Bleeding => "출혈",
            Self::Poison => "중독 의심",
            Self::Burn => "화상",
            Self::Fall => "넘어짐",
            Self::Injury => "다침",
            Self::Pain => "심한 통증",
            Self::Help => "도움 요청",
        }
    }

    /// What the robot says at once, in Korean.
    ///
    /// The numbers, all free and open day and night: 119 ambulance and fire brigade (소방청), 112 police (경찰청), 109 the
    /// one line for people in danger of suicide (자살예방 상담전화, 보건복지부), which replaced 1393, 1577-0199 and others on
    /// 2024-01-01.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Suicide => {
                "많이 힘드셨지요. 혼자 견디지 않으셔도 됩니다. 24시간 이야기를 들어 주는 자살예방 상담전화 109에 전화해 주세요. 지금 위험하면 바로 119에 전화하세요. 가족에게도 알리겠습니다."
            }
            Self::SelfHarm => {
                "다치지 않으셨으면 좋겠어요. 위험한 물건은 멀리 두시고, 자살예방 상담전화 109에 전화해 주세요. 다치셨으면 바로 119에 전화하세요. 가족에게도 알리겠습니다."
            }
            Self::Collapse => {
                "바로 119에 전화하세요. 어지러우면 그 자리에 누우시고, 쓰러진 분이 숨을 쉬지 않으면 119의 안내에 따라 가슴을 눌러 주세요. 가족에게도 알리겠습니다."
            }
            Self::Breathing => {
                "바로 119에 전화하세요. 편하게 기대앉아 옷을 느슨하게 하고 천천히 숨을 쉬세요. 가족에게도 알리겠습니다."
            }
            Self::ChestPain => "바로 119에 전화하세요. 움직이지 말고 편하게 기대앉아 계세요. 가족에게도 알리겠습니다.",
            Self::Stroke => {
                "뇌졸중일 수 있으니 바로 119에 전화하세요. 아무것도 드시지 말고 누워 계세요. 가족에게도 알리겠습니다."
            }
            Self::Fire => {
                "바로 밖으로 나가서 119에 전화하세요. 연기가 있으면 몸을 낮추고 승강기는 타지 마세요. 가족에게도 알리겠습니다."
            }
            Self::Gas => {
                "불이나 전기 스위치를 만지지 말고 창문을 여세요. 가스 밸브를 잠그고 밖에 나가서 119에 전화하세요. 가족에게도 알리겠습니다."
            }
            Self::Violence => {
                "안전한 곳으로 피하고 바로 112에 전화하세요. 다치셨으면 119에 전화하세요. 가족에게도 알리겠습니다."
            }
            Self::Bleeding => "깨끗한 천으로 피 나는 곳을 꾹 누르고 바로 119에 전화하세요. 가족에게도 알리겠습니다.",
            Self::Poison => {
                "억지로 토하지 말고 바로 119에 전화하세요. 먹은 것의 통이나 봉지를 옆에 두세요. 마음이 힘드시면 109에서도 들어 드립니다. 가족에게도 알리겠습니다."
            }
            Self::Burn => {
                "흐르는 찬물에 식히면서 119에 전화하세요. 전기가 통하는 물건은 만지지 마세요. 가족에게도 알리겠습니다."
            }
            Self::Fall => {
                "무리해서 일어나지 마세요. 아프거나 못 일어나시겠으면 바로 119에 전화하세요. 가족에게도 알리겠습니다."
            }
            Self::Injury => "다친 곳을 움직이지 말고 바로 119에 전화하세요. 가족에게도 알리겠습니다.",
            Self::Pain => "많이 아프시군요. 참지 말고 119에 전화하세요. 가족에게도 알리겠습니다.",
            Self::Help => {
                "급하시면 바로 119에 전화하세요. 누가 해치려고 하면 112에 전화하세요. 가족에게도 알리겠습니다."
            }
        }
    }
}

/// A crisis phrase that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// What it warns of.
    pub crisis: Crisis,
    /// The phrase of the list, in its plain form ("죽고 싶다"); never the words that were said.
    pub phrase: &'static str,
}

/// The most serious crisis in `utterance`, of equals the first; `None` if there is none.
///
/// The time grows linearly with the length. Blanks, punctuation, letters drawn out, width, composition (NFC or NFD) and
/// common slips of spelling make no difference.
pub fn find(utterance: &str) -> Option<Hit> {
    let letters = letters::read(utterance);
    // Made when something is found, which is rare.
    let mut context: Option<Context<'_>> = None;
    let mut best: Option<Hit> = None;
    for start in 0..letters.len() {
        for (phrase, span) in TABLE.crises.at(&letters, start) {
            let Role::Crisis(crisis) = phrase.role else { continue };
            let more_serious = best.is_none_or(|best| crisis < best.crisis);
            if more_serious && context.get_or_insert_with(|| Context::new(&letters)).stands(crisis, span) {
                best = Some(Hit { crisis, phrase: phrase.title });
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crisis_says_what_to_do() {
        for &crisis in Crisis::ALL {
            assert!(crisis.advice().contains("119"), "{crisis}");
            assert!(!crisis.korean().contains(','), "{crisis}");
            assert_eq!(Crisis::parse(crisis.name()), Some(crisis));
        }
        assert!(Crisis::Suicide.advice().contains("109"));
        assert!(Crisis::Violence.advice().contains("112"));
    }

    #[test]
    fn the_most_serious_wins() {
        let found = |text| find(text).map(|hit| hit.crisis);
        assert_eq!(found("살려줘 집에 불이 났어"), Some(Crisis::Fire));
        assert_eq!(found("넘어졌는데 숨을 못 쉬겠어"), Some(Crisis::Breathing));
        assert_eq!(found("도와줘 죽고 싶어"), Some(Crisis::Suicide));
        assert_eq!(found("오늘 점심은 뭐 먹을까"), None);
    }

    #[test]
    fn the_phrase_is_ours() {
        assert_eq!(find("나 진짜 죽고 시퍼"), Some(Hit { crisis: Crisis::Suicide, phrase: "죽고 싶다" }));
    }
}
