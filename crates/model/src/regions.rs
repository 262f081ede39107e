//! The regions of the Republic of Korea: the upper-level governments (시도), what is below them (시군구), and the names
//! both had before.
//!
//! Addresses are stored as the sign-up form writes them, "시도 시군구", and some were written before a reform renamed the
//! place. [`same_places`] lets old and new spellings find each other; [`locate`] says where an address is today; [`Receivers`]
//! which addresses a list of regions of some day reaches.
//!
//! The tables are the three files in `data/`, which name their sources; they are part of the program and are read once.

use std::cmp::Reverse;
use std::sync::LazyLock;

mod receiving;

pub use receiving::Receivers;

const MASTERS: &str = include_str!("../data/master_regions.tsv");
const SUBS: &str = include_str!("../data/regions.tsv");
const CHANGES: &str = include_str!("../data/region_changes.tsv");

/// One upper-level government (시도).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MasterRegion {
    /// Full name, for example "경기도".
    pub name: &'static str,
    /// What it is in law: 특별시, 통합특별시, 광역시, 특별자치시, 도 or 특별자치도.
    pub kind: &'static str,
}

/// One region below an upper-level government (시군구).
///
/// A city that is divided into districts (일반구) is listed as well as its districts: "수원시" and "수원시 장안구".
/// 세종특별자치시, which has nothing below it, is listed below itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubRegion {
    /// Name of the upper-level government it belongs to.
    pub master: &'static str,
    /// Name within `master`; two words for a district of a city.
    pub name: &'static str,
    /// What it is in law: 시, 군, 자치구, 일반구, 행정시 or 특별자치시.
    pub kind: &'static str,
    /// Five-digit administrative code; `None` where the code given by the latest reform is not verified yet.
    pub code: Option<&'static str>,
    /// Where the weather service forecasts for it.
    pub grid: Grid,
}

/// A cell of the forecast grid of the Korea Meteorological Administration (5 km wide; x 1..=149 eastwards, y 1..=253
/// northwards).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grid {
    /// Column, counted from the west.
    pub x: u16,
    /// Row, counted from the south.
    pub y: u16,
}

/// The 16 upper-level governments, in the usual order.
pub fn masters() -> &'static [MasterRegion] {
    &TABLES.masters
}

/// Every region below the upper-level governments, grouped by government.
pub fn subs() -> &'static [SubRegion] {
    &TABLES.subs
}

/// The regions below every upper-level government whose name, today's or a former one, contains `part`.
///
/// `part` is plain text; `%` and `_` mean themselves. A former name gives only what came from that government:
/// "광주광역시" the five districts of the old city, "전라남도" the 22 cities and counties of the old province, although both
/// are one government today. Nothing found is an empty list; an empty `part` finds everything.
pub fn subs_of(part: &str) -> Vec<&'static SubRegion> {
    let tables = &*TABLES;
    tables
        .subs
        .iter()
        .zip(&tables.former_masters)
        .filter(|(sub, former)| sub.master.contains(part) || former.iter().any(|name| name.contains(part)))
        .map(|(sub, _)| sub)
        .collect()
}

/// Every way to write the place of `address` ("시도 시군구", further words may follow): first `address` itself, with single
/// blanks and none at the ends, then the names the place got later, then those it had before, each once.
///
/// A place that was divided gives all its parts and a part gives the whole, but a part does not give its siblings.
/// Words behind the region are kept on every spelling. An address that names no known region gives only itself.
pub fn same_places(address: &str) -> Vec<String> {
    let words: Vec<&str> = address.split_whitespace().collect();
    let Some((place, rest)) = TABLES.read(&words) else {
        return vec![words.join(" ")];
    };
    let mut places = TABLES.follow(place, Link::newer);
    // The place itself begins this list too, and a government that took an old name back would be in both.
    let earlier = TABLES.follow(place, Link::older).into_iter().filter(|place| !places.contains(place));
    places.extend(earlier.collect::<Vec<_>>());
    places.into_iter().map(|place| place.spelled(rest)).collect()
}

