//! Web push: notices to browsers and installed web apps, through the push service of each browser's maker.
//!
//! Sources: RFC 8030 (the protocol), RFC 8291 and RFC 8188 (encryption: the push service cannot read a notice), RFC 8292 (VAPID:
//! the push service knows who sends). The cryptography is composed of `ring`, which this program has for TLS already: the
//! library `web-push-native` would bring some thirty more packages, and cannot pad. `ring` makes keys from the system's
//! randomness only, so there is none among the arguments here.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::{BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use carebot_model::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{StatusCode, Url};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use ring::{aead, hkdf};
use serde_json::{Value, json};

use super::addresses::{BadAddress, Policy};
use super::{BadSetting, Notice, Poster, Timeouts, Undelivered, name};
use crate::Key;

/// The sizes that messages have on the way. Whoever sees them pass learns no more of their length.
const SIZES: [usize; 4] = [512, 1_024, 2_048, 4_096];
/// Of those bytes: salt, record size and public key before, the delimiter and the tag behind (RFC 8188, 2).
const OVERHEAD: usize = SALT + 4 + 1 + POINT + 1 + 16;
/// The most bytes that a notice has as JSON.
const LONGEST: usize = SIZES[SIZES.len() - 1] - OVERHEAD;
/// The bytes that a body must be left with before anything else is left out.
const LEAST_BODY: usize = 1_024;
/// The record size that is announced; every message is one record.
const RECORD: u32 = 4_096;
/// The length of a salt.
const SALT: usize = 16;
/// The length of a public key: an uncompressed point of P-256.
const POINT: usize = 65;
/// The length of a subscription's secret.
const AUTH: usize = 16;
/// How long a push service keeps an urgent notice for a device that is off. An alarm of yesterday is still worth knowing; and where
/// a later notice takes its place ([`Notice::topic`]) it is not kept so long.
const URGENT_SECONDS: u32 = 86_400;
/// How long it keeps any other: what is not urgent and an hour old is in the list of notifications, and need not ring.
const OTHER_SECONDS: u32 = 3_600;
/// How long a token is good for; RFC 8292 allows 24 hours, and clocks differ.
const TOKEN_MS: i64 = 12 * 60 * 60 * 1_000;
/// A token that ends sooner than this is made anew.
const TOKEN_REST_MS: i64 = 60 * 60 * 1_000;
/// How many push services tokens are kept for. Browsers' makers have a handful; but users enter them.
const TOKENS: usize = 64;

/// The key by which push services know this server. Browsers are told its public half when they subscribe, and a
/// subscription works with no other: lose it, and everybody has to subscribe anew.
pub struct VapidKey {
    pair: EcdsaKeyPair,
    /// PKCS #8, DER.
    document: Vec<u8>,
}

impl fmt::Debug for VapidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VapidKey").field("public", &self.public()).finish_non_exhaustive()
    }
}

