//! A stream that we open to another server.

use std::sync::Arc;
use std::time::Instant;

use waxwing_xml::{Element, write};

use crate::chassis::Chassis;
use crate::error::StreamError;
use crate::event::Event;
use crate::framing::{check_version, tcp};
use crate::host::PeerTrust;
use crate::input::Framing;
use crate::role::server::features::{Offered, is_dialback, write_bidi};
use crate::role::server::incoming::unsolicited;
use crate::role::server::key::{self, Writing, read_verdict};
use crate::role::server::link::{Link, is_stanza, linked, unexpected};
use crate::role::server::pair::domain;
use crate::role::server::trouble::clip;
use crate::role::server::{By, Call, End, Pair, Purpose, Step, Trouble, Verdict, Way, management};
use crate::{DIALBACK, SASL, SERVER, SM, STREAM, TLS, sasl};

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Header,
    Features,
    /// `<starttls/>` is out.
    Proceed,
    /// The TLS handshake runs.
    Upgrading,
    /// `<auth/>` is out.
    Success,
    /// Our key is out.
    Result,
    /// The key of another is out.
    Verify,
    Open,
    /// All is said.
    Done,
}

/// The state of a stream that we open.
pub(crate) struct Outgoing {
    stage: Stage,
    pub(super) call: Call,
    /// The id of the stream, which the peer has chosen.
    id: String,
    /// The peer speaks dialback, by its header or its features.
    knows_dialback: bool,
    offered: Offered,
    /// EXTERNAL has succeeded.
    authenticated: bool,
    /// Why the peer does not accept our certificate.
    pub(super) rejected: Option<String>,
    /// `<enable/>` is unanswered.
    enabling: bool,
    pub(super) link: Link,
}

impl Outgoing {
    pub(super) fn new(call: Call) -> Outgoing {
        Outgoing {
            stage: Stage::Header,
            call,
            id: String::new(),
            knows_dialback: false,
            offered: Offered::default(),
            authenticated: false,
            rejected: None,
            enabling: false,
            link: Link::default(),
        }
    }

    pub(super) fn is_upgrading(&self) -> bool {
        self.stage == Stage::Upgrading
    }

    pub(super) fn expects_header(&self) -> bool {
        self.stage == Stage::Header
    }

    /// Opens the stream, on a transport that may be encrypted already.
    pub(super) fn begin(&mut self, io: &mut Chassis) -> Step {
        self.check_certificate(io)?;
        self.stage = Stage::Header;
        io.restart(self.authenticated);
        io.open(Some(&self.call.pair.from), Some(&self.call.pair.to));
        Ok(())
    }

    /// The TLS handshake is done.
    pub(super) fn secured(&mut self, io: &mut Chassis) -> Step {
        self.begin(io)
    }

    fn check_certificate(&self, io: &Chassis) -> Result<(), End> {
        if !io.security.is_encrypted() || !self.call.demand.certificate_required {
            return Ok(());
        }
        let why: Arc<str> = match &io.security.peer_trust {
            Some(PeerTrust::Untrusted(why)) => why.clone(),
            Some(_) => return Ok(()),
            None => format!("{} has shown no certificate.", self.call.pair.to).into(),
        };
        Err(Trouble::Untrusted(why).into())
    }

    pub(super) fn header(&mut self, io: &mut Chassis, now: Instant, header: &Element) -> Step {
        if io.framing == Framing::Tcp {
            tcp::check(header, SERVER)?;
        }
        if let Some(from) = header.attribute("from")
            && domain(&from).as_ref() != Some(&self.call.pair.to)
        {
            return Err(Trouble::WrongDomain(from.into_owned()).into());
        }
        self.id = header.attribute("id").unwrap_or_default().into_owned();
        // XEP-0220 §2.4.1: "Support for the traditional server dialback protocol … is indicated by
        // inclusion of the dialback namespace declaration in the stream header."
        self.knows_dialback = header.as_str().contains(DIALBACK);
        self.offered = Offered::default();
        self.stage = Stage::Features;
        if check_version(header).is_err() {
            // Older than XMPP 1.0: no features will come.
            self.knows_dialback = true;
            if self.call.demand.needs_tls() && !io.security.is_encrypted() {
                return Err(Trouble::TooOld.into());
            }
            return self.authenticate(io, now);
        }
        Ok(())
    }

