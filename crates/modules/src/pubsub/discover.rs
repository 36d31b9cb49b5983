//! What the service, an account and their nodes are, and what belongs to them (§5.1 to §5.5).

use std::sync::Arc;

use waxwing_kernel::clock::stamp_of;
use waxwing_kernel::disco::{AccountAnswer, AccountDiscoAsk, AccountNode};
use waxwing_kernel::request::Request;
use waxwing_stanza::payload::dataform::{FieldType, FormType};
use waxwing_stanza::payload::disco::{INFO, ITEMS, Identity, Info, Item, Items};
use waxwing_stanza::payload::rsm::{self, Page};
use waxwing_stanza::payload::{self, dataform::DataForm};
use waxwing_stanza::{Stanza, StanzaError, to_xml};
use waxwing_store::domains::pubsub as rows;

use super::config::{Access, meta};
use super::errors::{no_item, no_node, unstored};
use super::node::{Node, State};
use super::rights::{Action, Affiliation, judge};
use super::shelf::MAM;
use super::subscribers::Status;
use super::wire::NS;
use super::{Answer, Errand, NAME, Pubsub, attachments, pending, public};

/// Namespace of filters by the kind of nodes (XEP-0462).
const FILTER: &str = "urn:xmpp:pubsub-filter:0";
/// Nodes that are looked at for one answer: those that somebody may not see are passed over.
const LOOKED_AT: usize = 2000;
/// People of one kind that are named in what is told of a node.
const NAMED: u32 = 100;

macro_rules! features {
    ($($name:literal),* $(,)? $(; $($whole:expr),*)?) => {
        &[$(concat!("http://jabber.org/protocol/pubsub#", $name)),* $(, $($whole),*)?]
    };
}

/// §10: what is shown of accounts (XEP-0163 §6.1).
pub(super) const ACCOUNT_FEATURES: &[&str] = features![
    "access-presence",
    "auto-create",
    "auto-subscribe",
    "config-node",
    "config-node-max",
    "create-and-configure",
    "create-nodes",
    "delete-items",
    "delete-nodes",
    "filtered-notifications",
    "get-pending",
    "instant-nodes",
    "item-ids",
    "last-published",
    "leased-subscription",
    "manage-subscriptions",
    "member-affiliation",
    "meta-data",
    "modify-affiliations",
    "multi-items",
    "multi-subscribe",
    "outcast-affiliation",
    "persistent-items",
    "presence-notifications",
    "presence-subscribe",
    "publish",
    "publish-node-full",
    "publish-only-affiliation",
    "publish-options",
    "publisher-affiliation",
    "purge-nodes",
    "retract-items",
    "retrieve-affiliations",
    "retrieve-default",
    "retrieve-default-sub",
    "retrieve-items",
    "retrieve-subscriptions",
    "rsm",
    "subscribe",
    "subscription-notifications",
    "subscription-options"; attachments::NS, pending::NS, NS
];

/// Those of them that are not for the service: there nobody is told who did not ask to be.
const NOT_OF_SERVICE: &[&str] =
    features!["access-presence", "auto-subscribe", "filtered-notifications", "presence-subscribe",];

/// What is shown of the service besides.
const SERVICE_FEATURES: &[&str] =
    &["http://jabber.org/protocol/pubsub#access-open", INFO, ITEMS, rsm::NS, FILTER, public::NS];

/// XEP-0163 §6.1: "an identity of "pubsub/pep"".
pub(super) fn account_identity() -> Identity {
    Identity::new("pubsub", "pep", None)
}

/// Which nodes are asked for (XEP-0462).
#[derive(Debug, Default)]
struct Filter {
    included: Option<Vec<String>>,
    excluded: Option<Vec<String>>,
}

