//! The running server: started from a configuration, reloaded, drained.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::MutexGuard;
use waxwing_jid::Jid;
use waxwing_kernel::clock::Clock;
use waxwing_kernel::command::{Caller, Commands, Refusal};
use waxwing_kernel::config::Config;
use waxwing_kernel::metrics::Metrics;
use waxwing_kernel::wire::Transport;
use waxwing_kernel::{Hub, Sites, connection, links};
use waxwing_net::acme::Acme;
use waxwing_net::http::WEBSOCKET_PATH;
use waxwing_net::{Fetcher, Kind, LdapDialer, Listening, Net, Tls};
use waxwing_store::Db;

use crate::control::{Request, Response};
use crate::estate::Edit;
use crate::logs::Logs;
use crate::peers::Peers;
use crate::steward::Stewards;
use crate::welcome::Welcome;
use crate::{certificates, pages, wiring};

/// Reads the configuration again, with added domains as they would be after the edit, or says what
/// is wrong with it.
pub(crate) type Reread = Box<dyn Fn(Edit<'_>) -> Result<Config, String> + Send + Sync>;

/// What a server is started from.
pub(crate) struct Setup {
    /// The settled configuration.
    pub(crate) config: Config,
    /// The data folder.
    pub(crate) data: PathBuf,
    /// The way to the next configuration.
    pub(crate) reread: Reread,
    /// The log, whose level can change.
    pub(crate) logs: Logs,
}

/// A server that serves.
pub(crate) struct Server {
    config: Mutex<Config>,
    data: PathBuf,
    reread: Reread,
    logs: Logs,
    hub: Hub,
    tls: Arc<Tls>,
    acme: Arc<Acme>,
    peers: Option<Peers>,
    net: Arc<Net>,
    welcome: Arc<Welcome>,
    secret: [u8; 32],
    started: Instant,
    /// Held while the configuration changes.
    turn: tokio::sync::Mutex<()>,
}

impl Server {
    /// Opens the database, starts the modules, and listens.
    ///
    /// # Errors
    /// A sentence for the operator: what is wrong, and the remedy.
    pub(crate) async fn start(setup: Setup) -> Result<(Arc<Self>, Listening), String> {
        let Setup { config, data, reread, logs } = setup;
        let clock = Clock::system();
        let started = clock.now();
        let secret = secret(&data).map_err(|error| unusable(&data, &error))?;
        let hub = hub(&config, &data, clock).await?;
        let sites = wiring::sites(&hub, &config, secret).map_err(|error| error.to_string())?;
        hub.serve(Sites::new(sites));
        hub.declare_components(wiring::components(&config)?);
        let erasing = hub.clone();
        hub.clock().spawn(async move { erasing.finish_erasures().await });
        let tls = Tls::open(wiring::tls_options(&config, &data)).map_err(|e| e.to_string())?;
        let acme = certificates::keep(&hub, &tls, &config, &data)?;
        let peers = Peers::open(&hub, &tls, &config)?;
        let entry = entry(hub.clone(), &config);
        // Whoever asks at once for a file gets it; the pages follow when the ports are known.
        let mut site = wiring::http_site(&config)?;
        site.deflate = wiring::deflate(&config, &hub);
        site.folders = wiring::folders(&hub);
        let net = Net::new(
            wiring::net_limits(&config),
            Some(Arc::clone(&tls)),
            site,
            entry,
            hub.clock().clone(),
        );
        let listening = net.listen(&wiring::listeners(&config)).await.map_err(|e| e.to_string())?;
        let welcome = Arc::new(Welcome::new(hub.clone(), listening.addresses().to_vec()));
        let server = Arc::new(Self {
            started,
            config: Mutex::new(config),
            data,
            reread,
            logs,
            hub,
            tls,
            acme,
            peers,
            net,
            welcome,
            secret,
            turn: tokio::sync::Mutex::default(),
        });
        server.hub.obey(Arc::new(Stewards(Arc::downgrade(&server))));
        server.publish()?;
        if server.peers.is_some() {
            // Messages that were on their way when the server stopped.
            let resumed = server.hub.resume_links().await;
            resumed.map_err(|error| server.hub.db().placed(error).to_string())?;
        }
        // Authorities look at ports that are open by now.
        server.hub.clock().spawn(Arc::clone(&server.acme).run());
        Ok((server, listening))
    }

    /// The kernel.
    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The certificates.
    pub(crate) fn tls(&self) -> &Arc<Tls> {
        &self.tls
    }

    /// Who gets certificates.
    pub(crate) fn acme(&self) -> &Arc<Acme> {
        &self.acme
    }

    /// The data folder.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The page that makes the first account.
    pub(crate) fn welcome(&self) -> &Arc<Welcome> {
        &self.welcome
    }

    /// When it began to start.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// The configuration in force.
    pub(crate) fn config(&self) -> Config {
        self.config.lock().clone()
    }

    /// Puts the pages and discovery in place.
    fn publish(self: &Arc<Self>) -> Result<(), String> {
        let config = self.config();
        let mut site = wiring::http_site(&config)?;
        site.deflate = wiring::deflate(&config, &self.hub);
        site.routes = pages::routes(self);
        site.folders = wiring::folders(&self.hub);
        self.net.replace_site(site);
        Ok(())
    }

    /// Takes the configuration file as it is now: all of it, or nothing.
    ///
    /// # Errors
    /// What is wrong with it, or what in it needs a restart.
    pub(crate) async fn reload(self: &Arc<Self>) -> Result<String, String> {
        let _turn = self.turn.lock().await;
        let config = self.reread(Edit::None)?;
        self.take(config).await
    }

    /// Reads the configuration as it would be after an edit.
    pub(crate) fn reread(&self, edit: Edit<'_>) -> Result<Config, String> {
        (self.reread)(edit)
    }

    /// The right to change what is served; one at a time.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Puts a configuration in force: all of it, or nothing. For whoever has the turn.
    ///
    /// # Errors
    /// What in it cannot be, or needs a restart.
    pub(crate) async fn take(self: &Arc<Self>, config: Config) -> Result<String, String> {
        let changes = self.config.lock().reload(&config).map_err(|cannot| {
            let keys: Vec<String> = cannot.iter().map(|change| change.key.clone()).collect();
            format!("nothing was changed, since this needs a restart: {}", keys.join(", "))
        })?;
        let sites = wiring::sites(&self.hub, &config, self.secret).map_err(|e| e.to_string())?;
        let components = wiring::components(&config)?;
        wiring::http_site(&config)?;
        let orders = certificates::options(&config, &self.data)?;
        let authorities = self.peers.as_ref().map(|peers| peers.read(&config)).transpose()?;
        let options = wiring::tls_options(&config, &self.data);
        let tls = Arc::clone(&self.tls);
        let configured = tokio::task::spawn_blocking(move || tls.configure(options)).await;
        configured.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        // Nothing below can fail.
        if let (Some(peers), Some(authorities)) = (&self.peers, authorities) {
            peers.trust(authorities);
        }
        self.acme.configure(orders);
        self.hub.set_limits(wiring::limits(&config.limits));
        self.hub.policy().set(wiring::rules(&config));
        self.hub.enforce_policy();
        self.net.set_limits(wiring::net_limits(&config));
        self.hub.serve(Sites::new(sites));
        self.hub.declare_components(components);
        self.logs.set_level(config.server.log_level);
        *self.config.lock() = config;
        self.publish()?;
        let keys: Vec<String> = changes.iter().map(|change| change.key.clone()).collect();
        Ok(match keys.as_slice() {
            [] => "The configuration is as it was; certificates were read again.".to_owned(),
            keys => format!("Changed: {}.", keys.join(", ")),
        })
    }

    /// Answers the control socket.
    pub(crate) async fn handle(self: Arc<Self>, request: Request) -> Response {
        match request {
            Request::Reload => match self.reload().await {
                Ok(text) => Response::from(Ok(waxwing_kernel::command::Said::note(text))),
                Err(reason) => Response::from(Err(Refusal::invalid("config", reason))),
            },
            Request::Run { words, values } => run(&self.hub, &words, values).await.into(),
        }
    }

    /// Ends every session properly, stores what they did not take, and closes the database. Once
    /// `hurry` resolves, nobody is waited for any more.
    pub(crate) async fn drain(&self, listening: Listening, hurry: impl Future<Output = ()>) {
        let config = self.config();
        let limit = Duration::from_secs(u64::from(config.server.drain_seconds));
        let elsewhere = config.server.drain_to.map(|url| url.to_websocket() + WEBSOCKET_PATH);
        tracing::info!(sessions = self.hub.sessions(), "shutting down");
        let told =
            async { tokio::join!(self.hub.drain(limit, elsewhere.as_deref()), listening.stop()).0 };
        let left = tokio::select! {
            left = told => left,
            () = hurry => self.hub.sessions(),
        };
        if left > 0 {
            tracing::warn!(sessions = left, "sessions did not end in time");
        }
        if let Err(error) = self.hub.db().clone().close().await {
            tracing::error!(%error, "the database was not closed properly");
        }
    }
}

/// The kernel with its database and its ways to others, but for other servers.
async fn hub(config: &Config, data: &Path, clock: Clock) -> Result<Hub, String> {
    let location = wiring::location(&config.storage, data);
    let db = Db::open(&location, wiring::store_limits(&config.storage));
    let db = db.await.map_err(|error| error.to_string())?;
    db.migrate(&wiring::tables()).await.map_err(|error| error.to_string())?;
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), "release"));
    let limits = wiring::limits(&config.limits);
    let hub = Hub::new(db, clock, limits, metrics);
    hub.restore().await.map_err(|error| hub.db().placed(error).to_string())?;
    hub.policy().set(wiring::rules(config));
    hub.keep_files_in(data.to_owned());
    hub.fetch_with(Arc::new(Fetcher::new(&wiring::net_limits(config))));
    hub.speak_ldap_with(Arc::new(LdapDialer::new(hub.clock().clone())));
    Ok(hub)
}

