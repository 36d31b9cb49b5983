#![cfg_attr(not(doctest), doc = include_str!("strangers.md"))]

mod judge;
mod known;
mod preference;

use std::sync::Arc;

use waxwing_jid::{BareJid, Jid, is_subdomain};
use waxwing_kernel::account::{Account, Slot};
use waxwing_kernel::blocklist::{self, Blocklists, Source};
use waxwing_kernel::command::Command;
use waxwing_kernel::config::Bytes;
use waxwing_kernel::module::{About, Module, StartError};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::{Stage, Transit, Verdict};
use waxwing_kernel::{Hub, Roster, Site, SiteBuilder, choice, section};
use waxwing_stanza::{CLIENT, IqType, Kind, MessageType, PresenceType, Stanza, StanzaError};
use waxwing_store::Table;

use self::judge::{Approach, Bounds, Facts, Reason, Relation, Ruling, Who, judge, weight};
use self::known::Known;

choice! {
    /// How people of the same domain are taken who do not know each other.
    pub enum Neighbours {
        /// They are not limited.
        Free = "free",
        /// They are limited as others are.
        Limited = "limited",
    }
}

section! {
    /// What those may do who write to a person and are neither contacts nor have got a message of
    /// that person before.
    pub struct StrangersConfig("strangers") {
        /// Who may write to people who have not said it.
        pub who: Who = "everybody",
        /// Messages of one stranger until the person answers, or for 24 hours.
        pub messages: u32 = 10 in 1..=10_000,
        /// Strangers who may write to one person for the first time within an hour.
        pub senders: u32 = 20 in 1..=100_000,
        /// Strangers who may ask to see one person's presence within an hour.
        pub requests: u32 = 20 in 1..=100_000,
        /// Requests that wait for one person's answer; strangers add no more.
        pub waiting: u32 = 100 in 1..=100_000,
        /// Web addresses in one message of a stranger.
        pub links: u32 = 2 in 0..=1000,
        /// The longest message of a stranger.
        pub size: Bytes = "16 KiB" in "1 KiB"..="1 GiB",
        /// How people of the same domain are taken.
        pub neighbours: Neighbours = "free",
        /// Domains whose addresses are not limited, such as those of gateways.
        pub trusted: Vec<String> = [],
        /// Lists of addresses that nobody here wants to hear from, as `xmpp:SERVICE?;node=NODE`.
        pub lists: Vec<Source> = [],
        /// Entries of one list that are kept.
        pub list_entries: u32 = 100_000 in 1..=10_000_000,
    }
}

/// Keeps strangers within bounds.
pub struct Strangers {
    hub: Hub,
    domain: BareJid,
    known: Slot<Known>,
    roster: Slot<Roster>,
    bounds: Bounds,
    config: StrangersConfig,
    lists: Arc<Blocklists>,
}

impl Module for Strangers {
    const ABOUT: &'static About = &About {
        name: "strangers",
        summary: "Keeps those within bounds who write to people that do not know them.",
        is_on: true,
        xeps: &[],
        server_features: &[],
        account_features: &[],
        manual: include_str!("strangers.md"),
    };
    const TABLES: &'static [Table] = &known::TABLES;
    type Config = StrangersConfig;

    fn start(site: &mut SiteBuilder<'_>, config: StrangersConfig) -> Result<Self, StartError> {
        let bounds = Bounds {
            messages: config.messages,
            senders: config.senders as usize,
            requests: config.requests as usize,
            waiting: config.waiting as usize,
            links: config.links,
            bytes: config.size.0,
            includes_neighbours: config.neighbours == Neighbours::Limited,
        };
        let (hub, domain) = (site.hub(), site.jid().clone());
        let (known, roster) = (site.fact(), site.roster());
        let lists = hub.blocklists(domain.domain());
        let entries = config.list_entries as usize;
        lists.follow(Self::ABOUT.name, config.lists.clone(), entries);
        Ok(Self { hub, domain, known, roster, bounds, config, lists })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.outbound(Stage::Record, Self::note);
        // Who is blocked is not counted.
        on.inbound(Stage::Check, Self::screen).after("blocking");
        on.every(blocklist::ROUND, Self::read_lists);
        on.command(|strangers| {
            let set = Command::new(&preference::WHO, Arc::clone(&strangers), Self::say_who);
            set.filled(strangers, Self::who_so_far)
        });
    }
}

