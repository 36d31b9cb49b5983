//! A server for one scenario: a hub on an engine, with its domains and all modules; alone, or with
//! others in reach.

use std::fmt::Write as _;
use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::clock::Clock;
use waxwing_kernel::component::Component;
use waxwing_kernel::config::sections::ComponentConfig;
use waxwing_kernel::config::{Config, Host as HostSettings, Source};
use waxwing_kernel::links::policy::Rules;
use waxwing_kernel::metrics::Metrics;
use waxwing_kernel::module::Mount;
use waxwing_kernel::{Hub, Limits, Site, Sites, connection};
use waxwing_store::domains;
use waxwing_store::domains::accounts::{Accounts, Credential};
use waxwing_store::{Db, Location, Statement, StoreError, Table};
use waxwing_stream::{Framing, Hash, Host, ScramKeys, Security};

use crate::link::{Link, Way};
use crate::outside::Outside;
use crate::pipe::pipe;
use crate::roads::Roads;
use crate::script::DOMAIN;
use crate::sockets::{Certificates, Sockets};

/// The second domain of every world.
pub const OTHER_DOMAIN: &str = "verona.example";
/// The password of every account.
pub const PASSWORD: &str = "o blessed night";
/// When scenarios begin: 2026-01-31T12:00:00Z.
const NOON: u64 = 1_769_860_800_000;

/// What a world is made from.
#[derive(Clone)]
pub struct Plan {
    /// The modules, all of them.
    pub modules: &'static [Mount],
    /// Where rows live.
    pub location: Location,
    /// The clock: simulated in memory, the machine's on sockets.
    pub clock: Clock,
    /// Configuration, as `modules.offline.messages = 1`, one on a line.
    pub settings: String,
    /// The bounds of the kernel.
    pub limits: Limits,
    /// What real sockets are secured with; without, there are none.
    pub certificates: Option<Certificates>,
    /// The domains, the first of which has an admin.
    pub domains: Vec<String>,
    /// The ways to other servers; without, there are none.
    pub roads: Option<Roads>,
}

impl Plan {
    /// In memory, on a clock that stands still until it is moved.
    pub fn in_memory(modules: &'static [Mount]) -> Self {
        Self {
            modules,
            location: Location::Memory,
            clock: Clock::simulated(NOON, 1),
            settings: String::new(),
            limits: Limits::default(),
            certificates: None,
            domains: [DOMAIN, OTHER_DOMAIN].map(str::to_owned).into(),
            roads: None,
        }
    }

    /// Another server in memory, on the same clock and the same roads.
    #[must_use]
    pub fn elsewhere(&self, domain: &str) -> Self {
        Self {
            location: Location::Memory,
            settings: String::new(),
            certificates: None,
            domains: vec![domain.to_owned()],
            ..self.clone()
        }
    }

    /// On real sockets, with the machine's own clock.
    pub fn on_sockets(modules: &'static [Mount], certificates: Certificates) -> Self {
        let certificates = Some(certificates);
        Self { clock: Clock::system(), certificates, ..Self::in_memory(modules) }
    }
}

/// A running server.
pub struct World {
    hub: Hub,
    sockets: Option<Sockets>,
    outside: Outside,
    domain: String,
    roads: Option<Roads>,
}

impl World {
    /// Starts a server without accounts.
    ///
    /// # Errors
    /// What the configuration, the engine or a module objects to.
    pub async fn start(plan: Plan) -> Result<Self, String> {
        Box::pin(Self::build(plan)).await
    }

    async fn build(plan: Plan) -> Result<Self, String> {
        let config = config(&plan)?;
        // One reader: then a read that is answered stands for all before it.
        let limits = waxwing_store::Limits { readers: 1, ..Default::default() };
        let db = Db::open(&plan.location, limits).await.map_err(|error| error.to_string())?;
        let tables = tables(plan.modules);
        db.migrate(&tables).await.map_err(|error| error.to_string())?;
        let is_remote = matches!(plan.location, Location::Postgres { .. });
        if is_remote {
            empty(&db, &tables).await?;
        }
        let metrics = Arc::new(Metrics::new("test", "test"));
        let hub = Hub::new(db, plan.clock, plan.limits, metrics);
        let outside = Outside::default();
        hub.fetch_with(Arc::new(outside.clone()));
        hub.restore().await.map_err(|error| error.to_string())?;
        let start = |settings: &HostSettings| {
            let jid = BareJid::new(settings.config.domain.as_str()).map_err(|e| e.to_string())?;
            let site = Site::start(&hub, &jid, settings, plan.modules);
            let site = site.map_err(|error| error.to_string())?;
            site.offer(offer(&site));
            Ok(Arc::new(site))
        };
        let sites = config.hosts.iter().map(start).collect::<Result<Vec<_>, String>>()?;
        hub.serve(Sites::new(sites));
        let component = |declared: &ComponentConfig| {
            let secret = declared.secret.as_ref().ok_or("a component without a secret")?;
            Component::new(declared, secret.as_str())
        };
        let components = config.components.iter().map(component).collect::<Result<_, String>>()?;
        hub.declare_components(components);
        if let Some(roads) = &plan.roads {
            hub.policy().set(Rules::new(&config.federation, &config.peers, true));
            hub.dial_with(Arc::new(roads.dialer(hub.clock())));
            let domains: Vec<&str> = plan.domains.iter().map(String::as_str).collect();
            roads.settle(&domains, &hub);
            hub.resume_links().await.map_err(|error| error.to_string())?;
        }
        let sockets = match &plan.certificates {
            Some(certificates) => Some(Sockets::listen(&hub, certificates).await?),
            None => None,
        };
        let domain = plan.domains.into_iter().next().unwrap_or_default();
        Ok(Self { hub, sockets, outside, domain, roads: plan.roads })
    }

