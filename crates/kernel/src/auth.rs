//! Who may sign in: the answers to what a stream asks about credentials.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use waxwing_jid::BareJid;
use waxwing_stanza::StanzaError;
use waxwing_store::StoreError;
use waxwing_store::domains::accounts::{Account, Accounts, Credential};
use waxwing_stream::{Answer, AuthFailure, Hash, Need, Question, ScramKeys};

use crate::admission;
use crate::backend;
use crate::clock::Clock;
use crate::events::SIGNIN_FAILED;
use crate::gate::{Crowded, Room};
use crate::hub::Hub;

pub use crate::gate::network;

/// A password or a token, as it was sent.
type Password = zeroize::Zeroizing<String>;

/// Bytes of salt for new passwords (RFC 5802 asks for randomness, RFC 8018 §4.1 for 8 at least).
const SALT_BYTES: usize = 16;

/// Answers a stream's question about identity; `peer` is who asks.
pub(crate) async fn answer(hub: &Hub, question: Question, peer: IpAddr) -> Answer {
    match question {
        Question::Credentials { account, need: Need::Scram(hash) } => {
            scram(hub, &account, hash).await
        }
        Question::Plain { account, password } => plain(hub, &account, password, peer).await,
        Question::Bearer { domain, account, token } => Answer::External(match hub.site(&domain) {
            Some(site) => Box::pin(backend::bearer(hub, &site, (account, token), peer)).await,
            None => Err(AuthFailure::NotAuthorized),
        }),
        Question::External { account, certificate, verified } => {
            Answer::External(external(hub, account, &certificate, verified).await)
        }
        Question::Tokens { account, agent, binding } => {
            match admission::tokens(hub, &account, &agent, binding).await {
                // Whoever has no token makes this server ask nobody.
                Ok(keys) if keys.is_empty() => Answer::Tokens(keys),
                Ok(keys) => match Box::pin(backend::is_gone(hub, &account, peer)).await {
                    Ok(true) => Answer::Tokens(Vec::new()),
                    Ok(false) => Answer::Tokens(keys),
                    Err(failure) => Answer::Verdict(Err(failure)),
                },
                Err(error) => Answer::Verdict(Err(temporary(&error))),
            }
        }
        Question::Missing { account, hashes } => match known(hub, &account).await {
            Ok(found) => Answer::Missing(missing(found, hashes)),
            Err(error) => Answer::Verdict(Err(temporary(&error))),
        },
        Question::Keep { account, keys, proven } => {
            Answer::Kept(keep(hub, &account, keys, &proven).await)
        }
        Question::Admit(admit) => Answer::Admitted(admission::admit(hub, *admit).await),
        Question::Anonymous => Answer::Verdict(Err(AuthFailure::NotAuthorized)),
        // The connection answers these itself; here they would be out of order.
        Question::Bind { .. }
        | Question::Begin(_)
        | Question::Resume { .. }
        | Question::Attach { .. }
        | Question::Vouch { .. }
        | Question::Enable { .. } => Answer::Verdict(Err(AuthFailure::NotAuthorized)),
    }
}

async fn scram(hub: &Hub, jid: &BareJid, hash: Hash) -> Answer {
    let found = match known(hub, jid).await {
        Ok(found) => found,
        Err(error) => return Answer::Verdict(Err(temporary(&error))),
    };
    let Some((account, credentials)) = found else { return Answer::Scram(None) };
    let keys = credentials.into_iter().find_map(|credential| keys(credential, hash));
    match (keys, account.disabled) {
        (Some(keys), Some(reason)) => Answer::Locked(keys, disabled(reason)),
        (keys, _) => Answer::Scram(keys),
    }
}

fn missing(found: Option<(Account, Vec<Credential>)>, mut hashes: Vec<Hash>) -> Vec<Hash> {
    let credentials = found.map(|(_, credentials)| credentials).unwrap_or_default();
    hashes.retain(|hash| credentials.iter().all(|known| known.hash != hash.name()));
    // An account that checks nothing by a password gets none this way.
    if credentials.is_empty() { Vec::new() } else { hashes }
}

