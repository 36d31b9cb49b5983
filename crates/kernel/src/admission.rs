//! Letting a client in that has proven who it is and told which installation it is (XEP-0388 §2.3).
//! Modules say what is to be written about it, and what it is told; it is told after the commit.

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_store::domains::accounts::Accounts;
use waxwing_store::{Statement, StoreError};
use waxwing_stream::{Admit, AuthFailure, Closing, Proof, StreamError, TokenBinding, TokenKey};
use waxwing_xml::Element;

use crate::account::Account;
use crate::directory::ClientId;
use crate::hub::Hub;
use crate::mailbox::Mail;
use crate::request::Answer;
use crate::site::Site;

/// A client that is about to be let in.
pub struct Admission {
    /// The server.
    pub hub: Hub,
    /// The virtual host.
    pub site: Arc<Site>,
    /// Whose client it is.
    pub account: BareJid,
    /// Which one.
    pub client: ClientId,
    /// How it has proven that.
    pub proof: Proof,
    /// Its whole `<authenticate/>`.
    pub request: Arc<Element>,
    /// When that is, in milliseconds since 1970.
    pub now: i64,
}

/// What a module has to say about it.
#[derive(Default)]
pub struct Admitted {
    /// What is written, with what others write, or the client is not let in.
    pub writes: Vec<Statement>,
    /// Elements for `<success/>`.
    pub success: String,
}

/// The tokens of a client are asked for (XEP-0484).
pub struct TokenAsk {
    /// The server.
    pub hub: Hub,
    /// The virtual host.
    pub site: Arc<Site>,
    /// Whose client it is.
    pub account: BareJid,
    /// Which one.
    pub client: ClientId,
    /// What the tokens were made for.
    pub binding: TokenBinding,
}

pub(crate) type AdmissionRoute =
    Box<dyn Fn(Arc<Admission>) -> Answer<'static, Result<Admitted, AuthFailure>> + Send + Sync>;
pub(crate) type TokenRoute =
    Box<dyn Fn(TokenAsk) -> Answer<'static, Result<Vec<TokenKey>, StoreError>> + Send + Sync>;

pub(crate) type BoundRoute =
    Box<dyn Fn(Hub, Arc<Account>) -> Answer<'static, String> + Send + Sync>;

/// What a client is told about its account when a session begins (XEP-0386 §4).
pub(crate) async fn bound(hub: &Hub, account: &BareJid) -> String {
    let mut told = String::new();
    let (Some(site), Ok(Some(account))) = (hub.site(account.domain()), hub.account(account).await)
    else {
        return told;
    };
    for (_, route) in &site.router.0.bounds {
        told.push_str(&route(hub.clone(), Arc::clone(&account)).await);
    }
    told
}

/// The tokens that `agent` may prove.
pub(crate) async fn tokens(
    hub: &Hub,
    account: &BareJid,
    agent: &str,
    binding: TokenBinding,
) -> Result<Vec<TokenKey>, StoreError> {
    let Some(site) = hub.site(account.domain()) else { return Ok(Vec::new()) };
    let Some(route) = &site.router.0.tokens else { return Ok(Vec::new()) };
    let client = ClientId::of(&site, account, agent);
    let (hub, account) = (hub.clone(), account.clone());
    route(TokenAsk { hub, site: Arc::clone(&site), account, client, binding }).await
}

/// Asks every module, and writes what they say at once. The account must be open still, and have
/// the password that was proven: the proof may have taken its time.
pub(crate) async fn admit(hub: &Hub, admit: Admit) -> Result<String, AuthFailure> {
    let Admit { account, agent, proof, request } = admit;
    let site = hub.site(account.domain()).ok_or(AuthFailure::NotAuthorized)?;
    let known = hub.account(&account).await.map_err(|error| unwritten(&error))?;
    // A guest's account ends with its session; there is nothing to remember.
    if known.is_none_or(|known| known.is_guest()) {
        return Ok(String::new());
    }
    let client = ClientId::of(&site, &account, &agent);
    let now = hub.clock().wall_millis().cast_signed();
    let mut writes = vec![Accounts::is_open(account.as_str())];
    if let Proof::Password(salt) = &proof {
        writes.push(Accounts::is_checked_with(account.as_str(), salt));
    }
    let (guards, mut success) = (writes.len(), String::new());
    let (hub, site_of) = (hub.clone(), Arc::clone(&site));
    let admission = Admission { hub, site: site_of, account, client, proof, request, now };
    let admission = Arc::new(admission);
    for (_, route) in &site.router.0.admissions {
        let admitted = route(Arc::clone(&admission)).await?;
        writes.extend(admitted.writes);
        success.push_str(&admitted.success);
    }
    if writes.len() > guards {
        match admission.hub.db().batch(writes).await {
            Ok(_) => {}
            Err(StoreError::Conflict(_)) => return Err(AuthFailure::NotAuthorized),
            Err(error) => return Err(unwritten(&error)),
        }
    }
    Ok(success)
}

impl Hub {
    /// Ends the sessions of one client of `account` with `error`. Call it when its tokens have
    /// ended: whoever is about to come in with one will look again.
    pub fn dismiss_client(&self, account: &BareJid, client: &str, error: &StreamError) {
        for session in self.directory().sessions(account) {
            if session.client.is_some_and(|id| id.to_string() == client) {
                let _ = session.mailbox.send(Mail::Close(Closing::Error(error.clone())));
            }
        }
    }
}

fn unwritten(error: &StoreError) -> AuthFailure {
    tracing::error!(%error, "a client could not be let in");
    AuthFailure::Temporary(Some("The server cannot write at the moment; try again.".into()))
}