impl Pubsub {
    /// What the service is, or one of its nodes.
    pub(super) async fn service_info(
        self: Arc<Self>,
        ask: Request<Info>,
    ) -> Result<Info, StanzaError> {
        let on = Errand::of(&self, &ask);
        let Some(name) = ask.payload.node else {
            let shared = ACCOUNT_FEATURES.iter().filter(|it| !NOT_OF_SERVICE.contains(it));
            // Somebody else speaks the protocol of archives, who may be switched off.
            let mut abouts = on.site.router.abouts().iter();
            let has_history = abouts.any(|about| about.account_features.contains(&MAM));
            let features = shared.chain(SERVICE_FEATURES).copied();
            let features = features.chain(has_history.then_some(MAM));
            let identities = vec![Identity::new("pubsub", "service", Some(NAME))];
            return Ok(Info { identities, ..Info::default() }.with(features).sorted());
        };
        let info = match pending::discovered(&name, &on.realm.jid) {
            Some((info, _)) => info,
            None => self.node_info(&on, &name).await?,
        };
        Ok(Info { node: Some(name), ..info.sorted() })
    }

    /// The nodes of the service, or the items of one of them.
    pub(super) async fn service_items(self: Arc<Self>, ask: Request<Items>) -> Answer {
        let on = Errand::of(&self, &ask);
        let (filter, set) = asked(&ask.stanza)?;
        let (items, page) = match &ask.payload.node {
            None => self.nodes(&on, &filter, set.as_ref()).await?,
            Some(name) => match pending::discovered(name, &on.realm.jid) {
                Some((_, items)) => (items, None),
                None => self.node_items(&on, name, set.as_ref()).await?,
            },
        };
        let answer = to_xml(&Items { node: ask.payload.node, items });
        Ok(Some(match (page, answer.strip_suffix("</query>")) {
            (Some(page), Some(inside)) => format!("{inside}{}</query>", to_xml(&page)),
            (Some(page), None) => {
                let start = answer.strip_suffix("/>").unwrap_or(&answer);
                format!("{start}>{}</query>", to_xml(&page))
            }
            (None, _) => answer,
        }))
    }

    /// The same for an account. What is not the module's own business is nothing.
    pub(super) async fn account_disco(self: Arc<Self>, ask: AccountDiscoAsk) -> AccountAnswer {
        let realm = self.realm(Some(Arc::clone(&ask.account)));
        let on = Errand {
            asker: ask.from.jid.bare(),
            hub: ask.hub,
            site: ask.site,
            from: ask.from,
            realm,
            origin: None,
        };
        let set = ask.set.as_ref();
        let Some(name) = ask.node else {
            let (items, page) = self.nodes(&on, &Filter::default(), set).await?;
            return Ok(Some(AccountNode { items, page, ..AccountNode::default() }));
        };
        if on.asker == on.realm.jid
            && let Some((info, items)) = pending::discovered(&name, &on.realm.jid)
        {
            return Ok(Some(AccountNode { info, items, ..AccountNode::default() }));
        }
        let node = self.node(&on.realm, &name).await?;
        if node.state().is_none() {
            return Ok(None);
        }
        Ok(Some(match ask.is_items {
            true => {
                let (items, page) = self.node_items(&on, &name, set).await?;
                AccountNode { items, page, ..AccountNode::default() }
            }
            false => {
                AccountNode { info: self.node_info(&on, &name).await?, ..AccountNode::default() }
            }
        }))
    }

    /// §5.3, §5.4. Whoever may not know of a node is told that there is none.
    async fn node_info(&self, on: &Errand, name: &str) -> Result<Info, StanzaError> {
        let node = self.node(&on.realm, name).await?;
        let state = self.allowed(on, &node, Action::Discover).await.map_err(|_| no_node())?;
        let form = self.metadata(on, &node, &state).await?;
        let identities = vec![Identity::new("pubsub", "leaf", None)];
        Ok(Info { identities, forms: vec![form], ..Info::default() }.with([NS, INFO, ITEMS]))
    }

