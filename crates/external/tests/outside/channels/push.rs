use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use carebot_external::channels::push::{Push, Subscription, VapidKey};
use carebot_testkit::provider::Asked;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::{PublicKey, SecretKey};
use ring::{aead, hkdf, signature};

use super::*;

const CONTACT: &str = "mailto:care@example.org";

/// What a browser keeps of a subscription.
struct Browser {
    private: SecretKey,
    auth: [u8; 16],
}

impl Browser {
    fn new() -> Self {
        Self { private: SecretKey::from_slice(&[0x17; 32]).expect("a key"), auth: [0x2a; 16] }
    }

    fn public(&self) -> Vec<u8> {
        self.private.public_key().to_sec1_point(false).as_bytes().to_vec()
    }

    fn subscribe(&self, provider: &Provider) -> Subscription {
        let endpoint = format!("{}/push/{SECRET_PATH}", provider.url());
        let p256dh = BASE64.encode(self.public());
        Subscription::new(&endpoint, &p256dh, &BASE64.encode(self.auth), OPEN).expect("a subscription")
    }

    /// Reads a message as RFC 8291 tells a browser to. It shares no code with the sender, not even the curve.
    fn read(&self, message: &[u8]) -> Vec<u8> {
        let (salt, rest) = message.split_at(16);
        let (size, rest) = rest.split_at(4);
        let size = u32::from_be_bytes(size.try_into().expect("four bytes")) as usize;
        let (theirs, record) = rest[1..].split_at(usize::from(rest[0]));
        assert!(record.len() <= size, "one record");
        let their_key = PublicKey::from_sec1_bytes(theirs).expect("a point");
        let shared = p256::ecdh::diffie_hellman(self.private.to_nonzero_scalar(), their_key.as_affine());
        let ours = self.public();
        let material = derive(&self.auth, shared.raw_secret_bytes(), &[b"WebPush: info\0", &ours, theirs], 32);
        let key = derive(salt, &material, &[b"Content-Encoding: aes128gcm\0"], 16);
        let nonce = derive(salt, &material, &[b"Content-Encoding: nonce\0"], 12);
        let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_128_GCM, &key).expect("a key"));
        let nonce = aead::Nonce::try_assume_unique_for_key(&nonce).expect("a nonce");
        let mut record = record.to_vec();
        let text = key.open_in_place(nonce, aead::Aad::empty(), &mut record).expect("it is for us");
        let end = text.iter().rposition(|byte| *byte != 0).expect("a delimiter");
        assert_eq!(text[end], 2, "the last record");
        text[..end].to_vec()
    }
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive(salt: &[u8], material: &[u8], info: &[&[u8]], length: usize) -> Vec<u8> {
    let mut derived = vec![0; length];
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(material);
    extracted.expand(info, Length(length)).and_then(|okm| okm.fill(&mut derived)).expect("derived bytes");
    derived
}

fn push(policy: Policy, timeouts: Timeouts) -> Push {
    Push::new(VapidKey::generate().expect("a key"), CONTACT, policy, timeouts).expect("push")
}

async fn send(provider: &Provider, timeouts: Timeouts) -> Result<(), Undelivered> {
    push(OPEN, timeouts).send(&Browser::new().subscribe(provider), &notice(), now()).await
}

/// The claims of a token that the named key really signed.
fn claims(asked: &Asked, public_key: &str) -> Value {
    let value = asked.header("authorization").expect("a token").strip_prefix("vapid t=").expect("VAPID");
    let (token, key) = value.split_once(", k=").expect("a key");
    assert_eq!(key, public_key);
    let (signed, signature) = token.rsplit_once('.').expect("a signature");
    let key = BASE64.decode(key).expect("base64url");
    signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, key)
        .verify(signed.as_bytes(), &BASE64.decode(signature).expect("base64url"))
        .expect("the signature fits");
    let (head, claims) = signed.split_once('.').expect("a head");
    let part =
        |text: &str| -> Value { serde_json::from_slice(&BASE64.decode(text).expect("base64url")).expect("JSON") };
    assert_eq!(part(head), json!({"typ": "JWT", "alg": "ES256"}));
    part(claims)
}

/// So what it reads of ours is right, too.
#[test]
fn the_browser_of_these_tests_reads_the_example_of_the_rfc() {
    let decoded = |text: &str| BASE64.decode(text).expect("base64url");
    let private = SecretKey::from_slice(&decoded("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94")).expect("a key");
    let browser = Browser { private, auth: decoded("BTBZMqHH6r4Tts7J_aSIgg").try_into().expect("16 bytes") };
    let message = decoded(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru\
         3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN",
    );
    assert_eq!(browser.read(&message), b"When I grow up, I want to be a watermelon");
}

