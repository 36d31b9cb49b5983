#![cfg_attr(not(doctest), doc = include_str!("notices.md"))]

mod commands;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::{Mutex, OnceCell};
use waxwing_jid::BareJid;
use waxwing_kernel::account::Account;
use waxwing_kernel::command::Command;
use waxwing_kernel::config::NoConfig;
use waxwing_kernel::directory::Resource;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::{Happening, Signal};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::Effects;
use waxwing_kernel::{Hub, SiteBuilder};
use waxwing_stanza::{MessageType, Stanza};
use waxwing_store::domains::accounts::Accounts;
use waxwing_store::{Statement, StoreError, Table};
use waxwing_xml::write;

/// People who are told in one commit.
const TOLD: usize = 500;

const LOAD: &str = "SELECT kind, id, body FROM notice WHERE domain = ?1";
const PUT: &str = "INSERT INTO notice (domain, kind, id, body) VALUES (?1, ?2, ?3, ?4) \
     ON CONFLICT (domain, kind) DO UPDATE SET id = excluded.id, body = excluded.body";
const DROP: &str = "DELETE FROM notice WHERE domain = ?1 AND kind = ?2";
const SEEN: &str = "SELECT kind, notice FROM noticed WHERE owner = ?1";
/// Changes nothing when the owner has been told: of two who would tell, one does.
const TELL: &str = "INSERT INTO noticed (owner, kind, notice) VALUES (?1, ?2, ?3) \
     ON CONFLICT (owner, kind) DO UPDATE SET notice = excluded.notice \
     WHERE noticed.notice <> excluded.notice";

/// What a notice is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// XEP-0133 §4.24: "sent once to all users".
    Motd,
    /// §4.27: for "newly registered users of the server when they first log in".
    Welcome,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Motd => "motd",
            Self::Welcome => "welcome",
        }
    }
}

/// A notice that stands.
#[derive(Clone, Debug)]
struct Notice {
    id: i64,
    text: Arc<str>,
}

#[derive(Clone, Debug, Default)]
struct Standing {
    motd: Option<Notice>,
    welcome: Option<Notice>,
}

impl Standing {
    fn of(&mut self, kind: Kind) -> &mut Option<Notice> {
        match kind {
            Kind::Motd => &mut self.motd,
            Kind::Welcome => &mut self.welcome,
        }
    }
}

/// Tells people what admins want everybody to know, once.
pub struct Notices {
    hub: Hub,
    domain: BareJid,
    /// Read when somebody first needs it.
    standing: OnceCell<RwLock<Standing>>,
    /// Held by whoever changes what stands.
    turn: Mutex<()>,
}

impl Module for Notices {
    const ABOUT: &'static About = &About {
        name: "notices",
        summary: "Tells people what admins want everybody to know, once.",
        is_on: true,
        xeps: &[Xep(133, "1.3.1")],
        server_features: &[],
        account_features: &[],
        manual: include_str!("notices.md"),
    };
    const TABLES: &'static [Table] = &[
        Table {
            name: "notice",
            owner: None,
            steps: &["CREATE TABLE notice (domain {text} NOT NULL, kind {text} NOT NULL, \
                      id {int} NOT NULL, body {text} NOT NULL, PRIMARY KEY (domain, kind))"],
        },
        Table {
            name: "noticed",
            owner: Some("owner"),
            steps: &["CREATE TABLE noticed (owner {text} NOT NULL, kind {text} NOT NULL, \
                      notice {int} NOT NULL, PRIMARY KEY (owner, kind))"],
        },
    ];
    type Config = NoConfig;

    fn start(site: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        let (hub, domain) = (site.hub(), site.jid().clone());
        Ok(Self { hub, domain, standing: OnceCell::new(), turn: Mutex::default() })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.signal(Signal::Available, Self::greet);
        on.command(|notices| Command::new(&commands::SET_MOTD, notices, Self::set_motd));
        on.command(|notices| {
            let edit = Command::new(&commands::EDIT_MOTD, Arc::clone(&notices), Self::edit_motd);
            edit.filled(notices, Self::motd_so_far)
        });
        on.command(|notices| Command::new(&commands::DELETE_MOTD, notices, Self::delete_motd));
        on.command(|notices| Command::new(&commands::SHOW_MOTD, notices, Self::show_motd));
        on.command(|notices| {
            let set = Command::new(&commands::SET_WELCOME, Arc::clone(&notices), Self::set_welcome);
            set.filled(notices, Self::welcome_so_far)
        });
        on.command(|notices| {
            Command::new(&commands::DELETE_WELCOME, notices, Self::delete_welcome)
        });
        on.command(|notices| Command::new(&commands::SHOW_WELCOME, notices, Self::show_welcome));
    }
}

impl Notices {
    /// XEP-0133 §4.24: "sent immediately to users who are online when the message is set, or after
    /// the next session initiation for other users".
    async fn greet(self: Arc<Self>, happening: Happening) -> Effects {
        self.due(&happening).await.unwrap_or_else(|error| {
            tracing::error!(%error, "notices could not be read");
            Effects::default()
        })
    }

