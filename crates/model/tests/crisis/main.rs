//! What is found in things people say, and what is not: two lists of utterances, and properties that hold for any text.

use carebot_model::crisis::find;
use proptest::prelude::*;

const POSITIVE: &str = include_str!("positive.txt");
const NEGATIVE: &str = include_str!("negative.txt");
/// Written by somebody who had not seen the phrases: `+` or `-`, a tab, the utterance. The phrases are not changed for it.
const UNSEEN: &str = include_str!("unseen.tsv");

/// The utterances of a list with the numbers of their lines.
fn utterances(list: &'static str) -> Vec<(usize, &'static str)> {
    list.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, line)| !line.starts_with('#')).collect()
}

/// Decomposes Hangul syllables into their letters, as some systems write them (Unicode normalization form D).
fn decomposed(text: &str) -> String {
    let mut letters = String::new();
    for letter in text.chars() {
        let code = u32::from(letter);
        if (0xAC00..=0xD7A3).contains(&code) {
            let index = code - 0xAC00;
            let parts = [0x1100 + index / 588, 0x1161 + index / 28 % 21, 0x11A7 + index % 28];
            letters.extend(parts.into_iter().filter(|&part| part != 0x11A7).filter_map(char::from_u32));
        } else {
            letters.push(letter);
        }
    }
    letters
}

/// The lines of `list` that `wrong` names a fault of.
fn faults(list: &'static str, wrong: impl Fn(&str) -> Option<String>) -> String {
    utterances(list)
        .into_iter()
        .filter_map(|(at, text)| wrong(text).map(|fault| format!("line {at}: {text}: {fault}\n")))
        .collect()
}

fn missed(text: &str) -> Option<String> {
    find(text).is_none().then(|| format!("missed as '{text}'"))
}

#[test]
fn every_cry_is_found() {
    assert_eq!(utterances(POSITIVE).len(), 200);
    let faults = faults(POSITIVE, missed);
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn ordinary_talk_is_left_alone() {
    assert_eq!(utterances(NEGATIVE).len(), 200);
    let faults = faults(NEGATIVE, |text| find(text).map(|hit| format!("{hit:?}")));
    assert!(faults.is_empty(), "\n{faults}");
}

/// Measured, not tuned: how much of what nobody prepared for is found. When the phrases change for another reason and
/// these numbers with them, write the new ones here.
#[test]
fn what_was_not_prepared_for() {
    let (mut cries, mut found, mut calm, mut false_alarms) = (0, 0, 0, 0);
    let mut wrong = Vec::new();
    for (at, line) in utterances(UNSEEN) {
        let (sign, text) = line.split_once('\t').expect("a sign, a tab, an utterance");
        let hit = find(text);
        match sign {
            "+" => (cries, found) = (cries + 1, found + usize::from(hit.is_some())),
            "-" => (calm, false_alarms) = (calm + 1, false_alarms + usize::from(hit.is_some())),
            other => panic!("line {at}: no sign {other:?}"),
        }
        if (sign == "+") != hit.is_some() {
            wrong.push(format!("line {at}: {line}: {hit:?}"));
        }
    }
    let measured = (found, cries, false_alarms, calm);
    assert_eq!(
        measured,
        (42, 50, 6, 50),
        "found {found} of {cries}, false alarms {false_alarms} of {calm}\n{}",
        wrong.join("\n")
    );
}

#[test]
fn composition_makes_no_difference() {
    for list in [POSITIVE, NEGATIVE] {
        let faults = faults(list, |text| (find(&decomposed(text)) != find(text)).then(String::new));
        assert!(faults.is_empty(), "\n{faults}");
    }
}

#[test]
fn blanks_make_no_difference_to_a_cry() {
    let faults = faults(POSITIVE, |text| {
        let without: String = text.split_whitespace().collect();
        missed(&without).or_else(|| missed(&text.replace(' ', "  "))).or_else(|| missed(&text.replace(' ', "\u{3000}")))
    });
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn ordinary_talk_around_it_does_not_hide_a_cry() {
    let around = [
        ("아이고 ", ""),
        ("오늘 날씨가 좋네요. ", " 점심은 국수 먹었어요."),
        ("여보세요 내 말 들려? ", " 듣고 있니"),
        ("아침에 일어나서 밥 먹고 앉아 있는데 ", " 어떻게 해야 되노"),
        ("ㅠㅠ ", "!!!! ㅠㅠ"),
    ];
    let faults =
        faults(POSITIVE, |text| around.iter().find_map(|(before, after)| missed(&format!("{before}{text}{after}"))));
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn a_story_does_not_hide_what_is_said_beside_it() {
    for text in [
        "드라마에서 살려달라고 하더라. 근데 나도 가슴이 아파",
        "드라마에서 살려달라고 하더라 근데 나 지금 숨이 안 쉬어져",
        "드라마에서살려달라고하더라근데나지금숨이안쉬어져",
        "뉴스에서 불이 났대. 도와줘 나 넘어졌어",
        "배고파 죽겠다 아니 진짜 가슴이 아파 죽겠어",
        "어제는 어지러웠는데 이제 괜찮아 근데 죽고 싶어",
        "살려줘서 고마운데 그냥 죽고 싶어",
        "머리는 안 아픈데 숨이 안 쉬어져",
        "옛날에도 죽고 싶었는데 지금도 죽고 싶어",
        "옆집 할머니가 넘어졌다고 하더라 나도 지금 넘어져서 못 일어나겠어",
        "텔레비전 보다가 가슴이 아파서",
        "영감이 가슴이 아프다고 하더라",
    ] {
        assert!(find(text).is_some(), "{text}");
    }
}

#[test]
fn length_is_no_obstacle() {
    let talk = "오늘은 경로당에 가서 화투를 쳤어요. ".repeat(480);
    assert!(talk.chars().count() > 9_000);
    assert_eq!(find(&talk), None);
    assert!(find(&format!("{talk}살려줘{talk}")).is_some());
    // The worst that gaps and repetition can do.
    for text in ["가슴", "숨이", "약을 많이 ", "드라마에서 ", "아아", "죽고", "."] {
        find(&text.repeat(5_000));
    }
}

proptest! {
    #[test]
    fn any_text_is_read(text in any::<String>()) {
        find(&text);
    }

    #[test]
    fn any_korean_is_read(text in "[가-힣ㄱ-ㅎ .?!안못숨가슴아파죽고싶어살려줘\u{1100}-\u{11FF}]{0,80}") {
        let hit = find(&text);
        prop_assert_eq!(hit, find(&text));
    }

    #[test]
    fn noise_around_does_not_hide_a_cry(
        which in 0..200_usize, before in "[0-9a-z ,~♥]{0,20}", after in "[ㅋㅠㅜ~!,♥ ]{0,20}"
    ) {
        let (_, text) = utterances(POSITIVE)[which];
        let text = format!("{before} {text}{after}");
        prop_assert!(find(&text).is_some(), "{}", text);
    }
}
