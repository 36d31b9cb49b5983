//! The push service of this server itself (§3): takes notifications for browsers.

use std::sync::Arc;

use aws_lc_rs::constant_time;
use serde_json::json;
use waxwing_kernel::account::Account;
use waxwing_kernel::request::{Request, unstored};
use waxwing_kernel::{Hub, Site};
use waxwing_stanza::payload::dataform::{self, DataForm, Field, FieldType, FormType};
use waxwing_stanza::payload::disco::{INFO, ITEMS, Identity, Info, Item, Items};
use waxwing_stanza::{ErrorKind, Payload, StanzaError, payload};
use waxwing_store::domains::secrets::Secrets;
use waxwing_xml::Child;

use super::command::{COMMANDS, NODES};
use super::endpoint::{Endpoint, Kind};
use super::publish::{PUBLISH_OPTIONS, PUBSUB, SUMMARY};
use super::vapid::Vapid;
use super::webpush::{self, Address, Keys, SALT_BYTES, Saying};
use super::{NS, PRIORITY, Push, unified};

pub(super) const LABEL: &str = "push";
pub(super) const NAME: &str = "Push notifications";
/// What browsers need to know of this service.
const WEBPUSH: &str = "urn:waxwing:webpush:0";

impl Push {
    pub(super) async fn info(self: Arc<Self>, ask: Request<Info>) -> Result<Info, StanzaError> {
        if let Some(node) = &ask.payload.node {
            let Some((_, name)) = NODES.iter().find(|(known, _)| known == node) else {
                return Err(no_node());
            };
            let identities = vec![Identity::new("automation", "command-node", Some(name))];
            let info = Info { node: Some(node.clone()), identities, ..Info::default() };
            return Ok(info.with([COMMANDS, dataform::NS]).sorted());
        }
        let vapid = self.vapid().await?;
        let key = Field { kind: None, ..Field::new(FieldType::TextSingle, "vapid") };
        let form = DataForm::new(FormType::Result).about(WEBPUSH);
        let info = Info {
            // §4.2: "it MUST include an identity of "pubsub/push" in "disco#info" results."
            identities: vec![Identity::new("pubsub", "push", Some(NAME))],
            forms: vec![form.with(key.value(vapid.public()))],
            ..Info::default()
        };
        Ok(info.with(FEATURES).sorted())
    }

    pub(super) async fn items(self: Arc<Self>, ask: Request<Items>) -> Result<Items, StanzaError> {
        let item = |(node, name): &(&str, &str)| Item {
            jid: self.own.to_string(),
            node: Some((*node).to_owned()),
            name: Some((*name).to_owned()),
        };
        match ask.payload.node.as_deref() {
            None => Ok(Items { node: None, items: Vec::new() }),
            Some(COMMANDS) => {
                let items = NODES.iter().map(item).collect();
                Ok(Items { node: ask.payload.node, items })
            }
            Some(_) => Err(no_node()),
        }
    }

    /// Takes a notification (§8).
    pub(super) async fn take(self: Arc<Self>, ask: Request<Publish>) -> Result<(), StanzaError> {
        // §3.2: "Care SHOULD be taken to ensure that publish requests are coming from the user's
        // server and not from other third-party client applications using the full JID".
        if ask.from.jid.resource().is_some() {
            let text = "Only servers publish here.";
            return Err(StanzaError::forbidden().text(text));
        }
        let Publish { node, secret, news } = &ask.payload;
        let now = self.now();
        let found = self.endpoints.find(node, now).await.map_err(|error| unstored(&error))?;
        let found = found.filter(|endpoint| endpoint.kind == Kind::Web).ok_or_else(no_node)?;
        let given = secret.as_deref().unwrap_or_default().as_bytes();
        if constant_time::verify_slices_are_equal(given, found.secret.as_bytes()).is_err() {
            let text = "The `secret` among the publish-options is wrong.";
            return Err(StanzaError::forbidden().text(text));
        }
        self.send(&found, news).await
    }

