//! What stands between this server and a provider: limits of time and number, a second try, and an end to asking one that
//! keeps failing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use carebot_model::mix::{STEP, mix};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::{ProviderError, Result};

/// How a provider is asked.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long one try may take, from connecting to the last byte.
    pub timeout: Duration,
    /// How many calls may run at once.
    pub concurrency: usize,
    /// How long a call waits for another to end before it is refused.
    pub patience: Duration,
    /// How often a call that changes nothing is tried.
    pub tries: u32,
    /// The longest pause before the second try; each further one may be twice as long. The real pause is random below it, so that many
    /// who failed together do not come back together ("full jitter", Brooker 2015).
    pub pause: Duration,
    /// After so many failures in a row the provider is left alone ..
    pub failures: u32,
    /// .. for so long; then one call tries whether it is well again.
    pub rest: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_mins(1),
            concurrency: 16,
            patience: Duration::from_secs(2),
            tries: 3,
            pause: Duration::from_millis(400),
            failures: 5,
            rest: Duration::from_secs(30),
        }
    }
}

/// Stands before one provider. Shared by all its callers.
#[derive(Debug)]
pub struct Guard {
    provider: &'static str,
    limits: Limits,
    slots: Semaphore,
    breaker: Mutex<Breaker>,
    jitter: AtomicU64,
}

/// Whether a provider is asked at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It is asked; so many calls failed in a row.
    Asked(u32),
    /// It failed too often and is left alone.
    Resting,
}

#[derive(Debug)]
struct Breaker {
    failures: u32,
    /// While it rests: until when. The first call after that tries, the others wait for what it finds.
    rests_until: Option<Instant>,
}

/// The right to make one call. Whoever holds it reports how the call went; if it is dropped without a word (the caller went
/// away), nothing was learned.
#[derive(Debug)]
#[must_use]
pub struct Pass<'a> {
    guard: &'a Guard,
    _slot: SemaphorePermit<'a>,
}

impl Guard {
    /// Before a provider, named for logs. `seed` makes the jitter.
    pub fn new(provider: &'static str, limits: Limits, seed: u64) -> Self {
        Self {
            provider,
            limits,
            slots: Semaphore::new(limits.concurrency.max(1)),
            breaker: Mutex::new(Breaker { failures: 0, rests_until: None }),
            jitter: AtomicU64::new(seed),
        }
    }

    /// Whether it is asked at the moment.
    pub fn health(&self) -> Health {
        let breaker = self.breaker();
        match breaker.rests_until {
            Some(until) if Instant::now() < until => Health::Resting,
            _ => Health::Asked(breaker.failures),
        }
    }

    /// Makes a call that changes nothing at the provider, and so can be tried again.
    ///
    /// # Errors
    /// Those of the last try; [`ProviderError::Busy`], [`ProviderError::Resting`] without a try.
    pub async fn ask<T, F: Future<Output = Result<T>>>(&self, call: impl Fn() -> F) -> Result<T> {
        self.ask_until(None, call).await
    }

    /// As [`Guard::ask`], with one limit of time over all tries, for calls that somebody waits for.
    ///
    /// # Errors
    /// As [`Guard::ask`].
    pub async fn ask_within<T, F: Future<Output = Result<T>>>(
        &self,
        limit: Duration,
        call: impl Fn() -> F,
    ) -> Result<T> {
        self.ask_until(Some(Instant::now() + limit), call).await
    }

    async fn ask_until<T, F: Future<Output = Result<T>>>(
        &self,
        deadline: Option<Instant>,
        call: impl Fn() -> F,
    ) -> Result<T> {
        let mut most = self.limits.pause;
        for _ in 1..self.limits.tries {
            let error = match self.once_until(deadline, call()).await {
                Err(error) if error.is_worth_a_try() => error,
                done => return done,
            };
            let pause = self.below(most);
            if deadline.is_some_and(|deadline| Instant::now() + pause >= deadline) {
                return Err(error);
            }
            tracing::debug!(provider = self.provider, %error, "a call failed and is tried again");
            tokio::time::sleep(pause).await;
            most *= 2;
        }
        self.once_until(deadline, call()).await
    }

