//! Signs of life.

use carebot_external::ping::Ping;

use crate::prelude::*;

const PATIENT: Duration = Duration::from_secs(20);

fn ping(base: &str) -> Ping {
    Ping::new(&Key(format!("{base}/s3cr3t?rid=1"))).expect("an address")
}

#[tokio::test]
async fn a_sign_of_life_is_one_request_to_the_very_address() {
    let receiver = Provider::start(|_| Play::Answer(200, "text/plain", b"OK".to_vec())).await;
    assert_eq!(ping(&receiver.url()).send(PATIENT).await, Ok(()));
    let [asked] = &receiver.asked()[..] else { panic!("one request") };
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("GET", "/s3cr3t?rid=1"));
}

type Is = fn(&ProviderError) -> bool;

#[tokio::test]
async fn what_is_no_yes_is_told_without_the_address() {
    let receiver = Provider::start(|_| Play::HangUp).await;
    let plays: [(Play, Is); 5] = [
        (Play::Answer(404, "text/plain", b"/s3cr3t".to_vec()), |error| {
            matches!(error, ProviderError::Refused { status: 404, .. })
        }),
        (Play::Answer(500, "text/plain", vec![]), |error| matches!(error, ProviderError::Refused { status: 500, .. })),
        (Play::Answer(302, "text/plain\r\nlocation: /elsewhere", vec![]), |error| {
            matches!(error, ProviderError::Refused { status: 302, .. })
        }),
        (Play::Silence, |error| *error == ProviderError::TimedOut),
        (Play::HangUp, |error| matches!(error, ProviderError::Unreachable(_))),
    ];
    for (play, is_so) in plays {
        let patience = if matches!(play, Play::Silence) { Duration::from_secs(2) } else { PATIENT };
        receiver.plays(move |_| play.clone());
        let error = ping(&receiver.url()).send(patience).await.expect_err("no yes");
        assert!(is_so(&error) && !error.to_string().contains("s3cr3t"), "{error:?}");
    }
    assert_eq!(receiver.count(), 5, "no redirect is followed, nothing is tried again");
}

#[test]
fn only_a_web_address_is_one_and_none_shows_its_path() {
    let ping = ping("https://hc.example:8443");
    assert_eq!((ping.host(), format!("{ping:?}").as_str()), ("hc.example", "Ping of hc.example"));
    for wrong in ["", "hc.example/s3cr3t", "ftp://hc.example/s3cr3t", "https://"] {
        let error = Ping::new(&Key(wrong.to_owned())).expect_err("no address");
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
    }
}
