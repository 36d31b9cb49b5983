#![cfg_attr(not(doctest), doc = include_str!("authhook.md"))]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use waxwing_jid::BareJid;
use waxwing_kernel::backend::{LookUp, PasswordAsk};
use waxwing_kernel::config::{Flaw, Uri};
use waxwing_kernel::module::{About, Module, StartError};
use waxwing_kernel::outgoing::{FetchRequest, HeaderValue, Reach, header};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{Hub, SiteBuilder, section};
use waxwing_stream::AuthFailure;
use zeroize::Zeroizing;

/// An answer is a few words.
const REPLY_BYTES: usize = 4 * 1024;

section! {
    /// A program of the operator that knows passwords, asked over HTTP.
    pub struct AuthHookConfig("authhook", check = AuthHookConfig::check) {
        /// Where it is asked: `https://…`, or `http://` on this machine.
        pub url: Option<Uri> = None,
        /// What shows it that this server asks: sent as `Authorization: Bearer …`.
        pub secret: Option<String> = None,
        /// A file with the same; line breaks at its end do not count. A relative path begins at the
        /// data folder.
        pub secret_file: Option<PathBuf> = None,
        /// How long an answer may take (seconds).
        pub seconds: u32 = 5 in 1..=30,
        /// Questions under way at a time; more wait.
        pub concurrent: u32 = 8 in 1..=16,
        /// Whether it is also asked about people who never signed in, when somebody writes to them,
        /// and about those who sign in with a token of this server.
        pub lookup: bool = false,
    }
}

impl AuthHookConfig {
    fn check(&self) -> Result<(), Flaw> {
        let flaw = |key, problem: &str| Err(Flaw { key, problem: problem.to_owned() });
        if self.url.as_ref().is_some_and(|url| !url.is_private()) {
            let text = "it must begin with https://, or with http:// and name this machine \
                        (127.0.0.1, [::1] or localhost), since passwords are sent there";
            return flaw("url", text);
        }
        match (&self.secret, &self.secret_file) {
            (Some(_), Some(_)) => flaw("secret_file", "either `secret` or `secret_file`"),
            (Some(secret), _) if bearer(secret).is_none() => {
                flaw("secret", "it goes into a header: letters, digits and signs of ASCII")
            }
            _ => Ok(()),
        }
    }
}

fn bearer(secret: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {secret}")).ok()?;
    value.set_sensitive(true);
    Some(value).filter(|_| !secret.is_empty())
}

/// Asks the operator's program.
pub struct AuthHook {
    config: AuthHookConfig,
    url: String,
    bearer: Option<HeaderValue>,
}

impl Module for AuthHook {
    const ABOUT: &'static About = &About {
        name: "authhook",
        summary: "Asks a program of the operator, over HTTP, whether a password is right.",
        is_on: false,
        xeps: &[],
        server_features: &[],
        account_features: &[],
        manual: include_str!("authhook.md"),
    };
    type Config = AuthHookConfig;

    fn start(site: &mut SiteBuilder<'_>, config: AuthHookConfig) -> Result<Self, StartError> {
        let made = Self::new(&site.hub(), config);
        made.map_err(|reason| StartError { module: "authhook", reason })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        let running = on.module().config.concurrent as usize;
        on.passwords(running, Self::verify);
        if on.module().config.lookup {
            on.lookup(Self::find);
        }
    }
}

impl AuthHook {
    fn new(hub: &Hub, config: AuthHookConfig) -> Result<Self, String> {
        let url = config.url.as_ref().ok_or("it needs `url`")?.as_str().to_owned();
        let secret = match (&config.secret, &config.secret_file) {
            (Some(secret), _) => Some(secret.clone()),
            (None, Some(file)) => {
                let file = hub.folder().map_or_else(|| file.clone(), |data| data.join(file));
                let content = std::fs::read_to_string(&file)
                    .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
                Some(content.trim_end().to_owned())
            }
            (None, None) => None,
        };
        let bearer =
            secret.map(|secret| bearer(&secret).ok_or("the secret cannot stand in a header"));
        Ok(Self { url, bearer: bearer.transpose()?, config })
    }