    async fn send(&self, endpoint: &Endpoint, news: &News) -> Result<(), StanzaError> {
        let broken = || StanzaError::internal_server_error().text("It could not be encrypted.");
        let _share = self.shares.take(&endpoint.owner).ok_or_else(|| {
            let text = "Too many notifications for browsers of this account are on their way.";
            StanzaError::resource_constraint().kind(ErrorKind::Wait).text(text)
        })?;
        let address = Address::read(&endpoint.address, &self.config.private_hosts)?;
        let keys = Keys::read(&endpoint.one, &endpoint.two)?;
        let mut salt = [0; SALT_BYTES];
        self.hub.clock().random(&mut salt);
        let body = keys.encrypt(news.text().as_bytes(), &salt).ok_or_else(broken)?;
        let contact = self.config.contact.clone();
        let contact = contact.unwrap_or_else(|| format!("https://{}", self.server));
        let seconds = self.hub.clock().wall_millis() / 1000;
        let vapid = self.vapid().await?;
        let authorization = vapid.authorization(&address.origin, &contact, seconds);
        let saying = Saying {
            authorization: &authorization.ok_or_else(broken)?,
            ttl_seconds: self.config.ttl_seconds,
            is_high: news.is_high,
            topic: &endpoint.token,
        };
        let request = address.request(body, &saying).ok_or_else(broken)?;
        match webpush::judge(self.hub.fetch(request).await) {
            Ok(()) => Ok(()),
            Err((error, is_gone)) => {
                if is_gone {
                    let gone = self.endpoints.remove(&endpoint.token).await;
                    gone.map_err(|error| unstored(&error))?;
                }
                Err(error)
            }
        }
    }

    /// Registers a browser or an app, or knows it already: then it keeps its name.
    pub(super) async fn admit(
        &self,
        account: &Account,
        mut fresh: Endpoint,
    ) -> Result<Endpoint, StanzaError> {
        let (now, owner) = (self.now(), account.jid().as_str());
        // One after the other, or two could find room where there is room for one.
        let _turn = account.turn().await;
        let held = self.endpoints.owned(owner, now).await.map_err(|error| unstored(&error))?;
        if let Some(known) = held.iter().find(|known| known.is_same(&fresh)) {
            (fresh.token, fresh.secret) = (known.token.clone(), known.secret.clone());
        } else if held.len() >= self.config.endpoints as usize {
            let text = format!("You have registered {} browsers and apps already.", held.len());
            return Err(StanzaError::resource_constraint().text(text));
        }
        self.endpoints.keep(&fresh).await.map_err(|error| unstored(&error))?;
        Ok(fresh)
    }

    /// Ends a registration of `owner`; false when there is none.
    pub(super) async fn dismiss_endpoint(
        &self,
        owner: &str,
        token: &str,
    ) -> Result<bool, StanzaError> {
        let found = self.endpoints.find(token, self.now()).await;
        let found = found.map_err(|error| unstored(&error))?;
        if found.is_none_or(|endpoint| endpoint.owner != owner) {
            return Ok(false);
        }
        self.endpoints.remove(token).await.map_err(|error| unstored(&error))?;
        Ok(true)
    }

    pub(super) async fn sweep(self: Arc<Self>, _: Hub, _: Arc<Site>) {
        if let Err(error) = self.endpoints.sweep(self.now()).await {
            tracing::error!(%error, "old endpoints have to wait");
        }
    }

    /// The key that browsers' push services know us by.
    pub(super) async fn vapid(&self) -> Result<&Vapid, StanzaError> {
        let secrets = Secrets::new(self.hub.db().clone());
        let obtain = || Vapid::obtain(&secrets, self.server.domain());
        self.vapid.get_or_try_init(obtain).await.map_err(|error| unstored(&error))
    }

    pub(super) fn now(&self) -> i64 {
        self.hub.clock().wall_millis().cast_signed()
    }
}

