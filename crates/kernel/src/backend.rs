//! Who besides this server knows passwords and accounts: directories, identity providers, programs
//! of the operator. Modules ask them; here is when they are asked, and what follows.
//!
//! An account that somebody else vouches for is a row without credentials. It is made when its
//! owner signs in first, or when somebody writes to it and a backend knows the name; everything
//! that belongs to an account (roster, archive, tokens) works on it as on any other.

mod absent;

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::json;
use waxwing_jid::BareJid;
use waxwing_store::StoreError;
use waxwing_store::domains::accounts::Accounts;
use waxwing_stream::{AuthFailure, BearerOffer};
use zeroize::Zeroizing;

pub(crate) use self::absent::Absent;
use crate::auth;
use crate::events::ACCOUNT_CREATED;
use crate::gate::{Gate, Room};
use crate::hub::Hub;
use crate::request::Answer;
use crate::site::Site;

/// How many existence checks run at a time for one site, for stanzas and for sign-ins each; more
/// wait.
const LOOKUPS: usize = 8;
/// How many may wait for the sake of a stanza.
const LOOKUPS_WAITING: Room = Room { all: 64, network: 64 };

/// Whether this is the password of an account.
#[derive(Clone)]
pub struct PasswordAsk {
    /// The server.
    pub hub: Hub,
    /// Who wants to sign in.
    pub account: BareJid,
    /// As sent; never empty.
    pub password: Arc<Zeroizing<String>>,
}

/// Whose token this is.
#[derive(Clone)]
pub struct BearerAsk {
    /// The server.
    pub hub: Hub,
    /// As sent; never empty.
    pub token: Arc<Zeroizing<String>>,
}

/// Whether there is an account of this name.
#[derive(Clone)]
pub struct LookUp {
    /// The server.
    pub hub: Hub,
    /// The address.
    pub account: BareJid,
}

pub(crate) type PasswordRoute =
    Box<dyn Fn(PasswordAsk) -> Answer<'static, Result<bool, AuthFailure>> + Send + Sync>;
pub(crate) type BearerRoute =
    Box<dyn Fn(BearerAsk) -> Answer<'static, Result<BareJid, AuthFailure>> + Send + Sync>;
pub(crate) type LookUpRoute =
    Box<dyn Fn(LookUp) -> Answer<'static, Result<bool, AuthFailure>> + Send + Sync>;

/// One of those who are asked, with the queue of those who wait for its answers: one that is slow
/// holds up nobody else.
pub(crate) struct Backend<R> {
    pub(crate) module: &'static str,
    pub(crate) gate: Gate,
    pub(crate) run: R,
}

impl<R> Backend<R> {
    /// Answers `running` questions at a time.
    pub(crate) fn new(module: &'static str, running: usize, run: R) -> Self {
        Self { module, gate: Gate::new(running), run }
    }
}

/// Who knows tokens, and what clients are told of them.
pub(crate) struct Bearer {
    pub(crate) offer: BearerOffer,
    /// A token may come as the password of PLAIN too.
    pub(crate) is_password: bool,
    pub(crate) backend: Backend<BearerRoute>,
}

