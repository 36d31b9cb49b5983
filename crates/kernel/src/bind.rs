//! Resource binding (RFC 6120 §7, XEP-0386).

use std::sync::Arc;

use serde_json::json;
use waxwing_jid::{BareJid, prepare_resource};
use waxwing_stanza::StanzaError;
use waxwing_store::domains::accounts::Accounts;
use waxwing_stream::{Closing, Inline, Installation, StreamError};

use crate::account::Account;
use crate::admission;
use crate::directory::{ClientId, Resource};
use crate::events::SESSION_OPENED;
use crate::hub::Hub;
use crate::mailbox::Mail;
use crate::request::{Beginning, unstored};
use crate::session::Session;
use crate::site::Site;
use crate::wire::Transport;

const BIND2: &str = "urn:xmpp:bind:0";

/// How the client came in, and what [`Hub::locked`] gave before its account was last found open.
type How = (Transport, Option<u64>);

/// The longest part of a resource that a client may choose by `<tag/>`, in bytes.
const TAG_BYTES: usize = 256;

/// Gives `account` a session under `resource`, or under one of our making.
///
/// An older session with the same resource is ended: §7.7.2.2 lets the server choose, and the
/// newer connection is nearly always the same device after a lost one.
pub(crate) async fn bind(
    hub: &Hub,
    account: BareJid,
    (resource, by): (Option<String>, &Installation),
    how: How,
) -> Result<Session, StanzaError> {
    let (site, known) = owner(hub, &account).await?;
    let resource = resource.unwrap_or_else(|| hub.clock().token(8));
    let session = session(hub, &site, &known, &resource)?;
    let mut shown = session.resource(how.0);
    shown.client = by.agent.as_deref().map(|agent| ClientId::of(&site, known.jid(), agent));
    enter(hub, (&known, by), session, (shown, how.1)).await
}

/// The same along with the authentication: under a resource that stays the same for this client,
/// and with what it asks for enabled before anybody can write to it.
pub(crate) async fn begin(hub: &Hub, inline: &Inline, how: How) -> Result<Session, StanzaError> {
    let (site, known) = owner(hub, &inline.account).await?;
    let agent = inline.by.agent.as_deref();
    let client = agent.map(|agent| ClientId::of(&site, known.jid(), agent));
    // XEP-0386 §4.1: "[client tag]/[server generated identifier]"; the identifier "SHOULD remain
    // stable for every bind request with the same <tag/> and SASL2 <user-agent> id".
    let made = client.map_or_else(|| hub.clock().token(8), |client| client.to_string());
    let tag = inline.tag.as_deref().filter(|tag| tag.len() <= TAG_BYTES);
    let resource = match tag.map(prepare_resource) {
        Some(Ok(tag)) => format!("{tag}/{made}"),
        _ => made,
    };
    let mut session = session(hub, &site, &known, &resource)?;
    let mut shown = session.resource(how.0);
    shown.client = client;
    let mut beginning = Beginning { slots: session.slots(), flags: &mut shown.flags };
    if let Some(bind) = inline.request.child("bind", BIND2) {
        for feature in bind.children() {
            if let Some(enable) = site.router.inline(feature.name(), feature.namespace()) {
                enable(&mut beginning);
            }
        }
    }
    let session = enter(hub, (&known, &inline.by), session, (shown, how.1)).await?;
    if let Some(client) = client {
        end_others(hub, &session, client);
    }
    if let Some(spool) = site.router.spool() {
        spool.clear(hub, &known).await;
    }
    Ok(session)
}

async fn owner(hub: &Hub, jid: &BareJid) -> Result<(Arc<Site>, Arc<Account>), StanzaError> {
    if hub.is_draining() {
        return Err(StanzaError::resource_constraint().text("The server is shutting down."));
    }
    match (hub.site(jid.domain()), hub.account(jid).await) {
        (Some(site), Ok(Some(known))) => Ok((site, known)),
        _ => Err(StanzaError::internal_server_error()
            .text("The server cannot read your account at the moment.")),
    }
}

fn session(
    hub: &Hub,
    site: &Site,
    known: &Arc<Account>,
    resource: &str,
) -> Result<Session, StanzaError> {
    let jid = known
        .jid()
        .with_resource(resource)
        .map_err(|error| StanzaError::bad_request().text(error.to_string()))?;
    Ok(Session::new(hub.clone(), site, Arc::clone(known), jid))
}

/// Shows the session to others.
async fn enter(
    hub: &Hub,
    (known, by): (&Account, &Installation),
    mut session: Session,
    (shown, open_at): (Resource, Option<u64>),
) -> Result<Session, StanzaError> {
    let transport = shown.transport;
    match hub.directory().bind(shown, hub.limits().sessions_per_account) {
        Ok(replaced) => {
            if let Some(older) = replaced {
                let _ = older.mailbox.send(Mail::Close(replaced_by_newer()));
                session.succeed(older.mailbox);
            }
            hub.metrics().session_bound(transport.name());
            hub.tell(
                session.jid().domain(),
                &SESSION_OPENED,
                || json!({ "jid": session.jid().as_str(), "transport": transport.name() }),
            );
            // It was found open to its owner already, and no account was locked since.
            if open_at.is_some_and(|open_at| open_at == hub.locked()) {
                return Ok(session);
            }
            match Box::pin(check(hub, known, by)).await {
                Ok(()) => Ok(session),
                Err(error) => {
                    Box::pin(session.end(Vec::new())).await;
                    Err(error)
                }
            }
        }
        // §7.6.2.1: "the account has reached a limit on the number of simultaneous connected
        // resources allowed": resource-constraint.
        Err(count) => Err(StanzaError::resource_constraint()
            .text(format!("This account has {count} sessions already; end one of them first."))),
    }
}

/// XEP-0386 §4: "Upon successful binding of a resource, the server SHOULD terminate any earlier
/// sessions from the same client". One under the same resource has ended already.
fn end_others(hub: &Hub, session: &Session, client: ClientId) {
    for other in hub.directory().sessions(&session.jid().bare()) {
        if other.client == Some(client) && other.jid != *session.jid() {
            let _ = other.mailbox.send(Mail::Close(replaced_by_newer()));
        }
    }
}

fn replaced_by_newer() -> Closing {
    Closing::Error(StreamError::conflict().text("Replaced by a new connection."))
}

/// Whoever locks an account or revokes a client's access ends the sessions found after that; so
/// this looks when the session can be found already.
async fn check(hub: &Hub, account: &Account, by: &Installation) -> Result<(), StanzaError> {
    check_account(hub, account).await?;
    let (Some(agent), Some((name, binding))) = (&by.agent, &by.token) else { return Ok(()) };
    match admission::tokens(hub, account.jid(), agent, *binding).await {
        Ok(keys) if keys.iter().any(|key| key.name == *name) => Ok(()),
        Ok(_) => Err(StanzaError::not_allowed().text("This client may not sign in any more.")),
        Err(error) => Err(unstored(&error)),
    }
}

/// An account may have been disabled or erased since its owner signed in.
async fn check_account(hub: &Hub, account: &Account) -> Result<(), StanzaError> {
    if account.is_guest() {
        return Ok(());
    }
    match Accounts::new(hub.db().clone()).find(account.jid().as_str()).await {
        Ok(Some(row)) if row.disabled.is_none() => Ok(()),
        Ok(_) => Err(StanzaError::not_allowed().text("This account may not sign in any more.")),
        Err(error) => Err(unstored(&error)),
    }
}
