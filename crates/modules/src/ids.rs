#![cfg_attr(not(doctest), doc = include_str!("ids.md"))]

use waxwing_kernel::SiteBuilder;
use waxwing_kernel::config::NoConfig;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::{Stage, Transit, Verdict};
use waxwing_stanza::{CLIENT, Kind, MessageType};
use waxwing_xml::write;

const NS: &str = "urn:xmpp:sid:0";

/// Bytes of randomness in an id: "The values of the 'id' attribute SHOULD be unpredictable."
const ID_BYTES: usize = 12;

/// Room for a usual element.
const XML_BYTES: usize = 128;

/// Gives every message an id that its recipient can trust.
pub struct Ids;

impl Module for Ids {
    const ABOUT: &'static About = &About {
        name: "ids",
        summary: "Gives every message an id that nobody else can forge.",
        is_on: true,
        xeps: &[Xep(359, "0.7.0")],
        server_features: &[NS],
        account_features: &[NS],
        manual: include_str!("ids.md"),
    };
    type Config = NoConfig;

    fn start(_: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        Ok(Self)
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.inbound(Stage::Check, Self::strip);
        on.inbound(Stage::Record, Self::stamp);
    }
}

impl Ids {
    /// §3.1 rule 4: "entities, which encounter a <stanza-id/> element where the 'by' attribute
    /// matches the 'by' attribute they would otherwise set, MUST delete that element even if they
    /// are not adding their own stanza ID."
    fn strip(&self, transit: &mut Transit<'_>) -> Verdict {
        if !transit.stanza.body.has("stanza-id", NS) {
            return Verdict::Pass;
        }
        let own = transit.to.jid.bare();
        transit.stanza.body_mut().retain(|child| {
            let by = child.is("stanza-id", NS).then(|| child.attribute("by")).flatten();
            // As an address, not as text: `Romeo@LOCALHOST` is the same.
            by.is_none_or(|by| waxwing_jid::BareJid::new(&by).ok().as_ref() != Some(&own))
        });
        Verdict::Pass
    }

    /// "For one-on-one messages the assigning entity is the account."
    fn stamp(&self, transit: &mut Transit<'_>) -> Verdict {
        let Kind::Message(MessageType::Normal | MessageType::Chat) = transit.stanza.head.kind
        else {
            return Verdict::Pass;
        };
        if transit.stanza.body.has("body", CLIENT) {
            let mut xml = String::with_capacity(XML_BYTES);
            xml.push_str("<stanza-id xmlns='");
            xml.push_str(NS);
            xml.push('\'');
            write::attribute(&mut xml, "by", transit.to.jid.bare_str());
            xml.push_str(" id='");
            xml.push_str(&transit.hub.clock().token(ID_BYTES)); // digits need no escaping
            xml.push_str("'/>");
            transit.stanza.body_mut().append(xml);
        }
        Verdict::Pass
    }
}