/// Today's region of `address`, which may use a former name; of a place that was divided and whose name is gone, the
/// part listed first. `None` when the address names no known region, or an upper-level government and nothing below it.
pub fn locate(address: &str) -> Option<&'static SubRegion> {
    let words: Vec<&str> = address.split_whitespace().collect();
    let (place, _) = TABLES.read(&words)?;
    TABLES.follow(place, Link::newer).into_iter().find_map(|place| TABLES.sub(place))
}

/// A region by name, now or at some time. `sub` is empty for an upper-level government as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    master: &'static str,
    sub: &'static str,
}

impl Place {
    fn spelled(self, rest: &[&str]) -> String {
        let mut words = vec![self.master];
        words.extend(Some(self.sub).filter(|sub| !sub.is_empty()));
        words.extend(rest);
        words.join(" ")
    }
}

/// The place `old` became `new`, whole or in part.
#[derive(Debug, Clone, Copy)]
struct Link {
    old: Place,
    new: Place,
    /// The day it happened; `None` for two names of one place at the same time.
    since: Option<&'static str>,
}

impl Link {
    fn newer(&self, place: Place) -> Option<Place> {
        (self.old == place).then_some(self.new)
    }

    fn older(&self, place: Place) -> Option<Place> {
        (self.new == place).then_some(self.old)
    }
}

/// One line of the table of changes; `sub` is `*` on both sides when everything below a government keeps its name.
struct Change {
    date: &'static str,
    old: Place,
    new: Place,
}

struct Tables {
    masters: Vec<MasterRegion>,
    subs: Vec<SubRegion>,
    /// For each of `subs`, the names of governments gone since that it once belonged to.
    former_masters: Vec<Vec<&'static str>>,
    /// The changes, with each `*` written out.
    links: Vec<Link>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::load);

impl Tables {
    fn load() -> Self {
        let masters: Vec<_> = rows(MASTERS).map(|[name, kind]| MasterRegion { name, kind }).collect();
        let subs: Vec<_> = rows(SUBS).map(sub_region).collect();
        let links = links(&subs, changes());
        let mut tables = Self { masters, subs, former_masters: Vec::new(), links };
        tables.former_masters = tables.subs.iter().map(|sub| tables.former_masters_of(sub)).collect();
        tables
    }

    /// A region that merely moved, as 군위군 did from 경상북도, is not found under the government it left, which still
    /// exists.
    fn former_masters_of(&self, sub: &SubRegion) -> Vec<&'static str> {
        let names = self.follow(place_of(sub), Link::older).into_iter().map(|place| place.master);
        names.filter(|name| self.masters.iter().all(|master| master.name != *name)).collect()
    }

    /// The region the words begin with, by its longest known name, and the words behind it.
    fn read<'a>(&self, words: &'a [&'a str]) -> Option<(Place, &'a [&'a str])> {
        let (master, behind) = words.split_first()?;
        [2, 1, 0].into_iter().filter(|taken| *taken <= behind.len()).find_map(|taken| {
            let (sub, rest) = behind.split_at(taken);
            let place = self.known(master, &sub.join(" "))?;
            // "강원도 없는군" must not become "강원특별자치도 없는군"; but below 세종 the next word is a quarter, not a region.
            let whole = !place.sub.is_empty() || rest.is_empty() || self.governs_itself(place.master);
            whole.then_some((place, rest))
        })
    }

    fn known(&self, master: &str, sub: &str) -> Option<Place> {
        let whole = self.masters.iter().map(|master| Place { master: master.name, sub: "" });
        let linked = self.links.iter().flat_map(|link| [link.old, link.new]);
        let mut places = self.subs.iter().map(place_of).chain(whole).chain(linked);
        places.find(|place| place.master == master && place.sub == sub)
    }

    fn governs_itself(&self, master: &str) -> bool {
        self.subs.iter().any(|sub| sub.master == master && sub.name == master)
    }

    fn sub(&self, place: Place) -> Option<&SubRegion> {
        self.subs.iter().find(|sub| place_of(sub) == place)
    }

    /// `start` and every place reached from it in one direction of time, nearest first, each once.
    fn follow(&self, start: Place, step: fn(&Link, Place) -> Option<Place>) -> Vec<Place> {
        let mut reached = vec![start];
        let mut at = 0;
        while let Some(&place) = reached.get(at) {
            for next in self.links.iter().filter_map(|link| step(link, place)) {
                if !reached.contains(&next) {
                    reached.push(next);
                }
            }
            at += 1;
        }
        reached
    }
}

