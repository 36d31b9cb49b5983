//! Where a stanza goes: the sender's stages, then the recipient's, then its sessions.
//!
//! The sender's task walks the whole way, so stanzas of one sender keep their order (RFC 6120
//! §10.1) without anybody else being involved.

mod again;
mod inbound;
mod iq;
pub mod targets;

use std::sync::Arc;

use waxwing_jid::Jid;
use waxwing_stanza::{Kind, MessageType, PresenceType, Stanza, StanzaError};
use waxwing_store::StoreError;

use crate::directory::{Resource, Resources};
use crate::filing::Filed;
use crate::hub::Hub;
use crate::request::Scope;
use crate::site::Site;
use crate::stage::{Effects, Party, Side, Stage, Targets, Transit, Verdict};

/// How far a stanza got before it needs the recipient.
pub(crate) enum Outcome {
    /// Go on to the recipient.
    Go,
    /// It ends here; an error, if any, is among the effects already.
    Stop,
}

impl Hub {
    /// Sends `stanza` on its way from `from`: its own stages, then wherever it is addressed.
    /// What should happen is added to `effects`; nothing has happened yet when this returns.
    pub async fn route(&self, from: &Party, stanza: Stanza, effects: &mut Effects) {
        match self.site(from.jid.domain()) {
            Some(home) => self.route_from(&home, from, stanza, effects).await,
            None if from.account.is_none() => self.arrive(from, stanza, effects).await,
            None => {}
        }
    }

    /// The same for a sender who is at home on the site `home`.
    pub(crate) async fn route_from(
        &self,
        home: &Arc<Site>,
        from: &Party,
        stanza: Stanza,
        effects: &mut Effects,
    ) {
        let Err(mut stanza) = self.route_at_once(home, from, stanza, None, effects) else { return };
        let Some(to) = stanza.head.to.clone() else { return };
        if let Outcome::Stop = self.leave(home, from, &Party::new(to, None), &mut stanza, effects) {
            return;
        }
        self.arrive(from, stanza, effects).await;
    }

    /// The same for what needs no wait, which is nearly all there is: what goes to sessions of an
    /// account of the same site that is in memory, and to a server that is linked with. `sessions`
    /// are those of the account, when they are known already.
    ///
    /// # Errors
    /// Any other stanza, untouched.
    pub(crate) fn route_at_once(
        &self,
        home: &Arc<Site>,
        from: &Party,
        mut stanza: Stanza,
        sessions: Option<Resources>,
        effects: &mut Effects,
    ) -> Result<(), Stanza> {
        let Some(to) = &stanza.head.to else { return Err(stanza) };
        let is_plain = match stanza.head.kind {
            Kind::Message(_) => true,
            Kind::Presence(kind) => !kind.is_subscription() && kind != PresenceType::Probe,
            Kind::Iq(_) => to.resource().is_some(),
        };
        if is_plain && to.domain() != home.domain() {
            return self.cross_at_once(home, from, stanza, effects);
        }
        if !is_plain || to.local().is_none() {
            return Err(stanza);
        }
        let Some(account) = self.known(to) else { return Err(stanza) };
        let mut to = Party::new(to.clone(), None);
        if let Outcome::Stop = self.leave(home, from, &to, &mut stanza, effects) {
            return Ok(());
        }
        to.account = Some(account);
        if let Some(stanza) = self.check(home, from, &to, stanza, effects) {
            let sessions = sessions.unwrap_or_else(|| self.sessions_of(&to));
            self.land_with(home, from, &to, stanza, (sessions, None), effects);
        }
        Ok(())
    }

    /// The stages of the sender's account.
    pub(crate) fn leave(
        &self,
        home: &Site,
        from: &Party,
        to: &Party,
        stanza: &mut Stanza,
        effects: &mut Effects,
    ) -> Outcome {
        if from.account.is_none() {
            return Outcome::Go;
        }
        let mut filed = Filed::default();
        for stage in Stage::ALL {
            let mut transit = Transit {
                stanza,
                from,
                to,
                targets: &mut Targets::new(),
                effects,
                kept: &mut None,
                filed: &mut filed,
                hub: self,
            };
            match home.router.judge(Side::Outbound, stage, &mut transit) {
                Verdict::Pass => {}
                Verdict::Done => return Outcome::Stop,
                Verdict::Refuse(error) => {
                    self.refuse(from, stanza, &error, effects);
                    return Outcome::Stop;
                }
            }
        }
        effects.to_self = if from.is_same_account(to) { filed } else { Filed::Unasked };
        Outcome::Go
    }

