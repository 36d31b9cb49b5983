//! What happens on a stream between two servers.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use waxwing_stanza::{Stanza, StanzaError};
use waxwing_stream::{
    Answer, By, Closing, Closure, Dialback, Event, Input, Linked, Outbox, Pair, PeerTrust,
    Question, StreamError, Ticket, Verdict, Way,
};

use crate::hub::Hub;
use crate::links::lane::{INQUIRIES, Kind, Lane, Track};
use crate::links::ledger::{self, Direction, Failure, Opened, Proof, Reason};
use crate::links::setback::Setback;
use crate::links::verify::Learnt;
use crate::session::Pending;
use crate::stage::{Effects, Party};
use crate::wire::{Transport, Upgraded, Wire};

impl Lane {
    pub(super) async fn on_event(&mut self, event: Event) -> Option<Closure> {
        match event {
            Event::Stanza(seq, stanza) => self.on_stanza(seq, stanza).await,
            Event::Confirmed(tags) => {
                self.has_progress = true;
                self.confirm(tags.into_iter());
            }
            Event::Linked(linked) => self.on_linked(linked),
            Event::Dialback(asked) => self.on_dialback(asked),
            Event::Ask(ticket, Question::Vouch { domain, chain }) => {
                let inquiry = self.hub.vouch(ticket, domain, chain);
                self.inquiries.push(inquiry);
            }
            Event::Reply(reply) => self.reply(reply).await,
            Event::StartTls => self.upgrade().await,
            Event::Closed(closure) => return Some(closure),
            // The rest belongs to clients, or was told already.
            _ => {}
        }
        None
    }

    /// One stanza of the other server, of a proven pair.
    async fn on_stanza(&mut self, seq: u64, stanza: Stanza) {
        self.pace.load.stanzas += 1;
        self.used = self.hub.clock().now();
        let (Some(from), Some(to)) = (stanza.head.from.clone(), &stanza.head.to) else { return };
        let is_owed = self.stream.is_managed();
        let is_it =
            |it: &&mut Track| &*it.pair.from == to.domain() && &*it.pair.to == from.domain();
        let mut repeats = false;
        if let Some(track) = self.tracks.iter_mut().find(is_it) {
            track.way.received(stanza.head.kind);
            // Where nobody acknowledges, nobody sends again.
            repeats = is_owed && track.repeats(&self.hub, &stanza, self.used);
        }
        let head = stanza.head.clone();
        let from = Party { is_acknowledged: is_owed, ..Party::new(from, None) };
        let mut effects = Effects::default();
        if !repeats {
            Box::pin(self.hub.arrive(&from, stanza, &mut effects)).await;
        }
        self.pending.push_back(Pending::owed(&self.hub, (seq, head), is_owed, effects));
        self.settle_decided().await;
    }

    /// Delivers what is durable, in order, and counts it.
    pub(super) async fn settle_decided(&mut self) {
        while self.pending.front().is_some_and(Pending::is_decided) {
            let Some(pending) = self.pending.pop_front() else { return };
            let seq = pending.seq();
            if let Some(refusal) = pending.conclude(&self.hub).await {
                self.reply(refusal).await;
            }
            self.stream.handled(self.hub.clock().now(), seq);
        }
    }

    /// An error for somebody at the other server: the stream may go one way only, so it finds its
    /// own.
    async fn reply(&mut self, reply: Stanza) {
        let Some(from) = reply.head.from.clone() else { return };
        let mut effects = Effects::default();
        self.hub.to_remote(&Party::new(from, None), reply, &mut effects);
        self.hub.perform(effects).await;
    }

    /// A pair was proven, for one way.
    pub(in crate::links) fn on_linked(&mut self, linked: Linked) {
        let Linked { pair, way, by } = linked;
        // Here a pair is ours and theirs, whichever way it goes.
        let (pair, direction) = match way {
            Way::Out => (pair, Direction::Out),
            Way::In => (Pair { from: pair.to, to: pair.from }, Direction::In),
        };
        if way == Way::In && !self.admit(&pair) {
            return;
        }
        let proof = self.proof(way, by);
        let known = self.tracks.iter().position(|track| track.pair == pair);
        let before = known.map(|at| self.tracks.swap_remove(at));
        let (direction, proof) = match &before {
            Some(track) if track.direction != direction => (Direction::Both, track.proof),
            Some(track) => (track.direction, track.proof),
            None => (direction, proof),
        };
        if let (Way::Out, Kind::Arrival(guest)) = (way, &self.kind) {
            guest.open(&pair, &self.mailbox);
        }
        let (before, echo) = before.map(|track| (track.way, track.echo)).unzip();
        let (echo, way) = (echo.flatten(), self.note(&pair, direction, proof, before));
        self.tracks.push(Track { pair, direction, proof, way, echo });
    }

