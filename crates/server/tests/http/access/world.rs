//! The people whom the walk asks with, and what they stand towards.

use carebot_database::images::{NewReference, Viewer};
use carebot_database::members::NewMember;
use carebot_database::{images, members, messages, notifications, params, tools, transact};
use carebot_model::access::{Relation, Relations};
use carebot_model::images::Source;
use carebot_model::members::Position;
use carebot_model::messages::NewMessage;
use carebot_model::notifications::{Grade, NewNotification};
use carebot_model::status::{Active, Health, Home, Mental, MentalReport};
use carebot_model::{AccountId, FamilyId, MemberId, RowId, Timestamp};
use carebot_testkit::fixtures::{permit, sample};

use crate::prelude::*;

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Nothing in particular, or the caller.
    Nothing,
    /// The family.
    Family,
    /// Somebody's account, and what belongs to it.
    Account,
    /// The account of a guardian without a family.
    Joiner,
    /// The account of an elder without a family.
    Founder,
    /// The guardian's membership.
    Membership,
    /// A request to join the family.
    JoinRequest,
    /// A picture of an account.
    Picture,
}

/// Who calls, and about whom.
pub struct At {
    /// Who calls; nobody is anonymous.
    pub caller: Option<Person>,
    /// The account the request is about, or the family's elder.
    pub target: Person,
    /// How the caller stands towards what the request is about.
    pub relations: Relations,
}

/// A family and everybody around it, untouched.
pub struct World<'a> {
    pub app: &'a TestApp,
    pub family: FamilyId,
    /// The membership of the guardian.
    pub member: MemberId,
    /// The request of the asker.
    pub request: MemberId,
    pub notification: RowId,
    pub image: RowId,
    /// What every account's picture is called.
    pub picture: &'static str,
    pub system: Person,
    pub elder: Person,
    pub guardian: Person,
    pub helper: Person,
    asker: Person,
    unapproved: Person,
    stranger: Person,
    /// Whom the elder's and the guardian's pictures were shown.
    shown: Person,
    joiner: Person,
    founder: Person,
    test: Person,
    /// A call for help of the elder.
    pub alarm: RowId,
    messages: Vec<(AccountId, RowId)>,
    devices: Vec<(AccountId, RowId)>,
    made: Timestamp,
}

impl<'a> World<'a> {
    pub async fn new(app: &'a TestApp) -> Self {
        // What belongs to this world is told by its time.
        app.advance(1000).await;
        let made = app.t.now();
        let house = app.house().await;
        let sub = |name| app.person(Role::Sub, name);
        let (helper, asker, unapproved) = (sub("HELPER").await, sub("ASKER").await, sub("UNAPPROVED").await);
        join(app, house.family, helper.id, Some(house.elder.id)).await;
        let request = join(app, house.family, asker.id, None).await;
        join(app, house.family, unapproved.id, None).await;
        let t = &app.t;
        t.report(house.family, sample::<Home>(1)).await;
        t.report(house.family, sample::<Health>(1)).await;
        t.report(house.family, sample::<Active>(1)).await;
        t.report(house.family, sample::<Mental>(1)).await;
        t.report(house.family, sample::<MentalReport>(1)).await;
        let (notification, image) = (t.id(), t.id());
        let new = NewNotification { grade: Grade::Info, description: None, image_url: None };
        let family = permit(house.family);
        transact!(t.db, tx => {
            notifications::create(&mut tx, &family, notification, &new, made).await?;
            tools::add_background(&mut tx, &family, image, house.guardian.id, None, made).await
        })
        .expect("the family gets a notification and a picture");
        let mut written = Vec::new();
        for (from, to) in [(&house.elder, &house.guardian), (&house.guardian, &house.elder)] {
            let (id, new) = (t.id(), NewMessage { from_id: from.id, to_id: to.id, content: None, image_url: None });
            transact!(t.db, tx => { messages::create(&mut tx, &permit(from.id), id, &new, made).await })
                .expect("a message");
            written.push((to.id, id));
        }
        let mut devices = Vec::new();
        for owner in [&house.elder, &house.guardian] {
            let body = crate::contacts::subscription(&format!("https://push.example.net/push/{}", owner.id));
            let id = app.call("POST /v1/push/subscriptions", owner, body).await.result()["id"].as_i64();
            devices.push((owner.id, RowId(id.expect("the device's number"))));
        }
        let alarm = app.call("POST /v1/alarms/sos", &house.elder, json!({})).await.result()["id"].as_i64();
        let shown = sub("SHOWN").await;
        for owner in [&house.elder, &house.guardian] {
            draw(app, owner, shown.id).await;
        }
        Self {
            app,
            family: house.family,
            member: house.member,
            request,
            notification,
            image,
            picture: PICTURE,
            shown,
            system: app.system().await,
            elder: house.elder,
            guardian: house.guardian,
            helper,
            asker,
            unapproved,
            stranger: sub("STRANGER").await,
            joiner: sub("JOINER").await,
            founder: app.person(Role::Main, "FOUNDER").await,
            test: app.person(Role::Test, "TEST").await,
            alarm: RowId(alarm.expect("the alarm's number")),
            messages: written,
            devices,
            made,
        }
    }

    /// A message that an account received; one of the elder's if it received none.
    pub fn message_to(&self, account: AccountId) -> RowId {
        let own = self.messages.iter().find(|(to, _)| *to == account);
        own.or_else(|| self.messages.iter().find(|(to, _)| *to == self.elder.id)).expect("the elder got one").1
    }

