#![cfg_attr(not(doctest), doc = include_str!("serverinfo.md"))]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::config::NoConfig;
use waxwing_kernel::links::ledger::Direction;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::nodes::{NodeAsk, Publication, Which};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::Party;
use waxwing_kernel::{Hub, Site, SiteBuilder};
use waxwing_stanza::payload::dataform::{DataForm, Field, FieldType, FormType};
use waxwing_stanza::payload::disco;
use waxwing_stanza::{IqType, Kind, Stanza, StanzaError};
use waxwing_xml::write;

const NS: &str = "urn:xmpp:serverinfo:0";
const NODE: &str = "serverinfo";
/// §5: the only item.
const ITEM: &str = "current";
/// §3: "scoped using a FORM_TYPE of "http://jabber.org/network/serverinfo"".
const FORM: &str = "http://jabber.org/network/serverinfo";
/// The label of the service of nodes.
const SERVICE: &str = "pubsub";
/// How often it is looked whether what is published is true.
const ROUND: Duration = Duration::from_secs(60);
/// §6: "the server MAY choose to reduce the frequency of updates".
const PAUSE: Duration = Duration::from_secs(600);
/// How long it is believed what another server said of itself.
const BELIEVED: Duration = Duration::from_secs(24 * 3600);
/// How long its answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// Servers that are asked on one round.
const ASKED: usize = 5;
/// Servers that are told of.
const SHOWN: usize = 500;

/// §5: "It is RECOMMENDED that the leaf-node is configured to have an open access model and contain
/// a maximum of 1 item."
const OPTIONS: &[(&str, &str)] = &[
    ("pubsub#access_model", "open"),
    ("pubsub#persist_items", "true"),
    ("pubsub#max_items", "1"),
    ("pubsub#type", NS),
];

/// Publishes that the server is there, for those who map the network.
pub struct ServerInfo {
    domain: BareJid,
    known: Arc<Known>,
}

/// What outlasts a reload.
#[derive(Default)]
struct Known(Mutex<State>);

#[derive(Default)]
struct State {
    /// Whether a domain agrees to be named, and until when that is believed.
    agrees: HashMap<Arc<str>, (bool, Instant)>,
    published: Option<Instant>,
}

/// A domain that this one is linked with.
type Linked = (Arc<str>, Vec<Direction>);

impl Module for ServerInfo {
    const ABOUT: &'static About = &About {
        name: "serverinfo",
        summary: "Publishes that the server is there, for those who map the network.",
        is_on: false,
        xeps: &[Xep(485, "1.0.0")],
        server_features: &[NS],
        account_features: &[],
        manual: include_str!("serverinfo.md"),
    };
    type Config = NoConfig;

    fn start(site: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        let (domain, known) = (site.jid().clone(), site.hub().lasting(site.jid().domain()));
        Ok(Self { domain, known })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.server_form(|info| Some(info.form()));
        on.every(ROUND, Self::tell);
    }
}

impl ServerInfo {
    /// §3: the address of the node, "using an URI as specified in section 12.22 of XEP-0060".
    fn form(&self) -> DataForm {
        let uri = format!("xmpp:{SERVICE}.{}?;node={NODE}", self.domain);
        let field = Field::new(FieldType::TextSingle, "serverinfo-pubsub-node").value(uri);
        DataForm::new(FormType::Result).about(FORM).with(field)
    }

