//! The way to a session from outside: a bounded queue that never makes its sender wait.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::{Mutex, MutexGuard};
use waxwing_stanza::Stanza;
use waxwing_stream::{Closing, Stream, StreamError, Tag, Ticket};

use crate::account::Account;
use crate::wire::Wire;

/// A stanza on its way to one session.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// What is delivered.
    pub stanza: Stanza,
    /// The spool row to forget once the client has it; `Tag(0)` when there is none.
    pub tag: Tag,
}

impl Delivery {
    /// A delivery that no spool row stands behind.
    pub fn new(stanza: Stanza) -> Self {
        Self { stanza, tag: Tag(0) }
    }
}

/// What can be sent to a session.
pub enum Mail {
    /// A stanza for the client.
    Deliver(Delivery),
    /// A new connection that resumes this session (XEP-0198 §5).
    Resume(Box<Handover>),
    /// End the session, telling the client why.
    Close(Closing),
}

/// An authenticated connection that asked to resume, with the question it waits on.
pub struct Handover {
    /// The new stream, which waits for the answer to `ticket`.
    pub stream: Box<Stream>,
    /// Its connection.
    pub wire: Box<dyn Wire>,
    /// The question to answer with the acknowledgement state.
    pub ticket: Ticket,
}

/// A session's letter box: cheap to clone, bounded, and never waits.
#[derive(Clone)]
pub struct Mailbox(Arc<Shared>);

#[derive(Default)]
struct Shared {
    inbox: Mutex<Inbox>,
    /// Whether its session waits for its client to come back.
    is_asleep: AtomicBool,
    /// Whose session it is; none where that is no account's.
    account: Option<Arc<Account>>,
}

#[derive(Default)]
struct Inbox {
    queue: VecDeque<Mail>,
    room: usize,
    waker: Option<Waker>,
    /// It overflowed: no more deliveries are taken, and those in it are the first to find another
    /// way when the session ends.
    is_overrun: bool,
    is_closed: bool,
    /// Its session has said all that it had to say.
    is_over: bool,
    /// Who waits for that.
    heir: Option<Waker>,
}

impl Mailbox {
    /// A mailbox that holds at most `room` letters. Letters that steer the session (resume,
    /// close) are always taken: there are few of them, and they are what empties the box.
    pub fn new(room: usize) -> Self {
        let inbox = Mutex::new(Inbox { room, ..Inbox::default() });
        Self(Arc::new(Shared { inbox, ..Shared::default() }))
    }

    /// The same for a session of an account.
    pub fn of(account: Arc<Account>, room: usize) -> Self {
        let inbox = Mutex::new(Inbox { room, ..Inbox::default() });
        Self(Arc::new(Shared { inbox, account: Some(account), ..Shared::default() }))
    }

    /// Whose session it is.
    pub(crate) fn account(&self) -> Option<&Arc<Account>> {
        self.0.account.as_ref()
    }

    /// Puts a letter in. A box that overflows belongs to a client that does not read: its session
    /// is told to end. Gives the letter back when the session is gone or about to end so.
    ///
    /// # Errors
    /// The letter itself.
    pub fn send(&self, mail: Mail) -> Result<(), Mail> {
        let mut inbox = self.0.inbox.lock();
        if inbox.is_closed {
            return Err(mail);
        }
        let is_delivery = matches!(mail, Mail::Deliver(_));
        if is_delivery && inbox.is_overrun {
            return Err(mail);
        }
        let is_full = inbox.queue.len() >= inbox.room;
        inbox.queue.push_back(mail);
        if is_delivery && is_full {
            inbox.is_overrun = true;
            inbox.queue.push_back(Mail::Close(overrun()));
        }
        wake(inbox);
        Ok(())
    }

    /// Puts a delivery in, as [`Mailbox::send`].
    ///
    /// # Errors
    /// The delivery itself.
    pub fn deliver(&self, delivery: Delivery) -> Result<(), Delivery> {
        match self.send(Mail::Deliver(delivery)) {
            Err(Mail::Deliver(delivery)) => Err(delivery),
            _ => Ok(()),
        }
    }

    /// Whether its session waits for its client to come back (XEP-0198 §5).
    pub fn is_asleep(&self) -> bool {
        self.0.is_asleep.load(Ordering::Relaxed)
    }

    pub(crate) fn show_asleep(&self, is_asleep: bool) {
        self.0.is_asleep.store(is_asleep, Ordering::Relaxed);
    }

    /// Deliveries that it would still take before it overflows.
    pub fn room(&self) -> usize {
        let inbox = self.0.inbox.lock();
        inbox.room.saturating_sub(inbox.queue.len())
    }

    /// Whether it takes deliveries, as far as can be known without trying.
    pub fn is_open(&self) -> bool {
        let inbox = self.0.inbox.lock();
        !inbox.is_closed && !inbox.is_overrun
    }

    /// Polls for the next letter; when deliveries are not welcome now, for the next of those that
    /// steer the session, which must not wait behind a client that does not read.
    pub fn poll_next(&self, cx: &mut Context<'_>, deliveries: bool) -> Poll<Mail> {
        let mut inbox = self.0.inbox.lock();
        let is_wanted = |mail: &Mail| deliveries || !matches!(mail, Mail::Deliver(_));
        let place = inbox.queue.iter().position(is_wanted);
        if let Some(mail) = place.and_then(|place| inbox.queue.remove(place)) {
            return Poll::Ready(mail);
        }
        if inbox.queue.is_empty() {
            // An idle session keeps no queue memory.
            inbox.queue = VecDeque::new();
        }
        if !inbox.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            inbox.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Takes the next letter if it is a delivery; letters that steer the session stay in turn.
    pub fn try_next_delivery(&self) -> Option<Delivery> {
        let mut inbox = self.0.inbox.lock();
        match inbox.queue.pop_front()? {
            Mail::Deliver(delivery) => Some(delivery),
            steering => {
                inbox.queue.push_front(steering);
                None
            }
        }
    }

    /// Refuses further letters and gives back those that were not read.
    pub fn close(&self) -> Vec<Mail> {
        let mut inbox = self.0.inbox.lock();
        inbox.is_closed = true;
        inbox.queue.drain(..).collect()
    }

    /// Its session has told everybody that it is gone; whoever has taken its place may speak.
    pub(crate) fn finish(&self) {
        let mut inbox = self.0.inbox.lock();
        inbox.is_over = true;
        let heir = inbox.heir.take();
        drop(inbox);
        if let Some(heir) = heir {
            heir.wake();
        }
    }

    /// Waits for that; one at a time.
    pub(crate) async fn finished(&self) {
        poll_fn(|cx| {
            let mut inbox = self.0.inbox.lock();
            if inbox.is_over {
                return Poll::Ready(());
            }
            inbox.heir = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Whether nothing lies in it.
    pub fn is_empty(&self) -> bool {
        self.0.inbox.lock().queue.is_empty()
    }

    /// Whether both are the same box.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

fn wake(mut inbox: MutexGuard<'_, Inbox>) {
    if let Some(waker) = inbox.waker.take() {
        drop(inbox);
        waker.wake();
    }
}

fn overrun() -> Closing {
    let text = "Too many stanzas wait for this client, which does not read them.";
    Closing::Error(StreamError::resource_constraint().text(text))
}
