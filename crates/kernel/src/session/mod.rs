//! A bound session: one task that outlives its socket.
//!
//! The task owns the stream, the wire, what modules keep for the session, and the stanzas whose
//! commit is under way. Others reach it through its [`Mailbox`] and see what the directory shows.

mod at_once;
mod connected;
mod end;
mod hibernate;
mod line;
mod outbound;
mod pending;
mod presence;
mod strangers;
mod turn;

use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use waxwing_jid::Jid;
use waxwing_stanza::{Head, Stanza};
use waxwing_stream::{Acks, Enable, Enabled, Stream, Tag};

use crate::account::Account;
use crate::decision::Decision;
use crate::directory::Resource;
use crate::hub::Hub;
use crate::mailbox::{Delivery, Mailbox};
use crate::rate::Pace;
use crate::request::{Departures, Leaving};
use crate::session::line::Line;
use crate::site::{Site, Slots};
use crate::stage::{Party, Receipts};
use crate::wire::{Transport, Wire};

pub(crate) use turn::{Alarm, Listen, Woke, expire, size};

/// A stanza that counts once its commit is decided, and what waits behind it.
pub(crate) struct Pending {
    seq: u64,
    since: Instant,
    state: Decision,
    /// Of those who see to it elsewhere.
    receipts: Receipts,
    /// For telling its sender that it could not be stored.
    head: Head,
    deliveries: Vec<(Mailbox, Delivery)>,
    spooled: Vec<Delivery>,
    reads_spool: bool,
}

impl Pending {
    /// Ready once it is known whether the stanza is durable, and everybody who sees to it has done
    /// so.
    fn poll_decided(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(receipt) = self.receipts.last_mut() {
            // It is the same whether it was used or dropped.
            let _ = ready!(Pin::new(receipt).poll(cx));
            self.receipts.pop();
        }
        self.state.poll_made(cx)
    }
}

/// One resource of an account.
pub(crate) struct Session {
    hub: Hub,
    account: Arc<Account>,
    jid: Jid,
    mailbox: Mailbox,
    slots: Slots,
    /// Whom this session told that it is here, besides its contacts (RFC 6121 §4.6).
    directed: BTreeSet<Jid>,
    /// Whether its contacts were told that it is here.
    is_available: bool,
    pending: VecDeque<Pending>,
    /// Kept stanzas written to a client that does not acknowledge, and not yet with the operating
    /// system.
    written: Vec<Delivery>,
    /// Kept stanzas that the client takes as it reads and acknowledges. The spool bounds them, so
    /// they need no room in the mailbox; they are older than what lies there.
    backlog: VecDeque<Delivery>,
    /// Behind which more waits in the spool, to be read when the backlog is done.
    unread: Option<Tag>,
    resumption: Option<String>,
    /// How long it waits for its client, once that is lost.
    resume_seconds: u32,
    /// Whether the client turned stream management on: then it is owed acknowledgements.
    is_acknowledged: bool,
    pace: Pace,
    /// Whose place it took, until that one has said goodbye.
    older: Option<Mailbox>,
}

impl Session {
    /// A session for `jid`, not yet in the directory.
    pub(crate) fn new(hub: Hub, site: &Site, account: Arc<Account>, jid: Jid) -> Self {
        let mailbox = Mailbox::of(Arc::clone(&account), hub.limits().mailbox_stanzas);
        Self {
            hub,
            account,
            jid,
            mailbox,
            slots: site.slots(),
            directed: BTreeSet::new(),
            is_available: false,
            pending: VecDeque::new(),
            written: Vec::new(),
            backlog: VecDeque::new(),
            unread: None,
            resumption: None,
            resume_seconds: 0,
            is_acknowledged: false,
            pace: Pace::default(),
            older: None,
        }
    }

    /// What modules keep in it.
    pub(crate) fn slots(&mut self) -> &mut Slots {
        &mut self.slots
    }

    /// Turns stream management on (XEP-0198 §3).
    pub(crate) fn enable(&mut self, wish: Enable) -> Enabled {
        self.is_acknowledged = true;
        let longest = self.hub.limits().stream.sm_resume_seconds;
        let max_seconds = wish.max.unwrap_or(longest).min(longest);
        let id = wish.resume.then(|| self.hub.clock().token(16));
        if let Some(id) = &id {
            self.hub.remember(id.clone(), self.account.jid().clone(), self.mailbox.clone());
            self.resumption = Some(id.clone());
            self.resume_seconds = max_seconds;
        }
        Enabled { id, max_seconds }
    }

    /// It takes the place of the session behind `older`.
    pub(crate) fn succeed(&mut self, older: Mailbox) {
        self.older = Some(older);
    }

    /// Waits until the session whose place it took has told everybody that it is gone: what this
    /// one says of its presence is true after that.
    async fn outlive_older(&mut self) {
        if let Some(older) = self.older.take() {
            older.finished().await;
        }
    }

    /// What the directory shows of it at first.
    pub(crate) fn resource(&self, transport: Transport) -> Resource {
        Resource {
            jid: self.jid.clone(),
            mailbox: self.mailbox.clone(),
            presence: None,
            priority: 0,
            flags: Default::default(),
            is_live: true,
            transport,
            since_millis: self.hub.clock().wall_millis(),
            client: None,
            interests: None,
        }
    }

