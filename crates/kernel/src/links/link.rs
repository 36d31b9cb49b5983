//! The way out for a pair of domains: one task, and at most one stream.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use waxwing_stanza::{Stanza, StanzaError};
use waxwing_store::domains::outgoing::Outgoing;
use waxwing_stream::{Closing, Pair, Purpose, StreamError, Tag};

use crate::hub::Hub;
use crate::links::bounce::{BOUNCE, may_be_sent_again};
use crate::links::journey::{Errand, Gained, Reached};
use crate::links::lane::{Kind, Lane, Leftover};
use crate::links::ledger::{Failure, Line};
use crate::links::pairs::{Rest, rest_of};
use crate::links::setback::Setback;
use crate::links::{Caller, Open, PAGE};
use crate::mailbox::{Delivery, Mail, Mailbox};

/// How often a stream may end with something unconfirmed, and nothing confirmed at all, before that
/// goes back: one stanza that the other side cannot bear must not be sent for ever.
const BREAKS: u32 = 5;

/// How long nobody calls again after so many breaks: not at all after the first, which is a bad
/// connection, and then twice as long each time.
fn pause_after(breaks: u32) -> Duration {
    match breaks {
        0 | 1 => Duration::ZERO,
        _ => Duration::from_secs(1 << (breaks.min(BREAKS) - 2)),
    }
}

/// The link of a pair.
pub(super) struct Link {
    hub: Hub,
    pair: Pair,
    mailbox: Mailbox,
    line: Arc<Line>,
    /// Whoever wanted it, until it has found its way.
    caller: Option<Caller>,
    /// What goes first on the next stream.
    backlog: VecDeque<Delivery>,
    /// Rows of the last run that are still to be read: behind which, and up to which.
    unread: Option<(i64, i64)>,
    /// Streams that broke, one after the other, without anything having arrived.
    breaks: u32,
    _open: Open,
}

/// Why a link does not go on.
enum Stop {
    /// It is in vain.
    Setback(Setback),
    /// It was told to end.
    Told(Closing),
}

impl Link {
    /// A link that is known to others already by its letter box.
    pub(super) fn new(
        hub: &Hub,
        pair: Pair,
        mailbox: Mailbox,
        (unread, caller): (Option<(i64, i64)>, Option<Caller>),
    ) -> Self {
        let line = Arc::new(hub.ledger().line(&pair.from, &pair.to));
        let (backlog, open) = (VecDeque::new(), Open::count(hub));
        let (hub, breaks) = (hub.clone(), 0);
        Self { hub, pair, mailbox, line, caller, backlog, unread, breaks, _open: open }
    }

    /// Lives until nobody needs it any more.
    pub(super) async fn run(mut self: Box<Self>) {
        loop {
            let reached = match Box::pin(self.reach()).await {
                Ok(reached) => reached,
                Err(stop) => return Box::pin(self.stop(stop)).await,
            };
            let mut lane = self.lane(reached);
            let closure = loop {
                Box::pin(self.read(&mut lane)).await;
                match lane.run(self.unread.is_some()).await {
                    Some(closure) => break closure,
                    None => continue,
                }
            };
            let leftover = Box::pin(lane.end(&closure)).await;
            if let Some(stop) = Box::pin(self.after(leftover)).await {
                return Box::pin(self.stop(stop)).await;
            }
            if self.is_done() {
                return;
            }
        }
    }

    /// Connects and negotiates, unless it is told to end meanwhile.
    async fn reach(&mut self) -> Result<Reached, Stop> {
        let terms = match self.hub.policy().judge(&self.pair.to) {
            Ok(terms) => terms,
            Err(barred) => return Err(Stop::Setback(Setback::barred(&barred, &self.pair.to))),
        };
        // Rows of the last run may be of a domain that is served no more.
        if let Some(stop) = self.check_home() {
            return Err(stop);
        }
        let pause = pause_after(self.breaks);
        if !pause.is_zero() {
            let until = self.hub.clock().now() + pause;
            tokio::select! {
                biased;
                closing = self.told_to_end() => return Err(Stop::Told(closing)),
                () = self.hub.clock().until(Some(until)) => {}
            }
        }
        self.line.dialling();
        let errand = Errand { pair: &self.pair, purpose: Purpose::Link, terms: &terms };
        tokio::select! {
            biased;
            reached = self.hub.reach(errand) => reached.map_err(Stop::Setback),
            closing = self.told_to_end() => Err(Stop::Told(closing)),
        }
    }

