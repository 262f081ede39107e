//! Which addresses a list of regions reaches, by the names that were in force on a day.
//!
//! A name alone does not say which place is meant: "경상북도 전체" held 군위군 until 2023-06-30 and not a day longer, and
//! "광주광역시" is a part of 전남광주통합특별시 today, but no city of the former 전라남도 is. So regions and addresses, both
//! written with former or today's names, are first said in the names of the day, and then compared.
//!
//! Where one of both is less exact than the other ("경기도 수원시" as an address, "경기도 수원시 장안구" as a region), the region
//! reaches the address: who may be in danger is told.

use crate::Date;
use crate::regions::{Link, Place, TABLES, Tables};

/// What a sloppy address may begin with.
const BLANKS: [&str; 4] = [" ", "\t", "\u{a0}", "\u{3000}"];

/// A list of regions, as it stands in a message of a day.
#[derive(Clone, Debug)]
pub struct Receivers {
    areas: Vec<Area>,
    everywhere: bool,
    day: String,
}

/// A place in the names of a day, and the words behind it (a quarter, a street).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Area {
    place: Vec<String>,
    rest: Vec<String>,
}

impl Receivers {
    /// Reads a list of regions with commas between them, blanks wherever they are; "전체" behind a region means all of it,
    /// which is what the region alone means too, and "전국" is everywhere.
    pub fn parse(text: &str, day: Date) -> Self {
        let mut receivers = Self { areas: Vec::new(), everywhere: false, day: day.to_string() };
        for region in text.split([',', '，', '、', '\n']) {
            let mut words: Vec<&str> = region.split_whitespace().collect();
            if words.last() == Some(&"전체") {
                words.pop();
            }
            match words.as_slice() {
                [] => {}
                ["전국"] => receivers.everywhere = true,
                words => {
                    for area in TABLES.areas(words, &receivers.day) {
                        if !receivers.areas.contains(&area) {
                            receivers.areas.push(area);
                        }
                    }
                }
            }
        }
        receivers
    }

    /// Whether an address lies, or may lie, in one of the regions.
    pub fn reach(&self, address: &str) -> bool {
        let words: Vec<&str> = address.split_whitespace().collect();
        if words.is_empty() {
            return false;
        }
        if self.everywhere {
            return TABLES.is_master(words[0]);
        }
        let areas = TABLES.areas(&words, &self.day);
        areas.iter().any(|address| self.areas.iter().any(|region| region.reaches(address)))
    }

    /// The words that an address must begin with to be reached, in the order of their bytes, each once: the names, former
    /// and today's, of the upper-level governments that have or had a part of the regions; and blanks, which some addresses begin
    /// with. More addresses begin with them than are reached.
    pub fn beginnings(&self) -> Vec<String> {
        let mut names: Vec<&str> =
            self.areas.iter().filter_map(|area| area.place.first()).map(String::as_str).collect();
        if self.everywhere {
            for master in TABLES.every_master() {
                names.push(master);
            }
        }
        names.sort_unstable();
        names.dedup();
        let mut at = 0;
        while let Some(&name) = names.get(at) {
            for link in &TABLES.links {
                for (one, other) in [(link.old.master, link.new.master), (link.new.master, link.old.master)] {
                    if one == name && !names.contains(&other) {
                        names.push(other);
                    }
                }
            }
            at += 1;
        }
        if !names.is_empty() {
            names.extend(BLANKS);
        }
        names.sort_unstable();
        names.into_iter().map(str::to_owned).collect()
    }
}

impl Area {
    fn reaches(&self, address: &Self) -> bool {
        if address.place.starts_with(&self.place) {
            let Some(quarter) = self.rest.first() else { return true };
            // An address that names a street and no quarter may lie in any.
            address.rest.iter().find(|word| is_quarter(word)).is_none_or(|named| named == quarter)
        } else {
            self.place.starts_with(&address.place)
        }
    }
}

/// Whether a word is the name of a town, a quarter or a village. "101동" is a building.
fn is_quarter(word: &str) -> bool {
    word.ends_with(['읍', '면', '동', '가', '리']) && !word.starts_with(|character: char| character.is_ascii_digit())
}

impl Tables {
    /// What the words say, in the names of a day. Words that name no known region stand for themselves.
    fn areas(&self, words: &[&str], day: &str) -> Vec<Area> {
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        if let Some((place, rest)) = self.read(words) {
            let places = self.in_force(place, day).into_iter();
            return places.map(|place| Area { place: owned(&words_of(place)), rest: owned(rest) }).collect();
        }
        // An unknown part of a known government is still within it.
        let behind = &words[1..];
        let mut masters: Vec<&str> = match self.known(words[0], "") {
            Some(place) => self.in_force(place, day).into_iter().map(|place| place.master).collect(),
            None => vec![words[0]],
        };
        masters.dedup();
        masters
            .into_iter()
            .map(|master| Area { place: owned(&[&[master], behind].concat()), rest: Vec::new() })
            .collect()
    }

