//! People and reports to test with, made in a line. All of them are invented.
//!
//! ```
//! # mod a_file_of_tests {
//! use carebot_database::status;
//! use carebot_model::status::Home;
//! use carebot_testkit::{both_engines, fixtures::{permit, sample}};
//!
//! both_engines! {
//!     async fn what_was_reported_last_is_the_latest(t: TestDb) {
//!         let house = t.household().await;
//!         t.report(house.family, sample::<Home>(1)).await;
//!         let newest = status::latest::<Home>(&mut t.db.read(), &permit(house.family)).await.unwrap();
//!         assert_eq!(newest.unwrap().fields, sample::<Home>(1));
//!     }
//! }
//! # }
//! ```

use std::convert::Infallible;

use carebot_database::authentication::NewSession;
use carebot_database::members::NewMember;
use carebot_database::status::NewReport;
use carebot_database::{accounts, authentication, families, members, status, transact};
use carebot_model::access::{Action, Permit, Relation, Relations};
use carebot_model::accounts::{Gender, NewAccount, Role};
use carebot_model::members::Position;
use carebot_model::status::{FieldSource, StatusKind};
use carebot_model::text::{Address, Email, Name};
use carebot_model::{AccountId, Date, FamilyId, MemberId, RowId, Timestamp};

use crate::TestDb;
use crate::database::START;

/// Texts that a database might spoil: other scripts, directions and planes, NUL, quotes, wildcards, blanks at the ends.
/// Each has at most 32 code points, so that it fits every column.
pub const TEXTS: &[&str] = &[
    "할머니, 점심 드셨어요?",
    "각 각 (decomposed, composed)",
    "👵🏻👨‍👩‍👧‍👦🇰🇷\u{10FFFF}",
    "مرحبا \u{202E}שלום\u{202C} abc",
    "a\0b\0",
    "'; DROP TABLE accounts; -- ",
    "\\ \" ' ` % _ ? :a $1 {{id}}",
    "  blanks at both ends  ",
    "tab\tline\r\nend\u{1b}\u{7f}\u{feff}",
    "",
];

/// The hash that every account of [`TestDb::account`] has; no password has it.
pub const PASSWORD_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$aW52ZW50ZWQ$bm8gcGFzc3dvcmQgaGFzIHRoaXMgaGFzaA";

/// An elder, the elder's family and one approved guardian.
#[derive(Clone, Copy, Debug)]
pub struct Household {
    /// The elder's account.
    pub elder: AccountId,
    /// The family.
    pub family: FamilyId,
    /// The guardian's account.
    pub guardian: AccountId,
    /// The guardian's membership.
    pub member: MemberId,
}

/// What a data function asks for, as an operator gets it.
///
/// # Panics
/// Never: this action is everybody's, and data functions do not ask which one was allowed.
pub fn permit<R>(resource: R) -> Permit<R> {
    let asked = Permit::ask(Relations::of(Relation::System), Action::ServerRead, resource);
    asked.unwrap_or_else(|_| panic!("operators may"))
}

/// A new account's data with an address nobody has.
///
/// # Panics
/// Never: the address is one.
pub fn new_account(t: &TestDb, role: Role, name: &str) -> NewAccount {
    NewAccount {
        email: Email::parse(&format!("person-{:016x}@example.com", t.rng.next())).expect("an address"),
        role,
        user_name: Some(Name::new(name.to_owned())),
        birth_date: Date::new(1945, 3, 1),
        gender: Gender::Female,
        address: Some(Address::new("경기도 수원시".to_owned())),
    }
}

