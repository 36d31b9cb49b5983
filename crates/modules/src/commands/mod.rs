#![cfg_attr(not(doctest), doc = include_str!("../commands.md"))]

mod sessions;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use waxwing_kernel::command::{Caller, Command, Values};
use waxwing_kernel::disco::{DiscoAnswer, DiscoAsk, DiscoNode};
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::Request;
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::Party;
use waxwing_kernel::{Site, SiteBuilder, section};
use waxwing_stanza::StanzaError;
use waxwing_stanza::payload::dataform::{self, DataForm, FormType};
use waxwing_stanza::payload::disco::{INFO, ITEMS, Identity, Info, Item};

use self::sessions::Sessions;
use self::wire::{Action, Answer, Fault, NS, Question, refused};

section! {
    /// Forms by which people run commands of the server in their clients.
    pub struct CommandsConfig("commands") {
        /// How long a form may lie open before it must be asked for anew (seconds).
        pub form_seconds: u32 = 600 in 30..=86_400,
    }
}

/// Lets clients run the commands that modules declare.
pub struct Commands {
    lifetime: Duration,
    sessions: Mutex<Sessions>,
}

impl Module for Commands {
    const ABOUT: &'static About = &About {
        name: "commands",
        summary: "Lets admins run the server's commands in their XMPP clients.",
        is_on: true,
        xeps: &[Xep(50, "1.3.0").lacks("commands of several steps"), Xep(4, "2.13.2")],
        server_features: &[NS],
        account_features: &[],
        manual: include_str!("../commands.md"),
    };
    type Config = CommandsConfig;

    fn start(_: &mut SiteBuilder<'_>, config: CommandsConfig) -> Result<Self, StartError> {
        let lifetime = Duration::from_secs(u64::from(config.form_seconds));
        Ok(Self { lifetime, sessions: Mutex::default() })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.server().set(Self::execute);
        on.disco_nodes(Self::node);
    }
}

impl Commands {
    /// §2.2: the list of commands and the commands are disco nodes.
    fn node(&self, ask: &DiscoAsk<'_>) -> DiscoAnswer {
        if ask.node == NS {
            return Ok(Some(list(ask)));
        }
        let Some(command) = at_node(ask.site, ask.node) else { return Ok(None) };
        // "If the command is not available to the requester, the responder SHOULD respond with a
        // 403 "Forbidden" error."
        if !allows(ask.site, ask.from, command) {
            return Err(Fault::Forbidden.into());
        }
        let identities = vec![Identity::new("automation", "command-node", Some(&command.title()))];
        let info = Info { identities, ..Info::default() }.with([NS, dataform::NS, INFO, ITEMS]);
        Ok(Some(DiscoNode { info, items: Vec::new() }))
    }

    /// §2.4
    async fn execute(self: Arc<Self>, ask: Request<Question>) -> Result<Answer, StanzaError> {
        let command = at_node(&ask.site, &ask.payload.node)
            .ok_or_else(|| StanzaError::item_not_found().text("The server has no such command."))?;
        if !allows(&ask.site, &ask.from, command) {
            return Err(Fault::Forbidden.into());
        }
        let action = Action::read(ask.payload.action.as_deref())?;
        wire::check_language(ask.payload.lang.as_deref())?;
        match (&ask.payload.sessionid, action) {
            (None, Action::Execute) => self.begin(&ask, command).await,
            (None, _) => Err(Fault::BadAction.into()),
            (Some(id), action) => self.go_on(&ask, command, id, action).await,
        }
    }

    /// Shows the form of a command, or runs it at once when there is nothing to ask.
    async fn begin(
        &self,
        ask: &Request<Question>,
        command: &Command,
    ) -> Result<Answer, StanzaError> {
        let id = ask.hub.clock().token(16);
        if command.fields.is_empty() && !command.is_danger {
            return run(ask, command, id, Values::default()).await;
        }
        let until = ask.hub.clock().now() + self.lifetime;
        self.sessions.lock().open(id.clone(), &ask.from.jid, command.node, until);
        let form = command.form(caller(&ask.from)).await;
        Ok(Answer::form(command.node, id, &form))
    }

    /// The next step of a session: its form comes back, or it is called off.
    async fn go_on(
        &self,
        ask: &Request<Question>,
        command: &Command,
        id: &str,
        action: Action,
    ) -> Result<Answer, StanzaError> {
        let now = ask.hub.clock().now();
        self.sessions.lock().check(id, &ask.from.jid, command.node, now)?;
        match action {
            Action::Cancel => {
                self.sessions.lock().close(id);
                Ok(Answer::canceled(command.node, id.to_owned()))
            }
            // §3.4: "The action "execute" is equivalent to the action specified in the "execute"
            // attribute", which is `complete` in every form of ours.
            Action::Execute | Action::Complete => {
                let values = submitted(ask.payload.form.as_ref())?;
                let answer = run(ask, command, id.to_owned(), values).await?;
                self.sessions.lock().close(id);
                Ok(answer)
            }
            // "If <prev/> is not contained by the <actions/>, it is disabled." So is `next`.
            Action::Next | Action::Prev => Err(Fault::BadAction.into()),
        }
    }
}

/// §2.2: "Each command is a node of the responder, under the fixed node …". "The responder is not
/// required to send the same list of commands to all requesters."
fn list(ask: &DiscoAsk<'_>) -> DiscoNode {
    let identities = vec![Identity::new("automation", "command-list", None)];
    let info = Info { identities, ..Info::default() }.with([NS, INFO, ITEMS]);
    let allowed = ask.site.router.commands().filter(|command| allows(ask.site, ask.from, command));
    let items = allowed.map(|command| Item {
        jid: ask.site.jid.to_string(),
        node: Some(command.node.to_owned()),
        name: Some(command.title()),
    });
    DiscoNode { info, items: items.collect() }
}

fn at_node<'a>(site: &'a Site, node: &str) -> Option<&'a Command> {
    site.router.commands().find(|command| command.node == node)
}

/// An admin of the host may run its commands, and others those that are for everybody who has an
/// account here.
fn allows(site: &Site, from: &Party, command: &Command) -> bool {
    let is_admin = site.is_admin(&from.jid.bare());
    (is_admin || from.account.is_some()) && command.allows(&caller(from), is_admin)
}

fn caller(from: &Party) -> Caller {
    Caller::Account(from.jid.clone())
}

async fn run(
    ask: &Request<Question>,
    command: &Command,
    id: String,
    values: Values,
) -> Result<Answer, StanzaError> {
    let is_admin = ask.site.is_admin(&ask.from.jid.bare());
    let said = ask.site.run(command, caller(&ask.from), is_admin, values).await;
    let said = said.map_err(|refusal| refused(&refusal))?;
    Ok(Answer::completed(command, id, &said))
}

/// §3.5.1: "Responders SHOULD consider any <x type='cancel'/> to be <x type='submit'/>."
fn submitted(form: Option<&DataForm>) -> Result<Values, Fault> {
    let form = form.ok_or(Fault::BadPayload)?;
    if !matches!(form.kind, FormType::Submit | FormType::Cancel) {
        return Err(Fault::BadPayload);
    }
    let named = form.fields.iter().filter_map(|field| Some((field.var.as_deref()?, field)));
    Ok(named.map(|(var, field)| (var, field.values.clone())).collect())
}