impl VapidKey {
    /// A new key.
    ///
    /// # Errors
    /// If the system has no randomness to give.
    pub fn generate() -> Result<Self, BadSetting> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| BadSetting("the system gives no randomness for a VAPID key".into()))?;
        Self::from_document(document.as_ref().to_vec())
    }

    /// What [`VapidKey::to_text`] gave.
    ///
    /// # Errors
    /// If it is something else.
    pub fn from_text(text: &Key) -> Result<Self, BadSetting> {
        Self::from_document(bytes(&text.0).ok_or_else(no_key)?)
    }

    fn from_document(document: Vec<u8>) -> Result<Self, BadSetting> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &document, &SystemRandom::new())
            .map_err(|_| no_key())?;
        Ok(Self { pair, document })
    }

    /// The private key for keeping: PKCS #8 in base64url.
    pub fn to_text(&self) -> Key {
        Key(BASE64_URL_SAFE_NO_PAD.encode(&self.document))
    }

    /// The public key as browsers want it (`applicationServerKey`): the uncompressed point in base64url.
    pub fn public(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.pair.public_key())
    }

    /// A token for one push service (RFC 8292, 2).
    fn token(&self, audience: &str, contact: &str, until: Timestamp) -> Option<String> {
        let claims = json!({"aud": audience, "exp": until.millis().div_euclid(1000), "sub": contact});
        let head = BASE64_URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"ES256"}"#);
        let token = format!("{head}.{}", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.pair.sign(&SystemRandom::new(), token.as_bytes()).ok()?;
        Some(format!("{token}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn no_key() -> BadSetting {
    BadSetting("the stored VAPID key is none".into())
}

/// Base64url, with or without padding.
fn bytes(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).or_else(|_| BASE64_URL_SAFE.decode(text)).ok()
}

/// Where a browser wants its notices, as its `PushSubscription` says.
#[derive(Clone, PartialEq, Eq)]
pub struct Subscription {
    endpoint: Url,
    p256dh: [u8; POINT],
    auth: [u8; AUTH],
}

/// Why something is no subscription. The texts can be shown to whoever sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSubscription {
    /// The address of the push service is not allowed.
    #[error("the endpoint cannot be used: {0}")]
    Endpoint(BadAddress),
    /// `p256dh` is no uncompressed point of P-256 in base64url.
    #[error("p256dh is not a public key of the curve P-256")]
    PublicKey,
    /// `auth` is not 16 bytes in base64url.
    #[error("auth is not a secret of 16 bytes")]
    Secret,
}

impl fmt::Debug for Subscription {
    /// The path of the endpoint and the secret let anybody send.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscription at {}", self.endpoint.host_str().unwrap_or_default())
    }
}

impl Subscription {
    /// Takes what a browser sent: an address, and two keys in base64url.
    ///
    /// # Errors
    /// What of it cannot be.
    pub fn new(endpoint: &str, p256dh: &str, auth: &str, policy: Policy) -> Result<Self, BadSubscription> {
        let endpoint = policy.check(endpoint).map_err(BadSubscription::Endpoint)?;
        let p256dh = bytes(p256dh).and_then(|bytes| bytes.try_into().ok()).ok_or(BadSubscription::PublicKey)?;
        let auth = bytes(auth).and_then(|bytes| bytes.try_into().ok()).ok_or(BadSubscription::Secret)?;
        // Only agreeing on something shows that the point is one of the curve.
        shared(&p256dh, |_, _| ()).ok_or(BadSubscription::PublicKey)?;
        Ok(Self { endpoint, p256dh, auth })
    }

    /// The address of the push service. Its path is a secret.
    pub fn endpoint(&self) -> &str {
        self.endpoint.as_str()
    }

    /// The browser's public key, in base64url.
    pub fn p256dh(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.p256dh)
    }

    /// The secret that both share, in base64url.
    pub fn auth(&self) -> Key {
        Key(BASE64_URL_SAFE_NO_PAD.encode(self.auth))
    }
}

/// Sends to push services.
pub struct Push {
    poster: Poster,
    key: VapidKey,
    contact: String,
    tokens: Mutex<HashMap<String, Token>>,
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    until: Timestamp,
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push").field("key", &self.key).field("contact", &self.contact).finish_non_exhaustive()
    }
}

impl Push {
    /// Nothing is sent yet. `contact` is whom a push service can turn to: `mailto:` or `https:`, the operator's.
    ///
    /// # Errors
    /// If the contact is none, or TLS cannot be set up.
    pub fn new(key: VapidKey, contact: &str, policy: Policy, timeouts: Timeouts) -> Result<Self, BadSetting> {
        let url = Url::parse(contact).ok();
        let is_contact = url.is_some_and(|url| match url.scheme() {
            "mailto" => url.path().contains('@'),
            scheme => scheme == "https",
        });
        if !is_contact {
            return Err(BadSetting("the contact for push services must begin with mailto: or https:".into()));
        }
        let poster = Poster::new("push service", policy, timeouts)?;
        Ok(Self { poster, key, contact: contact.to_owned(), tokens: Mutex::default() })
    }

    /// As [`VapidKey::public`].
    pub fn public_key(&self) -> String {
        self.key.public()
    }