impl Strangers {
    /// Whoever a person approaches is no stranger from then on: not who gets words or is asked for
    /// what it will publish, for good, nor a room that is entered or a service that is used, for a
    /// while. What clients send by
    /// themselves – receipts, keys, questions about what another client can do – is no approach.
    fn note(&self, transit: &mut Transit<'_>) -> Verdict {
        let (from, to, kind) = (transit.from, &transit.to.jid, transit.stanza.head.kind);
        let Some(account) = &from.account else { return Verdict::Pass };
        let peer = to.bare_str();
        // Presence goes to every contact: neighbours that are not judged are not looked up for it.
        let is_free = || !self.bounds.includes_neighbours && to.domain() == self.domain.domain();
        let subscribes = kind == Kind::Iq(IqType::Set) && is_subscribing(transit.stanza);
        let is_approach = match kind {
            Kind::Message(kind) => kind != MessageType::Error,
            Kind::Iq(kind) => subscribes || kind == IqType::Set && to.local().is_none(),
            Kind::Presence(kind) => kind == PresenceType::Available && !is_free(),
        };
        if !is_approach || peer == account.jid().as_str() || self.is_trusted(to) {
            return Verdict::Pass;
        }
        let known = account.fact(self.known);
        let is_wordless = || matches!(kind, Kind::Message(_)) && !has_content(transit.stanza);
        if known.has_met(peer) || is_wordless() {
            return Verdict::Pass;
        }
        let is_contact = account.fact(self.roster).contact(&to.bare()).is_some();
        let is_lasting = subscribes || matches!(kind, Kind::Message(_));
        if is_lasting && !is_contact && !account.is_guest() {
            let now = transit.hub.clock().wall_millis().cast_signed();
            for write in known.meet(account.jid(), peer, now) {
                transit.effects.remember(write);
            }
        } else {
            known.visit(peer);
        }
        Verdict::Pass
    }

    async fn read_lists(self: Arc<Self>, hub: Hub, site: Arc<Site>) {
        hub.read_blocklists(&site).await;
    }

    fn screen(&self, transit: &mut Transit<'_>) -> Verdict {
        let (from, to) = (&transit.from.jid, transit.to);
        let Some(account) = &to.account else { return Verdict::Pass };
        let is_own = from.bare_str() == account.jid().as_str();
        if is_own || !is_judged(transit.stanza.head.kind) || self.is_trusted(from) {
            return Verdict::Pass;
        }
        let known = account.fact(self.known);
        let who = known.who().unwrap_or(self.config.who);
        let is_neighbour = from.domain() == self.domain.domain();
        // Nearly all there is: said first, so that it costs nearly nothing.
        if is_neighbour && !self.bounds.includes_neighbours && who != Who::Contacts {
            return Verdict::Pass;
        }
        let relation = self.relation((account, &known), from);
        if relation == Relation::Known {
            return Verdict::Pass;
        }
        if self.lists.have(&self.config.lists, from) {
            return self.withhold(transit, Reason::Listed);
        }
        let now = transit.hub.clock().now();
        let facts = self.facts((account, &known), from, transit.stanza, (relation, who));
        match judge(&facts, &self.bounds) {
            Ruling::Pass => Verdict::Pass,
            Ruling::Count => {
                match facts.approach {
                    Approach::Message { has_content, .. } => {
                        known.hear(from.bare_str(), weight(has_content), now);
                    }
                    Approach::Request { .. } => known.ask(now),
                }
                Verdict::Pass
            }
            Ruling::Withhold(reason) => self.withhold(transit, reason),
        }
    }

