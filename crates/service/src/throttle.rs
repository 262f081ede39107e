//! Slowing down those who guess passwords, by account and by address.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use carebot_model::Timestamp;
use moka::sync::Cache;

use crate::{Error, Result};

/// When failures begin to slow down, and how much.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Failures for one account that cost nothing.
    pub account: u32,
    /// Failures from one address that cost nothing.
    pub address: u32,
    /// Failures are forgotten after this long without another.
    pub window: Duration,
    /// The longest delay. Each failure doubles it, from one second.
    pub longest: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { account: 10, address: 50, window: Duration::from_mins(15), longest: Duration::from_mins(1) }
    }
}

/// Remembers failures, in this process.
#[derive(Debug)]
pub struct Throttle {
    limits: Limits,
    accounts: Cache<String, std::sync::Arc<AtomicU64>>,
    addresses: Cache<IpAddr, std::sync::Arc<AtomicU64>>,
}

/// What failures are counted by.
#[derive(Clone, Debug)]
pub struct Key {
    account: String,
    address: Option<IpAddr>,
}

/// Failures in the upper 16 bits, the time of the last one (unix milliseconds) in the lower 48.
const TIME_BITS: u32 = 48;

impl Throttle {
    /// With room for 100,000 accounts and as many addresses.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            accounts: Cache::builder().max_capacity(100_000).time_to_idle(limits.window).build(),
            addresses: Cache::builder().max_capacity(100_000).time_to_idle(limits.window).build(),
        }
    }

    /// A key of an account (in whatever form, always the same) and the address the request came from.
    pub fn key(&self, account: &str, address: Option<IpAddr>) -> Key {
        // Who has one IPv6 address has 2^64 of them.
        let address = address.map(|address| match address {
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => IpAddr::V4(v4),
                None => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
            },
            IpAddr::V4(_) => address,
        });
        Key { account: account.to_owned(), address }
    }

    /// Whether there may be an attempt now.
    ///
    /// # Errors
    /// [`Error::TooMany`] with the seconds to wait.
    pub fn check(&self, key: &Key, now: Timestamp) -> Result<()> {
        let account = self.accounts.get(&key.account).map_or(0, |entry| self.wait(&entry, self.limits.account, now));
        let address = key
            .address
            .and_then(|address| self.addresses.get(&address))
            .map_or(0, |entry| self.wait(&entry, self.limits.address, now));
        match account.max(address) {
            0 => Ok(()),
            millis => Err(Error::TooMany(millis.div_ceil(1000))),
        }
    }

    /// Milliseconds until the next attempt may be made.
    fn wait(&self, entry: &AtomicU64, free: u32, now: Timestamp) -> u64 {
        let value = entry.load(Ordering::Relaxed);
        let (failures, last) = (value >> TIME_BITS, value & ((1 << TIME_BITS) - 1));
        let Some(beyond) = failures.checked_sub(u64::from(free)) else { return 0 };
        let longest = u64::try_from(self.limits.longest.as_millis()).unwrap_or(u64::MAX);
        let delay = 1000_u64.checked_shl(u32::try_from(beyond.min(20)).unwrap_or(20)).unwrap_or(longest).min(longest);
        (last + delay).saturating_sub(u64::try_from(now.millis()).unwrap_or(0))
    }

    /// Counts a failure.
    pub fn failed(&self, key: &Key, now: Timestamp) {
        count(&self.accounts.get_with(key.account.clone(), Default::default), now);
        if let Some(address) = key.address {
            count(&self.addresses.get_with(address, Default::default), now);
        }
    }

    /// After a success: the account's failures are forgotten, the address's are not.
    pub fn forget(&self, key: &Key) {
        self.accounts.invalidate(&key.account);
    }
}

fn count(entry: &AtomicU64, now: Timestamp) {
    let time = u64::try_from(now.millis()).unwrap_or(0) & ((1 << TIME_BITS) - 1);
    let add = |value: u64| Some(((value >> TIME_BITS) + 1).min(u64::from(u16::MAX)) << TIME_BITS | time);
    // The closure always gives a value, so this cannot fail.
    let _ = entry.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_double_the_delay_up_to_the_longest_and_a_success_forgets_them() {
        let throttle = Throttle::new(Limits { account: 2, ..Limits::default() });
        let key = throttle.key("a@example.com", None);
        let mut now = Timestamp::from_millis(1_000_000);
        throttle.failed(&key, now);
        assert!(throttle.check(&key, now).is_ok());
        let mut waits = Vec::new();
        for _ in 0..8 {
            throttle.failed(&key, now);
            let Err(Error::TooMany(seconds)) = throttle.check(&key, now) else { panic!("not slowed down") };
            waits.push(seconds);
            now = now.plus_millis(i64::try_from(seconds).expect("small") * 1000);
            assert!(throttle.check(&key, now).is_ok());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        throttle.forget(&key);
        throttle.failed(&key, now);
        assert!(throttle.check(&key, now).is_ok());
    }

    #[test]
    fn one_address_is_slowed_down_whatever_account_it_tries() {
        let throttle = Throttle::new(Limits { address: 3, ..Limits::default() });
        let now = Timestamp::from_millis(1_000_000);
        let at = |account: &str, address: &str| throttle.key(account, Some(address.parse().expect("an address")));
        for account in ["a", "b", "c"] {
            throttle.failed(&at(account, "2001:db8::1"), now);
        }
        assert!(throttle.check(&at("d", "2001:db8::ffff"), now).is_err(), "the same network");
        assert!(throttle.check(&at("d", "2001:db8:0:1::1"), now).is_ok());
    }
}
