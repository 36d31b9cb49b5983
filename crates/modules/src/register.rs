#![cfg_attr(not(doctest), doc = include_str!("register.md"))]

mod commands;
mod invite;
mod lookalike;
mod page;
mod signup;

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::command::Command;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::{Happening, Request, Signal};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::Effects;
use waxwing_kernel::{Hub, SiteBuilder, auth, choice, section};
use waxwing_stanza::{PresenceType, StanzaError, payload};
use waxwing_store::domains::accounts::Accounts;
use waxwing_store::{StoreError, Table};
use xso::FromXml;

use self::invite::Invite;
use self::signup::{Hourly, Wish};

const NS: &str = "jabber:iq:register";
/// XEP-0379 §3.4 and XEP-0445 §4.
const PREAUTH: &str = "urn:xmpp:pars:0";
/// XEP-0445 §3.
const TOKEN_FEATURE: &str = "<register xmlns='urn:xmpp:ibr-token:0'/>";

/// Wrong tokens that one network may show in an hour.
const MISSES: u32 = 60;

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
        /// Who may invite others to make an account, also while registration is closed.
        pub invites: Inviters = "nobody",
        /// For how many days an invitation is good.
        pub invite_days: u32 = 7 in 1..=365,
        /// Invitations of one account that may be open at the same time.
        pub invites_per_account: u32 = 20 in 1..=100_000,
    }
}

choice! {
    /// Who may invite others.
    pub enum Inviters {
        /// Nobody: there are no invitations.
        Nobody = "nobody",
        /// The operator and the admins of the domain; others can invite contacts only.
        Admins = "admins",
        /// Everybody with an account.
        Everybody = "everybody",
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
    hub: Hub,
    config: RegisterConfig,
    domain: BareJid,
    /// Whether accounts may have passwords here; else others know them, and make accounts.
    keeps_passwords: bool,
    recent: Hourly,
    misses: Hourly,
    /// Held while a name is compared and taken, so that of two that look alike one wins.
    taking: tokio::sync::Mutex<()>,
}

impl Module for Register {
    const ABOUT: &'static About = &About {
        name: "register",
        summary: "Lets people change their password, leave, and, where allowed, sign up.",
        is_on: true,
        xeps: &[Xep(77, "2.4"), Xep(379, "0.3.3"), Xep(401, "0.6.0"), Xep(445, "0.2.0")],
        server_features: &[NS],
        account_features: &[],
        manual: include_str!("register.md"),
    };
    const TABLES: &'static [Table] = &[lookalike::TABLE, invite::TABLE];
    type Config = RegisterConfig;

    fn start(site: &mut SiteBuilder<'_>, config: RegisterConfig) -> Result<Self, StartError> {
        let keeps_passwords = site.keeps_passwords();
        if config.open && !keeps_passwords {
            let reason = "accounts of this domain are not made here, since `internal_passwords` is \
                          false; `open` cannot be true";
            return Err(StartError { module: "register", reason: reason.to_owned() });
        }
        let (recent, misses) = (Hourly::default(), Hourly::default());
        let (hub, domain, taking) = (site.hub(), site.jid().clone(), Default::default());
        Ok(Self { hub, config, domain, keeps_passwords, recent, misses, taking })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.server().get(Self::tell).set(Self::change);
        on.owner().get(Self::tell).set(Self::change);
        let RegisterConfig { open, invites, .. } = on.module().config;
        if on.module().keeps_passwords && (open || invites != Inviters::Nobody) {
            on.early().get(Self::ask).set(Self::register);
        }
        if invites != Inviters::Nobody {
            Self::invitations(on);
        }
        on.command(|register| {
            let about = commands::contact(register.config.invites);
            Command::new(about, register, Self::invite_contact)
        });
        on.command(|register| {
            let about = commands::account(register.config.invites);
            Command::new(about, register, Self::invite_account)
        });
        on.command(|register| {
            let about = commands::list(register.config.invites);
            Command::new(about, register, Self::list_invites)
        });
        on.command(|register| {
            let about = commands::revoke(register.config.invites);
            Command::new(about, register, Self::revoke_invite)
        });
    }
}

impl Register {
    fn invitations(on: &mut Routes<'_, Self>) {
        if on.module().keeps_passwords {
            on.early().set(Self::show_token);
            on.early_feature(TOKEN_FEATURE);
        }
        on.signal(Signal::Asked, Self::meet);
        on.http(Self::page);
    }

