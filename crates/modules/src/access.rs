#![cfg_attr(not(doctest), doc = include_str!("access.md"))]

mod devices;

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::admission::{Admission, Admitted};
use waxwing_kernel::clock::{DAY_MILLIS, stamp_of};
use waxwing_kernel::command::Command;
use waxwing_kernel::directory::Resource;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::{Request, unstored};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{Hub, SiteBuilder, section};
use waxwing_stanza::{StanzaError, payload};
use waxwing_store::domains::clients::{Client, Clients, Sighting};
use waxwing_stream::{AuthFailure, Proof, StreamError};
use waxwing_xml::{Element, write};
use xso::FromXml;

const NS: &str = "urn:xmpp:cam:0";
const SASL2: &str = "urn:xmpp:sasl:2";

/// The longest name of a software or a device that is kept, in characters.
const NAME_CHARS: usize = 100;

section! {
    /// The list of what has access to an account.
    pub struct AccessConfig("access") {
        /// Days that a client without a token is remembered after it signed in last.
        pub days: u32 = 90 in 1..=3650,
        /// Clients without a token that are remembered for one account.
        pub clients: u32 = 100 in 1..=1000,
        /// Whether the names are kept that clients give to themselves and to their devices.
        pub names: bool = true,
    }
}

/// Remembers the clients of accounts, and shows them to their owners.
pub struct Access {
    hub: Hub,
    domain: BareJid,
    config: AccessConfig,
}

impl Module for Access {
    const ABOUT: &'static About = &About {
        name: "access",
        summary: "Shows people which clients have access to their account, and lets them end it.",
        is_on: true,
        xeps: &[Xep(494, "0.1.0")],
        server_features: &[],
        account_features: &[NS],
        manual: include_str!("access.md"),
    };
    type Config = AccessConfig;

    fn start(site: &mut SiteBuilder<'_>, config: AccessConfig) -> Result<Self, StartError> {
        Ok(Self { hub: site.hub(), domain: site.jid().clone(), config })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.admission(Self::note);
        on.owner().get(Self::list).set(Self::revoke);
        on.command(|access| Command::new(&devices::LIST, access, Self::list_devices));
        on.command(|access| Command::new(&devices::REVOKE, access, Self::revoke_devices));
    }
}

impl Access {
    async fn note(self: Arc<Self>, admission: Arc<Admission>) -> Result<Admitted, AuthFailure> {
        let names = self.config.names;
        let named = |name| told(&admission.request, name).filter(|_| names);
        let (software, device) = (named("software"), named("device"));
        let sighting = Sighting {
            software: software.as_deref(),
            device: device.as_deref(),
            at: admission.now,
            has_password: matches!(admission.proof, Proof::Password(_)),
        };
        let before = admission.now - i64::from(self.config.days) * DAY_MILLIS;
        let client = admission.client.to_string();
        let bounds = (before, self.config.clients);
        let writes = Clients::see(admission.account.as_str(), &client, sighting, bounds);
        Ok(Admitted { writes: writes.into(), success: String::new() })
    }

    /// §3.1: "a list of clients that have access to the user's account".
    async fn list(self: Arc<Self>, ask: Request<List>) -> Result<String, StanzaError> {
        let (clients, sessions) = known(&ask).await?;
        let mut out = String::from("<clients");
        write::attribute(&mut out, "xmlns", NS);
        out.push('>');
        for client in &clients {
            let is_connected = sessions.iter().any(|session| is_of(session, &client.client));
            // Who knows no more than an old password has no access, but keeps an open session.
            if is_connected || client.has_password || client.has_token {
                describe(client, is_connected, &mut out);
            }
        }
        for session in sessions.iter().filter(|session| session.client.is_none()) {
            describe_session(&ask, session, &mut out);
        }
        out.push_str("</clients>");
        Ok(out)
    }

