//! A stage for a stream: fixed entropy, a clock that only moves when told, and a driver who
//! answers from a script.

pub(crate) mod peers;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use waxwing_jid::BareJid;
use waxwing_stanza::{Stanza, StanzaError};
use waxwing_stream::{
    Acks, Answer, AuthFailure, Begun, Border, Closing, Closure, Component, Dialback, Enabled,
    Event, Framing, Hash, Host, Hosts, Inline, Input, Limits, MarkKind, Need, Pair, Proof,
    Question, ScramKeys, Security, Stream, StreamError, Tag, Ticket, TokenBinding, TokenKey,
    Violation,
};

/// The password of `juliet` and, disabled, of `romeo`.
pub(crate) const PASSWORD: &str = "r0m30myr0m30";
const SALT: &[u8] = b"capulet salt";
/// Few: the tests sign in thousands of times.
const ITERATIONS: u32 = 16;

pub(crate) const HELLO: &str = "<?xml version='1.0'?><stream:stream to='example.org' version='1.0' \
    xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
pub(crate) const WS_HELLO: &str =
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.org' version='1.0'/>";
pub(crate) const COMPONENT_HELLO: &str = "<stream:stream xmlns='jabber:component:accept' \
    xmlns:stream='http://etherx.jabber.org/streams' to='plays.example.org'>";
/// SHA-1 of the stream's id and of the secret.
pub(crate) const HANDSHAKE: &str =
    "<handshake>29eecc9e456895a466b8c89f6c2150e929401f17</handshake>";
const LOGIN: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>\
    AGp1bGlldAByMG0zMG15cjBtMzA=</auth>";
const BIND: &str = "<iq xmlns='jabber:client' type='set' id='b'>\
    <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>balcony</resource></bind></iq>";

/// The domains of a test.
pub(crate) struct Domains {
    pub(crate) host: Arc<Host>,
    pub(crate) limits: Limits,
    pub(crate) default: bool,
    /// Whether a component is at the other end.
    pub(crate) component: bool,
    /// The server at the other end.
    pub(crate) peer: Option<peers::Peer>,
}

impl Domains {
    /// One host, which is the default. Nothing is left to chance.
    pub(crate) fn new(limits: Limits) -> Domains {
        let limits = Limits { idle_jitter_seconds: 0, ..limits };
        Domains { host: host().into(), limits, default: true, component: false, peer: None }
    }
}

impl Hosts for Domains {
    fn host(&self, domain: &str) -> Option<Arc<Host>> {
        (domain == &*self.host.domain).then(|| self.host.clone())
    }

    fn default_host(&self) -> Option<Arc<Host>> {
        self.default.then(|| self.host.clone())
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn border(&self, local: &str, peer: Option<&str>) -> Result<Border, StreamError> {
        self.peer.as_ref().ok_or_else(StreamError::host_unknown)?.border(local, peer)
    }

    fn dialback_secret(&self) -> Option<&[u8]> {
        self.peer.as_ref().and_then(|peer| peer.secret)
    }

    fn component(&self, domain: &str) -> Result<Component, StreamError> {
        match domain {
            "plays.example.org" | "taken.example.org" => Ok(Component {
                domain: domain.into(),
                secret: Arc::new("something wicked".to_owned().into()),
                server: "example.org".into(),
            }),
            "far.example.org" => Err(StreamError::policy_violation().text("not from there")),
            _ => Err(StreamError::host_unknown()),
        }
    }
}

/// The host of the tests before a transcript changes it.
pub(crate) fn host() -> Host {
    let mut host = Host::new("example.org", [9; 32]);
    host.features = vec!["<ver xmlns='urn:xmpp:features:rosterver'/>".into()];
    host.nonzas = vec!["urn:xmpp:csi:0".into()];
    host.scram_iterations = ITERATIONS;
    // Most conversations are about other things.
    host.sasl2 = false;
    host.inline = vec!["urn:xmpp:carbons:2".into(), "urn:xmpp:csi:0".into()];
    host
}

/// What a stream says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Text(String),
    Mark(String),
}