    /// Hands a notice to a push service, in JSON: `id`, `title`, `body`, `link`, `topic`, `at` (unix milliseconds), `urgent`,
    /// `data`. One that is too long for a push message is shortened: its body first, then `data` and `link` are `null`.
    ///
    /// # Errors
    /// [`Undelivered::Gone`] if the subscription has ended.
    pub async fn send(&self, to: &Subscription, notice: &Notice, now: Timestamp) -> Result<(), Undelivered> {
        let failed = || Undelivered::later("a push message cannot be encrypted or signed");
        let body = encrypt(to, &payload(notice)).ok_or_else(failed)?;
        let (ttl, urgency) = if notice.is_urgent { (URGENT_SECONDS, "high") } else { (OTHER_SECONDS, "normal") };
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.authorization(&to.endpoint, now).ok_or_else(failed)?);
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("aes128gcm"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(HeaderName::from_static("ttl"), ttl.into());
        headers.insert(HeaderName::from_static("urgency"), HeaderValue::from_static(urgency));
        let topic = HeaderValue::try_from(name(&notice.topic, 32)).map_err(|_| failed())?;
        headers.insert(HeaderName::from_static("topic"), topic);
        let answer = self.poster.post(to.endpoint(), headers, body).await?;
        match answer.status {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(Undelivered::Gone),
            StatusCode::REQUEST_TIMEOUT
            | StatusCode::CONFLICT
            | StatusCode::TOO_EARLY
            | StatusCode::TOO_MANY_REQUESTS => Err(answer.later(now)),
            status if status.is_server_error() => Err(answer.later(now)),
            _ => Err(answer.refused()),
        }
    }

    /// The header that says who sends. Making one takes a signature, so each is used for hours.
    fn authorization(&self, endpoint: &Url, now: Timestamp) -> Option<HeaderValue> {
        let audience = endpoint.origin().ascii_serialization();
        // Plain values: they are whole whatever happened to whoever held them.
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        // One that is good for too long was made before the clock was set back.
        let is_good = |token: &Token| (TOKEN_REST_MS..=TOKEN_MS).contains(&token.until.since(now));
        if let Some(token) = tokens.get(&audience).filter(|token| is_good(token)) {
            return Some(token.header.clone());
        }
        let until = now.plus_millis(TOKEN_MS);
        let token = self.key.token(&audience, &self.contact, until)?;
        let mut header = HeaderValue::try_from(format!("vapid t={token}, k={}", self.key.public())).ok()?;
        header.set_sensitive(true);
        if tokens.len() >= TOKENS {
            tokens.clear();
        }
        tokens.insert(audience, Token { header: header.clone(), until });
        Some(header)
    }
}

/// A notice as JSON, of at most [`LONGEST`] bytes.
fn payload(notice: &Notice) -> String {
    let whole = |title: &str, body: &str, link: Option<&str>, data: &Value| {
        let id = fitting(&notice.id, 128);
        let topic = fitting(&notice.topic, 128);
        let (at, urgent) = (notice.at.millis(), notice.is_urgent);
        json!({
            "id": id, "title": title, "body": body, "link": link, "topic": topic, "at": at, "urgent": urgent, "data": data,
        })
        .to_string()
    };
    let (title, link) = (notice.title.as_str(), notice.link.as_deref());
    let mut told = whole(title, &notice.body, link, &notice.data);
    if told.len() <= LONGEST {
        return told;
    }
    let short = fitting(title, 1_024);
    for (title, link, data) in [
        (title, link, &notice.data),
        (title, link, &Value::Null),
        (title, None, &Value::Null),
        (&short, None, &Value::Null),
    ] {
        let rest = LONGEST.saturating_sub(whole(title, "", link, data).len());
        let body = fitting(&notice.body, rest);
        told = whole(title, &body, link, data);
        // What stands for programs must not leave a person with three words.
        if told.len() <= LONGEST && (rest >= LEAST_BODY || body == notice.body) {
            break;
        }
    }
    told
}

