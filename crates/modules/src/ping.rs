#![cfg_attr(not(doctest), doc = include_str!("ping.md"))]

use std::sync::Arc;

use waxwing_kernel::SiteBuilder;
use waxwing_kernel::config::NoConfig;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::Request;
use waxwing_kernel::routes::Routes;
use waxwing_stanza::{StanzaError, payload};
use xso::FromXml;

const NS: &str = "urn:xmpp:ping";

/// Answers pings to the server and to the own account.
pub struct Ping;

impl Module for Ping {
    const ABOUT: &'static About = &About {
        name: "ping",
        summary: "Answers pings, so that clients can tell a dead connection from a quiet one.",
        is_on: true,
        xeps: &[Xep(199, "2.0.1")],
        server_features: &[NS],
        account_features: &[NS],
        manual: include_str!("ping.md"),
    };
    type Config = NoConfig;

    fn start(_: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        Ok(Self)
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.server().get(Self::answer);
        on.owner().get(Self::answer);
    }
}

impl Ping {
    /// §4.2: "the server MUST … return either an IQ-result … or an error".
    async fn answer(self: Arc<Self>, _: Request<Question>) -> Result<(), StanzaError> {
        Ok(())
    }
}

/// `<ping/>`
#[derive(FromXml)]
#[xml(namespace = NS, name = "ping", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct Question;
payload!(empty Question, "ping", NS);
