//! Making nodes (§8.1).

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_stanza::StanzaError;
use waxwing_stanza::payload::dataform::DataForm;
use waxwing_store::domains::pubsub::{Affiliation as Row, Affiliations, Nodes};
use waxwing_store::{Statement, StoreError};
use waxwing_xml::write;

use super::config::{Config, submitted};
use super::errors::{unstored, with};
use super::node::{Node, State};
use super::rights::Affiliation;
use super::wire::NS;
use super::{Answer, Creators, Errand, Pubsub, attachments, public};

/// Bytes of randomness in the name of a node that nobody named.
const NAME_BYTES: usize = 16;

impl Pubsub {
    /// Makes a node, under a name of our own if none is said (§8.1.1: "instant nodes").
    pub(super) async fn create(
        &self,
        on: &Errand,
        name: Option<String>,
        form: Option<DataForm>,
    ) -> Answer {
        self.may_create(on)?;
        let is_instant = name.is_none();
        let name = name.unwrap_or_else(|| on.hub.clock().token(NAME_BYTES));
        let mut config = self.usual(&on.site, &on.realm, &name);
        // Called off, or nothing said: the default configuration.
        if let Some(form) = form.as_ref().map(submitted).transpose()?.flatten() {
            config = config.with(form, self.bounds())?;
        }
        attachments::may_make(&name)?;
        public::may_touch(&name)?;
        let node = self.node(&on.realm, &name).await?;
        let _turn = node.turn(on.hub.db()).await.map_err(unstored)?;
        if node.state().is_some() {
            let error = StanzaError::conflict();
            return Err(error.text("There is a node of this name already."));
        }
        let (state, batch) = self.draft(on, &node, config).await?;
        if let Err(error) = on.hub.db().batch(batch).await {
            node.doubt();
            return Err(unmade(error));
        }
        self.made(&node, state);
        Ok(is_instant.then(|| {
            let mut answer = format!("<pubsub xmlns='{NS}'><create");
            write::attribute(&mut answer, "node", &name);
            answer + "/></pubsub>"
        }))
    }

    /// Whether whoever asks may make nodes here.
    pub(super) fn may_create(&self, on: &Errand) -> Result<(), StanzaError> {
        let is_local = on.asker.domain() == on.site.domain();
        let is_guest = on.from.account.as_ref().is_some_and(|account| account.is_guest());
        let may = match &on.realm.account {
            Some(account) => on.asker == *account.jid() && !account.is_guest(),
            None if on.asker == self.service || on.site.is_admin(&on.asker) => true,
            None => match self.config.creators {
                Creators::Everybody => true,
                Creators::Accounts => is_local && !is_guest && on.asker.local().is_some(),
                Creators::Admins => false,
            },
        };
        if may {
            return Ok(());
        }
        let text = match on.realm.is_account() {
            true => "Only the owner of an account makes nodes there.",
            false => "You may not make nodes here.",
        };
        Err(StanzaError::forbidden().text(text))
    }

    /// What a new node is, and what must be written; in the turn of its place.
    pub(super) async fn draft(
        &self,
        on: &Errand,
        node: &Arc<Node>,
        config: Config,
    ) -> Result<(State, Vec<Statement>), StanzaError> {
        check_name(&self.service, &node.name)?;
        self.find_room(on, &node.name).await?;
        let state = State {
            id: on.hub.next_id().cast_signed(),
            config: Arc::new(config),
            creator: on.asker.clone(),
            created: on.hub.clock().wall_millis().cast_signed(),
            items: 0,
            last: None,
            untrimmed: 0,
        };
        let mut batch = vec![Nodes::add(&state.row(node))];
        if !on.realm.is_account() {
            batch.push(Affiliations::put(&Row {
                node: state.id,
                owner: node.owner.as_str().to_owned(),
                jid: on.asker.as_str().to_owned(),
                affiliation: Affiliation::Owner.number(),
            }));
        }
        Ok((state, batch))
    }

    /// A new node was committed.
    pub(super) fn made(&self, node: &Node, state: State) {
        if node.owner == self.service {
            self.cache.counted(1);
        }
        node.forget_affiliation(&state.creator);
        node.set(Some(state));
    }

    async fn find_room(&self, on: &Errand, name: &str) -> Result<(), StanzaError> {
        let (db, owner) = (on.hub.db(), &on.realm.jid);
        let rows = Nodes::new(db.clone());
        let full = |most: u32, whose: &str| {
            let error = with(StanzaError::resource_constraint(), "max-nodes-exceeded");
            Err(error.text(format!("{whose} may have {most} nodes.")))
        };
        if on.realm.is_account() {
            // What others attach to items takes no room from the nodes of the owner.
            let within = rows.count_within(owner.as_str(), attachments::NAMES).await;
            let attached = within.map_err(unstored)?;
            let (most, count) = match attachments::may_make(name) {
                Err(_) => (self.config.items, attached),
                Ok(()) => {
                    let all = rows.count(owner.as_str()).await.map_err(unstored)?;
                    (self.config.nodes_per_account, all - attached)
                }
            };
            return match count >= i64::from(most) {
                true => full(most, "An account"),
                false => Ok(()),
            };
        }
        if self.cache.count(db, owner).await.map_err(unstored)? >= i64::from(self.config.nodes) {
            return full(self.config.nodes, "The service");
        }
        if on.asker == self.service || on.site.is_admin(&on.asker) {
            return Ok(());
        }
        let most = self.config.nodes_per_creator;
        let count = rows.count_by(owner.as_str(), on.asker.as_str()).await.map_err(unstored)?;
        if count >= i64::from(most) { full(most, "You") } else { Ok(()) }
    }
}

/// §4.6.2: "the pubsub service SHOULD ensure that the NodeID conforms to the Resourceprep profile",
/// which the rules for resources of RFC 7622 replaced.
fn check_name(service: &BareJid, name: &str) -> Result<(), StanzaError> {
    let is_proper = service.with_resource(name).is_ok_and(|jid| jid.resource() == Some(name));
    match is_proper {
        true => Ok(()),
        false => Err(StanzaError::not_acceptable().text("A node cannot have this name.")),
    }
}

fn unmade(error: StoreError) -> StanzaError {
    match error {
        StoreError::Conflict(_) => {
            StanzaError::conflict().text("There is a node of this name already.")
        }
        error => unstored(error),
    }
}