    /// §3.1: "the host MUST inform the entity of the required registration fields."
    async fn ask(self: Arc<Self>, ask: Request<Query>) -> Result<String, StanzaError> {
        let invite = self.shown(&ask).await?;
        let mut name = String::new();
        if let Some(promised) = invite.and_then(|invite| invite.username) {
            waxwing_xml::write::text(&mut name, &promised);
        }
        Ok(format!(
            "<query xmlns='{NS}'><instructions>Choose a name and a password.</instructions>\
             <username>{name}</username><password/></query>"
        ))
    }

    async fn register(self: Arc<Self>, ask: Request<Query>) -> Result<(), StanzaError> {
        let invite = self.shown(&ask).await?;
        let (name, password) = ask.payload.filled()?;
        let wish = Wish { name, password, peer: ask.peer, invite };
        self.sign_up(&ask.hub, wish).await.map(drop)
    }

    /// XEP-0445 §4: "the server must validate that the token is acceptable for account
    /// registration"; "if the token has an expiration time, it MUST only be checked at this point".
    async fn show_token(self: Arc<Self>, ask: Request<Preauth>) -> Result<(), StanzaError> {
        let token = ask.payload.token;
        let invite = self.look_up(&ask.hub, &token, ask.peer).await?;
        match invite.filter(|invite| invite.is_open(&ask.hub) && invite.registers) {
            Some(_) => {
                ask.pass.show(token);
                Ok(())
            }
            None => {
                let text = "The invitation is unknown, used, or not good any more.";
                Err(StanzaError::item_not_found().text(text))
            }
        }
    }

    /// What the client of this connection has shown before.
    async fn shown(&self, ask: &Request<Query>) -> Result<Option<Invite>, StanzaError> {
        match ask.pass.shown() {
            Some(token) => self.look_up(&ask.hub, &token, ask.peer).await,
            None => Ok(None),
        }
    }

    /// Looks up a token; who guesses too often has to wait.
    async fn look_up(
        &self,
        hub: &Hub,
        token: &str,
        peer: Option<std::net::IpAddr>,
    ) -> Result<Option<Invite>, StanzaError> {
        let found = Invite::find(hub, self.domain.domain(), token).await;
        let found = found.map_err(|error| unstored(&error))?;
        if found.is_none() && !self.misses.count(peer, hub.clock().now(), MISSES) {
            let text = "Too many unknown invitations came from your network; try later.";
            return Err(StanzaError::resource_constraint().text(text));
        }
        Ok(found)
    }

    /// XEP-0379 §3.5: "If the token is considered valid, the client SHOULD automatically approve
    /// the subscription request … and send a subscription request of its own." §3.1 lets the
    /// server do it; a token that is not valid is as none (§4.1).
    async fn meet(self: Arc<Self>, happening: Happening) -> Effects {
        let Happening { hub, site, party, account, presence } = happening;
        let mut effects = Effects::default();
        let preauth = presence.as_ref().and_then(|it| it.body.child("preauth", PREAUTH));
        let token = preauth.and_then(|preauth| preauth.attribute("token"));
        let Some(token) = token.map(|token| token.into_owned()) else { return effects };
        let Ok(Some(invite)) = Invite::find(&hub, self.domain.domain(), &token).await else {
            return effects;
        };
        let is_meant = invite.befriends && invite.inviter.as_ref() == Some(account.jid());
        if !is_meant || !invite.is_open(&hub) {
            return effects;
        }
        // Whoever uses the last use first has it.
        if hub.db().batch(vec![invite.spend()]).await.is_err() {
            return effects;
        }
        let guest = party.jid.bare();
        tracing::info!(account = %account.jid(), %guest, "invitation taken up");
        for kind in [PresenceType::Subscribed, PresenceType::Subscribe] {
            hub.speak_for(&site, &account, kind, &guest, &mut effects).await;
        }
        effects
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
        self.check_own(&ask.hub, &jid).await?;
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
}

impl Register {
    /// Whoever is known elsewhere is removed there, and changes the password there.
    async fn check_own(&self, hub: &Hub, jid: &BareJid) -> Result<(), StanzaError> {
        let credentials = Accounts::new(hub.db().clone()).credentials(jid.as_str()).await;
        match credentials.map_err(|error| unstored(&error))?.is_empty() || !self.keeps_passwords {
            false => Ok(()),
            true => {
                let text = "Your account is kept elsewhere; change or remove it there.";
                Err(StanzaError::not_allowed().text(text))
            }
        }
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

/// `<preauth/>`
#[derive(FromXml)]
#[xml(namespace = PREAUTH, name = "preauth", on_unknown_attribute = Discard,
      on_unknown_child = Discard)]
pub struct Preauth {
    #[xml(attribute)]
    token: String,
}
payload!(Preauth, "preauth", PREAUTH);
