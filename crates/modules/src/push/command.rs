//! How a browser is registered: two ad-hoc commands (XEP-0050), as push services of other clients
//! have them.

use std::sync::Arc;

use waxwing_kernel::request::Request;
use waxwing_stanza::payload::dataform::{self, DataForm, Field, FieldType, FormType};
use waxwing_stanza::{Payload, StanzaError, payload, to_xml};
use waxwing_xml::{Child, write};

use super::Push;
use super::endpoint::{Endpoint, Kind};
use super::service::member;
use super::webpush::{Address, Keys};

pub(super) const COMMANDS: &str = "http://jabber.org/protocol/commands";
const REGISTER: &str = "register-push-webpush";
const UNREGISTER: &str = "unregister-push";
/// The commands, with their names for people.
pub(super) const NODES: [(&str, &str); 2] =
    [(REGISTER, "Register a browser"), (UNREGISTER, "Unregister a browser or an app")];

/// Bytes of randomness in the name of an endpoint, and again in its secret.
const TOKEN_BYTES: usize = 16;

impl Push {
    pub(super) async fn command(self: Arc<Self>, ask: Request<Ask>) -> Result<String, StanzaError> {
        let account = member(&ask)?;
        let Ask { node, action, session, form } = &ask.payload;
        if !NODES.iter().any(|(known, _)| known == node) {
            return Err(StanzaError::item_not_found().text("There is no such command here."));
        }
        let session = session.clone().unwrap_or_else(|| self.hub.clock().token(8));
        let answer = |status: &str, inside: &str| {
            let mut xml = format!("<command xmlns='{COMMANDS}'");
            write::attribute(&mut xml, "node", node);
            write::attribute(&mut xml, "sessionid", &session);
            format!("{xml} status='{status}'>{inside}</command>")
        };
        let form = match (action.as_str(), form) {
            ("cancel", _) => return Ok(answer("canceled", "")),
            ("execute" | "next" | "complete", Some(form)) => form,
            ("execute", None) => {
                let form = to_xml(&self.blank(node).await?);
                let actions = "<actions execute='complete'><complete/></actions>";
                return Ok(answer("executing", &format!("{actions}{form}")));
            }
            // XEP-0050 §4.4: "The responding JID does not understand the specified action."
            _ => {
                let error = StanzaError::bad_request().text("The form is missing.");
                return Err(error.with(format!("<bad-action xmlns='{COMMANDS}'/>")));
            }
        };
        if node == UNREGISTER {
            let name = form.value("node").unwrap_or_default();
            if !self.dismiss_endpoint(account.jid().as_str(), name).await? {
                let text = "You have not registered that here.";
                return Err(StanzaError::item_not_found().text(text));
            }
            return Ok(answer("completed", ""));
        }
        let fresh = self.browser(account.jid().as_str(), form)?;
        let admitted = self.admit(&account, fresh).await?;
        let line = |var, value: String| Field::new(FieldType::TextSingle, var).value(value);
        let result = DataForm::new(FormType::Result)
            .with(Field::new(FieldType::JidSingle, "jid").value(self.own.to_string()))
            .with(line("node", admitted.token))
            .with(line("secret", admitted.secret));
        Ok(answer("completed", &to_xml(&result)))
    }

    /// The form to be filled in.
    async fn blank(&self, node: &str) -> Result<DataForm, StanzaError> {
        let line =
            |var, label: &str| Field::new(FieldType::TextSingle, var).label(label).required();
        let form = DataForm::new(FormType::Form);
        if node == UNREGISTER {
            return Ok(form.with(line("node", "Node")));
        }
        let vapid = self.vapid().await?.public().to_owned();
        Ok(form
            .with(Field::new(FieldType::Hidden, "vapid").value(vapid))
            .with(line("endpoint", "Address of the browser"))
            .with(line("p256dh", "Public key of the browser"))
            .with(line("auth", "Authentication secret of the browser")))
    }

    /// What a filled-in form says of a browser.
    fn browser(&self, owner: &str, form: &DataForm) -> Result<Endpoint, StanzaError> {
        let given = |var| {
            let value = form.value(var).map(str::trim).filter(|value| !value.is_empty());
            let missing = || StanzaError::bad_request().text(format!("`{var}` is missing."));
            value.map(str::to_owned).ok_or_else(missing)
        };
        let (address, one, two) = (given("endpoint")?, given("p256dh")?, given("auth")?);
        Address::read(&address, &self.config.private_hosts)?;
        Keys::read(&one, &two)?;
        Ok(Endpoint {
            token: self.hub.clock().token(TOKEN_BYTES),
            owner: owner.to_owned(),
            kind: Kind::Web,
            secret: self.hub.clock().token(TOKEN_BYTES),
            address,
            one,
            two,
            // Its maker's push service tells when it is gone.
            expires: i64::MAX,
        })
    }
}

/// `<command/>`.
pub(super) struct Ask {
    node: String,
    action: String,
    session: Option<String>,
    form: Option<DataForm>,
}

impl Payload for Ask {
    const NAME: &'static str = "command";
    const NS: &'static str = COMMANDS;

    fn read(child: Child<'_>) -> Result<Self, StanzaError> {
        let text = |name: &str| child.attribute(name).map(|text| text.into_owned());
        let form = child.child("x", dataform::NS).map(payload::read).transpose()?;
        Ok(Self {
            node: text("node").unwrap_or_default(),
            action: text("action").unwrap_or_else(|| "execute".to_owned()),
            session: text("sessionid"),
            form,
        })
    }
}