    /// Makes a call once.
    ///
    /// # Errors
    /// Those of the call; [`ProviderError::TimedOut`]; [`ProviderError::Busy`], [`ProviderError::Resting`] without a try.
    pub async fn once<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.once_until(None, call).await
    }

    /// As [`Guard::once`], within a limit of time.
    ///
    /// # Errors
    /// As [`Guard::once`].
    pub async fn once_within<T>(&self, limit: Duration, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.once_until(Some(Instant::now() + limit), call).await
    }

    async fn once_until<T>(&self, deadline: Option<Instant>, call: impl Future<Output = Result<T>>) -> Result<T> {
        let pass = match deadline {
            None => self.enter().await?,
            Some(deadline) => {
                tokio::time::timeout_at(deadline, self.enter()).await.unwrap_or(Err(ProviderError::Busy))?
            }
        };
        let end = Instant::now() + self.limits.timeout;
        let end = deadline.map_or(end, |deadline| deadline.min(end));
        let done = tokio::time::timeout_at(end, call).await.unwrap_or(Err(ProviderError::TimedOut));
        pass.report(done.as_ref().err());
        done
    }

    /// Waits for the right to make a call, for those that report by themselves how it went.
    ///
    /// # Errors
    /// [`ProviderError::Busy`], [`ProviderError::Resting`].
    pub async fn enter(&self) -> Result<Pass<'_>> {
        self.is_asked()?;
        let slot = tokio::time::timeout(self.limits.patience, self.slots.acquire())
            .await
            .ok()
            .and_then(std::result::Result::ok)
            .ok_or(ProviderError::Busy)?;
        // Those before may have found out that it is ill.
        let mut breaker = self.breaker();
        if let Some(until) = breaker.rests_until {
            if Instant::now() < until {
                return Err(ProviderError::Resting);
            }
            // This call tries; until it comes back nobody else does.
            breaker.rests_until = Some(Instant::now() + self.limits.timeout);
        }
        drop(breaker);
        Ok(Pass { guard: self, _slot: slot })
    }

    fn is_asked(&self) -> Result<()> {
        if self.health() == Health::Resting { Err(ProviderError::Resting) } else { Ok(()) }
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        // Plain values: they are whole whatever happened to whoever held them.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A random length below `most`.
    fn below(&self, most: Duration) -> Duration {
        let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX).max(1);
        Duration::from_millis(mix(self.jitter.fetch_add(STEP, Ordering::Relaxed)) % millis)
    }
}

