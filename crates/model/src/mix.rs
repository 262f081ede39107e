//! Numbers that look random, made from numbers that do not.

/// What a counter is moved by from one number to the next.
pub const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Mixes the state of a counter that moves by [`STEP`]: no two of 2^64 results are equal, and neighbours look it. For ids
/// and jitter, not for secrets. Source: SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators").
pub const fn mix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_published_generator() {
        // The first numbers of the reference implementation from the seed 1234567.
        let numbers: Vec<u64> = (1..=3_u64).map(|n| mix(1_234_567_u64.wrapping_add(n.wrapping_mul(STEP)))).collect();
        assert_eq!(numbers, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }
}