    /// The names that a place had on a day. A government that was divided or united is named by what it held.
    fn in_force(&self, place: Place, day: &str) -> Vec<Place> {
        let (mut seen, mut waiting, mut found) = (vec![place], vec![place], Vec::new());
        while let Some(place) = waiting.pop() {
            let next = self.renamed(place, day);
            if next.is_empty() && !found.contains(&place) {
                found.push(place);
            }
            for place in next {
                if !seen.contains(&place) {
                    seen.push(place);
                    waiting.push(place);
                }
            }
        }
        found
    }

    /// What a place is named by instead, because its own name was not in force on a day; empty if it was.
    fn renamed(&self, place: Place, day: &str) -> Vec<Place> {
        let gone =
            |link: &&Link| link.old == place && link.since.is_some_and(|since| since <= day) && !link.is_division();
        let unborn = |link: &&Link| link.new == place && link.since.is_some_and(|since| since > day);
        if self.links.iter().any(|link| gone(&link)) {
            if place.sub.is_empty() {
                // Only what it held, not all of what took it in.
                let held = self.links.iter().filter(|link| link.old.master == place.master && !link.old.sub.is_empty());
                return held.map(|link| link.new).collect();
            }
            return self.links.iter().filter(gone).map(|link| link.new).collect();
        }
        self.links.iter().filter(unborn).map(|link| link.old).collect()
    }

    fn is_master(&self, name: &str) -> bool {
        self.every_master().any(|master| master == name)
    }

    /// Every upper-level government there is or was.
    fn every_master(&self) -> impl Iterator<Item = &'static str> {
        let there = self.masters.iter().map(|master| master.name);
        there.chain(self.links.iter().map(|link| link.old.master))
    }
}

impl Link {
    /// A city that got districts is still there: "경기도 부천시" and "경기도 부천시 원미구".
    fn is_division(&self) -> bool {
        self.old.master == self.new.master
            && self.new.sub.strip_prefix(self.old.sub).is_some_and(|rest| rest.starts_with(' '))
    }
}

