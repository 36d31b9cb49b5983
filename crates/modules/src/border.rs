#![cfg_attr(not(doctest), doc = include_str!("border.md"))]

mod commands;
mod lists;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::{Mutex, OnceCell};
use waxwing_jid::{BareJid, Jid, is_subdomain};
use waxwing_kernel::command::Command;
use waxwing_kernel::component::{Intercepted, Later};
use waxwing_kernel::config::NoConfig;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::{Stage, Transit, Verdict};
use waxwing_kernel::{Hub, SiteBuilder};
use waxwing_stanza::StanzaError;
use waxwing_store::{Db, StoreError, Table};

use self::lists::Lists;

/// How long until it is tried again to read the lists.
const PAUSE: Duration = Duration::from_secs(5);

/// Decides with which addresses of other domains this one exchanges anything.
pub struct Border {
    hub: Hub,
    domain: BareJid,
    lists: Arc<OnceCell<RwLock<Lists>>>,
    /// Held by whoever changes what stands.
    turn: Mutex<()>,
}

impl Module for Border {
    const ABOUT: &'static About = &About {
        name: "border",
        summary: "Lets admins refuse other domains and addresses, or allow only some.",
        is_on: true,
        xeps: &[Xep(133, "1.3.1")],
        server_features: &[],
        account_features: &[],
        manual: include_str!("border.md"),
    };
    const TABLES: &'static [Table] = &[lists::TABLE];
    type Config = NoConfig;

    fn start(site: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        let (hub, domain) = (site.hub(), site.jid().clone());
        let lists = Arc::new(OnceCell::new());
        let (reader, name, cell) = (hub.clone(), domain.clone(), Arc::clone(&lists));
        hub.clock().spawn(async move {
            while let Err(error) = load(reader.db(), &name, &cell).await {
                tracing::error!(%error, host = %name, "the lists of the border cannot be read");
                reader.clock().until(Some(reader.clock().now() + PAUSE)).await;
            }
        });
        Ok(Self { hub, domain, lists, turn: Mutex::default() })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.inbound(Stage::Check, Self::enter);
        on.outbound(Stage::Check, Self::leave);
        on.intercept(Self::turn_away);
        on.command(|border| {
            let set = Command::new(&commands::REFUSE, Arc::clone(&border), Self::refuse);
            set.filled(border, Self::refused_so_far)
        });
        on.command(|border| {
            let set = Command::new(&commands::ALLOW, Arc::clone(&border), Self::allow);
            set.filled(border, Self::allowed_so_far)
        });
        on.command(|border| Command::new(&commands::SHOW, border, Self::show));
    }
}

async fn load<'a>(
    db: &Db,
    domain: &BareJid,
    cell: &'a OnceCell<RwLock<Lists>>,
) -> Result<&'a RwLock<Lists>, StoreError> {
    let load = || async { Lists::load(db, domain).await.map(RwLock::new) };
    cell.get_or_try_init(load).await
}

impl Border {
    fn enter(&self, transit: &mut Transit<'_>) -> Verdict {
        let peer = &transit.from.jid;
        self.judge(peer, "This server does not talk with you.")
    }

    fn leave(&self, transit: &mut Transit<'_>) -> Verdict {
        let peer = &transit.to.jid;
        self.judge(peer, "This server does not talk with that address.")
    }

    /// Questions to the domain itself pass no stage.
    fn turn_away(self: &Arc<Self>, asked: &Intercepted<'_>) -> Option<Later> {
        match self.judge(&asked.from.jid, "This server does not talk with you.") {
            Verdict::Refuse(error) => Some(Box::pin(async move { Err(error) })),
            _ => None,
        }
    }

    fn judge(&self, peer: &Jid, refusal: &'static str) -> Verdict {
        if self.is_inside(peer) {
            return Verdict::Pass;
        }
        match self.lists.get() {
            Some(lists) if lists.read().admit(peer) => Verdict::Pass,
            Some(_) => Verdict::Refuse(StanzaError::not_allowed().text(refusal)),
            // In the first moments, and while the store fails: nothing crosses that might not.
            None => Verdict::Refuse(
                StanzaError::resource_constraint()
                    .text("This server is not ready for other domains; try again later."),
            ),
        }
    }

    /// The domain itself, and the services below it that are no accounts.
    fn is_inside(&self, peer: &Jid) -> bool {
        let (domain, own) = (peer.domain(), self.domain.domain());
        domain == own || peer.local().is_none() && is_subdomain(domain, own)
    }
}