    async fn tell(self: Arc<Self>, hub: Hub, site: Arc<Site>) {
        let mut linked = hub.ledger().links_of(self.domain.domain());
        linked.truncate(SHOWN);
        self.ask(&hub, &linked).await;
        let now = hub.clock().now();
        let is_early = self.known.0.lock().published.is_some_and(|last| now < last + PAUSE);
        if is_early {
            return;
        }
        match self.publish(&hub, &site, &linked).await {
            Ok(true) => self.known.0.lock().published = Some(now),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "what the server is could not be published"),
        }
    }

    /// Asks some of those who were not asked for long whether they agree to be named. §7: "the
    /// service discovery mechanism doubles as an opt-in mechanism".
    async fn ask(&self, hub: &Hub, linked: &[Linked]) {
        let now = hub.clock().now();
        let due: Vec<Arc<str>> = {
            let agrees = &mut self.known.0.lock().agrees;
            agrees.retain(|domain, _| linked.iter().any(|(name, _)| name == domain));
            let is_due =
                |name: &&Arc<str>| agrees.get(*name).is_none_or(|(_, until)| *until <= now);
            linked.iter().map(|(name, _)| name).filter(is_due).take(ASKED).cloned().collect()
        };
        for domain in due {
            let agrees = self.agrees(hub, &domain).await;
            self.known.0.lock().agrees.insert(domain, (agrees, now + BELIEVED));
        }
    }

    async fn agrees(&self, hub: &Hub, domain: &str) -> bool {
        let Ok(peer) = Jid::new(domain) else { return false };
        let query = format!("<query xmlns='{}'/>", disco::INFO);
        let question = Stanza::iq(IqType::Get).to(peer).with(query);
        let own = Party::new(self.domain.to_jid(), None);
        let Ok(answer) = hub.inquire_for(&own, question, ANSWER).await else { return false };
        let Some(query) = answer.body.child("query", disco::INFO) else { return false };
        answer.head.kind == Kind::Iq(IqType::Result)
            && query.children().any(|child| {
                child.name() == "feature" && child.attribute("var").as_deref() == Some(NS)
            })
    }

    /// Publishes what is true, unless that stands there; true when it was published.
    async fn publish(
        &self,
        hub: &Hub,
        site: &Arc<Site>,
        linked: &[Linked],
    ) -> Result<bool, StanzaError> {
        let Some(nodes) = site.nodes() else { return Ok(false) };
        let at = NodeAsk { hub, site, owner: None, node: NODE, origin: Self::ABOUT.name };
        let now = self.item(linked);
        let there = nodes.items(at, Which::Last(1)).await?;
        if there.iter().any(|item| item.id == ITEM && *item.payload == *now) {
            return Ok(false);
        }
        nodes.publish(at, Publication { items: &[(ITEM, &now)], options: OPTIONS }).await?;
        Ok(true)
    }

    /// §4: "The name of a remote domain MUST only be included if the remote server advertises
    /// support for this XEP." The others are told of without it.
    fn item(&self, linked: &[Linked]) -> String {
        let mut out = format!("<serverinfo xmlns='{NS}'><domain");
        write::attribute(&mut out, "name", self.domain.domain());
        if linked.is_empty() {
            return out + "/></serverinfo>";
        }
        out.push_str("><federation>");
        let known = self.known.0.lock();
        for (name, ways) in linked {
            out.push_str("<remote-domain");
            if known.agrees.get(name).is_some_and(|(agrees, _)| *agrees) {
                write::attribute(&mut out, "name", name);
            }
            out.push('>');
            for way in ways {
                out.push_str(match way {
                    Direction::In => "<connection type='incoming'/>",
                    Direction::Out => "<connection type='outgoing'/>",
                    Direction::Both => "<connection type='bidi'/>",
                });
            }
            out.push_str("</remote-domain>");
        }
        out + "</federation></domain></serverinfo>"
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
mod tests {
    use super::*;

    fn info() -> ServerInfo {
        let domain = BareJid::new("shakespeare.lit").unwrap();
        ServerInfo { domain, known: Arc::default() }
    }

    #[test]
    fn the_node_is_announced_as_a_uri() {
        let form = info().form();
        assert_eq!(form.form_type(), Some(FORM));
        let uri = "xmpp:pubsub.shakespeare.lit?;node=serverinfo";
        assert_eq!(form.value("serverinfo-pubsub-node"), Some(uri));
    }

    #[test]
    fn who_has_not_agreed_is_not_named() {
        let info = info();
        let linked: Vec<Linked> = vec![
            ("denmark.lit".into(), vec![Direction::In, Direction::Out]),
            ("montague.net".into(), vec![Direction::Both]),
            ("secret.example".into(), vec![Direction::Out]),
        ];
        let until = Instant::now();
        for (name, agrees) in
            [("denmark.lit", true), ("montague.net", true), ("secret.example", false)]
        {
            info.known.0.lock().agrees.insert(name.into(), (agrees, until));
        }
        assert_eq!(
            info.item(&linked),
            "<serverinfo xmlns='urn:xmpp:serverinfo:0'><domain name='shakespeare.lit'><federation>\
             <remote-domain name='denmark.lit'><connection type='incoming'/>\
             <connection type='outgoing'/></remote-domain><remote-domain name='montague.net'>\
             <connection type='bidi'/></remote-domain><remote-domain>\
             <connection type='outgoing'/></remote-domain></federation></domain></serverinfo>"
        );
        assert!(info.item(&[]).ends_with("<domain name='shakespeare.lit'/></serverinfo>"));
    }
}