/// A stream with its driver.
pub(crate) struct Stage {
    pub(crate) stream: Stream,
    pub(crate) now: Instant,
    pub(crate) events: Vec<String>,
    pub(crate) output: Vec<Output>,
    hosts: Arc<Domains>,
    security: Security,
    framing: Framing,
    /// Questions are answered at once, or when `settle` is called.
    pub(crate) prompt: bool,
    open: Vec<(Ticket, Answer)>,
    sessions: HashMap<String, Box<Acks>>,
    /// What another server may write.
    proven: Vec<Pair>,
    /// The keys that it has shown.
    shown: Vec<Dialback>,
}

impl Stage {
    pub(crate) fn new(framing: Framing, security: Security, domains: Domains) -> Stage {
        let (hosts, now) = (Arc::new(domains), start());
        Stage {
            stream: stream(now, framing, &security, &hosts),
            now,
            events: Vec::new(),
            output: Vec::new(),
            hosts,
            security,
            framing,
            prompt: true,
            open: Vec::new(),
            sessions: HashMap::new(),
            proven: Vec::new(),
            shown: Vec::new(),
        }
    }

    pub(crate) fn receive(&mut self, input: Input<'_>) {
        self.stream.receive(self.now, input);
        self.drain();
    }

    /// Gives the answers that are still owed.
    pub(crate) fn settle(&mut self) {
        while let Some((ticket, answer)) = self.open.pop() {
            self.stream.answer(self.now, ticket, answer);
            self.drain();
        }
    }

    /// An action of the driver, in words.
    pub(crate) fn act(&mut self, action: &str) {
        let (verb, rest) = action.split_once(' ').unwrap_or((action, ""));
        match verb {
            "send" => {
                let (tag, xml) = rest.split_once(' ').unwrap();
                let stanza = Stanza::parse(xml).unwrap();
                self.stream.send(self.now, &stanza, Tag(tag.parse().unwrap()));
            }
            "nonza" => self.stream.nonza(rest),
            "handled" => self.stream.handled(self.now, rest.parse().unwrap()),
            "wait" => {
                self.now += Duration::from_secs(rest.parse().unwrap());
                self.stream.expire(self.now);
            }
            "tls" => {
                let exporter = Some([7; 32]);
                let kept = self.security.clone();
                let security = Security { tls: true, exporter, ..kept };
                self.stream.secured(self.now, security);
            }
            "verified" | "deliver" => self.act_between_servers(verb, rest),
            "close" => self.stream.close(self.now, Closing::Clean),
            "shutdown" => {
                let error = Closing::Error(StreamError::system_shutdown());
                self.stream.close(self.now, error);
            }
            "redirect" => self.stream.close(self.now, Closing::SeeOther(rest.to_owned())),
            "end" => self.stream.receive(self.now, Input::End),
            "alive" => self.stream.receive(self.now, Input::Alive),
            "violation" => self.stream.receive(self.now, Input::Violation(violation(rest))),
            "reconnect" => self.reconnect(),
            "login" if self.hosts.component => self.shake_hands(),
            "login" => self.login(),
            _ => panic!("unknown action {action}"),
        }
        self.drain();
    }

    /// A fresh stream; the state of stream management waits under its identifier.
    fn reconnect(&mut self) {
        if let Some(acks) = self.stream.take_acks() {
            self.sessions.insert(acks.id().unwrap_or_default().to_owned(), acks);
        }
        self.stream = stream(self.now, self.framing, &self.security, &self.hosts);
    }

    /// Signs `juliet` in and binds `balcony`; what is said on the way is forgotten.
    fn login(&mut self) {
        let header = match self.framing {
            Framing::Tcp => HELLO,
            Framing::WebSocket => WS_HELLO,
        };
        for text in [header, LOGIN, header, BIND] {
            match self.framing {
                Framing::Tcp => self.receive(Input::Bytes(text.as_bytes())),
                Framing::WebSocket => self.receive(Input::Message(text.as_bytes())),
            }
            self.settle();
        }
        assert!(self.stream.address().is_some(), "{:?}", self.output);
        self.events.clear();
        self.output.clear();
    }