    fn relation(&self, (account, known): (&Account, &Known), from: &Jid) -> Relation {
        let is_contact = || account.fact(self.roster).contact(&from.bare()).is_some();
        match from.domain() == self.domain.domain() {
            _ if known.has_met(from.bare_str()) || is_contact() => Relation::Known,
            true => Relation::Neighbour,
            false => Relation::Stranger,
        }
    }

    /// What is to be known for the judgement.
    fn facts(
        &self,
        (account, known): (&Account, &Known),
        from: &Jid,
        stanza: &Stanza,
        (relation, who): (Relation, Who),
    ) -> Facts {
        let (peer, roster) = (from.bare(), account.fact(self.roster));
        let approach = match stanza.head.kind {
            Kind::Presence(_) => Approach::Request { is_repeated: roster.state(&peer).is_asked },
            _ => Approach::Message {
                bytes: stanza.body.len_bytes() as u64,
                links: links(stanza),
                has_content: has_content(stanza),
            },
        };
        let lately = known.lately(peer.as_str(), self.hub.clock().now());
        let (said, others, requests) = (lately.said, lately.others, lately.requests);
        Facts { relation, approach, who, said, others, requests, waiting: roster.waiting() }
    }

    /// The sender learns why, and nothing of the person.
    fn withhold(&self, transit: &mut Transit<'_>, reason: Reason) -> Verdict {
        let hub = transit.hub;
        hub.metrics().withheld(word(reason));
        tracing::debug!(to = %transit.to.jid, from = %transit.from.jid, ?reason, "withheld");
        let error = refusal(reason);
        if let Kind::Message(_) = transit.stanza.head.kind {
            return Verdict::Refuse(error);
        }
        if let Some(reply) = transit.stanza.error_reply(&error) {
            hub.reply(transit.from, reply, transit.effects);
        }
        Verdict::Done
    }

    /// The server itself with its services, and what the operator trusts.
    fn is_trusted(&self, from: &Jid) -> bool {
        let (domain, own) = (from.domain(), self.domain.domain());
        from.local().is_none() && (domain == own || is_subdomain(domain, own))
            || self.config.trusted.iter().any(|trusted| trusted == domain)
    }
}

/// Whether somebody asks to be told what is published (XEP-0060 §6.1).
fn is_subscribing(stanza: &Stanza) -> bool {
    let pubsub = stanza.body.child("pubsub", "http://jabber.org/protocol/pubsub");
    pubsub.is_some_and(|pubsub| pubsub.children().any(|child| child.name() == "subscribe"))
}

/// Messages of rooms come to who has entered them, and errors to who has sent something; other
/// presence than a request is the kernel's affair, and so are questions.
fn is_judged(kind: Kind) -> bool {
    match kind {
        Kind::Message(kind) => !matches!(kind, MessageType::Groupchat | MessageType::Error),
        Kind::Presence(kind) => kind == PresenceType::Subscribe,
        Kind::Iq(_) => false,
    }
}

/// Namespaces of what says nothing: who types, who has read, how it is encrypted.
const WORDLESS: [&str; 6] = [
    "http://jabber.org/protocol/chatstates",
    "urn:xmpp:hints",
    "urn:xmpp:receipts",
    "urn:xmpp:chat-markers:0",
    "urn:xmpp:sid:0",
    "urn:xmpp:eme:0",
];

/// Namespaces of OMEMO (XEP-0384): clients exchange keys without being told to.
const OMEMO: [&str; 3] = ["eu.siacs.conversations.axolotl", "urn:xmpp:omemo:1", "urn:xmpp:omemo:2"];

fn has_content(stanza: &Stanza) -> bool {
    stanza.body.children().any(|child| {
        let ns = child.namespace();
        let has_payload = || child.children().any(|inner| inner.name() == "payload");
        let is_key = OMEMO.contains(&ns) && !has_payload();
        !is_key && !child.is("thread", CLIENT) && !WORDLESS.contains(&ns)
    })
}

