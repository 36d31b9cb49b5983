//! From nothing to an open stream: connecting to another server and negotiating with it.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use waxwing_stream::{
    Call, Closure, Event, Framing, Linked, Pair, Purpose, Stream, Trouble, Verdict, Way,
};

use crate::connection::part;
use crate::hub::Hub;
use crate::links::demand;
use crate::links::dial::{DialAsk, Dialled, Place, UnreachedKind};
use crate::links::policy::Terms;
use crate::links::setback::Setback;
use crate::rate::Pace;
use crate::session::{Alarm, Listen, Woke, expire};
use crate::wire::Wire;

/// Connections that are made for one attempt: a server has a few addresses, and one of them is
/// tried twice where our certificate is not taken.
const TRIES: usize = 5;

/// A stream to another server on which what was wanted has been gained.
pub(super) struct Reached {
    pub(super) stream: Box<Stream>,
    pub(super) wire: Box<dyn Wire>,
    pub(super) place: Place,
    pub(super) gained: Gained,
}

/// What a stream was opened for.
pub(super) enum Gained {
    /// Stanzas may be sent on it.
    Link(Linked),
    /// A key was judged (XEP-0220 §2.1.2).
    Verdict(Verdict),
}

/// Whom to reach, and what for.
pub(super) struct Errand<'a> {
    /// Ours, and the other server's.
    pub(super) pair: &'a Pair,
    pub(super) purpose: Purpose,
    pub(super) terms: &'a Terms,
}

/// Why a negotiation did not work.
enum Failed {
    /// The stream says so.
    Trouble(Trouble),
    Other(Setback),
}

impl Hub {
    /// Connects to another server, negotiates, and tries the next of its addresses when that fails;
    /// not longer than may be.
    pub(super) async fn reach(&self, errand: Errand<'_>) -> Result<Reached, Setback> {
        let peer = Arc::clone(&errand.pair.to);
        let time = Duration::from_secs(self.limits().peers.dial_seconds);
        let _permit = tokio::select! {
            biased;
            permit = self.links().dials.acquire() => permit.map_err(|_| Setback::busy())?,
            () = self.clock().until(Some(self.clock().now() + time)) => {
                return Err(Setback::busy());
            }
        };
        let deadline = self.clock().now() + time;
        let (mut skip, mut external, mut last) = (Vec::new(), true, None);
        for _ in 0..TRIES {
            let dialled = match self.dial(&errand, &skip, (deadline, time)).await {
                Ok(dialled) => dialled,
                Err(setback) => return Err(last.unwrap_or(setback)),
            };
            let address = dialled.place.address;
            let failed = match self.negotiate(&errand, dialled, (external, deadline)).await {
                Ok(reached) => return Ok(reached),
                Err(failed) => failed,
            };
            let is_worth_dialback =
                matches!(&failed, Failed::Trouble(it) if it.is_worth_dialback());
            let setback = match failed {
                Failed::Trouble(trouble) => Setback::trouble(&trouble, &peer),
                Failed::Other(setback) => setback,
            };
            if external && is_worth_dialback && errand.terms.dialback_allowed {
                external = false;
            } else if setback.is_final || self.clock().now() >= deadline {
                return Err(setback);
            } else {
                skip.push(address);
            }
            last = Some(setback);
        }
        Err(last.unwrap_or_else(|| Setback::late(&peer, time)))
    }

    async fn dial(
        &self,
        errand: &Errand<'_>,
        skip: &[std::net::SocketAddr],
        (deadline, time): (Instant, Duration),
    ) -> Result<Dialled, Setback> {
        let Some(dialer) = self.dialer() else { return Err(Setback::busy()) };
        let ask = DialAsk {
            from: Arc::clone(&errand.pair.from),
            to: Arc::clone(&errand.pair.to),
            skip: skip.to_vec(),
            demand: demand(errand.terms),
            place: errand.terms.place.clone(),
            deadline,
        };
        let dialled = tokio::select! {
            biased;
            dialled = dialer.dial(ask) => dialled,
            () = self.clock().until(Some(deadline)) => {
                return Err(Setback::late(&errand.pair.to, time));
            }
        };
        dialled.map_err(|unreached| match unreached.kind {
            UnreachedKind::Timeout if unreached.words.is_empty() => {
                Setback::late(&errand.pair.to, time)
            }
            _ => Setback::unreached(&unreached),
        })
    }