#[tokio::test]
async fn a_push_service_is_handed_what_only_the_browser_can_read() {
    let provider = Provider::start(|_| Play::Answer(201, "text/plain", Vec::new())).await;
    let (browser, push) = (Browser::new(), push(OPEN, patient()));
    let to = browser.subscribe(&provider);
    let quiet = Notice { is_urgent: false, link: None, body: "가".repeat(3_000), ..notice() };
    for notice in [&notice(), &notice(), &quiet] {
        assert_eq!(push.send(&to, notice, now()).await, Ok(()));
    }
    let asked = provider.asked();
    for asked in &asked {
        assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/push/s3cr3t-p4th"));
        assert_eq!(asked.header("content-encoding"), Some("aes128gcm"));
        assert_eq!(asked.header("topic"), Some("alarm-1772463000000"));
        let expected = json!({"aud": provider.url(), "exp": now().millis() / 1000 + 12 * 60 * 60, "sub": CONTACT});
        assert_eq!(claims(asked, &push.public_key()), expected);
    }
    let told = |asked: &Asked| -> Value { serde_json::from_slice(&browser.read(&asked.body)).expect("JSON") };
    let expected = json!({
        "id": notice().id, "title": notice().title, "body": notice().body, "link": notice().link,
        "topic": notice().topic, "at": now().millis() - 600_000, "urgent": true, "data": notice().data,
    });
    assert_eq!((told(&asked[0]), told(&asked[1])), (expected.clone(), expected));
    assert_ne!(asked[0].body, asked[1].body, "no key is used twice");
    assert_eq!((asked[0].header("ttl"), asked[0].header("urgency")), (Some("86400"), Some("high")));
    assert_eq!((asked[2].header("ttl"), asked[2].header("urgency")), (Some("3600"), Some("normal")));
    let shortened = told(&asked[2]);
    assert!(shortened["body"].as_str().is_some_and(|body| body.len() > 3_000 && body.ends_with("가…")));
    assert_eq!((&shortened["urgent"], &shortened["link"]), (&json!(false), &Value::Null));
    assert_eq!((asked[0].body.len(), asked[2].body.len()), (512, 4_096), "lengths tell little");
}

#[tokio::test]
async fn a_status_says_whether_the_subscription_is_over() {
    let provider = Provider::start(|_| Play::HangUp).await;
    let later = Means::Later(Some(120));
    let cases = [
        (200, Means::Delivered),
        (201, Means::Delivered),
        (202, Means::Delivered),
        (301, Means::Refused),
        (307, Means::Refused),
        (400, Means::Refused),
        (401, Means::Refused),
        (403, Means::Refused),
        (404, Means::Gone),
        (410, Means::Gone),
        (413, Means::Refused),
        (429, later),
        (500, later),
        (502, later),
        (503, later),
    ];
    for (count, (status, expected)) in cases.into_iter().enumerate() {
        let kind = if status / 100 == 3 { ELSEWHERE } else { WAIT };
        provider.plays(move |_| Play::Answer(status, kind, b"said".to_vec()));
        assert_eq!(meaning(&send(&provider, patient()).await), expected, "{status}");
        assert_eq!(provider.count(), count + 1, "{status}: asked once, and nobody else");
    }
}

#[tokio::test]
async fn a_push_service_that_does_not_answer_is_tried_later() {
    let provider = Provider::start(|_| Play::Silence).await;
    assert_eq!(meaning(&send(&provider, impatient()).await), Means::Later(None));
    provider.plays(|_| Play::HangUp);
    assert_eq!(meaning(&send(&provider, patient()).await), Means::Later(None));
    let (browser, push) = (Browser::new(), push(OPEN, patient()));
    let to = browser.subscribe(&provider);
    drop(provider);
    assert_eq!(meaning(&push.send(&to, &notice(), now()).await), Means::Later(None));
}

#[tokio::test]
async fn a_subscription_is_judged_again_before_every_call() {
    let provider = Provider::start(|_| Play::json("{}")).await;
    let to = Browser::new().subscribe(&provider);
    assert_eq!(meaning(&push(STRICT, patient()).send(&to, &notice(), now()).await), Means::Refused);
    assert_eq!(provider.count(), 0);
}

#[tokio::test]
async fn a_topic_that_a_push_service_would_refuse_is_replaced_by_its_hash() {
    let provider = Provider::start(|_| Play::json("{}")).await;
    let (browser, push) = (Browser::new(), push(OPEN, patient()));
    for topic in ["x".repeat(33), "알람\r\nx-forged: 1".to_owned(), String::new()] {
        let notice = Notice { topic, ..notice() };
        assert_eq!(push.send(&browser.subscribe(&provider), &notice, now()).await, Ok(()));
    }
    let asked = provider.asked();
    let mut topics: Vec<_> = asked.iter().map(|asked| asked.header("topic").expect("a topic")).collect();
    assert!(topics.iter().all(|topic| topic.len() == 32), "{topics:?}");
    topics.dedup();
    assert_eq!(topics.len(), 3);
    assert!(asked.iter().all(|asked| asked.header("x-forged").is_none()));
}

#[tokio::test]
async fn nothing_of_a_subscription_is_shown_but_its_host() {
    let provider = Provider::start(|_| Play::HangUp).await;
    let (browser, push) = (Browser::new(), push(OPEN, impatient()));
    let to = browser.subscribe(&provider);
    let mut shown = vec![format!("{to:?} {push:?}")];
    for play in [Play::Answer(400, "text/plain", SECRET_PATH.into()), Play::HangUp, Play::Silence] {
        provider.plays(move |_| play.clone());
        let error = push.send(&to, &notice(), now()).await.expect_err("nobody took it");
        shown.push(format!("{error} {error:?}"));
    }
    for shown in shown {
        assert!(shown.contains("127.0.0.1"), "{shown}");
        for hidden in [SECRET_PATH, &to.auth().0, "vapid", "낙상"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
}
