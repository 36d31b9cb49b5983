//! A client in memory that parses nothing: it knows what comes, and must cost little.

use std::future::{Future, poll_fn};
use std::task::{Context, Poll, Waker};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use waxwing_modules::MODULES;
use waxwing_stream::Framing;
use waxwing_testkit::link::{Link, Sent};
use waxwing_testkit::world::PASSWORD;
use waxwing_testkit::{Plan, Way, World};

use crate::Outcome;

/// The one domain.
pub(crate) const DOMAIN: &str = "localhost";

const HEADER: &str = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";
const OPEN: &str = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' \
                    version='1.0'/>";

/// Runs a server and its clients on one thread.
pub(crate) fn block_on(task: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(task)
}

/// A server with all modules but the archive, on SQLite in memory and a clock that stands still.
pub(crate) async fn world() -> Outcome<World> {
    let settings = "modules.archive.enabled = false".into();
    World::start(Plan { settings, ..plan() }).await
}

/// The same with the archive.
pub(crate) async fn archiving_world() -> Outcome<World> {
    World::start(plan()).await
}

/// Rates are counted, but hold nobody up: where the clock stands still, nothing makes up for them.
fn plan() -> Plan {
    let mut plan = Plan::in_memory(MODULES);
    plan.limits.session_rate.stanzas.burst = 1 << 20;
    plan.limits.account_rate.stanzas.burst = 1 << 20;
    plan
}

/// A client and its connection.
pub(crate) struct Peer {
    link: Link,
}

impl Peer {
    /// Connects.
    pub(crate) async fn connect(world: &World, framing: Framing) -> Outcome<Self> {
        Ok(Self { link: world.connect(Way::Memory(framing), DOMAIN).await? })
    }

    /// An account's client with a resource and presence, to whom nothing is on its way.
    pub(crate) async fn present(
        world: &World,
        framing: Framing,
        name: &str,
        resource: &str,
    ) -> Outcome<Self> {
        let mut peer = Self::connect(world, framing).await?;
        peer.open().await?;
        let token = BASE64_STANDARD.encode(format!("\0{name}\0{PASSWORD}"));
        let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>";
        peer.say(&format!("{auth}{token}</auth>")).await?;
        peer.until("<success").await?;
        peer.open().await?;
        peer.bind(resource).await?;
        peer.say("<presence xmlns='jabber:client'/>").await?;
        world.settle().await?;
        peer.ignore();
        Ok(peer)
    }

    /// Opens a stream and reads the features.
    pub(crate) async fn open(&mut self) -> Outcome {
        let header = match self.link.framing() {
            Framing::Tcp => HEADER,
            Framing::WebSocket => OPEN,
        };
        self.say(header).await?;
        self.until("features>").await.map(drop)
    }

    /// Binds a resource.
    pub(crate) async fn bind(&mut self, resource: &str) -> Outcome {
        let iq = format!(
            "<iq xmlns='jabber:client' type='set' id='b1'>\
             <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource>\
             </bind></iq>"
        );
        self.say(&iq).await?;
        self.until("<jid>").await.map(drop)
    }

    /// Sends a piece of a TCP stream, or one WebSocket message.
    pub(crate) async fn say(&mut self, text: &str) -> Outcome {
        self.link.send(text).await
    }

    /// What comes next: all that the server wrote at once, or one WebSocket message.
    pub(crate) async fn hear(&mut self) -> Outcome<Vec<u8>> {
        match poll_fn(|cx| self.link.poll_receive(cx)).await {
            Some(Sent::Data(data)) => Ok(data),
            other => Err(format!("the server sent {other:?}")),
        }
    }

    /// Listens until something with this in it has come; gives all that came.
    pub(crate) async fn until(&mut self, needle: &str) -> Outcome<String> {
        let mut heard = String::new();
        while !heard.contains(needle) {
            if heard.contains("error") || heard.contains("<failure") {
                return Err(format!("instead of {needle} came {heard}"));
            }
            let data = self.hear().await?;
            heard += std::str::from_utf8(&data).map_err(|error| error.to_string())?;
        }
        Ok(heard)
    }

    /// Reads what is there, and forgets it.
    pub(crate) fn ignore(&mut self) {
        let mut nobody = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(_)) = self.link.poll_receive(&mut nobody) {}
    }
}
