//! Elders with families and guardians, made through the program. All of them are invented.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;

use super::http::Client;

pub const PASSWORD: &str = "seven grey geese";

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: String,
    pub email: String,
    pub token: String,
}

/// An elder and the elder's family.
#[derive(Clone, Debug)]
pub struct House {
    pub elder: Person,
    pub family: String,
}

impl Person {
    /// Makes an account and signs in.
    pub async fn new(address: SocketAddr, role: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let email = format!("person-{}@example.com", NUMBER.fetch_add(1, Ordering::Relaxed));
        let account = json!({
            "email": email, "password": PASSWORD, "role": role, "user_name": "김순자",
            "birth_date": {"year": 1945, "month": 3, "day": 1}, "gender": "female", "address": "경기도 수원시",
        });
        let made = Client::new(address, None).post("/accounts", account).await;
        assert_eq!(made.status, 201, "{}", made.json());
        let mut person = Self { id: made.result("id"), email, token: String::new() };
        person.token = person.sign_in(address).await;
        person
    }

    /// Another session's token.
    pub async fn sign_in(&self, address: SocketAddr) -> String {
        let answer =
            Client::new(address, None).post("/auth/login", json!({"email": self.email, "password": PASSWORD})).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.result("session_id")
    }

    pub fn client(&self, address: SocketAddr) -> Client {
        Client::new(address, Some(self.token.clone()))
    }
}

impl House {
    pub async fn new(address: SocketAddr) -> Self {
        let elder = Person::new(address, "main").await;
        let made =
            elder.client(address).post("/families", json!({"main_user": elder.id, "family_name": "순자네"})).await;
        assert_eq!(made.status, 201, "{}", made.json());
        Self { family: made.result("id"), elder }
    }

    pub async fn several(address: SocketAddr, count: usize) -> Vec<Self> {
        let mut houses = Vec::new();
        for _ in 0..count {
            houses.push(Self::new(address).await);
        }
        houses
    }

    /// A guardian who has joined; the membership's id.
    pub async fn guardian(&self, address: SocketAddr) -> (Person, String) {
        let guardian = Person::new(address, "sub").await;
        let joined = guardian
            .client(address)
            .post("/members", json!({"family_id": self.family, "user_id": guardian.id, "nickname": "막내"}))
            .await;
        assert_eq!(joined.status, 201, "{}", joined.json());
        let member = joined.result("id");
        (guardian, member)
    }
}