    /// What a session is told that has become available.
    async fn due(&self, happening: &Happening) -> Result<Effects, StoreError> {
        let Standing { motd, welcome } = self.standing().await?.read().clone();
        let (account, mut effects) = (&happening.account, Effects::default());
        let welcome = welcome.filter(|_| !account.is_guest());
        let Some(mailbox) = &happening.party.mailbox else { return Ok(effects) };
        if motd.is_none() && welcome.is_none() {
            return Ok(effects);
        }
        let seen = Statement::new(SEEN).with(account.jid().as_str());
        let rows = self.hub.db().query(seen).await?;
        let mut seen = BTreeMap::new();
        for row in &rows {
            seen.insert(row.text(0)?.to_owned(), row.int(1)?);
        }
        if let Some(welcome) = welcome.filter(|_| !seen.contains_key(Kind::Welcome.word()))
            && self.is_new(account).await?
            && self.tell(account.jid(), Kind::Welcome, &welcome).await?
        {
            let stanza = self.message(MessageType::Normal, &welcome);
            effects.deliver(mailbox, stanza.to(happening.party.jid.clone()));
        }
        if let Some(motd) = motd.filter(|motd| seen.get(Kind::Motd.word()) != Some(&motd.id))
            && self.tell(account.jid(), Kind::Motd, &motd).await?
        {
            let stanza = self.message(MessageType::Headline, &motd);
            effects.deliver(mailbox, stanza.to(happening.party.jid.clone()));
        }
        Ok(effects)
    }

    /// Whether nobody has been here under this account before. Who has is not asked about again.
    async fn is_new(&self, account: &Account) -> Result<bool, StoreError> {
        self.hub.write_notes().await;
        let row = Accounts::new(self.hub.db().clone()).find(account.jid().as_str()).await?;
        let is_new = row.is_some_and(|row| row.last_seen.is_none());
        if !is_new {
            self.tell(account.jid(), Kind::Welcome, &Notice { id: 0, text: "".into() }).await?;
        }
        Ok(is_new)
    }

    /// Notes that an account is told; false when it was before.
    async fn tell(&self, owner: &BareJid, kind: Kind, notice: &Notice) -> Result<bool, StoreError> {
        let changed = self.hub.db().batch(vec![told(owner, kind, notice)]).await?;
        Ok(changed.first() == Some(&1))
    }

    /// Tells everybody who is there. Gives how many people that were.
    async fn tell_all(&self, notice: &Notice) -> Result<usize, StoreError> {
        let mut people: BTreeMap<BareJid, Vec<Resource>> = BTreeMap::new();
        for session in self.hub.directory().everybody() {
            let is_here = session.jid.domain() == self.domain.domain();
            if is_here && session.is_available() && session.priority >= 0 {
                people.entry(session.jid.bare()).or_default().push(session);
            }
        }
        let message = self.message(MessageType::Headline, notice);
        let (people, mut count): (Vec<_>, _) = (people.into_iter().collect(), 0);
        for some in people.chunks(TOLD) {
            let batch = some.iter().map(|(jid, _)| told(jid, Kind::Motd, notice)).collect();
            let changed = self.hub.db().batch(batch).await?;
            let mut effects = Effects::default();
            for ((_, sessions), _) in
                some.iter().zip(&changed).filter(|(_, changed)| **changed == 1)
            {
                count += 1;
                for session in sessions {
                    effects.deliver(&session.mailbox, message.clone().to(session.jid.clone()));
                }
            }
            self.hub.perform(effects).await;
        }
        Ok(count)
    }

    fn message(&self, kind: MessageType, notice: &Notice) -> Stanza {
        let mut body = String::from("<body>");
        write::text(&mut body, &notice.text);
        body.push_str("</body>");
        let id = self.hub.clock().token(8);
        Stanza::message(kind).from(self.domain.to_jid()).id(id).with(body)
    }

    /// What stands.
    async fn standing(&self) -> Result<&RwLock<Standing>, StoreError> {
        let load = || async {
            let load = Statement::new(LOAD).with(self.domain.as_str());
            let mut standing = Standing::default();
            for row in self.hub.db().query(load).await? {
                let notice = Notice { id: row.int(1)?, text: row.text(2)?.into() };
                for kind in [Kind::Motd, Kind::Welcome] {
                    if row.text(0)? == kind.word() {
                        *standing.of(kind) = Some(notice.clone());
                    }
                }
            }
            Ok(RwLock::new(standing))
        };
        self.standing.get_or_try_init(load).await
    }

    /// Lets a notice stand from now on, or none.
    async fn put(&self, kind: Kind, notice: Option<Notice>) -> Result<(), StoreError> {
        let statement = match &notice {
            Some(Notice { id, text }) => Statement::new(PUT)
                .with(self.domain.as_str())
                .with(kind.word())
                .with(*id)
                .with(&**text),
            None => Statement::new(DROP).with(self.domain.as_str()).with(kind.word()),
        };
        let standing = self.standing().await?;
        self.hub.db().batch(vec![statement]).await?;
        *standing.write().of(kind) = notice;
        Ok(())
    }
}

fn told(owner: &BareJid, kind: Kind, notice: &Notice) -> Statement {
    Statement::new(TELL).with(owner.as_str()).with(kind.word()).with(notice.id)
}
