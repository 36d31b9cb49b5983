//! A stream that another server opened: one task that ends with its connection.

use std::collections::VecDeque;
use std::sync::Arc;

use waxwing_stanza::StanzaError;
use waxwing_stream::{Closing, Framing, Security, Stream, StreamError};

use crate::connection::part;
use crate::hub::Hub;
use crate::links::Open;
use crate::links::arrivals::Guest;
use crate::links::bounce::{BOUNCE, may_be_sent_again};
use crate::links::lane::{Kind, Lane};
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

/// What was to be sent back on it finds another way.
async fn end(hub: Hub, lane: Box<Lane>, closure: &waxwing_stream::Closure, mailbox: Mailbox) {
    let peer = lane.peer().to_owned();
    let leftover = lane.end(closure).await;
    let letters = mailbox.close().into_iter().filter_map(|letter| match letter {
        Mail::Deliver(delivery) => Some(delivery),
        Mail::Resume(_) | Mail::Close(_) => None,
    });
    let (again, lost): (Vec<_>, Vec<_>) =
        leftover.sent.into_iter().partition(|delivery| may_be_sent_again(&delivery.stanza));
    let text = format!("The connection to {peer} was lost before there was an answer.");
    hub.bounce(lost, &StanzaError::remote_server_timeout().text(text)).await;
    if hub.links().is_closing() {
        return;
    }
    let mut all: VecDeque<Delivery> =
        again.into_iter().chain(leftover.unsent).chain(letters).collect();
    while !all.is_empty() {
        let some = all.drain(..all.len().min(BOUNCE)).collect();
        hub.redeliver(some, &mailbox).await;
        tokio::task::yield_now().await;
    }
}
