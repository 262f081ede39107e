//! Connections: HTTP/1.1 and h2c, TLS if asked for, and a shutdown that finishes what is in flight.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::edge::{Edge, Peer};
use crate::patience::{Patient, limit};
use crate::tls::{CHECK, Certificate, TlsError};

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The most bytes of a request's head.
const HEAD: usize = 64 * 1024;

/// Serves connections until `stop`, then finishes the requests in flight for as long as the grace allows.
///
/// # Errors
/// [`TlsError`] if the certificate cannot be used.
pub async fn serve(
    listener: TcpListener,
    edge: Edge,
    certificate: Option<Arc<Certificate>>,
    stop: CancellationToken,
) -> Result<(), TlsError> {
    let acceptor = certificate.as_ref().map(Certificate::acceptor).transpose()?;
    let settings = edge.app().settings().clone();
    let mut http = Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_buf_size(HEAD)
        .half_close(false);
    http.http2()
        .timer(TokioTimer::new())
        .max_header_list_size(64 * 1024)
        .max_concurrent_streams(256)
        .keep_alive_interval(Some(Duration::from_mins(1)));
    let http = Arc::new(http);
    let graceful = GracefulShutdown::new();
    let refresher = certificate.map(|certificate| tokio::spawn(refresh(certificate, stop.clone())));

    loop {
        let (stream, address) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // No more files, most likely: others must end first.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let (edge, http, watcher, acceptor) = (edge.clone(), Arc::clone(&http), graceful.watcher(), acceptor.clone());
        tokio::spawn(async move {
            // Small answers must not wait for the other side's acknowledgement; without it they are only slower.
            let _ = stream.set_nodelay(true);
            let patience = edge.app().settings().write_timeout;
            limit(&stream, patience);
            let stream = Patient::new(stream, patience);
            match acceptor {
                None => connection(stream, address, false, &edge, &http, watcher).await,
                Some(acceptor) => match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => connection(stream, address, true, &edge, &http, watcher).await,
                    Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                    Err(_) => tracing::debug!("a TLS handshake took too long"),
                },
            }
        });
    }

    drop(listener);
    // They would never end by themselves.
    edge.app().service().end_streams();
    finish(edge, graceful, settings.grace).await;
    if let Some(refresher) = refresher {
        refresher.abort();
    }
    Ok(())
}

async fn connection<S>(
    stream: S,
    address: SocketAddr,
    tls: bool,
    edge: &Edge,
    http: &Builder<TokioExecutor>,
    watcher: Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = Peer { address: address.ip(), tls };
    let asked = AtomicBool::new(false);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        let answer = edge.serve(peer, request.map(Body::new));
        async move { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    edge.app().metrics().connections.inc();
    let serving = watcher.watch(http.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned());
    // The limit that HTTP/1.1 has for a head begins only after the first bytes told the version, and h2 has none.
    let silence = async {
        tokio::time::sleep(edge.app().settings().header_timeout).await;
        if asked.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        served = serving => {
            if let Err(error) = served {
                tracing::debug!(%error, "a connection broke");
            }
        }
        () = silence => tracing::debug!("a connection asked for nothing in time and is closed"),
    }
    edge.app().metrics().connections.dec();
}

/// Lets connections and writes that are in flight end.
async fn finish(edge: Edge, graceful: GracefulShutdown, grace: Duration) {
    let deadline = tokio::time::Instant::now() + grace;
    if tokio::time::timeout_at(deadline, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections did not end in time and are cut off");
    }
    edge.app().tasks().close();
    if tokio::time::timeout_at(
        deadline.max(tokio::time::Instant::now() + Duration::from_secs(1)),
        edge.app().tasks().wait(),
    )
    .await
    .is_err()
    {
        tracing::error!("some requests that write did not end in time");
    }
}

async fn refresh(certificate: Arc<Certificate>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        tokio::time::sleep(CHECK).await;
        certificate.refresh();
    }
}

/// Serves the metrics, to whoever can reach this address, until `stop`.
pub async fn serve_metrics(listener: TcpListener, edge: Edge, stop: CancellationToken) {
    let router = axum::Router::new().route(
        "/metrics",
        axum::routing::get(move || async move {
            (
                [(http::header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")],
                edge.app().metrics().text(),
            )
        }),
    );
    loop {
        let stream: TcpStream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection for metrics could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let http = Builder::new(TokioExecutor::new());
            if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "a connection for metrics broke");
            }
        });
    }
}
