//! A running server, for tests of what goes over the wire.
//!
//! ```
//! use carebot_testkit::{both_engines, app::{ANYONE, TestApp}};
//! use serde_json::json;
//!
//! both_engines! {
//!     async fn an_elder_reads_what_the_robot_reported(t: TestDb) {
//!         let app = TestApp::new(&t).await;
//!         let house = app.house().await;
//!         let body = json!({"family_id": house.family, "heart_rate": 72.5});
//!         let reply = app.call("POST /status/health", &house.elder, body).await;
//!         reply.is(201, r#"{"message":"Health status created successfully"}"#);
//!         let reply = app.call(&format!("GET /status/health/latest/{}", house.family), ANYONE, json!(null)).await;
//!         reply.refuses(403, "can not access", "You do not have permission");
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! Requests go through [`Edge::serve`] without a socket; [`TestApp::listen`] makes one. Every answer of a documented
//! operation is checked against the OpenAPI document before the test sees it.

mod document;
mod people;
mod postbox;
mod reply;
mod request;
mod stream;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use carebot_database::Db;
use carebot_server::{Edge, ServerSettings, listen};
use carebot_service::{Service, Settings};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::TestDb;

pub use document::{Operation, operations};
pub use people::{House, PASSWORD, Person};
pub use postbox::{Postbox, Posted};
pub use reply::{Names, Reply};
pub use request::{ANYONE, Request, Who};
pub use stream::{Event, EventStream};

/// A server on a test's database, with the test's clock and randomness.
#[derive(Clone, Debug)]
pub struct TestApp {
    /// The database, the clock and the randomness.
    pub t: TestDb,
    /// The use cases.
    pub service: Arc<Service>,
    /// What answers requests.
    pub edge: Edge,
    /// What to call ids in the answers that tests compare.
    pub names: Names,
}

impl TestApp {
    /// With the usual settings.
    pub async fn new(t: &TestDb) -> Self {
        Self::with(t, |_, _| {}).await
    }

    /// With settings of the test's own.
    pub async fn with(t: &TestDb, set: impl FnOnce(&mut Settings, &mut ServerSettings)) -> Self {
        Self::on(t, t.db.clone(), set).await
    }

    /// On a database that was opened apart, as a second server would be.
    ///
    /// # Panics
    /// When the use cases do not start.
    pub async fn on(t: &TestDb, db: Db, set: impl FnOnce(&mut Settings, &mut ServerSettings)) -> Self {
        let (mut settings, mut server) = (Settings::default(), ServerSettings::default());
        set(&mut settings, &mut server);
        let service = Service::start(db, t.clock.clone(), t.rng.clone(), settings).await.expect("the use cases start");
        let edge = carebot_server::build(Arc::clone(&service), server);
        Self { t: t.clone(), service, edge, names: Names::default() }
    }

    /// Moves the clock, and renews the leases as a running server would have done meanwhile.
    ///
    /// # Panics
    /// When a lease cannot be renewed.
    pub async fn advance(&self, millis: i64) {
        self.t.advance(millis).await;
        self.service.renew_node().await.expect("the node number is still this server's");
    }

    /// A request, to be completed and sent: `POST /auth/login`.
    ///
    /// # Panics
    /// When the line is no method and path.
    pub fn request(&self, line: &str) -> Request<'_> {
        Request::new(self, line)
    }

    /// Sends a request with a JSON body, or with none if that is `null`.
    pub async fn call(&self, line: &str, who: impl Who, body: Value) -> Reply {
        let request = self.request(line).by(who);
        if body.is_null() { request.send().await } else { request.json(&body).send().await }
    }

    /// As [`TestApp::call`], without a body.
    pub async fn get(&self, path: &str, who: impl Who) -> Reply {
        self.call(&format!("GET {path}"), who, Value::Null).await
    }

    /// Serves on a socket of 127.0.0.1 until [`Listening::stop`].
    ///
    /// # Panics
    /// When no socket can be had.
    pub async fn listen(&self) -> Listening {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket is free");
        let address = listener.local_addr().expect("the socket has an address");
        let stop = CancellationToken::new();
        let served = tokio::spawn(listen::serve(listener, self.edge.clone(), None, stop.clone()));
        Listening { address, stop, served }
    }
}

/// A server on a socket.
#[derive(Debug)]
pub struct Listening {
    /// Where.
    pub address: SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<Result<(), carebot_server::tls::TlsError>>,
}

impl Listening {
    /// Asks the server to stop, and does not wait for it.
    pub fn begin_stop(&self) {
        self.stop.cancel();
    }

    /// Stops the server and waits until it has.
    ///
    /// # Panics
    /// When it failed.
    pub async fn stop(self) {
        self.stop.cancel();
        self.served.await.expect("the server ends by itself").expect("the server does not fail");
    }
}
