//! Stream management between servers (XEP-0198), without resumption.

use std::sync::Arc;
use std::time::Instant;

use waxwing_stanza::StanzaError;
use waxwing_xml::Element;

use crate::SM;
use crate::acks::Acks;
use crate::chassis::Chassis;
use crate::error::StreamError;
use crate::outbox::MarkKind;
use crate::role::client::management::{
    answer_request, confirmed, request, schedule_request, too_high_error, write_enabled,
    write_failed,
};
use crate::role::server::Step;
use crate::role::server::link::{Link, address};

/// An element of a peer that has called us.
pub(super) fn incoming(
    link: &mut Link,
    io: &mut Chassis,
    now: Instant,
    (element, peer): (&Element, &Arc<str>),
    accepts: bool,
) -> Step {
    match element.name() {
        "enable" if io.acks.is_some() => {
            failed(io, &StanzaError::unexpected_request());
            let text = "stream management is already enabled";
            Err(StreamError::policy_violation().text(text).into())
        }
        "enable" if accepts => {
            start(link, io, peer);
            io.write(|out| write_enabled(out, None, 0));
            Ok(())
        }
        "resume" if accepts => {
            failed(io, &StanzaError::item_not_found());
            Ok(())
        }
        "enable" | "resume" => {
            failed(io, &StanzaError::unexpected_request());
            Ok(())
        }
        _ => counted(io, now, element),
    }
}

/// Asks a server that we have called to count. What is sent from now on counts: "The counter for an
/// entity's own sent stanzas is set to zero and started after sending either <enable/> or
/// <enabled/>" (§4).
pub(super) fn enable(link: &Link, io: &mut Chassis, peer: &Arc<str>) {
    start(link, io, peer);
    io.write(|out| {
        out.push_str("<enable");
        waxwing_xml::write::attribute(out, "xmlns", SM);
        out.push_str("/>");
    });
}

/// An element of a server that we have called; `enabling` while our `<enable/>` is unanswered.
pub(super) fn outgoing(
    link: &Link,
    io: &mut Chassis,
    now: Instant,
    element: &Element,
    enabling: &mut bool,
) -> Step {
    match element.name() {
        "enabled" if *enabling => {
            *enabling = false;
            if let Some(acks) = &mut io.acks {
                acks.begin(link.received);
            }
            Ok(())
        }
        // Then what was written has to do.
        "failed" if *enabling => {
            *enabling = false;
            io.timers.ack = None;
            let unacked = io.acks.take().into_iter().flat_map(|acks| acks.into_unacked());
            let tags = unacked.map(|(_, tag)| tag).filter(|tag| tag.0 != 0).collect();
            confirmed(io, tags);
            Ok(())
        }
        _ => counted(io, now, element),
    }
}

fn start(link: &Link, io: &mut Chassis, peer: &Arc<str>) {
    io.acks = Some(Box::new(Acks::new(address(peer), link.received, io.limits())));
}

fn failed(io: &mut Chassis, error: &StanzaError) {
    io.write(|out| write_failed(out, error, None));
}

/// `<r/>` and `<a/>`, which are the same on both sides.
fn counted(io: &mut Chassis, now: Instant, element: &Element) -> Step {
    match (element.name(), &mut io.acks) {
        ("r", Some(_)) => answer_request(io),
        ("a", Some(acks)) => {
            let Some(h) = element.attribute("h").and_then(|h| h.parse().ok()) else {
                let text = "an acknowledgement needs a count";
                return Err(StreamError::invalid_xml().text(text).into());
            };
            let tags = acks.confirm(h).map_err(too_high_error)?;
            confirmed(io, tags);
            schedule_request(io, now);
        }
        ("r" | "a", None) => failed(io, &StanzaError::unexpected_request()),
        _ => return Err(StreamError::unsupported_stanza_type().into()),
    }
    Ok(())
}

/// Asks a silent peer whether it is still there.
pub(super) fn probe(io: &mut Chassis, now: Instant) {
    if io.acks.is_some() {
        return request(io);
    }
    // Nobody answers white space, and a stream that goes one way is silent by nature. What breaks
    // under it is noticed by the transport.
    if io.is_websocket() {
        io.mark(MarkKind::Ping);
    } else {
        io.write(|out| out.push(' '));
    }
    io.heard(now);
}
