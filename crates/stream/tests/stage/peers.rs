//! Another server at the other end.

use std::sync::Arc;
use std::time::Instant;

use waxwing_stanza::{Stanza, StanzaError};
use waxwing_stream::{
    Border, Call, Dialback, Entropy, Event, Framing, Hosts, Pair, Security, Stream, StreamError,
    Tag, Verdict, Way,
};

use super::{Stage, text};

/// Who has called whom, and what is asked of the caller.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Ours; the other side has called us where there is none.
    pub(crate) call: Option<Call>,
    pub(crate) border: Border,
    pub(crate) secret: Option<&'static [u8]>,
    pub(crate) ours: &'static [&'static str],
}

impl Peer {
    pub(crate) fn border(&self, local: &str, peer: Option<&str>) -> Result<Border, StreamError> {
        if !self.ours.contains(&local) {
            return Err(StreamError::host_unknown());
        }
        if peer == Some("blocked.example") {
            return Err(StreamError::policy_violation().text("not you"));
        }
        let mut border = self.border.clone();
        border.demand.certificate_required |= local == "strict.example";
        Ok(border)
    }

    pub(crate) fn stream(
        &self,
        now: Instant,
        framing: Framing,
        security: &Security,
        (hosts, entropy): (Arc<dyn Hosts>, Entropy),
    ) -> Stream {
        let security = security.clone();
        match &self.call {
            Some(call) => Stream::outgoing(now, framing, security, call.clone(), hosts, entropy),
            None => Stream::incoming(now, framing, security, hosts, entropy),
        }
    }
}

impl Stage {
    pub(super) fn act_between_servers(&mut self, verb: &str, rest: &str) {
        if verb == "deliver" {
            let (tag, xml) = rest.split_once(' ').unwrap();
            let stanza = Stanza::parse(xml).unwrap();
            let tag = Tag(tag.parse().unwrap());
            if let Err(unsent) = self.stream.deliver(self.now, &stanza, tag) {
                self.events.push(format!("unsent {unsent:?}"));
            }
            return;
        }
        let mut words = rest.split(' ');
        let mut next = || words.next().unwrap();
        let (verdict, from, to) = (next(), next(), next());
        let key = words.next();
        let verdict = match verdict {
            "valid" => Verdict::Valid,
            "invalid" => Verdict::Invalid,
            _ => Verdict::Failed(StanzaError::remote_server_timeout()),
        };
        let pair = Pair::new(from, to);
        // The last key that was shown for the pair, or the one that is named.
        let is_meant = |it: &&Dialback| it.pair == pair && key.is_none_or(|key| it.key == key);
        let asked = self.shown.iter().rev().find(is_meant).cloned();
        let made_up = || Dialback { pair: pair.clone(), id: String::new(), key: String::new() };
        self.stream.verified(self.now, &asked.unwrap_or_else(made_up), verdict);
    }
}

/// A certificate in these tests is the name that it is for.
pub(crate) fn vouch(domain: &str, chain: &[Vec<u8>]) -> Result<(), Arc<str>> {
    let name = String::from_utf8(chain.concat()).unwrap();
    match name == domain {
        true => Ok(()),
        false => Err(format!("The certificate is for {name}.").into()),
    }
}

pub(crate) fn describe(event: &Event) -> String {
    match event {
        Event::Reply(stanza) => format!("reply {}", text(stanza)),
        Event::Linked(linked) => {
            let way = if linked.way == Way::In { "in" } else { "out" };
            format!("linked {way} {} by {}", linked.pair, linked.by)
        }
        Event::Dialback(it) => format!("dialback {} {} {}", it.pair, it.id, it.key),
        Event::Verdict(Verdict::Valid) => "verdict valid".into(),
        Event::Verdict(Verdict::Invalid) => "verdict invalid".into(),
        Event::Verdict(Verdict::Failed(error)) => format!("verdict {error}"),
        _ => panic!("not between servers: {event:?}"),
    }
}

/// Whatever is said, nothing is delivered under a name that was not proven.
pub(super) fn check(proven: &[Pair], stanza: &Stanza) {
    let (from, to) = (stanza.head.from.as_ref().unwrap(), stanza.head.to.as_ref().unwrap());
    assert!(proven.contains(&Pair::new(from.domain(), to.domain())), "{}", text(stanza));
}

pub(super) fn learn((proven, shown): (&mut Vec<Pair>, &mut Vec<Dialback>), event: &Event) {
    match event {
        Event::Linked(linked) if linked.way == Way::In => proven.push(linked.pair.clone()),
        Event::Dialback(asked) => shown.push(asked.clone()),
        _ => {}
    }
}
