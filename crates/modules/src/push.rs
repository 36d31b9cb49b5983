#![cfg_attr(not(doctest), doc = include_str!("push.md"))]

mod command;
mod enable;
mod endpoint;
mod matter;
mod publish;
mod pulse;
mod registry;
mod service;
mod share;
mod unified;
mod vapid;
mod webpush;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::OnceCell;
use waxwing_jid::Jid;
use waxwing_kernel::account::{Account, Slot};
use waxwing_kernel::config::Flaw;
use waxwing_kernel::directory::Resource;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::{Asleep, Happening, Signal};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::{Effects, Stage, Transit, Verdict};
use waxwing_kernel::{Filed, Hub, SiteBuilder, section};
use waxwing_stanza::Stanza;
use waxwing_store::Table;

use self::endpoint::Endpoints;
use self::matter::News;
use self::registry::{Registration, Registrations};
use self::share::Shares;
use self::unified::Meter;
use self::vapid::Vapid;

const NS: &str = "urn:xmpp:push:0";
const PRIORITY: &str = "tigase:push:priority:0";
/// How often endpoints are looked for whose time has come.
const SWEEP: Duration = Duration::from_secs(3600);

section! {
    /// Wakes phones and browsers for what matters.
    pub struct PushConfig("push", check = PushConfig::check) {
        /// Push services that one account may enable; the oldest make room.
        pub services: u32 = 20 in 1..=1000,
        /// Whether push services are told who wrote the last message.
        pub show_sender: bool = false,
        /// Whether push services are told what the last message says.
        pub show_body: bool = false,
        /// How long after a notification the next waits (seconds). A call does not wait.
        pub pause_seconds: u32 = 5 in 0..=3600,
        /// How long a push service may take to answer (seconds).
        pub answer_seconds: u32 = 30 in 1..=300,
        /// After so many failures in a row a push service is disabled. One that says that it will
        /// never work is disabled at once.
        pub failures: u32 = 10 in 1..=1000,
        /// Browsers and apps that one account may register here.
        pub endpoints: u32 = 50 in 1..=10_000,
        /// How long the address of a UnifiedPush app is good unless it is renewed (days).
        pub endpoint_days: u32 = 30 in 1..=3650,
        /// UnifiedPush messages that one address takes in a minute.
        pub per_minute: u32 = 60 in 1..=100_000,
        /// How long a browser's push service keeps a notification for one that is away (seconds).
        pub ttl_seconds: u32 = 259_200 in 0..=2_419_200,
        /// Whom a browser's push service can write to about this server, as `mailto:` or `https:`;
        /// the address of the web server if absent.
        pub contact: Option<String> = None,
        /// Hosts of browsers' push services in this server's own network. Others must be on the
        /// open internet and speak TLS.
        pub private_hosts: Vec<String> = [],
    }
}

impl PushConfig {
    fn check(&self) -> Result<(), Flaw> {
        let is_fine = |uri: &String| uri.starts_with("mailto:") || uri.starts_with("https://");
        if self.contact.as_ref().is_none_or(is_fine) {
            return Ok(());
        }
        let problem = "must begin with `mailto:` or `https://` (RFC 8292 §2.1)".to_owned();
        Err(Flaw { key: "contact", problem })
    }
}

/// Tells push services what matters, and is one itself.
pub struct Push {
    config: PushConfig,
    hub: Hub,
    /// The server, as push services know it.
    server: Jid,
    /// The push service of this server.
    own: Jid,
    enabled: Slot<Registrations>,
    endpoints: Endpoints,
    vapid: OnceCell<Vapid>,
    meter: Mutex<Meter>,
    shares: Shares,
}

