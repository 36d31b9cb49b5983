#![cfg_attr(not(doctest), doc = include_str!("caps.md"))]

mod hash;
mod learn;
mod outside;

use std::sync::Arc;

use waxwing_kernel::account::Slot;
use waxwing_kernel::disco::{DiscoAnswer, DiscoAsk, DiscoNode};
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::Signal;
use waxwing_kernel::roster::Roster;
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::Stage;
use waxwing_kernel::{Site, SiteBuilder, section};
use waxwing_stanza::payload::disco::INFO;
use waxwing_xml::write;

use self::hash::{Algorithm, verification};
use self::learn::Learned;

const NS: &str = "http://jabber.org/protocol/caps";

/// §4: "A URI that uniquely identifies a software application".
const NODE: &str = "urn:waxwing:server";

section! {
    /// What the server remembers of the programs that people use.
    pub struct CapsConfig("caps") {
        /// Kinds of clients whose answers are remembered. Beyond it, the one that was seen last
        /// the longest ago is asked again when it comes.
        pub clients: u32 = 2000 in 10..=1_000_000,
        /// Sessions of contacts on other servers of which it is remembered what they want to hear
        /// of. Beyond it, the one that came first is forgotten, and told nothing until it says
        /// again that it is there.
        pub outsiders: u32 = 50_000 in 10..=10_000_000,
        /// How long a client may take to say what it can do (seconds).
        pub answer_seconds: u32 = 30 in 1..=600,
    }
}

/// Tells clients in the stream features what the server can do, as a hash, and learns from the
/// hashes in their presence what they want to be told of.
pub struct Caps {
    learned: Arc<Learned>,
    roster: Slot<Roster>,
    outsiders: usize,
}

impl Module for Caps {
    const ABOUT: &'static About = &About {
        name: "caps",
        summary: "Spares clients and the server asking what they know already of each other.",
        is_on: true,
        xeps: &[Xep(115, "1.6.0")],
        server_features: &[NS],
        account_features: &[],
        manual: include_str!("caps.md"),
    };
    type Config = CapsConfig;

    fn start(site: &mut SiteBuilder<'_>, config: CapsConfig) -> Result<Self, StartError> {
        let outsiders = config.outsiders as usize;
        Ok(Self { learned: Arc::new(Learned::new(&config)), roster: site.roster(), outsiders })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.stream_feature(Self::feature);
        on.disco_nodes(Self::node);
        on.signal(Signal::Shown, Self::learn);
        on.inbound(Stage::Check, Self::meet).after("blocking");
    }
}

impl Caps {
    /// §6.3: "A server MAY include its entity capabilities in a stream feature element". Nothing
    /// where nobody could ask what the hash stands for.
    fn feature(&self, site: &Site) -> Option<String> {
        let info = site.disco_info();
        if !info.has(INFO) {
            return None;
        }
        let ver = verification(&info, Algorithm::Sha1);
        let mut out = String::from("<c");
        for (name, value) in [("xmlns", NS), ("hash", "sha-1"), ("node", NODE), ("ver", &ver)] {
            write::attribute(&mut out, name, value);
        }
        out.push_str("/>");
        Some(out)
    }

    /// §6.2: the disco node is "the value of the caps 'node' attribute …, the "#" character, and
    /// the value of the caps 'ver' attribute". Of another hash, as it was before a change of the
    /// configuration, nothing is known any more.
    fn node(&self, ask: &DiscoAsk<'_>) -> DiscoAnswer {
        let asked = ask.node.strip_prefix(NODE).and_then(|rest| rest.strip_prefix('#'));
        let Some(asked) = asked else { return Ok(None) };
        let info = ask.site.disco_info();
        let is_current = asked == verification(&info, Algorithm::Sha1);
        Ok(is_current.then(|| DiscoNode { info, items: Vec::new() }))
    }
}
