//! A stream that another server has opened to us: header, certificate, features, EXTERNAL.

use std::sync::Arc;
use std::time::Instant;

use waxwing_jid::BareJid;
use waxwing_xml::Element;

use crate::chassis::Chassis;
use crate::error::{Condition, StreamError};
use crate::event::{Answer, Event, Question};
use crate::framing::{check_version, tcp};
use crate::input::Framing;
use crate::role::server::features::{BIDI, Offer, is_dialback, limits_of};
use crate::role::server::link::{Link, is_stanza, linked, unexpected};
use crate::role::server::pair::domain;
use crate::role::server::{Border, By, Dialback, End, Step, Way, key, management};
use crate::sasl::{self, Failure, FailureCondition, Profile};
use crate::{SASL, SERVER, SM, TLS};

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Header,
    /// The driver judges the certificate.
    Vouch,
    /// The features are out.
    Open,
    /// `<proceed/>` is out. Whatever was sent in the clear behind `<starttls/>` is dropped.
    Upgrading,
}

/// The state of a stream that came in.
pub(crate) struct Incoming {
    stage: Stage,
    /// Our domain, by the header; empty before it.
    pub(super) local: Arc<str>,
    /// Who the peer says it is.
    pub(super) peer: Option<Arc<str>>,
    pub(super) border: Border,
    /// The id of the stream.
    pub(super) id: String,
    /// What the driver says about the certificate; `None` where there is none.
    vouched: Option<Result<(), Arc<str>>>,
    /// EXTERNAL has succeeded, on the stream before this header.
    authenticated: bool,
    failures: u8,
    /// Pairs that were refused since the last that was let in.
    pub(super) vain: usize,
    /// Keys that are being verified.
    pub(super) verifying: Vec<Dialback>,
    pub(super) link: Link,
}

impl Default for Incoming {
    fn default() -> Self {
        Incoming {
            stage: Stage::Header,
            local: "".into(),
            peer: None,
            border: Border::default(),
            id: String::new(),
            vouched: None,
            authenticated: false,
            failures: 0,
            vain: 0,
            verifying: Vec::new(),
            link: Link::default(),
        }
    }
}

impl Incoming {
    pub(super) fn is_upgrading(&self) -> bool {
        self.stage == Stage::Upgrading
    }

    pub(super) fn expects_header(&self) -> bool {
        self.stage == Stage::Header
    }

    /// Whether the certificate stands for this domain.
    pub(super) fn is_vouched(&self, peer: &str) -> bool {
        matches!(self.vouched, Some(Ok(()))) && self.peer.as_deref() == Some(peer)
    }

    /// Our header goes out whatever is wrong with the peer's (RFC 6120 §4.9.1.2); the order of the
    /// checks is that of §4.7.
    pub(super) fn header(&mut self, io: &mut Chassis, now: Instant, header: &Element) -> Step {
        let name = |attribute| header.attribute(attribute).map(|name| domain(&name));
        let (to, from) = (name("to"), name("from"));
        let peer = from.clone().flatten();
        if !self.authenticated {
            io.server.clone_from(&peer);
        }
        let border = match to.clone().flatten() {
            Some(local) => io.hosts.border(&local, peer.as_deref()),
            // §4.7.2: a stream between servers has a `to`.
            None if to.is_none() => Err(StreamError::improper_addressing()),
            None => Err(StreamError::host_unknown()),
        };
        let is_ours = !matches!(&border, Err(error) if error.condition == Condition::HostUnknown);
        let ours = to.flatten().filter(|_| is_ours);
        let shown =
            ours.clone().or_else(|| io.hosts.default_host().map(|host| host.domain.clone()));
        self.id = io.open(shown.as_deref(), peer.as_deref());
        if io.framing == Framing::Tcp {
            tcp::check(header, SERVER)?;
        }
        let border = border?;
        if from.is_some() && peer.is_none() {
            return Err(StreamError::invalid_from().into());
        }
        let ours = ours.ok_or_else(StreamError::host_unknown)?;
        if self.authenticated && peer != self.peer {
            return Err(StreamError::invalid_from().text("you have proven another name").into());
        }
        if self.authenticated && ours != self.local {
            let text = "you have signed in to another domain";
            return Err(StreamError::host_unknown().text(text).into());
        }
        (self.local, self.peer, self.border) = (ours, peer, border);
        // §4.7.5: without a version the peer is older than XMPP 1.0 and waits for no features.
        let is_modern = check_version(header).is_ok();
        self.advance(io, now, is_modern)
    }