impl Pass<'_> {
    /// Says how the call went.
    pub fn report(self, error: Option<&ProviderError>) {
        let mut breaker = self.guard.breaker();
        match error {
            Some(error) if error.is_illness() => {
                breaker.failures = breaker.failures.saturating_add(1);
                if breaker.failures >= self.guard.limits.failures {
                    let already = breaker.failures > self.guard.limits.failures;
                    breaker.rests_until = Some(Instant::now() + self.guard.limits.rest);
                    drop(breaker);
                    let (provider, seconds) = (self.guard.provider, self.guard.limits.rest.as_secs());
                    if already {
                        tracing::debug!(provider, %error, "a provider is still ill");
                    } else {
                        tracing::warn!(provider, %error, "a provider failed too often and is left alone for {seconds} s at a time");
                    }
                }
            }
            _ => {
                if breaker.failures >= self.guard.limits.failures {
                    tracing::info!(provider = self.guard.provider, "a provider answers again");
                }
                *breaker = Breaker { failures: 0, rests_until: None };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;

    use super::*;

    fn ill() -> ProviderError {
        ProviderError::Refused { status: 503, reason: "down".into() }
    }

    fn limits() -> Limits {
        Limits { failures: 3, tries: 3, concurrency: 2, ..Limits::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_transient_failure_is_tried_again_and_another_is_not() {
        let guard = Guard::new("test", limits(), 7);
        let tries = AtomicU32::new(0);
        let second = guard
            .ask(async || match tries.fetch_add(1, Ordering::Relaxed) {
                0 => Err(ill()),
                _ => Ok("well"),
            })
            .await;
        assert_eq!((second, tries.load(Ordering::Relaxed)), (Ok("well"), 2));
        let tries = AtomicU32::new(0);
        let refused = guard
            .ask(async || {
                tries.fetch_add(1, Ordering::Relaxed);
                Err::<(), _>(ProviderError::Refused { status: 400, reason: "nonsense".into() })
            })
            .await;
        assert!(refused.is_err());
        assert_eq!(tries.load(Ordering::Relaxed), 1);
        assert_eq!(guard.health(), Health::Asked(0), "who refuses nonsense is well");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_keeps_failing_is_left_alone_and_then_tried_by_one() {
        let guard = Arc::new(Guard::new("test", limits(), 7));
        for _ in 0..3 {
            assert_eq!(guard.once(async { Err::<(), _>(ill()) }).await, Err(ill()));
        }
        assert_eq!(guard.health(), Health::Resting);
        let asked = AtomicU32::new(0);
        let count = async || {
            asked.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        assert_eq!(guard.once(count()).await, Err(ProviderError::Resting));
        assert_eq!(asked.load(Ordering::Relaxed), 0);
        tokio::time::advance(guard.limits.rest).await;
        let probe = guard.enter().await.expect("one may try");
        assert_eq!(guard.enter().await.map(|_| ()), Err(ProviderError::Resting), "the others wait for what it finds");
        probe.report(None);
        assert_eq!(guard.once(count()).await, Ok(()));
        assert_eq!(guard.health(), Health::Asked(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_went_away_does_not_leave_it_alone_for_ever() {
        let guard = Guard::new("test", limits(), 7);
        for _ in 0..3 {
            assert!(guard.once(async { Err::<(), _>(ill()) }).await.is_err());
        }
        tokio::time::advance(guard.limits.rest).await;
        drop(guard.enter().await.expect("one may try"));
        tokio::time::advance(guard.limits.timeout).await;
        assert_eq!(guard.once(async { Ok(()) }).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_may_run_at_once_are_refused_after_a_moment() {
        let guard = Guard::new("test", limits(), 7);
        let (_one, _two) = (guard.enter().await.expect("a slot"), guard.enter().await.expect("a slot"));
        let before = Instant::now();
        assert_eq!(guard.once(async { Ok(()) }).await, Err(ProviderError::Busy));
        assert_eq!(before.elapsed(), guard.limits.patience);
    }

    #[tokio::test(start_paused = true)]
    async fn all_tries_together_keep_to_one_limit() {
        let guard = Guard::new("test", limits(), 7);
        let before = Instant::now();
        let limit = Duration::from_secs(5);
        let hangs = guard.ask_within(limit, std::future::pending::<Result<()>>).await;
        assert_eq!((hangs, before.elapsed()), (Err(ProviderError::TimedOut), limit));
        let tries = AtomicU32::new(0);
        let second = guard
            .ask_within(limit, async || match tries.fetch_add(1, Ordering::Relaxed) {
                0 => Err(ill()),
                _ => Ok("well"),
            })
            .await;
        assert_eq!(second, Ok("well"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_ends_in_time() {
        let guard = Guard::new("test", limits(), 7);
        assert_eq!(guard.once(std::future::pending::<Result<()>>()).await, Err(ProviderError::TimedOut));
    }

    #[test]
    fn pauses_differ_and_stay_below_their_bound() {
        let guard = Guard::new("test", limits(), 7);
        let pauses: Vec<Duration> = (0..100).map(|_| guard.below(Duration::from_millis(400))).collect();
        assert!(pauses.iter().all(|pause| *pause < Duration::from_millis(400)));
        let different: std::collections::HashSet<_> = pauses.iter().collect();
        assert!(different.len() > 50, "{} of 100 differ", different.len());
    }
}