    /// Lives until the client leaves for good: connected, hibernating, connected again.
    ///
    /// A session is idle nearly always. So this future holds the line and hardly more, and whatever
    /// is waited for now and then is boxed; the task should hold a pointer to it.
    pub(crate) fn run(
        self,
        stream: Box<Stream>,
        wire: Box<dyn Wire>,
    ) -> impl Future<Output = ()> + Send {
        let mut line = Line::new(self, stream, wire);
        async move {
            loop {
                let ended = line.connected().await;
                match Box::pin(line.go_on(ended)).await {
                    Some(next) => line = next,
                    None => return,
                }
            }
        }
    }

    /// Whether the client may come back; not to a server that is about to end.
    fn may_hibernate(&self) -> bool {
        self.resumption.is_some() && !self.hub.is_draining()
    }

    /// Its full address.
    pub(crate) fn jid(&self) -> &Jid {
        &self.jid
    }

    fn site(&self) -> Option<Arc<Site>> {
        self.hub.site(self.jid.domain())
    }

    /// The session as a sender.
    fn party(&self) -> Party {
        Party {
            jid: self.jid.clone(),
            account: Some(Arc::clone(&self.account)),
            mailbox: Some(self.mailbox.clone()),
            is_acknowledged: self.is_acknowledged,
        }
    }

    fn show_live(&self, is_live: bool, transport: Transport) {
        self.mailbox.show_asleep(!is_live);
        self.hub.directory().update(&self.jid, &self.mailbox, |resource| {
            resource.is_live = is_live;
            resource.transport = transport;
        });
    }

    /// Sends one delivery past the modules that watch the wire.
    fn leave(&mut self, stream: &mut Stream, delivery: Delivery) {
        if self.is_prying(&delivery.stanza) {
            return self.turn_away(&delivery.stanza);
        }
        let sites = self.hub.guard_sites();
        let Some(site) = sites.find(self.jid.domain()) else { return };
        let mut leaving = Departures::from_buf([delivery]);
        for (_, filter) in &site.router.0.egress {
            let mut out = Departures::new();
            for delivery in leaving {
                filter(&mut Leaving { slots: &mut self.slots, out: &mut out }, delivery);
            }
            leaving = out;
        }
        for delivery in leaving {
            self.write(stream, &delivery);
        }
    }

    fn write(&mut self, stream: &mut Stream, delivery: &Delivery) {
        stream.send(self.hub.clock().now(), &delivery.stanza, delivery.tag);
        if !self.is_acknowledged && delivery.tag != Tag(0) {
            self.written.push(delivery.clone());
        }
        self.hub.metrics().stanza_out(delivery.stanza.head.kind);
        self.hub.trace_stanza(&self.jid, false, &delivery.stanza);
    }

    /// Writes what modules held back and let go of now.
    fn write_what(&mut self, stream: &mut Stream, release: impl FnOnce(&mut Leaving<'_>)) {
        let mut out = Departures::new();
        release(&mut Leaving { slots: &mut self.slots, out: &mut out });
        for delivery in out {
            self.write(stream, &delivery);
        }
    }

    /// The connection is gone: what was held back for its client joins what the client has not
    /// confirmed, and what never left finds another way.
    async fn lose(&mut self, stream: &mut Stream) {
        if let Some(site) = self.site() {
            self.write_what(stream, |leaving| {
                site.router.0.losses.iter().for_each(|(_, release)| release(leaving));
            });
        }
        let unsent = std::mem::take(&mut self.written);
        if !unsent.is_empty() {
            self.hub.redeliver(unsent, &self.mailbox).await;
        }
    }

    /// Forgets kept stanzas that the client has. Nobody waits for it: a row that survives a
    /// crash is delivered twice, never lost.
    fn confirm(&self, tags: Vec<Tag>) {
        let Some(site) = self.site() else { return };
        let Some(spool) = site.router.spool() else { return };
        let writes = spool.confirm(&self.account, &tags);
        if !writes.is_empty() {
            let commit = self.hub.db().submit(writes);
            let account = Arc::clone(&self.account);
            self.hub.clock().spawn(async move {
                if let Err(error) = commit.await {
                    tracing::warn!(%error, "delivered stanzas stay in the spool for now");
                }
                if let Some(spool) = site.router.spool() {
                    spool.forgotten(&account, &tags);
                }
            });
        }
    }
}

/// Counts a session for as long as it has something to do, also when it panics.
struct Counted(Hub);

impl Counted {
    fn new(hub: &Hub) -> Self {
        hub.session_begins();
        Self(hub.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.session_is_over();
    }
}

/// What a client did not confirm, in order.
pub(crate) type Unacked = Vec<(Stanza, Tag)>;

/// A session's next connection, or what is left when there is none.
type Next = Result<(Box<Stream>, Box<dyn Wire>), Unacked>;

/// The acknowledgement state between two connections.
type State = Box<Acks>;

#[cfg(test)]
mod tests {
    use super::*;

    fn future_bytes<A, B, C, F>(_: impl FnOnce(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// Sessions are idle nearly always, so their future holds no room for what they do then.
    #[test]
    fn an_idle_session_is_small() {
        let bytes = future_bytes(Session::run);
        assert!(bytes <= 448, "{bytes} bytes");
    }
}