/// Who is asked whether an account exists, and which did not lately.
pub(crate) struct Lookups {
    pub(crate) backends: Vec<(&'static str, LookUpRoute)>,
    stanzas: Gate,
    /// Apart, so that nobody who writes to names stands in the way of who signs in.
    signins: Gate,
    absent: Absent,
}

impl Default for Lookups {
    fn default() -> Self {
        let (stanzas, signins) = (Gate::new(LOOKUPS), Gate::new(LOOKUPS));
        Self { backends: Vec::new(), stanzas, signins, absent: Absent::default() }
    }
}

/// Whether somebody else than this server says that this is the password of `account`, which is
/// known here from then on.
///
/// # Errors
/// One of those who were asked cannot say, and no other says yes.
pub(crate) async fn password(
    hub: &Hub,
    site: &Site,
    (account, password): (&BareJid, Zeroizing<String>),
    peer: IpAddr,
) -> Result<(), AuthFailure> {
    let password = Arc::new(password);
    if is_token(site, &password) {
        return match token(hub, site, password, peer).await? {
            owner if owner == *account => admit(hub, account).await,
            _ => Err(AuthFailure::NotAuthorized),
        };
    }
    let mut failure = AuthFailure::NotAuthorized;
    for backend in &site.router.0.passwords {
        let room = auth::room(hub);
        let _permit = backend.gate.pass(Some(peer), room).await.map_err(|_| auth::crowded())?;
        let (hub_of, account_of) = (hub.clone(), account.clone());
        let ask = PasswordAsk { hub: hub_of, account: account_of, password: Arc::clone(&password) };
        match (backend.run)(ask).await {
            Ok(true) => return admit(hub, account).await,
            Ok(false) => {}
            Err(other) => failure = other,
        }
    }
    Err(failure)
}

/// Whose token this is, which must be who the client wants to be; the account is known here from
/// then on.
///
/// # Errors
/// It is nobody's, or that cannot be told.
pub(crate) async fn bearer(
    hub: &Hub,
    site: &Site,
    (wanted, given): (Option<BareJid>, Zeroizing<String>),
    peer: IpAddr,
) -> Result<BareJid, AuthFailure> {
    let owner = token(hub, site, Arc::new(given), peer).await?;
    if wanted.is_some_and(|wanted| wanted != owner) {
        return Err(AuthFailure::InvalidAuthzid);
    }
    admit(hub, &owner).await?;
    Ok(owner)
}

async fn token(
    hub: &Hub,
    site: &Site,
    token: Arc<Zeroizing<String>>,
    peer: IpAddr,
) -> Result<BareJid, AuthFailure> {
    let Some(bearer) = &site.router.0.bearer else { return Err(AuthFailure::NotAuthorized) };
    let (backend, room) = (&bearer.backend, auth::room(hub));
    let _permit = backend.gate.pass(Some(peer), room).await.map_err(|_| auth::crowded())?;
    let owner = (backend.run)(BearerAsk { hub: hub.clone(), token }).await?;
    match owner.domain() == site.domain() && !owner.is_domain() {
        true => Ok(owner),
        false => Err(AuthFailure::NotAuthorized),
    }
}

/// Whether this is judged as a token: where tokens may be passwords, three pieces of base64, of
/// which the first is a JSON object (RFC 7515 §3.1). No person would choose such a password.
pub(crate) fn is_token(site: &Site, password: &str) -> bool {
    site.router.0.bearer.as_ref().is_some_and(|bearer| bearer.is_password)
        && password.starts_with("eyJ")
        && password.split('.').count() == 3
}

/// Lets somebody in who was vouched for: the account is made when there is none.
async fn admit(hub: &Hub, account: &BareJid) -> Result<(), AuthFailure> {
    let accounts = Accounts::new(hub.db().clone());
    let find = async || accounts.find(account.as_str()).await.map_err(|e| auth::temporary(&e));
    let known = match find().await? {
        Some(known) => Some(known),
        None => {
            make(hub, account).await.map_err(|error| auth::temporary(&error))?;
            // Somebody else may have made it meanwhile, and an admin disabled it.
            find().await?
        }
    };
    match known.map(|known| known.disabled) {
        Some(None) => Ok(()),
        Some(Some(reason)) => Err(auth::disabled(reason)),
        None => Err(AuthFailure::NotAuthorized),
    }
}

/// Whether all those who know accounts of its domain say that there is no such account any more:
/// then its tokens (XEP-0484) end too. Where one of them cannot answer it counts as no, so that
/// tokens are good while a directory is down; and so does an account that is known by its tokens of
/// a provider, or has a password here. `peer` is who shows the token.
///
/// # Errors
/// `temporary-auth-failure`, when nobody could be asked because too many wait, or when the store
/// cannot be read: somebody who fills a queue opens no door.
pub(crate) async fn is_gone(
    hub: &Hub,
    account: &BareJid,
    peer: IpAddr,
) -> Result<bool, AuthFailure> {
    let Some(site) = hub.site(account.domain()) else { return Ok(false) };
    let table = &site.router.0;
    let (lookups, passwords) = (&table.lookups, &table.passwords);
    let can_tell = table.bearer.is_none() && lookups.backends.len() == passwords.len();
    if lookups.backends.is_empty() || !can_tell {
        return Ok(false);
    }
    if site.keeps_passwords() {
        let credentials = Accounts::new(hub.db().clone()).credentials(account.as_str()).await;
        if !credentials.map_err(|error| auth::temporary(&error))?.is_empty() {
            return Ok(false);
        }
    }
    let pass = lookups.signins.pass(Some(peer), auth::room(hub)).await;
    let _permit = pass.map_err(|_| auth::crowded())?;
    for (_, run) in &lookups.backends {
        match run(LookUp { hub: hub.clone(), account: account.clone() }).await {
            Ok(false) => {}
            Ok(true) | Err(_) => return Ok(false),
        }
    }
    Ok(true)
}

/// An account without credentials.
async fn make(hub: &Hub, account: &BareJid) -> Result<(), StoreError> {
    let now = hub.clock().wall_millis().cast_signed();
    match Accounts::new(hub.db().clone()).create(account.as_str(), now, &[]).await {
        Ok(()) => {
            tracing::info!(%account, "account made for somebody who is known elsewhere");
            hub.tell(account.domain(), &ACCOUNT_CREATED, || json!({ "jid": account.as_str() }));
            Ok(())
        }
        Err(StoreError::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

impl Hub {
    /// Whether somebody else knows an account that is not known here; then it is from now on. For
    /// stanzas to people who never signed in. What cannot be told counts as no.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn look_up(&self, site: &Site, jid: &BareJid) -> Result<bool, StoreError> {
        let lookups = &site.router.0.lookups;
        if lookups.backends.is_empty() || jid.is_domain() {
            return Ok(false);
        }
        let now = self.clock().now();
        if lookups.absent.contains(jid, now) {
            return Ok(false);
        }
        let Ok(_permit) = lookups.stanzas.pass(None, LOOKUPS_WAITING).await else {
            return Ok(false);
        };
        for (_, run) in &lookups.backends {
            match run(LookUp { hub: self.clone(), account: jid.clone() }).await {
                Ok(true) => return make(self, jid).await.map(|()| true),
                Ok(false) => {}
                Err(_) => return Ok(false),
            }
        }
        lookups.absent.insert(jid, now);
        Ok(false)
    }
}
