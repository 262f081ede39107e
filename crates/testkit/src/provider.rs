//! A server on this machine that plays somebody else's service, on a real socket.
//!
//! It answers as a closure says, well-behaved or not: [`Play`] can also be late, cut short or silent.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// The longest request that is read.
const LONGEST: usize = 1 << 20;

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET`.
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// The lines of the head behind the first.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// The path.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// A parameter of the query, decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let query = self.target.split_once('?')?.1;
        let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        Some(decoded(value))
    }

    /// A header, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(':'));
        pairs.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        match first {
            b'+' => bytes.push(b' '),
            b'%' if behind.len() >= 2 => {
                let digits = std::str::from_utf8(&behind[..2]).unwrap_or_default();
                bytes.push(u8::from_str_radix(digits, 16).unwrap_or(b'%'));
                rest = &behind[2..];
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Play {
    /// Answers with a status, a content type and a body.
    Answer(u16, &'static str, Vec<u8>),
    /// Promises more than it sends, and hangs up.
    CutShort(Vec<u8>),
    /// Says nothing until the other side has enough.
    Silence,
    /// Answers as soon as [`Provider::release`] is called.
    Held(u16, &'static str, Vec<u8>),
    /// Hangs up.
    HangUp,
}

impl Play {
    /// A good answer in JSON.
    pub fn json(body: impl Into<String>) -> Self {
        Self::Answer(200, "application/json;charset=UTF-8", body.into().into_bytes())
    }

    /// A good answer in XML, as bytes of any encoding.
    pub fn xml(body: impl Into<Vec<u8>>) -> Self {
        Self::Answer(200, "text/xml", body.into())
    }
}

type Script = Box<dyn FnMut(&Asked) -> Play + Send>;

#[derive(Default)]
struct Shared {
    script: Option<Script>,
    asked: Vec<Asked>,
}

/// A running server. It ends when it is dropped.
pub struct Provider {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    released: Arc<Notify>,
    serving: JoinHandle<()>,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Provider at {}", self.address)
    }
}

impl Provider {
    /// Starts one that does what a closure says.
    ///
    /// # Panics
    /// When no socket can be had.
    pub async fn start(script: impl FnMut(&Asked) -> Play + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket is free");
        let address = listener.local_addr().expect("the socket has an address");
        let shared = Arc::new(Mutex::new(Shared { script: Some(Box::new(script)), asked: Vec::new() }));
        let released = Arc::new(Notify::new());
        let serving = tokio::spawn({
            let (shared, released) = (Arc::clone(&shared), Arc::clone(&released));
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&shared), Arc::clone(&released)));
                }
            }
        });
        Self { address, shared, released, serving }
    }

    /// Its address as the beginning of a URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it does what another closure says.
    pub fn plays(&self, script: impl FnMut(&Asked) -> Play + Send + 'static) {
        self.shared().script = Some(Box::new(script));
    }

    /// Everything it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared().asked.clone()
    }

    /// How often it was asked so far.
    pub fn count(&self) -> usize {
        self.shared().asked.len()
    }

    /// Lets the answers go that are [`Play::Held`].
    pub fn release(&self) {
        self.released.notify_waiters();
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// One request, one answer: every call has a connection of its own. What breaks on the way is the other side's business.
async fn serve(mut stream: TcpStream, shared: Arc<Mutex<Shared>>, released: Arc<Notify>) {
    let Some(asked) = read(&mut stream).await else { return };
    // Before anybody can see that it was asked.
    let release = released.notified();
    tokio::pin!(release);
    release.as_mut().enable();
    let play = {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let mut script = shared.script.take();
        let play = script.as_mut().map_or(Play::HangUp, |script| script(&asked));
        shared.script = script;
        shared.asked.push(asked);
        play
    };
    let (status, kind, body, missing) = match play {
        Play::Answer(status, kind, body) => (status, kind, body, 0),
        Play::CutShort(body) => (200, "application/json", body, 1_000),
        Play::Held(status, kind, body) => {
            release.await;
            (status, kind, body, 0)
        }
        Play::Silence => {
            // Ends when the other side closes.
            let _ = stream.read(&mut [0]).await;
            return;
        }
        Play::HangUp => return,
    };
    let head = format!(
        "HTTP/1.1 {status} Played\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len() + missing
    );
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&body).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if bytes.len() > LONGEST || stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut body = bytes.split_off(end + 4);
    let (first, head) = head.split_once("\r\n").unwrap_or((&head, ""));
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let asked = Asked { method, target, head: head.to_owned(), body: Vec::new() };
    let length = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0_usize);
    while body.len() < length.min(LONGEST) {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Asked { body, ..asked })
}
