//! What HTTP answers besides WebSockets: health, metrics, and the pages of the first minutes.

use std::sync::Arc;

use waxwing_kernel::config::Config;
use waxwing_net::acme::PAGES;
use waxwing_net::http::{HttpRoute, Reply, Request, StatusCode};

use crate::metrics;
use crate::server::Server;

/// OpenMetrics 1.0.0, §4.1.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The table of pages.
pub(crate) fn routes(server: &Arc<Server>) -> Vec<HttpRoute> {
    let mut routes = vec![
        HttpRoute::get("/healthz", |_| async { Reply::text(StatusCode::OK, "ok\n") }),
        get(server, "/readyz", |server, _| async move { ready(&server) }),
        get(server, "/metrics", |server, request| async move { measures(&server, &request) }),
    ];
    routes.push(challenges(server));
    routes.extend(crate::welcome::routes(server.welcome(), &server.config()));
    routes
}

/// Where an authority looks whether a name leads here (RFC 8555 §8.3).
fn challenges(server: &Arc<Server>) -> HttpRoute {
    get(server, &format!("{PAGES}*"), |server, request| async move {
        match server.tls().proofs().page(&request.path) {
            Some(page) => Reply::new(StatusCode::OK, "application/octet-stream", page),
            None => Reply::text(StatusCode::NOT_FOUND, "There is nothing here.\n"),
        }
    })
}

fn get<F>(
    server: &Arc<Server>,
    path: &str,
    handler: impl Fn(Arc<Server>, Request) -> F + Send + Sync + 'static,
) -> HttpRoute
where
    F: Future<Output = Reply> + Send + 'static,
{
    // A weak handle: the table lives in the network layer, which the server owns.
    let server = Arc::downgrade(server);
    HttpRoute::get(path, move |request| {
        let answer = server.upgrade().map(|server| handler(server, request));
        async move {
            match answer {
                Some(answer) => answer.await,
                None => Reply::text(StatusCode::SERVICE_UNAVAILABLE, "the server is ending\n"),
            }
        }
    })
}

/// Ready to take clients: the database can be written and nobody asked us to end.
fn ready(server: &Server) -> Reply {
    let fault = server.hub().db().health().fault;
    match (fault, server.hub().is_draining()) {
        (None, false) => Reply::text(StatusCode::OK, "ready\n"),
        (_, true) => Reply::text(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n"),
        (Some(_), _) => {
            Reply::text(StatusCode::SERVICE_UNAVAILABLE, "the database cannot be written\n")
        }
    }
}

fn measures(server: &Server, request: &Request) -> Reply {
    if !may_measure(&server.config(), request) {
        let text = "Metrics are for this machine and trusted proxies (http.metrics_private).\n";
        return Reply::text(StatusCode::FORBIDDEN, text);
    }
    server.acme().measure();
    let uptime = server.hub().clock().now() - server.started();
    let text = server.hub().metrics().to_text(&metrics::process(uptime));
    Reply::new(StatusCode::OK, OPEN_METRICS, text)
}

fn may_measure(config: &Config, request: &Request) -> bool {
    let is_trusted =
        |network: &waxwing_kernel::config::sections::Network| network.contains(request.client);
    !config.http.metrics_private
        || request.client.is_loopback()
        || config.http.trusted_proxies.iter().any(is_trusted)
}
