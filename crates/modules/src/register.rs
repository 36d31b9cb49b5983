#![cfg_attr(not(doctest), doc = include_str!("register.md"))]

mod lookalike;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use waxwing_jid::BareJid;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::Request;
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{Hub, SiteBuilder, auth, section};
use waxwing_stanza::{StanzaError, payload};
use waxwing_store::domains::accounts::Accounts;
use waxwing_store::{StoreError, Table};
use xso::FromXml;

const NS: &str = "jabber:iq:register";

/// Networks remembered for the rate limit; when there are more, the oldest are forgotten.
const NETWORKS: usize = 10_000;
const HOUR: Duration = Duration::from_secs(3600);

section! {
    /// Accounts that people make, change and remove by themselves.
    pub struct RegisterConfig("register") {
        /// Whether strangers may make accounts. Open registration attracts abuse.
        pub open: bool = false,
        /// Accounts that may be made from one network (one IPv4 address, one IPv6 /64) in an hour.
        pub per_hour: u32 = 3 in 1..=100_000,
        /// Names that nobody may take, nor one that looks like them.
        pub reserved: Vec<String> = (RESERVED),
        /// Whether names may look like one that is taken, such as `rorneo` and `romeo`.
        pub lookalikes: bool = false,
        /// The shortest password accepted, in characters.
        pub password_length: u32 = 8 in 1..=128,
    }
}

/// Names that look official (RFC 2142 and common abuse).
const RESERVED: [&str; 16] = [
    "abuse",
    "admin",
    "administrator",
    "contact",
    "help",
    "hostmaster",
    "info",
    "noc",
    "postmaster",
    "root",
    "security",
    "server",
    "support",
    "system",
    "webmaster",
    "xmpp",
];

/// Lets people make, change and remove accounts in-band.
pub struct Register {
    config: RegisterConfig,
    domain: BareJid,
    recent: Mutex<HashMap<IpAddr, Vec<Instant>>>,
    /// Held while a name is compared and taken, so that of two that look alike one wins.
    taking: tokio::sync::Mutex<()>,
}

impl Module for Register {
    const ABOUT: &'static About = &About {
        name: "register",
        summary: "Lets people change their password, leave, and, where allowed, sign up.",
        is_on: true,
        xeps: &[Xep(77, "2.4")],
        server_features: &[NS],
        account_features: &[],
        manual: include_str!("register.md"),
    };
    const TABLES: &'static [Table] = &[lookalike::TABLE];
    type Config = RegisterConfig;

    fn start(site: &mut SiteBuilder<'_>, config: RegisterConfig) -> Result<Self, StartError> {
        let (recent, taking) = (Mutex::default(), tokio::sync::Mutex::default());
        Ok(Self { config, domain: site.jid().clone(), recent, taking })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.server().get(Self::tell).set(Self::change);
        on.owner().get(Self::tell).set(Self::change);
        if on.module().config.open {
            on.early().get(Self::ask).set(Self::sign_up);
        }
    }
}

impl Register {
    /// §3.1: "the host MUST inform the entity of the required registration fields."
    async fn ask(self: Arc<Self>, _: Request<Query>) -> Result<String, StanzaError> {
        Ok(format!(
            "<query xmlns='{NS}'><instructions>Choose a name and a password.</instructions>\
             <username/><password/></query>"
        ))
    }

    async fn sign_up(self: Arc<Self>, ask: Request<Query>) -> Result<(), StanzaError> {
        let (name, password) = ask.payload.filled()?;
        let jid = BareJid::from_parts(Some(name), self.domain.domain())
            .map_err(|error| StanzaError::jid_malformed().text(error.to_string()))?;
        let local = jid.local().unwrap_or_default();
        if self.config.reserved.iter().any(|reserved| lookalike::are_alike(reserved, local)) {
            return Err(StanzaError::not_allowed().text("This name is reserved; choose another."));
        }
        self.check_password(password)?;
        self.admit(ask.peer, ask.hub.clock().now())?;
        let credentials = auth::credentials_in_turn(&ask.hub, ask.peer, password).await?;
        let created = ask.hub.clock().wall_millis().cast_signed();
        let accounts = Accounts::new(ask.hub.db().clone());
        let _taking = self.taking.lock().await;
        self.check_lookalikes(&ask.hub, &jid).await?;
        match accounts.create(jid.as_str(), created, &credentials).await {
            Ok(()) => {
                tracing::info!(%jid, peer = ?ask.peer, "account registered");
                lookalike::note(&ask.hub, &jid).await.map_err(|error| unstored(&error))
            }
            Err(StoreError::Conflict(_)) => Err(taken()),
            Err(error) => Err(unstored(&error)),
        }
    }

    /// §3.1: "the entity is already registered": what is on file, without the password.
    async fn tell(self: Arc<Self>, ask: Request<Query>) -> Result<String, StanzaError> {
        let local = own_name(&ask, &self.domain)?;
        let mut name = String::new();
        waxwing_xml::write::text(&mut name, &local);
        Ok(format!(
            "<query xmlns='{NS}'><registered/><username>{name}</username><password/></query>"
        ))
    }

