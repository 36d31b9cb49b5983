//! What is said to domains of other servers.

use waxwing_jid::Jid;
use waxwing_stanza::{
    CLIENT, ErrorKind, IqType, Kind, MessageType, PresenceType, Stanza, StanzaError,
};
use waxwing_store::domains::outgoing::{Outgoing, Sent};
use waxwing_stream::Tag;

use crate::hub::Hub;
use crate::links::Caller;
use crate::links::bounce::is_kept;
use crate::links::link::pair;
use crate::links::pairs::Found;
use crate::mailbox::{Delivery, Mailbox};
use crate::route::Outcome;
use crate::site::Site;
use crate::stage::{Effects, Party};

impl Hub {
    /// Whether `domain` is nobody's here: neither a site, nor a component, nor a service of ours.
    pub fn is_elsewhere(&self, domain: &str) -> bool {
        self.guard_sites().find(domain).is_none()
            && self.components().find(domain).is_none()
            && self.service(domain).is_none()
    }

    /// How many domains this server answers for, those of services and components among them.
    pub(super) fn domains(&self) -> usize {
        self.guard_sites().count() + self.components().count()
    }

    /// Hands a stanza for another server's domain to the link that leads there, or tells its sender
    /// why that cannot be. Waits for nothing: connecting is the link's.
    pub(crate) fn to_remote(&self, from: &Party, mut stanza: Stanza, effects: &mut Effects) {
        let Some(to) = stanza.head.to.clone() else { return };
        let sender = stanza.head.from.get_or_insert_with(|| from.jid.clone()).clone();
        match self.way(&sender, to.domain(), is_answer(&stanza)) {
            Ok(mailbox) => self.cross(from, (&sender, &to), &mailbox, stanza, effects),
            Err(error) => self.refuse_crossing(from, (&stanza, Tag(0)), &error, effects),
        }
    }

    /// Sends a stanza of `home` past the stages of its sender to the link that is there already.
    ///
    /// # Errors
    /// Where there is none, the stanza, untouched.
    pub(crate) fn cross_at_once(
        &self,
        home: &Site,
        from: &Party,
        mut stanza: Stanza,
        effects: &mut Effects,
    ) -> Result<(), Stanza> {
        let Some(to) = stanza.head.to.clone() else { return Err(stanza) };
        let way = self.links().pairs.lock().way(home.domain(), to.domain());
        let Some(mailbox) = way else { return Err(stanza) };
        let party = Party::new(to, None);
        if let Outcome::Go = self.leave(home, from, &party, &mut stanza, effects) {
            let sender = stanza.head.from.get_or_insert_with(|| from.jid.clone()).clone();
            self.cross(from, (&sender, &party.jid), &mailbox, stanza, effects);
        }
        Ok(())
    }

    /// Hands a stanza to a link: what its sender was promised is written down before.
    pub(crate) fn cross(
        &self,
        from: &Party,
        (sender, to): (&Jid, &Jid),
        mailbox: &Mailbox,
        stanza: Stanza,
        effects: &mut Effects,
    ) {
        let mut delivery = Delivery::new(stanza);
        // One that has just ended gives it back, and it finds another way.
        if mailbox.is_open() && !mailbox.takes(&delivery) {
            let error = full(to.domain());
            return self.refuse_crossing(from, (&delivery.stanza, Tag(0)), &error, effects);
        }
        if from.is_acknowledged && is_kept(&delivery.stanza) {
            let id = self.next_id();
            let mut text = String::with_capacity(256 + delivery.stanza.body.len_bytes());
            delivery.stanza.write(&mut text, Some(CLIENT));
            effects.append(Outgoing::append(Sent {
                id: id.cast_signed(),
                sender: sender.bare_str().to_owned(),
                ours: sender.domain().to_owned(),
                peer: to.domain().to_owned(),
                stamp: self.clock().wall_millis().cast_signed(),
                stanza: text,
            }));
            delivery.tag = Tag(id);
        }
        effects.deliver_kept(mailbox, delivery.stanza, delivery.tag);
    }

