#![cfg_attr(not(doctest), doc = include_str!("serverinfo.md"))]

use std::sync::Arc;
use std::time::Duration;

use waxwing_kernel::config::NoConfig;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::nodes::{NodeAsk, Publication, Which};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{Hub, Site, SiteBuilder};
use waxwing_stanza::StanzaError;
use waxwing_stanza::payload::dataform::{DataForm, Field, FieldType, FormType};
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
    domain: String,
}

impl Module for ServerInfo {
    const ABOUT: &'static About = &About {
        name: "serverinfo",
        summary: "Publishes that the server is there, for those who map the network.",
        is_on: false,
        xeps: &[Xep(485, "1.0.0").lacks("the domains that this one is connected with")],
        server_features: &[NS],
        account_features: &[],
        manual: include_str!("serverinfo.md"),
    };
    type Config = NoConfig;

    fn start(site: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        Ok(Self { domain: site.jid().domain().to_owned() })
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
        if let Err(error) = self.publish(&hub, &site).await {
            tracing::warn!(%error, "what the server is could not be published");
        }
    }

    /// Publishes what is true, unless that stands there.
    async fn publish(&self, hub: &Hub, site: &Arc<Site>) -> Result<(), StanzaError> {
        let Some(nodes) = site.nodes() else { return Ok(()) };
        let at = NodeAsk { hub, site, owner: None, node: NODE, origin: Self::ABOUT.name };
        let mut now = format!("<serverinfo xmlns='{NS}'><domain");
        write::attribute(&mut now, "name", &self.domain);
        now.push_str("/></serverinfo>");
        let there = nodes.items(at, Which::Last(1)).await?;
        if there.iter().any(|item| item.id == ITEM && *item.payload == *now) {
            return Ok(());
        }
        nodes.publish(at, Publication { items: &[(ITEM, &now)], options: OPTIONS }).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_is_announced_as_a_uri() {
        let form = ServerInfo { domain: "shakespeare.lit".to_owned() }.form();
        assert_eq!(form.form_type(), Some(FORM));
        let uri = "xmpp:pubsub.shakespeare.lit?;node=serverinfo";
        assert_eq!(form.value("serverinfo-pubsub-node"), Some(uri));
    }
}