    pub(super) fn element(&mut self, io: &mut Chassis, now: Instant, element: Element) -> Step {
        if is_stanza(&element) {
            return Ok(self.link.stanza(io, element)?);
        }
        match (element.name(), element.namespace(), self.stage) {
            ("features", STREAM, Stage::Features) => self.features(io, now, &element),
            // XEP-0478 §4: "It is acceptable for the limits on a stream to change whenever new
            // stream features are announced".
            ("features", STREAM, Stage::Result | Stage::Open) => {
                self.link.mind(io, Offered::read(&element).limits);
                Ok(())
            }
            ("proceed", TLS, Stage::Proceed) => {
                self.stage = Stage::Upgrading;
                io.events.push_back(Event::StartTls);
                Ok(())
            }
            ("failure", TLS, Stage::Proceed) => Err(Trouble::TlsRefused.into()),
            ("success", SASL, Stage::Success) => {
                self.authenticated = true;
                self.begin(io)
            }
            ("failure", SASL, Stage::Success) => self.refused(io, &element),
            (_, SM, Stage::Open) => {
                management::outgoing(&self.link, io, now, &element, &mut self.enabling)
            }
            (_, DIALBACK, _) => self.dialback(io, now, &element),
            _ => Err(unexpected(&element).into()),
        }
    }

