//! Counters in the text form of Prometheus.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::operation::Operation;

/// Upper bounds in seconds: from 100 microseconds to 10 seconds.
const BUCKETS: [f64; 12] = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Route {
    method: String,
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    method: String,
    route: String,
    status: String,
}

/// The counters, those of an operation ready at hand.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    operations: Vec<Handles>,
    other: Handles,
    /// Open connections.
    pub connections: Gauge<i64, std::sync::atomic::AtomicI64>,
}

/// Counters of one operation: by class of status (1xx to 5xx), and how long it took.
#[derive(Debug)]
struct Handles {
    classes: [Counter<u64, AtomicU64>; 5],
    seconds: Histogram,
}

impl Metrics {
    /// Counters for the operations.
    pub fn new(operations: &[Operation]) -> Self {
        let mut registry = Registry::with_prefix("carebot");
        let requests = Family::<Outcome, Counter<u64, AtomicU64>>::default();
        let seconds = Family::<Route, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        let connections = Gauge::<i64, std::sync::atomic::AtomicI64>::default();
        registry.register("http_requests", "Requests answered, by operation and class of status", requests.clone());
        registry.register("http_request_duration_seconds", "Time until the answer began", seconds.clone());
        registry.register("http_connections", "Open connections", connections.clone());
        let handles = |method: &str, route: &str| {
            let (method, route) = (method.to_owned(), route.to_owned());
            let class = |index: usize| {
                let status = format!("{}xx", index + 1);
                requests.get_or_create(&Outcome { method: method.clone(), route: route.clone(), status }).clone()
            };
            let classes = std::array::from_fn(class);
            let seconds = seconds.get_or_create(&Route { method, route }).clone();
            Handles { classes, seconds }
        };
        let operations =
            operations.iter().map(|operation| handles(operation.method.as_str(), operation.path)).collect();
        Self { operations, other: handles("*", "other"), registry, connections }
    }

    /// Counts a request.
    pub fn record(&self, operation: Option<usize>, status: StatusCode, took: Duration) {
        let handles = operation.and_then(|index| self.operations.get(index)).unwrap_or(&self.other);
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        handles.classes[class].inc();
        handles.seconds.observe(took.as_secs_f64());
    }

    /// All of them as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            tracing::error!("the metrics could not be written");
        }
        text
    }
}
