#![cfg_attr(not(doctest), doc = include_str!("time.md"))]

use std::sync::Arc;

use waxwing_kernel::SiteBuilder;
use waxwing_kernel::config::NoConfig;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::Request;
use waxwing_kernel::routes::Routes;
use waxwing_stanza::{StanzaError, payload, reply};
use xso::{AsXml, FromXml};

const NS: &str = "urn:xmpp:time";

/// Tells the time of the server.
pub struct Time;

impl Module for Time {
    const ABOUT: &'static About = &About {
        name: "time",
        summary: "Tells clients the server's time, so that they can set theirs right.",
        is_on: true,
        xeps: &[Xep(202, "2.0")],
        server_features: &[NS],
        account_features: &[],
        manual: include_str!("time.md"),
    };
    type Config = NoConfig;

    fn start(_: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        Ok(Self)
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.server().get(Self::answer);
    }
}

impl Time {
    /// §6: "Revealing an entity's numeric time zone offset may leak limited information about the
    /// entity's current location." The server lives in UTC.
    async fn answer(self: Arc<Self>, ask: Request<Question>) -> Result<Now, StanzaError> {
        Ok(Now { tzo: "+00:00".to_owned(), utc: ask.hub.clock().stamp() })
    }
}

/// `<time/>`
#[derive(FromXml)]
#[xml(namespace = NS, name = "time", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct Question;
payload!(empty Question, "time", NS);

/// §2
#[derive(AsXml)]
#[xml(namespace = NS, name = "time")]
struct Now {
    /// "The entity's numeric time zone offset from UTC."
    #[xml(extract(fields(text(type_ = String))))]
    tzo: String,
    /// "The UTC time according to the responding entity."
    #[xml(extract(fields(text(type_ = String))))]
    utc: String,
}
reply!(Now);
