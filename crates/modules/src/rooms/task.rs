//! The task of a room: it reads letters, stores what must be durable, and sends what the room says,
//! in the order in which it said so.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::Hub;
use waxwing_kernel::decision::Decision;
use waxwing_kernel::request::unstored;
use waxwing_kernel::stage::{Effects, Party};
use waxwing_stanza::{Kind, PresenceType, Stanza, StanzaError};
use waxwing_store::StoreError;

use super::Rooms;
use super::forged::MUC;
use super::letter::{Letter, Now};
use super::lobby::{Done, Mail};
use super::outcome::{Outcome, Post};
use super::room::{Life, Room};

/// Letters whose rows are under way, at most.
const PENDING: usize = 256;

/// The task of one room.
pub struct Task {
    rooms: Arc<Rooms>,
    hub: Hub,
    room: Room,
    letters: mpsc::Receiver<Mail>,
    /// How many are in the room, for those who list rooms.
    count: Arc<AtomicUsize>,
    pending: VecDeque<Pending>,
}

/// Whoever is owed an answer to something.
#[derive(Default)]
struct Owed {
    /// Who sent it, and its head, for errors.
    letter: Option<(Party, Stanza)>,
    receipt: Option<oneshot::Sender<()>>,
    hold_until: Option<Instant>,
    done: Option<Done>,
}

/// What waits for its rows, or for others that do.
struct Pending {
    state: Decision,
    posts: Vec<Post>,
    undo: Option<u64>,
    owed: Owed,
}

/// What happened next.
enum Event {
    Decided,
    Mail(Mail),
    Due,
    Over,
}

impl Task {
    /// The task of a room that has not been looked for yet.
    pub(super) fn new(
        rooms: Arc<Rooms>,
        room: BareJid,
        letters: mpsc::Receiver<Mail>,
        count: Arc<AtomicUsize>,
    ) -> Self {
        let room = Room::absent(room, Arc::clone(&rooms.service));
        Self { hub: rooms.hub.clone(), rooms, room, letters, count, pending: VecDeque::new() }
    }

    /// Lives until nobody is in the room and nothing comes for it.
    pub(super) async fn run(mut self) {
        match Box::pin(self.rooms.load(&self.room.jid)).await {
            Ok(room) => self.room = room,
            Err(error) => return self.give_up(&error).await,
        }
        loop {
            self.settle().await;
            match self.next().await {
                Event::Decided => {}
                Event::Mail(mail) => Box::pin(self.take(mail)).await,
                Event::Due => {
                    let outcome = with_now(&self.hub, |now| self.room.expire(now));
                    Box::pin(self.carry_out(outcome, Owed::default())).await;
                }
                Event::Over => break,
            }
            self.end_room().await;
            self.count.store(self.room.occupants.len(), Ordering::Relaxed);
            if self.room.is_idle()
                && self.pending.is_empty()
                && self.rooms.close(&self.room.jid, &mut self.letters)
            {
                break;
            }
        }
        // Who had found the box open before it was closed.
        while let Some(mail) = self.letters.recv().await {
            let _ = self.rooms.post(&self.room.jid, mail).await;
        }
    }

    /// The room cannot be read: whoever comes hears so, until the box is empty.
    async fn give_up(mut self, error: &StoreError) {
        loop {
            while let Ok(mail) = self.letters.try_recv() {
                if let Mail::Letter(letter, _) = mail {
                    let outcome = Outcome::refuse(&self.room, &letter, unstored(error));
                    self.deliver(outcome.posts, Some(&letter.from)).await;
                }
            }
            if self.rooms.close(&self.room.jid, &mut self.letters) {
                break;
            }
        }
        while let Some(mail) = self.letters.recv().await {
            let _ = self.rooms.post(&self.room.jid, mail).await;
        }
    }