impl TestDb {
    /// An account.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn account(&self, role: Role, name: &str) -> AccountId {
        let new = new_account(self, role, name);
        transact!(self.db, tx => { accounts::create(&mut tx, &new, PASSWORD_HASH, self.now(), &*self.rng).await })
            .expect("the account is made")
    }

    /// An elder without a family.
    pub async fn elder(&self) -> AccountId {
        self.account(Role::Main, "김순자").await
    }

    /// A guardian without a family.
    pub async fn guardian(&self) -> AccountId {
        self.account(Role::Sub, "이민준").await
    }

    /// The family of an elder.
    pub async fn family_of(&self, elder: AccountId) -> FamilyId {
        let name = Name::new("순자네".to_owned());
        transact!(self.db, tx => { families::create(&mut tx, &permit(elder), Some(&name), self.now(), &*self.rng).await })
            .expect("the family is made")
    }

    /// An elder's family.
    pub async fn family(&self) -> FamilyId {
        let elder = self.elder().await;
        self.family_of(elder).await
    }

    /// A membership, approved at once, or a request for one.
    pub async fn join(&self, family: FamilyId, user: AccountId, approved_by: Option<AccountId>) -> MemberId {
        let new = NewMember {
            family,
            nickname: Some(Name::new("막내".to_owned())),
            position: Position::Guardian,
            approved_by,
        };
        transact!(self.db, tx => { members::create(&mut tx, &permit(user), &new, self.now(), &*self.rng).await })
            .expect("the membership is made")
    }

    /// An elder, the elder's family and one approved guardian.
    pub async fn household(&self) -> Household {
        let elder = self.elder().await;
        let family = self.family_of(elder).await;
        let guardian = self.guardian().await;
        let member = self.join(family, guardian, Some(elder)).await;
        Household { elder, family, guardian, member }
    }

    /// A session: its clear token and its number.
    pub async fn session(&self, account: AccountId, is_main: bool) -> (String, RowId) {
        let id = self.id();
        let new = NewSession { id, account, is_main, label: Some("a browser".to_owned()) };
        let token =
            transact!(self.db, tx => { authentication::create_session(&mut tx, &new, self.now(), &*self.rng).await })
                .expect("the session is made");
        (token, id)
    }

    /// A report of now that is not stored yet.
    pub fn new_report<K: StatusKind>(&self, fields: K) -> NewReport<K> {
        NewReport { id: self.id(), reported_at: self.now(), received_at: self.now(), source_key: None, fields }
    }

    /// A report of now.
    pub async fn report<K: StatusKind>(&self, family: FamilyId, fields: K) -> NewReport<K> {
        self.report_at(family, self.now(), fields).await
    }

    /// A report of a time.
    ///
    /// # Panics
    /// When the database fails; so does everything here that stores something.
    pub async fn report_at<K: StatusKind>(&self, family: FamilyId, at: Timestamp, fields: K) -> NewReport<K> {
        let report = NewReport { reported_at: at, ..self.new_report(fields) };
        status::append(&self.db, &permit(family), &report).await.expect("the report is stored");
        report
    }
}

/// A report with every field filled, other ones for every number. A report of a period covers the second that is `number`
/// seconds after [`START`].
pub fn sample<K: StatusKind>(number: i32) -> K {
    let Ok(fields) = K::read(&mut Sample { number, column: 0 });
    fields
}

/// A report of which no field is known.
pub fn blank<K: StatusKind>() -> K {
    let Ok(fields) = K::read(&mut Blank);
    fields
}

/// Makes the fields up, whatever the kind: a new kind needs nothing here.
struct Sample {
    number: i32,
    column: i32,
}

impl Sample {
    fn next(&mut self) -> i32 {
        self.column += 1;
        self.number + self.column
    }
}

impl FieldSource for Sample {
    type Error = Infallible;
    fn real(&mut self, _: &'static str) -> Result<Option<f64>, Infallible> {
        Ok(Some(f64::from(self.next()) + 0.1))
    }
    fn int(&mut self, _: &'static str) -> Result<Option<i32>, Infallible> {
        Ok(Some(self.next()))
    }
    fn rounded(&mut self, column: &'static str) -> Result<Option<i32>, Infallible> {
        self.int(column)
    }
    fn flag(&mut self, _: &'static str) -> Result<Option<bool>, Infallible> {
        Ok(Some(self.next() % 2 == 0))
    }
    fn short_text(&mut self, column: &'static str) -> Result<Option<String>, Infallible> {
        Ok(Some(format!("{column} {} 산책", self.next())))
    }
    fn long_text(&mut self, column: &'static str) -> Result<Option<String>, Infallible> {
        self.short_text(column)
    }
    fn time(&mut self, _: &'static str) -> Result<Option<Timestamp>, Infallible> {
        // The first time of a kind is where its period starts, the next where it ends.
        let end = if self.next() > self.number + 1 { 999 } else { 0 };
        Ok(Some(Timestamp::from_millis(START + i64::from(self.number) * 1000 + end)))
    }
    fn date(&mut self, _: &'static str) -> Result<Option<Date>, Infallible> {
        Ok(Date::new(2026, 3, i64::from(self.next().rem_euclid(28)) + 1))
    }
}

struct Blank;

impl FieldSource for Blank {
    type Error = Infallible;
    fn real(&mut self, _: &'static str) -> Result<Option<f64>, Infallible> {
        Ok(None)
    }
    fn int(&mut self, _: &'static str) -> Result<Option<i32>, Infallible> {
        Ok(None)
    }
    fn rounded(&mut self, _: &'static str) -> Result<Option<i32>, Infallible> {
        Ok(None)
    }
    fn flag(&mut self, _: &'static str) -> Result<Option<bool>, Infallible> {
        Ok(None)
    }
    fn short_text(&mut self, _: &'static str) -> Result<Option<String>, Infallible> {
        Ok(None)
    }
    fn long_text(&mut self, _: &'static str) -> Result<Option<String>, Infallible> {
        Ok(None)
    }
    fn time(&mut self, _: &'static str) -> Result<Option<Timestamp>, Infallible> {
        Ok(None)
    }
    fn date(&mut self, _: &'static str) -> Result<Option<Date>, Infallible> {
        Ok(None)
    }
}