    fn advance(&mut self, io: &mut Chassis, now: Instant, is_modern: bool) -> Step {
        let encrypted = io.security.is_encrypted();
        if !is_modern && !encrypted && self.border.demand.needs_tls() {
            let text = "this server takes nothing without TLS, which begins with XMPP 1.0";
            return Err(StreamError::unsupported_version().text(text).into());
        }
        if let (true, Some(peer)) = (self.authenticated, self.peer.clone()) {
            self.offer(io);
            let linked = linked(&peer, &self.local, Way::In, By::Certificate);
            self.link.prove(io, now, linked, By::Certificate);
            return Ok(());
        }
        if !is_modern {
            self.stage = Stage::Open;
            return Ok(());
        }
        let chain = std::mem::take(&mut io.security.peer_chain);
        match self.peer.clone().filter(|_| encrypted && !chain.is_empty()) {
            Some(domain) => {
                self.stage = Stage::Vouch;
                io.ask(Question::Vouch { domain, chain });
                Ok(())
            }
            None => self.judged(io),
        }
    }

    pub(super) fn answer(&mut self, io: &mut Chassis, answer: Answer) -> Step {
        match (self.stage, answer) {
            (Stage::Vouch, Answer::Vouched(judgement)) => {
                self.vouched = Some(judgement);
                self.judged(io)
            }
            _ => Err(StreamError::internal_server_error().into()),
        }
    }

    /// The certificate is known for what it is. XEP-0178 §3: "If no match is found, Server2 MAY
    /// either close Server1's TCP connection or continue with a Server Dialback negotiation." Who
    /// says no name has come to verify a key, and needs none.
    fn judged(&mut self, io: &mut Chassis) -> Step {
        let demand = self.border.demand;
        if !io.security.is_encrypted() && demand.needs_tls() && !self.can_upgrade(io) {
            let text = "this server takes nothing without TLS";
            return Err(StreamError::policy_violation().text(text).into());
        }
        let is_vouched = matches!(self.vouched, Some(Ok(())));
        if io.security.is_encrypted()
            && demand.certificate_required
            && self.peer.is_some()
            && !is_vouched
        {
            let text = match &self.vouched {
                Some(Err(why)) => why.to_string(),
                _ => "this server wants a certificate, and you have shown none".to_owned(),
            };
            return Err(StreamError::not_authorized().text(text).into());
        }
        self.offer(io);
        Ok(())
    }

    fn can_upgrade(&self, io: &Chassis) -> bool {
        self.border.starttls && io.framing == Framing::Tcp && !io.security.is_encrypted()
    }

    fn offer(&mut self, io: &mut Chassis) {
        self.stage = Stage::Open;
        let demand = self.border.demand;
        let waits = demand.needs_tls() && !io.security.is_encrypted();
        let is_new = !self.authenticated;
        let offer = Offer {
            starttls: self.can_upgrade(io).then_some(waits),
            external: is_new && matches!(self.vouched, Some(Ok(()))),
            dialback: !waits && (demand.dialback_allowed || matches!(self.vouched, Some(Ok(())))),
            // XEP-0288 §2.1: "both before and after TLS negotiation".
            bidi: self.border.bidi && is_new,
            acks: self.border.acks && !waits,
        };
        offer.write(io);
    }

    pub(super) fn element(&mut self, io: &mut Chassis, now: Instant, element: Element) -> Step {
        if is_stanza(&element) {
            return Ok(self.link.stanza(io, element)?);
        }
        match (element.name(), element.namespace()) {
            ("starttls", TLS) => self.starttls(io),
            ("auth", SASL) => self.auth(io, &element),
            ("bidi", BIDI) if self.border.bidi => self.bidi(io, &element),
            (_, SM) => {
                let accepts = self.border.acks && self.link.is_proven();
                let peer = self.peer.clone().unwrap_or_else(|| self.local.clone());
                management::incoming(&mut self.link, io, now, (&element, &peer), accepts)
            }
            _ if is_dialback(&element, "result") => self.result(io, now, &element),
            _ if is_dialback(&element, "verify") => self.verify(io, &element),
            _ => Err(unexpected(&element).into()),
        }
    }