fn place_of(sub: &SubRegion) -> Place {
    Place { master: sub.master, sub: sub.name }
}

/// The cells of a table: tab-separated, comments begin with `#`, the first other line names the columns.
fn rows<const N: usize>(table: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    table.lines().filter(|line| !line.starts_with('#')).skip(1).map(|line| {
        let cells: Vec<_> = line.split('\t').collect();
        cells.try_into().expect("every line of an embedded table has all columns, as the tests check")
    })
}

fn sub_region([master, name, kind, code, x, y, _since]: [&'static str; 7]) -> SubRegion {
    let number = |cell: &str| cell.parse().expect("grid cells in the embedded table are numbers, as the tests check");
    SubRegion {
        master,
        name,
        kind,
        code: Some(code).filter(|code| !code.is_empty()),
        grid: Grid { x: number(x), y: number(y) },
    }
}

fn changes() -> Vec<Change> {
    rows(CHANGES)
        .map(|[date, old_master, old_sub, new_master, new_sub]| Change {
            date,
            old: Place { master: old_master, sub: old_sub },
            new: Place { master: new_master, sub: new_sub },
        })
        .collect()
}

/// Writes out every `*`. Goes back in time, so that what a government held when it was renamed is known from what
/// happened to it afterwards.
fn links(subs: &[SubRegion], mut changes: Vec<Change>) -> Vec<Link> {
    let mut places: Vec<Place> = subs.iter().map(place_of).collect();
    // "세종특별자치시" alone and "세종특별자치시 세종특별자치시" are the same place.
    let own = |sub: &&SubRegion| sub.name == sub.master;
    let mut links: Vec<Link> = subs
        .iter()
        .filter(own)
        .map(|sub| Link { old: Place { master: sub.master, sub: "" }, new: place_of(sub), since: None })
        .collect();
    changes.sort_by_key(|change| Reverse(change.date));
    for Change { date, old, new } in changes {
        let (start, since) = (links.len(), Some(date));
        if old.sub == "*" {
            links.push(Link { old: Place { sub: "", ..old }, new: Place { sub: "", ..new }, since });
            let below = places.iter().filter(|place| place.master == new.master && may_hold(old.master, place.sub));
            links.extend(below.map(|&new| Link { old: Place { master: old.master, ..new }, new, since }));
        } else {
            links.push(Link { old, new, since });
        }
        for link in &links[start..] {
            if !link.old.sub.is_empty() && !places.contains(&link.old) {
                places.push(link.old);
            }
        }
    }
    links
}

/// Whether a government renamed as a whole could have held `sub`. It decides who brought what when two were united: a
/// district directly below the government (자치구) exists only in a metropolitan city, and 광주광역시, the only one that
/// was renamed as a whole so far, held nothing else.
fn may_hold(master: &str, sub: &str) -> bool {
    let district = sub.ends_with('구') && !sub.contains(' ');
    district == master.ends_with("광역시")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masters_are_the_sixteen_governments_with_their_kinds() {
        let expected = [
            ("서울특별시", "특별시"),
            ("전남광주통합특별시", "통합특별시"),
            ("부산광역시", "광역시"),
            ("대구광역시", "광역시"),
            ("인천광역시", "광역시"),
            ("대전광역시", "광역시"),
            ("울산광역시", "광역시"),
            ("세종특별자치시", "특별자치시"),
            ("경기도", "도"),
            ("강원특별자치도", "특별자치도"),
            ("충청북도", "도"),
            ("충청남도", "도"),
            ("전북특별자치도", "특별자치도"),
            ("경상북도", "도"),
            ("경상남도", "도"),
            ("제주특별자치도", "특별자치도"),
        ];
        let found: Vec<_> = masters().iter().map(|master| (master.name, master.kind)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn every_sub_region_is_whole_and_belongs_to_a_master() {
        let kinds = ["시", "군", "자치구", "일반구", "행정시", "특별자치시"];
        assert_eq!(subs().len(), 269);
        for (at, sub) in subs().iter().enumerate() {
            assert!(masters().iter().any(|master| master.name == sub.master), "{sub:?}");
            assert!(kinds.contains(&sub.kind), "{sub:?}");
            assert!(!sub.name.is_empty() && !sub.name.starts_with(' ') && !sub.name.ends_with(' '), "{sub:?}");
            assert!(sub.code.is_none_or(|code| code.len() == 5 && code.bytes().all(|b| b.is_ascii_digit())), "{sub:?}");
            assert!((1..=149).contains(&sub.grid.x) && (1..=253).contains(&sub.grid.y), "{sub:?}");
            assert!(subs()[..at].iter().all(|other| place_of(other) != place_of(sub)), "twice: {sub:?}");
        }
        for master in masters() {
            assert!(subs().iter().any(|sub| sub.master == master.name), "nothing below {}", master.name);
        }
    }

    #[test]
    fn every_change_leads_to_regions_that_exist() {
        let changes = changes();
        assert_eq!(changes.len(), 17);
        for Change { old, new, .. } in changes {
            assert_eq!(old.sub == "*", new.sub == "*", "{old:?}");
            assert!(masters().iter().any(|master| master.name == new.master), "{new:?}");
            if new.sub == "*" {
                assert!(!subs_of(old.master).is_empty(), "{old:?}");
            } else {
                assert!(TABLES.sub(new).is_some(), "{new:?}");
            }
        }
        for link in TABLES.links.iter().filter(|link| !link.new.sub.is_empty()) {
            assert!(locate(&link.old.spelled(&[])).is_some(), "{link:?}");
        }
    }

    #[test]
    fn places_find_each_other_in_both_directions() {
        for link in &TABLES.links {
            let (old, new) = (link.old.spelled(&[]), link.new.spelled(&[]));
            for address in [&old, &new] {
                let places = same_places(address);
                assert_eq!(&places[0], address);
                assert!(places.contains(&old) && places.contains(&new), "{places:?}");
                for (at, place) in places.iter().enumerate() {
                    assert!(!places[..at].contains(place), "twice: {places:?}");
                    assert!(same_places(place).contains(address), "{place} does not find {address}");
                }
            }
        }
    }

    #[test]
    fn old_and_new_names_are_the_same_place() {
        let cases: &[&[&str]] = &[
            &["강원도 춘천시", "강원특별자치도 춘천시"],
            &["강원특별자치도 춘천시", "강원도 춘천시"],
            &["경상북도 군위군", "대구광역시 군위군"],
            &["대구광역시 군위군", "경상북도 군위군"],
            &["인천광역시 중구", "인천광역시 제물포구", "인천광역시 영종구"],
            &["인천광역시 제물포구", "인천광역시 중구", "인천광역시 동구"],
            &["인천광역시 영종구", "인천광역시 중구"],
            &["광주광역시 동구", "전남광주통합특별시 동구"],
            &["전남광주통합특별시 동구", "광주광역시 동구"],
            &["전남광주통합특별시 목포시", "전라남도 목포시"],
            &["경기도 부천시", "경기도 부천시 원미구", "경기도 부천시 소사구", "경기도 부천시 오정구"],
            &["경기도 부천시 원미구", "경기도 부천시"],
            &["전라북도 전주시 완산구", "전북특별자치도 전주시 완산구"],
            &["전라북도", "전북특별자치도"],
            &["전남광주통합특별시", "광주광역시", "전라남도"],
            &["세종특별자치시", "세종특별자치시 세종특별자치시"],
            &["세종특별자치시 세종특별자치시", "세종특별자치시"],
            &["서울특별시 중구"],
            &["경상남도 고성군"],
        ];
        for expected in cases {
            assert_eq!(same_places(expected[0]), *expected);
        }
    }

    #[test]
    fn blanks_are_tidied_and_words_behind_are_kept() {
        let expected = ["강원도 춘천시 효자동 1-2", "강원특별자치도 춘천시 효자동 1-2"];
        assert_eq!(same_places("  강원도\t춘천시 \u{3000} 효자동  1-2\n"), expected);
        let expected = ["경기도 부천시 원미구 중동", "경기도 부천시 중동"];
        assert_eq!(same_places("경기도 부천시 원미구 중동"), expected);
        let expected = ["세종특별자치시 한솔동", "세종특별자치시 세종특별자치시 한솔동"];
        assert_eq!(same_places("세종특별자치시 한솔동"), expected);
    }

    #[test]
    fn an_unknown_address_gives_only_itself() {
        for address in ["", "달나라", "강원도 없는군", "춘천시", "전라남도 동구", "광주광역시 담양군", "% _"]
        {
            assert_eq!(same_places(address), [address]);
            assert_eq!(locate(address), None);
        }
    }

    #[test]
    fn sub_regions_are_found_by_part_of_a_name_old_or_new() {
        let names = |part| subs_of(part).into_iter().map(|sub| sub.name).collect::<Vec<_>>();
        assert_eq!(names("제주"), ["제주시", "서귀포시"]);
        assert_eq!(names("세종"), ["세종특별자치시"]);
        assert_eq!(names("강원도"), names("강원특별자치도"));
        assert_eq!(names("강원도").len(), 18);
        assert_eq!(names("전라북도"), names("전북특별자치도"));
        assert_eq!(names("광주광역시"), ["서구", "광산구", "남구", "동구", "북구"]);
        assert_eq!(names("전라남도").len(), 22);
        assert_eq!(names("광주").len(), 27);
        assert!(!names("경상북도").contains(&"군위군"));
        assert_eq!(names("").len(), subs().len());
        for part in ["%", "_", "서울_별시", "달나라", "춘천시"] {
            assert!(subs_of(part).is_empty(), "{part}");
        }
    }

    #[test]
    fn an_address_is_located_where_it_is_today() {
        let at = |address| locate(address).map(|sub| (sub.master, sub.name, sub.grid));
        assert_eq!(at("강원도 춘천시"), Some(("강원특별자치도", "춘천시", Grid { x: 73, y: 134 })));
        assert_eq!(at("경상북도 군위군 효령면"), Some(("대구광역시", "군위군", Grid { x: 88, y: 99 })));
        assert_eq!(at("인천광역시 중구"), Some(("인천광역시", "제물포구", Grid { x: 54, y: 125 })));
        assert_eq!(at("경기도 부천시"), Some(("경기도", "부천시", Grid { x: 56, y: 125 })));
        assert_eq!(at("세종특별자치시 한솔동"), Some(("세종특별자치시", "세종특별자치시", Grid { x: 66, y: 103 })));
        assert_eq!(at("전라남도 목포시"), at("전남광주통합특별시 목포시"));
        assert_eq!(locate("전라남도 목포시").and_then(|sub| sub.code), Some("12110"));
        assert_eq!(locate("전라남도 강진군").map(|sub| sub.code), Some(None));
        for whole in ["서울특별시", "광주광역시", "서울특별시 없는구"] {
            assert_eq!(at(whole), None, "{whole}");
        }
    }
}
