//! What is asked of a server.

use std::fmt::Write as _;

use carebot_model::Timestamp;

use crate::Result;
use crate::load::Request;
use crate::scene::{Data, Engine};
use crate::seed::{EMAIL, PASSWORD, Seeded, UNREAD, User};

/// What the hello is answered.
pub const HELLO: &str = r#"{"status":"ok"}"#;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Work {
    /// The cheapest answer of the same server: what HTTP itself costs.
    Hello,
    /// A robot reports; answered once the row is durable.
    Post,
    /// The newest report.
    Latest,
    /// The newest thousand reports.
    Range,
    /// Five of fifty messages are not read.
    Messages,
    /// Signing in: Argon2id with 19 MiB.
    SignIn,
}

/// What a workload is to cost, in microseconds of processor time.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Server and database together.
    pub cpu: f64,
    /// What the system that carebot replaces took on the same machine.
    pub original: Option<f64>,
}

impl Work {
    /// All, in the order of the tables.
    pub const ALL: [Self; 6] = [Self::Hello, Self::Post, Self::Latest, Self::Range, Self::Messages, Self::SignIn];

    /// As the tables call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hello => "GET /healthz (hello)",
            Self::Post => "POST /status/home, durable",
            Self::Latest => "GET /status/home/latest/{family}",
            Self::Range => "GET /status/home/{family}, 1,000 rows",
            Self::Messages => "GET /messages/new, 5 of 50",
            Self::SignIn => "POST /auth/login",
        }
    }

    /// Whether the size of the table of reports can matter to it.
    pub fn is_about(self, data: Data) -> bool {
        match self {
            Self::Post | Self::Latest | Self::Range => true,
            Self::Hello | Self::Messages | Self::SignIn => data == Data::Thousand,
        }
    }

    /// Connections that ask at once, of so many.
    pub fn clients(self, clients: usize) -> usize {
        // Passwords are checked two at a time; more would only wait.
        if self == Self::SignIn { clients.min(2) } else { clients }
    }

    /// The status of the right answer.
    pub const fn status(self) -> u16 {
        match self {
            Self::Post => 201,
            _ => 200,
        }
    }

    /// What it is to cost; set before the first line was written.
    pub const fn target(self, engine: Engine) -> Option<Target> {
        let (cpu, original) = match (self, engine) {
            (Self::Hello, Engine::Sqlite) => (6.0, None),
            (Self::Post, Engine::Sqlite) => (40.0, Some(7_500.0)),
            (Self::Post, Engine::MariaDb) => (60.0, Some(7_500.0)),
            (Self::Latest, Engine::Sqlite) => (25.0, Some(9_100.0)),
            (Self::Latest, Engine::MariaDb) => (100.0, Some(9_100.0)),
            (Self::Range, Engine::Sqlite) => (900.0, Some(72_000.0)),
            (Self::Range, Engine::MariaDb) => (1_900.0, Some(72_000.0)),
            (Self::Hello | Self::Messages | Self::SignIn, _) => return None,
        };
        Some(Target { cpu, original })
    }

    /// The requests of one of so many clients, to be asked in turn: users are shared out among the clients.
    pub fn requests(self, seeded: &Seeded, client: usize, clients: usize) -> Vec<Request> {
        let share = seeded.users.iter().skip(client % seeded.users.len()).step_by(clients.min(seeded.users.len()));
        share.map(|user| self.request(user, seeded.newest_thousand).into_bytes().into()).collect()
    }

    /// The request of a hello.
    pub fn hello() -> Request {
        get("/healthz", "").into_bytes().into()
    }

    fn request(self, User { token, family }: &User, newest_thousand: Timestamp) -> String {
        let cookie = format!("Cookie: session_id={token}\r\n");
        let post = |path: &str, cookie: &str, body: &str| {
            let mut text = format!(
                "POST {path} HTTP/1.1\r\nHost: localhost:8000\r\nUser-Agent: carebot-bench\r\nAccept: */*\r\n{cookie}"
            );
            // Writing to memory does not fail.
            let _ = write!(text, "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            text
        };
        match self {
            Self::Hello => get("/healthz", ""),
            Self::Latest => get(&format!("/status/home/latest/{family}"), &cookie),
            Self::Range => {
                let mut buffer = [0; 19];
                get(&format!("/status/home/{family}?start={}", newest_thousand.write(&mut buffer)), &cookie)
            }
            Self::Messages => get("/messages/new", &cookie),
            Self::Post => {
                let reading =
                    r#""temperature": 23.4, "humidity": 51.2, "dust_level": 17.0, "ethanol": 0.21, "others": null"#;
                post("/status/home", &cookie, &format!(r#"{{"family_id": "{family}", {reading}}}"#))
            }
            Self::SignIn => post("/auth/login", "", &format!(r#"{{"email": "{EMAIL}", "password": "{PASSWORD}"}}"#)),
        }
    }

    /// Whether an answer is what was asked for, in full.
    pub fn check(self, status: u16, body: &str) -> Result {
        let rows = body.matches("\"index\":").count();
        let right = match self {
            Self::Hello => body == HELLO,
            Self::Post => !body.contains("result"),
            Self::Latest => rows == 1,
            Self::Range => rows == 1_000,
            Self::Messages => rows == UNREAD,
            Self::SignIn => body.contains("\"session_id\":"),
        };
        if right && status == self.status() {
            return Ok(());
        }
        let begin: String = body.chars().take(300).collect();
        Err(format!("{} was answered {status} with {rows} rows: {begin}", self.name()).into())
    }
}

fn get(path: &str, cookie: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost:8000\r\nUser-Agent: carebot-bench\r\nAccept: */*\r\n{cookie}\r\n")
}