    /// §3.2.
    async fn revoke(self: Arc<Self>, ask: Request<Revoke>) -> Result<(), StanzaError> {
        let Some(id) = ask.payload.id.as_deref() else {
            return Err(StanzaError::bad_request().text("Which client?"));
        };
        let (clients, sessions) = known(&ask).await?;
        let client = clients.iter().find(|client| client.client == id);
        let is_nameless =
            |session: &Resource| session.client.is_none() && handle(&ask, session) == id;
        match client {
            None if sessions.iter().any(is_nameless) => return Err(knows_password()),
            None => return Err(StanzaError::item_not_found().text("There is no such client.")),
            Some(client) if client.has_password => return Err(knows_password()),
            Some(_) => {}
        }
        let account = ask.account().jid();
        let revoked = Clients::new(ask.hub.db().clone()).revoke(account.as_str(), id).await;
        revoked.map_err(|error| unstored(&error))?;
        let error = StreamError::not_authorized().text("The access of this client was revoked.");
        ask.hub.dismiss_client(account, id, &error);
        tracing::info!(%account, client = id, "access revoked");
        Ok(())
    }
}

/// The clients of the account, and its sessions.
async fn known<P>(ask: &Request<P>) -> Result<(Vec<Client>, Vec<Resource>), StanzaError> {
    let account = ask.account().jid();
    let now = ask.hub.clock().wall_millis().cast_signed();
    let clients = Clients::new(ask.hub.db().clone()).list(account.as_str(), now).await;
    let clients = clients.map_err(|error| unstored(&error))?;
    Ok((clients, ask.hub.directory().sessions(account).into_vec()))
}

fn is_of(session: &Resource, client: &str) -> bool {
    session.client.is_some_and(|id| id.to_string() == client)
}

/// What the session of a client is called that told no identifier.
fn handle<P>(ask: &Request<P>, session: &Resource) -> String {
    let seal = ask.site.host().seal("session", &[session.jid.as_str()]);
    seal.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// §3.2: "If the identified client has previously authenticated with a password, there is no way to
/// revoke access except by changing the user's password."
fn knows_password() -> StanzaError {
    let text = "This client knows the password; change that to lock it out.";
    let app = format!("<password-reset-required xmlns='{NS}'/>");
    StanzaError::service_unavailable().text(text).with(app)
}

/// A name inside `<user-agent/>` (XEP-0388 §2.3).
fn told(request: &Element, name: &str) -> Option<String> {
    let told = request.child("user-agent", SASL2)?.child(name, SASL2)?.text().trim().to_owned();
    let told: String = told.chars().take(NAME_CHARS).collect();
    (!told.is_empty()).then_some(told)
}

fn describe(client: &Client, is_connected: bool, out: &mut String) {
    begin((&client.client, is_connected), (client.first_seen, client.last_seen), out);
    out.push_str("<auth>");
    if client.has_password {
        out.push_str("<password/>");
    }
    if client.has_token {
        out.push_str("<fast/>");
    }
    out.push_str("</auth><permission status='unrestricted'/><user-agent>");
    for (name, text) in [("software", &client.software), ("device", &client.device)] {
        if let Some(text) = text {
            out.push_str(&format!("<{name}>"));
            write::text(out, text);
            out.push_str(&format!("</{name}>"));
        }
    }
    out.push_str("</user-agent></client>");
}

/// §3.1: "<auth/> ... lists the known authentication methods": of such a session none is known.
fn describe_session<P>(ask: &Request<P>, session: &Resource, out: &mut String) {
    let since = session.since_millis.cast_signed();
    begin((&handle(ask, session), true), (since, since), out);
    out.push_str("<auth/><permission status='unrestricted'/></client>");
}

fn begin((id, is_connected): (&str, bool), (first, last): (i64, i64), out: &mut String) {
    out.push_str("<client");
    write::attribute(out, "connected", if is_connected { "true" } else { "false" });
    write::attribute(out, "id", id);
    write::attribute(out, "type", "session");
    out.push('>');
    for (name, at) in [("first-seen", first), ("last-seen", last)] {
        let stamp = stamp_of(at.cast_unsigned());
        out.push_str(&format!("<{name}>{stamp}</{name}>"));
    }
}

/// `<list/>`
#[derive(FromXml)]
#[xml(namespace = NS, name = "list", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct List;
payload!(List, "list", NS);

/// `<revoke/>`
#[derive(FromXml)]
#[xml(namespace = NS, name = "revoke", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct Revoke {
    #[xml(attribute(default))]
    id: Option<String>,
}
payload!(Revoke, "revoke", NS);