/// A text, or as much of its beginning as has at most so many bytes within quotation marks in JSON.
fn fitting(text: &str, most: usize) -> String {
    const CUT: char = '…';
    let escaped = |character: char| match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..'\u{20}' => 6,
        other => other.len_utf8(),
    };
    let mut bytes = 0;
    // Where it is cut if it has to be.
    let mut cut = 0;
    for (index, character) in text.char_indices() {
        if bytes + CUT.len_utf8() <= most {
            cut = index;
        }
        bytes += escaped(character);
        if bytes > most {
            let begin = &text[..cut];
            return if most < CUT.len_utf8() { String::new() } else { format!("{begin}{CUT}") };
        }
    }
    text.to_owned()
}

/// Agrees on a secret with a browser: `then` gets it, and the public key made for this one message.
fn shared<T>(theirs: &[u8; POINT], then: impl FnOnce(&[u8], &[u8]) -> T) -> Option<T> {
    let private = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).ok()?;
    let public = private.compute_public_key().ok()?;
    agree_ephemeral(private, &UnparsedPublicKey::new(&ECDH_P256, theirs), |secret| then(secret, public.as_ref())).ok()
}

/// The body of a message, of one of the [`SIZES`].
fn encrypt(to: &Subscription, text: &str) -> Option<Vec<u8>> {
    let mut salt = [0; SALT];
    SystemRandom::new().fill(&mut salt).ok()?;
    let size = SIZES.iter().find(|size| text.len() + OVERHEAD <= **size)?;
    let padding = size - OVERHEAD - text.len();
    shared(&to.p256dh, |secret, public| seal(secret, to, public, &salt, text.as_bytes(), padding))?
}

/// RFC 8291, 3.4: one record, encrypted under what both ends know.
fn seal(
    secret: &[u8],
    to: &Subscription,
    public: &[u8],
    salt: &[u8; SALT],
    text: &[u8],
    padding: usize,
) -> Option<Vec<u8>> {
    let mut material = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, &to.auth)
        .extract(secret)
        .expand(&[b"WebPush: info\0", &to.p256dh, public], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut material))
        .ok()?;
    let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(&material);
    let key: aead::UnboundKey = derived.expand(&[b"Content-Encoding: aes128gcm\0"], &aead::AES_128_GCM).ok()?.into();
    let mut nonce = [0; aead::NONCE_LEN];
    derived.expand(&[b"Content-Encoding: nonce\0"], NonceLength).and_then(|okm| okm.fill(&mut nonce)).ok()?;

    let mut record = Vec::with_capacity(text.len() + OVERHEAD + padding);
    record.extend_from_slice(text);
    // The delimiter of the last record, then nothing but padding (RFC 8188, 2).
    record.push(2);
    record.resize(record.len() + padding, 0);
    aead::LessSafeKey::new(key)
        .seal_in_place_append_tag(aead::Nonce::assume_unique_for_key(nonce), aead::Aad::empty(), &mut record)
        .ok()?;
    let length = u8::try_from(public.len()).ok()?;
    Some([salt, RECORD.to_be_bytes().as_slice(), &[length], public, &record].concat())
}

/// The length of a nonce, for `ring`.
struct NonceLength;