    /// Waits for an order to end, and tells the ledger how much waits meanwhile.
    async fn told_to_end(&self) -> Closing {
        poll_fn(|cx| {
            let letter = self.mailbox.poll_next(cx, false);
            self.line.queued(self.backlog.len() + self.mailbox.len());
            match letter {
                Poll::Ready(Mail::Close(closing)) => Poll::Ready(closing),
                Poll::Ready(_) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Whether the domain on our side is none of ours any more, or that on the other side is.
    fn check_home(&self) -> Option<Stop> {
        let gone = Closing::Error(StreamError::host_gone());
        let is_gone =
            self.hub.is_elsewhere(&self.pair.from) || !self.hub.is_elsewhere(&self.pair.to);
        is_gone.then(|| Stop::Setback(Setback::told(&gone, &self.pair.to)))
    }

    fn lane(&mut self, reached: Reached) -> Box<Lane> {
        let Reached { stream, wire, place, gained } = reached;
        self.line.reached();
        self.hub.links().pairs.lock().reached(&self.pair);
        let signed = if place.is_signed { ", signed" } else { "" };
        let found_by = format!("{}{signed}", place.found_by).into();
        let kind = Kind::Link { found_by, line: Arc::clone(&self.line) };
        self.caller = None;
        let mut lane = Lane::new(&self.hub, (stream, wire), self.mailbox.clone(), kind);
        lane.backlog = std::mem::take(&mut self.backlog);
        if let Gained::Link(linked) = gained {
            lane.on_linked(linked);
        }
        Box::new(lane)
    }

    /// Reads rows of the last run, as fast as the other side takes them.
    async fn read(&mut self, lane: &mut Lane) {
        let Some((after, last)) = self.unread.filter(|_| lane.backlog.is_empty()) else { return };
        let page = self.page(after, last).await;
        self.unread = page.as_ref().and_then(|(_, next)| *next).map(|next| (next, last));
        lane.backlog.extend(page.into_iter().flat_map(|(deliveries, _)| deliveries));
    }

    /// Some rows, and behind which there are more.
    async fn page(&self, after: i64, last: i64) -> Option<(Vec<Delivery>, Option<i64>)> {
        let rows = Outgoing::new(self.hub.db().clone());
        let pair = (&*self.pair.from, &*self.pair.to);
        let page = match rows.page(pair, (after, last), PAGE).await {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(%error, "messages on their way could not be read; they stay");
                return None;
            }
        };
        let next = page.last().map(|row| row.id).filter(|_| page.len() == PAGE as usize);
        let mut unreadable = Vec::new();
        let deliveries = page.into_iter().filter_map(|row| match Stanza::parse(&row.stanza) {
            Ok(stanza) => Some(Delivery { stanza, tag: Tag(row.id.cast_unsigned()) }),
            Err(error) => {
                tracing::error!(id = row.id, %error, "a message on its way cannot be read");
                unreadable.push(Outgoing::remove(row.id));
                None
            }
        });
        let deliveries = deliveries.collect();
        self.hub.write_aside(unreadable);
        Some((deliveries, next))
    }

    /// A stream ended. What did not arrive goes on the next one, if there is to be one.
    async fn after(&mut self, leftover: Leftover) -> Option<Stop> {
        let Leftover { sent, unsent, setback, has_progress, .. } = leftover;
        self.breaks = if has_progress { 0 } else { self.breaks + 1 };
        let (again, lost): (Vec<_>, Vec<_>) =
            sent.into_iter().partition(|delivery| may_be_sent_again(&delivery.stanza));
        self.backlog = again.into_iter().chain(unsent).collect();
        // Whoever asked cannot know whether it was done.
        let error = StanzaError::remote_server_timeout().text(format!(
            "The connection to {} was lost before there was an answer.",
            self.pair.to
        ));
        self.hub.bounce(lost, &error).await;
        if self.hub.links().is_closing() {
            return Some(Stop::Told(Closing::Clean));
        }
        if let Err(barred) = self.hub.policy().judge(&self.pair.to) {
            return Some(Stop::Setback(Setback::barred(&barred, &self.pair.to)));
        }
        if let Some(stop) = self.check_home() {
            return Some(stop);
        }
        let is_waiting = !self.backlog.is_empty() || !self.mailbox.is_empty();
        match setback {
            Some(setback) if setback.is_final && is_waiting => Some(Stop::Setback(setback)),
            _ if self.breaks >= BREAKS && is_waiting => {
                Some(Stop::Setback(Setback::broken(&self.pair.to)))
            }
            _ => None,
        }
    }

    /// Ends when nothing is left to be sent.
    fn is_done(&self) -> bool {
        let is_idle = self.backlog.is_empty() && self.unread.is_none();
        is_idle && self.hub.links().pairs.lock().end(&self.pair, &self.mailbox)
    }

    async fn stop(self: Box<Self>, stop: Stop) {
        match stop {
            Stop::Setback(setback) => self.give_up(setback).await,
            // What is kept stays for the next run, and who sent the rest is gone.
            Stop::Told(Closing::Clean) if self.hub.links().is_closing() => {}
            Stop::Told(closing) => {
                let setback = match self.hub.policy().judge(&self.pair.to) {
                    Err(barred) => Setback::barred(&barred, &self.pair.to),
                    Ok(_) => Setback::told(&closing, &self.pair.to),
                };
                self.give_up(setback).await;
            }
        }
    }

    /// All that waits goes back to its senders, and nobody tries for a while.
    async fn give_up(mut self: Box<Self>, setback: Setback) {
        let Setback { error, failure, is_barred, .. } = setback;
        let (until, letters) = self.rest(&error, &failure, is_barred);
        let letters = letters.into_iter().filter_map(|letter| match letter {
            Mail::Deliver(delivery) => Some(delivery),
            Mail::Resume(_) | Mail::Close(_) => None,
        });
        let (how, mut owed) = ((&error, !is_barred), None);
        let mut waiting: VecDeque<_> = self.backlog.drain(..).chain(letters).collect();
        while !waiting.is_empty() {
            let some = waiting.drain(..waiting.len().min(BOUNCE)).collect();
            owed = owed.max(self.turn_back(some, how).await);
            // Whoever wrote most of it needs time to take it back.
            tokio::task::yield_now().await;
        }
        while let Some((after, last)) = self.unread.take() {
            let Some((deliveries, next)) = self.page(after, last).await else {
                owed = owed.max(Some(last));
                break;
            };
            owed = owed.max(self.turn_back(deliveries, how).await);
            self.unread = next.map(|next| (next, last));
        }
        if let Some(last) = owed {
            self.hub.links().pairs.lock().owe(&self.pair, last);
            self.hub.call_later(self.pair.clone(), until);
        }
    }

    /// Nobody tries for a while: until when, and what has come so far.
    fn rest(
        &self,
        error: &StanzaError,
        failure: &Failure,
        is_barred: bool,
    ) -> (Instant, Vec<Mail>) {
        let clock = self.hub.clock();
        let (first, most) = {
            let limits = &self.hub.limits().peers;
            (limits.backoff_seconds, limits.backoff_most_seconds)
        };
        let (first, most) = (Duration::from_secs(first), Duration::from_secs(most));
        let mut dice = [0; 2];
        clock.random(&mut dice);
        let mut pairs = self.hub.links().pairs.lock();
        let failures = pairs.failures(&self.pair).saturating_add(1);
        let pause = match is_barred {
            // Policy is asked each time, and says the same for as long as it holds.
            true => Duration::ZERO,
            false => rest_of(failures, first, most, u16::from_le_bytes(dice)),
        };
        self.line.failed(failure, (!pause.is_zero()).then_some(pause));
        let until = clock.now() + pause;
        let rest = Rest { until, failures, error: error.clone() };
        (until, pairs.rest(&self.pair, &self.mailbox, rest))
    }

    pub(super) fn hub(&self) -> &Hub {
        &self.hub
    }

    pub(super) fn pair(&self) -> &Pair {
        &self.pair
    }
}

/// One that ends by a panic must make room for the next.
impl Drop for Link {
    fn drop(&mut self) {
        self.hub.links().pairs.lock().forget(&self.pair, &self.mailbox);
        self.mailbox.close();
    }
}

impl Hub {
    /// Starts the link of a pair, whose letter box others know already.
    pub(super) fn start_link(
        &self,
        pair: Pair,
        mailbox: Mailbox,
        why: (Option<(i64, i64)>, Option<Caller>),
    ) {
        self.start_link_behind(pair, mailbox, why, VecDeque::new());
    }

    /// The same where something was to be sent before.
    pub(super) fn start_link_behind(
        &self,
        pair: Pair,
        mailbox: Mailbox,
        why: (Option<(i64, i64)>, Option<Caller>),
        backlog: VecDeque<Delivery>,
    ) {
        let mut link = Box::new(Link::new(self, pair, mailbox, why));
        link.backlog = backlog;
        self.clock().spawn(Box::pin(link.run()));
    }

    /// A letter box for a link.
    pub(super) fn link_mailbox(&self) -> Mailbox {
        let peers = &self.limits().peers;
        Mailbox::patient(peers.queue, peers.queue_bytes)
    }
}

/// The pair of one of our domains and another server's.
pub(super) fn pair(ours: &str, peer: &str) -> Pair {
    Pair { from: Arc::from(ours), to: Arc::from(peer) }
}
