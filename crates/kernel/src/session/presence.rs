//! What a client tells everybody at once: presence without an address (RFC 6121 §4.2, §4.4, §4.5),
//! and the end of what it told somebody in particular (§4.6).

use std::sync::Arc;

use waxwing_stanza::{Body, CLIENT, PresenceType, Stanza, StanzaError};

use crate::directory::Resources;
use crate::request::{Happening, Signal};
use crate::roster::{Contact, Roster};
use crate::session::Session;
use crate::site::Site;
use crate::stage::{Effects, Party};

impl Session {
    /// A presence without `to`.
    pub(super) async fn broadcast(
        &mut self,
        from: &Party,
        kind: PresenceType,
        mut stanza: Stanza,
        effects: &mut Effects,
    ) {
        let Some(site) = self.site() else { return };
        stanza.head.from = Some(self.jid.clone());
        site.router.amend_presence(&self.account, &mut stanza);
        match kind {
            PresenceType::Available => self.appear(&site, from, stanza, effects).await,
            PresenceType::Unavailable => self.disappear(&site, from, stanza, effects).await,
            // Without an address it is the account's own presence that is asked for.
            PresenceType::Probe => {
                let own = Party::new(self.account.jid().to_jid(), Some(self.account.clone()));
                self.hub.receive_probe(&site, from, &own, effects).await;
            }
            PresenceType::Error => {}
            PresenceType::Subscribe
            | PresenceType::Subscribed
            | PresenceType::Unsubscribe
            | PresenceType::Unsubscribed => {
                let error = StanzaError::bad_request().text("A subscription needs a `to`.");
                self.hub.refuse_presence(from, &stanza, &error, effects);
            }
        }
    }

    /// §4.2.2 for initial presence, §4.4.2 for what follows.
    async fn appear(
        &mut self,
        site: &Arc<Site>,
        from: &Party,
        presence: Stanza,
        effects: &mut Effects,
    ) {
        let priority = match priority(&presence.body) {
            Ok(priority) => priority,
            Err(error) => return self.hub.refuse_presence(from, &presence, &error, effects),
        };
        // First the directory, then the roster: whoever is approved meanwhile is told by the one
        // who approves, who looks in the opposite order.
        let (mut before, shown) = (None, presence.clone());
        self.is_available = true;
        self.hub.directory().update(&self.jid, &self.mailbox, |resource| {
            before = resource.presence.replace(shown).map(|_| resource.priority);
            resource.priority = priority;
        });
        let roster = self.account.fact(site.roster);
        self.tell_own(&presence, effects);
        if before.is_none() {
            self.look_around(&roster, from, effects).await;
        }
        self.tell_contacts((site, &roster), from, &presence, effects).await;
        if before.is_none() {
            self.signal(site, Signal::Appeared, presence.clone(), effects).await;
        }
        if priority >= 0 && before.is_none_or(|before| before < 0) {
            self.signal(site, Signal::Available, presence.clone(), effects).await;
        }
        self.signal(site, Signal::Shown, presence, effects).await;
    }

    /// §4.5.2
    async fn disappear(
        &mut self,
        site: &Arc<Site>,
        from: &Party,
        presence: Stanza,
        effects: &mut Effects,
    ) {
        if std::mem::take(&mut self.is_available) {
            self.hub.directory().update(&self.jid, &self.mailbox, |resource| {
                resource.presence = None;
                resource.priority = 0;
                resource.interests = None;
            });
            let roster = self.account.fact(site.roster);
            self.tell_own(&presence, effects);
            self.tell_contacts((site, &roster), from, &presence, effects).await;
            let mut noted = Effects::default();
            self.signal(site, Signal::Unavailable, presence.clone(), &mut noted).await;
            self.hub.note(std::mem::take(&mut noted.appends));
            effects.merge(noted);
        }
        self.leave_directed(from, &presence, effects).await;
    }

    /// §4.6.3: those who got directed presence learn that the session is gone, unless they are
    /// contacts who have learnt it by the broadcast.
    pub(super) async fn leave_directed(
        &mut self,
        from: &Party,
        presence: &Stanza,
        effects: &mut Effects,
    ) {
        let Some(site) = self.site() else { return };
        let roster = self.account.fact(site.roster);
        for jid in std::mem::take(&mut self.directed) {
            let is_told = roster.contact(&jid.bare()).is_some_and(|to| to.subscription.shows());
            if !is_told || !jid.is_bare() {
                self.hub.route(from, presence.clone().to(jid), effects).await;
            }
        }
    }