impl Module for Push {
    const ABOUT: &'static About = &About {
        name: "push",
        summary: "Wakes phones and browsers for what matters.",
        is_on: true,
        xeps: &[Xep(357, "0.4.1").lacks("push services on other servers")],
        server_features: &[],
        account_features: &[NS, PRIORITY],
        manual: include_str!("push.md"),
    };
    const TABLES: &'static [Table] = &[registry::TABLE, endpoint::TABLE];
    type Config = PushConfig;

    fn start(site: &mut SiteBuilder<'_>, config: PushConfig) -> Result<Self, StartError> {
        let (hub, server) = (site.hub(), site.jid().to_jid());
        let own = Jid::new(&format!("{}.{server}", service::LABEL));
        let own = own.map_err(|error| StartError {
            module: Self::ABOUT.name,
            reason: format!("`{}.{server}` is no address: {error}", service::LABEL),
        })?;
        let endpoints = Endpoints::new(hub.db().clone(), site.jid().domain());
        let (vapid, meter) = (OnceCell::new(), Mutex::default());
        let enabled = site.fact();
        let shares = Shares::default();
        Ok(Self { config, hub, server, own, enabled, endpoints, vapid, meter, shares })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.owner().set(Self::enable).set(Self::disable);
        on.inbound(Stage::Check, Self::dismiss);
        on.inbound(Stage::Notify, Self::notify);
        on.asleep(Self::fall_asleep);
        on.signal(Signal::Available, Self::wake);
        on.signal(Signal::Asked, Self::ask);
        on.signal(Signal::Removed, Self::forget);
        on.service(service::LABEL, service::NAME)
            .get(Self::info)
            .get(Self::items)
            .set(Self::command)
            .set(Self::take)
            .set(Self::register);
        on.http(unified::answer);
        on.every(SWEEP, Self::sweep);
    }
}

impl Push {
    /// §8: tells the services of those clients of the recipient that are not connected.
    fn notify(&self, transit: &mut Transit<'_>) -> Verdict {
        let Some(account) = transit.recipient() else { return Verdict::Pass };
        let enabled = account.fact(self.enabled);
        if enabled.0.is_empty() {
            return Verdict::Pass;
        }
        let Some(news) = self.news(account, transit.stanza) else { return Verdict::Pass };
        // Whoever is woken must find it: in the spool, in the archive, or with its session.
        let is_kept = transit.kept.is_some() || matches!(transit.filed, Filed::Kept(_));
        for registration in &enabled.0 {
            let is_own = |target: &Resource| registration.is_of(target);
            let comes = transit.targets.iter().any(is_own);
            if (is_kept || comes) && !registration.is_live(&self.hub, account.jid()) {
                self.tell(account, registration, |pulse| pulse.message(news.clone()));
            }
        }
        Verdict::Pass
    }

    /// What matters of a stanza, unless its recipient wants not to be told (XEP-0492).
    fn news(&self, account: &Account, stanza: &Stanza) -> Option<News> {
        let news = matter::news(stanza, account.jid())?;
        let site = self.hub.site(account.jid().domain())?;
        let tone = news.sender.as_ref().and_then(|sender| site.router.tone(account, sender));
        tone.is_none_or(|tone| news.is_wanted(&tone)).then_some(news)
    }

    /// A client is lost: what it has not confirmed, it may never have got.
    fn fall_asleep(&self, asleep: &Asleep<'_>) {
        let enabled = asleep.account.fact(self.enabled);
        let resource = asleep.session.resource();
        for registration in &enabled.0 {
            if resource != Some(registration.resource.as_str()) {
                continue;
            }
            registration.pulse.recount();
            for stanza in asleep.unconfirmed {
                if let Some(news) = self.news(asleep.account, stanza) {
                    self.tell(asleep.account, registration, |pulse| pulse.message(news.clone()));
                }
            }
        }
    }

    /// Its client is connected and sees for itself.
    async fn wake(self: Arc<Self>, happening: Happening) -> Effects {
        let resource = happening.party.jid.resource();
        for registration in &happening.account.fact(self.enabled).0 {
            if resource == Some(registration.resource.as_str()) {
                registration.pulse.reset();
            }
        }
        Effects::default()
    }

    /// The account goes, and with it what there was to tell; the rows follow by themselves.
    async fn forget(self: Arc<Self>, happening: Happening) -> Effects {
        for registration in &happening.account.fact(self.enabled).0 {
            registration.pulse.reset();
        }
        Effects::default()
    }

    /// Somebody wants to be a contact.
    async fn ask(self: Arc<Self>, happening: Happening) -> Effects {
        let account = &happening.account;
        for registration in &account.fact(self.enabled).0 {
            if !registration.is_live(&self.hub, account.jid()) {
                self.tell(account, registration, pulse::Pulse::request);
            }
        }
        Effects::default()
    }

    /// Puts `news` into the pulse of a registration, and sees that it is told.
    fn tell(
        &self,
        account: &Arc<Account>,
        registration: &Arc<Registration>,
        news: impl FnOnce(&pulse::Pulse) -> bool,
    ) {
        if news(&registration.pulse) {
            let teller = self.teller(account, registration);
            self.hub.clock().spawn(teller.run());
        }
    }
}