    /// Brings the component `plays` in; what is said on the way is forgotten.
    fn shake_hands(&mut self) {
        for text in [COMPONENT_HELLO, HANDSHAKE] {
            self.receive(Input::Bytes(text.as_bytes()));
            self.settle();
        }
        let said = |text: &str| Output::Text(text.to_owned());
        assert!(self.output.contains(&said("<handshake/>")), "{:?}", self.output);
        self.events.clear();
        self.output.clear();
    }

    fn drain(&mut self) {
        while let Some(event) = self.stream.next_event() {
            match event {
                Event::Ask(ticket, question) => {
                    self.events.push(format!("ask {}", describe(&question)));
                    let answer = self.judge(question);
                    self.answer(ticket, answer);
                }
                Event::Early(ticket, stanza) => {
                    self.events.push(format!("early {}", text(&stanza)));
                    let reply = stanza.result(Some("<query xmlns='jabber:iq:register'/>".into()));
                    self.answer(ticket, Answer::Reply(Some(reply)));
                }
                Event::Stanza(seq, stanza) => {
                    if self.hosts.peer.is_some() {
                        peers::check(&self.proven, &stanza);
                    }
                    self.events.push(format!("stanza {seq} {}", text(&stanza)));
                }
                event @ (Event::Reply(_)
                | Event::Linked(_)
                | Event::Dialback(_)
                | Event::Verdict(_)) => {
                    peers::learn((&mut self.proven, &mut self.shown), &event);
                    self.events.push(peers::describe(&event));
                }
                Event::Nonza(element) => self.events.push(format!("nonza {}", element.as_str())),
                Event::StartTls => self.events.push("starttls".into()),
                Event::Confirmed(tags) => {
                    let tags: Vec<String> = tags.iter().map(|tag| tag.0.to_string()).collect();
                    self.events.push(format!("confirmed {}", tags.join(" ")));
                }
                Event::Unauthorized(account, failure) => {
                    let account = account.map_or("nobody".into(), |account| account.to_string());
                    self.events
                        .push(format!("unauthorized {account} {}", failure.condition.name()));
                }
                Event::Closed(closure) => {
                    let resumable = if self.stream.is_resumable() { " resumable" } else { "" };
                    self.events.push(format!("closed {}{resumable}", ending(&closure)));
                }
            }
        }
        self.read_outbox();
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        if self.prompt {
            self.stream.answer(self.now, ticket, answer);
        } else {
            self.open.push((ticket, answer));
        }
    }

    fn read_outbox(&mut self) {
        let outbox = self.stream.outbox();
        let all = std::mem::take(&mut outbox.text);
        let marks = std::mem::take(&mut outbox.marks);
        outbox.clear();
        let mut start = 0;
        for mark in marks {
            let text = &all[start..mark.end];
            start = mark.end;
            if !text.is_empty() {
                self.output.push(Output::Text(text.to_owned()));
            }
            match mark.kind {
                MarkKind::Text => stands_alone(text),
                MarkKind::Ping => self.output.push(Output::Mark("ping".into())),
                MarkKind::Close(code) => self.output.push(Output::Mark(format!("close {code}"))),
            }
        }
        if start < all.len() {
            assert_eq!(self.framing, Framing::Tcp, "every message has its mark");
            self.output.push(Output::Text(all[start..].to_owned()));
        }
    }