/// XEP-0480: keys that the client has made of the password it has just proven.
async fn keep(hub: &Hub, jid: &BareJid, keys: ScramKeys, proven: &[u8]) -> Result<(), AuthFailure> {
    let ScramKeys { hash, salt, iterations, stored_key, server_key } = keys;
    let hash = hash.name().to_owned();
    let credential = Credential { hash, salt, iterations, stored_key, server_key };
    let accounts = Accounts::new(hub.db().clone());
    match accounts.add_credential(jid.as_str(), &credential, proven).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(AuthFailure::NotAuthorized),
        Err(error) => Err(temporary(&error)),
    }
}

/// Checks a password sent by PLAIN. An account that has one here is checked here; others by those
/// who know them.
async fn plain(hub: &Hub, jid: &BareJid, password: Password, peer: IpAddr) -> Answer {
    let Some(site) = hub.site(jid.domain()) else {
        return Answer::Verdict(Err(AuthFailure::NotAuthorized));
    };
    let is_foreign = match (site.keeps_passwords(), site.asks_others()) {
        (false, _) => true,
        (true, _) if backend::is_token(&site, &password) => true,
        (true, false) => false,
        (true, true) => match known(hub, jid).await {
            Ok(found) => found.is_none_or(|(_, credentials)| credentials.is_empty()),
            Err(error) => return Answer::Verdict(Err(temporary(&error))),
        },
    };
    if !is_foreign {
        return Answer::Verdict(verify(hub, jid, password, peer).await);
    }
    // Boxed, because every connection holds room for the longest wait it may come to.
    match Box::pin(backend::password(hub, &site, (jid, password), peer)).await {
        Ok(()) => Answer::Account(jid.clone()),
        Err(failure) => Answer::Verdict(Err(failure)),
    }
}

/// Costs a key derivation, so it waits its turn and runs beside the tasks that serve others.
async fn verify(
    hub: &Hub,
    jid: &BareJid,
    password: Password,
    peer: IpAddr,
) -> Result<Vec<u8>, AuthFailure> {
    let permit = permit(hub, Some(peer)).await.map_err(|Crowded| crowded())?;
    let found = known(hub, jid).await.map_err(|error| temporary(&error))?;
    let (account, credentials) = match found {
        Some(found) => found,
        None => return refuse_slowly(permit, password).await,
    };
    let strongest = Hash::ALL
        .into_iter()
        .find_map(|hash| credentials.iter().find_map(|credential| keys(credential.clone(), hash)));
    let Some(keys) = strongest else { return refuse_slowly(permit, password).await };
    let salt = keys.salt.clone();
    let check = move || {
        let _permit = permit;
        keys.verify_plain(&password)
    };
    let check = tokio::task::spawn_blocking(check).await;
    match (check, account.disabled) {
        (Ok(true), None) => Ok(salt),
        (Ok(true), Some(reason)) => Err(disabled(reason)),
        _ => Err(AuthFailure::NotAuthorized),
    }
}

/// Takes as long as a wrong password for an account that exists would.
async fn refuse_slowly(
    permit: OwnedSemaphorePermit,
    password: Password,
) -> Result<Vec<u8>, AuthFailure> {
    let derive = move || {
        let _permit = permit;
        ScramKeys::derive(Hash::Sha512, &password, b"nobody", ScramKeys::ITERATIONS)
    };
    let _ = tokio::task::spawn_blocking(derive).await;
    Err(AuthFailure::NotAuthorized)
}

/// Waits for leave to spend a processor's time on a password. The check keeps what is given until
/// it ends, also when nobody waits for it any more.
async fn permit(hub: &Hub, peer: Option<IpAddr>) -> Result<OwnedSemaphorePermit, Crowded> {
    hub.gate().pass(peer, room(hub)).await
}

/// How many may wait for one kind of check.
pub(crate) fn room(hub: &Hub) -> Room {
    let limits = hub.limits();
    Room { all: limits.password_waiting, network: limits.password_waiting_per_address }
}

pub(crate) fn crowded() -> AuthFailure {
    AuthFailure::Temporary(Some("Too many are signing in at the moment; try again.".into()))
}