    /// A browser of an account; one of the elder's if it has none.
    pub fn device_of(&self, account: AccountId) -> RowId {
        let own = self.devices.iter().find(|(owner, _)| *owner == account);
        own.or_else(|| self.devices.first()).expect("the elder has one").1
    }

    /// Who stands in a relation to what a request is about; nothing if nobody can.
    pub fn at(&self, about: About, relation: Relation) -> Option<At> {
        let target = match (about, relation) {
            // Towards an account, `self` is a guardian and `main` an elder, each with his own.
            (About::Account | About::Picture, Relation::Own | Relation::WardOf) => &self.guardian,
            (About::Joiner, _) => &self.joiner,
            (About::Founder, _) => &self.founder,
            _ => &self.elder,
        };
        let one = Relations::of(relation);
        let (caller, relations) = match (about, relation) {
            (_, Relation::System) => (&self.system, one),
            (_, Relation::Stranger) => (&self.stranger, one),
            (About::Picture, Relation::Referred) => (&self.shown, one),
            (_, Relation::Test) => (&self.test, one),
            (_, Relation::Unapproved) => (&self.unapproved, one),
            (_, Relation::Anonymous) => return Some(At { caller: None, target: target.clone(), relations: one }),

            // Towards the elder's account a member is a guardian of it; nothing and a family are nobody's own account; a
            // founder is an elder, whom `main` stands for.
            (About::Account | About::Picture, Relation::Member)
            | (About::Nothing | About::Family | About::Founder, Relation::Own) => {
                return None;
            }

            (About::Account | About::Picture, Relation::Main) => (&self.elder, one.with(Relation::Own)),
            (About::Founder, Relation::Main) => (&self.founder, one.with(Relation::Own)),
            (_, Relation::Main) | (About::Account | About::Picture, Relation::WardOf) => (&self.elder, one),
            // Another member than the one it is about.
            (_, Relation::Member) => (&self.helper, one),
            (About::Account | About::Picture, Relation::Own | Relation::GuardianOf) => (&self.guardian, one),
            (About::Joiner, Relation::Own) => (&self.joiner, one),
            (About::Membership, Relation::Own) => (&self.guardian, one.with(Relation::Member)),
            (About::JoinRequest, Relation::Own) => (&self.asker, one.with(Relation::Unapproved)),
            // These are relations to an account that belongs to a family.
            (_, Relation::Referred | Relation::GuardianOf | Relation::WardOf) => return None,
        };
        Some(At { caller: Some(caller.clone()), target: target.clone(), relations })
    }

    /// Everything that a request could have changed in this world, but for the use of a session.
    pub async fn rows(&self) -> Vec<String> {
        let mut rows = Vec::new();
        let t = &self.app.t;
        for (columns, table) in [
            ("id, email, password_hash, role, user_name, birth_date, gender, address, deleted_at", "accounts"),
            ("id, main_user, family_name, deleted_at", "families"),
            ("id, nickname, approved_at, position, sort_order", "members"),
            ("id, is_remembered, revoked_at", "sessions"),
            ("id, content, is_read", "messages"),
            ("id, grade, is_read", "notifications"),
            ("id, image_url", "backgrounds"),
            ("id, file_name", "images"),
            ("id, endpoint", "push_subscriptions"),
        ] {
            let sql = format!("SELECT CONCAT_WS('|', {columns}) FROM {table} WHERE created_at >= ? ORDER BY id");
            let found = t.db.read().fetch(sql, params![self.made], |row| row.get::<String>(0)).await;
            rows.extend(found.expect("the table can be read"));
        }
        for table in [
            "home_status",
            "health_status",
            "active_status",
            "mental_status",
            "mental_reports",
            "settings",
            "alarms",
            "alarm_entries",
            "events",
            "rules",
            "ladders",
            "contact_channels",
        ] {
            let sql = format!("SELECT COUNT(*) FROM {table}");
            let count = t.db.read().fetch_one(sql, vec![], |row| row.get::<i64>(0)).await;
            rows.push(format!("{table} {}", count.expect("the table can be read")));
        }
        rows
    }
}

/// What every picture of this world is called.
const PICTURE: &str = "picture.png";

/// A picture of an account, and somebody whom it was shown.
async fn draw(app: &TestApp, owner: &Person, shown: AccountId) {
    let t = &app.t;
    app.request("POST /upload").by(owner).file("x.png", &crate::images::png(8, 8)).send().await.given("file_name");
    transact!(t.db, tx => {
        tx.execute("UPDATE images SET file_name = ? WHERE owner_id = ?", params![PICTURE, owner.id]).await?;
        let image = images::find(&mut tx, owner.id, PICTURE).await?.expect("it was uploaded");
        let reference = NewReference { id: t.id(), viewer: Viewer::Account(shown) };
        images::refer(&mut tx, image.id, (Source::Message, t.id()), &[reference]).await
    })
    .expect("it is shown");
}

async fn join(app: &TestApp, family: FamilyId, user: AccountId, approved_by: Option<AccountId>) -> MemberId {
    let t = &app.t;
    let new = NewMember { family, nickname: None, position: Position::Guardian, approved_by };
    transact!(t.db, tx => { members::create(&mut tx, &permit(user), &new, t.now(), &*t.rng).await })
        .expect("a membership")
}