    async fn next(&mut self) -> Event {
        let due = self.room.due();
        let has_room = self.pending.len() < PENDING;
        let front = async {
            match self.pending.front_mut() {
                Some(Pending { state, .. }) => state.made().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = front => Event::Decided,
            mail = self.letters.recv(), if has_room => mail.map_or(Event::Over, Event::Mail),
            () = self.hub.clock().until(due) => Event::Due,
        }
    }

    /// One letter or errand.
    async fn take(&mut self, mail: Mail) {
        self.keep_up();
        match mail {
            Mail::Letter(mut letter, receipt) => {
                self.room_for(&mut letter).await;
                let outcome = with_now(&self.hub, |now| self.room.on(&mut letter, now));
                let Letter { from, stanza, .. } = *letter;
                let owed = Owed {
                    letter: Some((from, stanza)),
                    receipt: Some(receipt),
                    ..Owed::default()
                };
                self.carry_out(outcome, owed).await;
            }
            Mail::Errand(errand) => {
                let (outcome, done) = with_now(&self.hub, |now| errand(&mut self.room, now));
                self.carry_out(outcome, Owed { done: Some(done), ..Owed::default() }).await;
            }
        }
    }

    /// The settings may have been read anew since the last letter.
    fn keep_up(&mut self) {
        if let Some(service) = self.rooms.lobby.service()
            && !Arc::ptr_eq(&service, &self.room.service)
        {
            self.room.service = service;
        }
    }

    /// Whether the sender may make the room, where it would.
    async fn room_for(&mut self, letter: &mut Letter) {
        let enters = letter.stanza.head.kind == Kind::Presence(PresenceType::Available)
            && self.room.life == Life::Absent
            && letter.stanza.body.has("x", MUC);
        if enters {
            letter.may_create = self.rooms.may_create(letter).await;
        }
    }

    /// Stores what must be durable and sends the rest, now or when its turn comes.
    async fn carry_out(&mut self, outcome: Outcome, mut owed: Owed) {
        owed.hold_until = outcome.hold_until;
        if let Some(then) = outcome.then {
            // What was said before is sent before.
            while let Some(front) = self.pending.front_mut() {
                front.state.made().await;
                self.settle().await;
            }
            self.deliver(outcome.posts, owed.party()).await;
            let made = self.hub.db().batch(outcome.rows).await.map(drop);
            let posts = match made {
                Ok(()) => with_now(&self.hub, |now| then(&mut self.room, now)),
                Err(error) => return self.fail(&error, owed).await,
            };
            return self.finish(posts, owed).await;
        }
        let is_owed = owed.letter.as_ref().is_none_or(|(from, _)| from.is_acknowledged);
        let state = Decision::of(self.hub.db(), outcome.rows, is_owed);
        let (posts, undo) = (outcome.posts, outcome.undo);
        match state {
            Decision::Made(Ok(())) if self.pending.is_empty() => self.finish(posts, owed).await,
            state => self.pending.push_back(Pending { state, posts, undo, owed }),
        }
    }

    /// Sends what is decided, up to the first that is not.
    async fn settle(&mut self) {
        while let Some(Pending { state: Decision::Made(_), .. }) = self.pending.front() {
            let Some(pending) = self.pending.pop_front() else { return };
            match pending.state {
                Decision::Made(Err(error)) => {
                    if let Some(number) = pending.undo {
                        self.room.history.take_back(number);
                    }
                    self.fail(&error, pending.owed).await;
                }
                _ => self.finish(pending.posts, pending.owed).await,
            }
        }
    }

    async fn finish(&mut self, posts: Vec<Post>, owed: Owed) {
        self.deliver(posts, owed.party()).await;
        owed.release(&self.hub);
    }

    /// The rows could not be written: the sender hears why, and nothing else happens.
    async fn fail(&mut self, error: &StoreError, owed: Owed) {
        let Some((from, stanza)) = &owed.letter else { return };
        let error = unstored(error).by(self.room.jid.to_jid());
        if let Some(reply) = stanza.error_reply(&error) {
            self.deliver(vec![Post::Back(reply)], Some(from)).await;
        }
    }

    /// A room that does not stay without occupants ends with the last of them.
    async fn end_room(&mut self) {
        let outcome = self.room.close_behind();
        if outcome.then.is_some() {
            Box::pin(self.carry_out(outcome, Owed::default())).await;
        }
    }

    /// Sends stanzas in order. Whoever is not there is noted.
    async fn deliver(&mut self, posts: Vec<Post>, sender: Option<&Party>) {
        let (elsewhere, missed) = super::deliver::hand_out(&self.hub, posts, sender);
        for jid in missed {
            with_now(&self.hub, |now| self.room.miss(&jid, now));
        }
        if !elsewhere.is_empty() {
            Box::pin(send_all(&self.hub, elsewhere, sender, &self.room.jid.to_jid())).await;
        }
    }
}

/// What is not for sessions of this server, and answers to those who have none.
async fn send_all(hub: &Hub, stanzas: Vec<(Stanza, bool)>, sender: Option<&Party>, room: &Jid) {
    for (stanza, is_answer) in stanzas {
        match sender.filter(|_| is_answer) {
            Some(party) => {
                let mut effects = Effects::default();
                hub.reply(party, stanza, &mut effects);
                hub.perform(effects).await;
            }
            None => {
                let from = stanza.head.from.clone().unwrap_or_else(|| room.clone());
                hub.send(&from, stanza).await;
            }
        }
    }
}

impl Owed {
    fn party(&self) -> Option<&Party> {
        self.letter.as_ref().map(|(from, _)| from)
    }

    /// The stanza counts, now or when its sender may be read on.
    fn release(self, hub: &Hub) {
        if let Some(done) = self.done {
            done();
        }
        if let (Some(at), Some(receipt)) = (self.hold_until, self.receipt) {
            let clock = hub.clock().clone();
            hub.clock().spawn(async move {
                clock.until(Some(at)).await;
                drop(receipt);
            });
        }
    }
}

/// What is known at this moment, for one letter.
pub fn with_now<T>(hub: &Hub, act: impl FnOnce(&Now<'_>) -> T) -> T {
    let clock = hub.clock();
    act(&Now {
        clock,
        instant: clock.now(),
        millis: clock.wall_millis(),
        number: hub.next_id(),
        names: hub.names(),
    })
}

/// The refusal of somebody who may not make rooms.
pub fn restricted() -> StanzaError {
    StanzaError::not_allowed().text("You may not make rooms here.")
}
