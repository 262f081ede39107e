//! HTTP/1.1 as bytes on a socket, so that a test decides what is sent, when, and when the connection ends.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::PATIENCE;

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// A text of the result, such as `id`.
    pub fn result(&self, name: &str) -> String {
        let json = self.json();
        json["result"][name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned()
    }

    fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    reading: OwnedReadHalf,
    writing: OwnedWriteHalf,
    /// What has come and is not part of an answer yet.
    read: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (reading, writing) = stream.into_split();
        Ok(Self { reading, writing, read: Vec::new() })
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writing.write_all(bytes).await
    }

    /// Sends while it reads, so that a server that answers before it has heard everything is heard; everything that the
    /// server said until it ended the connection.
    pub async fn exchange(self, bytes: &[u8]) -> Vec<u8> {
        let Self { mut reading, mut writing, mut read } = self;
        let write = async {
            // A server that has had enough may close before it has read everything.
            let _ = writing.write_all(bytes).await;
        };
        let listen = async { while let Ok(1..) = reading.read_buf(&mut read).await {} };
        let both = tokio::time::timeout(PATIENCE, async { tokio::join!(write, listen) }).await;
        both.expect("the server ends the connection");
        read
    }

    /// Reads an answer; `None` if the connection ended before the first byte of one.
    pub async fn answer(&mut self) -> io::Result<Option<Answer>> {
        let Self { reading, read, .. } = self;
        match tokio::time::timeout(PATIENCE, Reader { reading, read }.answer()).await {
            Ok(answer) => answer,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer, and the connection stays open")),
        }
    }

    /// Reads an answer while it sends byte by byte, with a pause after each, until the other side has had enough: `None`
    /// if that ends the connection without a word.
    pub async fn answer_while(&mut self, bytes: &[u8], pause: Duration) -> Option<Answer> {
        let Self { reading, writing, read } = self;
        let write = async {
            for byte in bytes {
                if writing.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(pause).await;
            }
            std::future::pending::<()>().await;
        };
        let mut reader = Reader { reading, read };
        let answer = tokio::time::timeout(PATIENCE, reader.answer());
        tokio::select! {
            () = write => None,
            answer = answer => answer.expect("the server ends the connection").unwrap_or_default(),
        }
    }
}

struct Reader<'a> {
    reading: &'a mut OwnedReadHalf,
    read: &'a mut Vec<u8>,
}

impl Reader<'_> {
    async fn answer(&mut self) -> io::Result<Option<Answer>> {
        let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the answer is cut off");
        let head_end = loop {
            if let Some(end) = find(self.read, b"\r\n\r\n") {
                break end;
            }
            if !self.more().await? {
                return if self.read.is_empty() { Ok(None) } else { Err(cut()) };
            }
        };
        let head = String::from_utf8_lossy(&self.read[..head_end]).into_owned();
        self.read.drain(..head_end + 4);
        let (status, headers) = parse_head(&head)?;
        let mut answer = Answer { status, headers, body: Vec::new() };
        if answer.header("transfer-encoding").is_some() {
            loop {
                let line = self.line().await?.ok_or_else(cut)?;
                let size = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
                while self.read.len() < size + 2 {
                    if !self.more().await? {
                        return Err(cut());
                    }
                }
                answer.body.extend(self.read.drain(..size));
                self.read.drain(..2);
                if size == 0 {
                    return Ok(Some(answer));
                }
            }
        }
        let length: usize = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
        while self.read.len() < length {
            if !self.more().await? {
                return Err(cut());
            }
        }
        answer.body.extend(self.read.drain(..length));
        Ok(Some(answer))
    }

    async fn line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = find(self.read, b"\r\n") {
                let line = String::from_utf8_lossy(&self.read[..end]).into_owned();
                self.read.drain(..end + 2);
                return Ok(Some(line));
            }
            if !self.more().await? {
                return Ok(None);
            }
        }
    }

    async fn more(&mut self) -> io::Result<bool> {
        Ok(self.reading.read_buf(self.read).await? > 0)
    }
}

fn parse_head(head: &str) -> io::Result<(u16, Vec<(String, String)>)> {
    let bad = || io::Error::other(format!("no head of an answer: {head:?}"));
    let mut lines = head.split("\r\n");
    let status =
        lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()).ok_or_else(bad)?;
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').ok_or_else(bad)?;
        Ok((name.to_owned(), value.trim().to_owned()))
    });
    Ok((status, headers.collect::<io::Result<_>>()?))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// The bytes of a request as a usual client sends it.
pub fn request(method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> Vec<u8> {
    request_with(method, path, token, "", body)
}

fn request_with(method: &str, path: &str, token: Option<&str>, header: &str, body: Option<&Value>) -> Vec<u8> {
    let cookie = token.map(|token| format!("cookie: session_id={token}\r\n")).unwrap_or_default();
    let body = body.map(Value::to_string).unwrap_or_default();
    let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nhost: carebot\r\n{cookie}{header}{kind}content-length: {length}\r\n\r\n{body}")
        .into()
}

/// A client that keeps its connection, and makes a new one after one broke.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    token: Option<String>,
    header: String,
    connection: Option<Connection>,
}

impl Client {
    pub const fn new(address: SocketAddr, token: Option<String>) -> Self {
        Self { address, token, header: String::new(), connection: None }
    }

    /// Sends one more header with every request.
    pub fn with_header(self, name: &str, value: &str) -> Self {
        Self { header: format!("{name}: {value}\r\n"), ..self }
    }

    /// One request, sent once.
    ///
    /// # Errors
    /// When there is no whole answer: then nobody knows whether it was done.
    pub async fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.address).await?,
        };
        connection.send(&request_with(method, path, self.token.as_deref(), &self.header, body)).await?;
        let answer = connection.answer().await?.ok_or(io::ErrorKind::ConnectionAborted)?;
        if !answer.closes() {
            self.connection = Some(connection);
        }
        Ok(answer)
    }

    /// As [`Client::call`], for requests that must be answered.
    pub async fn must(&mut self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.call(method, path, body).await.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.must("GET", path, None).await
    }

    pub async fn post(&mut self, path: &str, body: Value) -> Answer {
        self.must("POST", path, Some(&body)).await
    }
}
