//! The HTTP side: metrics and health on loopback. Library, player and API are other pages of it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use tokio::net::TcpListener;

use crate::metrics::Metrics;

/// Why the server cannot be.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("cannot listen on http.listen = {address}: {source}; choose another address")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("the HTTP server failed")]
    Serve { source: std::io::Error },
}

/// Takes the address.
///
/// # Errors
/// It is taken, or not ours.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, HttpError> {
    TcpListener::bind(address).await.map_err(|source| HttpError::Listen { address, source })
}

/// Serves until `stop` resolves.
///
/// # Errors
/// The server failed.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), HttpError> {
    axum::serve(listener, routes(metrics))
        .with_graceful_shutdown(stop)
        .await
        .map_err(|source| HttpError::Serve { source })
}

fn routes(metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/metrics", get(metrics_text))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(metrics)
}

async fn metrics_text(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.text())
}