/// Where clients go in, with what the operator decided about WebSockets.
fn entry(hub: Hub, config: &Config) -> waxwing_net::Entry {
    let (is_public, binds) = (config.server.public, config.tls.websocket_binding);
    Arc::new(move |wire, mut security| {
        // As long as the server is for this machine only, a WebSocket from this machine needs no
        // TLS: a browser would not trust the generated certificate.
        let is_plain = matches!(wire.transport(), Transport::WebSocket | Transport::Bosh);
        security.local = !is_public && is_plain && wire.peer().ip().is_loopback();
        if wire.transport().is_websocket() && !binds {
            security.exporter = None;
            security.end_point = None;
        }
        match wire.transport() {
            Transport::ServerTcp
            | Transport::ServerStartTls
            | Transport::ServerTls
            | Transport::ServerWebSocket => links::accept_server(&hub, wire, security),
            _ => connection::accept(&hub, wire, security),
        }
    })
}

/// Runs a command on the host that its address names, else on the first.
///
/// # Errors
/// The command's refusal.
pub(crate) async fn run(
    hub: &Hub,
    words: &[String],
    values: waxwing_kernel::command::Values,
) -> Result<waxwing_kernel::command::Said, Refusal> {
    let fields = ["accountjid", "accountjids", "jid", "host"];
    let named = fields.into_iter().find_map(|field| values.get(field));
    let jid = named.and_then(|text| Jid::new(text).ok());
    let site = jid.and_then(|jid| hub.site(jid.domain())).or_else(|| hub.sites().first().cloned());
    let Some(site) = site else {
        return Err(Refusal::busy("the server serves no host yet; try again"));
    };
    let commands =
        Commands::new(site.router.commands().cloned()).map_err(|reason| Refusal::busy(&reason))?;
    let command = commands.by_words(words)?.clone();
    site.run(&command, Caller::Operator, true, values).await
}

/// The key of salts for accounts that do not exist; made at the first start.
fn secret(data: &Path) -> io::Result<[u8; 32]> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    let file = data.join("secret");
    if let Ok(bytes) = fs::read(&file)
        && let Ok(secret) = bytes.try_into()
    {
        return Ok(secret);
    }
    let mut secret = [0; 32];
    Clock::system().random(&mut secret);
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(&file)?.write_all(&secret)?;
    Ok(secret)
}

fn unusable(data: &Path, error: &io::Error) -> String {
    let data = data.display();
    format!(
        "the data folder {data} cannot be used: {error}. Make it yours, or choose another \
             with --data."
    )
}

/// The kind and address of what a person would open first.
pub(crate) fn pages_address(listening: &Listening) -> Option<(Kind, std::net::SocketAddr)> {
    let of = |kind| listening.addresses().iter().find(|(known, _)| *known == kind).copied();
    of(Kind::Http).or_else(|| of(Kind::Https))
}
