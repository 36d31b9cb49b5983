//! Presence between accounts: who may see whom, and telling them (RFC 6121 §3, §4).
//!
//! [`rules`] decides, as pure functions. The rest carries the decisions out on one account at a
//! time: it takes the account's turn, makes the change durable, shows it, drops the turn, and only
//! then goes on to the other account, so that no two turns are ever held together.

mod befriend;
mod probe;
pub mod rules;
mod subscribe;

use std::pin::Pin;
use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_stanza::{PresenceType, Stanza, StanzaError};
use waxwing_xml::write;

use crate::account::Account;
use crate::hub::Hub;
use crate::roster;
use crate::site::Site;
use crate::stage::{Effects, Party};

impl Hub {
    /// Shows a changed roster item to those sessions of its owner that asked for the roster (RFC
    /// 6121 §2.1.6). `item` is the `<item/>`. Call it after the commit and hand the effects over
    /// before the account's turn ends: §2.6.3 "Roster pushes MUST occur in order of modification".
    pub fn push_roster(
        &self,
        site: &Site,
        owner: &BareJid,
        version: i64,
        item: &str,
        effects: &mut Effects,
    ) {
        let mut query = String::with_capacity(64 + item.len());
        query.push_str("<query");
        write::attribute(&mut query, "xmlns", roster::NS);
        write::attribute(&mut query, "ver", &version.to_string());
        query.push('>');
        query.push_str(item);
        query.push_str("</query>");
        self.push(owner, site.interested, &query, effects);
        self.push_to_components(site, owner, &query, effects);
    }

    /// Sends `contact` the current presence of each available resource of an account, as when a
    /// subscription is approved (RFC 6121 §3.1.5).
    pub async fn show_presence(
        &self,
        account: &Arc<Account>,
        contact: &BareJid,
        effects: &mut Effects,
    ) {
        for session in self.directory().sessions(account.jid()) {
            let Some(presence) = session.presence else { continue };
            let from = Party::new(session.jid, Some(Arc::clone(account)));
            self.route_boxed(&from, presence.to(contact.to_jid()), effects).await;
        }
    }

    /// Tells `contact` that every available resource of an account is gone (RFC 6121 §3.2.2,
    /// §3.3.3).
    pub async fn hide_presence(
        &self,
        account: &Arc<Account>,
        contact: &BareJid,
        effects: &mut Effects,
    ) {
        for session in self.directory().sessions(account.jid()) {
            if session.is_available() {
                let gone = Stanza::presence(PresenceType::Unavailable);
                let gone = gone.from(session.jid.clone()).to(contact.to_jid());
                let from = Party::new(session.jid, Some(Arc::clone(account)));
                self.route_boxed(&from, gone, effects).await;
            }
        }
    }

    /// Answers a presence with an error, which the session that sent it gets.
    pub(crate) fn refuse_presence(
        &self,
        from: &Party,
        stanza: &Stanza,
        error: &StanzaError,
        effects: &mut Effects,
    ) {
        if let Some(reply) = stanza.error_reply(error) {
            self.reply(from, reply.to(from.jid.clone()), effects);
        }
    }

    /// [`Hub::route`] for those whom routing itself has called: presence answers presence.
    fn route_boxed<'a>(
        &'a self,
        from: &'a Party,
        stanza: Stanza,
        effects: &'a mut Effects,
    ) -> Walk<'a> {
        Box::pin(self.route(from, stanza, effects))
    }

    /// The same for what passed its sender's stages, or has no sender but the server.
    fn arrive_boxed<'a>(
        &'a self,
        from: &'a Party,
        stanza: Stanza,
        effects: &'a mut Effects,
    ) -> Walk<'a> {
        Box::pin(self.arrive(from, stanza, effects))
    }
}

type Walk<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
