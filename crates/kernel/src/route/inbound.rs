//! The recipient's side: its account's stages and the delivery rules of RFC 6121 §8.5.

use std::sync::Arc;

use waxwing_stanza::{Kind, PresenceType, Stanza, StanzaError};
use waxwing_stream::Tag;

use crate::directory::Resources;
use crate::filing::Filed;
use crate::hub::Hub;
use crate::mailbox::Mailbox;
use crate::request::Scope;
use crate::route::targets::{self, Landing};
use crate::site::Site;
use crate::stage::{Effects, Party, Side, Stage, Targets, Transit, Verdict};

impl Hub {
    /// A stanza for an account that exists here.
    pub(crate) async fn to_account(
        &self,
        site: &Arc<Site>,
        from: &Party,
        to: &Party,
        stanza: Stanza,
        effects: &mut Effects,
    ) {
        let Some(stanza) = self.check(site, from, to, stanza, effects) else { return };
        match stanza.head.kind {
            Kind::Presence(kind) if kind.is_subscription() => {
                Box::pin(self.receive_subscription(site, from, to, kind, stanza, effects)).await;
            }
            Kind::Presence(PresenceType::Probe) => {
                Box::pin(self.receive_probe(site, from, to, effects)).await;
            }
            Kind::Iq(_) if to.jid.resource().is_none() => {
                let account = to.account.clone();
                Box::pin(self.ask(site, Scope::Account, from, account, stanza, effects)).await;
            }
            _ => self.land(site, from, to, stanza, None, effects),
        }
    }

    /// Decides which sessions get a stanza that its recipient's checks let pass, and passes the
    /// stages that are left. `not_to` is a session that had it and could not take it.
    pub(crate) fn land(
        &self,
        site: &Site,
        from: &Party,
        to: &Party,
        stanza: Stanza,
        not_to: Option<&Mailbox>,
        effects: &mut Effects,
    ) {
        let sessions = self.sessions_of(to);
        self.land_with(site, from, to, stanza, (sessions, not_to), effects);
    }

    /// The sessions that a stanza for `to` may land at.
    pub(crate) fn sessions_of(&self, to: &Party) -> Resources {
        self.directory().select(to.jid.bare_str(), |_| true)
    }

    /// [`Hub::land`] with the sessions of the recipient as they were found.
    pub(crate) fn land_with(
        &self,
        site: &Site,
        from: &Party,
        to: &Party,
        mut stanza: Stanza,
        (mut sessions, not_to): (Resources, Option<&Mailbox>),
        effects: &mut Effects,
    ) {
        // A session that does not read, or is over in a moment, is as good as none.
        sessions.retain(|session| {
            session.mailbox.is_open() && !not_to.is_some_and(|mailbox| mailbox.is(&session.mailbox))
        });
        let landing = targets::of(stanza.head.kind, &to.jid, sessions);
        let (mut targets, otherwise) = match landing {
            Landing::Sessions(targets) => (targets, None),
            Landing::Spool => (Targets::new(), Some(StanzaError::service_unavailable())),
            Landing::Refuse(error) => return self.refuse(from, &stanza, &error, effects),
            Landing::Ignore => return,
        };
        let mut kept = None;
        let mut filed = effects.filed_for(from, to);
        let records = effects.records.len();
        // The second time it was recorded and copied already.
        let stages = [Stage::Record, Stage::Mirror, Stage::Deliver, Stage::Notify];
        for stage in stages.into_iter().skip(if not_to.is_some() { 2 } else { 0 }) {
            let mut transit = Transit {
                stanza: &mut stanza,
                from,
                to,
                targets: &mut targets,
                effects,
                kept: &mut kept,
                filed: &mut filed,
                hub: self,
            };
            match site.router.judge(Side::Inbound, stage, &mut transit) {
                Verdict::Pass => {}
                Verdict::Done => return effects.records.truncate(records),
                Verdict::Refuse(error) => {
                    return self.reject(from, &stanza, &error, (records, effects));
                }
            }
        }
        match (otherwise, kept) {
            (Some(error), None) if targets.is_empty() => {
                self.reject(from, &stanza, &error, (records, effects));
            }
            (_, Some(tag)) if targets.is_empty() => effects.spooled(stanza, tag),
            (_, kept) => {
                let tag = kept.unwrap_or(Tag(0));
                let Some(last) = targets.pop() else { return };
                for target in targets {
                    effects.deliver_kept(&target.mailbox, stanza.clone(), tag);
                }
                effects.deliver_kept(&last.mailbox, stanza, tag);
            }
        }
    }

    /// Refuses a stanza. XEP-0313 §6.1: "If an entity … rejects an incoming message …, that message
    /// should not appear in the archive for the entity that rejected it": there were so many
    /// records before.
    fn reject(
        &self,
        from: &Party,
        stanza: &Stanza,
        error: &StanzaError,
        (records, effects): (usize, &mut Effects),
    ) {
        effects.records.truncate(records);
        self.refuse(from, stanza, error, effects);
    }

    /// The first stage of the recipient's side, before its sessions are known. Gives the stanza
    /// back if it may go on.
    pub(crate) fn check(
        &self,
        site: &Site,
        from: &Party,
        to: &Party,
        mut stanza: Stanza,
        effects: &mut Effects,
    ) -> Option<Stanza> {
        let mut transit = Transit {
            stanza: &mut stanza,
            from,
            to,
            targets: &mut Targets::new(),
            effects,
            kept: &mut None,
            filed: &mut Filed::default(),
            hub: self,
        };
        match site.router.judge(Side::Inbound, Stage::Check, &mut transit) {
            Verdict::Pass => return Some(stanza),
            Verdict::Done => {}
            Verdict::Refuse(error) => self.refuse(from, &stanza, &error, effects),
        }
        None
    }
}