    /// Ends the stream when what proved a pair is not enough any more, because the rules have
    /// changed since.
    pub(super) fn recheck(&mut self) -> Option<Closure> {
        let version = self.hub.policy().version();
        if std::mem::replace(&mut self.rules, version) == version {
            return None;
        }
        let is_encrypted = self.stream.security().is_encrypted();
        let is_enough = |track: &Track| {
            let is_dialback = matches!(track.proof, Proof::Dialback | Proof::DialbackPlain);
            self.hub.policy().judge(&track.pair.to).is_ok_and(|terms| {
                !(terms.certificate_required && is_dialback || terms.tls_required && !is_encrypted)
            })
        };
        if self.tracks.iter().all(is_enough) {
            return None;
        }
        let error = StreamError::policy_violation().text("the rules of this server have changed");
        self.stream.close(self.hub.clock().now(), Closing::Error(error.clone()));
        Some(Closure::Error(error))
    }

    /// Whether the other side may send for this pair, on one more stream.
    fn admit(&mut self, pair: &Pair) -> bool {
        let Kind::Arrival(guest) = &self.kind else {
            self.bucket.get_or_insert_default();
            return true;
        };
        // The rules, and which names are ours, may have changed since it was asked for.
        if let Err(error) = self.hub.border(&pair.from, Some(&pair.to)) {
            self.stream.close(self.hub.clock().now(), Closing::Error(error));
            return false;
        }
        if let Some(bucket) = guest.proved(pair) {
            self.bucket.get_or_insert(bucket);
            self.wire.trust(self.hub.limits().stream.after_auth.element_bytes);
            return true;
        }
        let words =
            format!("{} opens too many streams, or its network has too many names.", pair.to);
        let failure = Failure::new(Reason::Resources, words, "");
        self.note_refusal(Some(&pair.to), Some(&pair.from), failure);
        let error = StreamError::resource_constraint().text("too many streams of your server");
        self.stream.close(self.hub.clock().now(), Closing::Error(error));
        false
    }

    /// How the other side has proven who it is.
    fn proof(&self, way: Way, by: By) -> Proof {
        let security = self.stream.security();
        let dialback = if security.is_encrypted() { Proof::Dialback } else { Proof::DialbackPlain };
        match (&self.kind, way, &security.peer_trust) {
            (Kind::Link { .. }, _, Some(PeerTrust::Certificate)) => Proof::Certificate,
            (Kind::Link { .. }, _, Some(PeerTrust::Dane)) => Proof::Dane,
            (Kind::Link { .. }, _, Some(PeerTrust::Posh)) => Proof::Posh,
            // It is where its domain leads to, and nothing else is known of it.
            (Kind::Link { .. }, ..) => dialback,
            (Kind::Arrival(_), ..) if by == By::Certificate => Proof::Certificate,
            (Kind::Arrival(_), ..) => dialback,
        }
    }

    /// Tells the ledger of a pair, which may stand there in one direction already.
    fn note(
        &self,
        pair: &Pair,
        direction: Direction,
        proof: Proof,
        before: Option<ledger::Way>,
    ) -> ledger::Way {
        let security = self.stream.security();
        let found_by = match &self.kind {
            Kind::Link { found_by, .. } => Some(Arc::clone(found_by)),
            Kind::Arrival(_) => None,
        };
        let opened = Opened {
            ours: &pair.from,
            theirs: &pair.to,
            direction,
            proof,
            tls: security.tls_version.map(version),
            cipher: security.cipher.clone(),
            transport: transport(self.wire.transport(), security.is_encrypted()),
            address: Some(self.address()),
            found_by,
            resumable: self.stream.is_managed(),
        };
        match before {
            Some(before) => self.hub.ledger().widened(before, &opened),
            None => self.hub.ledger().opened(opened),
        }
    }

    pub(super) fn note_refusal(&self, theirs: Option<&str>, ours: Option<&str>, failure: Failure) {
        self.hub.ledger().refused(theirs, ours, self.address().ip(), failure);
    }

    /// Tells the ledger how it ended.
    pub(super) fn tell_end(&mut self, closure: &Closure, setback: Option<&Setback>) {
        if let Closure::Error(error) = closure {
            self.hub.metrics().stream_error(error.condition.name());
        }
        let failure = setback.map(|setback| &setback.failure);
        if self.tracks.is_empty()
            && let Some(failure) = self.doubt.take().or_else(|| failure.cloned())
        {
            let peer = self.stream.peer().cloned();
            self.note_refusal(peer.as_deref(), None, failure);
        }
        for track in self.tracks.drain(..) {
            track.way.end(failure);
        }
    }

    /// XEP-0220 §2.2.1: somebody wants to speak for a domain. The stream goes on meanwhile.
    fn on_dialback(&mut self, asked: Dialback) {
        let asking = match &self.kind {
            Kind::Arrival(guest) if self.inquiries.len() < INQUIRIES => guest.ask(),
            _ => None,
        };
        if let Some(asking) = asking {
            return self.inquiries.push(self.hub.verify(asked, asking));
        }
        let error = StanzaError::resource_constraint().text("Too many keys are being verified.");
        self.stream.verified(self.hub.clock().now(), &asked, Verdict::Failed(error));
    }

