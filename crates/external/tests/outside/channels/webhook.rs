use carebot_external::channels::webhook::{Event, Secret, Webhooks, verify};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

fn secret() -> Secret {
    Secret::generate([0x5a; 32])
}

async fn call(url: &str, policy: Policy, timeouts: Timeouts) -> Result<(), Undelivered> {
    let webhooks = Webhooks::new(policy, timeouts).expect("webhooks");
    webhooks.send(url, &secret(), &Event::of(&notice()), now()).await
}

fn secret_url(provider: &Provider) -> String {
    format!("{}/{SECRET_PATH}?key=qu3ry", provider.url())
}

#[tokio::test]
async fn a_call_holds_what_it_was_given_and_a_signature_that_verifies() {
    let provider = Provider::start(|_| Play::Answer(204, "text/plain", Vec::new())).await;
    let webhooks = Webhooks::new(OPEN, patient()).expect("webhooks");
    let event = Event::of(&notice());
    for later in [0, 90_000] {
        let at = now().plus_millis(later);
        assert_eq!(webhooks.send(&secret_url(&provider), &secret(), &event, at).await, Ok(()));
    }
    let asked = provider.asked();
    assert_eq!(asked.len(), 2);
    for (asked, later) in asked.iter().zip([0, 90_000]) {
        assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/s3cr3t-p4th?key=qu3ry"));
        let header = |name: &str| asked.header(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(header("content-type"), "application/json");
        let (id, timestamp, signature) =
            (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
        assert_eq!(id, notice().id, "every try has the same");
        let at = now().plus_millis(later);
        assert_eq!(timestamp, (at.millis() / 1000).to_string());
        assert_eq!(verify(&secret(), id, timestamp, signature, &asked.body, at), Ok(()));
        assert!(verify(&secret(), id, timestamp, signature, &asked.body[1..], at).is_err());
        assert!(verify(&Secret::generate([1; 32]), id, timestamp, signature, &asked.body, at).is_err());
        let body: Value = serde_json::from_slice(&asked.body).expect("JSON");
        let expected = json!({
            "type": "alarm.notice",
            "timestamp": "2026-03-02T14:50:00.000Z",
            "data": {
                "topic": notice().topic, "title": notice().title, "body": notice().body, "link": notice().link,
                "urgent": true, "rule": "fall", "severity": "crit",
            },
        });
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn a_status_says_whether_to_come_again() {
    let provider = Provider::start(|_| Play::HangUp).await;
    let later = Means::Later(Some(120));
    let cases = [
        (200, Means::Delivered),
        (201, Means::Delivered),
        (202, Means::Delivered),
        (204, Means::Delivered),
        (299, Means::Delivered),
        (300, Means::Refused),
        (304, Means::Refused),
        (400, Means::Refused),
        (401, Means::Refused),
        (403, Means::Refused),
        (404, Means::Refused),
        (408, later),
        (409, later),
        (410, Means::Gone),
        (413, Means::Refused),
        (422, Means::Refused),
        (425, later),
        (429, later),
        (500, later),
        (502, later),
        (503, later),
        (504, later),
        (599, later),
    ];
    for (status, expected) in cases {
        provider.plays(move |_| Play::Answer(status, WAIT, b"said".to_vec()));
        assert_eq!(meaning(&call(&secret_url(&provider), OPEN, patient()).await), expected, "{status}");
    }
    provider.plays(|_| Play::Answer(503, "text/plain\r\nretry-after: Mon, 02 Mar 2026 15:30:00 GMT", Vec::new()));
    assert_eq!(meaning(&call(&secret_url(&provider), OPEN, patient()).await), Means::Later(Some(1_800)));
    provider.plays(|_| Play::Answer(503, "text/plain", Vec::new()));
    assert_eq!(meaning(&call(&secret_url(&provider), OPEN, patient()).await), Means::Later(None));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let provider = Provider::start(|_| Play::HangUp).await;
    for (count, status) in [301, 302, 303, 307, 308].into_iter().enumerate() {
        provider.plays(move |_| Play::Answer(status, ELSEWHERE, Vec::new()));
        assert_eq!(meaning(&call(&secret_url(&provider), OPEN, patient()).await), Means::Refused, "{status}");
        assert_eq!(provider.count(), count + 1);
    }
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_tried_later() {
    let provider = Provider::start(|_| Play::Silence).await;
    assert_eq!(meaning(&call(&secret_url(&provider), OPEN, impatient()).await), Means::Later(None));
    provider.plays(|_| Play::HangUp);
    assert_eq!(meaning(&call(&secret_url(&provider), OPEN, patient()).await), Means::Later(None));
    let gone = secret_url(&provider);
    drop(provider);
    assert_eq!(meaning(&call(&gone, OPEN, patient()).await), Means::Later(None));
    let nowhere = format!("http://no-such-host.invalid/{SECRET_PATH}");
    assert_eq!(meaning(&call(&nowhere, OPEN, patient()).await), Means::Later(None));
}

#[tokio::test]
async fn what_a_receiver_writes_does_not_matter() {
    let provider = Provider::start(|_| Play::HangUp).await;
    for play in [Play::Answer(200, "application/json", vec![0xff, 0xfe]), Play::CutShort(b"{".to_vec())] {
        provider.plays(move |_| play.clone());
        assert_eq!(call(&secret_url(&provider), OPEN, patient()).await, Ok(()));
    }
}

#[tokio::test]
async fn an_answer_without_end_is_hung_up_on() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a socket is free");
    let url = format!("http://{}/", listener.local_addr().expect("the socket has an address"));
    let written = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a call");
        let mut request = Vec::new();
        while !request.ends_with(b"}}") {
            assert_ne!(stream.read_buf(&mut request).await.expect("a request"), 0);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("the head is read");
        let mut written = 0_usize;
        while let Ok(more) = stream.write(&[b'x'; 4_096]).await {
            written += more;
        }
        written
    });
    assert_eq!(call(&url, OPEN, patient()).await, Ok(()));
    // What the system holds in between is some megabytes.
    let written = written.await.expect("it ends");
    assert!(written < 64 << 20, "{written} bytes");
}

#[tokio::test]
async fn no_address_leads_inside_in_any_spelling() {
    let provider = Provider::start(|_| Play::json("{}")).await;
    let port = provider.url().rsplit(':').next().expect("a port").to_owned();
    let hosts = [
        "localhost",
        "LocalHost.",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
    ];
    for host in hosts {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/{SECRET_PATH}");
            let result = call(&url, STRICT, patient()).await;
            assert_eq!(meaning(&result), Means::Refused, "{url}");
            assert!(!format!("{result:?}").contains(SECRET_PATH), "{result:?}");
        }
    }
    assert_eq!(provider.count(), 0);
    assert_eq!(call(&format!("http://localhost:{port}/"), OPEN, patient()).await, Ok(()));
    assert_eq!(provider.count(), 1);
}

#[tokio::test]
async fn a_reason_names_the_host_and_nothing_secret() {
    let provider = Provider::start(|_| Play::HangUp).await;
    let echo = |status| {
        move |asked: &carebot_testkit::provider::Asked| {
            Play::Answer(status, "text/plain", [asked.target.as_bytes(), &asked.body].concat())
        }
    };
    let mut reasons = Vec::new();
    for status in [302, 400, 403, 500] {
        provider.plays(echo(status));
        reasons.push(call(&secret_url(&provider), OPEN, patient()).await);
    }
    for play in [Play::Silence, Play::HangUp] {
        provider.plays(move |_| play.clone());
        reasons.push(call(&secret_url(&provider), OPEN, impatient()).await);
    }
    let url = secret_url(&provider);
    drop(provider);
    reasons.push(call(&url, OPEN, patient()).await);
    // Garbage instead of TLS.
    let other = Provider::start(|_| Play::HangUp).await;
    reasons.push(call(&secret_url(&other).replace("http:", "https:"), OPEN, impatient()).await);
    for result in reasons {
        let error = result.expect_err("nobody took it");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("127.0.0.1"), "{shown}");
        for hidden in [SECRET_PATH, "qu3ry", "whsec", "WlpaWlpa", "낙상", "김영희"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
}

#[tokio::test]
async fn an_id_that_is_no_name_is_replaced_by_its_hash_every_time() {
    let provider = Provider::start(|_| Play::json("{}")).await;
    let webhooks = Webhooks::new(OPEN, patient()).expect("webhooks");
    let event = Event { id: "알람 17\r\nx-forged: 1".into(), ..Event::of(&notice()) };
    for _ in 0..2 {
        assert_eq!(webhooks.send(&secret_url(&provider), &secret(), &event, now()).await, Ok(()));
    }
    let asked = provider.asked();
    let ids: Vec<_> = asked.iter().map(|asked| asked.header("webhook-id").expect("an id")).collect();
    assert!(ids[0] == ids[1] && ids[0].len() == 43, "{ids:?}");
    assert_eq!(asked[0].header("x-forged"), None);
}
