use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use carebot_external::channels::mail::{Language, Mailer, Settings, Tls};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::*;

const TO: &str = "guardian@family.example";
const USER: &str = "carebot";
const PASSWORD: &str = "p4ssw0rd-of-mail";

/// What a server says instead of what it should, for a line that it is sent; `connect` and `.` are lines too, the latter for
/// the end of a mail. An empty answer hangs up, and [`SILENCE`] is none.
type Script = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

const SILENCE: &str = "...";

/// A mail server on this machine.
struct Smtp {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
    certificate: String,
    serving: JoinHandle<()>,
}

/// What a server offers.
#[derive(Clone)]
struct Manner {
    tls: Tls,
    capabilities: &'static [&'static str],
    script: Script,
}

impl Default for Manner {
    fn default() -> Self {
        Self { tls: Tls::None, capabilities: &[], script: Arc::new(|_| None) }
    }
}

impl Smtp {
    async fn start(manner: Manner) -> Self {
        let made = generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate can be made");
        let CertifiedKey { cert, signing_key } = made;
        let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let ring = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .expect("a pair");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a socket is free");
        let port = listener.local_addr().expect("the socket has an address").port();
        let heard = Arc::default();
        let serving = tokio::spawn({
            let heard = Arc::clone(&heard);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (manner, acceptor, heard) = (manner.clone(), acceptor.clone(), Arc::clone(&heard));
                    // What breaks on the way is the other side's business.
                    tokio::spawn(async move {
                        let session = Session { manner, heard };
                        if session.manner.tls == Tls::Tls {
                            session.talk(acceptor.accept(stream).await.ok()?, false).await;
                        } else if let Some(stream) = session.talk(stream, false).await {
                            session.talk(acceptor.accept(stream).await.ok()?, true).await;
                        }
                        Some(())
                    });
                }
            }
        });
        Self { port, heard, certificate: cert.pem(), serving }
    }

    /// One that says something else to lines that begin so.
    async fn saying(begin: &'static str, answer: &'static str) -> Self {
        let script: Script = Arc::new(move |line| line.starts_with(begin).then(|| answer.to_owned()));
        Self::start(Manner { script, capabilities: &["AUTH PLAIN"], ..Manner::default() }).await
    }

    fn settings(&self) -> Settings {
        Settings {
            host: "localhost".into(),
            port: self.port,
            tls: Tls::None,
            authority: None,
            user: None,
            password: None,
            from: "돌봄 알림 <alarm@care.example>".into(),
            timeout: Duration::from_secs(20),
        }
    }

    fn known(&self) -> Settings {
        Settings { user: Some(USER.into()), password: Some(Key(PASSWORD.into())), ..self.settings() }
    }

    /// All lines, those of mails included.
    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The mails, taken apart.
    fn mails(&self) -> Vec<Mail> {
        let heard = self.heard();
        let mut mails = Vec::new();
        let mut lines = heard.iter().map(String::as_str);
        while lines.by_ref().any(|line| line == "DATA") {
            mails.push(Mail::new(lines.by_ref().take_while(|line| *line != ".")));
        }
        mails
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Session {
    manner: Manner,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Session {
    /// Talks until the other side has enough; gives the connection back when TLS shall begin.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S, is_upgraded: bool) -> Option<S> {
        let mut stream = BufReader::new(stream);
        if !is_upgraded {
            let greeting = (self.manner.script)("connect");
            self.say(&mut stream, greeting.as_deref().unwrap_or("220 mail.example ESMTP")).await?;
        }
        let mut is_data = false;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let line = line.trim_end_matches(['\r', '\n']).to_owned();
            self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
            if is_data && line != "." {
                continue;
            }
            let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            let good = match word.as_str() {
                "EHLO" => self.hello(is_upgraded),
                "AUTH" if line.contains("LOGIN") => "334 VXNlcm5hbWU6".into(),
                "AUTH" => "235 welcome".into(),
                "DATA" => "354 go on".into(),
                "STARTTLS" => "220 go on".into(),
                "QUIT" => "221 bye".into(),
                _ if line == BASE64.encode(USER) => "334 UGFzc3dvcmQ6".into(),
                _ if line == BASE64.encode(PASSWORD) => "235 welcome".into(),
                _ => "250 fine".into(),
            };
            let answer = (self.manner.script)(&line).unwrap_or(good);
            is_data = answer.starts_with("354");
            self.say(&mut stream, &answer).await?;
            if word == "STARTTLS" {
                return Some(stream.into_inner());
            }
        }
    }

    fn hello(&self, is_upgraded: bool) -> String {
        let offers_tls = self.manner.tls == Tls::Starttls && !is_upgraded;
        let more = offers_tls.then_some("STARTTLS").into_iter().chain(self.manner.capabilities.iter().copied());
        let lines: Vec<&str> =
            ["mail.example"].into_iter().chain(more).flat_map(|line| ["250-", line, "\r\n"]).collect();
        format!("{}250 ENHANCEDSTATUSCODES", lines.concat())
    }

    async fn say<S: AsyncWrite + Unpin>(&self, stream: &mut S, answer: &str) -> Option<()> {
        match answer {
            SILENCE => std::future::pending().await,
            "" => None,
            answer => stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok(),
        }
    }
}