/// The account of whoever may register something here: one of this host, and no guest.
pub(super) fn member<P>(ask: &Request<P>) -> Result<Arc<Account>, StanzaError> {
    match &ask.from.account {
        Some(account) if !account.is_guest() && ask.from.jid.domain() == ask.site.domain() => {
            Ok(Arc::clone(account))
        }
        _ => {
            let text = "Only those who have an account here may register.";
            Err(StanzaError::forbidden().text(text))
        }
    }
}

const FEATURES: [&str; 8] = [
    INFO,
    ITEMS,
    COMMANDS,
    NS,
    // §3.1: what "A Push Service MUST" support.
    "http://jabber.org/protocol/pubsub#access-whitelist",
    "http://jabber.org/protocol/pubsub#publish",
    "http://jabber.org/protocol/pubsub#publish-only-affiliation",
    unified::NS,
];

fn no_node() -> StanzaError {
    StanzaError::item_not_found().text("There is no such node here, or not any more.")
}

/// `<pubsub/>` with a notification.
pub(super) struct Publish {
    node: String,
    secret: Option<String>,
    news: News,
}

/// What a browser is told.
struct News {
    /// Fields of the summary, by their names.
    summary: Vec<(&'static str, String)>,
    is_high: bool,
}

/// What is passed on of a summary.
const TOLD: [&str; 4] =
    ["message-count", "pending-subscription-count", "last-message-sender", "last-message-body"];

impl News {
    /// As JSON: `{"message-count": 2, "priority": "high"}`. What makes it too long is left out.
    fn text(&self) -> String {
        let mut all = serde_json::Map::new();
        for (name, value) in &self.summary {
            let value = match value.parse::<u32>() {
                Ok(number) if name.ends_with("-count") => json!(number),
                _ => json!(value),
            };
            all.insert((*name).to_owned(), value);
        }
        all.insert("priority".to_owned(), json!(if self.is_high { "high" } else { "normal" }));
        for name in ["last-message-body", "last-message-sender"] {
            if json!(all).to_string().len() > webpush::TEXT_BYTES {
                all.remove(name);
            }
        }
        json!(all).to_string()
    }
}

impl Payload for Publish {
    const NAME: &'static str = "pubsub";
    const NS: &'static str = PUBSUB;

    fn read(child: Child<'_>) -> Result<Self, StanzaError> {
        let bad = |text: &'static str| StanzaError::bad_request().text(text);
        let publish = child.child("publish", PUBSUB);
        let publish = publish.ok_or_else(|| bad("Here one can publish and nothing else."))?;
        let node = publish.attribute("node").ok_or_else(|| bad("`node` is missing."))?;
        let item = publish.child("item", PUBSUB);
        let notification = item.and_then(|item| item.child("notification", NS));
        let notification =
            notification.ok_or_else(|| bad("There is no notification in the item."))?;
        let secret = match child.child("publish-options", PUBSUB) {
            None => None,
            Some(options) => form(options, PUBLISH_OPTIONS)?
                .and_then(|form| form.value("secret").map(str::to_owned)),
        };
        let summary = form(notification, SUMMARY)?;
        let told = |name: &'static str| Some((name, summary.as_ref()?.value(name)?.to_owned()));
        let summary = TOLD.into_iter().filter_map(told).collect();
        let priority = notification.child("priority", PRIORITY);
        let is_high = priority.is_some_and(|priority| priority.text().trim() == "high");
        Ok(Self { node: node.into_owned(), secret, news: News { summary, is_high } })
    }
}

/// The form in `child` that is about `form_type`.
fn form(child: Child<'_>, form_type: &str) -> Result<Option<DataForm>, StanzaError> {
    let Some(form) = child.child("x", dataform::NS) else { return Ok(None) };
    let form: DataForm = payload::read(form)?;
    Ok(Some(form).filter(|form| form.form_type() == Some(form_type)))
}
