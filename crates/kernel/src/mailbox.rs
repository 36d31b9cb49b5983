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

/// So many stanzas of what a session asked for in one go weigh as much as one of another's.
const ASKED: usize = 8;

struct Letter {
    mail: Mail,
    /// Its session asked for it, and for much else with it.
    is_asked: bool,
}

#[derive(Default)]
struct Inbox {
    queue: VecDeque<Letter>,
    /// How many of them were asked for.
    asked: usize,
    room: usize,
    /// For one that refuses what it has no room for: the bytes that it has room for.
    most_bytes: Option<usize>,
    /// Those that are in it, of one that counts them.
    bytes: usize,
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

impl Inbox {
    /// What is in it, in letters of others.
    fn load(&self) -> usize {
        self.queue.len() - self.asked + self.asked / ASKED
    }

    /// Whether it has room for a delivery, if it is one that refuses what it has no room for.
    fn is_willing(&self, delivery: &Delivery) -> bool {
        let fits = |most| self.queue.is_empty() || self.bytes + weight(delivery) <= most;
        self.most_bytes.is_none_or(|most| self.load() < self.room && fits(most))
    }

    fn push(&mut self, mail: Mail, is_asked: bool) {
        if let (Mail::Deliver(delivery), Some(_)) = (&mail, self.most_bytes) {
            self.bytes += weight(delivery);
        }
        self.asked += usize::from(is_asked);
        self.queue.push_back(Letter { mail, is_asked });
    }

    fn take(&mut self, place: usize) -> Option<Mail> {
        let Letter { mail, is_asked } = self.queue.remove(place)?;
        self.asked -= usize::from(is_asked);
        if let (Mail::Deliver(delivery), Some(_)) = (&mail, self.most_bytes) {
            self.bytes -= weight(delivery);
        }
        Some(mail)
    }
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

    /// One that refuses deliveries for which it has no room, and takes more when there is some:
    /// whatever empties it may be waiting itself. One delivery is always taken, however large.
    pub(crate) fn patient(room: usize, most_bytes: usize) -> Self {
        let inbox = Mutex::new(Inbox { room, most_bytes: Some(most_bytes), ..Inbox::default() });
        Self(Arc::new(Shared { inbox, ..Shared::default() }))
    }

    /// Whether it would take this delivery now.
    pub(crate) fn takes(&self, delivery: &Delivery) -> bool {
        let inbox = self.0.inbox.lock();
        !inbox.is_closed && !inbox.is_overrun && inbox.is_willing(delivery)
    }

    /// How many letters are in it.
    pub(crate) fn len(&self) -> usize {
        self.0.inbox.lock().queue.len()
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
        self.put(mail, false)
    }

    fn put(&self, mail: Mail, is_asked: bool) -> Result<(), Mail> {
        let mut inbox = self.0.inbox.lock();
        if inbox.is_closed {
            return Err(mail);
        }
        let is_delivery = matches!(mail, Mail::Deliver(_));
        if is_delivery && inbox.is_overrun {
            return Err(mail);
        }
        if let Mail::Deliver(delivery) = &mail
            && !inbox.is_willing(delivery)
        {
            return Err(mail);
        }
        let is_full = inbox.load() >= inbox.room;
        inbox.push(mail, is_asked);
        if is_delivery && is_full && inbox.most_bytes.is_none() {
            inbox.is_overrun = true;
            inbox.push(Mail::Close(overrun()), false);
        }
        wake(inbox);
        Ok(())
    }

    /// Puts a delivery in, as [`Mailbox::send`].
    ///
    /// # Errors
    /// The delivery itself.
    pub fn deliver(&self, delivery: Delivery) -> Result<(), Delivery> {
        given_back(self.put(Mail::Deliver(delivery), false))
    }

