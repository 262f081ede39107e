//! Fills a database: people, sessions, messages and reports. All of them are invented.

use carebot_database::ambient::{Clock, SystemClock, SystemRng};
use carebot_database::authentication::NewSession;
use carebot_database::members::NewMember;
use carebot_database::{Db, DbError, Value, accounts, authentication, families, members, migrate, params, transact};
use carebot_model::access::{Action, Permit, Relation, Relations};
use carebot_model::accounts::{Gender, NewAccount, Role};
use carebot_model::members::Position;
use carebot_model::text::{Email, Name};
use carebot_model::{AccountId, Date, FamilyId, RowId, Timestamp};
use carebot_service::passwords::Passwords;
use carebot_testkit::SeededRng;

use crate::Result;
use crate::scene::Data;

/// Sessions of an elder who is alone in the database.
const SESSIONS: usize = 8;
/// Rows of one statement: below SQLite's 32,766 and MariaDB's 65,535 placeholders.
const ROWS: usize = 1_000;
/// Statements of one transaction.
const STATEMENTS: usize = 50;
/// Messages that every elder has received.
const MESSAGES: usize = 50;
/// How many of them are not read.
pub const UNREAD: usize = 5;
/// The first elder's address to sign in with.
pub const EMAIL: &str = "elder-0@example.com";
/// And the password.
pub const PASSWORD: &str = "a long walk by the river";

/// A signed-in elder.
#[derive(Clone, Debug)]
pub struct User {
    /// The session's clear token.
    pub token: String,
    /// The elder's family.
    pub family: FamilyId,
}

/// What a database was filled with.
#[derive(Clone, Debug)]
pub struct Seeded {
    /// Sessions to ask with.
    pub users: Vec<User>,
    /// Somebody who looks after others.
    pub guardian: AccountId,
    /// The newest thousand reports of every family are those from here on.
    pub newest_thousand: Timestamp,
    /// Everything from here on was written by the benchmark.
    pub end: Timestamp,
}

/// Leave as an operator has it: seeding is nobody's request.
fn permit<R>(resource: R) -> Result<Permit<R>> {
    Ok(Permit::ask(Relations::of(Relation::System), Action::ServerRead, resource).map_err(|_| "operators may")?)
}

/// Makes the schema and fills it.
pub async fn fill(db: &Db, data: Data) -> Result<Seeded> {
    migrate::run(db, &SystemClock, &SystemRng).await?;
    let now = SystemClock.now();
    let newest = now.plus_millis(-60_000).floor_second();
    // The service's errors are not made for terminals; what is inside of this one is worth seeing here.
    let hashed = async { Passwords::new(1, 8, std::sync::Arc::new(SystemRng))?.hash(PASSWORD).await };
    let hash = hashed.await.map_err(|error| format!("{error:?}"))?;
    let people = people(db, data, &hash, now).await?;
    messages(db, &people, now).await?;
    reports(db, &people, data, newest).await?;
    // Of a time apart: the rows of one family are an interval from each other, those of the next a millisecond later.
    let newest_thousand = newest.plus_millis(-data.interval() * 999);
    Ok(Seeded {
        users: people.users,
        guardian: people.guardian,
        newest_thousand,
        end: newest.plus_millis(data.interval()),
    })
}

/// Lets the guardian into so many families as a care worker, and signs her in.
pub async fn nurse(db: &Db, seeded: &Seeded, homes: usize, now: Timestamp) -> Result<User> {
    let guardian = seeded.guardian;
    let asked = permit(guardian)?;
    let rng = SeededRng::new(2);
    let token = transact!(db, tx => {
        for user in seeded.users.iter().take(homes) {
            let new = NewMember { family: user.family, nickname: None, position: Position::CareWorker, approved_by: Some(guardian) };
            members::create(&mut tx, &asked, &new, now, &rng).await?;
        }
        let id = RowId::compose(now.millis() - RowId::EPOCH_MS, 61, 0);
        let session = NewSession { id, account: guardian, is_main: false, label: Some("a laptop".to_owned()) };
        authentication::create_session(&mut tx, &session, now, &rng).await
    })?;
    Ok(User { token, family: seeded.users[0].family })
}

struct People {
    elders: Vec<(AccountId, FamilyId)>,
    guardian: AccountId,
    users: Vec<User>,
}