    /// Hands a stanza that passed its sender's stages to where it is addressed.
    pub async fn arrive(&self, from: &Party, stanza: Stanza, effects: &mut Effects) {
        let Some(to) = stanza.head.to.clone() else { return };
        let Some(site) = self.site(to.domain()) else {
            if let Some(found) = self.components().find(to.domain()) {
                return self.to_component(found, from, stanza, effects);
            }
            if let Some((site, service)) = self.service(to.domain()) {
                let place = (&site, service);
                return Box::pin(self.to_service(place, from, to, stanza, effects)).await;
            }
            return self.to_remote(from, stanza, effects);
        };
        if to.local().is_none() {
            return self.to_server(&site, Scope::Server, from, stanza, effects).await;
        }
        match self.account_of(&to).await {
            Ok(Some(account)) => {
                let to = Party::new(to, Some(account));
                self.to_account(&site, from, &to, stanza, effects).await;
            }
            // Boxed, because every session holds room for the longest wait it may come to.
            Ok(None) => Box::pin(self.to_unknown(&site, from, &to, stanza, effects)).await,
            Err(error) => self.unreadable(from, &stanza, &error, effects),
        }
    }

    /// To an address without an account, which somebody else may know.
    async fn to_unknown(
        &self,
        site: &Arc<Site>,
        from: &Party,
        to: &Jid,
        stanza: Stanza,
        effects: &mut Effects,
    ) {
        let found = match self.look_up(site, &to.bare()).await {
            Ok(true) => self.account_of(to).await,
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        match found {
            Ok(Some(account)) => {
                let to = Party::new(to.clone(), Some(account));
                self.to_account(site, from, &to, stanza, effects).await;
            }
            Ok(None) => self.to_nobody(site, from, to, stanza, effects).await,
            Err(error) => self.unreadable(from, &stanza, &error, effects),
        }
    }

    fn unreadable(&self, from: &Party, stanza: &Stanza, error: &StoreError, effects: &mut Effects) {
        tracing::error!(%error, "an account could not be read");
        let error = StanzaError::internal_server_error()
            .text("The server cannot read the recipient's account at the moment.");
        self.refuse(from, stanza, &error, effects);
    }

    /// RFC 6121 §8.5.1: "If the user account identified by the 'to' attribute does not exist …".
    pub(crate) async fn to_nobody(
        &self,
        site: &Arc<Site>,
        from: &Party,
        to: &Jid,
        stanza: Stanza,
        effects: &mut Effects,
    ) {
        match stanza.head.kind {
            Kind::Presence(PresenceType::Probe) => {
                Box::pin(self.deny_probe(to, from, effects)).await
            }
            // "the server MUST silently ignore the stanza" for every other kind of presence.
            Kind::Presence(_) => {}
            // §8.5.4: a headline that reaches nobody is silently ignored, here as elsewhere.
            Kind::Message(MessageType::Headline) => {}
            Kind::Message(_) => {
                self.refuse(from, &stanza, &StanzaError::service_unavailable(), effects);
            }
            Kind::Iq(_) => {
                Box::pin(self.ask(site, Scope::Nobody, from, None, stanza, effects)).await
            }
        }
    }

    /// Answers `stanza` with `error`, where an answer is allowed.
    pub fn refuse(
        &self,
        from: &Party,
        stanza: &Stanza,
        error: &StanzaError,
        effects: &mut Effects,
    ) {
        // To refuse a presence is silence; its sender learns nothing and expects nothing.
        let is_silent = matches!(stanza.head.kind, Kind::Presence(_));
        if !is_silent && let Some(reply) = stanza.error_reply(error) {
            self.reply(from, reply, effects);
        }
    }

    /// Sends an answer to whoever asked, without passing any stage: it is the server that speaks.
    pub fn reply(&self, from: &Party, reply: Stanza, effects: &mut Effects) {
        if let Some(mailbox) = &from.mailbox {
            effects.deliver(mailbox, reply);
        } else if self.answered(&reply) {
            // It was the server itself that asked.
        } else if let Some(resource) = self.directory().session(&from.jid) {
            effects.deliver(&resource.mailbox, reply);
        } else if let Some(mailbox) = self.components().mailbox(from.jid.domain()) {
            effects.deliver(&mailbox, reply);
        } else if self.service(from.jid.domain()).is_some() {
            effects.returned = Some(Box::new(reply));
        } else if self.is_elsewhere(from.jid.domain()) {
            let reply = reply.to(from.jid.clone());
            let speaker = reply.head.from.clone().unwrap_or_else(|| from.jid.clone());
            self.to_remote(&Party::new(speaker, None), reply, effects);
        } else if from.jid.is_bare() {
            self.tell_account(&from.jid, &reply, effects);
        }
    }

    /// What comes back to an account and to none of its sessions: that a request to see somebody
    /// does not arrive, or what a node of the account tells.
    fn tell_account(&self, account: &Jid, reply: &Stanza, effects: &mut Effects) {
        match reply.head.kind {
            Kind::Presence(_) => {
                let is_meant = |session: &Resource| session.is_available();
                for session in self.directory().select(account.bare_str(), is_meant) {
                    effects.deliver(&session.mailbox, reply.clone());
                }
            }
            Kind::Message(MessageType::Error) => {
                if let Some(from) = &reply.head.from {
                    self.outsiders().forget(from);
                }
            }
            _ => {}
        }
    }
}
