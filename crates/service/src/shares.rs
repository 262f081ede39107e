//! How much of something scarce one account may use at once, so that nobody takes it all.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use carebot_model::AccountId;

/// Counts what each account uses at the moment.
#[derive(Debug)]
pub struct Shares {
    most: usize,
    used: Mutex<HashMap<AccountId, usize>>,
}

/// One thing in use; given back when it is dropped.
#[derive(Debug)]
pub struct Share<'a> {
    shares: &'a Shares,
    account: AccountId,
}

impl Shares {
    /// At most so many at once for each account.
    pub fn new(most: usize) -> Self {
        Self { most, used: Mutex::default() }
    }

    /// One more for an account; none if it has as many as it may.
    pub fn take(&self, account: AccountId) -> Option<Share<'_>> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let count = used.entry(account).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Share { shares: self, account })
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut used = self.shares.used.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = used.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                used.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_account_has_its_own_and_gives_it_back() {
        let shares = Shares::new(2);
        let account = |text| AccountId::parse(text).expect("an id");
        let (one, other) = (account("U234567890123456"), account("U234567890123457"));
        let (first, second) = (shares.take(one).expect("one"), shares.take(one).expect("two"));
        assert!(shares.take(one).is_none());
        let others = shares.take(other).expect("another's");
        drop(first);
        assert!(shares.take(one).is_some());
        drop((second, others));
        assert!(shares.used.lock().expect("whole").is_empty(), "nothing is kept of those who use nothing");
    }
}