    /// The server.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The rest of the web.
    pub fn outside(&self) -> &Outside {
        &self.outside
    }

    /// Gives the engine back.
    ///
    /// # Errors
    /// The store's.
    pub async fn stop(self) -> Result<(), String> {
        if let Some(roads) = &self.roads {
            roads.leave(&self.domain);
        }
        if let Some(sockets) = self.sockets {
            sockets.stop().await;
        }
        self.hub.db().clone().close().await.map_err(|error| error.to_string())
    }

    /// Makes an account.
    ///
    /// # Errors
    /// The store's.
    pub async fn add_account(&self, jid: &str) -> Result<(), String> {
        let salt = b"in truth, fair Montague";
        let keys = ScramKeys::derive(Hash::Sha256, PASSWORD, salt, 1).map_err(|e| e.to_string())?;
        let ScramKeys { hash, salt, iterations, stored_key, server_key } = keys;
        let hash = hash.name().to_owned();
        let credential = Credential { hash, salt, iterations, stored_key, server_key };
        let created = self.hub.clock().wall_millis().cast_signed();
        let accounts = Accounts::new(self.hub.db().clone());
        accounts.create(jid, created, &[credential]).await.map_err(|error| error.to_string())
    }

    /// Opens a connection for a client of `domain`. One in memory counts as encrypted.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn connect(&self, way: Way, domain: &str) -> Result<Link, String> {
        if let Way::Memory(framing) = way {
            let (near, far) = pipe(framing);
            let security = Security { tls: true, ..Security::default() };
            connection::accept_framed(&self.hub, Box::new(near), security, framing);
            return Ok(Link::Memory(framing, far));
        }
        let sockets = self.sockets.as_ref().ok_or("this world has no sockets")?;
        Box::pin(sockets.connect(way, domain)).await
    }

    /// Opens a connection for a component.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn connect_component(&self, way: Way) -> Result<Link, String> {
        if let Way::Memory(_) = way {
            let (near, far) = pipe(Framing::Tcp);
            connection::accept_component(&self.hub, Box::new(near), Security::default());
            return Ok(Link::Memory(Framing::Tcp, far));
        }
        self.sockets.as_ref().ok_or("this world has no sockets")?.connect_component().await
    }

    /// Waits until the server, and every other in reach, has done all it can do with what it has
    /// got: every task has run, every commit is decided, every read is answered, and nothing is
    /// under way that does not take its time.
    ///
    /// # Errors
    /// The store's.
    pub async fn settle(&self) -> Result<(), String> {
        let hubs = self.roads.as_ref().map_or_else(|| vec![self.hub.clone()], Roads::hubs);
        let moved = || self.roads.as_ref().map_or(0, Roads::moved);
        let asked = || hubs.iter().map(|hub| hub.db().asked()).sum::<u64>();
        let mut quiet = 0;
        while quiet < QUIET {
            let before = (asked(), moved());
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
            for hub in &hubs {
                fence(hub.db()).await.map_err(|error| error.to_string())?;
            }
            // The fence asked each of them twice itself.
            let is_quiet = (asked(), moved()) == (before.0 + 2 * hubs.len() as u64, before.1);
            quiet = if is_quiet { quiet + 1 } else { 0 };
        }
        Ok(())
    }
}

/// Waits for what was asked and written before.
async fn fence(db: &Db) -> Result<(), StoreError> {
    db.query(Statement::new(FENCE)).await?;
    db.submit(vec![Statement::new(WRITE_FENCE)]).await.map(drop)
}

/// Rounds without a question to the database, after which there will be none.
const QUIET: usize = 2;
/// Tasks that wake each other, one after the other, between two looks at the database.
const TURNS: usize = 16;
/// Finds no row, so that whoever counts rows does not count the waiting.
const FENCE: &str = "SELECT jid FROM account WHERE jid = ''";
const WRITE_FENCE: &str = "DELETE FROM account WHERE jid = ''";

/// Every table of the program.
fn tables(modules: &'static [Mount]) -> Vec<&'static Table> {
    let own = domains::tables().into_iter();
    own.chain(modules.iter().flat_map(|mount| mount.tables)).collect()
}

/// Leaves nothing of the scenario before.
async fn empty(db: &Db, tables: &[&'static Table]) -> Result<(), String> {
    let delete = |table: &&'static Table| {
        Statement::new(String::leak(format!("DELETE FROM {}", table.name)))
    };
    let batch = tables.iter().map(delete).collect();
    db.batch(batch).await.map(drop).map_err(|error| error.to_string())
}

fn config(plan: &Plan) -> Result<Config, String> {
    let mut text = format!("{}\n", plan.settings);
    for (place, domain) in plan.domains.iter().enumerate() {
        let _ = writeln!(text, "[[host]]\ndomain = '{domain}'");
        if place == 0 {
            let _ = writeln!(text, "admins = ['admin@{domain}']");
        }
    }
    let sections: Vec<_> = plan.modules.iter().map(|mount| &mount.section).collect();
    Config::read(Source { name: "set", text: &text }, &sections)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn offer(site: &Site) -> Host {
    let mut host = Host::new(site.domain(), [7; 32]);
    host.registration = site.has_early_routes();
    host.early_features = site.early_features();
    host.features = site.stream_features();
    host.nonzas = site.nonzas();
    host.inline = site.inline_features();
    host.tokens = site.takes_tokens();
    host.mechanisms = site.mechanisms();
    host.bearer = site.bearer();
    host
}
