//! One stanza for many: the occupants of a room, the subscribers of a node.
//!
//! What a person gets from another passes the stages of the recipient's account one by one. What a
//! crowd gets is the same for everybody and is recorded once, where it comes from; so each receiver
//! is asked only whether it wants to hear the sender at all, and is woken when it sleeps.

use arc_swap::Guard;
use std::sync::Arc;

use smallvec::SmallVec;
use waxwing_jid::{BareJid, Jid};
use waxwing_stanza::Stanza;

use crate::account::Account;
use crate::directory::Resource;
use crate::filing::Filed;
use crate::hub::Hub;
use crate::mailbox::{Delivery, Mailbox};
use crate::site::Site;
use crate::sites::Sites;
use crate::stage::{Effects, Party, Side, Stage, Targets, Transit};

/// Somebody who gets what a crowd gets: a session of ours, or an address elsewhere.
#[derive(Clone)]
pub struct Seat {
    jid: Jid,
    session: Option<(Arc<Account>, Mailbox)>,
}

impl Seat {
    /// The seat of whoever sent something.
    pub fn of(party: &Party) -> Self {
        let session = party.account.clone().zip(party.mailbox.clone());
        Self { jid: party.jid.clone(), session }
    }

    /// The full address that it was taken under.
    pub fn jid(&self) -> &Jid {
        &self.jid
    }

    /// Whether it is a session of this server.
    pub fn is_local(&self) -> bool {
        self.session.is_some()
    }

    /// Whether both are the same session.
    pub fn is(&self, other: &Self) -> bool {
        match (&self.session, &other.session) {
            (Some((_, mine)), Some((_, theirs))) => mine.is(theirs),
            (None, None) => self.jid == other.jid,
            _ => false,
        }
    }
}

/// How a delivery is put into a letter box.
type Deliver = fn(&Mailbox, Delivery) -> Result<(), Delivery>;

/// What became of a stanza for one of a crowd.
#[derive(Debug)]
pub enum Handed {
    /// It is with a session, or was not wanted.
    Taken,
    /// There is no such session, or none any more.
    Gone,
    /// It is not for a session of this server: to be sent by [`Hub::send`].
    Elsewhere(Stanza),
}

/// The way to many; not to be held across an await.
pub struct Crowd<'a> {
    hub: &'a Hub,
    sites: Guard<Arc<Sites>>,
}

impl Hub {
    /// The way to many.
    pub fn crowd(&self) -> Crowd<'_> {
        Crowd { hub: self, sites: self.guard_sites() }
    }
}

impl Site {
    /// Whether an account of this host wants to hear anything from `from`; and the other way round,
    /// who is not wanted need not be told either.
    pub fn welcomes(&self, account: &Account, from: &Jid) -> bool {
        self.router.welcomes(account, from)
    }
}

impl Crowd<'_> {
    /// Hands `stanza` to the session that took this seat, under the address that it took it.
    pub fn hand(&self, seat: &Seat, stanza: Stanza) -> Handed {
        self.seat(seat, stanza, Mailbox::deliver)
    }

    /// The same for one of many stanzas that this session asked for in one go
    /// ([`Mailbox::deliver_asked`]).
    pub fn hand_asked(&self, seat: &Seat, stanza: Stanza) -> Handed {
        self.seat(seat, stanza, Mailbox::deliver_asked)
    }

    fn seat(&self, seat: &Seat, mut stanza: Stanza, deliver: Deliver) -> Handed {
        stanza.head.to = Some(seat.jid.clone());
        match &seat.session {
            Some((account, mailbox)) => self.give((account, mailbox), stanza, deliver),
            None => Handed::Elsewhere(stanza),
        }
    }

    /// Hands `stanza` to an address: a full one, or a bare one for all its available sessions that
    /// want messages (RFC 6121 §8.5.2.1.1, a priority of zero or more).
    pub fn reach(&self, to: &Jid, mut stanza: Stanza) -> Handed {
        stanza.head.to = Some(to.clone());
        // The server itself has no sessions, and is told as others are.
        if to.local().is_none() || self.sites.find(to.domain()).is_none() {
            return Handed::Elsewhere(stanza);
        }
        let takes = |session: &Resource| match to.resource() {
            Some(_) => session.jid == *to,
            None => session.is_available() && session.priority >= 0,
        };
        let mut handed = Handed::Gone;
        for mailbox in self.hub.directory().mailboxes(to.bare_str(), takes) {
            if let Some(account) = mailbox.account()
                && let Handed::Taken =
                    self.give((account, &mailbox), stanza.clone(), Mailbox::deliver)
            {
                handed = Handed::Taken;
            }
        }
        handed
    }

    /// Hands `stanza` to those sessions of an account that are `wanted`, each under its full
    /// address, and says how many there were.
    pub fn tell(
        &self,
        account: &BareJid,
        wanted: impl Fn(&Resource) -> bool,
        stanza: &Stanza,
    ) -> usize {
        let doors = self.hub.directory().doors(account.as_str(), wanted);
        let count = doors.len();
        for (jid, mailbox) in doors {
            if let Some(account) = mailbox.account() {
                let copy = stanza.clone().to(jid);
                let _ = self.give((account, &mailbox), copy, Mailbox::deliver);
            }
        }
        count
    }

    fn give(
        &self,
        (account, mailbox): (&Arc<Account>, &Mailbox),
        stanza: Stanza,
        deliver: Deliver,
    ) -> Handed {
        let Some(site) = self.sites.find(account.jid().domain()) else { return Handed::Gone };
        if let Some(from) = &stanza.head.from
            && !site.router.welcomes(account, from)
        {
            return Handed::Taken;
        }
        let asleep = mailbox.is_asleep().then(|| stanza.clone());
        if deliver(mailbox, Delivery::new(stanza)).is_err() {
            return Handed::Gone;
        }
        if let Some(stanza) = asleep {
            self.wake(account, stanza);
        }
        Handed::Taken
    }

    /// Tells whoever wakes people who are not connected.
    fn wake(&self, account: &Arc<Account>, mut stanza: Stanza) {
        let (Some(from), Some(to)) = (stanza.head.from.clone(), stanza.head.to.clone()) else {
            return;
        };
        let Some(site) = self.sites.find(account.jid().domain()) else { return };
        let mut targets: Targets =
            self.hub.directory().select(to.bare_str(), |session| session.jid == to);
        let (from, to) = (Party::new(from, None), Party::new(to, Some(Arc::clone(account))));
        let mut effects = Effects::default();
        let mut transit = Transit {
            stanza: &mut stanza,
            from: &from,
            to: &to,
            targets: &mut targets,
            effects: &mut effects,
            kept: &mut None,
            filed: &mut Filed::default(),
            hub: self.hub,
        };
        site.router.judge(Side::Inbound, Stage::Notify, &mut transit);
        if !effects.is_nothing() {
            let hub = self.hub.clone();
            self.hub.clock().spawn(async move { hub.perform(effects).await });
        }
    }
}

/// The letter boxes of one account's sessions; nearly always one to three.
pub(crate) type Mailboxes = SmallVec<[Mailbox; 2]>;