    /// The same for one of many that the session itself asked for in one go, such as who is in a
    /// room that it enters. Eight of them weigh as one of what others send: a client that enters
    /// all its rooms at once reads what comes of it a while later, and must not be taken for one
    /// that does not read.
    ///
    /// # Errors
    /// The delivery itself.
    pub fn deliver_asked(&self, delivery: Delivery) -> Result<(), Delivery> {
        given_back(self.put(Mail::Deliver(delivery), true))
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
        inbox.room.saturating_sub(inbox.load())
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
        let is_wanted = |it: &Letter| deliveries || !matches!(it.mail, Mail::Deliver(_));
        let place = inbox.queue.iter().position(is_wanted);
        if let Some(mail) = place.and_then(|place| inbox.take(place)) {
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
        if !matches!(inbox.queue.front()?.mail, Mail::Deliver(_)) {
            return None;
        }
        match inbox.take(0)? {
            Mail::Deliver(delivery) => Some(delivery),
            Mail::Resume(_) | Mail::Close(_) => None,
        }
    }

    /// Refuses further letters and gives back those that were not read.
    pub fn close(&self) -> Vec<Mail> {
        let mut inbox = self.0.inbox.lock();
        inbox.is_closed = true;
        (inbox.asked, inbox.bytes) = (0, 0);
        inbox.queue.drain(..).map(|letter| letter.mail).collect()
    }

    /// Refuses further letters if nothing lies in it; false when something does. Nobody can put
    /// anything in between the look and the end.
    pub(crate) fn close_if_empty(&self) -> bool {
        let mut inbox = self.0.inbox.lock();
        inbox.is_closed |= inbox.queue.is_empty();
        inbox.is_closed
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

/// The delivery that a letter box gave back.
fn given_back(put: Result<(), Mail>) -> Result<(), Delivery> {
    match put {
        Err(Mail::Deliver(delivery)) => Err(delivery),
        _ => Ok(()),
    }
}

/// What a stanza's head is taken to weigh in a box that counts bytes.
const HEAD_BYTES: usize = 256;

fn weight(delivery: &Delivery) -> usize {
    HEAD_BYTES + delivery.stanza.body.len_bytes()
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

#[cfg(test)]
mod tests {
    use waxwing_stanza::PresenceType;

    use super::*;

    fn delivery() -> Delivery {
        Delivery::new(Stanza::presence(PresenceType::Available))
    }

    fn heavy(bytes: usize) -> Delivery {
        let xml = format!("<x xmlns='urn:x'>{}</x>", "y".repeat(bytes));
        Delivery::new(Stanza::presence(PresenceType::Available).with(xml))
    }

    #[test]
    fn a_patient_box_refuses_and_goes_on() {
        let mailbox = Mailbox::patient(2, 10_000);
        assert!(mailbox.takes(&delivery()));
        assert!(mailbox.deliver(delivery()).is_ok() && mailbox.deliver(delivery()).is_ok());
        assert!(mailbox.deliver(delivery()).is_err() && !mailbox.takes(&delivery()));
        assert!(mailbox.is_open() && mailbox.len() == 2, "it does not end");
        assert!(mailbox.try_next_delivery().is_some());
        assert!(mailbox.deliver(heavy(20_000)).is_err(), "too many bytes beside another");
        assert!(mailbox.deliver(heavy(5_000)).is_ok());
        assert!(mailbox.try_next_delivery().is_some() && mailbox.try_next_delivery().is_some());
        assert!(mailbox.deliver(heavy(20_000)).is_ok(), "one always");
        assert!(mailbox.deliver(delivery()).is_err());
        assert!(mailbox.send(Mail::Close(Closing::Clean)).is_ok(), "what steers is taken");
        assert_eq!(mailbox.close().len(), 2);
    }

    #[test]
    fn what_was_asked_for_fills_a_box_more_slowly() {
        let mailbox = Mailbox::new(4);
        for _ in 0..4 * ASKED {
            assert!(mailbox.room() > 0);
            assert!(mailbox.deliver_asked(delivery()).is_ok());
        }
        assert_eq!(mailbox.room(), 0);
        for _ in 0..ASKED {
            assert!(mailbox.try_next_delivery().is_some());
        }
        assert_eq!(mailbox.room(), 1);
        assert!(mailbox.deliver(delivery()).is_ok() && mailbox.is_open());
        // One more is one too many, and what is in it stays.
        assert!(mailbox.deliver(delivery()).is_ok() && !mailbox.is_open());
        assert!(mailbox.deliver_asked(delivery()).is_err());
        assert_eq!(mailbox.close().len(), 3 * ASKED + 3, "with the order to end");
        assert_eq!(mailbox.room(), 4);
    }
}
