//! Resource binding (RFC 6120 §7).

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_stanza::StanzaError;
use waxwing_store::domains::accounts::Accounts;
use waxwing_stream::{Closing, StreamError};

use crate::account::Account;
use crate::hub::Hub;
use crate::mailbox::Mail;
use crate::request::unstored;
use crate::session::Session;
use crate::wire::Transport;

/// Gives `account` a session under `resource`, or under one of our making.
///
/// An older session with the same resource is ended: §7.7.2.2 lets the server choose, and the
/// newer connection is nearly always the same device after a lost one.
pub(crate) async fn bind(
    hub: &Hub,
    account: BareJid,
    resource: Option<String>,
    transport: Transport,
) -> Result<Session, StanzaError> {
    if hub.is_draining() {
        return Err(StanzaError::resource_constraint().text("The server is shutting down."));
    }
    let (Some(site), Ok(Some(known))) = (hub.site(account.domain()), hub.account(&account).await)
    else {
        return Err(StanzaError::internal_server_error()
            .text("The server cannot read your account at the moment."));
    };
    let resource = resource.unwrap_or_else(|| hub.clock().token(8));
    let jid = account
        .with_resource(&resource)
        .map_err(|error| StanzaError::bad_request().text(error.to_string()))?;
    let mut session = Session::new(hub.clone(), &site, Arc::clone(&known), jid);
    match hub.directory().bind(session.resource(transport), hub.limits().sessions_per_account) {
        Ok(replaced) => {
            if let Some(older) = replaced {
                let conflict = StreamError::conflict().text("Replaced by a new connection.");
                let _ = older.mailbox.send(Mail::Close(Closing::Error(conflict)));
                session.succeed(older.mailbox);
            }
            hub.metrics().session_bound(transport.name());
            match check_account(hub, &known).await {
                Ok(()) => Ok(session),
                Err(error) => {
                    session.end(Vec::new()).await;
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

/// An account may have been disabled or erased since its owner signed in. This looks when the
/// session can be found already: whoever disables an account ends the sessions found after that.
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
