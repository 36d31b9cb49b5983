//! What admins see of the clients of an account, and how they end the access of some.

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::clock::stamp_of;
use waxwing_kernel::command::{CommandAbout, Grid, Order, Refusal, Said};
use waxwing_kernel::form;
use waxwing_store::StoreError;
use waxwing_store::domains::clients::{Client, Clients};
use waxwing_stream::StreamError;

use super::{Access, is_of};

form! {
    /// List the clients that have access to an account, by a password or by a token.
    pub struct ListDevices {
        /// The address of the account.
        pub jid("accountjid"): BareJid,
    }
}
pub(super) static LIST: CommandAbout =
    CommandAbout::of::<ListDevices>("urn:waxwing:access#list", &["device", "list"]);

form! {
    /// End the tokens and sessions of an account's clients, so that they need the password.
    pub struct RevokeDevices {
        /// The address of the account.
        pub jid("accountjid"): BareJid,
        /// The client, as it is called in the list. All if nothing is said.
        pub device: Option<String>,
    }
}
pub(super) static REVOKE: CommandAbout =
    CommandAbout::of::<RevokeDevices>("urn:waxwing:access#revoke", &["device", "revoke"]);

impl Access {
    pub(super) async fn list_devices(
        self: Arc<Self>,
        order: Order<ListDevices>,
    ) -> Result<Said, Refusal> {
        let jid = order.form.jid;
        let sessions = self.hub.directory().sessions(&jid);
        let mut grid = Grid::new(&[
            ("device", "Client"),
            ("software", "Software"),
            ("name", "Device"),
            ("first-seen", "First here"),
            ("last-seen", "Last here"),
            ("by", "By"),
            ("connected", "Connected"),
        ]);
        for client in self.devices(&jid).await? {
            let ways = [(client.has_password, "password"), (client.has_token, "token")];
            let ways = ways.into_iter().filter(|(has, _)| *has).map(|(_, way)| way);
            let is_connected = sessions.iter().any(|session| is_of(session, &client.client));
            let stamp = |at: i64| stamp_of(at.cast_unsigned());
            grid.row([
                client.client,
                client.software.unwrap_or_default(),
                client.device.unwrap_or_default(),
                stamp(client.first_seen),
                stamp(client.last_seen),
                ways.collect::<Vec<_>>().join(", "),
                if is_connected { "yes" } else { "no" }.to_owned(),
            ]);
        }
        let note = if grid.rows.is_empty() { "There is none." } else { "" };
        Ok(Said::note(note).table(grid))
    }

    pub(super) async fn revoke_devices(
        self: Arc<Self>,
        order: Order<RevokeDevices>,
    ) -> Result<Said, Refusal> {
        let RevokeDevices { jid, device } = order.form;
        let mut clients = self.devices(&jid).await?;
        if let Some(device) = &device {
            clients.retain(|client| client.client == *device);
            if clients.is_empty() {
                let text = format!("{jid} has no client {device}");
                return Err(Refusal { field: Some("device"), ..Refusal::not_found(text) });
            }
        }
        let rows = Clients::new(self.hub.db().clone());
        let error = StreamError::not_authorized().text("An admin ended the access of this client.");
        for client in &clients {
            rows.revoke(jid.as_str(), &client.client).await.map_err(failed)?;
            self.hub.dismiss_client(&jid, &client.client, &error);
            tracing::info!(by = ?order.caller, %jid, client = client.client, "access revoked");
        }
        let (count, jid) = (clients.len(), jid.as_str());
        let mut note = match count {
            1 => format!("The access of 1 client of {jid} has ended."),
            count => format!("The access of {count} clients of {jid} has ended."),
        };
        if clients.iter().any(|client| client.has_password) {
            note.push_str(" Who knows the password can come back until it is changed.");
        }
        Ok(Said::note(note))
    }

    /// What is known of the clients of an account of this host.
    async fn devices(&self, jid: &BareJid) -> Result<Vec<Client>, Refusal> {
        let not_here = || {
            let text = format!("there is no account {jid} on {}", self.domain);
            Refusal { field: Some("accountjid"), ..Refusal::not_found(text) }
        };
        if jid.domain() != self.domain.domain() {
            return Err(not_here());
        }
        self.hub.account(jid).await.map_err(failed)?.ok_or_else(not_here)?;
        let now = self.hub.clock().wall_millis().cast_signed();
        Clients::new(self.hub.db().clone()).list(jid.as_str(), now).await.map_err(failed)
    }
}

fn failed(error: StoreError) -> Refusal {
    tracing::error!(%error, "clients could not be reached");
    Refusal::failed("clients cannot be reached at the moment")
}