impl hkdf::KeyType for NonceLength {
    fn len(&self) -> usize {
        aead::NONCE_LEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8291, appendix A.
    const PUBLIC: &str = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";
    const P256DH: &str = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";
    const ENDPOINT: &str = "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV";

    fn subscribe(endpoint: &str, p256dh: &str, auth: &str) -> Result<Subscription, BadSubscription> {
        Subscription::new(endpoint, p256dh, auth, Policy::default())
    }

    fn notice() -> Notice {
        Notice {
            id: "n-1".into(),
            topic: "a-1".into(),
            title: "낙상 감지".into(),
            body: "거실에서 넘어지셨습니다".into(),
            link: Some("https://care.example/alarms/1".into()),
            is_urgent: true,
            data: json!({"rule": "fall"}),
            at: Timestamp::from_millis(1_772_463_600_000),
        }
    }

    #[test]
    fn the_example_of_the_rfc_comes_out_byte_for_byte() {
        let to = subscribe(ENDPOINT, P256DH, AUTH).expect("a subscription");
        let decoded = |text: &str| bytes(text).expect("base64url");
        let secret = decoded("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs");
        let salt = decoded("DGv6ra1nlYgDCS1FRnbzlw").try_into().expect("16 bytes");
        let text = b"When I grow up, I want to be a watermelon";
        let sealed = seal(&secret, &to, &decoded(PUBLIC), &salt, text, 0).expect("a message");
        assert_eq!(
            BASE64_URL_SAFE_NO_PAD.encode(sealed),
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru\
             3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        );
    }

    #[test]
    fn what_a_browser_could_not_have_sent_is_no_subscription() {
        let to = subscribe(ENDPOINT, P256DH, AUTH).expect("a subscription");
        assert_eq!((to.endpoint(), to.p256dh().as_str(), to.auth().0.as_str()), (ENDPOINT, P256DH, AUTH));
        assert_eq!(subscribe(ENDPOINT, &format!("{P256DH}="), &format!("{AUTH}==")), Ok(to), "padding is harmless");

        let mut elsewhere = bytes(P256DH).expect("base64url");
        elsewhere[64] ^= 1;
        let mut compressed = bytes(P256DH).expect("base64url");
        compressed.truncate(33);
        compressed[0] = 2;
        let [elsewhere, compressed, zero] =
            [elsewhere, compressed, vec![0; 65]].map(|bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes));
        for p256dh in ["", "x", "한글", &P256DH[..86], &elsewhere, &compressed, &zero] {
            assert_eq!(subscribe(ENDPOINT, p256dh, AUTH), Err(BadSubscription::PublicKey), "{p256dh:?}");
        }
        for auth in ["", "BTBZMqHH6r4Tts7J_aSI", "BTBZMqHH6r4Tts7J_aSIggAA", "BTBZMqHH6r4Tts7J/aSIgg"] {
            assert_eq!(subscribe(ENDPOINT, P256DH, auth), Err(BadSubscription::Secret), "{auth:?}");
        }
        for (endpoint, bad) in [
            ("http://push.example.net/x", BadAddress::NotHttps),
            ("https://127.0.0.1/x", BadAddress::Private),
            ("push", BadAddress::Malformed),
        ] {
            assert_eq!(subscribe(endpoint, P256DH, AUTH), Err(BadSubscription::Endpoint(bad)));
        }
    }

    #[test]
    fn messages_have_few_sizes_and_long_ones_lose_the_end_of_their_body() {
        let to = subscribe(ENDPOINT, P256DH, AUTH).expect("a subscription");
        let mut sizes = std::collections::BTreeSet::new();
        for length in (0..6_000).step_by(7) {
            let notice = Notice { body: "가".repeat(length), ..notice() };
            let text = payload(&notice);
            assert!(text.len() <= LONGEST, "{length}: {}", text.len());
            let told: Value = serde_json::from_str(&text).expect("JSON");
            let body = told["body"].as_str().expect("a body");
            let is_whole = body == notice.body;
            assert!(is_whole || body.ends_with("가…") && text.len() > LONGEST - 3, "{length}: {}", text.len());
            assert_eq!((&told["title"], &told["data"]), (&json!(notice.title), &notice.data));
            sizes.insert(encrypt(&to, &text).expect("a message").len());
        }
        assert_eq!(Vec::from_iter(sizes), SIZES);
    }