    fn starttls(&mut self, io: &mut Chassis) -> Step {
        if !self.can_upgrade(io) || self.link.is_proven() || self.link.is_bidi() {
            // RFC 6120 §5.4.2.2: "the receiving entity MUST return a <failure/> element … and
            // close the XML stream".
            io.write(|out| out.push_str("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
            return Err(End::Closed);
        }
        io.write(|out| out.push_str("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
        io.events.push_back(Event::StartTls);
        self.verifying.clear();
        self.stage = Stage::Upgrading;
        Ok(())
    }

    /// The TLS handshake is done: a new stream begins, and what was asked in the clear is void.
    pub(super) fn secured(&mut self, io: &mut Chassis) {
        io.restart(false);
        *self = Incoming { failures: self.failures, ..Incoming::default() };
    }

    /// XEP-0288 §2.1: "If the initiating entity chooses to use TLS, STARTTLS negotiation MUST be
    /// completed before enabling bidirectionality."
    fn bidi(&mut self, io: &mut Chassis, element: &Element) -> Step {
        if self.border.demand.needs_tls() && !io.security.is_encrypted() {
            let text = "this server takes nothing without TLS";
            return Err(StreamError::policy_violation().text(text).into());
        }
        self.link.mind(io, limits_of(element));
        self.link.turn_bidi(io);
        Ok(())
    }

    /// XEP-0178 §3: SASL EXTERNAL, for who is named in the header.
    fn auth(&mut self, io: &mut Chassis, element: &Element) -> Step {
        if self.authenticated || self.link.is_proven() {
            return Err(StreamError::not_authorized().text("you are in already").into());
        }
        let Err(failure) = self.judge_auth(io, element) else {
            self.authenticated = true;
            // Keys are made for the id of a stream, and this one ends here.
            self.verifying.clear();
            io.write(|out| out.push_str("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"));
            io.restart(true);
            self.stage = Stage::Header;
            return Ok(());
        };
        io.write(|out| failure.write(Profile::Sasl1, "", out));
        let name = self.peer.as_deref().and_then(|peer| BareJid::new(peer).ok());
        io.events.push_back(Event::Unauthorized(name, failure));
        self.failures = self.failures.saturating_add(1);
        if self.failures >= io.limits().auth_attempts {
            return Err(StreamError::policy_violation().text("too many failures").into());
        }
        Ok(())
    }

    fn judge_auth(&self, io: &Chassis, element: &Element) -> Result<(), Failure> {
        let fail = |condition| Err(Failure::new(condition));
        if !io.security.is_encrypted() {
            return fail(FailureCondition::EncryptionRequired);
        }
        if element.attribute("mechanism").as_deref() != Some("EXTERNAL") {
            return fail(FailureCondition::InvalidMechanism);
        }
        let Some(peer) = &self.peer else {
            let text = "the header of the stream does not say who you are";
            return Err(Failure::new(FailureCondition::NotAuthorized).text(text));
        };
        match &self.vouched {
            Some(Ok(())) => {}
            Some(Err(why)) => {
                return Err(Failure::new(FailureCondition::NotAuthorized).text(why.to_string()));
            }
            None => return fail(FailureCondition::NotAuthorized),
        }
        // "the <auth/> element MAY include an authorization identity", which can only be the name
        // that the certificate was judged for.
        let text = element.text();
        let wanted = match text.trim() {
            "" => return Ok(()),
            text => sasl::decode(text)?,
        };
        let wanted = std::str::from_utf8(&wanted).ok().map(|name| (name.is_empty(), domain(name)));
        match wanted {
            Some((true, _)) => Ok(()),
            Some((false, Some(name))) if name == *peer => Ok(()),
            _ => fail(FailureCondition::InvalidAuthzid),
        }
    }

    fn verify(&self, io: &mut Chassis, element: &Element) -> Step {
        if element.attribute("type").is_some() {
            return Err(unsolicited().into());
        }
        Ok(key::verify(io, element)?)
    }
}

/// XEP-0220 §4.1: answers "without an associated request, in an unexpected direction and/or on an
/// unexpected XML stream. Failure to reject those 'unsolicited' responses lets an attacker … spoof
/// stanzas".
pub(super) fn unsolicited() -> StreamError {
    StreamError::invalid_from().text("nobody here has asked for that verdict")
}