    fn judge(&mut self, question: Question) -> Answer {
        match question {
            Question::Credentials { account, need: Need::Scram(hash) } => match account.local() {
                Some("juliet") => Answer::Scram(Some(keys(hash))),
                Some("romeo") => {
                    let why = AuthFailure::AccountDisabled(Some("banished".into()));
                    Answer::Locked(keys(hash), why)
                }
                Some("tybalt") => Answer::Verdict(Err(AuthFailure::Temporary(None))),
                _ => Answer::Scram(None),
            },
            Question::Plain { account, password } => {
                let right =
                    account.local() == Some("juliet") && keys(Hash::Sha256).verify_plain(&password);
                let salt = SALT.to_vec();
                Answer::Verdict(if right { Ok(salt) } else { Err(AuthFailure::NotAuthorized) })
            }
            Question::Bearer { token, .. } => Answer::External(match token.as_str() {
                "of-juliet" => Ok(BareJid::new("juliet@example.org").unwrap()),
                "for-email" => Err(AuthFailure::OutOfScope),
                "nobody-knows" => Err(AuthFailure::Temporary(Some("later".into()))),
                _ => Err(AuthFailure::NotAuthorized),
            }),
            Question::External { certificate, .. } => {
                let owner = String::from_utf8(certificate).unwrap();
                Answer::External(BareJid::new(&owner).map_err(|_| AuthFailure::NotAuthorized))
            }
            Question::Tokens { account, agent, binding } => {
                let of = |secret: &str| TokenKey {
                    name: format!("{secret} of {agent}"),
                    secret: secret.to_owned().into(),
                };
                let is_known = account.local() == Some("juliet") && binding == TokenBinding::None;
                Answer::Tokens(if is_known { vec![of("new"), of("old")] } else { Vec::new() })
            }
            Question::Missing { hashes, .. } => Answer::Missing(hashes),
            Question::Keep { keys: made, .. } => {
                let right = ScramKeys::derive(made.hash, PASSWORD, &made.salt, made.iterations);
                let why = AuthFailure::Temporary(None);
                Answer::Kept(if made == right.unwrap() { Ok(()) } else { Err(why) })
            }
            Question::Admit(admit) => match admit.agent.as_str() {
                "refused" => Answer::Admitted(Err(AuthFailure::NotAuthorized)),
                _ => Answer::Admitted(Ok("<x xmlns='urn:x'/>".into())),
            },
            Question::Anonymous => Answer::Account(BareJid::new("guest@example.org").unwrap()),
            Question::Bind { account, resource, .. } => match resource.as_deref() {
                Some("taken") => Answer::Bound(Err(StanzaError::conflict())),
                resource => {
                    let resource = resource.unwrap_or("made-here");
                    Answer::Bound(Ok(account.with_resource(resource).unwrap()))
                }
            },
            Question::Begin(inline) => match inline.tag.as_deref() {
                Some("full") => Answer::Begun(Err(StanzaError::resource_constraint())),
                Some("locked") => Answer::Begun(Err(StanzaError::not_allowed().text("locked"))),
                tag => {
                    let resource = format!("{}/1", tag.unwrap_or("none"));
                    let enabled = inline.enable.map(|enable| Enabled {
                        id: enable.resume.then(|| "sm-1".to_owned()),
                        max_seconds: enable.max.unwrap_or(600).min(600),
                    });
                    let address = inline.account.with_resource(&resource).unwrap();
                    Answer::Begun(Ok(Box::new(Begun { address, enabled, bound: String::new() })))
                }
            },
            Question::Attach { domain } => Answer::Attached(match &*domain {
                "taken.example.org" => Err(StreamError::conflict()),
                _ => Ok(()),
            }),
            Question::Vouch { domain, chain } => Answer::Vouched(peers::vouch(&domain, &chain)),
            Question::Resume { previd, .. } => match self.sessions.remove(&previd) {
                Some(acks) => Answer::Resumed(acks),
                None => Answer::NotResumed { h: (previd == "old").then_some(7) },
            },
            Question::Enable { resume, max } => Answer::Enabled {
                id: resume.then(|| "sm-1".to_owned()),
                max_seconds: max.unwrap_or(600).min(600),
            },
        }
    }
}