    /// Asks the program for an account that hardly exists: for `waxwing check`.
    ///
    /// # Errors
    /// Why people could not sign in, for the operator.
    pub async fn probe(hub: &Hub, config: AuthHookConfig, domain: &BareJid) -> Result<(), String> {
        let account = BareJid::from_parts(Some("waxwing-check"), domain.domain());
        let account = account.map_err(|error| error.to_string())?;
        let question = question("password", &account, Some("waxwing-check"));
        Self::new(hub, config)?.ask(hub, question).await.map(drop)
    }

    async fn verify(self: Arc<Self>, ask: PasswordAsk) -> Result<bool, AuthFailure> {
        let password = ask.password.as_str();
        let question = question("password", &ask.account, Some(password));
        self.ask(&ask.hub, question).await.map_err(|why| failed(&why))
    }

    async fn find(self: Arc<Self>, ask: LookUp) -> Result<bool, AuthFailure> {
        let question = question("account", &ask.account, None);
        self.ask(&ask.hub, question).await.map_err(|why| failed(&why))
    }

    async fn ask(&self, hub: &Hub, question: Zeroizing<String>) -> Result<bool, String> {
        let body = question.as_bytes().to_vec();
        let mut request = FetchRequest::post(self.url.as_str(), Reach::Anywhere, body)
            .with(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .with(header::ACCEPT, HeaderValue::from_static("application/json"))
            .at_most(REPLY_BYTES)
            .within(Duration::from_secs(self.config.seconds.into()));
        if let Some(bearer) = &self.bearer {
            request = request.with(header::AUTHORIZATION, bearer.clone());
        }
        let reply = hub.fetch(request).await.map_err(|error| error.to_string())?;
        if reply.status.as_u16() != 200 {
            return Err(format!("it answered {}", reply.status));
        }
        let verdict = verdict(&reply.body);
        verdict.ok_or_else(|| "its answer is not {\"ok\": true} or false".to_owned())
    }
}

/// What is asked.
fn question(what: &str, account: &BareJid, password: Option<&str>) -> Zeroizing<String> {
    let (local, domain) = (account.local().unwrap_or_default(), account.domain());
    let mut question = json!({ "ask": what, "user": local, "domain": domain });
    if let Some(password) = password {
        question["password"] = password.into();
    }
    Zeroizing::new(question.to_string())
}

/// What was answered: an object that says yes or no, and nothing else counts.
fn verdict(body: &[u8]) -> Option<bool> {
    serde_json::from_slice::<Value>(body).ok()?.get("ok")?.as_bool()
}

fn failed(why: &str) -> AuthFailure {
    tracing::error!(why, "the program that knows passwords cannot be asked");
    let text = "The server cannot check passwords at the moment; try again.";
    AuthFailure::Temporary(Some(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_answers_are_json() {
        let romeo = BareJid::new("romeo@localhost").unwrap();
        let asked: Value =
            serde_json::from_str(&question("password", &romeo, Some("a\"b"))).unwrap();
        let mut wanted = json!({ "ask": "password", "user": "romeo", "domain": "localhost" });
        wanted["password"] = "a\"b".into();
        assert_eq!(asked, wanted);
        let asked: Value = serde_json::from_str(&question("account", &romeo, None)).unwrap();
        assert_eq!(asked, json!({ "ask": "account", "user": "romeo", "domain": "localhost" }));
        assert_eq!(verdict(br#"{"ok":true,"more":1}"#), Some(true));
        assert_eq!(verdict(br#"{"ok":false}"#), Some(false));
        for wrong in
            ["", "true", "{}", r#"{"ok":"true"}"#, r#"{"ok":1}"#, r#"[{"ok":true}]"#, "<ok/>"]
        {
            assert_eq!(verdict(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
