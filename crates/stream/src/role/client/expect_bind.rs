//! Waiting for the client to bind a resource (RFC 6120 §7) or to resume a session (XEP-0198 §5).

use std::time::Instant;

use waxwing_jid::{BareJid, Jid, prepare_resource};
use waxwing_stanza::{IqType, Kind, Malformed, Stanza, StanzaError};
use waxwing_xml::{Element, write};

use crate::acks::Acks;
use crate::chassis::Chassis;
use crate::error::StreamError;
use crate::event::{Answer, Installation, Question};
use crate::role::client::management::{replay, too_high};
use crate::role::client::{Open, State, management_failed, refuse_management, unexpected};
use crate::{BIND, SM};

/// The state after authentication.
pub(crate) struct ExpectBind {
    account: BareJid,
    by: Installation,
    failures: u8,
    pending: Option<Pending>,
}

/// What was asked.
enum Pending {
    Bind(Stanza),
    /// With the count of stanzas that the client has handled.
    Resume(u32),
}

impl ExpectBind {
    pub(crate) fn new(account: BareJid, by: Installation) -> ExpectBind {
        ExpectBind { account, by, failures: 0, pending: None }
    }

    pub(crate) fn element(self: Box<Self>, io: &mut Chassis, element: Element) -> State {
        if element.is("resume", SM) {
            return self.resume(io, &element);
        }
        if refuse_management(io, &element) {
            return State::ExpectBind(self);
        }
        let refused = unexpected(&element);
        match Stanza::read(element) {
            Ok(stanza) if is_bind(&stanza) => self.bind(io, stanza),
            Err(Malformed::Stanza(report)) if is_bind(&report.0) => {
                self.refuse(io, &report.0, &report.1)
            }
            // RFC 6120 §7.1: no stanza is processed before a resource is bound.
            _ => io.fail(refused),
        }
    }

    pub(crate) fn answer(
        mut self: Box<Self>,
        io: &mut Chassis,
        now: Instant,
        answer: Answer,
    ) -> State {
        match (self.pending.take(), answer) {
            (Some(Pending::Bind(request)), Answer::Bound(Ok(address))) => {
                let result = request.result(Some(bound(&address)));
                let xmlns = io.stanza_xmlns();
                io.write(|out| result.write(out, xmlns));
                Open::start(io, now, address, 0)
            }
            (Some(Pending::Bind(request)), Answer::Bound(Err(error))) => {
                self.refuse(io, &request, &error)
            }
            (Some(Pending::Bind(request)), _) => {
                self.refuse(io, &request, &StanzaError::internal_server_error())
            }
            (Some(Pending::Resume(h)), Answer::Resumed(acks)) => {
                if acks.address().bare() != self.account {
                    io.acks = Some(acks);
                    return io.fail(StreamError::internal_server_error());
                }
                resumed(io, now, acks, h, |out, resumed| out.push_str(resumed))
            }
            (Some(Pending::Resume(_)), answer) => {
                let h = match answer {
                    Answer::NotResumed { h } => h,
                    _ => None,
                };
                management_failed(io, &StanzaError::item_not_found(), h);
                self.retry(io)
            }
            (None, _) => State::ExpectBind(self),
        }
    }

    fn bind(mut self: Box<Self>, io: &mut Chassis, stanza: Stanza) -> State {
        let wanted = stanza.body.child("bind", BIND).and_then(|bind| {
            let resource = bind.children().find(|child| child.is("resource", BIND))?;
            Some(resource.text().into_owned()).filter(|text| !text.is_empty())
        });
        let resource = match wanted.as_deref().map(prepare_resource).transpose() {
            Ok(resource) => resource.map(|resource| resource.into_owned()),
            Err(reason) => {
                let error = StanzaError::bad_request().text(reason.to_string());
                return self.refuse(io, &stanza, &error);
            }
        };
        let (account, by) = (self.account.clone(), self.by.clone());
        io.ask(Question::Bind { account, resource, by });
        self.pending = Some(Pending::Bind(stanza));
        State::ExpectBind(self)
    }

    fn resume(mut self: Box<Self>, io: &mut Chassis, element: &Element) -> State {
        let h = element.attribute("h").and_then(|h| h.parse().ok());
        let previd = element.attribute("previd").filter(|previd| !previd.is_empty());
        let (Some(h), Some(previd)) = (h, previd) else {
            management_failed(io, &StanzaError::bad_request(), None);
            return self.retry(io);
        };
        let account = self.account.clone();
        io.ask(Question::Resume { account, previd: previd.into_owned(), h });
        self.pending = Some(Pending::Resume(h));
        State::ExpectBind(self)
    }

    fn refuse(self: Box<Self>, io: &mut Chassis, request: &Stanza, error: &StanzaError) -> State {
        if let Some(reply) = request.error_reply(error) {
            let xmlns = io.stanza_xmlns();
            io.write(|out| reply.write(out, xmlns));
        }
        self.retry(io)
    }

    fn retry(mut self: Box<Self>, io: &mut Chassis) -> State {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= io.limits().bind_attempts {
            return io.fail(StreamError::policy_violation().text("too many failed attempts"));
        }
        State::ExpectBind(self)
    }
}

/// XEP-0198 §5: "it should handle the element's 'h' attribute as it would handle it on an <a/>
/// element ..., except that after processing it MUST re-send to the peer any stanzas that are
/// still marked as unhandled." What says `<resumed/>` is `say`.
pub(crate) fn resumed(
    io: &mut Chassis,
    now: Instant,
    mut acks: Box<Acks>,
    h: u32,
    say: impl FnOnce(&mut String, &str),
) -> State {
    let address = acks.address().clone();
    let received = acks.resume();
    let confirmed = acks.confirm(h);
    let previd = acks.id().unwrap_or_default().to_owned();
    let handled = acks.h();
    io.acks = Some(acks);
    match confirmed {
        Err(error) => too_high(io, error),
        Ok(tags) => {
            let mut resumed = String::new();
            write_resumed(&mut resumed, handled, &previd);
            io.write(|out| say(out, &resumed));
            let state = Open::start(io, now, address, received);
            replay(io, now, tags);
            state
        }
    }
}

fn write_resumed(out: &mut String, h: u32, previd: &str) {
    use std::fmt::Write;
    write!(out, "<resumed xmlns='{SM}' h='{h}'").expect("strings take every write");
    write::attribute(out, "previd", previd);
    out.push_str("/>");
}

fn is_bind(stanza: &Stanza) -> bool {
    stanza.head.kind == Kind::Iq(IqType::Set) && stanza.body.has("bind", BIND)
}

fn bound(address: &Jid) -> String {
    let mut out = String::from("<bind");
    write::attribute(&mut out, "xmlns", BIND);
    out.push_str("><jid>");
    write::text(&mut out, address.as_str());
    out.push_str("</jid></bind>");
    out
}
