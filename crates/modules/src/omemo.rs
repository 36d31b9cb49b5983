#![cfg_attr(not(doctest), doc = include_str!("omemo.md"))]

use waxwing_kernel::SiteBuilder;
use waxwing_kernel::config::NoConfig;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::nodes::KnownNode;
use waxwing_kernel::routes::Routes;

/// §5.3.1, §5.3.2: "It is REQUIRED to set the access model of the … node to 'open'". One list,
/// which every device replaces.
const LIST: &[(&str, &str)] = &[
    ("pubsub#access_model", "open"),
    ("pubsub#persist_items", "true"),
    ("pubsub#max_items", "1"),
    ("pubsub#send_last_published_item", "on_sub_and_presence"),
];

/// §5.3.2: "When publishing bundles a client MUST make sure that the urn:xmpp:omemo:2:bundles node
/// is configured to store multiple items." Nobody is told of bundles: they are fetched.
const BUNDLES: &[(&str, &str)] = &[
    ("pubsub#access_model", "open"),
    ("pubsub#persist_items", "true"),
    ("pubsub#max_items", "max"),
    ("pubsub#send_last_published_item", "never"),
];

/// The nodes of both generations.
static NODES: [KnownNode; 4] = [
    KnownNode { name: "urn:xmpp:omemo:2:devices", is_prefix: false, preset: LIST },
    KnownNode { name: "urn:xmpp:omemo:2:bundles", is_prefix: false, preset: BUNDLES },
    KnownNode { name: "eu.siacs.conversations.axolotl.devicelist", is_prefix: false, preset: LIST },
    // One node for each device, with one item.
    KnownNode { name: "eu.siacs.conversations.axolotl.bundles:", is_prefix: true, preset: LIST },
];

/// Knows how the nodes of end-to-end encryption have to be.
pub struct Omemo;

impl Module for Omemo {
    const ABOUT: &'static About = &About {
        name: "omemo",
        summary: "Lets devices publish their keys for end-to-end encryption so that all find them.",
        is_on: true,
        xeps: &[Xep(384, "0.9.1")],
        server_features: &[],
        account_features: &[],
        manual: include_str!("omemo.md"),
    };
    type Config = NoConfig;

    fn start(_: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        Ok(Self)
    }

    fn routes(on: &mut Routes<'_, Self>) {
        NODES.iter().for_each(|node| on.node(node));
    }
}
