//! Resource binding (RFC 6120 §7).

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_stanza::StanzaError;
use waxwing_stream::{Closing, StreamError};

use crate::hub::Hub;
use crate::mailbox::Mail;
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
    let session = Session::new(hub.clone(), &site, Arc::clone(&known), jid);
    match hub.directory().bind(session.resource(transport), hub.limits().sessions_per_account) {
        Ok(replaced) => {
            if let Some(older) = replaced {
                let conflict = StreamError::conflict().text("Replaced by a new connection.");
                let _ = older.mailbox.send(Mail::Close(Closing::Error(conflict)));
            }
            hub.metrics().session_bound(transport.name());
            Ok(session)
        }
        // §7.6.2.1: "the account has reached a limit on the number of simultaneous connected
        // resources allowed": resource-constraint.
        Err(count) => Err(StanzaError::resource_constraint()
            .text(format!("This account has {count} sessions already; end one of them first."))),
    }
}