/// A mail as a reader sees it.
#[derive(Debug, PartialEq)]
struct Mail {
    headers: Vec<(String, String)>,
    text: String,
}

impl Mail {
    fn new<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        // A dot that stands at the beginning was doubled.
        let mut lines = lines.map(|line| line.strip_prefix('.').unwrap_or(line));
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines.by_ref().take_while(|line| !line.is_empty()) {
            if let (true, Some((_, value))) = (line.starts_with([' ', '\t']), headers.last_mut()) {
                value.push_str(line);
            } else {
                let (name, value) = line.split_once(": ").expect("a header");
                headers.push((name.to_ascii_lowercase(), value.to_owned()));
            }
        }
        let mail = Self { headers, text: String::new() };
        let body: Vec<&str> = lines.collect();
        let text = match mail.header("content-transfer-encoding") {
            "base64" => {
                let bytes = BASE64.decode(body.concat()).expect("base64");
                String::from_utf8(bytes).expect("UTF-8").replace("\r\n", "\n")
            }
            "7bit" => body.join("\n"),
            other => panic!("{other} is not expected here"),
        };
        Self { text, ..mail }
    }

    /// A header that is there once.
    fn header(&self, name: &str) -> &str {
        let values: Vec<_> = self.headers.iter().filter(|(key, _)| key == name).collect();
        assert_eq!(values.len(), 1, "{name} in {:?}", self.headers);
        &values[0].1
    }

    /// A header with its encoded words (RFC 2047) decoded; white space between two of them does not count.
    fn decoded(&self, name: &str) -> String {
        let mut text = String::new();
        let mut was_encoded = false;
        for word in self.header(name).split_whitespace() {
            let encoded = word.strip_prefix("=?utf-8?b?").and_then(|rest| rest.strip_suffix("?="));
            let is_joined = text.is_empty() || was_encoded && encoded.is_some();
            if !is_joined {
                text.push(' ');
            }
            match encoded {
                Some(encoded) => {
                    let bytes = BASE64.decode(encoded).expect("base64");
                    text.push_str(&String::from_utf8(bytes).expect("whole characters"));
                }
                None => text.push_str(word),
            }
            was_encoded = encoded.is_some();
        }
        text
    }
}

async fn send(settings: Settings, to: &str, notice: &Notice) -> Result<(), Undelivered> {
    Mailer::new(settings).expect("a mailer").send(to, notice, Language::Korean).await
}

