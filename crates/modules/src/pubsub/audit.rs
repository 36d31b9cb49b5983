//! What admins see and do of nodes.

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::clock::stamp_of;
use waxwing_kernel::command::{CommandAbout, Grid, Order, Refusal, Said};
use waxwing_kernel::form;
use waxwing_stanza::StanzaError;
use waxwing_store::domains::pubsub as rows;

use super::config::{Access, FIELDS};
use super::errors::unstored;
use super::node::{Node, State};
use super::rights::Affiliation;
use super::subscribers::Status;
use super::{Errand, Pubsub, Realm};

/// Nodes shown at once.
const SHOWN: usize = 100;
/// People shown at once.
const PEOPLE: u32 = 100;

form! {
    /// List the nodes of the service, or of an account.
    pub struct ListNodes {
        /// Those of this account.
        pub account: Option<BareJid>,
        /// Only those behind this name, which continues a list.
        pub after: Option<String>,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static LIST: CommandAbout =
    CommandAbout::of::<ListNodes>("urn:waxwing:pubsub#list", &["pubsub", "list"]).reads();

form! {
    /// Show a node: how it is configured, and who has to do with it.
    pub struct ShowNode {
        /// Its name.
        pub node: String,
        /// The account whose node it is; the service if nothing is said.
        pub account: Option<BareJid>,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static SHOW: CommandAbout =
    CommandAbout::of::<ShowNode>("urn:waxwing:pubsub#show", &["pubsub", "show"]).reads();

form! {
    /// Remove a node with everything that was published there. Its subscribers are told.
    pub struct DeleteNode {
        /// Its name.
        pub node: String,
        /// The account whose node it is; the service if nothing is said.
        pub account: Option<BareJid>,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static DELETE: CommandAbout =
    CommandAbout::of::<DeleteNode>("urn:waxwing:pubsub#delete", &["pubsub", "delete"]).danger();

impl Pubsub {
    pub(super) async fn list_nodes(
        self: Arc<Self>,
        order: Order<ListNodes>,
    ) -> Result<Said, Refusal> {
        let realm = self.realm_named(order.form.account.as_ref()).await?;
        let nodes = rows::Nodes::new(self.hub.db().clone());
        let (owner, from) = (realm.jid.as_str(), order.form.after.as_deref());
        let walk = rows::Walk { owner, kind: None, from, is_back: false };
        let found = nodes.list(walk, SHOWN as u32 + 1).await.map_err(unstored).map_err(failed)?;
        let mut grid = Grid::new(&[
            ("node", "Node"),
            ("title", "Title"),
            ("access", "Access"),
            ("creator", "Creator"),
            ("made", "Since"),
        ]);
        for row in found {
            grid.row([
                row.name,
                row.title.unwrap_or_default(),
                access(row.access),
                row.creator,
                stamp_of(row.created.cast_unsigned()),
            ]);
        }
        Ok(Said::page(grid, SHOWN, "There are no nodes."))
    }

    pub(super) async fn show_node(
        self: Arc<Self>,
        order: Order<ShowNode>,
    ) -> Result<Said, Refusal> {
        let realm = self.realm_named(order.form.account.as_ref()).await?;
        let (node, state) = self.found(&realm, &order.form.node).await?;
        let db = self.hub.db();
        let subscriptions = rows::Subscriptions::new(db.clone());
        let subscribed = subscriptions.count(state.id, Status::Subscribed.number()).await;
        let people = rows::Affiliations::new(db.clone());
        let mut said = Said::note("")
            .fact("node", "Node", &*node.name)
            .fact("owner", "Of", node.owner.as_str())
            .fact("creator", "Creator", state.creator.as_str())
            .fact("made", "Since", stamp_of(state.created.cast_unsigned()))
            .fact("items", "Items", state.items.to_string())
            .fact(
                "subscribers",
                "Subscribers",
                subscribed.map_err(unstored).map_err(failed)?.to_string(),
            );
        for affiliation in
            [Affiliation::Owner, Affiliation::Publisher, Affiliation::Member, Affiliation::Outcast]
        {
            let named = people.of_kind(state.id, affiliation.number(), PEOPLE).await;
            let named = named.map_err(unstored).map_err(failed)?;
            if !named.is_empty() {
                let name = affiliation.name();
                said = said.fact(name, name, named.join(", "));
            }
        }
        let mut grid = Grid::new(&[("field", "Field"), ("value", "Value")]);
        for about in FIELDS {
            grid.row([about.var.to_owned(), (about.show)(&state.config).join(", ")]);
        }
        Ok(said.table(grid))
    }

    pub(super) async fn delete_node(
        self: Arc<Self>,
        order: Order<DeleteNode>,
    ) -> Result<Said, Refusal> {
        let realm = self.realm_named(order.form.account.as_ref()).await?;
        let (node, _) = self.found(&realm, &order.form.node).await?;
        let site = self.hub.site(self.domain());
        let site = site.ok_or_else(|| Refusal::failed("this domain is not served any more"))?;
        let on = Errand::unasked((&self.hub, &site), realm);
        let turn = node.turn(self.hub.db()).await.map_err(unstored).map_err(failed)?;
        let state = node.there().map_err(failed)?;
        self.delete_there(&on, &node, &state, None).await.map_err(failed)?;
        drop(turn);
        Ok(Said::note(format!("{} of {} is gone.", node.name, node.owner)))
    }

    /// The host that the service is at.
    fn domain(&self) -> &str {
        self.service.domain().split_once('.').map_or("", |(_, domain)| domain)
    }

    async fn realm_named(&self, account: Option<&BareJid>) -> Result<Realm, Refusal> {
        let Some(jid) = account else { return Ok(self.realm(None)) };
        if jid.domain() != self.domain() {
            return Err(Refusal::invalid("account", format!("{jid} is of another domain")));
        }
        match self.hub.account(jid).await.map_err(unstored).map_err(failed)? {
            Some(account) => Ok(self.realm(Some(account))),
            None => Err(Refusal::not_found(format!("there is no account {jid}"))),
        }
    }

    async fn found(&self, realm: &Realm, name: &str) -> Result<(Arc<Node>, Arc<State>), Refusal> {
        let node = self.node(realm, name).await.map_err(failed)?;
        match node.state() {
            Some(state) => Ok((node, state)),
            None => Err(Refusal::not_found(format!("there is no node {name} of {}", realm.jid))),
        }
    }
}

fn access(number: i64) -> String {
    let word = match Access::of(number) {
        Access::Open => "open",
        Access::Presence => "presence",
        Access::Roster => "roster",
        Access::Authorize => "authorize",
        Access::Whitelist => "whitelist",
    };
    word.to_owned()
}

fn failed(error: StanzaError) -> Refusal {
    Refusal::failed(error.text.as_deref().unwrap_or("the store cannot be used").to_owned())
}
