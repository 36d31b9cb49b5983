#![cfg_attr(not(doctest), doc = include_str!("version.md"))]

use std::sync::Arc;

use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::Request;
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{SiteBuilder, section};
use waxwing_stanza::{StanzaError, payload, reply};
use xso::{AsXml, FromXml};

const NS: &str = "jabber:iq:version";

section! {
    /// What the server tells about its program.
    pub struct VersionConfig("version") {
        /// Whether the operating system is told as well.
        pub os: bool = false,
    }
}

/// Tells the name and version of the server's program.
pub struct Version {
    tells_os: bool,
}

impl Module for Version {
    const ABOUT: &'static About = &About {
        name: "version",
        summary: "Tells clients the name and version of the server's program.",
        is_on: true,
        xeps: &[Xep(92, "1.1")],
        server_features: &[NS],
        account_features: &[],
        manual: include_str!("version.md"),
    };
    type Config = VersionConfig;

    fn start(_: &mut SiteBuilder<'_>, config: VersionConfig) -> Result<Self, StartError> {
        Ok(Self { tells_os: config.os })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.server().get(Self::answer);
    }
}

impl Version {
    async fn answer(self: Arc<Self>, _: Request<Question>) -> Result<Program, StanzaError> {
        Ok(Program {
            name: "Waxwing".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            // §5: "an application MUST provide a way for a human user or administrator to disable
            // sharing of information about the operating system".
            os: self.tells_os.then(|| std::env::consts::OS.to_owned()),
        })
    }
}

/// `<query/>`
#[derive(FromXml)]
#[xml(namespace = NS, name = "query", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct Question;
payload!(empty Question, "query", NS);

/// §2
#[derive(AsXml)]
#[xml(namespace = NS, name = "query")]
struct Program {
    /// "The natural-language name of the software."
    #[xml(extract(fields(text(type_ = String))))]
    name: String,
    /// "The specific version of the software."
    #[xml(extract(fields(text(type_ = String))))]
    version: String,
    /// "The operating system of the queried entity."
    #[xml(extract(default, fields(text(type_ = String))))]
    os: Option<String>,
}
reply!(Program);