#[tokio::test]
async fn a_mail_in_korean_arrives_whole() {
    let server = Smtp::start(Manner::default()).await;
    assert_eq!(send(server.settings(), TO, &notice()).await, Ok(()));
    let heard = server.heard();
    let dialogue = ["EHLO care.example", "MAIL FROM:<alarm@care.example>", "RCPT TO:<guardian@family.example>", "DATA"];
    assert_eq!(heard[..4], dialogue);
    assert!(heard.iter().all(|line| line.is_ascii() && line.len() <= 998), "{heard:#?}");
    let [mail] = &server.mails()[..] else { panic!("one mail") };
    assert_eq!(mail.decoded("subject"), "[긴급] 낙상이 감지되었습니다");
    assert_eq!(
        mail.text,
        "김영희 님이 거실에서 넘어지신 것 같습니다.\n응답이 없습니다.\n\nhttps://care.example/alarms/17\n\n\
         2026-03-02 23:50 (한국 시각)\n자동으로 보낸 메일입니다. 답장은 확인하지 않습니다.\n"
    );
    assert_eq!(mail.decoded("from"), "돌봄 알림 <alarm@care.example>");
    let mut names: Vec<_> = mail.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let expected = [
        ("auto-submitted", "auto-generated"),
        ("content-language", "ko"),
        ("content-transfer-encoding", "base64"),
        ("content-type", "text/plain; charset=utf-8"),
        ("date", "Mon, 02 Mar 2026 14:50:00 +0000"),
        ("from", mail.header("from")),
        ("importance", "high"),
        ("in-reply-to", "<topic.alarm-1772463000000@care.example>"),
        ("message-id", "<d3b07384-d113-4ec6-9b9f-5a2c1e7f0a11@care.example>"),
        ("mime-version", "1.0"),
        ("references", "<topic.alarm-1772463000000@care.example>"),
        ("subject", mail.header("subject")),
        ("to", TO),
        ("x-priority", "1"),
    ];
    assert_eq!(names, expected.map(|(name, _)| name));
    for (name, value) in expected {
        assert_eq!(mail.header(name), value, "{name}");
    }
}

#[tokio::test]
async fn a_second_try_is_the_same_mail_and_a_second_notice_another_of_the_same_thread() {
    let server = Smtp::start(Manner::default()).await;
    let second = Notice { id: "n-2".into(), title: "다시 확인해 주세요".into(), ..notice() };
    for notice in [&notice(), &notice(), &second] {
        assert_eq!(send(server.settings(), TO, notice).await, Ok(()));
    }
    let mails = server.mails();
    assert_eq!(mails[0], mails[1]);
    assert_ne!(mails[0].header("message-id"), mails[2].header("message-id"));
    assert_eq!(mails[0].header("references"), mails[2].header("references"));
}

#[tokio::test]
async fn what_is_not_urgent_does_not_say_so_and_the_words_around_it_can_be_english() {
    let server = Smtp::start(Manner::default()).await;
    let notice = Notice {
        is_urgent: false,
        title: "Robot is back".into(),
        body: ".\n.. a line of dots\nRCPT TO:<x@y.example>".into(),
        link: None,
        ..notice()
    };
    let mailer = Mailer::new(server.settings()).expect("a mailer");
    assert_eq!(mailer.send(TO, &notice, Language::English).await, Ok(()));
    let [mail] = &server.mails()[..] else { panic!("one mail") };
    assert_eq!(mail.decoded("subject"), "Robot is back");
    assert!(mail.text.starts_with(".\n.. a line of dots\nRCPT TO:<x@y.example>\n\n2026-03-02 23:50 (Korean time)\n"));
    assert!(!mail.headers.iter().any(|(name, _)| name == "x-priority" || name == "importance"));
    assert_eq!(mail.header("content-language"), "en");
}

#[tokio::test]
async fn no_text_becomes_a_header_or_a_command() {
    let server = Smtp::start(Manner::default()).await;
    let forged = "\r\nBcc: evil@example.org\r\n\r\n.\r\nRCPT TO:<evil@example.org>\r\n";
    for title in
        [format!("낙상{forged}"), format!("fall{forged}"), "\n\r\0\u{85}\u{2028}".to_owned(), "x ".repeat(5_000)]
    {
        let notice = Notice {
            id: format!("id{forged}"),
            topic: format!("topic{forged}"),
            title,
            body: format!("body{forged}"),
            link: Some(format!("link{forged}")),
            ..notice()
        };
        assert_eq!(send(server.settings(), TO, &notice).await, Ok(()));
    }
    for bad in [
        format!("{TO}{forged}"),
        format!("{TO}>\r\nRCPT TO:<evil@example.org"),
        format!("{TO},evil@example.org"),
        format!("Name <{TO}>"),
        "guardian".into(),
        "@family.example".into(),
        String::new(),
    ] {
        assert_eq!(meaning(&send(server.settings(), &bad, &notice()).await), Means::Refused, "{bad:?}");
    }
    let mails = server.mails();
    assert_eq!(mails.len(), 4, "those to nobody were not even begun");
    for mail in &mails {
        assert_eq!(mail.headers.len(), 14, "{:#?}", mail.headers);
        assert!(mail.headers.iter().all(|(name, _)| name != "bcc"));
        assert_eq!(mail.header("to"), TO);
    }
    assert!(mails[3].decoded("subject").chars().count() <= 200);
    let recipients = server.heard().into_iter().filter(|line| line.starts_with("RCPT") && line.contains(TO)).count();
    assert_eq!(recipients, 4);
}