async fn people(db: &Db, data: Data, hash: &str, now: Timestamp) -> Result<People> {
    let count = data.size().0;
    let sessions = if count == 1 { SESSIONS } else { 1 };
    let account = |role, email: String| -> Result<NewAccount> {
        Ok(NewAccount {
            email: Email::parse(&email).ok_or("the address is well formed")?,
            role,
            user_name: Some(Name::new("김순자".to_owned())),
            birth_date: Date::new(1945, 3, 1),
            gender: Gender::Female,
            address: None,
        })
    };
    let guardian = account(Role::Sub, "guardian@example.com".to_owned())?;
    let elders = (0..count).map(|number| account(Role::Main, format!("elder-{number}@example.com")));
    let elders = elders.collect::<Result<Vec<_>>>()?;
    let rng = SeededRng::new(1);
    let made = transact!(db, tx => {
        let mut made = People { elders: Vec::new(), guardian: accounts::create(&mut tx, &guardian, hash, now, &rng).await?, users: Vec::new() };
        for new in &elders {
            let elder = accounts::create(&mut tx, new, hash, now, &rng).await?;
            let asked = permit(elder).map_err(|error| DbError::Statement(error.to_string()))?;
            let family = families::create(&mut tx, &asked, None, now, &rng).await?;
            made.elders.push((elder, family));
            for _ in 0..sessions {
                let id = RowId::compose(now.millis() - RowId::EPOCH_MS, 0, 0).0 + i64::try_from(made.users.len()).unwrap_or(0);
                let session = NewSession { id: RowId(id), account: elder, is_main: true, label: Some("a robot".to_owned()) };
                let token = authentication::create_session(&mut tx, &session, now, &rng).await?;
                made.users.push(User { token, family });
            }
        }
        Ok::<_, DbError>(made)
    })?;
    Ok(made)
}

async fn messages(db: &Db, people: &People, now: Timestamp) -> Result {
    let columns = "messages (id, from_id, to_id, created_at, content, image_url, is_read)";
    let rows = people.elders.iter().enumerate().flat_map(|(elder, (account, _))| {
        let (account, guardian) = (*account, people.guardian);
        (0..MESSAGES).map(move |number| {
            let at = now.plus_millis(-3_600_000 + signed(number) * 1_000);
            let id = RowId::compose(at.millis() - RowId::EPOCH_MS - signed(elder), 63, 0);
            let content = format!("어머니, 오늘 저녁에 들를게요. ({number})");
            params![id, guardian, account, at, content, None::<String>, number < MESSAGES - UNREAD]
        })
    });
    insert(db, columns, 7, rows).await
}

async fn reports(db: &Db, people: &People, data: Data, newest: Timestamp) -> Result {
    let columns = "home_status (family_id, reported_at, id, received_at, source_key, temperature, humidity, dust_level, ethanol, others)";
    let (count, interval) = (data.size().1, data.interval());
    let mut families: Vec<FamilyId> = people.elders.iter().map(|(_, family)| *family).collect();
    // In the order of the key, as fast as it goes.
    families.sort_unstable();
    let rows = families.into_iter().enumerate().flat_map(|(index, family)| {
        (0..count).rev().map(move |back| {
            let at = newest.plus_millis(-signed(back) * interval + signed(index));
            let id = RowId::compose(at.millis() - RowId::EPOCH_MS, 63, 0);
            let part = |from: f64, step: f64| from + step * f64::from(u32::try_from(back % 97).unwrap_or(0));
            params![
                family,
                at,
                id,
                at,
                None::<String>,
                round(part(18.0, 0.1)),
                round(part(31.5, 0.3)),
                round(part(4.0, 0.7)),
                round(part(0.1, 0.01)),
                None::<String>
            ]
        })
    });
    insert(db, columns, 10, rows).await
}

/// Two digits behind the point, as sensors have it.
fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Inserts rows, many with one statement.
async fn insert(db: &Db, columns: &str, width: usize, mut rows: impl Iterator<Item = Vec<Value>>) -> Result {
    let row = format!("({})", vec!["?"; width].join(","));
    loop {
        let mut statements: Vec<(usize, Vec<Value>)> = Vec::new();
        while statements.len() < STATEMENTS {
            let values: Vec<Value> = rows.by_ref().take(ROWS).flatten().collect();
            if values.is_empty() {
                break;
            }
            statements.push((values.len() / width, values));
        }
        if statements.is_empty() {
            return Ok(());
        }
        transact!(db, tx => {
            for (count, values) in &statements {
                let sql = format!("INSERT INTO {columns} VALUES {}", vec![row.as_str(); *count].join(","));
                tx.execute(sql, values.clone()).await?;
            }
            Ok::<_, DbError>(())
        })?;
    }
}

/// Deletes what was reported since, so that every round finds the same table.
pub async fn clean(db: &Db, seeded: &Seeded) -> Result {
    let mut families: Vec<FamilyId> = seeded.users.iter().map(|user| user.family).collect();
    families.dedup();
    transact!(db, tx => {
        for family in &families {
            tx.execute("DELETE FROM home_status WHERE family_id = ? AND reported_at >= ?", params![*family, seeded.end]).await?;
        }
        Ok::<_, DbError>(())
    })?;
    Ok(())
}