    /// §4.2.2: initial presence also goes to all of the user's available resources, including the
    /// one that sent it; the same holds for later presence, and for unavailable (§4.5.2).
    fn tell_own(&self, presence: &Stanza, effects: &mut Effects) {
        let own = self.account.jid();
        for session in self.hub.directory().sessions(own) {
            if session.is_available() || session.mailbox.is(&self.mailbox) {
                effects.deliver(&session.mailbox, presence.clone().to(own.to_jid()));
            }
        }
    }

    /// To every contact with a subscription of type "from" or "both". The copies share one body.
    async fn tell_contacts(
        &mut self,
        (site, roster): (&Arc<Site>, &Roster),
        from: &Party,
        presence: &Stanza,
        effects: &mut Effects,
    ) {
        for contact in roster.contacts().filter(|contact| contact.subscription.shows()) {
            let sessions = self.sessions_of(site, contact);
            if sessions.as_ref().is_some_and(|sessions| sessions.is_empty()) {
                continue;
            }
            let copy = presence.clone().to(contact.jid.to_jid());
            let hub = &self.hub;
            if let Err(copy) = hub.route_at_once(site, from, copy, sessions, effects) {
                Box::pin(hub.route_from(site, from, copy, effects)).await;
            }
        }
    }

    /// The sessions of a contact, if its account is at home here.
    ///
    /// A local account without sessions has nobody to tell; not to ask spares loading it, which
    /// makes signing in with a long roster cheap.
    fn sessions_of(&self, site: &Site, contact: &Contact) -> Option<Resources> {
        let domain = contact.jid.domain();
        let is_local = domain == site.domain() || self.hub.site(domain).is_some();
        is_local.then(|| self.hub.directory().sessions(&contact.jid))
    }

    /// What a resource that comes online gets to see: its siblings, the requests that wait
    /// (§3.1.3), and its contacts, whose servers are probed (§4.2.2).
    async fn look_around(&mut self, roster: &Roster, from: &Party, effects: &mut Effects) {
        let own = self.account.jid();
        for session in self.hub.directory().sessions(own) {
            if !session.mailbox.is(&self.mailbox)
                && let Some(presence) = session.presence
            {
                effects.deliver(&self.mailbox, presence.to(own.to_jid()));
            }
        }
        for request in roster.requests() {
            effects.deliver(&self.mailbox, request);
        }
        for contact in roster.contacts().filter(|contact| contact.subscription.sees()) {
            if self.may_hear(contact) {
                let probe = Stanza::presence(PresenceType::Probe).from(self.jid.clone());
                self.hub.route(from, probe.to(contact.jid.to_jid()), effects).await;
            }
        }
    }

    /// A local account without sessions has nobody to tell and nothing to say; not to ask spares
    /// loading it, which makes signing in with a long roster cheap.
    fn may_hear(&self, contact: &Contact) -> bool {
        self.hub.site(contact.jid.domain()).is_none()
            || self.hub.directory().is_present(&contact.jid)
    }

    async fn signal(
        &mut self,
        site: &Arc<Site>,
        signal: Signal,
        presence: Stanza,
        effects: &mut Effects,
    ) {
        let (hub, party, account) = (self.hub.clone(), self.party(), Arc::clone(&self.account));
        let happening = || Happening {
            hub: hub.clone(),
            site: Arc::clone(site),
            party: party.clone(),
            account: Arc::clone(&account),
            presence: Some(presence.clone()),
        };
        effects.merge(site.router.signal(signal, happening).await);
    }
}

/// §4.7.2.3: "The value MUST be an integer between -128 and +127." Without one it is zero.
fn priority(body: &Body) -> Result<i8, StanzaError> {
    let mut given = body.children().filter(|child| child.is("priority", CLIENT));
    let Some(child) = given.next() else { return Ok(0) };
    // "A presence stanza MUST NOT contain more than one <priority/> element."
    if given.next().is_some() {
        return Err(StanzaError::bad_request().text("More than one <priority/>."));
    }
    child.text().trim().parse().map_err(|_| {
        StanzaError::bad_request().text("<priority/> is an integer between -128 and 127.")
    })
}

#[cfg(test)]
mod tests;
