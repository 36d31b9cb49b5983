//! How somebody gets an account: in-band or by the page of an invitation, with the same checks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::json;
use waxwing_jid::BareJid;
use waxwing_kernel::events::ACCOUNT_CREATED;
use waxwing_kernel::{Hub, auth};
use waxwing_stanza::StanzaError;
use waxwing_store::StoreError;
use waxwing_store::domains::accounts::Accounts;

use super::invite::Invite;
use super::{Register, lookalike, unstored};

/// Networks remembered for a rate; when there are more, the oldest are forgotten.
const NETWORKS: usize = 10_000;
const HOUR: Duration = Duration::from_secs(3600);

/// What somebody asks for.
pub(super) struct Wish<'a> {
    pub(super) name: &'a str,
    pub(super) password: &'a str,
    /// Where they are, as far as that is known.
    pub(super) peer: Option<IpAddr>,
    /// What lets them in where registration is closed.
    pub(super) invite: Option<Invite>,
}

impl Register {
    /// Makes an account, if everything is in order.
    ///
    /// # Errors
    /// The condition of XEP-0077, with a sentence for people.
    pub(super) async fn sign_up(&self, hub: &Hub, wish: Wish<'_>) -> Result<BareJid, StanzaError> {
        let Wish { name, password, peer, invite } = wish;
        if !self.keeps_passwords {
            let text = "Accounts of this domain are not made here.";
            return Err(StanzaError::not_allowed().text(text));
        }
        let jid = BareJid::from_parts(Some(name), self.domain.domain())
            .map_err(|error| StanzaError::jid_malformed().text(error.to_string()))?;
        let local = jid.local().unwrap_or_default();
        self.check_invite(invite.as_ref(), local)?;
        let is_promised = invite.as_ref().is_some_and(|invite| invite.username.is_some());
        let is_official = || self.config.reserved.iter().any(|it| lookalike::are_alike(it, local));
        if !is_promised && is_official() {
            return Err(StanzaError::not_allowed().text("This name is reserved; choose another."));
        }
        self.check_password(password)?;
        if invite.is_none() {
            self.admit(peer, hub.clock().now())?;
        }
        let credentials = auth::credentials_in_turn(hub, peer, password).await?;
        let _taking = self.taking.lock().await;
        let but = invite.as_ref().map(|invite| invite.id);
        let waits = Invite::reserves(hub, self.domain.domain(), local, but).await;
        if waits.map_err(|error| unstored(&error))? {
            return Err(taken());
        }
        self.check_likeness(hub, &jid, is_promised).await?;
        let created = hub.clock().wall_millis().cast_signed();
        let accounts = Accounts::new(hub.db().clone());
        let mut batch = accounts.creation(jid.as_str(), created, &credentials);
        batch.push(lookalike::note(&jid));
        batch.extend(invite.as_ref().map(Invite::spend));
        match hub.db().batch(batch).await {
            Ok(_) => {}
            Err(StoreError::Conflict(_)) => return Err(self.whose_fault(hub, &jid).await),
            Err(error) => return Err(unstored(&error)),
        }
        let inviter = invite.as_ref().and_then(|invite| invite.inviter.as_ref());
        tracing::info!(%jid, ?peer, ?inviter, "account registered");
        hub.tell(jid.domain(), &ACCOUNT_CREATED, || json!({ "jid": jid.as_str() }));
        if let Some(invite) = invite {
            self.introduce(hub, &invite, &jid).await;
        }
        Ok(jid)
    }

    fn check_invite(&self, invite: Option<&Invite>, local: &str) -> Result<(), StanzaError> {
        let Some(invite) = invite else {
            if self.config.open {
                return Ok(());
            }
            let text = "An account is made here by invitation only.";
            return Err(StanzaError::not_allowed().text(text));
        };
        if !invite.registers {
            let text = "With this invitation you cannot make an account.";
            return Err(StanzaError::not_allowed().text(text));
        }
        match &invite.username {
            Some(name) if name != local => {
                let text = format!("This invitation is for the name {name}.");
                Err(StanzaError::not_acceptable().text(text))
            }
            _ => Ok(()),
        }
    }

    /// A name that can be taken for somebody else's serves to deceive, unless an admin gave it.
    async fn check_likeness(
        &self,
        hub: &Hub,
        jid: &BareJid,
        is_promised: bool,
    ) -> Result<(), StanzaError> {
        match lookalike::find(hub, jid).await.map_err(|error| unstored(&error))? {
            Some(other) if other == jid.as_str() => Err(taken()),
            Some(_) if !is_promised && !self.config.lookalikes => {
                let text = "This name looks like one that is taken; choose another.";
                Err(StanzaError::conflict().text(text))
            }
            _ => Ok(()),
        }
    }

    /// Nothing was written: the name was taken meanwhile, or the invitation was used.
    async fn whose_fault(&self, hub: &Hub, jid: &BareJid) -> StanzaError {
        match Accounts::new(hub.db().clone()).find(jid.as_str()).await {
            Ok(Some(_)) => taken(),
            Ok(None) => StanzaError::not_allowed().text("This invitation was used already."),
            Err(error) => unstored(&error),
        }
    }

    /// XEP-0401 §5.5: "the server MUST use roster pushes … in order to inform the inviter about the
    /// invitee's new account".
    async fn introduce(&self, hub: &Hub, invite: &Invite, jid: &BareJid) {
        let Some(inviter) = invite.inviter.as_ref().filter(|_| invite.befriends) else { return };
        let Some(site) = hub.site(self.domain.domain()) else { return };
        if let Err(error) = hub.befriend(&site, inviter, jid).await {
            tracing::warn!(%inviter, %jid, %error, "they could not be made contacts");
        }
    }

    pub(super) fn check_password(&self, password: &str) -> Result<(), StanzaError> {
        if password.chars().count() >= self.config.password_length as usize {
            return Ok(());
        }
        let text = format!("A password has {} characters at least.", self.config.password_length);
        Err(StanzaError::not_acceptable().text(text))
    }

    /// Counts one more account for the network that `peer` is in.
    fn admit(&self, peer: Option<IpAddr>, now: Instant) -> Result<(), StanzaError> {
        if self.recent.count(peer, now, self.config.per_hour) {
            return Ok(());
        }
        let error = StanzaError::resource_constraint();
        Err(error.text("Too many accounts were made from your network; try later."))
    }
}

/// §3.1: "another user already has that username": conflict.
fn taken() -> StanzaError {
    StanzaError::conflict().text("This name is taken; choose another.")
}

/// How often something happened in an hour, by network; bounded.
#[derive(Default)]
pub(super) struct Hourly(Mutex<HashMap<IpAddr, Vec<Instant>>>);

impl Hourly {
    /// Counts once more for the network that `peer` is in; false when there is no room.
    pub(super) fn count(&self, peer: Option<IpAddr>, now: Instant, limit: u32) -> bool {
        let Some(network) = peer.map(auth::network) else { return true };
        let mut recent = self.0.lock();
        let is_recent = |at: &Instant| now.duration_since(*at) < HOUR;
        if recent.len() >= NETWORKS {
            recent.retain(|_, times| times.iter().any(is_recent));
        }
        let is_crowded = recent.len() >= NETWORKS;
        let times = recent.entry(network).or_default();
        times.retain(is_recent);
        if is_crowded && times.is_empty() || times.len() >= limit as usize {
            return false;
        }
        times.push(now);
        true
    }
}