#[tokio::test]
async fn a_server_that_wants_to_know_who_asks_is_told() {
    for (capabilities, expected) in [
        (&["AUTH PLAIN LOGIN"], vec![format!("AUTH PLAIN {}", BASE64.encode(format!("\0{USER}\0{PASSWORD}")))]),
        (&["AUTH LOGIN"], vec!["AUTH LOGIN".to_owned(), BASE64.encode(USER), BASE64.encode(PASSWORD)]),
    ] {
        let server = Smtp::start(Manner { capabilities, ..Manner::default() }).await;
        assert_eq!(send(server.known(), TO, &notice()).await, Ok(()));
        assert_eq!(server.heard()[1..=expected.len()], expected);
        assert_eq!(server.mails().len(), 1);
    }
    let server = Smtp::start(Manner::default()).await;
    assert_eq!(meaning(&send(server.known(), TO, &notice()).await), Means::Later(None), "it offers no log-in");
}

#[tokio::test]
async fn what_a_server_says_decides_whether_the_mail_is_tried_again() {
    let later = Means::Later(None);
    let cases = [
        ("connect", "421 too busy", later),
        ("connect", "554 no service", later),
        ("EHLO", "502 what", later),
        ("EHLO", "250 nothing to offer", later),
        ("AUTH", "535 5.7.8 wrong password of guardian@family.example", later),
        ("AUTH", "454 4.7.0 try later", later),
        ("MAIL", "451 4.3.0 try later", later),
        ("MAIL", "530 5.7.0 log in first", later),
        ("MAIL", "550 5.7.1 not from you", Means::Refused),
        ("RCPT", "450 4.2.1 greylisted <guardian@family.example>", later),
        ("RCPT", "452 too many", later),
        ("RCPT", "550 5.1.1 <guardian@family.example> unknown", Means::Refused),
        ("RCPT", "550-5.1.1 guardian@family.example\r\n550 5.1.1 unknown", Means::Refused),
        ("RCPT", "551 not local", Means::Refused),
        ("DATA", "451 not now", later),
        ("DATA", "554 no", Means::Refused),
        (".", "452 4.3.1 full", later),
        (".", "552 5.2.2 the box is full", Means::Refused),
        (".", "554 5.6.0 spam", Means::Refused),
        ("QUIT", "500 what", Means::Delivered),
        ("QUIT", "", Means::Delivered),
        // Broken or hostile.
        ("connect", "", later),
        ("connect", "hello", later),
        ("EHLO", "", later),
        ("MAIL", "", later),
        ("RCPT", "guardian@family.example?", later),
        (".", "", later),
        (".", "999 x", later),
    ];
    for (begin, answer, expected) in cases {
        let server = Smtp::saying(begin, answer).await;
        let result = send(server.known(), TO, &notice()).await;
        assert_eq!(meaning(&result), expected, "{begin}: {answer}");
        let Err(error) = result else { continue };
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("localhost"), "{shown}");
        for hidden in ["guardian", PASSWORD, &BASE64.encode(PASSWORD), "낙상"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
        for code in ["450 4.2.1", "550 5.1.1", "535 5.7.8", "551"] {
            assert_eq!(answer.replace("550-", "550 ").starts_with(code), shown.contains(code), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time() {
    for begin in ["connect", "EHLO", "RCPT", "."] {
        let server = Smtp::saying(begin, SILENCE).await;
        let settings = Settings { timeout: Duration::from_secs(2), ..server.settings() };
        assert_eq!(meaning(&send(settings, TO, &notice()).await), Means::Later(None), "{begin}");
    }
    let server = Smtp::start(Manner::default()).await;
    let settings = server.settings();
    drop(server);
    assert_eq!(meaning(&send(settings, TO, &notice()).await), Means::Later(None));
}

#[tokio::test]
async fn with_tls_nothing_is_said_in_clear_and_only_to_a_server_that_is_known() {
    let capabilities = &["AUTH PLAIN"];
    for tls in [Tls::Starttls, Tls::Tls] {
        let server = Smtp::start(Manner { tls, capabilities, ..Manner::default() }).await;
        let settings = Settings { tls, authority: Some(server.certificate.clone()), ..server.known() };
        assert_eq!(send(settings.clone(), TO, &notice()).await, Ok(()), "{tls:?}");
        assert_eq!(server.mails().len(), 1);
        let greeting = server.heard();
        let upgrade = greeting.iter().position(|line| line == "STARTTLS");
        assert_eq!(upgrade.is_some(), tls == Tls::Starttls);
        let login = greeting.iter().position(|line| line.starts_with("AUTH")).expect("a log-in");
        assert!(upgrade.is_none_or(|upgrade| upgrade < login));

        for wrong in [
            Settings { authority: None, ..settings.clone() },
            // The certificate is for another name.
            Settings { host: "127.0.0.1".into(), ..settings.clone() },
        ] {
            let stranger = Smtp::start(Manner { tls, capabilities, ..Manner::default() }).await;
            let result = send(Settings { port: stranger.port, ..wrong }, TO, &notice()).await;
            assert_eq!(meaning(&result), Means::Later(None), "{result:?}");
            assert!(stranger.heard().iter().all(|line| !line.starts_with("AUTH") && !line.starts_with("MAIL")));
        }
    }
    // A man in the middle who takes the offer of TLS away.
    let server = Smtp::start(Manner { capabilities, ..Manner::default() }).await;
    let settings = Settings { tls: Tls::Starttls, authority: Some(server.certificate.clone()), ..server.known() };
    assert_eq!(meaning(&send(settings, TO, &notice()).await), Means::Later(None));
    assert_eq!(server.heard(), ["EHLO care.example"]);
}

#[tokio::test]
async fn a_server_is_tried_without_logging_in_and_without_a_mail() {
    let server = Smtp::start(Manner { capabilities: &["AUTH PLAIN"], ..Manner::default() }).await;
    assert_eq!(Mailer::new(server.known()).expect("a mailer").check().await, Ok(()));
    assert_eq!(server.heard(), ["EHLO care.example", "QUIT"]);
    let encrypted = Smtp::start(Manner { tls: Tls::Starttls, ..Manner::default() }).await;
    let settings = Settings { tls: Tls::Starttls, ..encrypted.settings() };
    let told = Mailer::new(settings).expect("a mailer").check().await.expect_err("nobody vouches for it").to_string();
    assert!(told.contains("localhost"), "{told}");
    let full = Smtp::saying("connect", "421 4.3.2 come back later").await;
    let told = Mailer::new(full.known()).expect("a mailer").check().await.expect_err("it says no").to_string();
    assert!(told.contains("421") && !told.contains(PASSWORD), "{told}");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_and_none_shows_the_password() {
    let server = Smtp::start(Manner::default()).await;
    let good = server.known();
    assert!(!format!("{:?}", Mailer::new(good.clone()).expect("a mailer")).contains(PASSWORD));
    for bad in [
        Settings { from: "care".into(), ..good.clone() },
        Settings { from: "alarm@care.example\r\nBcc: evil@example.org".into(), ..good.clone() },
        Settings { from: "알람@care.example".into(), ..good.clone() },
        Settings { password: None, ..good.clone() },
        Settings { user: None, ..good.clone() },
        Settings { tls: Tls::Tls, authority: Some("-----BEGIN CERTIFICATE-----".into()), ..good },
    ] {
        let error = Mailer::new(bad).expect_err("it cannot work");
        assert!(!format!("{error} {error:?}").contains(PASSWORD));
    }
}
