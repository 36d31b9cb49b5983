//! Waiting for the client to authenticate (RFC 6120 §6).

use std::sync::Arc;
use std::time::Instant;

use waxwing_jid::BareJid;
use waxwing_stanza::{IqType, Kind, Stanza};
use waxwing_xml::{Element, write};

use crate::chassis::Chassis;
use crate::error::StreamError;
use crate::event::{Answer, Event};
use crate::host::Host;
use crate::limits::seconds;
use crate::role::client::{ExpectHeader, ExpectTls, State, refuse_management, unexpected};
use crate::sasl::{self, Context, Exchange, Failure, FailureCondition, Mechanism, Step};
use crate::{CLIENT, SASL, TLS};

const REGISTER: &str = "jabber:iq:register";

/// The state before authentication.
pub(crate) struct ExpectSasl {
    exchange: Exchange,
    failures: u8,
    /// STARTTLS is possible too.
    starttls: bool,
    /// A registration request is with the driver.
    early: bool,
}

impl ExpectSasl {
    pub(crate) fn new(failures: u8, starttls: bool) -> ExpectSasl {
        ExpectSasl { exchange: Exchange::Idle, failures, starttls, early: false }
    }

    pub(crate) fn element(
        mut self: Box<Self>,
        io: &mut Chassis,
        now: Instant,
        element: Element,
    ) -> State {
        match (element.name(), element.namespace()) {
            ("auth" | "response" | "abort", SASL) => {
                let account = self.exchange.account().cloned();
                let step = self.message(io, &element);
                self.step(io, account, step)
            }
            ("starttls", TLS) if self.starttls => {
                Box::new(ExpectTls { failures: self.failures }).proceed(io)
            }
            ("starttls", TLS) => {
                // RFC 6120 §5.4.2.2: say so, and close the stream.
                io.write(|out| out.push_str("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
                io.finish()
            }
            ("iq", CLIENT) if host(io).registration => self.early(io, now, element),
            _ if refuse_management(io, &element) => State::ExpectSasl(self),
            _ => io.fail(unexpected(&element)),
        }
    }

    pub(crate) fn answer(mut self: Box<Self>, io: &mut Chassis, answer: Answer) -> State {
        if std::mem::take(&mut self.early) {
            if let Answer::Reply(Some(stanza)) = answer {
                let xmlns = io.stanza_xmlns();
                io.write(|out| stanza.write(out, xmlns));
            }
            return State::ExpectSasl(self);
        }
        let account = self.exchange.account().cloned();
        let host = host(io);
        let step = self.exchange.answer(answer, &context(io, &host));
        self.step(io, account, step)
    }

    fn message(&mut self, io: &Chassis, element: &Element) -> Step {
        let host = host(io);
        let context = context(io, &host);
        if element.name() == "abort" {
            return self.exchange.abort();
        }
        let text = element.text();
        let data = match sasl::decode(&text) {
            Ok(data) => data,
            Err(failure) => return Step::Failure(failure),
        };
        if element.name() == "response" {
            return self.exchange.respond(&data, &context);
        }
        let name = element.attribute("mechanism").unwrap_or_default();
        match Mechanism::parse(&name) {
            Some(mechanism) => {
                let initial = (!text.is_empty()).then_some(data.as_slice());
                self.exchange.start(mechanism, initial, &context)
            }
            None => Step::Failure(Failure::new(FailureCondition::InvalidMechanism)),
        }
    }

    fn step(self: Box<Self>, io: &mut Chassis, account: Option<BareJid>, step: Step) -> State {
        match step {
            Step::Challenge(text) => io.write(|out| data_element(out, "challenge", &text)),
            Step::Ask(question) => io.ask(question),
            Step::Success(account, data) => {
                io.write(|out| data_element(out, "success", &data.unwrap_or_default()));
                io.restart(true);
                let next = ExpectHeader { account: Some(account), failures: 0 };
                return State::ExpectHeader(Box::new(next));
            }
            Step::Failure(failure) => return self.refuse(io, account, failure),
        }
        State::ExpectSasl(self)
    }

    /// RFC 6120 §6.4.5: a bounded number of retries, then `policy-violation`.
    fn refuse(
        mut self: Box<Self>,
        io: &mut Chassis,
        account: Option<BareJid>,
        failure: Failure,
    ) -> State {
        self.exchange = Exchange::Idle;
        io.write(|out| failure.write(out));
        io.events.push_back(Event::Unauthorized(account, failure));
        self.failures = self.failures.saturating_add(1);
        if self.failures >= io.limits().auth_attempts {
            return io.fail(StreamError::policy_violation().text("too many failed attempts"));
        }
        State::ExpectSasl(self)
    }

    /// XEP-0077 before authentication. People fill in forms, so the handshake gets more time.
    fn early(mut self: Box<Self>, io: &mut Chassis, now: Instant, element: Element) -> State {
        let refused = unexpected(&element);
        match Stanza::read(element) {
            Ok(stanza) if is_registration(&stanza) => {
                io.timers.phase = Some(now + seconds(io.limits().handshake_seconds));
                let ticket = io.ticket();
                io.events.push_back(Event::Early(ticket, stanza));
                self.early = true;
                State::ExpectSasl(self)
            }
            _ => io.fail(refused),
        }
    }
}

fn host(io: &Chassis) -> Arc<Host> {
    io.host.clone().expect("a header with an unknown host ends the stream")
}

fn context<'a>(io: &'a Chassis, host: &'a Host) -> Context<'a> {
    Context { host, security: &io.security, entropy: &io.entropy }
}

fn is_registration(stanza: &Stanza) -> bool {
    matches!(stanza.head.kind, Kind::Iq(IqType::Get | IqType::Set))
        && stanza.body.has("query", REGISTER)
}

fn data_element(out: &mut String, name: &str, data: &str) {
    out.push('<');
    out.push_str(name);
    write::attribute(out, "xmlns", SASL);
    if data.is_empty() {
        return out.push_str("/>");
    }
    out.push('>');
    out.push_str(&sasl::encode(data.as_bytes()));
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}