/// A place in words. A government that has nothing below it stands there once.
fn words_of(place: Place) -> Vec<&'static str> {
    let below = place.sub.split(' ').filter(|word| !word.is_empty() && *word != place.master);
    std::iter::once(place.master).chain(below).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reaches(regions: &str, day: &str, address: &str) -> bool {
        let receivers = Receivers::parse(regions, Date::parse(day).expect("a day"));
        let reached = receivers.reach(address);
        let sought = receivers.beginnings().iter().any(|beginning| address.starts_with(beginning.as_str()));
        assert!(!reached || sought, "{regions} reaches {address} and does not look for it");
        reached
    }

    const TODAY: &str = "2026-08-01";

    #[test]
    fn a_whole_government_reaches_all_below_it_and_nobody_else() {
        for regions in ["서울특별시 전체", " 서울특별시  전체 ,", "부산광역시 전체 ,서울특별시 전체 ", "서울특별시"]
        {
            for address in ["서울특별시 종로구", "서울특별시", "  서울특별시   강남구 역삼동 1", "서울특별시 없는구"]
            {
                assert!(reaches(regions, TODAY, address), "{regions}: {address}");
            }
            for address in ["경기도 수원시", "", "달나라", "세종특별자치시", "서울 종로구"] {
                assert!(!reaches(regions, TODAY, address), "{regions}: {address}");
            }
        }
    }

    #[test]
    fn sejong_stands_alone_or_below_itself() {
        for regions in
            ["세종특별자치시", "세종특별자치시 ,경기도 수원시", "세종특별자치시 세종특별자치시", "세종특별자치시 전체"]
        {
            for address in ["세종특별자치시", "세종특별자치시 세종특별자치시", "세종특별자치시 한솔동"]
            {
                assert!(reaches(regions, TODAY, address), "{regions}: {address}");
            }
            assert!(!reaches(regions, TODAY, "대전광역시 중구"));
        }
    }

    #[test]
    fn what_is_less_exact_than_the_region_is_reached() {
        assert!(reaches("경기도 수원시 장안구", TODAY, "경기도 수원시"));
        assert!(reaches("경기도 수원시 장안구", TODAY, "경기도 수원시 정조로 12"));
        assert!(reaches("경기도 수원시 장안구", TODAY, "경기도 수원시 장안구 정자동"));
        assert!(!reaches("경기도 수원시 장안구", TODAY, "경기도 수원시 팔달구"));
        assert!(reaches("경기도 수원시", TODAY, "경기도 수원시 팔달구"));
        assert!(reaches("경기도 수원시 장안구", TODAY, "경기도"));
        assert!(!reaches("경기도 수원시 장안구", TODAY, "경기도 성남시"));
        assert!(!reaches("서울특별시 중구", TODAY, "부산광역시 중구"));
        assert!(reaches("충청남도 예산군 대술면", TODAY, "충청남도 예산군"));
        assert!(reaches("충청남도 예산군 대술면", TODAY, "충청남도 예산군 대술면"));
        assert!(!reaches("충청남도 예산군 대술면", TODAY, "충청남도 예산군 예산읍"));
        assert!(reaches("충청남도 예산군 대술면", TODAY, "충청남도 예산군 충절로 7 101동"));
    }

    #[test]
    fn names_are_those_of_the_day() {
        // (region, day, address, whether it is reached)
        let cases = [
            // 군위군 moved on 2023-07-01.
            ("경상북도 전체", "2023-06-30", "대구광역시 군위군", true),
            ("경상북도 전체", "2023-07-01", "대구광역시 군위군", false),
            ("경상북도 전체", TODAY, "경상북도 군위군", false),
            ("대구광역시 전체", TODAY, "경상북도 군위군", true),
            ("대구광역시 전체", "2023-06-30", "경상북도 군위군", false),
            // 광주광역시 and 전라남도 became one on 2026-07-01.
            ("광주광역시 전체", "2026-06-30", "전남광주통합특별시 동구", true),
            ("광주광역시 전체", "2026-06-30", "전남광주통합특별시 목포시", false),
            ("전라남도 전체", "2026-06-30", "전남광주통합특별시 목포시", true),
            ("전남광주통합특별시 전체", TODAY, "전라남도 목포시", true),
            ("전남광주통합특별시 전체", TODAY, "광주광역시", true),
            ("전남광주통합특별시 목포시", TODAY, "광주광역시", false),
            ("전남광주통합특별시 동구", TODAY, "광주광역시", true),
            ("전남광주통합특별시 동구", TODAY, "광주광역시 동구", true),
            // A sender that still writes the old name means what it meant.
            ("광주광역시 전체", TODAY, "전남광주통합특별시 동구", true),
            ("광주광역시 전체", TODAY, "전남광주통합특별시 목포시", false),
            ("강원도 춘천시", TODAY, "강원특별자치도 춘천시", true),
            ("강원도 전체", TODAY, "강원특별자치도", true),
            ("전북특별자치도 전주시 완산구", "2020-01-01", "전라북도 전주시", true),
            // 중구 and 동구 were apart before parts of both became 제물포구.
            ("인천광역시 동구", "2026-06-30", "인천광역시 중구", false),
            ("인천광역시 동구", "2026-06-30", "인천광역시 제물포구", true),
            ("인천광역시 동구", "2026-06-30", "인천광역시 영종구", false),
            ("인천광역시 제물포구", TODAY, "인천광역시 중구", true),
            ("인천광역시 영종구", TODAY, "인천광역시 동구", false),
            // 부천시 got districts and is still there.
            ("경기도 부천시", TODAY, "경기도 부천시 원미구", true),
            ("경기도 부천시 원미구", TODAY, "경기도 부천시", true),
            ("경기도 부천시 원미구", TODAY, "경기도 부천시 소사구", false),
            ("경기도 부천시", "2023-12-31", "경기도 부천시 원미구", true),
            ("경기도 화성시 동탄구", "2026-03-01", "경기도 화성시 만세구", false),
            ("경기도 화성시", "2026-01-31", "경기도 화성시 만세구", true),
        ];
        for (region, day, address, expected) in cases {
            assert_eq!(reaches(region, day, address), expected, "{region} on {day}: {address}");
        }
    }

    #[test]
    fn everywhere_is_every_known_government() {
        for address in ["제주특별자치도 서귀포시", "전라북도 전주시", "경기도"] {
            assert!(reaches("전국", TODAY, address), "{address}");
        }
        assert!(!reaches("전국", TODAY, "달나라"));
    }

    #[test]
    fn nonsense_reaches_nobody_that_does_not_say_the_same() {
        for regions in ["", " , ,", "전체", "달나라 전체", ",,,,"] {
            for address in ["서울특별시 종로구", "경기도", ""] {
                assert!(!reaches(regions, TODAY, address), "{regions:?}: {address:?}");
            }
        }
    }

    #[test]
    fn every_region_of_the_table_reaches_itself_under_every_name_and_on_every_day() {
        for day in ["2020-01-01", "2023-06-30", "2024-06-01", "2026-06-30", TODAY] {
            for sub in crate::regions::subs() {
                let address = format!("{} {}", sub.master, sub.name);
                for name in crate::regions::same_places(&address) {
                    assert!(reaches(&address, day, &name), "{address} on {day}: {name}");
                }
            }
        }
    }
}