    /// Speaks with whoever was reached until what was wanted is gained.
    async fn negotiate(
        &self,
        errand: &Errand<'_>,
        dialled: Dialled,
        (external, deadline): (bool, Instant),
    ) -> Result<Reached, Failed> {
        let Dialled { wire, security, place } = dialled;
        let framing = if wire.transport().is_framed() { Framing::WebSocket } else { Framing::Tcp };
        let hosts = Arc::new(self.door(place.address.ip()));
        let is_link = matches!(errand.purpose, Purpose::Link);
        let call = Call {
            pair: errand.pair.clone(),
            purpose: errand.purpose.clone(),
            demand: demand(errand.terms),
            external,
            bidi: is_link,
            acks: is_link,
        };
        let now = self.clock().now();
        let stream = Stream::outgoing(now, framing, security, call, hosts, self.entropy());
        let (stream, peer) = (Box::new(stream), &*errand.pair.to);
        let (alarm, pace) = (Alarm::default(), Pace::default());
        let mut talk = Talk { hub: self, peer, stream, wire, alarm, pace };
        let told = async {
            loop {
                match talk.work().await? {
                    (next, Some(gained)) => return Ok((next, gained)),
                    (next, None) => talk = next,
                }
                talk.listen().await;
            }
        };
        tokio::select! {
            biased;
            told = told => {
                let (Talk { stream, wire, .. }, gained) = told?;
                Ok(Reached { stream, wire, place, gained })
            }
            () = self.clock().until(Some(deadline)) => {
                let time = Duration::from_secs(self.limits().peers.dial_seconds);
                Err(Failed::Other(Setback::late(peer, time)))
            }
        }
    }
}

/// A stream that is not open yet.
struct Talk<'a> {
    hub: &'a Hub,
    peer: &'a str,
    stream: Box<Stream>,
    wire: Box<dyn Wire>,
    alarm: Alarm,
    pace: Pace,
}

impl Talk<'_> {
    /// Does what the stream asks for; gives what is gained.
    async fn work(mut self) -> Result<(Self, Option<Gained>), Failed> {
        while let Some(event) = self.stream.next_event() {
            match event {
                Event::Linked(linked) if linked.way == Way::Out => {
                    return Ok((self, Some(Gained::Link(linked))));
                }
                Event::Verdict(verdict) => return Ok((self, Some(Gained::Verdict(verdict)))),
                Event::StartTls => self = self.secure().await?,
                Event::Closed(closure) => {
                    part(self.hub, self.stream, self.wire);
                    return Err(Failed::Trouble(match closure {
                        Closure::Refused(trouble) => trouble,
                        Closure::Error(error) => Trouble::Broken(error),
                        Closure::Footer => Trouble::Closed,
                        Closure::Lost => Trouble::Lost,
                    }));
                }
                _ => {}
            }
        }
        Ok((self, None))
    }

    /// Until something has happened on the wire, or a time is over.
    async fn listen(&mut self) {
        let Self { hub, stream, wire, alarm, pace, .. } = self;
        pace.pay((hub.clock(), hub.started()), &hub.limits().early_rate, None);
        let woke = poll_fn(|cx| {
            let mut listen = Listen {
                stream,
                wire: &mut **wire,
                alarm,
                clock: hub.clock(),
                mailbox: None,
                deliveries: false,
                pending: None,
                reads: true,
                pace,
            };
            listen.poll(cx)
        });
        match woke.await {
            Woke::Deadline => expire(stream, hub.clock().now(), pace),
            Woke::Flushed => stream.outbox().clear(),
            _ => {}
        }
    }

    /// The client's side of STARTTLS.
    async fn secure(self) -> Result<Self, Failed> {
        let Self { hub, peer, mut stream, mut wire, alarm, pace } = self;
        let upgraded = async {
            if !stream.outbox().is_empty() {
                poll_fn(|cx| wire.poll_write(cx, stream.outbox())).await?;
            }
            wire.upgrade().await
        };
        match upgraded.await {
            Ok((wire, security)) => {
                stream.secured(hub.clock().now(), security);
                Ok(Self { hub, peer, stream, wire, alarm, pace })
            }
            Err(error) => Err(Failed::Other(Setback::tls(peer, &error))),
        }
    }
}
