use carebot_database::{families, notifications};
use carebot_model::notifications::{Grade, NewNotification, Notification};
use carebot_model::text::LongText;

use crate::prelude::*;

async fn create(t: &TestDb, family: FamilyId, grade: Grade, text: &str) -> Result<RowId, DbError> {
    let new = NewNotification {
        grade,
        description: LongText::parse(text.to_owned()),
        image_url: LongText::parse(text.to_owned()),
    };
    let id = t.id();
    transact!(t.db, tx => { notifications::create(&mut tx, &permit(family), id, &new, t.now()).await })
}

async fn mark_read(t: &TestDb, family: FamilyId, ids: &[RowId]) -> u64 {
    transact!(t.db, tx => { notifications::mark_read(&mut tx, &permit(family), ids).await }).unwrap()
}

async fn delete(t: &TestDb, id: RowId) -> bool {
    transact!(t.db, tx => { notifications::delete(&mut tx, &permit(id)).await }).unwrap()
}

fn ids(notifications: Vec<Notification>) -> Vec<RowId> {
    notifications.into_iter().map(|notification| notification.index).collect()
}

async fn list(t: &TestDb, family: FamilyId, range: Range, order: Order, limit: u32) -> Vec<RowId> {
    ids(notifications::list(&mut t.db.read(), &permit(family), range, order, limit).await.unwrap())
}

async fn unread(t: &TestDb, family: FamilyId, range: Range, order: Order, limit: u32) -> Vec<RowId> {
    ids(notifications::list_unread(&mut t.db.read(), &permit(family), range, order, limit).await.unwrap())
}

both_engines! {
    async fn a_notification_of_every_grade_is_read_back(t: TestDb) {
        let family = t.family().await;
        for grade in Grade::ALL {
            let id = create(&t, family, *grade, "넘어짐 감지").await.unwrap();
            let notification = Notification {
                index: id,
                family_id: family,
                created_at: t.now(),
                notification_grade: Some(*grade),
                description: Some("넘어짐 감지".to_owned()),
                is_read: false,
                image_url: Some("넘어짐 감지".to_owned()),
            };
            let tx = &mut t.db.read();
            assert_eq!(notifications::get(tx, id).await.unwrap(), Some(notification.clone()));
            assert_eq!(notifications::get_many(tx, &[RowId(1), id]).await.unwrap(), [notification]);
        }
    }

    async fn what_is_absent_is_none(t: TestDb) {
        let family = t.family().await;
        let tx = &mut t.db.read();
        assert_eq!(notifications::get(tx, RowId(1)).await.unwrap(), None);
        assert_eq!(notifications::get_many(tx, &[]).await.unwrap(), []);
        assert_eq!(mark_read(&t, family, &[]).await, 0);
        assert_eq!(mark_read(&t, family, &[RowId(1)]).await, 0);
        assert!(!delete(&t, RowId(1)).await);
        assert_eq!(list(&t, family, Range::ALL, Order::Ascending, 10).await, []);
        assert_eq!(unread(&t, family, Range::ALL, Order::Ascending, 10).await, []);
        let nothing = FamilyId::parse("F234567890123456").unwrap();
        assert!(matches!(create(&t, nothing, Grade::Info, "?").await, Err(DbError::MissingParent)));
    }

    async fn unread_ones_are_read_one_by_one_or_many_at_once(t: TestDb) {
        let (family, other) = (t.family().await, t.family().await);
        let mut made = Vec::new();
        for _ in 0..4 {
            made.push(create(&t, family, Grade::Warn, "!").await.unwrap());
        }
        let foreign = create(&t, other, Grade::Crit, "!").await.unwrap();
        assert_eq!(unread(&t, family, Range::ALL, Order::Ascending, 10).await, made);
        assert_eq!(mark_read(&t, family, &made[..1]).await, 1);
        assert_eq!(unread(&t, family, Range::ALL, Order::Ascending, 10).await, made[1..]);
        assert_eq!(mark_read(&t, family, &[made[1], made[2], foreign]).await, 2, "another family's is not marked");
        assert_eq!(unread(&t, family, Range::ALL, Order::Ascending, 10).await, made[3..]);
        assert_eq!(unread(&t, other, Range::ALL, Order::Ascending, 10).await, [foreign]);
        assert_eq!(mark_read(&t, family, &made).await, 4, "read ones count too");
        assert_eq!(list(&t, family, Range::ALL, Order::Descending, 10).await, [made[3], made[2], made[1], made[0]]);
        assert_eq!(list(&t, family, Range::ALL, Order::Descending, 2).await, [made[3], made[2]]);
    }

    async fn a_range_is_closed_to_the_second(t: TestDb) {
        let family = t.family().await;
        let start = t.now();
        let mut made = Vec::new();
        for millis in [9_999, 1, 2_999, 1] {
            t.advance(millis).await;
            made.push(create(&t, family, Grade::None, "!").await.unwrap());
        }
        let range = Range::seconds(start.plus_millis(10_999), start.plus_millis(12_000));
        assert_eq!(list(&t, family, range, Order::Ascending, 10).await, made[1..3]);
        assert_eq!(unread(&t, family, range, Order::Ascending, 10).await, made[1..3]);
    }

    async fn a_deleted_one_is_gone(t: TestDb) {
        let family = t.family().await;
        let id = create(&t, family, Grade::Info, "!").await.unwrap();
        assert!(delete(&t, id).await);
        assert!(!delete(&t, id).await);
        assert_eq!(notifications::get(&mut t.db.read(), id).await.unwrap(), None);
        assert_eq!(list(&t, family, Range::ALL, Order::Ascending, 10).await, []);
    }

    async fn notifications_end_with_their_family(t: TestDb) {
        let family = t.family().await;
        let id = create(&t, family, Grade::Info, "!").await.unwrap();
        assert!(transact!(t.db, tx => { families::delete(&mut tx, &permit(family), t.now()).await }).unwrap());
        assert_eq!(notifications::get(&mut t.db.read(), id).await.unwrap(), None);
        assert_eq!(notifications::get_many(&mut t.db.read(), &[id]).await.unwrap(), []);
        assert_eq!(list(&t, family, Range::ALL, Order::Ascending, 10).await, []);
        assert_eq!(unread(&t, family, Range::ALL, Order::Ascending, 10).await, []);
    }

    async fn every_text_comes_back_as_it_went_in(t: TestDb) {
        let family = t.family().await;
        let longest = "한".repeat(21_845);
        for text in TEXTS.iter().copied().chain([longest.as_str()]) {
            let id = create(&t, family, Grade::Info, text).await.unwrap();
            let notification = notifications::get(&mut t.db.read(), id).await.unwrap().unwrap();
            assert_eq!(notification.description.as_deref(), Some(text));
            assert_eq!(notification.image_url.as_deref(), Some(text));
        }
    }
}
