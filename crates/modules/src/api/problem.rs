//! What programs are told when something cannot be done (RFC 9457).

use serde_json::{Value, json};
use waxwing_kernel::command::{Refusal, RefusalKind};
use waxwing_kernel::http::{Content, HeaderName, HeaderValue, HttpReply, StatusCode, header};

const TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// How long those wait who came when there was no room, in seconds.
const AGAIN_SECONDS: &str = "5";

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    /// A condition of RFC 6120 §8.3.3, as the same refusal has it elsewhere.
    condition: &'static str,
    field: Option<String>,
    detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        condition: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self { status, condition, field: None, detail: detail.into(), headers: Vec::new() }
    }

    /// The request cannot be read.
    pub(super) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    /// What one field says cannot be used.
    pub(super) fn at(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::BAD_REQUEST, RefusalKind::Invalid.condition(), detail);
        Self { field: Some(field.into()), ..problem }
    }

    /// There is nothing at this address.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "item-not-found", detail)
    }

    /// RFC 9110 §15.5.6: "The origin server MUST generate an Allow header field in a 405 response".
    pub(super) fn method(allowed: &'static str) -> Self {
        let detail = format!("Only {allowed} can be asked for here.");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "not-allowed", detail)
            .with(header::ALLOW, HeaderValue::from_static(allowed))
    }

    /// No room at the moment.
    pub(super) fn busy(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, RefusalKind::Busy.condition(), detail)
            .with(header::RETRY_AFTER, HeaderValue::from_static(AGAIN_SECONDS))
    }

    /// Too much of one's own.
    pub(super) fn too_many(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, RefusalKind::Busy.condition(), detail)
            .with(header::RETRY_AFTER, HeaderValue::from_static(AGAIN_SECONDS))
    }

    /// It broke here.
    pub(super) fn failed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, RefusalKind::Failed.condition(), detail)
    }

    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The answer; without a body for those who did not ask for one is the network's business.
    pub(super) fn reply(self) -> HttpReply {
        let mut body = json!({
            // §4.2.1: the type is "about:blank", and so the title "SHOULD be the same as the
            // recommended HTTP status phrase for that code".
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "condition": self.condition,
        });
        if let Some(field) = self.field {
            body["field"] = Value::from(field);
        }
        let mut reply = HttpReply::status(self.status).with(header::CONTENT_TYPE, TYPE);
        for (name, value) in self.headers {
            reply = reply.with(name, value);
        }
        HttpReply { content: Content::Bytes(body.to_string().into()), ..reply }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.kind {
            RefusalKind::Invalid => StatusCode::BAD_REQUEST,
            RefusalKind::Forbidden | RefusalKind::NotAllowed => StatusCode::FORBIDDEN,
            RefusalKind::NotFound => StatusCode::NOT_FOUND,
            RefusalKind::Conflict => StatusCode::CONFLICT,
            RefusalKind::Busy => return Self::busy(refusal.text),
            RefusalKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let problem = Self::new(status, refusal.kind.condition(), refusal.text);
        Self { field: refusal.field.map(str::to_owned), ..problem }
    }
}
