//! The people of the demonstration: made, brought together and heard through the HTTP interface, like everybody.

use serde_json::{Value, json};

use super::day::{Event, Person, What};
use crate::client::Client;
use crate::failure::{Failure, Result};
use crate::secret;

/// Somebody with an account, signed in.
#[derive(Debug)]
pub struct Account {
    /// Who.
    pub person: Person,
    /// The address to sign in with.
    pub email: &'static str,
    /// The fresh random password.
    pub password: String,
    id: String,
    client: Client,
}

/// The family and everybody in it.
#[derive(Debug)]
pub struct People {
    /// Elder, daughter, son.
    pub accounts: Vec<Account>,
    /// The family's id.
    pub family: String,
}

impl People {
    /// Makes the accounts, the family and the memberships.
    pub async fn make(url: &str) -> Result<Self> {
        let elder = Account::make(
            url,
            Person::Elder,
            "elder@example.org",
            json!({"role": "main", "user_name": "김말순", "gender": "female", "address": "강원특별자치도 춘천시",
                   "birth_date": {"year": 1944, "month": 3, "day": 12}}),
        )
        .await?;
        let daughter = Account::make(
            url,
            Person::Daughter,
            "daughter@example.org",
            json!({"role": "sub", "user_name": "이서연", "gender": "female", "address": "서울특별시 마포구",
                   "birth_date": {"year": 1972, "month": 9, "day": 3}}),
        )
        .await?;
        let son = Account::make(
            url,
            Person::Son,
            "son@example.org",
            json!({"role": "sub", "user_name": "이준호", "gender": "male", "address": "부산광역시 해운대구",
                   "birth_date": {"year": 1975, "month": 5, "day": 21}}),
        )
        .await?;
        let family = elder.made("families", &json!({"main_user": elder.id, "family_name": "말순 할머니 댁"})).await?;
        for (guardian, nickname) in [(&daughter, "우리 딸"), (&son, "우리 아들")] {
            guardian
                .made("members", &json!({"family_id": family, "user_id": guardian.id, "nickname": nickname}))
                .await?;
        }
        Ok(Self { accounts: vec![elder, daughter, son], family })
    }

    fn get(&self, person: Person) -> Result<&Account> {
        let found = self.accounts.iter().find(|account| account.person == person);
        found.ok_or_else(|| Failure::new("somebody of the demonstration is missing"))
    }

    /// Lets something happen.
    pub async fn live(&self, event: Event) -> Result {
        match event.what {
            What::Report(kind, mut fields) => {
                fields["family_id"] = json!(self.family);
                self.post(Person::Elder, &format!("status/{kind}"), &fields).await
            }
            What::Notify(grade, text) => {
                let body = json!({"family_id": self.family, "notification_grade": grade, "descriptions": text});
                self.post(Person::Elder, "notify", &body).await
            }
            What::Message(from, to, text, image) => {
                let (from_id, to_id) = (&self.get(from)?.id, &self.get(to)?.id);
                let body = json!({"from_id": from_id, "to_id": to_id, "content": text, "image_url": image});
                self.post(from, "messages/send", &body).await
            }
        }
    }

    async fn post(&self, person: Person, path: &str, body: &Value) -> Result {
        self.get(person)?.client.post(path, body).await?.expect(path).map(drop)
    }

    /// Gives the sessions back.
    pub async fn sign_out(&mut self) -> Result {
        for account in &mut self.accounts {
            account.client.sign_out().await?;
        }
        Ok(())
    }
}

impl Account {
    async fn make(url: &str, person: Person, email: &'static str, mut details: Value) -> Result<Self> {
        let mut client = Client::new(url)?;
        let password = secret::generate();
        details["email"] = json!(email);
        details["password"] = json!(password);
        client.post("accounts", &details).await?.expect("accounts")?;
        let account = client.sign_in(email, &password).await?;
        let id = account["id"].as_str().unwrap_or_default().to_owned();
        Ok(Self { person, email, password, id, client })
    }

    /// Makes something; its id.
    async fn made(&self, path: &str, body: &Value) -> Result<String> {
        let made = self.client.post(path, body).await?.expect(path)?;
        Ok(made["id"].as_str().unwrap_or_default().to_owned())
    }
}