    async fn metadata(
        &self,
        on: &Errand,
        node: &Node,
        state: &State,
    ) -> Result<DataForm, StanzaError> {
        let db = on.hub.db();
        let people = rows::Affiliations::new(db.clone());
        let of = |affiliation: Affiliation| people.of_kind(state.id, affiliation.number(), NAMED);
        let mut owners = of(Affiliation::Owner).await.map_err(unstored)?;
        if on.realm.is_account() {
            owners.insert(0, node.owner.to_string());
        }
        let publishers = of(Affiliation::Publisher).await.map_err(unstored)?;
        let subscribed = rows::Subscriptions::new(db.clone())
            .count(state.id, Status::Subscribed.number())
            .await
            .map_err(unstored)?;
        let made = stamp_of(state.created.cast_unsigned());
        use FieldType::{JidMulti, JidSingle, TextSingle};
        Ok((*state.config)
            .metadata()
            .with(meta(TextSingle, "pubsub#creation_date", "When it was made", [made]))
            .with(meta(JidSingle, "pubsub#creator", "Who made it", [state.creator.to_string()]))
            .with(meta(JidMulti, "pubsub#owner", "Its owners", owners))
            .with(meta(JidMulti, "pubsub#publisher", "Its publishers", publishers))
            .with(meta(
                TextSingle,
                "pubsub#num_subscribers",
                "How many are subscribed",
                [subscribed.to_string()],
            )))
    }

    /// §5.5: "The 'name' attribute of each Service Discovery item MUST contain its ItemID and the
    /// item MUST NOT possess a 'node' attribute."
    async fn node_items(
        &self,
        on: &Errand,
        name: &str,
        set: Option<&rsm::Request>,
    ) -> Result<(Vec<Item>, Option<Page>), StanzaError> {
        let node = self.node(&on.realm, name).await?;
        let state = self.allowed(on, &node, Action::Discover).await.map_err(|_| no_node())?;
        let standing = self.standing(&on.site, &on.realm, (&node, &state), &on.asker).await?;
        judge(Action::Retrieve, &state.config, &standing)?;
        let (found, page) = self.page_of(&state, set).await?;
        let jid = on.realm.jid.to_string();
        let item = |id: String| Item { jid: jid.clone(), node: None, name: Some(id) };
        Ok((found.into_iter().map(|row| item(row.id)).collect(), page))
    }

    /// §5.2: the nodes "that, subject to local policies and configuration, are accessible to the
    /// requesting entity", by their names.
    async fn nodes(
        &self,
        on: &Errand,
        filter: &Filter,
        set: Option<&rsm::Request>,
    ) -> Result<(Vec<Item>, Option<Page>), StanzaError> {
        if set.is_some_and(|set| set.index.is_some()) {
            let error = StanzaError::feature_not_implemented();
            return Err(error.text("Pages begin at a node, and not at a position."));
        }
        let most = set.and_then(|set| set.max).unwrap_or(usize::MAX);
        let most = most.min(self.config.page as usize);
        let is_back = set.is_some_and(|set| set.before.is_some() && set.after.is_none());
        let from = set.and_then(|set| match is_back {
            true => set.before.clone().filter(|before| !before.is_empty()),
            false => set.after.clone(),
        });
        if let Some(from) = &from
            && self.node(&on.realm, from).await?.state().is_none()
        {
            return Err(no_item());
        }
        let (found, has_more) = self.visible(on, filter, (from, is_back), most).await?;
        let page = match (set, found.first(), found.last()) {
            (None, ..) if !has_more => None,
            (_, Some(first), Some(last)) => Some(Page::new(&first.name, &last.name, None, None)),
            _ => Some(Page::empty(None)),
        };
        let jid = on.realm.jid.to_string();
        let item =
            |row: rows::Listed| Item { jid: jid.clone(), node: Some(row.name), name: row.title };
        Ok((found.into_iter().map(item).collect(), page))
    }

