use carebot_database::contacts;
use carebot_model::alarms::Channel;

use crate::prelude::*;

both_engines! {
    async fn what_is_noted_of_a_channel_for_the_first_time_at_once_is_all_noted(t: TestDb) {
        for _ in 0..5 {
            let account = t.guardian().await;
            let note = || async { transact!(t.db, tx => { contacts::note_health(&mut tx, account, Channel::Email, Some("503"), t.now()).await }) };
            for noted in futures_util::future::join_all((0..6).map(|_| note())).await {
                noted.unwrap();
            }
            let health = contacts::health(&mut t.db.read(), account).await.unwrap();
            assert_eq!((health.len(), health[0].failures), (1, 6));
        }
    }
}