/// XEP-0178 §2: the addresses in a verified client certificate are the accounts it may act as.
async fn external(
    hub: &Hub,
    wanted: Option<BareJid>,
    certificate: &[u8],
    is_verified: bool,
) -> Result<BareJid, AuthFailure> {
    if !is_verified {
        return Err(AuthFailure::NotAuthorized);
    }
    let named = crate::certificate::addresses(certificate);
    let jid = match (wanted, named.as_slice()) {
        (Some(wanted), named) if named.contains(&wanted) => wanted,
        (Some(_), _) => return Err(AuthFailure::InvalidAuthzid),
        (None, [only]) => only.clone(),
        (None, _) => return Err(AuthFailure::NotAuthorized),
    };
    match known(hub, &jid).await {
        Ok(Some((account, _))) => match account.disabled {
            None => Ok(jid),
            Some(reason) => Err(disabled(reason)),
        },
        Ok(None) => Err(AuthFailure::NotAuthorized),
        Err(error) => Err(temporary(&error)),
    }
}

async fn known(hub: &Hub, jid: &BareJid) -> Result<Option<(Account, Vec<Credential>)>, StoreError> {
    Accounts::new(hub.db().clone()).find_with_credentials(jid.as_str()).await
}

/// Somebody at `peer` showed `domain` a secret that is none, and not on a stream. It counts along
/// with wrong passwords; for how long the answer should wait.
pub fn refused(hub: &Hub, domain: &str, peer: IpAddr) -> Duration {
    let condition = "not-authorized";
    hub.metrics().auth_failed(condition);
    hub.tell(
        domain,
        &SIGNIN_FAILED,
        || json!({ "peer": peer.to_string(), "condition": condition }),
    );
    hub.gate().failed(peer, hub.clock().now())
}

fn keys(credential: Credential, hash: Hash) -> Option<ScramKeys> {
    let Credential { hash: name, salt, iterations, stored_key, server_key } = credential;
    (name == hash.name()).then_some(ScramKeys { hash, salt, iterations, stored_key, server_key })
}

pub(crate) fn disabled(reason: String) -> AuthFailure {
    AuthFailure::AccountDisabled((!reason.is_empty()).then_some(reason))
}

pub(crate) fn temporary(error: &StoreError) -> AuthFailure {
    tracing::error!(%error, "credentials could not be read");
    AuthFailure::Temporary(Some("The server cannot read accounts at the moment.".into()))
}

/// [`credentials`] for somebody who asks for them over the wire: it waits its turn with the checks
/// of passwords, so that those who ask often do not occupy the machine. `peer` is who asks, when
/// that is a stranger.
///
/// # Errors
/// As of [`credentials`]: `not-acceptable`. When too many wait: `resource-constraint`.
pub async fn credentials_in_turn(
    hub: &Hub,
    peer: Option<IpAddr>,
    password: &str,
) -> Result<Vec<Credential>, StanzaError> {
    let permit = permit(hub, peer).await.map_err(|Crowded| {
        StanzaError::resource_constraint().text("Too many ask for this at the moment; try again.")
    })?;
    let made = make(hub.clock(), password, Some(permit)).await;
    made.map_err(|reason| StanzaError::not_acceptable().text(reason))
}

/// Makes what is stored of a password: keys for every hash, each with a salt of its own. Runs
/// beside the tasks that serve others.
///
/// # Errors
/// The password is empty or has characters that no password may have (RFC 8265 §4.2).
pub async fn credentials(clock: &Clock, password: &str) -> Result<Vec<Credential>, String> {
    make(clock, password, None).await
}

async fn make(
    clock: &Clock,
    password: &str,
    permit: Option<OwnedSemaphorePermit>,
) -> Result<Vec<Credential>, String> {
    let password = zeroize::Zeroizing::new(password.to_owned());
    let salts = Hash::ALL.map(|hash| {
        let mut salt = vec![0; SALT_BYTES];
        clock.random(&mut salt);
        (hash, salt)
    });
    let derive = move || {
        let _permit = permit;
        let all = salts.into_iter().map(|(hash, salt)| {
            let keys = ScramKeys::derive(hash, &password, &salt, ScramKeys::ITERATIONS)?;
            let ScramKeys { iterations, stored_key, server_key, salt, .. } = keys;
            let hash = hash.name().to_owned();
            Ok(Credential { hash, salt, iterations, stored_key, server_key })
        });
        all.collect::<Result<Vec<_>, waxwing_jid::JidError>>()
    };
    let derived = tokio::task::spawn_blocking(derive).await.map_err(|error| error.to_string())?;
    derived.map_err(|error| format!("this cannot be a password: {error}"))
}
