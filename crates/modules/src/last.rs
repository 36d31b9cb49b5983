#![cfg_attr(not(doctest), doc = include_str!("last.md"))]

use std::sync::Arc;

use waxwing_kernel::SiteBuilder;
use waxwing_kernel::config::NoConfig;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::{Happening, Request, Signal};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::{Effects, Stage, Transit, Verdict};
use waxwing_stanza::{ErrorKind, IqType, Kind, StanzaError, payload, reply};
use waxwing_store::{Statement, StoreError, Table};
use xso::{AsXml, FromXml};

const NS: &str = "jabber:iq:last";

/// Bytes of status text that are kept.
const STATUS_BYTES: usize = 1024;

/// Tells how long somebody has been away, and how long the server has been running.
pub struct Last;

impl Module for Last {
    const ABOUT: &'static About = &About {
        name: "last",
        summary: "Tells contacts since when somebody is away, and how long the server runs.",
        is_on: true,
        xeps: &[Xep(12, "2.0")],
        server_features: &[NS],
        account_features: &[NS],
        manual: include_str!("last.md"),
    };
    const TABLES: &'static [Table] = &[Table {
        name: "last_activity",
        owner: Some("owner"),
        steps: &["CREATE TABLE last_activity (owner {text} PRIMARY KEY, \
                    at {instant} NOT NULL, status {text} NOT NULL)"],
    }];
    type Config = NoConfig;

    fn start(_: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        Ok(Self)
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.server().get(Self::uptime);
        on.account().get(Self::away);
        on.nobody().get(Self::nobody);
        on.inbound(Stage::Check, Self::screen);
        on.signal(Signal::Unavailable, Self::note);
    }
}

/// An account that was erased meanwhile leaves nothing behind.
const NOTE: &str = "INSERT INTO last_activity (owner, at, status) \
     SELECT jid, CAST(?2 AS BIGINT), CAST(?3 AS TEXT) FROM account WHERE jid = ?1 \
     ON CONFLICT (owner) DO UPDATE SET at = excluded.at, status = excluded.status";
const READ: &str = "SELECT at, status FROM last_activity WHERE owner = ?1";

impl Last {
    /// §5: "The seconds attribute specifies how long the host has been running since it was last
    /// (re-)started. The <query/> element SHOULD NOT contain XML character data."
    async fn uptime(self: Arc<Self>, ask: Request<Question>) -> Result<Activity, StanzaError> {
        Ok(Activity { seconds: ask.hub.uptime().as_secs(), status: String::new() })
    }

    /// §3
    async fn away(self: Arc<Self>, ask: Request<Question>) -> Result<Activity, StanzaError> {
        let account = ask.account();
        if !ask.site.may_see(account, &ask.from.jid.bare()) {
            return Err(forbidden());
        }
        // "If the user has at least one connected or available resource …, the response MUST
        // (subject to local security policies) contain an empty <query/> element whose 'seconds'
        // attribute is set to a value of '0'." Invisible sessions would be betrayed by that.
        let sessions = ask.hub.directory().sessions(account.jid());
        if sessions.iter().any(|session| session.is_available()) {
            return Ok(Activity { seconds: 0, status: String::new() });
        }
        ask.hub.write_notes().await;
        let read = Statement::new(READ).with(account.jid().as_str());
        let noted = ask.hub.db().query_one(read).await;
        let noted = noted
            .and_then(|row| row.map(|row| Ok((row.int(0)?, row.text(1)?.to_owned()))).transpose());
        let (at, status) = noted.map_err(unreadable)?.ok_or_else(|| {
            StanzaError::item_not_found().text("This account was never seen here.")
        })?;
        let away = ask.hub.clock().wall_millis().saturating_sub(at.cast_unsigned());
        Ok(Activity { seconds: away / 1000, status })
    }

    /// Nobody gets the answer that strangers get from an account, so that neither exists.
    async fn nobody(self: Arc<Self>, _: Request<Question>) -> Result<Activity, StanzaError> {
        Err(forbidden())
    }

    /// §4: to those not authorised, the server "MUST NOT deliver the IQ-get to an available
    /// resource but instead MUST return a <forbidden/> error", whether there is one or not.
    fn screen(&self, transit: &mut Transit<'_>) -> Verdict {
        let is_asked = transit.stanza.head.kind == Kind::Iq(IqType::Get)
            && transit.to.jid.resource().is_some()
            && transit.stanza.body.has("query", NS);
        let Some(account) = transit.recipient().filter(|_| is_asked) else { return Verdict::Pass };
        let may_see = transit
            .hub
            .site(account.jid().domain())
            .is_some_and(|site| site.may_see(account, &transit.from.jid.bare()));
        if may_see { Verdict::Pass } else { Verdict::Refuse(forbidden()) }
    }

    /// §3: "the status message of the last unavailable presence received from the user".
    async fn note(self: Arc<Self>, happening: Happening) -> Effects {
        let status = happening.presence.as_ref();
        let status = status.and_then(|presence| presence.body.text_of("status"));
        let status = shortened(status.as_deref().unwrap_or_default());
        let mut effects = Effects::default();
        let note = Statement::new(NOTE)
            .with(happening.account.jid().as_str())
            .with(happening.hub.clock().wall_millis().cast_signed())
            .with(status);
        effects.append(note);
        effects
    }
}

/// §3: "the user's server MUST NOT return last activity information but instead MUST return a
/// <forbidden/> error", of type `auth` in the example.
fn forbidden() -> StanzaError {
    StanzaError::forbidden().kind(ErrorKind::Auth)
}

fn unreadable(error: StoreError) -> StanzaError {
    tracing::error!(%error, "last activity could not be read");
    StanzaError::internal_server_error().text("The server cannot read this at the moment.")
}

/// As much of a status as is kept.
fn shortened(status: &str) -> &str {
    let end = (0..=STATUS_BYTES.min(status.len())).rev().find(|at| status.is_char_boundary(*at));
    &status[..end.unwrap_or(0)]
}

/// `<query/>`
#[derive(FromXml)]
#[xml(namespace = NS, name = "query", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct Question;
payload!(empty Question, "query", NS);

/// §2: "a REQUIRED 'seconds' attribute and OPTIONAL XML character data".
#[derive(AsXml)]
#[xml(namespace = NS, name = "query")]
struct Activity {
    #[xml(attribute)]
    seconds: u64,
    #[xml(text)]
    status: String,
}
reply!(Activity);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_status_is_cut_between_characters() {
        assert_eq!(shortened("Heading Home"), "Heading Home");
        let long = "ä".repeat(STATUS_BYTES);
        assert_eq!(shortened(&long).len(), STATUS_BYTES);
        assert_eq!(shortened(&format!("x{long}")).len(), STATUS_BYTES - 1);
    }
}
