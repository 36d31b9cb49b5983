#![cfg_attr(not(doctest), doc = include_str!("mds.md"))]

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use waxwing_jid::BareJid;
use waxwing_kernel::account::Account;
use waxwing_kernel::config::NoConfig;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::nodes::{KnownNode, NodeAsk, Publication};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::{Stage, Transit, Verdict};
use waxwing_kernel::{Hub, SiteBuilder};
use waxwing_stanza::payload::sid;
use waxwing_stanza::{Kind, MessageType, StanzaError};

const NS: &str = "urn:xmpp:mds:displayed:0";
const ASSIST: &str = "urn:xmpp:mds:server-assist:0";

/// §4.2: "including, but not limited to, setting the access model to whitelist and the max-items to
/// max", and what its example asks for besides.
const PRIVATE: &[(&str, &str)] = &[
    ("pubsub#persist_items", "true"),
    ("pubsub#max_items", "max"),
    ("pubsub#send_last_published_item", "never"),
    ("pubsub#access_model", "whitelist"),
];

static NODE: KnownNode = KnownNode { name: NS, is_prefix: false, preset: PRIVATE };

/// Keeps what a person has read, for all of their devices.
pub struct Mds(Arc<Desk>);

/// What is still to be published, by account, in the order in which it was said. An account is in
/// it while a task works for it. Each entry holds back the acknowledgement of its message, so a
/// session has no more of them than it may have commits to wait for.
#[derive(Default)]
struct Desk(Mutex<HashMap<BareJid, VecDeque<Displayed>>>);

/// A conversation that was read up to somewhere.
struct Displayed {
    /// §4.5.3: "the item id is taken from the 'to' attribute".
    item: String,
    /// The element that says up to where.
    payload: String,
    /// Dropped when it is published: then the message counts.
    _done: oneshot::Sender<()>,
}

impl Module for Mds {
    const ABOUT: &'static About = &About {
        name: "mds",
        summary: "Keeps what a person has read, for all of their devices.",
        is_on: true,
        xeps: &[Xep(490, "1.0.1")],
        server_features: &[],
        account_features: &[ASSIST],
        manual: include_str!("mds.md"),
    };
    type Config = NoConfig;

    fn start(site: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        Ok(Self(site.hub().lasting(site.jid().domain())))
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.node(&NODE);
        on.outbound(Stage::Check, Self::assist);
    }
}

impl Mds {
    /// §4.5.3: "The server MUST strip the <displayed/> element from the message and continue to
    /// process it normally"; §5.2: this "MUST happen before the message is stored in the archive
    /// and before it is reflected back".
    fn assist(&self, transit: &mut Transit<'_>) -> Verdict {
        let Kind::Message(kind) = transit.stanza.head.kind else { return Verdict::Pass };
        let Some(displayed) = transit.stanza.body.child("displayed", NS) else {
            return Verdict::Pass;
        };
        // §4.1: it "MUST contain exactly one <stanza-id/> element". What does not is nothing that
        // other devices could use.
        let ids = displayed.children().filter(|child| child.is("stanza-id", sid::NS)).count();
        let is_meant = ids == 1 && kind != MessageType::Error;
        let payload = displayed.as_str().to_owned();
        transit.stanza.body_mut().remove("displayed", NS);
        let to = transit.stanza.head.to.as_ref().filter(|_| is_meant);
        if let (Some(to), Some(account)) = (to, transit.sender()) {
            let (done, receipt) = oneshot::channel();
            let displayed = Displayed { item: to.to_string(), payload, _done: done };
            Desk::take(&self.0, transit.hub, account, displayed);
            transit.effects.until(receipt);
        }
        Verdict::Pass
    }
}

impl Desk {
    /// Publishes behind what the account has said before.
    fn take(desk: &Arc<Self>, hub: &Hub, account: &Arc<Account>, displayed: Displayed) {
        let mut waiting = desk.0.lock();
        if let Some(queue) = waiting.get_mut(account.jid()) {
            return queue.push_back(displayed);
        }
        waiting.insert(account.jid().clone(), VecDeque::from([displayed]));
        drop(waiting);
        let (desk, hub, account) = (Arc::clone(desk), hub.clone(), Arc::clone(account));
        hub.clone().clock().spawn(async move {
            while let Some(displayed) = desk.next(&account) {
                if let Err(error) = publish(&hub, &account, &displayed).await {
                    tracing::warn!(account = %account.jid(), %error, "not noted what was read");
                }
            }
        });
    }

    /// The next of an account; none ends the work for it.
    fn next(&self, account: &Account) -> Option<Displayed> {
        let mut waiting = self.0.lock();
        let next = waiting.get_mut(account.jid()).and_then(VecDeque::pop_front);
        if next.is_none() {
            waiting.remove(account.jid());
        }
        next
    }
}

/// §4.5.3: "The server MUST publish a PEP item on the 'urn:xmpp:mds:displayed:0' node".
async fn publish(hub: &Hub, account: &Arc<Account>, it: &Displayed) -> Result<(), StanzaError> {
    let Some(site) = hub.site(account.jid().domain()) else { return Ok(()) };
    let Some(nodes) = site.nodes() else { return Ok(()) };
    let at = NodeAsk { hub, site: &site, owner: Some(account), node: NS, origin: Mds::ABOUT.name };
    let items = &[(it.item.as_str(), it.payload.as_str())];
    nodes.publish(at, Publication { items, options: PRIVATE }).await
}