/// RFC 7395 §3.3.3: a message is one element with all its declarations, first byte `<`.
fn stands_alone(message: &str) {
    let limits = waxwing_xml::Limits::default();
    let parsed = waxwing_xml::parse(message.as_bytes(), &limits, "jabber:client", false);
    let namespace = parsed.as_ref().map(|element| element.namespace());
    assert!(namespace.is_ok_and(|namespace| !namespace.is_empty()), "{message}");
}

/// Keys of [`PASSWORD`].
pub(crate) fn keys(hash: Hash) -> ScramKeys {
    ScramKeys::derive(hash, PASSWORD, SALT, ITERATIONS).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "an instant can be had in no other way")]
fn start() -> Instant {
    Instant::now()
}

fn stream(now: Instant, framing: Framing, security: &Security, hosts: &Arc<Domains>) -> Stream {
    let entropy = Arc::new(|bytes: &mut [u8]| bytes.fill(0x2a));
    if hosts.component {
        return Stream::component(now, security.clone(), hosts.clone(), entropy);
    }
    if let Some(peer) = &hosts.peer {
        return peer.stream(now, framing, security, (hosts.clone(), entropy));
    }
    Stream::new(now, framing, security.clone(), hosts.clone(), entropy)
}

fn violation(name: &str) -> Violation {
    match name {
        "too-big" => Violation::TooBig,
        "binary" => Violation::Binary,
        "not-utf8" => Violation::NotUtf8,
        "protocol" => Violation::Protocol,
        _ => panic!("unknown violation {name}"),
    }
}

fn describe(question: &Question) -> String {
    match question {
        Question::Credentials { account, need: Need::Scram(hash) } => {
            format!("credentials {account} {}", hash.name())
        }
        Question::Plain { account, password } => format!("plain {account} {}", password.as_str()),
        Question::Bearer { account, token, .. } => match account {
            Some(account) => format!("bearer {account} {}", token.as_str()),
            None => format!("bearer - {}", token.as_str()),
        },
        Question::External { account, verified, .. } => match account {
            Some(account) => format!("external {account} {verified}"),
            None => format!("external - {verified}"),
        },
        Question::Tokens { account, agent, binding } => {
            format!("tokens {account} {agent} {}", binding.mechanism())
        }
        Question::Missing { account, hashes } => {
            let names: Vec<&str> = hashes.iter().map(|hash| hash.name()).collect();
            format!("missing {account} {}", names.join(" "))
        }
        Question::Keep { account, keys, proven } => {
            format!("keep {account} {} {} {}", keys.hash.name(), keys.iterations, proven.len())
        }
        Question::Admit(admit) => {
            let proof = match &admit.proof {
                Proof::Password(salt) => format!("password {}", salt.len()),
                Proof::Token(name) => format!("token {name}"),
                Proof::Other => "other".into(),
            };
            format!("admit {} {} by {proof}", admit.account, admit.agent)
        }
        Question::Anonymous => "anonymous".into(),
        Question::Bind { account, resource, .. } => {
            format!("bind {account} {}", resource.as_deref().unwrap_or("-"))
        }
        Question::Begin(inline) => {
            let Inline { account, by, tag, enable, .. } = &**inline;
            let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
            let enable = enable.map_or("-".into(), |e| format!("{} {:?}", e.resume, e.max));
            format!("begin {account} {} {} {enable}", or(&by.agent), or(tag))
        }
        Question::Resume { account, previd, h } => format!("resume {account} {previd} {h}"),
        Question::Attach { domain } => format!("attach {domain}"),
        Question::Vouch { domain, .. } => format!("vouch {domain}"),
        Question::Enable { resume, max } => format!("enable {resume} {max:?}"),
    }
}

fn ending(closure: &Closure) -> String {
    match closure {
        Closure::Footer => "footer".into(),
        Closure::Lost => "lost".into(),
        Closure::Error(error) => error.condition.name().into(),
        Closure::Refused(trouble) => format!("refused {trouble}"),
    }
}

pub(crate) fn text(stanza: &Stanza) -> String {
    let mut out = String::new();
    stanza.write(&mut out, None);
    out
}
