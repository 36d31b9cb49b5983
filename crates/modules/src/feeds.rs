#![cfg_attr(not(doctest), doc = include_str!("feeds.md"))]

use waxwing_kernel::SiteBuilder;
use waxwing_kernel::config::NoConfig;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::nodes::KnownNode;
use waxwing_kernel::routes::Routes;

/// XEP-0472 §5.1, the base profile, and XEP-0277 §4.1.
const BLOG: &[(&str, &str)] = &[
    ("pubsub#type", "urn:xmpp:microblog:0"),
    ("pubsub#notify_retract", "true"),
    ("pubsub#max_items", "max"),
    ("pubsub#persist_items", "true"),
    ("pubsub#send_last_published_item", "never"),
    ("pubsub#deliver_payloads", "false"),
    ("pubsub#access_model", "presence"),
];

/// XEP-0277 §4.2: "The "pubsub#access_model" SHOULD be set to "open" to allow any user to comment
/// to a post." To comment is to publish.
const COMMENTS: &[(&str, &str)] = &[
    ("pubsub#notify_retract", "true"),
    ("pubsub#max_items", "max"),
    ("pubsub#persist_items", "true"),
    ("pubsub#send_last_published_item", "never"),
    ("pubsub#access_model", "open"),
    ("pubsub#publish_model", "open"),
    ("pubsub#itemreply", "publisher"),
];

/// XEP-0501 §4.1.1: "The "pubsub#item_expire" SHOULD be set, usually 24 hours (86400)."
const STORIES: &[(&str, &str)] = &[
    ("pubsub#type", "urn:xmpp:pubsub-social-feed:stories:0"),
    ("pubsub#notify_retract", "true"),
    ("pubsub#max_items", "max"),
    ("pubsub#persist_items", "true"),
    ("pubsub#send_last_published_item", "never"),
    ("pubsub#deliver_payloads", "false"),
    ("pubsub#access_model", "presence"),
    ("pubsub#item_expire", "86400"),
];

static NODES: [KnownNode; 3] = [
    KnownNode { name: "urn:xmpp:microblog:0", is_prefix: false, preset: BLOG },
    KnownNode { name: "urn:xmpp:microblog:0:comments/", is_prefix: true, preset: COMMENTS },
    KnownNode { name: "urn:xmpp:pubsub-social-feed:stories:0", is_prefix: false, preset: STORIES },
];

/// Knows how the nodes of blogs and stories have to be.
pub struct Feeds;

impl Module for Feeds {
    const ABOUT: &'static About = &About {
        name: "feeds",
        summary: "Gives blogs, their comments and stories the settings that clients expect.",
        is_on: true,
        xeps: &[Xep(277, "0.6.5"), Xep(472, "0.2.1"), Xep(501, "0.2.0")],
        server_features: &[],
        account_features: &[],
        manual: include_str!("feeds.md"),
    };
    type Config = NoConfig;

    fn start(_: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        Ok(Self)
    }

    fn routes(on: &mut Routes<'_, Self>) {
        NODES.iter().for_each(|node| on.node(node));
    }
}
