//! A server in memory with sessions that have mailboxes and no streams.

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_stanza::{Kind, Stanza};
use waxwing_store::domains::accounts::Accounts;
use waxwing_store::domains::roster::Roster as Rows;
use waxwing_store::{Db, Location};

use crate::clock::Clock;
use crate::config::{Config, NoConfig};
use crate::hub::Hub;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::module::{About, Module, Mount, StartError};
use crate::request::{Happening, Signal};
use crate::routes::Routes;
use crate::session::Session;
use crate::site::{Site, SiteBuilder};
use crate::sites::Sites;
use crate::stage::Effects;
use crate::wire::Transport;

/// The server.
pub(super) struct World {
    pub(super) hub: Hub,
    pub(super) site: Arc<Site>,
}

/// One session.
pub(super) struct Client {
    world: Arc<World>,
    pub(super) session: Session,
}

static MOUNTS: &[Mount] = &[Mount::of::<Witness>()];

/// Writes down when a session comes and goes.
struct Witness;

impl Module for Witness {
    const ABOUT: &'static About = &About {
        name: "witness",
        summary: "",
        is_on: true,
        xeps: &[],
        server_features: &[],
        account_features: &[],
        manual: "",
    };
    type Config = NoConfig;

    fn start(_: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        Ok(Self)
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.signal(Signal::Available, |_, happening| say(happening, "<came/>"));
        on.signal(Signal::Unavailable, |_, happening| note(happening, "<went/>"));
    }
}

/// Writes down when somebody left, as modules do.
async fn note(happening: Happening, what: &'static str) -> Effects {
    let mut effects = Effects::default();
    effects.append(Accounts::see(happening.account.jid().as_str(), 1_000));
    effects.merge(say(happening, what).await);
    effects
}

async fn say(happening: Happening, what: &'static str) -> Effects {
    let mut effects = Effects::default();
    let note = Stanza::message(waxwing_stanza::MessageType::Headline).with(what);
    effects.deliver(&happening.party.mailbox.unwrap(), note);
    effects
}

impl World {
    pub(super) async fn new(accounts: &[&str]) -> Arc<Self> {
        Self::within(Limits::default(), accounts).await
    }

    pub(super) async fn within(limits: Limits, accounts: &[&str]) -> Arc<Self> {
        let db = Db::open(&Location::Memory, waxwing_store::Limits::default()).await.unwrap();
        db.migrate(Accounts::TABLES).await.unwrap();
        db.migrate(Rows::TABLES).await.unwrap();
        for account in accounts {
            let jid = format!("{account}@localhost");
            Accounts::new(db.clone()).create(&jid, 0, &[]).await.unwrap();
        }
        let clock = Clock::simulated(1_000, 1);
        let hub = Hub::new(db, clock, limits, Arc::new(Metrics::new("0", "test")));
        let sections: Vec<_> = MOUNTS.iter().map(|mount| &mount.section).collect();
        let config = Config::defaults(&sections);
        let jid = BareJid::new("localhost").unwrap();
        let site = Site::start(&hub, &jid, &config.hosts[0], MOUNTS).unwrap();
        let site = Arc::new(site);
        hub.serve(Sites::new(vec![Arc::clone(&site)]));
        Arc::new(Self { hub, site })
    }

    /// Binds a session, such as `romeo@localhost/orchard`, that asks for its roster.
    pub(super) async fn bind(self: &Arc<Self>, jid: &str) -> Client {
        let jid = waxwing_jid::Jid::new(jid).unwrap();
        let account = self.hub.account(&jid.bare()).await.unwrap().unwrap();
        let mut session = Session::new(self.hub.clone(), &self.site, account, jid);
        let mut resource = session.resource(Transport::Memory);
        resource.flags.set(self.site.interested, true);
        if let Some(older) = self.hub.directory().bind(resource, 50).unwrap() {
            session.succeed(older.mailbox);
        }
        Client { world: Arc::clone(self), session }
    }

    /// The same with initial presence sent and everything read.
    pub(super) async fn sign_in(self: &Arc<Self>, jid: &str) -> Client {
        let mut client = self.bind(jid).await;
        client.send("<presence xmlns='jabber:client'/>").await;
        client.received();
        client
    }
}

impl Client {
    /// Does what a session does with a stanza of its client.
    pub(super) async fn send(&mut self, xml: &str) {
        let mut stanza = Stanza::parse(xml).unwrap();
        stanza.head.from = Some(self.session.jid.clone());
        self.session.outlive_older().await;
        let (hub, site) = (&self.world.hub, &self.world.site);
        let (from, mut effects) = (self.session.party(), Effects::default());
        match (stanza.head.kind, stanza.head.to.clone()) {
            (Kind::Presence(kind), None) => {
                self.session.broadcast(&from, kind, stanza, &mut effects).await;
            }
            (Kind::Presence(kind), _) if kind.is_subscription() => {
                hub.send_subscription(site, &from, kind, stanza, &mut effects).await;
            }
            (Kind::Presence(_), Some(to)) => {
                self.session.directed.insert(to);
                hub.route(&from, stanza, &mut effects).await;
            }
            _ => hub.route(&from, stanza, &mut effects).await,
        }
        hub.perform(effects).await;
    }

    /// Sends `<presence/>` of a type to an address, or to everybody.
    pub(super) async fn presence(&mut self, kind: &str, to: &str) {
        let mut xml = String::from("<presence xmlns='jabber:client'");
        for (name, value) in [("type", kind), ("to", to)] {
            if !value.is_empty() {
                waxwing_xml::write::attribute(&mut xml, name, value);
            }
        }
        self.send(&(xml + "/>")).await;
    }

    /// What came since this was asked last. Ids of pushes and versions are left out.
    pub(super) fn received(&self) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(delivery) = self.session.mailbox.try_next_delivery() {
            let mut stanza = delivery.stanza;
            if stanza.is_request() {
                (stanza.head.id, stanza.head.from, stanza.head.to) = (None, None, None);
            }
            let mut text = String::new();
            stanza.write(&mut text, None);
            all.push(plain(&text));
        }
        all
    }

    /// Receives exactly `expected`, in this order.
    #[track_caller]
    pub(super) fn gets<const N: usize>(&self, expected: [&str; N]) {
        assert_eq!(self.received(), expected, "{}", self.session.jid);
    }
}

/// Shortens a roster push to its item.
fn plain(text: &str) -> String {
    match text.find("<item") {
        Some(start) if text.starts_with("<iq") => {
            let end = text.find("</query>").unwrap();
            format!("push {}", &text[start..end])
        }
        _ => text.to_owned(),
    }
}
