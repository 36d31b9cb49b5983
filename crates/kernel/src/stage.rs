//! The stations that a stanza passes on its way through an account, and what a module may do there.
//!
//! A filter reads the stanza, may amend it, and says what should happen. It cannot send, store or
//! wait: it leaves [`Effects`], which are performed in a fixed order – append, then deliver – so
//! *recorded before delivered* is a property of one function and not of every module.

use std::sync::Arc;

use smallvec::SmallVec;
use tokio::sync::oneshot;
use waxwing_jid::Jid;
use waxwing_stanza::{Stanza, StanzaError};
use waxwing_store::Statement;
use waxwing_stream::Tag;

use crate::account::Account;
use crate::directory::Resources;
use crate::filing::{Filed, Ticket};
use crate::hub::Hub;
use crate::mailbox::{Delivery, Mailbox};

/// The stations on each side, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// May this pass at all? Blocking, limits, forged elements.
    Check,
    /// Leave a trace of it: archives.
    Record,
    /// Copies to the account's other resources. On the inbound side the targets are known here.
    Mirror,
    /// What happens to it at the end: spooled, held, handed over.
    Deliver,
    /// Tell somebody who is not connected.
    Notify,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Self; 5] =
        [Self::Check, Self::Record, Self::Mirror, Self::Deliver, Self::Notify];
}

/// Which account a filter works for: the sender's or the recipient's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The sender's account, before routing.
    Outbound,
    /// The recipient's account, after routing.
    Inbound,
}

/// One end of a stanza's way.
#[derive(Clone)]
pub struct Party {
    /// The address it acts under: full for a session, bare or a domain otherwise.
    pub jid: Jid,
    /// Its account, when it is a local one.
    pub account: Option<Arc<Account>>,
    /// The session's letter box, when it is a local session.
    pub mailbox: Option<Mailbox>,
    /// Whether we owe this sender an acknowledgement (XEP-0198): then what it sends must be
    /// durable before it counts.
    pub is_acknowledged: bool,
}

impl Party {
    /// A party that is no local session.
    pub fn new(jid: Jid, account: Option<Arc<Account>>) -> Self {
        Self { jid, account, mailbox: None, is_acknowledged: false }
    }

    /// Whether both act for the same account.
    pub(crate) fn is_same_account(&self, other: &Self) -> bool {
        self.jid.bare_str() == other.jid.bare_str()
    }
}

/// The sessions that a stanza will be handed to.
pub type Targets = Resources;

/// One stanza on its way past the modules.
pub struct Transit<'a> {
    /// The stanza; filters may amend it.
    pub stanza: &'a mut Stanza,
    /// Who sent it.
    pub from: &'a Party,
    /// Whom it is for.
    pub to: &'a Party,
    /// On the inbound side from [`Stage::Mirror`] on: which sessions get it.
    pub targets: &'a mut Targets,
    /// What should happen besides.
    pub effects: &'a mut Effects,
    /// Set when the stanza is kept in the spool, so that no error is due without targets.
    pub kept: &'a mut Option<Tag>,
    /// What the archive of the account whose side this is has made of the stanza.
    pub filed: &'a mut Filed,
    /// The server.
    pub hub: &'a Hub,
}

impl Transit<'_> {
    /// Stores the stanza with `statement`; whoever receives it confirms `tag`, which forgets it.
    pub fn keep(&mut self, tag: Tag, statement: Statement) {
        self.effects.append(statement);
        *self.kept = Some(tag);
    }

    /// Files the stanza in the archive of `account`, under the next number, with the statement that
    /// `row` makes.
    pub fn file(&mut self, account: &Arc<Account>, row: impl FnOnce(u64, &Stanza) -> Statement) {
        let ticket = Ticket::draw(account, self.hub);
        *self.filed = Filed::Kept(ticket.number());
        self.effects.records.push(row(ticket.number(), self.stanza));
        self.effects.tickets.push(ticket);
    }

    /// Whether some target has a client connected right now.
    pub fn is_live(&self) -> bool {
        self.targets.iter().any(|target| target.is_live)
    }

    /// The account whose side this is, on the inbound side the recipient's.
    pub fn recipient(&self) -> Option<&Arc<Account>> {
        self.to.account.as_ref()
    }

    /// The sender's account, when it is local.
    pub fn sender(&self) -> Option<&Arc<Account>> {
        self.from.account.as_ref()
    }
}

