//! The HTTP side: `PUT TOKEN/SECRET/NAME` brings a file, `GET TOKEN/NAME` fetches it.

mod fetch;
mod put;

use std::sync::Arc;

use waxwing_kernel::http::{
    HeaderName, HeaderValue, HttpReply, HttpRequest, Method, StatusCode, header, percent_decoded,
};
use waxwing_store::StoreError;

use super::Upload;
use super::file::File;
use super::places::AGAIN_SECONDS;
use super::shelf::is_token;

/// Set on every answer. Pages of any web client may upload and fetch (§7), and whoever embeds
/// pictures; what is fetched can do nothing with the server's other pages (§8.1), as it comes
/// without scripts, forms, frames and an origin of its own.
const HEADERS: [(HeaderName, &str); 8] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (header::ACCESS_CONTROL_ALLOW_METHODS, "OPTIONS, HEAD, GET, PUT"),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, Range, If-None-Match"),
    (
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag, Retry-After",
    ),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// How long a browser need not ask again whether it may.
const PREFLIGHT_SECONDS: &str = "7200";

/// Answers a request for something in the module's folder.
pub(super) async fn answer(upload: Arc<Upload>, request: HttpRequest) -> HttpReply {
    let path = request.path.clone();
    let parts: Vec<&str> = path.split('/').collect();
    let (get, put) = ("OPTIONS, HEAD, GET", "OPTIONS, PUT");
    let allowed = match parts.as_slice() {
        [token, _] if is_token(token) => get,
        [token, secret, _] if is_token(token) && is_token(secret) => put,
        _ => return dressed(nothing()),
    };
    let reply = match (&request.method, parts.as_slice()) {
        (&Method::OPTIONS, _) => HttpReply::status(StatusCode::NO_CONTENT)
            .with(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_SECONDS))
            .with(header::ALLOW, HeaderValue::from_static(allowed)),
        (&(Method::GET | Method::HEAD), [token, name]) => {
            let asked = (&request.method, &request.headers);
            fetch::fetch(&upload, token, name, asked).await
        }
        (&Method::PUT, [token, secret, name]) => {
            put::put(upload, [*token, *secret, *name], request).await
        }
        _ => HttpReply::text(StatusCode::METHOD_NOT_ALLOWED, "That cannot be done here.\n")
            .with(header::ALLOW, HeaderValue::from_static(allowed)),
    };
    dressed(reply)
}

fn dressed(mut reply: HttpReply) -> HttpReply {
    for (name, value) in HEADERS {
        reply.headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    reply
}

/// The row of a file that is called `name`.
async fn find(upload: &Upload, token: &str, name: &str) -> Result<File, HttpReply> {
    let found = upload.files.find(token).await.map_err(|error| unreachable(&error))?;
    let name = percent_decoded(name);
    found.filter(|file| Some(&file.name) == name.as_ref()).ok_or_else(nothing)
}

fn nothing() -> HttpReply {
    HttpReply::text(StatusCode::NOT_FOUND, "There is no such file here, or not any more.\n")
}

/// Everybody who may has a place already, and kept it.
fn busy(text: &'static str) -> HttpReply {
    HttpReply::text(StatusCode::SERVICE_UNAVAILABLE, text)
        .with(header::RETRY_AFTER, HeaderValue::from_static(AGAIN_SECONDS))
}

fn unreachable(error: &StoreError) -> HttpReply {
    tracing::error!(%error, "uploads");
    let text = "Files cannot be looked up at the moment; try again later.\n";
    HttpReply::text(StatusCode::SERVICE_UNAVAILABLE, text)
}
