//! A stream that another server opened: one task that ends with its connection.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use waxwing_stanza::StanzaError;
use waxwing_stream::{Closing, Framing, Pair, Security, Stream, StreamError};

use crate::connection::part;
use crate::hub::Hub;
use crate::links::Open;
use crate::links::arrivals::Guest;
use crate::links::bounce::{BOUNCE, may_be_sent_again};
use crate::links::lane::{Kind, Lane, Leftover};
use crate::links::link::pair;
use crate::mailbox::{Delivery, Mail, Mailbox};
use crate::wire::Wire;

/// Takes a new connection of another server in; returns at once.
pub fn accept_server(hub: &Hub, wire: Box<dyn Wire>, security: Security) {
    let framing = if wire.transport().is_framed() { Framing::WebSocket } else { Framing::Tcp };
    accept_server_framed(hub, wire, security, framing);
}

/// The same with the framing said aloud, for wires in memory.
pub fn accept_server_framed(hub: &Hub, wire: Box<dyn Wire>, security: Security, framing: Framing) {
    let hosts = Arc::new(hub.door(wire.peer().ip()));
    let now = hub.clock().now();
    let mut stream = Box::new(Stream::incoming(now, framing, security, hosts, hub.entropy()));
    let mailbox = hub.link_mailbox();
    let Some(guest) = Guest::enter(hub, &mailbox, wire.peer().ip()) else {
        tracing::info!(peer = %wire.peer(), "too many servers that have proven nothing");
        let error =
            StreamError::resource_constraint().text("too many connections; come back later");
        stream.close(now, Closing::Error(error));
        return part(hub, stream, wire);
    };
    let open = Open::count(hub);
    let lane = Lane::new(hub, (stream, wire), mailbox.clone(), Kind::Arrival(guest));
    let hub_ = hub.clone();
    hub.clock().spawn(Box::pin(run(hub_, Box::new(lane), mailbox, open)));
}

async fn run(hub: Hub, mut lane: Box<Lane>, mailbox: Mailbox, _open: Open) {
    let closure = loop {
        if let Some(closure) = lane.run(false).await {
            break closure;
        }
    };
    Box::pin(end(hub, lane, &closure, mailbox)).await;
}

/// What was to be sent back on it goes first on the links that begin in its place.
async fn end(hub: Hub, lane: Box<Lane>, closure: &waxwing_stream::Closure, mailbox: Mailbox) {
    let peer = lane.peer().to_owned();
    // Whoever holds this is known as a way for our stanzas.
    let Leftover { sent, unsent, kind, .. } = lane.end(closure).await;
    let (again, lost): (Vec<_>, Vec<_>) =
        sent.into_iter().partition(|delivery| may_be_sent_again(&delivery.stanza));
    let left = again.into_iter().chain(unsent).collect();
    let mut others = if hub.links().is_closing() { left } else { hub.succeed(&mailbox, left) };
    drop(kind);
    let text = format!("The connection to {peer} was lost before there was an answer.");
    hub.bounce(lost, &StanzaError::remote_server_timeout().text(text)).await;
    if hub.links().is_closing() {
        return;
    }
    while !others.is_empty() {
        let some = others.drain(..others.len().min(BOUNCE)).collect();
        hub.redeliver(some, &mailbox).await;
        tokio::task::yield_now().await;
    }
}

impl Hub {
    /// A stream of another server has ended that took stanzas of ours, too, and these are left.
    /// They go first on a link of their own, before anybody can find another way for what comes
    /// behind them (RFC 6120 §10.1). Gives those that have to find their way.
    fn succeed(&self, ended: &Mailbox, left: VecDeque<Delivery>) -> VecDeque<Delivery> {
        let (most, now) = (self.limits().peers.links, self.clock().now());
        let mut pairs = self.links().pairs.lock();
        let letters = ended.close().into_iter().filter_map(|letter| match letter {
            Mail::Deliver(delivery) => Some(delivery),
            Mail::Resume(_) | Mail::Close(_) => None,
        });
        let mut groups: HashMap<Pair, VecDeque<Delivery>> = HashMap::new();
        for delivery in left.into_iter().chain(letters) {
            if let (Some(from), Some(to)) = (&delivery.stanza.head.from, &delivery.stanza.head.to) {
                groups.entry(pair(from.domain(), to.domain())).or_default().push_back(delivery);
            }
        }
        let (mut begun, mut others) = (Vec::new(), VecDeque::new());
        for (pair, backlog) in groups {
            let mailbox = self.link_mailbox();
            let is_free = pairs.way(&pair.from, &pair.to).is_some_and(|way| way.is(ended));
            match is_free.then(|| pairs.begin(&pair, &mailbox, (most, now))) {
                Some(Ok(owed)) => begun.push((pair, mailbox, owed, backlog)),
                _ => others.extend(backlog),
            }
        }
        drop(pairs);
        for (pair, mailbox, owed, backlog) in begun {
            let why = (owed.map(|last| (0, last)), None);
            self.start_link_behind(pair, mailbox, why, backlog);
        }
        others
    }
}
