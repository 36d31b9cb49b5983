//! The requests that wait for an owner, asked for by an ad-hoc command (§8.7).

use std::sync::Arc;

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::request::Request;
use waxwing_stanza::payload::dataform::{self, DataForm, Field, FieldType, FormType};
use waxwing_stanza::payload::disco::{Identity, Info, Item};
use waxwing_stanza::{StanzaError, payload, to_xml};
use waxwing_store::domains::pubsub::Audience as Stored;
use waxwing_xml::write;
use xso::FromXml;

use super::approve::FORM;
use super::errors::unstored;
use super::rights::{Action, Affiliation};
use super::subscribers::Status;
use super::{Answer, Errand, Pubsub};

/// Namespace of commands (XEP-0050).
pub(super) const NS: &str = "http://jabber.org/protocol/commands";
/// §8.7: "the command name … MUST have a value of".
pub(super) const NODE: &str = "http://jabber.org/protocol/pubsub#get-pending";

/// What it is called for people.
const TITLE: &str = "Subscription requests that wait";

/// Nodes of one form, and requests that are sent at a time.
const MOST: u32 = 100;

/// `<command/>`
#[derive(FromXml)]
#[xml(namespace = NS, name = "command", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub(super) struct Command {
    #[xml(attribute)]
    node: String,
    #[xml(attribute(default))]
    action: Option<String>,
    #[xml(attribute(default))]
    sessionid: Option<String>,
    #[xml(child(default))]
    form: Option<DataForm>,
}
payload!(Command, "command", NS);

impl Pubsub {
    /// §8.7
    pub(super) async fn command(self: Arc<Self>, ask: Request<Command>) -> Answer {
        let on = Errand::of(&self, &ask);
        let command = ask.payload;
        if command.node != NODE {
            return Err(StanzaError::item_not_found().text("There is no such command here."));
        }
        let session = command.sessionid.unwrap_or_else(|| on.hub.clock().token(8));
        let form = command.form.filter(|form| form.kind == FormType::Submit);
        match (command.action.as_deref(), form) {
            (Some("cancel"), _) => Ok(Some(answer(&session, "canceled", None))),
            (_, None) => self.show_pending(&on, &session).await,
            (_, Some(form)) => {
                let name = form
                    .value("pubsub#node")
                    .ok_or_else(|| StanzaError::bad_request().text("pubsub#node is missing."))?;
                self.send_pending(&on, name).await?;
                Ok(Some(answer(&session, "completed", None)))
            }
        }
    }

    /// §8.7.2: "as an optimization, the service MAY specify only the nodes that have subscription
    /// requests pending".
    async fn show_pending(&self, on: &Errand, session: &str) -> Answer {
        let stored = Stored::new(on.hub.db().clone());
        let (owner, asker) = (on.realm.jid.as_str(), on.asker.as_str());
        // Admins of the service own all of its nodes.
        let is_admin = !on.realm.is_account() && on.site.is_admin(&on.asker);
        let as_whom = if is_admin { owner } else { asker };
        let who = (as_whom, Affiliation::Owner.number());
        let pending = Status::Pending.number();
        let names = stored.nodes_in_state(owner, who, pending, MOST).await.map_err(unstored)?;
        let field = Field::new(FieldType::ListSingle, "pubsub#node").label("Node");
        let field = names.iter().fold(field, |field, name| field.option(name, name));
        let form = DataForm::new(FormType::Form).about(FORM).with(field);
        Ok(Some(answer(session, "executing", Some(&form))))
    }

    /// §8.7.4: "The service shall then send one subscription approval message for each pending
    /// subscription request".
    async fn send_pending(&self, on: &Errand, name: &str) -> Result<(), StanzaError> {
        let node = self.node(&on.realm, name).await?;
        let state = self.allowed(on, &node, Action::ManageSubscriptions).await?;
        let stored = Stored::new(on.hub.db().clone());
        let pending = Status::Pending.number();
        let rows = stored.in_state(state.id, pending, MOST).await.map_err(unstored)?;
        for row in rows {
            if let Ok(jid) = Jid::new(&row.jid) {
                self.ask_owner(on, &node, &on.asker, (&jid, &row.subid)).await;
            }
        }
        Ok(())
    }
}

/// XEP-0050 §2.2, §2.3: the list of commands, and the command, as service discovery shows them.
pub(super) fn discovered(name: &str, realm: &BareJid) -> Option<(Info, Vec<Item>)> {
    let kind = match name {
        NS => "command-list",
        NODE => "command-node",
        _ => return None,
    };
    let identities = vec![Identity::new("automation", kind, Some(TITLE))];
    let info = Info { identities, ..Info::default() }.with([NS, dataform::NS]);
    let command = || Item {
        jid: realm.as_str().to_owned(),
        node: Some(NODE.to_owned()),
        name: Some(TITLE.to_owned()),
    };
    let items = if name == NS { vec![command()] } else { Vec::new() };
    Some((info, items))
}

fn answer(session: &str, status: &str, form: Option<&DataForm>) -> String {
    let mut out = String::from("<command");
    let fields = [("xmlns", NS), ("node", NODE), ("sessionid", session), ("status", status)];
    for (name, value) in fields {
        write::attribute(&mut out, name, value);
    }
    match form {
        None => out.push_str("/>"),
        Some(form) => {
            out.push('>');
            out.push_str("<actions execute='complete'><complete/></actions>");
            out.push_str(&to_xml(form));
            out.push_str("</command>");
        }
    }
    out
}
