//! A server in memory with all modules, and sessions that are only a mailbox.

use std::path::Path;
use std::sync::Arc;

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::clock::Clock;
use waxwing_kernel::command::{Caller, Commands, Refusal, Said, Values};
use waxwing_kernel::config::{Config, Source};
use waxwing_kernel::directory::{Flags, Resource};
use waxwing_kernel::mailbox::Mailbox;
use waxwing_kernel::metrics::Metrics;
use waxwing_kernel::stage::{Effects, Party};
use waxwing_kernel::wire::Transport;
use waxwing_kernel::{Hub, Limits, Site, Sites};
use waxwing_modules::MODULES;
use waxwing_stanza::{PresenceType, Stanza};
use waxwing_store::domains;
use waxwing_store::domains::accounts::Accounts;
use waxwing_store::{Db, Location};

const CONFIG: &str = "[[host]]\ndomain = 'localhost'\nadmins = ['admin@localhost']\n\
                      [[host]]\ndomain = 'verona.example'\n";

/// The server.
pub(crate) struct World {
    pub(crate) hub: Hub,
    pub(crate) site: Arc<Site>,
}

/// One session of it.
pub(crate) struct Client {
    pub(crate) hub: Hub,
    pub(crate) party: Party,
}

impl World {
    /// With the accounts of an admin, romeo and juliet.
    pub(crate) async fn new() -> Self {
        Self::with("").await
    }

    /// The same with more settings.
    pub(crate) async fn with(settings: &str) -> Self {
        Self::keeping(settings, None).await
    }

    /// The same with a data folder, and then with a clock that stands still.
    pub(crate) async fn keeping(settings: &str, folder: Option<&Path>) -> Self {
        let db = Db::open(&Location::Memory, waxwing_store::Limits::default()).await.unwrap();
        let own = domains::tables().into_iter();
        let tables = own.chain(MODULES.iter().flat_map(|mount| mount.tables));
        db.migrate(&tables.collect::<Vec<_>>()).await.unwrap();
        for local in ["admin", "romeo", "juliet"] {
            Accounts::new(db.clone()).create(&format!("{local}@localhost"), 0, &[]).await.unwrap();
        }
        let metrics = Arc::new(Metrics::new("0", "test"));
        let clock = if folder.is_some() { Clock::simulated(0, 1) } else { Clock::system() };
        let hub = Hub::new(db, clock, Limits::default(), metrics);
        folder.into_iter().for_each(|folder| hub.keep_files_in(folder.to_owned()));
        let sections: Vec<_> = MODULES.iter().map(|mount| &mount.section).collect();
        let text = format!("{settings}\n{CONFIG}");
        let config = Config::read(Source { name: "test", text: &text }, &sections).unwrap();
        let sites = config.hosts.iter().map(|settings| {
            let jid = BareJid::new(settings.config.domain.as_str()).unwrap();
            Arc::new(Site::start(&hub, &jid, settings, MODULES).unwrap())
        });
        let sites: Vec<_> = sites.collect();
        let site = Arc::clone(&sites[0]);
        hub.serve(Sites::new(sites));
        Self { hub, site }
    }

    /// A session that is available.
    pub(crate) async fn bind(&self, jid: &str) -> Client {
        let jid = Jid::new(jid).unwrap();
        let account = self.hub.account(&jid.bare()).await.unwrap();
        let mailbox = match &account {
            Some(account) => Mailbox::of(Arc::clone(account), 100),
            None => Mailbox::new(100),
        };
        let resource = Resource {
            jid: jid.clone(),
            mailbox: mailbox.clone(),
            presence: Some(Stanza::presence(PresenceType::Available).from(jid.clone())),
            priority: 0,
            flags: Flags::default(),
            is_live: true,
            transport: Transport::Memory,
            since_millis: 0,
            client: None,
            interests: None,
        };
        self.hub.directory().bind(resource, 10).unwrap();
        let party = Party { mailbox: Some(mailbox), ..Party::new(jid, account) };
        Client { hub: self.hub.clone(), party }
    }

    /// Gives a command by its words, as the operator.
    pub(crate) async fn order(
        &self,
        words: &str,
        values: &[(&str, &str)],
    ) -> Result<Said, Refusal> {
        self.order_as(Caller::Operator, words, values).await
    }

    pub(crate) async fn order_as(
        &self,
        caller: Caller,
        words: &str,
        values: &[(&str, &str)],
    ) -> Result<Said, Refusal> {
        let mut filled = Values::default();
        values.iter().for_each(|(var, value)| filled.push(*var, *value));
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let commands = Commands::new(self.site.router.commands().cloned()).unwrap();
        self.site.run(commands.by_words(&words).unwrap(), caller, true, filled).await
    }

    pub(crate) fn accounts(&self) -> Accounts {
        Accounts::new(self.hub.db().clone())
    }
}

impl Client {
    /// Asks the server; gives the answer's child, or the error's conditions.
    pub(crate) async fn ask(&self, kind: &str, payload: &str) -> String {
        self.ask_at("localhost", kind, payload).await
    }

    /// The same of another address.
    pub(crate) async fn ask_at(&self, to: &str, kind: &str, payload: &str) -> String {
        self.say(&format!(
            "<iq xmlns='jabber:client' type='{kind}' id='1' to='{to}'>{payload}</iq>"
        ))
        .await;
        let answer = self.next().expect("a request is answered");
        match answer.error() {
            Some(error) => {
                let app = error.app.as_deref().and_then(|app| app.split([' ', '<']).nth(1));
                let words = [Some(error.kind.name()), Some(error.condition.name()), app];
                words.into_iter().flatten().collect::<Vec<_>>().join(" ")
            }
            None => {
                let mut text = String::new();
                answer.body.write(&mut text);
                text
            }
        }
    }

    /// Sends a stanza; what has no addressee goes to the own account.
    pub(crate) async fn say(&self, xml: &str) {
        let mut stanza = Stanza::parse(xml).unwrap().from(self.party.jid.clone());
        stanza.head.to.get_or_insert_with(|| self.party.jid.bare().to_jid());
        let mut effects = Effects::default();
        self.hub.route(&self.party, stanza, &mut effects).await;
        self.hub.perform(effects).await;
    }

    /// A step of a command.
    pub(crate) async fn command(&self, attributes: &str, payload: &str) -> String {
        let ns = "http://jabber.org/protocol/commands";
        self.ask("set", &format!("<command xmlns='{ns}' {attributes}>{payload}</command>")).await
    }

    /// The next stanza that came.
    pub(crate) fn next(&self) -> Option<Stanza> {
        let mailbox = self.party.mailbox.as_ref().unwrap();
        mailbox.try_next_delivery().map(|delivery| delivery.stanza)
    }

    /// Whether the session was told to end.
    pub(crate) async fn is_dismissed(&self) -> bool {
        let mailbox = self.party.mailbox.as_ref().unwrap();
        let mail = std::future::poll_fn(|cx| match mailbox.poll_next(cx, true) {
            std::task::Poll::Ready(mail) => std::task::Poll::Ready(Some(mail)),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        });
        matches!(mail.await, Some(waxwing_kernel::mailbox::Mail::Close(_)))
    }
}

/// The value of an attribute in a text.
pub(crate) fn attribute<'a>(xml: &'a str, name: &str) -> &'a str {
    let start = xml.find(&format!(" {name}='")).expect("the attribute is there") + name.len() + 3;
    xml[start..].split('\'').next().unwrap()
}
