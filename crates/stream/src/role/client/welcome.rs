//! Between the proof of who the client is and `<success/>`: what it asked for along with it is
//! done, so that one answer tells everything (XEP-0388 §2.6.1, XEP-0386, XEP-0198 §7).

use std::time::Instant;

use waxwing_jid::{BareJid, Jid};
use waxwing_stanza::{Condition, StanzaError};
use waxwing_xml::{Element, write};

use crate::acks::Acks;
use crate::chassis::Chassis;
use crate::error::StreamError;
use crate::event::{Admit, Answer, Begun, Enabled, Inline, Installation, Proof, Question};
use crate::features::Phase;
use crate::role::client::expect_bind::resumed;
use crate::role::client::management::{write_enabled, write_failed};
use crate::role::client::request::{Request, Resume};
use crate::role::client::{ExpectBind, ExpectSasl, Open, State, host, unexpected};
use crate::sasl::{self, Failure, FailureCondition, Mechanism, Profile};
use crate::{BIND2, SASL2};

/// The state of a client that has proven who it is.
pub(crate) struct Welcome {
    account: BareJid,
    /// Of the mechanism, for `<additional-data/>`.
    data: Option<Vec<u8>>,
    request: Box<Request>,
    by: Installation,
    /// What else `<success/>` has: of modules, then `<failed/>` of a session that is not resumed.
    extras: String,
    asked: Asked,
    /// Where the client is again if this comes to nothing.
    back: Box<ExpectSasl>,
}

/// What the driver was asked.
enum Asked {
    Admit,
    /// With the count of stanzas that the client has handled.
    Resume(u32),
    Begin,
}

impl Welcome {
    pub(crate) fn start(
        io: &mut Chassis,
        back: Box<ExpectSasl>,
        (account, data, proof): (BareJid, Option<Vec<u8>>, Proof),
        request: Box<Request>,
    ) -> State {
        let (agent, extras) = (request.agent.clone(), String::new());
        let token = match (&proof, Mechanism::parse(&request.mechanism())) {
            (Proof::Token(name), Some(Mechanism::Token(binding))) if !request.is_last_use() => {
                Some((name.clone(), binding))
            }
            _ => None,
        };
        let by = Installation { agent: agent.clone(), token };
        let asked = Asked::Admit;
        let state = Box::new(Welcome { account, data, request, by, extras, asked, back });
        let Some(agent) = agent else { return state.resume(io) };
        let (account, request) = (state.account.clone(), state.request.element.clone());
        io.ask(Question::Admit(Box::new(Admit { account, agent, proof, request })));
        State::Welcome(state)
    }

    /// Nothing may come now: input waits while a question is open.
    pub(crate) fn element(self, io: &mut Chassis, element: &Element) -> State {
        io.fail(unexpected(element))
    }

    pub(crate) fn answer(
        mut self: Box<Self>,
        io: &mut Chassis,
        now: Instant,
        answer: Answer,
    ) -> State {
        match (&self.asked, answer) {
            (Asked::Admit, Answer::Admitted(Ok(extras))) => {
                self.extras = extras;
                self.resume(io)
            }
            (Asked::Admit, Answer::Admitted(Err(failure))) => {
                self.back.refuse(io, Profile::Sasl2, Some(self.account), failure.into())
            }
            (Asked::Resume(h), Answer::Resumed(acks)) => {
                let h = *h;
                self.go_on(io, now, acks, h)
            }
            (Asked::Resume(_), answer) => {
                let h = match answer {
                    Answer::NotResumed { h } => h,
                    _ => None,
                };
                write_failed(&mut self.extras, &StanzaError::item_not_found(), h);
                self.bind(io)
            }
            (Asked::Begin, Answer::Begun(Ok(begun))) => self.begin(io, now, *begun),
            (Asked::Begin, Answer::Begun(Err(error))) => self.give_up(io, &error),
            _ => self.give_up(io, &StanzaError::internal_server_error()),
        }
    }

    /// XEP-0386 §4: a `<resume/>` "MUST be processed first by the server".
    fn resume(mut self: Box<Self>, io: &mut Chassis) -> State {
        match self.request.resume.take() {
            Some(Resume::Session(previd, h)) => {
                io.ask(Question::Resume { account: self.account.clone(), previd, h });
                self.asked = Asked::Resume(h);
                State::Welcome(self)
            }
            Some(Resume::Malformed) => {
                write_failed(&mut self.extras, &StanzaError::bad_request(), None);
                self.bind(io)
            }
            None => self.bind(io),
        }
    }