    #[test]
    fn nothing_is_too_long_to_be_told() {
        let long = "가나다라\"\\\n\u{1}".repeat(2_000);
        let grow = |grown: fn(&mut Notice, String)| {
            let mut notice = notice();
            grown(&mut notice, long.clone());
            let text = payload(&notice);
            assert!(text.len() <= LONGEST, "{}", text.len());
            serde_json::from_str::<Value>(&text).expect("JSON")
        };
        let told = grow(|notice, long| notice.data = json!({"long": long}));
        assert_eq!(
            (&told["data"], &told["body"]),
            (&Value::Null, &json!(notice().body)),
            "a person's part comes first"
        );
        let told = grow(|notice, long| {
            (notice.data, notice.body) = (json!("x".repeat(3_000)), long);
        });
        assert_eq!(told["data"], Value::Null);
        assert!(told["body"].as_str().is_some_and(|body| body.len() > 2_000), "and not only three words of it");
        let told = grow(|notice, long| notice.link = Some(long));
        assert_eq!((&told["link"], &told["body"]), (&Value::Null, &json!(notice().body)));
        let told = grow(|notice, long| notice.title = long);
        assert_eq!(told["body"], json!(notice().body));
        assert!(told["title"].as_str().is_some_and(|title| title.ends_with('…') && title.len() > 600));
        let told = grow(|notice, long| (notice.id, notice.topic) = (long.clone(), long));
        assert_eq!(told["body"], json!(notice().body));
        grow(|notice, long| {
            (notice.title, notice.body, notice.id) = (long.clone(), long.clone(), long.clone());
            (notice.link, notice.data) = (Some(long.clone()), json!(long));
        });
    }

    #[test]
    fn a_text_is_cut_between_characters_and_counted_as_in_json() {
        for text in ["", "abc", "가나다", "a\"b\\c\nd\u{1}e\u{7f}f", "🙂🙂🙂"] {
            for most in 0..30 {
                let cut = fitting(text, most);
                let json = json!(cut).to_string();
                assert!(json.len() - 2 <= most, "{text:?} {most} {json}");
                if json!(text).to_string().len() - 2 <= most {
                    assert_eq!(cut, text);
                } else {
                    assert!(cut.strip_suffix('…').is_none_or(|begin| text.starts_with(begin)), "{cut:?}");
                    assert_eq!(cut.is_empty(), most < 3, "{text:?} {most}");
                }
            }
        }
    }

    #[test]
    fn a_key_survives_being_stored_and_does_not_show_itself() {
        let key = VapidKey::generate().expect("a key");
        let text = key.to_text();
        let again = VapidKey::from_text(&text).expect("the same key");
        assert_eq!((again.public(), again.to_text()), (key.public(), text.clone()));
        let point = bytes(&key.public()).expect("base64url");
        assert_eq!((point.len(), point[0]), (65, 4));
        assert!(!format!("{key:?}").contains(&text.0[60..100]), "{key:?}");
        for nonsense in ["", "AAAA", "not a key", &text.0[2..], &key.public()] {
            assert!(VapidKey::from_text(&Key(nonsense.to_owned())).is_err(), "{nonsense:?}");
        }
    }

    #[test]
    fn a_token_is_used_again_until_near_its_end_and_for_its_own_service_only() {
        let key = VapidKey::generate().expect("a key");
        let push = Push::new(key, "mailto:care@example.org", Policy::default(), Timeouts::default()).expect("push");
        let begin = Timestamp::from_millis(1_772_463_600_000);
        let token = |host: &str, after: i64| {
            let url = format!("https://{host}/push/secret").parse().expect("a URL");
            push.authorization(&url, begin.plus_millis(after)).expect("a token")
        };
        let first = token("a.example", 0);
        assert_eq!(token("a.example", TOKEN_MS - TOKEN_REST_MS), first);
        assert_ne!(token("b.example", 0), first);
        let second = token("a.example", TOKEN_MS - TOKEN_REST_MS + 1);
        assert_ne!(second, first);
        assert_ne!(token("a.example", 0), second, "one that is good for too long would be refused");
        assert!(first.is_sensitive());
        for index in 0..1_000 {
            token(&format!("{index}.example"), 0);
            assert!(push.tokens.lock().expect("a lock").len() <= TOKENS);
        }
    }

    #[test]
    fn a_contact_is_a_mail_address_or_a_page() {
        for (contact, is_one) in [
            ("mailto:care@example.org", true),
            ("https://care.example/contact", true),
            ("care@example.org", false),
            ("mailto:", false),
            ("http://care.example", false),
            ("", false),
        ] {
            let key = VapidKey::generate().expect("a key");
            let push = Push::new(key, contact, Policy::default(), Timeouts::default());
            assert_eq!(push.is_ok(), is_one, "{contact}");
        }
    }
}
