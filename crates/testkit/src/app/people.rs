//! People who can sign in, made without waiting for a password to be hashed each time.

use std::sync::Arc;

use carebot_database::ambient::SystemRng;
use carebot_database::{accounts, transact};
use carebot_model::accounts::{NewAccount, Role};
use carebot_model::text::{Email, Name};
use carebot_model::{AccountId, FamilyId, MemberId, RowId};
use carebot_service::passwords::Passwords;
use serde_json::json;
use tokio::sync::OnceCell;

use super::{ANYONE, TestApp};
use crate::fixtures::new_account;

/// The password of every [`Person`].
pub const PASSWORD: &str = "산책하는 강아지 42";

/// Somebody with an account and a session.
#[derive(Clone, Debug)]
pub struct Person {
    /// The account.
    pub id: AccountId,
    /// The address to sign in with.
    pub email: String,
    /// The session's token.
    pub token: String,
    /// The session's number.
    pub session: RowId,
}

/// An elder, the elder's family and an approved guardian, all with sessions. In compared answers they are called
/// `ELDER`, `FAMILY`, `GUARDIAN` and `MEMBER`.
#[derive(Clone, Debug)]
pub struct House {
    /// The elder.
    pub elder: Person,
    /// The family.
    pub family: FamilyId,
    /// The guardian.
    pub guardian: Person,
    /// The guardian's membership.
    pub member: MemberId,
}

async fn password_hash() -> &'static str {
    static HASH: OnceCell<String> = OnceCell::const_new();
    HASH.get_or_init(|| async {
        let passwords = Passwords::new(1, 8, Arc::new(SystemRng)).expect("hashing works");
        passwords.hash(PASSWORD).await.expect("hashing works")
    })
    .await
}

impl TestApp {
    /// An account and a session for it. In compared answers it is called `name`, its address `<name in lower case>@`.
    ///
    /// # Panics
    /// When the database fails; so do the others here.
    pub async fn person(&self, role: Role, name: &str) -> Person {
        let new = NewAccount { user_name: Some(Name::new("김순자".to_owned())), ..new_account(&self.t, role, name) };
        let person = self.person_of(new).await;
        self.names.set(person.id, name);
        self.names.set(&person.email, &format!("{}@", name.to_lowercase()));
        person
    }

    /// An account of given particulars, and a session for it.
    ///
    /// # Panics
    /// When the address is taken.
    pub async fn person_of(&self, new: NewAccount) -> Person {
        let (t, hash) = (&self.t, password_hash().await);
        let id = transact!(t.db, tx => { accounts::create(&mut tx, &new, hash, t.now(), &*t.rng).await })
            .expect("the account is made");
        let (token, session) = t.session(id, new.role == Role::Main).await;
        Person { id, email: new.email.as_str().to_owned(), token, session }
    }

    /// An account of an address, and a session for it.
    ///
    /// # Panics
    /// When it is no address or taken.
    pub async fn person_at(&self, role: Role, email: &str) -> Person {
        let email = Email::parse(email).expect("an address");
        self.person_of(NewAccount { email, ..new_account(&self.t, role, "김순자") }).await
    }

    /// A family for an elder.
    pub async fn family(&self, elder: &Person, name: &str) -> FamilyId {
        let family = self.t.family_of(elder.id).await;
        self.names.set(family, name);
        family
    }

    /// An elder, a family and a guardian.
    pub async fn house(&self) -> House {
        let elder = self.person(Role::Main, "ELDER").await;
        let family = self.family(&elder, "FAMILY").await;
        let guardian = self.person(Role::Sub, "GUARDIAN").await;
        let member = self.t.join(family, guardian.id, Some(elder.id)).await;
        self.names.set(member, "MEMBER");
        House { elder, family, guardian, member }
    }

    /// An operator.
    pub async fn system(&self) -> Person {
        self.person(Role::System, "SYSTEM").await
    }

    /// Signs in over the wire; the session's token.
    ///
    /// # Panics
    /// When that is refused.
    pub async fn sign_in(&self, email: &str, password: &str) -> String {
        let reply = self.call("POST /auth/login", ANYONE, json!({"email": email, "password": password})).await;
        reply.given("session_id")
    }
}