    pub(super) fn learn(&mut self, learnt: Learnt) {
        let now = self.hub.clock().now();
        match learnt {
            Learnt::Dialback(asked, verdict, failure) => {
                let pair = &asked.pair;
                if !matches!(verdict, Verdict::Valid) {
                    let failure = failure.unwrap_or_else(|| disowned(pair, &verdict));
                    self.note_refusal(Some(&pair.from), Some(&pair.to), failure);
                }
                self.stream.verified(now, &asked, verdict);
            }
            Learnt::Vouched(ticket, domain, verdict) => self.vouched(ticket, &domain, verdict),
        }
    }

    fn vouched(&mut self, ticket: Ticket, domain: &str, verdict: Result<(), Arc<str>>) {
        if let Err(words) = &verdict {
            tracing::debug!(domain, %words, "a certificate is not good");
            let advice = "Whoever runs that server has to see to its certificate.";
            self.doubt = Some(Failure::new(Reason::Certificate, words, advice));
        }
        self.stream.answer(self.hub.clock().now(), ticket, Answer::Vouched(verdict));
    }

    /// Flushes `<proceed/>` and puts TLS under the stream, within the handshake's time.
    async fn upgrade(&mut self) {
        let clock = self.hub.clock().clone();
        let deadline = self.stream.deadline();
        let gone = Gone { transport: self.wire.transport(), peer: self.wire.peer() };
        let mut wire = std::mem::replace(&mut self.wire, Box::new(gone));
        let stream = &mut self.stream;
        let upgraded = async {
            if !stream.outbox().is_empty() {
                poll_fn(|cx| wire.poll_write(cx, stream.outbox())).await?;
            }
            wire.upgrade().await
        };
        let outcome: Upgraded = tokio::select! {
            outcome = upgraded => outcome,
            () = clock.until(deadline) => Err(io::ErrorKind::TimedOut.into()),
        };
        match outcome {
            Ok((wire, security)) => {
                self._connected = self.hub.metrics().connected(wire.transport().name());
                self.wire = wire;
                self.stream.secured(clock.now(), security);
            }
            Err(error) => {
                self.setback = Some(Setback::tls(self.peer(), &error));
                self.stream.receive(clock.now(), Input::End);
            }
        }
    }
}

impl Track {
    /// Whether a stanza of the other side came before, on a stream that broke.
    fn repeats(&mut self, hub: &Hub, stanza: &Stanza, now: Instant) -> bool {
        let begin = || Box::new(hub.links().echoes.lock().begin(&self.pair, now));
        self.echo.get_or_insert_with(begin).repeats(stanza, now)
    }
}

fn disowned(pair: &Pair, verdict: &Verdict) -> Failure {
    let domain = &pair.from;
    let words = match verdict {
        Verdict::Failed(error) => match &error.text {
            Some(text) => format!("The server of {domain} could not be asked: {text}"),
            None => {
                format!("The server of {domain} could not be asked: {}.", error.condition.name())
            }
        },
        _ => format!("Somebody spoke for {domain}, whose own server says that it was not it."),
    };
    Failure::new(Reason::Dialback, words, "")
}

fn version(number: u16) -> Arc<str> {
    match number {
        0x0303 => "TLS 1.2".into(),
        0x0304 => "TLS 1.3".into(),
        other => format!("TLS {other:04x}").into(),
    }
}

fn transport(transport: Transport, is_encrypted: bool) -> ledger::Transport {
    match transport {
        Transport::ServerTls | Transport::DirectTls => ledger::Transport::DirectTls,
        Transport::ServerStartTls | Transport::StartTls => ledger::Transport::StartTls,
        Transport::Memory => ledger::Transport::Memory,
        it if it.is_websocket() => ledger::Transport::WebSocket,
        _ if is_encrypted => ledger::Transport::StartTls,
        _ => ledger::Transport::Plain,
    }
}

/// The place of a wire that is being upgraded; what is left when that fails.
struct Gone {
    transport: Transport,
    peer: SocketAddr,
}

impl Wire for Gone {
    fn poll_read(&mut self, _: &mut Context<'_>, sink: &mut dyn FnMut(Input<'_>)) -> Poll<()> {
        sink(Input::End);
        Poll::Ready(())
    }

    fn poll_write(&mut self, _: &mut Context<'_>, out: &mut Outbox) -> Poll<io::Result<()>> {
        out.clear();
        Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn upgrade(self: Box<Self>) -> Pin<Box<dyn Future<Output = Upgraded> + Send>> {
        Box::pin(async { Err(io::ErrorKind::NotConnected.into()) })
    }

    fn transport(&self) -> Transport {
        self.transport
    }

    fn peer(&self) -> SocketAddr {
        self.peer
    }
}