    /// Nodes that whoever asks may know of, and whether there may be more.
    async fn visible(
        &self,
        on: &Errand,
        filter: &Filter,
        (mut from, is_back): (Option<String>, bool),
        most: usize,
    ) -> Result<(Vec<rows::Listed>, bool), StanzaError> {
        let nodes = rows::Nodes::new(on.hub.db().clone());
        let owner = on.realm.jid.as_str();
        let (mut found, mut looks) = (Vec::new(), 0);
        loop {
            let walk = rows::Walk { owner, kind: filter.only(), from: from.as_deref(), is_back };
            let chunk = (most + 1 - found.len()).clamp(20, 200);
            let listed = nodes.list(walk, chunk as u32).await.map_err(unstored)?;
            let is_end = listed.len() < chunk;
            for row in listed {
                looks += 1;
                if looks > LOOKED_AT {
                    return Ok((ordered(found, is_back), true));
                }
                from = Some(row.name.clone());
                if !filter.takes(&row.kind) || !self.is_visible(on, &row).await? {
                    continue;
                }
                if found.len() >= most {
                    return Ok((ordered(found, is_back), true));
                }
                found.push(row);
            }
            if is_end {
                return Ok((ordered(found, is_back), false));
            }
        }
    }

    async fn is_visible(&self, on: &Errand, row: &rows::Listed) -> Result<bool, StanzaError> {
        let is_owner = match &on.realm.account {
            Some(account) => *account.jid() == on.asker,
            None => on.site.is_admin(&on.asker),
        };
        // What anybody may ask to read is nothing to be looked up; an outcast knows of it anyway.
        if is_owner || matches!(Access::of(row.access), Access::Open | Access::Authorize) {
            return Ok(true);
        }
        let node = self.node(&on.realm, &row.name).await?;
        let Some(state) = node.state() else { return Ok(false) };
        let standing = self.standing(&on.site, &on.realm, (&node, &state), &on.asker).await?;
        Ok(judge(Action::Discover, &state.config, &standing).is_ok())
    }
}

/// By their names, as they are listed.
fn ordered(mut found: Vec<rows::Listed>, is_back: bool) -> Vec<rows::Listed> {
    if is_back {
        found.reverse();
    }
    found
}

/// What else is in a question for items: a filter, and which part is wanted.
fn asked(stanza: &Stanza) -> Result<(Filter, Option<rsm::Request>), StanzaError> {
    let Some(query) = stanza.body.child("query", ITEMS) else { return Ok(Default::default()) };
    let set = rsm::Request::inside(query)?;
    let form = query.child("filter", FILTER).and_then(|it| it.child("x", payload::dataform::NS));
    let form = form.map(payload::read::<DataForm>).transpose()?;
    Ok((form.map_or_else(|| Ok(Filter::default()), |form| Filter::read(&form))?, set))
}

impl Filter {
    fn read(form: &DataForm) -> Result<Self, StanzaError> {
        if form.kind != FormType::Submit || form.form_type() != Some(FILTER) {
            let text = format!("FORM_TYPE: a form that filters nodes is {FILTER}");
            return Err(StanzaError::bad_request().text(text));
        }
        let types = |var: &str| {
            let field = form.field(var)?;
            // "Both included and excluded fields MAY contain an empty value to designate nodes with
            // an empty pubsub#type."
            Some(field.values.clone())
        };
        let filter = Self { included: types("included-types"), excluded: types("excluded-types") };
        // "If both the included and excluded fields are specified, a service MUST return an error".
        if filter.included.is_some() && filter.excluded.is_some() {
            let text = "Either `included-types` or `excluded-types`.";
            return Err(StanzaError::bad_request().text(text));
        }
        Ok(filter)
    }

    /// The one kind that is wanted, if it is one: there is an index for it.
    fn only(&self) -> Option<&str> {
        match self.included.as_deref() {
            Some([kind]) if !kind.is_empty() => Some(kind),
            _ => None,
        }
    }

    fn takes(&self, kind: &Option<String>) -> bool {
        let kind = kind.as_deref().unwrap_or_default();
        let has = |kinds: &Vec<String>| kinds.iter().any(|it| it == kind);
        self.included.as_ref().is_none_or(has) && !self.excluded.as_ref().is_some_and(has)
    }
}
