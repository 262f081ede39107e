//! 10,000 messages of five days around a reform of names, read by two servers on one database: every family gets exactly
//! what a list written by hand says, once.

use std::collections::BTreeMap;

use super::*;

/// Midnight in Korea between 2026-06-28 and -29.
const BEGIN: &str = "2026-06-29T00:00:00";
const DAYS: i64 = 5;
const A_DAY: i64 = 2_000;

/// An address, and the regions that reach it before 2026-07-01 and since, by hand.
struct Home {
    address: &'static str,
    before: &'static [&'static str],
    since: &'static [&'static str],
}

const fn same(address: &'static str, regions: &'static [&'static str]) -> Home {
    Home { address, before: regions, since: regions }
}

const HOMES: &[Home] = &[
    same("서울특별시 종로구", &["서울특별시", "서울특별시 종로구"]),
    same("서울특별시 강남구", &["서울특별시", "서울특별시 강남구"]),
    same("  서울특별시   강남구 역삼동 12", &["서울특별시", "서울특별시 강남구"]),
    same("경기도 수원시", &["경기도", "경기도 수원시", "경기도 수원시 장안구", "경기도 수원시 팔달구"]),
    same("경기도 수원시 장안구", &["경기도", "경기도 수원시", "경기도 수원시 장안구"]),
    same("경기도 성남시 분당구", &["경기도", "경기도 성남시 분당구"]),
    same(
        "경기도",
        &[
            "경기도",
            "경기도 수원시",
            "경기도 수원시 장안구",
            "경기도 수원시 팔달구",
            "경기도 성남시 분당구",
            "경기도 부천시 원미구",
        ],
    ),
    same("경기도 부천시", &["경기도", "경기도 부천시 원미구"]),
    same("경기도 부천시 소사구", &["경기도"]),
    same("세종특별자치시", &["세종특별자치시"]),
    same("세종특별자치시 세종특별자치시", &["세종특별자치시"]),
    Home {
        address: "광주광역시 동구",
        before: &["광주광역시", "광주광역시 동구"],
        since: &["전남광주통합특별시", "전남광주통합특별시 동구"],
    },
    Home {
        address: "전남광주통합특별시 동구",
        before: &["광주광역시", "광주광역시 동구"],
        since: &["전남광주통합특별시", "전남광주통합특별시 동구"],
    },
    Home {
        address: "전라남도 목포시",
        before: &["전라남도", "전라남도 목포시"],
        since: &["전남광주통합특별시", "전남광주통합특별시 목포시"],
    },
    Home {
        address: "전남광주통합특별시 목포시",
        before: &["전라남도", "전라남도 목포시"],
        since: &["전남광주통합특별시", "전남광주통합특별시 목포시"],
    },
    Home {
        address: "인천광역시 중구",
        before: &["인천광역시", "인천광역시 중구"],
        since: &["인천광역시", "인천광역시 제물포구", "인천광역시 영종구"],
    },
    Home {
        address: "인천광역시 제물포구",
        before: &["인천광역시", "인천광역시 중구", "인천광역시 동구"],
        since: &["인천광역시", "인천광역시 제물포구"],
    },
    Home {
        address: "인천광역시 영종구",
        before: &["인천광역시", "인천광역시 중구"],
        since: &["인천광역시", "인천광역시 영종구"],
    },
    Home {
        address: "인천광역시 서구",
        before: &["인천광역시", "인천광역시 서구"],
        since: &["인천광역시", "인천광역시 서해구", "인천광역시 검단구"],
    },
    same("강원도 춘천시", &["강원특별자치도", "강원특별자치도 춘천시", "강원도 춘천시"]),
    same("강원특별자치도 춘천시", &["강원특별자치도", "강원특별자치도 춘천시", "강원도 춘천시"]),
    same("경상북도 군위군", &["대구광역시", "대구광역시 군위군"]),
    same("대구광역시 군위군", &["대구광역시", "대구광역시 군위군"]),
    same("경상북도 포항시", &["경상북도", "경상북도 포항시 남구"]),
    same("제주특별자치도 제주시", &["제주특별자치도 제주시"]),
    same("부산광역시 중구", &["부산광역시 중구"]),
    same("충청북도 청주시", &[]),
    same("달나라 토끼시", &[]),
    same("", &[]),
];

const ALWAYS: &[&str] = &[
    "서울특별시",
    "서울특별시 종로구",
    "서울특별시 강남구",
    "서울특별시 중구",
    "경기도",
    "경기도 수원시",
    "경기도 수원시 장안구",
    "경기도 수원시 팔달구",
    "경기도 성남시 분당구",
    "경기도 부천시 원미구",
    "세종특별자치시",
    "인천광역시",
    "강원특별자치도",
    "강원특별자치도 춘천시",
    "강원도 춘천시",
    "대구광역시",
    "대구광역시 군위군",
    "대구광역시 중구",
    "경상북도",
    "경상북도 포항시 남구",
    "제주특별자치도 제주시",
    "제주특별자치도 서귀포시",
    "부산광역시 중구",
    "울산광역시 중구",
    "경상남도 고성군",
    "강원특별자치도 고성군",
];
const BEFORE: &[&str] = &[
    "광주광역시",
    "광주광역시 동구",
    "광주광역시 서구",
    "전라남도",
    "전라남도 목포시",
    "인천광역시 중구",
    "인천광역시 동구",
    "인천광역시 서구",
];
const SINCE: &[&str] = &[
    "전남광주통합특별시",
    "전남광주통합특별시 동구",
    "전남광주통합특별시 서구",
    "전남광주통합특별시 목포시",
    "인천광역시 제물포구",
    "인천광역시 영종구",
    "인천광역시 서해구",
    "인천광역시 검단구",
];

/// Plain chance, the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// A message of a day, and the regions it names, as in the lists above.
fn message(chance: &mut Chance, sn: i64, day_begins: Timestamp, reformed: bool) -> (Message, Vec<&'static str>) {
    let pool = [ALWAYS, if reformed { SINCE } else { BEFORE }].concat();
    let mut names: Vec<&str> = Vec::new();
    let mut regions = chance.of(&["", "", " "]).to_owned();
    for _ in 0..=chance.below(4) {
        let name = chance.of(&pool);
        names.push(name);
        let is_whole = !name.contains(' ') && (name != "세종특별자치시" || chance.below(4) == 0);
        regions += &name.replace(' ', chance.of(&[" ", " ", "  "]));
        regions += if is_whole { " 전체" } else { "" };
        regions += chance.of(&[" ,", ",", ", ", " , "]);
    }
    if chance.below(2) == 0 {
        regions = regions.trim_end_matches([' ', ',']).to_owned();
    }
    let second = i64::try_from(chance.below(86_400)).expect("small");
    let created_at = day_begins.plus_millis(second * 1_000);
    let delay = if chance.below(50) == 0 { 3 * HOUR } else { i64::try_from(chance.below(90)).expect("small") * 1_000 };
    // The service has everything of a day twenty minutes after it.
    let last = day_begins.plus_millis(24 * HOUR + 20 * MINUTE);
    let published_at = created_at.plus_millis(delay).min(last);
    let step = chance.of(&["안전안내", "안전안내", "안전안내", "긴급재난", "긴급재난", "위급재난"]);
    (Message { published_at, step, ..Message::new(sn, created_at, &regions) }, names)
}

fn is_for(home: &Home, names: &[&str], reformed: bool) -> bool {
    let reached_by = if reformed { home.since } else { home.before };
    names.iter().any(|name| reached_by.contains(name))
}

both_engines! {
    async fn ten_thousand_messages_reach_whom_they_are_for_once(t: TestDb) {
        let begin = korea::timestamp(BEGIN.parse().expect("a time"));
        t.advance(begin.since(t.now()) - HOUR).await;
        let country = Country::default();
        let provider = country.serve().await;
        let (one, two) = (on(&t, t.db.clone(), &provider).await, on(&t, t.open_again().await, &provider).await);
        let mut of_home = Vec::new();
        for home in HOMES {
            of_home.push(homes(&t, home.address, 2).await);
        }
        receive_after(&one, &country, 0).await;

        let (mut chance, mut expected) = (Chance(20_260_701), BTreeMap::new());
        for day in 0..DAYS {
            let (day_begins, reformed) = (begin.plus_millis(day * 24 * HOUR), day >= 2);
            let mut of_day: Vec<_> =
                (0..A_DAY).map(|number| message(&mut chance, 230_000 + day * A_DAY + number, day_begins, reformed)).collect();
            of_day.sort_by_key(|(message, _)| message.created_at);
            for (message, names) in of_day {
                for (home, families) in HOMES.iter().zip(&of_home) {
                    if is_for(home, &names, reformed) {
                        for family in families {
                            expected.entry(*family).or_insert_with(BTreeMap::new).insert(message.sn, message.clone());
                        }
                    }
                }
                country.write(message);
            }
        }

        let end = begin.plus_millis(DAYS * 24 * HOUR + 30 * MINUTE);
        // Half past every hour, so that a round falls into the overlap after each midnight.
        t.advance(-30 * MINUTE).await;
        while t.now() < end {
            t.advance(HOUR).await;
            country.set(t.now());
            for app in [&one, &two] {
                app.service.renew_node().await.expect("the lease holds");
            }
            // Who led an hour ago leads no longer: both want to, at the same time.
            tokio::join!(receive(&one), receive(&two));
        }
        // Once more, by one that does not know what was done.
        let three = on(&t, t.open_again().await, &provider).await;
        t.advance(2 * MINUTE).await;
        three.service.renew_node().await.expect("the lease holds");
        assert_eq!(receive(&three).await, Round::default(), "everything is done");

        let mut total = 0;
        for (home, families) in HOMES.iter().zip(&of_home) {
            for family in families {
                let wanted = expected.remove(family).unwrap_or_default();
                let found = notified(&t, *family).await;
                let serials: Vec<i64> = found.iter().map(|(sn, _, _)| *sn).collect();
                assert_eq!(serials, wanted.keys().copied().collect::<Vec<_>>(), "{:?}", home.address);
                total += found.len();
                for (sn, grade, description) in found {
                    let message = &wanted[&sn];
                    let text = if message.step == "위급재난" {
                        assert_eq!(grade, "crit");
                        description.split_once(',').expect("a title").1.to_owned()
                    } else {
                        assert_eq!(grade, "warn");
                        let read: Value = serde_json::from_str(&description).expect("JSON");
                        read["MSG_CN"].as_str().expect("a text").to_owned()
                    };
                    assert_eq!(text, message.text);
                }
            }
        }
        let stored: i64 = t.db.read().fetch_one("SELECT COUNT(*) FROM disaster_messages", vec![], |row| row.get(0)).await.expect("it can be read");
        assert_eq!(stored, DAYS * A_DAY);
        assert!(total > 20_000, "{total} notifications");
        println!("{stored} messages, {total} notifications");
    }
}
