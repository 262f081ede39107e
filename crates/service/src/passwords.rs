//! Passwords: Argon2id, off the asynchronous threads, a few at a time; bcrypt of the existing system is understood.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use carebot_database::DbError;
use carebot_database::ambient::Rng;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Error, Result};

/// OWASP's minimum for Argon2id: 19 MiB of memory, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The longest password in bytes.
pub const LONGEST: usize = 1_024;

/// How long a sign-in waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// The contract's sentence for a password that may not be.
pub const REFUSED: &str = "Invalid value provided for account details (password)";

static COMMONEST: LazyLock<std::collections::HashSet<&'static str>> = LazyLock::new(|| {
    include_str!("../data/common_passwords.txt").lines().filter(|line| !line.starts_with('#')).collect()
});

/// Hashes and checks passwords.
#[derive(Debug)]
pub struct Passwords {
    slots: Arc<Semaphore>,
    shortest: usize,
    rng: Arc<dyn Rng>,
    /// A hash that no password has: an unknown address costs as much time as a wrong password.
    decoy: String,
}

/// A password was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Its hash is not of today's kind and should be made anew.
    pub outdated: bool,
}

fn argon2() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(internal)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::Internal(DbError::Statement(format!("hashing a password failed: {error}")))
}

fn make(password: &[u8], salt: &[u8; 16]) -> Result<String> {
    argon2()?.hash_password_with_salt(password, salt).map(|hash| hash.to_string()).map_err(internal)
}

fn check(password: &[u8], hash: &str) -> Option<Verified> {
    if hash.starts_with("$2") {
        // bcrypt as the existing system used it: what is beyond 72 bytes never counted.
        let used = &password[..password.len().min(72)];
        return bcrypt::verify(used, hash).unwrap_or(false).then_some(Verified { outdated: true });
    }
    let parsed = PasswordHash::new(hash).ok()?;
    Argon2::default().verify_password(password, &parsed).ok()?;
    let today = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$");
    Some(Verified { outdated: !hash.starts_with(&today) })
}

impl Passwords {
    /// With so many hashed at once, and new ones of at least so many characters.
    ///
    /// # Errors
    /// [`Error::Internal`] if hashes cannot be read at all.
    pub fn new(concurrency: usize, shortest: usize, rng: Arc<dyn Rng>) -> Result<Self> {
        // All zeros instead of the hash of something: hashing here would delay every start, and keep its 19 MiB.
        let (salt, zeros) = ("A".repeat(22), "A".repeat(43));
        let decoy = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${zeros}");
        PasswordHash::new(&decoy).map_err(internal)?;
        Ok(Self { slots: Arc::new(Semaphore::new(concurrency.max(1))), shortest, decoy, rng })
    }

    /// Whether a new password may be.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is too short, too long or one of the commonest.
    pub fn acceptable(&self, password: &str) -> Result<()> {
        let common = COMMONEST.contains(password.to_lowercase().as_str());
        if password.chars().count() < self.shortest || password.len() > LONGEST || common {
            return Err(Error::Invalid(REFUSED));
        }
        Ok(())
    }

    /// The hash of a password, in PHC notation.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if too many wait.
    pub async fn hash(&self, password: &str) -> Result<String> {
        let mut salt = [0; 16];
        self.rng.fill(&mut salt);
        let password = password.as_bytes().to_vec();
        self.turn().await?.off_thread(move || make(&password, &salt)).await?
    }

    /// Waits for a turn. What a caller has to look at before it may check a password can have changed while it waited.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if too many wait.
    pub async fn turn(&self) -> Result<Turn<'_>> {
        let busy = || Error::Unavailable(DbError::Unavailable("too many passwords are being checked".into()));
        let slot = tokio::time::timeout(PATIENCE, Arc::clone(&self.slots).acquire_owned())
            .await
            .map_err(|_| busy())?
            .map_err(|_| busy())?;
        Ok(Turn { slot: Arc::new(slot), decoy: &self.decoy })
    }
}

/// The right to hash or check a password now; the next one's turn comes when it is dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    slot: Arc<OwnedSemaphorePermit>,
    decoy: &'a str,
}

impl Turn<'_> {
    /// Checks a password against a hash; without a hash it takes as long and is wrong.
    ///
    /// # Errors
    /// [`Error::Internal`] if the checking itself failed.
    pub async fn verify(&self, password: &str, hash: Option<String>) -> Result<Option<Verified>> {
        if password.len() > LONGEST {
            return Ok(None);
        }
        let (known, hash) = (hash.is_some(), hash.unwrap_or_else(|| self.decoy.to_owned()));
        let password = password.as_bytes().to_vec();
        let verified = self.off_thread(move || check(&password, &hash)).await?;
        Ok(verified.filter(|_| known))
    }

    async fn off_thread<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let slot = Arc::clone(&self.slot);
        tokio::task::spawn_blocking(move || {
            // Work goes on when its caller is gone, and holds its place as long.
            let _slot = slot;
            work()
        })
        .await
        .map_err(internal)
    }
}

#[cfg(test)]
mod tests {
    use carebot_database::ambient::SystemRng;

    use super::*;

    fn passwords() -> Passwords {
        Passwords::new(2, 8, Arc::new(SystemRng)).expect("hashing works")
    }

    #[tokio::test]
    async fn a_hash_is_argon2id_of_owasps_strength_and_only_its_password_fits() {
        let passwords = passwords();
        let hash = passwords.hash("할머니 산책 🐕").await.expect("a hash");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_eq!(
            passwords
                .turn()
                .await
                .expect("a turn")
                .verify("할머니 산책 🐕", Some(hash.clone()))
                .await
                .expect("checked"),
            Some(Verified { outdated: false })
        );
        assert_eq!(
            passwords.turn().await.expect("a turn").verify("할머니 산책", Some(hash)).await.expect("checked"),
            None
        );
        assert_eq!(passwords.turn().await.expect("a turn").verify("", None).await.expect("checked"), None);
    }

    #[test]
    fn an_unknown_address_costs_what_a_new_password_does() {
        let parameters = |hash: &str| hash.rsplitn(3, '$').last().map(str::to_owned);
        let new = make(b"correct horse", &[7; 16]).expect("a hash");
        assert_eq!(parameters(&passwords().decoy), parameters(&new));
        assert_eq!(passwords().decoy.len(), new.len());
    }

    #[tokio::test]
    async fn bcrypt_of_the_existing_system_fits_and_is_outdated() {
        let hash = bcrypt::hash("오래된 비밀번호", 4).expect("bcrypt works").replace("$2y$", "$2b$");
        let passwords = passwords();
        assert_eq!(
            passwords
                .turn()
                .await
                .expect("a turn")
                .verify("오래된 비밀번호", Some(hash.clone()))
                .await
                .expect("checked"),
            Some(Verified { outdated: true })
        );
        assert_eq!(
            passwords.turn().await.expect("a turn").verify("다른 비밀번호", Some(hash)).await.expect("checked"),
            None
        );
        assert_eq!(
            passwords.turn().await.expect("a turn").verify("x", Some("$2b$broken".into())).await.expect("checked"),
            None
        );
    }

    #[test]
    fn short_long_and_common_passwords_are_refused() {
        let passwords = passwords();
        for bad in ["", "1234567", "password1", "PASSWORD1", "qwertyuiop", &"a".repeat(1_025)] {
            assert!(passwords.acceptable(bad).is_err(), "{bad}");
        }
        for good in ["correct horse", "여덟글자비밀번호", "\0\0\0\0\0\0\0\0"] {
            assert!(passwords.acceptable(good).is_ok(), "{good}");
        }
    }
}
