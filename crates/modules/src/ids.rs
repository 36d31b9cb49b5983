#![cfg_attr(not(doctest), doc = include_str!("ids.md"))]

use waxwing_kernel::config::NoConfig;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::{Stage, Transit, Verdict};
use waxwing_kernel::{Filed, SiteBuilder};
use waxwing_stanza::payload::sid;
use waxwing_stanza::{CLIENT, Kind, MessageType};

/// Gives every message an id that its recipient can trust.
pub struct Ids;

impl Module for Ids {
    const ABOUT: &'static About = &About {
        name: "ids",
        summary: "Gives every message an id that nobody else can forge.",
        is_on: true,
        xeps: &[Xep(359, "0.7.0")],
        server_features: &[sid::NS],
        account_features: &[sid::NS],
        manual: include_str!("ids.md"),
    };
    type Config = NoConfig;

    fn start(_: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        Ok(Self)
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.inbound(Stage::Check, Self::strip);
        on.inbound(Stage::Record, Self::stamp).after("archive");
    }
}

impl Ids {
    /// §3 rule 2: "entities, which encounter a <stanza-id/> element where the 'by' attribute
    /// matches the 'by' attribute they would otherwise set, MUST delete that element even if they
    /// are not adding their own stanza ID."
    fn strip(&self, transit: &mut Transit<'_>) -> Verdict {
        if sid::has_any(&transit.stanza.body) {
            sid::remove(transit.stanza.body_mut(), &transit.to.jid.bare());
        }
        Verdict::Pass
    }

    /// "For one-on-one messages the assigning entity is the account." XEP-0313 §3.5: the id of what
    /// is archived is that of the archive; and where there is an archive, an id that is not in it
    /// would mislead a client that asks for what came after it.
    fn stamp(&self, transit: &mut Transit<'_>) -> Verdict {
        let number = match *transit.filed {
            Filed::Kept(number) => number,
            Filed::Unasked if is_conversation(transit) => transit.hub.next_id(),
            Filed::Left | Filed::Unasked => return Verdict::Pass,
        };
        let name = transit.hub.names().name(number);
        let id = sid::stanza_id(transit.to.jid.bare_str(), &name);
        transit.stanza.body_mut().append(id);
        Verdict::Pass
    }
}

fn is_conversation(transit: &Transit<'_>) -> bool {
    let kind = transit.stanza.head.kind;
    matches!(kind, Kind::Message(MessageType::Normal | MessageType::Chat))
        && transit.stanza.body.has("body", CLIENT)
}
