//! Waiting for the client to authenticate, by the profile of RFC 6120 §6 or that of XEP-0388.

use std::time::Instant;

use waxwing_jid::BareJid;
use waxwing_stanza::{IqType, Kind, Stanza};
use waxwing_xml::{Element, write};

use crate::chassis::Chassis;
use crate::error::StreamError;
use crate::event::{Answer, Event, Proof};
use crate::features::Phase;
use crate::host::Host;
use crate::limits::seconds;
use crate::role::client::request::Request;
use crate::role::client::{
    ExpectHeader, ExpectTls, State, Tasks, Welcome, host, refuse_management, unexpected,
};
use crate::sasl::{self, Context, Exchange, Failure, FailureCondition, Mechanism, Profile, Step};
use crate::{CLIENT, FAST, IAP, SASL, SASL2, TLS};

const REGISTER: &str = "jabber:iq:register";
/// XEP-0445 §4: what comes before a registration by invitation.
const PREAUTH: &str = "urn:xmpp:pars:0";

/// The state before authentication.
pub(crate) struct ExpectSasl {
    exchange: Exchange,
    /// By XEP-0388: what is asked for along with the authentication under way.
    request: Option<Box<Request>>,
    /// Who the client says it is in its header.
    named: Option<BareJid>,
    failures: u8,
    /// STARTTLS is possible too.
    starttls: bool,
    /// A registration request is with the driver.
    early: bool,
}

impl ExpectSasl {
    pub(crate) fn new(failures: u8, starttls: bool, named: Option<BareJid>) -> ExpectSasl {
        let exchange = Exchange::Idle;
        ExpectSasl { exchange, request: None, named, failures, starttls, early: false }
    }

