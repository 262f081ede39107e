use carebot_database::{accounts, messages};
use carebot_model::messages::{Message, NewMessage};
use carebot_model::text::LongText;

use crate::prelude::*;

fn text(content: &str) -> LongText {
    LongText::parse(content.to_owned()).expect("short enough")
}

async fn send(t: &TestDb, from: AccountId, to: AccountId, content: &str) -> Result<RowId, DbError> {
    let new = NewMessage { from_id: from, to_id: to, content: Some(text(content)), image_url: None };
    let id = t.id();
    transact!(t.db, tx => { messages::create(&mut tx, &permit(from), id, &new, t.now()).await })
}

async fn mark_read(t: &TestDb, account: AccountId, ids: &[RowId]) -> u64 {
    transact!(t.db, tx => { messages::mark_read(&mut tx, &permit(account), ids).await }).unwrap()
}

async fn delete(t: &TestDb, id: RowId) -> bool {
    transact!(t.db, tx => { messages::delete(&mut tx, &permit(id)).await }).unwrap()
}

fn ids(messages: Vec<Message>) -> Vec<RowId> {
    messages.into_iter().map(|message| message.index).collect()
}

#[derive(Clone, Copy)]
enum Box {
    Unread,
    Received,
    Sent,
}

async fn list(t: &TestDb, account: AccountId, which: Box, range: Range, order: Order, limit: u32) -> Vec<RowId> {
    let (tx, permit) = (&mut t.db.read(), &permit(account));
    ids(match which {
        Box::Unread => messages::list_unread(tx, permit, range, order, limit).await,
        Box::Received => messages::list_received(tx, permit, range, order, limit).await,
        Box::Sent => messages::list_sent(tx, permit, range, order, limit).await,
    }
    .unwrap())
}

async fn all(t: &TestDb, account: AccountId, which: Box) -> Vec<RowId> {
    list(t, account, which, Range::ALL, Order::Ascending, 100).await
}