    /// "If that resumption is successful, the server MUST skip resource binding"; XEP-0198 §7.2:
    /// "stream features MUST NOT be sent in this case".
    fn go_on(self, io: &mut Chassis, now: Instant, acks: Box<Acks>, h: u32) -> State {
        if acks.address().bare() != self.account {
            io.acks = Some(acks);
            return io.fail(StreamError::internal_server_error());
        }
        let address = acks.address().as_str().to_owned();
        io.enlarge();
        resumed(io, now, acks, h, |out, inner| self.write_success(out, &address, inner))
    }

    fn bind(mut self: Box<Self>, io: &mut Chassis) -> State {
        let Some(bind) = &self.request.bind else { return self.expect_bind(io) };
        let inline = Inline {
            account: self.account.clone(),
            by: self.by.clone(),
            tag: bind.tag.clone().filter(|tag| !tag.is_empty()),
            enable: bind.enable,
            request: self.request.element.clone(),
        };
        io.ask(Question::Begin(Box::new(inline)));
        self.asked = Asked::Begin;
        State::Welcome(self)
    }

    /// No resource was asked for: it is bound as ever (RFC 6120 §7), but "no stream restart
    /// occurs".
    fn expect_bind(self, io: &mut Chassis) -> State {
        let account = self.account.as_str().to_owned();
        io.write(|out| self.write_success(out, &account, ""));
        io.enlarge();
        let host = host(io);
        io.features(&Phase::Bind, &host);
        State::ExpectBind(Box::new(ExpectBind::new(self.account, self.by)))
    }

    fn begin(self, io: &mut Chassis, now: Instant, begun: Begun) -> State {
        let Begun { address, enabled, bound } = begun;
        let mut inner = String::from("<bound");
        write::attribute(&mut inner, "xmlns", BIND2);
        inner.push('>');
        if let Some(enabled) = &enabled {
            write_enabled(&mut inner, enabled.id.as_deref(), enabled.max_seconds);
        }
        inner.push_str(&bound);
        inner.push_str("</bound>");
        io.write(|out| self.write_success(out, address.as_str(), &inner));
        io.enlarge();
        let host = host(io);
        io.features(&Phase::Bound { managed: enabled.is_some() }, &host);
        let inactive = self.request.bind.as_ref().is_some_and(|bind| bind.inactive);
        self.open(io, now, (address, inactive), enabled)
    }

    fn open(
        self,
        io: &mut Chassis,
        now: Instant,
        (address, inactive): (Jid, bool),
        enabled: Option<Enabled>,
    ) -> State {
        if let Some(enabled) = enabled {
            let mut acks = Acks::new(address.clone(), 0, io.limits());
            if let Some(id) = &enabled.id {
                acks.grant(id, enabled.max_seconds);
            }
            io.acks = Some(Box::new(acks));
        }
        let state = Open::start(io, now, address, 0);
        io.timers.inactive(inactive);
        io.heard(now);
        state
    }

    /// What was asked for cannot be had, and nothing less was asked for. The client may try again,
    /// also without a part of it.
    fn give_up(self, io: &mut Chassis, error: &StanzaError) -> State {
        let condition = match error.condition {
            Condition::NotAllowed => FailureCondition::AccountDisabled,
            _ => FailureCondition::TemporaryAuthFailure,
        };
        let mut failure = Failure::new(condition);
        failure.text = error.text.clone();
        self.back.retry(io, &failure)
    }

    fn write_success(&self, out: &mut String, identity: &str, inner: &str) {
        out.push_str("<success");
        write::attribute(out, "xmlns", SASL2);
        out.push('>');
        if let Some(data) = &self.data {
            out.push_str("<additional-data>");
            out.push_str(&sasl::encode(data));
            out.push_str("</additional-data>");
        }
        out.push_str("<authorization-identifier>");
        write::text(out, identity);
        out.push_str("</authorization-identifier>");
        out.push_str(&self.extras);
        out.push_str(inner);
        out.push_str("</success>");
    }
}