/// What a filter decides.
#[derive(Debug)]
pub enum Verdict {
    /// Go on to the next.
    Pass,
    /// Dealt with: stop here, silently and successfully.
    Done,
    /// Stop here with an error. A message or a request is answered with it; to refuse a presence
    /// is silence.
    Refuse(StanzaError),
}

/// What should happen once the stanza has been judged: appends first, all or nothing, then
/// deliveries in order.
#[derive(Default)]
pub struct Effects {
    pub(crate) appends: Vec<Statement>,
    /// For archives. They are appended like the others where somebody is owed that; where nobody
    /// is, nobody waits for them.
    pub(crate) records: Vec<Statement>,
    /// What nobody waits for, and nothing hangs on.
    pub(crate) asides: Vec<Statement>,
    /// The numbers of the records, until those are with the store.
    pub(crate) tickets: SmallVec<[Ticket; 2]>,
    /// What the sender's archive made of a message to the sender itself.
    pub(crate) to_self: Filed,
    pub(crate) deliveries: Vec<(Mailbox, Delivery)>,
    /// Kept for accounts that had nobody to take it when it was judged.
    pub(crate) spooled: Vec<Delivery>,
    /// Whether the sender's session may have what is kept for its account.
    pub(crate) reads_spool: bool,
    /// The answer to what an address at a service of ours sent ([`Hub::send`]), if there is one.
    pub(crate) returned: Option<Box<Stanza>>,
    /// Those of whoever sees to the stanza elsewhere.
    pub(crate) receipts: Receipts,
}

/// Each is over when its other half is.
pub(crate) type Receipts = SmallVec<[oneshot::Receiver<()>; 1]>;

impl Effects {
    /// Writes `statement` before anything is delivered and before the sender is told.
    pub fn append(&mut self, statement: Statement) {
        self.appends.push(statement);
    }

    /// Writes `statement` along with what is filed in archives.
    pub fn record(&mut self, statement: Statement) {
        self.records.push(statement);
    }

    /// Writes `statement` if it can be written. Nobody waits for it, and nothing hangs on it: a
    /// stanza passes also while the store fails.
    pub fn remember(&mut self, statement: Statement) {
        self.asides.push(statement);
    }

    /// Hands `stanza` to the session behind `mailbox`.
    pub fn deliver(&mut self, mailbox: &Mailbox, stanza: Stanza) {
        self.deliveries.push((mailbox.clone(), Delivery::new(stanza)));
    }

    /// The same for a stanza that stands in the spool under `tag`.
    pub fn deliver_kept(&mut self, mailbox: &Mailbox, stanza: Stanza, tag: Tag) {
        self.deliveries.push((mailbox.clone(), Delivery { stanza, tag }));
    }

    /// Gives the sender's session what is kept for its account, as fast as its client takes it.
    pub fn read_spool(&mut self) {
        self.reads_spool = true;
    }

    /// The stanza counts when the other half of `receipt` is used or dropped, and not before:
    /// somebody else sees to it, in a task of its own.
    pub fn until(&mut self, receipt: oneshot::Receiver<()>) {
        self.receipts.push(receipt);
    }

    /// Whether nothing is to be done.
    pub(crate) fn is_nothing(&self) -> bool {
        self.appends.is_empty()
            && self.records.is_empty()
            && self.asides.is_empty()
            && self.deliveries.is_empty()
            && self.spooled.is_empty()
    }

    /// What an archive has made of a stanza before its recipient's is asked. XEP-0313 §6.1: the
    /// server "MUST store such a stanza within a given archive only once", also one to oneself.
    pub(crate) fn filed_for(&mut self, from: &Party, to: &Party) -> Filed {
        let filed = std::mem::take(&mut self.to_self);
        if from.is_same_account(to) { filed } else { Filed::Unasked }
    }

    /// Notes that nobody was there to take a kept stanza; looked at again once it is durable.
    pub(crate) fn spooled(&mut self, stanza: Stanza, tag: Tag) {
        self.spooled.push(Delivery { stanza, tag });
    }

    /// Adds what another part of the same stanza's way wants done, behind this.
    pub fn merge(&mut self, other: Self) {
        self.appends.extend(other.appends);
        self.records.extend(other.records);
        self.asides.extend(other.asides);
        self.receipts.extend(other.receipts);
        self.tickets.extend(other.tickets);
        self.deliveries.extend(other.deliveries);
        self.spooled.extend(other.spooled);
        self.reads_spool |= other.reads_spool;
        self.returned = self.returned.take().or(other.returned);
    }
}