/// Web addresses in the text and beside it (XEP-0066).
fn links(stanza: &Stanza) -> u32 {
    let text = stanza.body.text_of("body").unwrap_or_default();
    let beside = stanza.body.children().filter(|child| child.is("x", "jabber:x:oob")).count();
    let in_text = text.as_bytes().windows(4).enumerate().filter(|(at, start)| {
        let rest = &text.as_bytes()[at + 4..];
        if start.eq_ignore_ascii_case(b"http") {
            rest.starts_with(b"://") || rest.first().is_some_and(is_s) && is_secure(rest)
        } else {
            start.eq_ignore_ascii_case(b"www.")
        }
    });
    // The same address usually stands in both places.
    u32::try_from(in_text.count().max(beside)).unwrap_or(u32::MAX)
}

fn is_s(letter: &u8) -> bool {
    letter.eq_ignore_ascii_case(&b's')
}

fn is_secure(rest: &[u8]) -> bool {
    rest.get(1..).is_some_and(|rest| rest.starts_with(b"://"))
}

/// What is counted.
fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::Unwanted => "unwanted",
        Reason::Size => "size",
        Reason::Links => "links",
        Reason::Unanswered => "unanswered",
        Reason::Crowd => "crowd",
        Reason::Requests => "requests",
        Reason::Listed => "listed",
    }
}

/// What the sender hears.
fn refusal(reason: Reason) -> StanzaError {
    let (policy, later) = (StanzaError::policy_violation(), StanzaError::resource_constraint());
    match reason {
        Reason::Unwanted => policy.text("This person takes no messages from strangers."),
        Reason::Size => policy.text("Who does not know you takes shorter messages only."),
        Reason::Links => {
            policy.text("Who does not know you takes no messages with so many web addresses.")
        }
        Reason::Listed => {
            policy.text("Your address, or its domain, is on a list of those nobody wants to hear.")
        }
        Reason::Unanswered => later.text("Wait for an answer before you write more."),
        Reason::Crowd | Reason::Requests => {
            later.text("Too many strangers turn to this person now; try again later.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(children: &str) -> Stanza {
        let text = format!("<message xmlns='jabber:client' type='chat'>{children}</message>");
        Stanza::parse(&text).unwrap()
    }

    #[test]
    fn web_addresses_are_counted_once() {
        for (body, count) in [
            ("", 0),
            ("http", 0),
            ("Ay me! httpd is no address, nor is https", 0),
            ("see https://a.example and HTTP://b.example", 2),
            ("www.example.org, hTTps://c.example", 2),
            ("ä http://ä.example/ ö", 1),
        ] {
            assert_eq!(links(&message(&format!("<body>{body}</body>"))), count, "{body}");
        }
        let oob = "<x xmlns='jabber:x:oob'><url>https://a.example/</url></x>";
        assert_eq!(links(&message(&format!("<body>https://a.example/</body>{oob}"))), 1);
        assert_eq!(links(&message(oob)), 1);
    }

    #[test]
    fn who_types_says_nothing() {
        let typing = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
        let read = "<received xmlns='urn:xmpp:receipts' id='a'/>";
        assert!(!has_content(&message(&format!("{typing}{read}<thread>t</thread>"))));
        assert!(has_content(&message(&format!("{typing}<body>Ay me!</body>"))));
        let encrypted = |inner: &str| {
            let how = "<encryption xmlns='urn:xmpp:eme:0' namespace='urn:xmpp:omemo:2'/>";
            message(&format!("<encrypted xmlns='urn:xmpp:omemo:2'>{inner}</encrypted>{how}"))
        };
        assert!(has_content(&encrypted("<header sid='1'/><payload>b3g=</payload>")));
        assert!(!has_content(&encrypted("<header sid='1'/>")));
    }
}