    /// Finds another way for what a link did not take: it has just ended, or is full.
    pub(crate) fn find_way_to_remote(
        &self,
        delivery: Delivery,
        not_to: &Mailbox,
        effects: &mut Effects,
    ) {
        let Delivery { stanza, tag } = &delivery;
        let (Some(from), Some(to)) = (stanza.head.from.clone(), stanza.head.to.clone()) else {
            return;
        };
        let found = match self.way(&from, to.domain(), is_answer(stanza)) {
            Ok(mailbox) if mailbox.is(not_to) => Err(full(to.domain())),
            Ok(mailbox) if !mailbox.takes(&delivery) => Err(full(to.domain())),
            found => found,
        };
        match found {
            Ok(mailbox) => effects.deliver_kept(&mailbox, delivery.stanza, delivery.tag),
            Err(error) => {
                let from = Party::new(from, None);
                self.refuse_crossing(&from, (stanza, *tag), &error, effects);
            }
        }
    }

    /// The way from the domain of somebody here to one of another server: an open one, or one that
    /// is being looked for from now on. For an answer, to whoever made us give it, none is looked
    /// for when few are left.
    fn way(&self, sender: &Jid, peer: &str, is_answer: bool) -> Result<Mailbox, StanzaError> {
        let ours = sender.domain();
        let (links, now) = (self.links(), self.clock().now());
        match links.pairs.lock().find(ours, peer, now) {
            Found::Way(mailbox) => return Ok(mailbox),
            Found::Resting(error) => return Err(error),
            Found::Nothing => {}
        }
        // What others send is theirs to carry: nothing is handed on between two of them.
        if self.dialer().is_none() || self.is_elsewhere(ours) {
            return Err(nowhere());
        }
        self.policy().judge(peer).map_err(|barred| barred.stanza_error(peer))?;
        if links.is_closing() {
            return Err(StanzaError::remote_server_timeout().text("The server is shutting down."));
        }
        let Some(caller) = Caller::of(self, sender, is_answer) else {
            let text = "Too many servers are looked for at your request; try again later.";
            return Err(StanzaError::resource_constraint().kind(ErrorKind::Wait).text(text));
        };
        let (pair, mailbox) = (pair(ours, peer), self.link_mailbox());
        let owed = {
            let mut pairs = links.pairs.lock();
            // Somebody else may have been faster.
            if let Found::Way(mailbox) = pairs.find(ours, peer, now) {
                return Ok(mailbox);
            }
            let most = self.limits().peers.links;
            let most = if is_answer { most / 4 * 3 } else { most };
            pairs.begin(&pair, &mailbox, (most, now)).map_err(|_| {
                let text = "This server is linked with too many others at the moment.";
                StanzaError::resource_constraint().kind(ErrorKind::Wait).text(text)
            })?
        };
        self.start_link(pair, mailbox.clone(), (owed.map(|last| (0, last)), Some(caller)));
        Ok(mailbox)
    }
}

/// Whether somebody elsewhere made us say this.
fn is_answer(stanza: &Stanza) -> bool {
    match stanza.head.kind {
        Kind::Message(kind) => kind == MessageType::Error,
        Kind::Presence(kind) => matches!(kind, PresenceType::Error | PresenceType::Unsubscribed),
        Kind::Iq(kind) => matches!(kind, IqType::Result | IqType::Error),
    }
}

/// RFC 6120 §10.4: there is no way to other servers.
fn nowhere() -> StanzaError {
    StanzaError::remote_server_not_found().text("This server does not talk to other servers.")
}

fn full(peer: &str) -> StanzaError {
    let text = format!("Too much waits for {peer}, which takes it too slowly; try again later.");
    StanzaError::resource_constraint().kind(ErrorKind::Wait).text(text)
}
