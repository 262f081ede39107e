use crate::prelude::*;

both_engines! {
    async fn only_an_elder_or_an_operator_talks_with_the_assistant(t: TestDb) {
        let app = TestApp::new(&t).await;
        let (house, system) = (app.house().await, app.system().await);
        app.call("POST /chats", ANYONE, json!({"session_id": "a conversation"})).await.is(
            422,
            concat!(
                r#"{"detail":{"type":"no data","loc":["body","user_id","message"],"message":"Password data is required","#,
                r#""input":{"user_id":null,"message":null,"session_id":"a conversation"}}}"#
            ),
        );
        let refused = r#"{"detail":{"type":"can not access","message":"You do not have permission","input":{"user_id":"ELDER","message":"심심해","session_id":null}}}"#;
        let body = json!({"user_id": house.elder.id, "message": "심심해"});
        app.call("POST /chats", ANYONE, body.clone()).await.is(403, refused);
        app.call("POST /chats", &house.guardian, body.clone()).await.is(403, refused);
        // A guardian does not talk with it in his own name either.
        app.call("POST /chats", &house.guardian, json!({"user_id": house.guardian.id, "message": "심심해"}))
            .await
            .forbids();
        let failed = concat!(
            r#"{"detail":{"type":"server error","message":"Failed to send chat","#,
            r#""input":{"user_id":"ELDER","message":"심심해","session_id":null},"request_id":"REQUEST"}}"#
        );
        app.call("POST /chats", &house.elder, body.clone()).await.is(500, failed);
        app.call("POST /chats", &system, body).await.is(500, failed);
    }
}