    pub(crate) fn element(
        mut self: Box<Self>,
        io: &mut Chassis,
        now: Instant,
        element: Element,
    ) -> State {
        let is_inline = self.request.is_some();
        match (element.name(), element.namespace()) {
            ("auth" | "response" | "abort", SASL) if !is_inline => {
                let account = self.exchange.account().cloned();
                let step = self.message(io, &element);
                self.step(io, account, step)
            }
            ("response" | "abort", SASL2) if is_inline => {
                let account = self.exchange.account().cloned();
                let step = self.reply(io, &element);
                self.step(io, account, step)
            }
            // XEP-0388 §2.4: "Servers MUST disconnect Clients immediately if any other traffic is
            // received."
            _ if is_inline => io.fail(unexpected(&element)),
            ("authenticate", SASL2) if self.exchange.is_idle() && offers_sasl2(io) => {
                self.authenticate(io, element)
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
        let is_extensible = self.request.is_some();
        let context = Context { is_extensible, ..context(io, &host) };
        let step = self.exchange.answer(answer, &context);
        self.step(io, account, step)
    }

    /// What came to nothing but was nobody's guess; the client may try again.
    pub(crate) fn retry(self: Box<Self>, io: &mut Chassis, failure: &Failure) -> State {
        self.retry_by(io, Profile::Sasl2, failure)
    }

    fn retry_by(mut self: Box<Self>, io: &mut Chassis, profile: Profile, why: &Failure) -> State {
        io.write(|out| why.write(profile, "", out));
        self.request = None;
        self.count(io)
    }

    /// An element of RFC 6120 §6.4.
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
        // A token is for the other profile.
        match Mechanism::parse(&name).filter(|found| !matches!(found, Mechanism::Token(_))) {
            Some(mechanism) => {
                let initial = (!text.is_empty()).then_some(data.as_slice());
                self.exchange.start(mechanism, initial, &context)
            }
            None => Step::Failure(Failure::new(FailureCondition::InvalidMechanism)),
        }
    }

    /// `<authenticate/>` of XEP-0388 §2.3.
    fn authenticate(mut self: Box<Self>, io: &mut Chassis, element: Element) -> State {
        let request = match Request::read(&host(io), element) {
            Ok(request) => Box::new(request),
            Err(failure) => return self.refuse(io, Profile::Sasl2, None, failure),
        };
        if !self.is_current(io, &request) {
            return self.outdated(io);
        }
        let step = self.begin(io, &request);
        self.request = Some(request);
        let account = self.exchange.account().cloned();
        self.step(io, account, step)
    }

    /// XEP-0509 §2.2: a client that answers features from an earlier stream says which.
    fn is_current(&self, io: &Chassis, request: &Request) -> bool {
        let Some(named) = request.element.child("config-version", IAP) else { return true };
        named.attribute("value").as_deref() == io.version(&Phase::Sasl(self.starttls)).as_deref()
    }

    /// §2.2: the responder rejects it "without prejudice": nobody guessed anything.
    fn outdated(self: Box<Self>, io: &mut Chassis) -> State {
        let text = "this server offers other things than it did";
        let failure = Failure::new(FailureCondition::Aborted).text(text);
        let app = format!("<config-version-mismatch xmlns='{IAP}'/>");
        io.write(|out| failure.write(Profile::Sasl2, &app, out));
        State::ExpectSasl(self)
    }

    fn begin(&mut self, io: &Chassis, request: &Request) -> Step {
        let host = host(io);
        let Some(mechanism) = Mechanism::parse(&request.mechanism()) else {
            return Step::Failure(Failure::new(FailureCondition::InvalidMechanism));
        };
        // XEP-0484 §3.4: "To indicate that it is providing a token, the client MUST include a
        // <fast/> element".
        let is_token = matches!(mechanism, Mechanism::Token(_));
        if is_token && request.element.child("fast", FAST).is_none() {
            return Step::Failure(Failure::new(FailureCondition::MalformedRequest));
        }
        match request.initial() {
            Ok(initial) => {
                let initial = initial.as_deref().map(Vec::as_slice);
                let agent = request.agent.as_deref();
                let context = Context { agent, is_extensible: true, ..context(io, &host) };
                self.exchange.start(mechanism, initial, &context)
            }
            Err(failure) => Step::Failure(failure),
        }
    }

    /// `<response/>` and `<abort/>` of XEP-0388.
    fn reply(&mut self, io: &Chassis, element: &Element) -> Step {
        if element.name() == "abort" {
            return self.exchange.abort();
        }
        let (host, request) = (host(io), self.request.as_ref());
        let agent = request.and_then(|request| request.agent.as_deref());
        match sasl::decode_plain(&element.text()) {
            Ok(data) => {
                let context = Context { agent, is_extensible: true, ..context(io, &host) };
                self.exchange.respond(&data, &context)
            }
            Err(failure) => Step::Failure(failure),
        }
    }

    fn step(self: Box<Self>, io: &mut Chassis, account: Option<BareJid>, step: Step) -> State {
        let profile = self.profile();
        match step {
            Step::Challenge(text) => {
                io.write(|out| data_element(out, "challenge", profile, text.as_bytes()));
            }
            Step::Ask(_)
                if self.request.is_some() && self.is_somebody_else(self.exchange.account()) =>
            {
                let failure = Failure::new(FailureCondition::InvalidAuthzid);
                return self.refuse(io, profile, account, failure);
            }
            Step::Ask(question) => io.ask(question),
            Step::Success(account, data, proof) => {
                return self.succeed(io, account, (data, proof));
            }
            Step::Deny(text, failure) => {
                io.write(|out| data_element(out, "challenge", profile, text.as_bytes()));
                // Counted now: who guesses need not wait for the end.
                let account = self.exchange.account().cloned();
                let denied = failure.map(|failure| Event::Unauthorized(account, failure));
                io.events.extend(denied);
            }
            Step::GiveUp(failure) => return self.retry_by(io, profile, &failure),
            Step::Failure(failure) => return self.refuse(io, profile, account, failure),
        }
        State::ExpectSasl(self)
    }

    fn succeed(
        mut self: Box<Self>,
        io: &mut Chassis,
        account: BareJid,
        (data, proof): (Option<Vec<u8>>, Proof),
    ) -> State {
        let Some(request) = self.request.take() else {
            let data = data.unwrap_or_default();
            io.write(|out| data_element(out, "success", Profile::Sasl1, &data));
            io.restart(true);
            let next = ExpectHeader { account: Some(account), failures: 0 };
            return State::ExpectHeader(Box::new(next));
        };
        if self.is_somebody_else(Some(&account)) {
            let failure = Failure::new(FailureCondition::InvalidAuthzid);
            return self.refuse(io, Profile::Sasl2, Some(account), failure);
        }
        match proof {
            Proof::Password(salt) if !request.upgrades.is_empty() => {
                Tasks::start(io, self, (account, data, salt), request)
            }
            proof => Welcome::start(io, self, (account, data, proof), request),
        }
    }

    /// XEP-0388 §2.3: "If the stream's from attribute (if present) does not match the non-empty
    /// authorization string, the server MUST fail the authentication". Here the identity that is
    /// acted as is that string, whether it was sent or follows from the name.
    fn is_somebody_else(&self, account: Option<&BareJid>) -> bool {
        self.named.as_ref().is_some_and(|named| account.is_some_and(|account| account != named))
    }

    fn profile(&self) -> Profile {
        if self.request.is_some() { Profile::Sasl2 } else { Profile::Sasl1 }
    }

    pub(crate) fn refuse(
        mut self: Box<Self>,
        io: &mut Chassis,
        profile: Profile,
        account: Option<BareJid>,
        failure: Failure,
    ) -> State {
        self.exchange = Exchange::Idle;
        self.request = None;
        io.write(|out| failure.write(profile, "", out));
        io.events.push_back(Event::Unauthorized(account, failure));
        self.count(io)
    }

    /// RFC 6120 §6.4.5: a bounded number of retries, then `policy-violation`.
    fn count(mut self: Box<Self>, io: &mut Chassis) -> State {
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

fn offers_sasl2(io: &Chassis) -> bool {
    sasl::offers_sasl2(&host(io), &io.security)
}

fn context<'a>(io: &'a Chassis, host: &'a Host) -> Context<'a> {
    Context {
        host,
        security: &io.security,
        entropy: &io.entropy,
        agent: None,
        is_extensible: false,
    }
}

fn is_registration(stanza: &Stanza) -> bool {
    matches!(stanza.head.kind, Kind::Iq(IqType::Get | IqType::Set))
        && (stanza.body.has("query", REGISTER) || stanza.body.has("preauth", PREAUTH))
}

fn data_element(out: &mut String, name: &str, profile: Profile, data: &[u8]) {
    out.push('<');
    out.push_str(name);
    write::attribute(out, "xmlns", profile.namespace());
    if data.is_empty() {
        return out.push_str("/>");
    }
    out.push('>');
    out.push_str(&sasl::encode(data));
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}