    fn features(&mut self, io: &mut Chassis, now: Instant, features: &Element) -> Step {
        self.offered = Offered::read(features);
        self.knows_dialback |= self.offered.dialback;
        self.link.mind(io, self.offered.limits);
        if io.security.is_encrypted() {
            return self.authenticate(io, now);
        }
        if self.offered.starttls && io.framing == Framing::Tcp {
            io.write(|out| out.push_str("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
            self.stage = Stage::Proceed;
            return Ok(());
        }
        if self.call.demand.needs_tls() {
            return Err(Trouble::NoEncryption.into());
        }
        self.authenticate(io, now)
    }

    /// The transport is as it shall be: now we say who we are, or ask what we came for.
    fn authenticate(&mut self, io: &mut Chassis, now: Instant) -> Step {
        if let Purpose::Verify { id, key } = &self.call.purpose {
            Writing { name: "verify", pair: &self.call.pair, id: Some(id) }.key(io, key);
            self.stage = Stage::Verify;
            return Ok(());
        }
        if self.authenticated {
            self.established(io, now, By::Certificate);
            return Ok(());
        }
        if self.call.bidi && self.offered.bidi {
            // XEP-0288 §2.2: "This SHOULD be done before either SASL negotiation or Server
            // Dialback."
            write_bidi(io);
            self.link.turn_bidi(io);
        }
        if self.call.external && self.offered.external && io.security.is_encrypted() {
            // XEP-0178 §3: "the connecting server SHOULD include the authorization identity for
            // backward compability."
            let name = sasl::encode(self.call.pair.from.as_bytes());
            io.write(|out| {
                out.push_str("<auth");
                write::attribute(out, "xmlns", SASL);
                write::attribute(out, "mechanism", "EXTERNAL");
                out.push('>');
                out.push_str(&name);
                out.push_str("</auth>");
            });
            self.stage = Stage::Success;
            return Ok(());
        }
        self.dial_back(io)
    }

    /// Sends our key (XEP-0220 §2.1.1).
    fn dial_back(&mut self, io: &mut Chassis) -> Step {
        let secret = io.hosts.dialback_secret().filter(|_| {
            self.call.demand.dialback_allowed && self.knows_dialback && !self.id.is_empty()
        });
        let Some(secret) = secret else {
            return Err(match self.rejected.take() {
                Some(why) => Trouble::CertificateRefused(why).into(),
                None => Trouble::NoProof.into(),
            });
        };
        let key = key::dialback_key(secret, &self.call.pair, &self.id);
        Writing { name: "result", pair: &self.call.pair, id: None }.key(io, &key);
        self.stage = Stage::Result;
        Ok(())
    }

    /// XEP-0178 1.2: "Add fallback to dialback if EXTERNAL authentication fails".
    fn refused(&mut self, io: &mut Chassis, failure: &Element) -> Step {
        let text = failure.child("text", SASL).map(|text| clip(&text.text()));
        let condition = failure.children().map(|part| part.name()).find(|name| *name != "text");
        let condition = clip(condition.unwrap_or("failure"));
        self.rejected = Some(match text.filter(|text| !text.is_empty()) {
            Some(text) => format!("{condition}: {text}"),
            None => condition,
        });
        self.dial_back(io)
    }

    /// Answers to what we have asked, and, where the stream goes both ways, questions.
    fn dialback(&mut self, io: &mut Chassis, now: Instant, element: &Element) -> Step {
        let Some(verdict) = read_verdict(element) else {
            return self.asked(io, element);
        };
        let answer = Pair::read(element).ok_or_else(StreamError::improper_addressing)?;
        // §2.1.1: "The Initiating Server MUST ensure that the 'from' and 'to' attributes in this
        // response correlate to a request that was sent over the same XML stream".
        if answer.reversed() != self.call.pair {
            return Err(unsolicited().into());
        }
        match (element.name(), self.stage) {
            ("result", Stage::Result) => match verdict {
                Verdict::Valid => {
                    self.established(io, now, By::Dialback);
                    Ok(())
                }
                Verdict::Invalid => Err(Trouble::DialbackInvalid.into()),
                Verdict::Failed(error) => Err(Trouble::DialbackFailed(error).into()),
            },
            ("verify", Stage::Verify) if self.is_for_key(element) => {
                io.calling = false;
                io.events.push_back(Event::Verdict(verdict));
                self.stage = Stage::Done;
                // "Such an implementation SHOULD close the connection immediately after receiving
                // the verification result."
                io.shut();
                io.await_footer(now);
                Ok(())
            }
            _ => Err(unsolicited().into()),
        }
    }

    fn is_for_key(&self, element: &Element) -> bool {
        let Purpose::Verify { id, .. } = &self.call.purpose else { return false };
        element.attribute("id").is_some_and(|it| it == *id)
    }

    /// On a stream that goes both ways the peer may ask about our keys. It may not prove further
    /// names: the key would be for an id that the peer itself has chosen, and whoever has overheard
    /// one key could use it here. Told so, it "should attempt to establish a new TCP connection".
    fn asked(&self, io: &mut Chassis, element: &Element) -> Step {
        if !self.link.is_bidi() || self.stage != Stage::Open {
            return Err(unexpected(element).into());
        }
        if is_dialback(element, "verify") {
            return Ok(key::verify(io, element)?);
        }
        if !is_dialback(element, "result") {
            return Err(unexpected(element).into());
        }
        let pair = Pair::read(element).ok_or_else(StreamError::improper_addressing)?;
        let text = "this stream takes no further domains; open one for them";
        let error = waxwing_stanza::StanzaError::resource_constraint().text(text);
        let answer = Writing { name: "result", pair: &pair.reversed(), id: None };
        answer.verdict(io, &Verdict::Failed(error));
        Ok(())
    }

    /// The peer knows who we are. Counting is asked for along with it, and nothing waits for the
    /// answer: what is sent behind `<enable/>` counts.
    fn established(&mut self, io: &mut Chassis, now: Instant, by: By) {
        self.stage = Stage::Open;
        if self.call.acks && self.offered.acks {
            management::enable(&self.link, io, &self.call.pair.to);
            self.enabling = true;
        }
        let trust = &io.security.peer_trust;
        let is_trusted = trust.as_ref().is_some_and(|it| !matches!(it, PeerTrust::Untrusted(_)));
        let inverse = if is_trusted { By::Certificate } else { By::Answered };
        let Pair { from, to } = self.call.pair.clone();
        self.link.prove(io, now, linked(&from, &to, Way::Out, by), inverse);
    }
}
