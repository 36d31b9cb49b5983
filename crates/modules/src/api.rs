#![cfg_attr(not(doctest), doc = include_str!("api.md"))]

mod ask;
mod commands;
mod door;
mod openapi;
mod problem;
mod scope;
mod shares;
mod stream;
mod token;
mod values;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::Semaphore;
use waxwing_jid::BareJid;
use waxwing_kernel::command::Command;
use waxwing_kernel::config::Bytes;
use waxwing_kernel::events::EventAbout;
use waxwing_kernel::module::{About, Module, StartError};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::{Stage, Transit, Verdict};
use waxwing_kernel::{Hub, Site, SiteBuilder, section};
use waxwing_stanza::Kind;
use waxwing_store::Table;

use self::shares::Shares;
use self::token::Tokens;

section! {
    /// Commands by HTTP, for programs, and what happens on the server as it happens. Nothing is
    /// answered without a token, and only admins make those (`waxwing token create`).
    pub struct ApiConfig("api") {
        /// The largest request.
        pub body_size: Bytes = "64 KiB" in "1 KiB"..="16 MiB",
        /// Commands that may run at the same time; one more is told to try again.
        pub commands: u32 = 16 in 1..=1000,
        /// Event streams that may be open at the same time.
        pub streams: u32 = 32 in 0..=10_000,
        /// Those of them that may be open with one token.
        pub streams_per_token: u32 = 8 in 0..=10_000,
        /// Tokens that may be good at the same time.
        pub tokens: u32 = 200 in 1..=100_000,
        /// Web pages that browsers let ask: `origins = ["https://admin.example.org"]`. Programs
        /// that are no pages do not need this.
        pub origins: Vec<String> = [],
    }
}

/// What the module and its folder are called.
const NAME: &str = "api";
/// How often it is told how many messages there were.
const COUNT: Duration = Duration::from_secs(60);

static MESSAGES_COUNTED: EventAbout = EventAbout {
    name: "messages.counted",
    about: "Messages were sent or received in the last minute.",
    fields: &[
        ("sent", "How many the domain's accounts sent."),
        ("received", "How many they received."),
    ],
};

/// Lets programs give the commands that modules declare.
pub struct Api {
    hub: Hub,
    domain: BareJid,
    tokens: Tokens,
    running: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    /// Streams by token.
    listeners: Arc<Shares<i64>>,
    /// Answers to wrong tokens that wait, by network.
    refusals: Arc<Shares<IpAddr>>,
    sent: AtomicU64,
    received: AtomicU64,
    config: ApiConfig,
}

impl Module for Api {
    const ABOUT: &'static About = &About {
        name: NAME,
        summary: "Lets programs give commands by HTTP and hear what happens.",
        is_on: true,
        xeps: &[],
        server_features: &[],
        account_features: &[],
        manual: include_str!("api.md"),
    };
    const TABLES: &'static [Table] = &[token::TABLE];
    type Config = ApiConfig;

    fn start(site: &mut SiteBuilder<'_>, config: ApiConfig) -> Result<Self, StartError> {
        let (hub, domain) = (site.hub(), site.jid().clone());
        Ok(Self {
            tokens: Tokens::new(hub.clone(), domain.domain()),
            running: Arc::new(Semaphore::new(config.commands as usize)),
            streams: Arc::new(Semaphore::new(config.streams as usize)),
            listeners: Arc::default(),
            refusals: Arc::default(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            hub,
            domain,
            config,
        })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.http(ask::answer);
        on.command(|api| Command::new(&commands::CREATE, api, Self::create));
        on.command(|api| Command::new(&commands::LIST, api, Self::list));
        on.command(|api| Command::new(&commands::REVOKE, api, Self::revoke));
        on.event(&MESSAGES_COUNTED);
        // Behind every module that may refuse one.
        on.outbound(Stage::Record, |api, transit| api.count(transit, &api.sent));
        on.inbound(Stage::Record, |api, transit| api.count(transit, &api.received));
        on.every(COUNT, Self::tell_counts);
    }
}

impl Api {
    fn count(&self, transit: &Transit<'_>, counter: &AtomicU64) -> Verdict {
        if self.hub.is_watched() && matches!(transit.stanza.head.kind, Kind::Message(_)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        Verdict::Pass
    }

    async fn tell_counts(self: Arc<Self>, _: Hub, _: Arc<Site>) {
        let [sent, received] =
            [&self.sent, &self.received].map(|counter| counter.swap(0, Ordering::Relaxed));
        if sent + received > 0 {
            let counts = || json!({ "sent": sent, "received": received });
            self.hub.tell(self.domain.domain(), &MESSAGES_COUNTED, counts);
        }
    }
}
