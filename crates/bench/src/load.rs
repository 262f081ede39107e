//! The load generator: connections that each ask, wait for the answer and ask again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Result;

/// A request as it goes over the wire.
pub type Request = Arc<[u8]>;

/// An HTTP/1.1 connection that stays open. Understands only what this server answers.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, as far as a benchmark looks at it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    status: u16,
    /// Where the body is in the buffer.
    body: (usize, usize),
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(512 * 1024) })
    }

    /// Sends a request and gives the status and body of the answer.
    pub async fn ask(&mut self, request: &[u8]) -> io::Result<(u16, String)> {
        let seen = self.exchange(request).await?;
        Ok((seen.status, String::from_utf8_lossy(&self.buffer[seen.body.0..seen.body.1]).into_owned()))
    }

    async fn exchange(&mut self, request: &[u8]) -> io::Result<Seen> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let (status, start, length) = loop {
            self.read().await?;
            if let Some(head) = head(&self.buffer)? {
                break head;
            }
        };
        match length {
            Some(length) => {
                while self.buffer.len() < start + length {
                    self.read().await?;
                }
            }
            // Chunked; JSON has no line breaks, so its end can be in no other place.
            None => {
                while !self.buffer.ends_with(b"\r\n0\r\n\r\n") {
                    self.read().await?;
                }
            }
        }
        Ok(Seen { status, body: (start, self.buffer.len()) })
    }

    async fn read(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")),
            _ => Ok(()),
        }
    }
}

/// Status, start of the body and its length, once the head is whole; no length means chunked.
fn head(bytes: &[u8]) -> io::Result<Option<(u16, usize, Option<usize>)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "the server's answer is not HTTP/1.1");
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| bad())?;
    let status = text.get(9..12).and_then(|digits| digits.parse().ok()).ok_or_else(bad)?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Ok(Some((status, end + 4, length)))
}

/// What came of a time of asking.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How long each answer took, in microseconds, sorted.
    pub latencies: Vec<u32>,
    /// Answers with another status than expected.
    pub wrong: usize,
    /// From the first request to the last answer.
    pub took: Duration,
}

impl Tally {
    /// Answers in a second.
    pub fn per_second(&self) -> f64 {
        count(self.latencies.len()) / self.took.as_secs_f64()
    }

    /// The latency that so many of a thousand answers did not exceed, in microseconds.
    pub fn percentile(&self, per_mille: usize) -> f64 {
        let index = (self.latencies.len() * per_mille / 1000).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(index).copied().map_or(0.0, f64::from)
    }
}

/// A count as a number to divide by.
#[expect(clippy::cast_precision_loss, reason = "no benchmark counts to 2^52")]
pub fn count(number: usize) -> f64 {
    number as f64
}

/// One client: its connection and its requests, asked in turn.
pub struct Client {
    connection: Connection,
    requests: Vec<Request>,
    next: usize,
}

impl Client {
    /// Connects.
    pub async fn new(address: SocketAddr, requests: Vec<Request>) -> Result<Self> {
        Ok(Self { connection: Connection::open(address).await?, requests, next: 0 })
    }

    async fn run(mut self, expected: u16, until: Instant) -> io::Result<(Self, Vec<u32>, usize)> {
        let (mut latencies, mut wrong) = (Vec::with_capacity(16 * 1024), 0);
        let mut before = Instant::now();
        while before < until {
            let request = Arc::clone(&self.requests[self.next]);
            self.next = (self.next + 1) % self.requests.len();
            let seen = self.connection.exchange(&request).await?;
            let after = Instant::now();
            latencies.push(u32::try_from((after - before).as_micros()).unwrap_or(u32::MAX));
            wrong += usize::from(seen.status != expected);
            before = after;
        }
        Ok((self, latencies, wrong))
    }
}

/// Has clients ask for a time, all at once.
pub async fn drive(clients: Vec<Client>, expected: u16, time: Duration) -> Result<(Vec<Client>, Tally)> {
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for client in clients {
        tasks.spawn(client.run(expected, started + time));
    }
    let (mut clients, mut tally) = (Vec::new(), Tally::default());
    while let Some(done) = tasks.join_next().await {
        let (client, latencies, wrong) = done??;
        clients.push(client);
        tally.latencies.extend(latencies);
        tally.wrong += wrong;
    }
    tally.took = started.elapsed();
    tally.latencies.sort_unstable();
    Ok((clients, tally))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_where_the_body_is() {
        let whole = b"HTTP/1.1 201 Created\r\nContent-Type: x\r\nContent-Length: 12\r\n\r\nbody";
        assert_eq!(head(whole).expect("HTTP"), Some((201, whole.len() - 4, Some(12))));
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(head(chunked).expect("HTTP"), Some((200, chunked.len(), None)));
        assert_eq!(head(b"HTTP/1.1 200 OK\r\nContent-").expect("not yet"), None);
        assert!(head(b"nonsense\r\n\r\n").is_err());
    }

    #[test]
    fn percentiles_are_of_the_sorted_latencies() {
        let tally = Tally { latencies: (1..=1000).collect(), wrong: 0, took: Duration::from_secs(2) };
        assert!((tally.per_second() - 500.0).abs() < f64::EPSILON);
        assert!((tally.percentile(500) - 501.0).abs() < f64::EPSILON);
        assert!((tally.percentile(990) - 991.0).abs() < f64::EPSILON);
        assert!(Tally::default().percentile(990).abs() < f64::EPSILON);
    }
}