    /// §3.2 and §3.3: a signed-in person removes the account or changes its password.
    async fn change(self: Arc<Self>, ask: Request<Query>) -> Result<(), StanzaError> {
        let local = own_name(&ask, &self.domain)?;
        let jid = ask.from.jid.bare();
        if ask.payload.remove.is_some() {
            // §3.2: a <remove/> beside anything else is a bad request.
            if ask.payload.username.is_some() || ask.payload.password.is_some() {
                return Err(StanzaError::bad_request().text("<remove/> stands alone."));
            }
            let (hub, site) = (ask.hub.clone(), Arc::clone(&ask.site));
            // The erasure ends this very session, so it is answered before; by then nobody can sign
            // in any more, whatever happens to the server.
            let accounts = Accounts::new(hub.db().clone());
            let disabled = accounts.begin_erasure(jid.as_str()).await;
            disabled.map_err(|error| unstored(&error))?;
            let clock = hub.clock().clone();
            clock.spawn(async move { erase(hub, site, jid).await });
            return Ok(());
        }
        let (name, password) = ask.payload.filled()?;
        let is_own = waxwing_jid::prepare_local(name).is_ok_and(|name| *name == *local);
        if !is_own {
            return Err(StanzaError::not_allowed().text("You can change your own password only."));
        }
        self.check_password(password)?;
        let credentials = auth::credentials_in_turn(&ask.hub, ask.peer, password).await?;
        let accounts = Accounts::new(ask.hub.db().clone());
        let changed = accounts.set_credentials(jid.as_str(), &credentials).await;
        changed.map_err(|error| unstored(&error)).map(drop)
    }

    /// A name that can be taken for somebody else's serves to deceive.
    async fn check_lookalikes(&self, hub: &Hub, jid: &BareJid) -> Result<(), StanzaError> {
        if self.config.lookalikes {
            return Ok(());
        }
        match lookalike::find(hub, jid).await.map_err(|error| unstored(&error))? {
            None => Ok(()),
            Some(other) if other == jid.as_str() => Err(taken()),
            Some(_) => {
                let text = "This name looks like one that is taken; choose another.";
                Err(StanzaError::conflict().text(text))
            }
        }
    }

    fn check_password(&self, password: &str) -> Result<(), StanzaError> {
        if password.chars().count() >= self.config.password_length as usize {
            return Ok(());
        }
        let text = format!("A password has {} characters at least.", self.config.password_length);
        Err(StanzaError::not_acceptable().text(text))
    }

    /// Counts one more account for the network that `peer` is in.
    fn admit(&self, peer: Option<IpAddr>, now: Instant) -> Result<(), StanzaError> {
        let Some(network) = peer.map(auth::network) else { return Ok(()) };
        let mut recent = self.recent.lock();
        if recent.len() >= NETWORKS {
            recent.retain(|_, made| made.iter().any(|at| now.duration_since(*at) < HOUR));
        }
        let is_crowded = recent.len() >= NETWORKS;
        let made = recent.entry(network).or_default();
        made.retain(|at| now.duration_since(*at) < HOUR);
        if is_crowded && made.is_empty() || made.len() >= self.config.per_hour as usize {
            let error = StanzaError::resource_constraint();
            return Err(error.text("Too many accounts were made from your network; try later."));
        }
        made.push(now);
        Ok(())
    }
}

async fn erase(hub: Hub, site: Arc<waxwing_kernel::Site>, jid: BareJid) {
    match hub.erase(&site, &jid).await {
        Ok(_) => tracing::info!(%jid, "account removed by its owner"),
        Err(error) => tracing::error!(%jid, %error, "an account could not be erased"),
    }
}

/// The local part of the asking account, which must be one of this host.
fn own_name<P>(ask: &Request<P>, domain: &BareJid) -> Result<String, StanzaError> {
    let local = ask.from.jid.local().filter(|_| ask.from.jid.domain() == domain.domain());
    let local = local.filter(|_| ask.from.account.is_some());
    local
        .map(str::to_owned)
        .ok_or_else(|| StanzaError::forbidden().text("You have no account here."))
}

/// §3.1: "another user already has that username": conflict.
fn taken() -> StanzaError {
    StanzaError::conflict().text("This name is taken; choose another.")
}

fn unstored(error: &StoreError) -> StanzaError {
    tracing::error!(%error, "an account could not be stored");
    StanzaError::internal_server_error().text("Accounts cannot be changed at the moment.")
}

/// `<query/>`
#[derive(FromXml)]
#[xml(namespace = NS, name = "query", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct Query {
    #[xml(extract(default, fields(text(type_ = String))))]
    username: Option<String>,
    #[xml(extract(default, fields(text(type_ = String))))]
    password: Option<String>,
    #[xml(extract(default, fields(text(type_ = String))))]
    remove: Option<String>,
}
payload!(Query, "query", NS);

impl Query {
    /// §3.1: "If the requesting entity does not provide all of the requested information …, the
    /// server or service MUST return a <not-acceptable/> error".
    fn filled(&self) -> Result<(&str, &str), StanzaError> {
        let given = |field: &Option<String>| field.as_ref().is_some_and(|text| !text.is_empty());
        match (&self.username, &self.password) {
            (Some(name), Some(password)) if given(&self.username) && given(&self.password) => {
                Ok((name, password))
            }
            _ => Err(StanzaError::not_acceptable().text("A name and a password are needed.")),
        }
    }
}
