//! Two ends and what carries bytes between them, cut as a test wants it.

use waxwing_stream::{Call, Demand, Framing, Input, Limits, Pair, PeerTrust, Purpose, Security};

use crate::stage::peers::Peer;
use crate::stage::{Domains, Output, Stage};

/// The secret of capulet.example in XEP-0220 §2.
const SECRET: &[u8] = b"s3cr3tf0rd14lb4ck";

/// The other server: it is called by [`Peer::outgoing`].
pub(crate) fn capulet() -> Peer {
    Peer { secret: Some(SECRET), ours: &["capulet.example"], ..Peer::incoming() }
}

/// How the bytes of both directions, counted together, are cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    Whole,
    At(usize),
    Bytes,
}

/// One end, before it is opened.
pub(crate) struct End {
    peer: Peer,
    /// What it learns of the other end's certificate.
    trust: Option<PeerTrust>,
    /// What it shows.
    chain: Option<&'static str>,
    is_clear: bool,
}

impl End {
    pub(crate) fn of(peer: Peer) -> End {
        End { peer, trust: None, chain: None, is_clear: false }
    }

    /// A caller whose certificate is good, and who finds that of the other good.
    pub(crate) fn trusted(peer: Peer) -> End {
        let (trust, chain) = (Some(PeerTrust::Certificate), Some("montague.example"));
        End { trust, chain, ..End::of(peer) }
    }

    /// Who is called by it.
    pub(crate) fn shown(peer: Peer) -> End {
        End { chain: Some("capulet.example"), ..End::of(peer) }
    }

    /// Shows this certificate.
    pub(crate) fn showing(self, name: &'static str) -> End {
        End { chain: Some(name), ..self }
    }

    /// TLS is still to come.
    pub(crate) fn clear(self) -> End {
        End { is_clear: true, ..self }
    }

    fn open(self, framing: Framing, other: Option<&'static str>) -> Stage {
        let mut domains = Domains::new(Limits::default());
        domains.peer = Some(self.peer);
        let peer_chain = other.map(|name| name.as_bytes().to_vec()).into_iter().collect();
        let (tls, peer_trust) = (!self.is_clear, self.trust);
        let security = Security { tls, peer_chain, peer_trust, ..Security::default() };
        Stage::new(framing, security, domains)
    }
}

/// Both ends.
pub(crate) struct Cable {
    pub(crate) caller: Stage,
    pub(crate) called: Stage,
    pub(crate) cut: Cut,
    /// Bytes so far.
    pub(crate) carried: usize,
    /// Keys are verified by a call back.
    pub(crate) verifies: bool,
    /// The byte at this place is carried as another.
    pub(crate) harm: Option<(usize, u8)>,
    framing: Framing,
    seen: usize,
}

impl Cable {
    pub(crate) fn new(framing: Framing, (caller, called): (End, End)) -> Cable {
        let (shown, showing) = (caller.chain, called.chain);
        let caller = caller.open(framing, showing);
        let called = called.open(framing, shown);
        let (cut, carried, verifies, seen) = (Cut::Whole, 0, true, 0);
        Cable { caller, called, cut, carried, verifies, harm: None, framing, seen }
    }

    /// Carries until nobody has anything to say.
    pub(crate) fn settle(&mut self) {
        self.caller.act("alive");
        loop {
            let one = std::mem::take(&mut self.caller.output);
            let two = std::mem::take(&mut self.called.output);
            if one.is_empty() && two.is_empty() && !self.shake_hands() && !self.call_back() {
                return;
            }
            self.carry(one, true);
            self.carry(two, false);
        }
    }

    fn carry(&mut self, said: Vec<Output>, to_called: bool) {
        for said in said {
            match said {
                Output::Text(text) => self.feed(text.as_bytes(), to_called),
                Output::Mark(mark) if mark.starts_with("close") => {
                    self.end(to_called).receive(Input::End);
                }
                Output::Mark(_) => self.end(to_called).receive(Input::Alive),
            }
        }
    }

    fn end(&mut self, called: bool) -> &mut Stage {
        if called { &mut self.called } else { &mut self.caller }
    }

    fn feed(&mut self, bytes: &[u8], to_called: bool) {
        let before = self.carried;
        self.carried += bytes.len();
        let mut bytes = bytes.to_vec();
        if let Some((place, byte)) = self.harm
            && let Some(harmed) = place.checked_sub(before).and_then(|at| bytes.get_mut(at))
        {
            *harmed = byte;
        }
        let bytes = &*bytes;
        if self.framing == Framing::WebSocket {
            return self.end(to_called).receive(Input::Message(bytes));
        }
        let (middle, size) = match self.cut {
            Cut::Whole => (0, usize::MAX),
            Cut::Bytes => (0, 1),
            Cut::At(at) => (at.saturating_sub(before).min(bytes.len()), usize::MAX),
        };
        let (left, right) = bytes.split_at(middle);
        for piece in left.chunks(size).chain(right.chunks(size)) {
            self.end(to_called).receive(Input::Bytes(piece));
        }
    }

    /// The TLS handshake, once both want it.
    fn shake_hands(&mut self) -> bool {
        let wants = |stage: &Stage| stage.events.last().is_some_and(|event| event == "starttls");
        let both = wants(&self.caller) && wants(&self.called) && !self.called.stream.security().tls;
        if both {
            self.called.act("tls");
            self.caller.act("tls");
        }
        both
    }

    /// Asks the authoritative server about a key that has come.
    fn call_back(&mut self) -> bool {
        let asked = self.called.events.iter().filter(|event| event.starts_with("dialback "));
        let Some(event) = asked.skip(self.seen).map(String::to_owned).next() else { return false };
        if !self.verifies {
            return false;
        }
        self.seen += 1;
        let words: Vec<&str> = event.split(' ').collect();
        let [_, from, _, to, id, key] = words[..] else { panic!("{event}") };
        let verdict = self.verify(from, to, id, key);
        let verdict = verdict.strip_prefix("verdict ").unwrap();
        self.called.act(&format!("verified {verdict} {from} {to}"));
        true
    }

    /// A call to the authoritative server of `from`, and what it says.
    pub(crate) fn verify(&self, from: &str, to: &str, id: &str, key: &str) -> String {
        let purpose = Purpose::Verify { id: id.into(), key: key.into() };
        let (pair, demand) = (Pair::new(to, from), Demand::default());
        let call = Call { pair, purpose, demand, external: true, bidi: true, acks: true };
        let caller = Peer { call: Some(call), ..capulet() };
        let mut cable = Cable::new(Framing::Tcp, (End::of(caller), End::of(Peer::incoming())));
        cable.settle();
        assert_eq!(cable.called.events, ["closed footer"]);
        assert_eq!(cable.caller.events.len(), 2, "{:?}", cable.caller.events);
        cable.caller.events.swap_remove(0)
    }
}
