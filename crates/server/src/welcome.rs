//! The first minutes in a browser: what this server is, and a page that makes the first account,
//! behind a link that works once.

mod account;
mod page;
mod reach;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde_json::json;
use tokio::sync::{Mutex, oneshot};
use waxwing_kernel::Hub;
use waxwing_kernel::config::Config;
use waxwing_net::Kind;
use waxwing_net::http::{HttpRoute, Reply, Request, StatusCode, header};

use self::account::{Refusal, Wish};
use self::reach::Reach;

/// Bytes of randomness in the link.
const TOKEN_BYTES: usize = 16;

/// How often the link may be tried. Enough for a person who looks for a free name, and little for
/// a program that asks which names are taken.
const ATTEMPTS: u32 = 20;

/// A name, a domain and a password are 3 KiB at most; JSON may escape them to six times that.
const WISH_BYTES_MAX: usize = 20 * 1024;

const FOLDER: &str = "/welcome/";

/// The one-time link, and what its page tells.
pub(crate) struct Welcome {
    hub: Hub,
    token: String,
    listening: Vec<(Kind, SocketAddr)>,
    /// Held while an account is made, so that of several requests one wins.
    link: Mutex<Link>,
}

/// What is left of the link.
#[derive(Clone, Copy)]
enum Link {
    Open { attempts: u32 },
    Used,
}

impl Welcome {
    /// A fresh link to a server that listens there.
    pub(crate) fn new(hub: Hub, listening: Vec<(Kind, SocketAddr)>) -> Self {
        let token = hub.clock().token(TOKEN_BYTES);
        Self { hub, token, listening, link: Mutex::new(Link::Open { attempts: ATTEMPTS }) }
    }

    /// Its path on the web server.
    pub(crate) fn path(&self) -> String {
        format!("{FOLDER}{}", self.token)
    }

    /// Takes as long for any wrong token, so that none can be guessed letter by letter.
    fn knows(&self, token: &str) -> bool {
        verify_slices_are_equal(self.token.as_bytes(), token.as_bytes()).is_ok()
    }

    /// GET `/welcome/TOKEN`.
    async fn show(&self, request: Request) -> Reply {
        let token = request.path.strip_prefix(FOLDER).unwrap_or_default();
        if !self.knows(token) {
            return page::spent(StatusCode::NOT_FOUND, &self.hub);
        }
        match *self.link.lock().await {
            Link::Open { attempts: 1.. } => page::ask(&self.hub),
            Link::Open { .. } | Link::Used => page::spent(StatusCode::GONE, &self.hub),
        }
    }

    /// POST `/welcome/TOKEN/account`.
    async fn answer(self: Arc<Self>, request: Request, reach: Arc<Reach>) -> Reply {
        let path = request.path.strip_prefix(FOLDER).unwrap_or_default();
        if !path.strip_suffix("/account").is_some_and(|token| self.knows(token)) {
            return page::refused(StatusCode::NOT_FOUND, "This link is not known here.");
        }
        if !is_json(&request) {
            let text = "An account is asked for in JSON.";
            return page::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
        }
        let Ok(wish) = serde_json::from_slice::<Wish>(&request.body) else {
            let text = "Name, domain and password are needed.";
            return page::refused(StatusCode::BAD_REQUEST, text);
        };
        // A task of its own: a browser that goes away must not leave an account without its link
        // being used up.
        let (done, answer) = oneshot::channel();
        let clock = self.hub.clock().clone();
        clock.spawn(async move {
            let _ = done.send(self.fulfil(wish, &reach).await);
        });
        answer.await.unwrap_or_else(|_| {
            page::refused(StatusCode::INTERNAL_SERVER_ERROR, "Something broke; see the log.")
        })
    }

    /// Makes the account, once.
    async fn fulfil(&self, wish: Wish, reach: &Reach) -> Reply {
        let mut link = self.link.lock().await;
        match &mut *link {
            Link::Used => {
                let text = "This link was used already. It works once.";
                return page::refused(StatusCode::GONE, text);
            }
            Link::Open { attempts: 0 } => {
                let text = "This link was tried too often. Make the account in a terminal: \
                            waxwing user add";
                return page::refused(StatusCode::TOO_MANY_REQUESTS, text);
            }
            Link::Open { attempts } => *attempts -= 1,
        }
        match account::create(&self.hub, &wish).await {
            Ok(jid) => {
                *link = Link::Used;
                tracing::info!(account = %jid, "made by the one-time link");
                page::made(&jid, reach)
            }
            Err(Refusal::Fields(errors)) => {
                let body = json!({ "errors": errors });
                page::json(StatusCode::UNPROCESSABLE_ENTITY, &body)
            }
            Err(Refusal::Unavailable(text)) => {
                page::refused(StatusCode::SERVICE_UNAVAILABLE, &text)
            }
        }
    }
}

/// A form of another page cannot send JSON.
fn is_json(request: &Request) -> bool {
    let kind = request.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// The pages, their parts, and what they ask for.
pub(crate) fn routes(welcome: &Arc<Welcome>, config: &Config) -> Vec<HttpRoute> {
    let reach = Arc::new(Reach::new(&welcome.listening, config));
    let (home, shown, asked) = (welcome.hub.clone(), Arc::clone(welcome), Arc::clone(welcome));
    let mut ask = HttpRoute::post(format!("{FOLDER}*"), move |request| {
        Arc::clone(&asked).answer(request, Arc::clone(&reach))
    });
    ask.body_bytes_max = WISH_BYTES_MAX;
    let mut routes = page::parts();
    routes.extend([
        ask,
        HttpRoute::get(format!("{FOLDER}*"), move |request| {
            let welcome = Arc::clone(&shown);
            async move { welcome.show(request).await }
        }),
        HttpRoute::get("/", move |_| {
            let reply = page::home(&home);
            async move { reply }
        }),
    ]);
    routes
}
