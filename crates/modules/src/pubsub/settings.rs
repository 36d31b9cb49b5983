//! The settings of publish-subscribe, and its limits.

use waxwing_kernel::config::{Bytes, Flaw};
use waxwing_kernel::{choice, section};

choice! {
    /// Who may make nodes at the service.
    pub enum Creators {
        /// Everybody who has an account here.
        Accounts = "accounts",
        /// Everybody.
        Everybody = "everybody",
        /// Only the admins of the domain.
        Admins = "admins",
    }
}

section! {
    /// Nodes that people and programs publish at, and that others read and hear of.
    pub struct PubsubConfig("pubsub", check = PubsubConfig::check) {
        /// Who may make nodes at the service.
        pub creators: Creators = "accounts",
        /// Nodes of the service.
        pub nodes: u32 = 1_000_000 in 1..=100_000_000,
        /// Nodes of the service that one address may make; admins may make more.
        pub nodes_per_creator: u32 = 1000 in 1..=1_000_000,
        /// Nodes of one account.
        pub nodes_per_account: u32 = 1000 in 1..=100_000,
        /// Items that a node keeps at most: what `max` means.
        pub items: u32 = 10_000 in 1..=1_000_000,
        /// Earlier items that a node of the service remembers for its history; 0: none.
        pub history: u32 = 10_000 in 0..=1_000_000,
        /// The same for a node of an account, but for those that the server knows.
        pub history_accounts: u32 = 0 in 0..=1_000_000,
        /// How long earlier items are remembered (days); 0: as long as there is room.
        pub history_days: u32 = 365 in 0..=36_500,
        /// Bytes of the payload of one item.
        pub payload: Bytes = "256 KiB" in "1 KiB"..="16 MiB",
        /// Bytes that all items of one account have together, or those of the nodes that one
        /// address made at the service. Others who publish there may fill half of it.
        pub stored: Bytes = "256 MiB" in "4 KiB"..="1 TiB",
        /// Items of one request, published or retracted.
        pub batch: u32 = 100 in 1..=10_000,
        /// Items of one answer; the rest is read page by page.
        pub page: u32 = 1000 in 1..=10_000,
        /// Bytes of the items of one answer, if it has more than one.
        pub page_bytes: Bytes = "1 MiB" in "16 KiB"..="16 MiB",
        /// Affiliations that the owners of a node may give.
        pub affiliations: u32 = 10_000 in 1..=1_000_000,
        /// Subscriptions of one address at the service, and at one account.
        pub subscriptions: u32 = 1000 in 1..=1_000_000,
        /// Subscriptions of one address to one node.
        pub subscriptions_per_node: u32 = 20 in 1..=1000,
        /// The longest that a subscription lasts before it must be renewed (days); 0: for ever.
        pub lease_days: u32 = 0 in 0..=3650,
        /// Nodes kept in memory beyond those in use.
        pub nodes_cached: u32 = 10_000 in 16..=10_000_000,
        /// Subscriptions kept in memory for the nodes that are published at.
        pub subscribers_cached: u32 = 200_000 in 0..=100_000_000,
    }
}

impl PubsubConfig {
    fn check(&self) -> Result<(), Flaw> {
        if u32::try_from(self.payload.0).is_err() || u32::try_from(self.page_bytes.0).is_err() {
            return Err(Flaw { key: "payload", problem: "is too large".to_owned() });
        }
        Ok(())
    }
}