both_engines! {
    async fn a_message_is_read_back(t: TestDb) {
        let (elder, guardian) = (t.elder().await, t.guardian().await);
        let id = send(&t, elder, guardian, "점심 먹었니?").await.unwrap();
        let message = Message {
            index: id,
            from_id: elder,
            to_id: guardian,
            created_at: t.now(),
            content: Some("점심 먹었니?".to_owned()),
            image_url: None,
            is_read: false,
            spoken_at: None,
        };
        let tx = &mut t.db.read();
        assert_eq!(messages::get(tx, id).await.unwrap(), Some(message.clone()));
        assert_eq!(messages::get_many(tx, &[id, RowId(id.0 + 1), id]).await.unwrap(), [message]);
    }

    async fn what_is_absent_is_none(t: TestDb) {
        let elder = t.elder().await;
        let tx = &mut t.db.read();
        assert_eq!(messages::get(tx, RowId(1)).await.unwrap(), None);
        assert_eq!(messages::get_many(tx, &[]).await.unwrap(), []);
        assert_eq!(messages::get_many(tx, &[RowId(1)]).await.unwrap(), []);
        assert_eq!(mark_read(&t, elder, &[]).await, 0);
        assert_eq!(mark_read(&t, elder, &[RowId(1)]).await, 0);
        assert!(!delete(&t, RowId(1)).await);
        for which in [Box::Unread, Box::Received, Box::Sent] {
            assert_eq!(all(&t, elder, which).await, []);
        }
    }

    async fn a_message_from_or_to_nobody_is_a_typed_error(t: TestDb) {
        let elder = t.elder().await;
        let nobody = AccountId::parse("U234567890123456").unwrap();
        assert!(matches!(send(&t, elder, nobody, "?").await, Err(DbError::MissingParent)));
        assert!(matches!(send(&t, nobody, elder, "?").await, Err(DbError::MissingParent)));
    }

    async fn the_boxes_hold_what_they_are_named_for(t: TestDb) {
        let (elder, guardian, other) = (t.elder().await, t.guardian().await, t.guardian().await);
        let one = send(&t, elder, guardian, "1").await.unwrap();
        t.advance(1_000).await;
        let two = send(&t, guardian, elder, "2").await.unwrap();
        let three = send(&t, other, elder, "3").await.unwrap();
        assert_eq!(all(&t, elder, Box::Sent).await, [one]);
        assert_eq!(all(&t, elder, Box::Received).await, [two, three], "of the same time by number");
        assert_eq!(all(&t, elder, Box::Unread).await, [two, three]);
        assert_eq!(list(&t, elder, Box::Unread, Range::ALL, Order::Descending, 100).await, [three, two]);
        assert_eq!(list(&t, elder, Box::Received, Range::ALL, Order::Descending, 1).await, [three]);
        assert_eq!(list(&t, elder, Box::Received, Range::ALL, Order::Ascending, 1).await, [two]);

        assert_eq!(mark_read(&t, elder, &[two]).await, 1);
        assert_eq!(all(&t, elder, Box::Unread).await, [three]);
        assert_eq!(all(&t, elder, Box::Received).await, [two, three]);
        assert_eq!(all(&t, guardian, Box::Sent).await, [two]);
        assert!(messages::get(&mut t.db.read(), two).await.unwrap().unwrap().is_read);
    }

    async fn a_range_is_closed_to_the_second(t: TestDb) {
        let (elder, guardian) = (t.elder().await, t.guardian().await);
        let start = t.now();
        let mut sent = Vec::new();
        for millis in [9_999, 1, 2_999, 1] {
            t.advance(millis).await;
            sent.push(send(&t, elder, guardian, "!").await.unwrap());
        }
        let range = Range::seconds(start.plus_millis(10_500), start.plus_millis(12_000));
        for (account, which) in [(guardian, Box::Unread), (guardian, Box::Received), (elder, Box::Sent)] {
            assert_eq!(list(&t, account, which, range, Order::Ascending, 100).await, sent[1..3]);
        }
    }

    async fn only_the_receiver_reads_and_one_statement_reads_many(t: TestDb) {
        let (elder, guardian) = (t.elder().await, t.guardian().await);
        let mut sent = Vec::new();
        for _ in 0..5 {
            sent.push(send(&t, elder, guardian, "!").await.unwrap());
        }
        assert_eq!(mark_read(&t, elder, &sent).await, 0, "the sender does not read them");
        assert_eq!(mark_read(&t, guardian, &sent[..2]).await, 2);
        assert_eq!(mark_read(&t, guardian, &sent).await, 5, "read ones count too");
        assert_eq!(all(&t, guardian, Box::Unread).await, []);
    }

    async fn a_message_is_noted_as_spoken_once_and_only_for_its_receiver(t: TestDb) {
        let (elder, guardian) = (t.elder().await, t.guardian().await);
        let id = send(&t, guardian, elder, "점심 드셨어요?").await.unwrap();
        let spoken = async |whose: AccountId, id: RowId| {
            transact!(t.db, tx => { messages::mark_spoken(&mut tx, &permit(whose), id, t.now()).await }).unwrap()
        };
        let at = t.now();
        assert!(!spoken(guardian, id).await);
        assert!(!spoken(elder, RowId(id.0 + 1)).await);
        assert!(spoken(elder, id).await);
        t.advance(60_000).await;
        assert!(!spoken(elder, id).await, "it was before");
        let message = messages::get(&mut t.db.read(), id).await.unwrap().unwrap();
        assert_eq!((message.spoken_at, message.is_read), (Some(at), false));
    }

    async fn a_deleted_message_is_gone_for_both(t: TestDb) {
        let (elder, guardian) = (t.elder().await, t.guardian().await);
        let id = send(&t, elder, guardian, "!").await.unwrap();
        assert!(delete(&t, id).await);
        assert!(!delete(&t, id).await);
        assert_eq!(messages::get(&mut t.db.read(), id).await.unwrap(), None);
        assert_eq!(all(&t, guardian, Box::Received).await, []);
        assert_eq!(all(&t, elder, Box::Sent).await, []);
    }

    async fn messages_end_with_the_account_of_either(t: TestDb) {
        for sender_goes in [true, false] {
            let (elder, guardian) = (t.elder().await, t.guardian().await);
            let id = send(&t, elder, guardian, "!").await.unwrap();
            let gone = if sender_goes { elder } else { guardian };
            assert!(transact!(t.db, tx => { accounts::delete(&mut tx, &permit(gone), t.now()).await }).unwrap());
            assert_eq!(messages::get(&mut t.db.read(), id).await.unwrap(), None);
            assert_eq!(messages::get_many(&mut t.db.read(), &[id]).await.unwrap(), []);
            assert_eq!(all(&t, guardian, Box::Received).await, []);
            assert_eq!(all(&t, guardian, Box::Unread).await, []);
            assert_eq!(all(&t, elder, Box::Sent).await, []);
        }
    }

    async fn every_text_comes_back_as_it_went_in(t: TestDb) {
        let (elder, guardian) = (t.elder().await, t.guardian().await);
        let longest = "한".repeat(21_845);
        for content in TEXTS.iter().copied().chain([longest.as_str()]) {
            let text = Some(text(content));
            let new = NewMessage { from_id: elder, to_id: guardian, content: text.clone(), image_url: text };
            let id = t.id();
            transact!(t.db, tx => { messages::create(&mut tx, &permit(elder), id, &new, t.now()).await }).unwrap();
            let message = messages::get(&mut t.db.read(), id).await.unwrap().unwrap();
            assert_eq!(message.content.as_deref(), Some(content));
            assert_eq!(message.image_url.as_deref(), Some(content));
        }
    }
}
