//! `carebot simulate`.

use crate::support::Place;

#[test]
fn the_same_seed_is_the_same_run_and_nothing_is_lost() {
    let flags = ["simulate", "--criticals", "15", "--homes", "3", "--seed", "8"];
    let places = [Place::new(), Place::new()];
    let running: Vec<_> = places.iter().map(|place| place.start(&flags)).collect();
    let said: Vec<String> = running.into_iter().map(|program| program.ended().succeeded()).collect();
    assert_eq!(said[0], said[1]);
    for part in
        ["seed 8: 15 criticals", "15 acknowledged", "LOST             0 criticals", "0 chains that do not verify"]
    {
        assert!(said[0].contains(part), "{part} is not in {}", said[0]);
    }
}
