#![cfg_attr(not(doctest), doc = include_str!("../admin.md"))]

mod appoint;
mod ending;
mod forms;
mod sessions;
mod tell;
mod trace;
mod users;

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::account::Account;
use waxwing_kernel::command::{Caller, Command, Refusal};
use waxwing_kernel::config::NoConfig;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::{Happening, Signal};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::Effects;
use waxwing_kernel::{Hub, Site, SiteBuilder};
use waxwing_store::{StoreError, Table};
use waxwing_store::domains::accounts::Accounts;

/// Lets admins see and change the accounts and sessions of one domain.
pub struct Admin {
    hub: Hub,
    domain: BareJid,
    appointed: appoint::Appointed,
    appointing: appoint::Appointing,
}

impl Module for Admin {
    const ABOUT: &'static About = &About {
        name: "admin",
        summary: "Lets admins manage accounts and sessions, in their clients or by command.",
        is_on: true,
        xeps: &[Xep(133, "1.3.1").lacks("rosters come as tables, not as roster queries")],
        server_features: &[],
        account_features: &[],
        manual: include_str!("../admin.md"),
    };
    const TABLES: &'static [Table] = &[appoint::TABLE];
    type Config = NoConfig;

    fn start(site: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        let (hub, domain, appointed) = (site.hub(), site.jid().clone(), site.appointed());
        let appointing = appoint::Appointing::default();
        let both = (Arc::clone(&appointed), Arc::clone(&appointing));
        appoint::load_soon(hub.clone(), domain.clone(), both);
        Ok(Self { hub, domain, appointed, appointing })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.signal(Signal::Unavailable, Self::note);
        on.signal(Signal::Removed, Self::dismiss);
        on.command(|admin| Command::new(&forms::ADD, admin, Self::add));
        on.command(|admin| Command::new(&forms::REMOVE, admin, Self::remove));
        on.command(|admin| Command::new(&forms::DISABLE, admin, Self::disable));
        on.command(|admin| Command::new(&forms::ENABLE, admin, Self::enable));
        on.command(|admin| Command::new(&forms::PASSWORD, admin, Self::change_password));
        on.command(|admin| Command::new(&forms::ROSTER, admin, Self::roster));
        on.command(|admin| Command::new(&forms::SEEN, admin, Self::last_seen));
        on.command(|admin| Command::new(&forms::SHOW, admin, Self::show));
        on.command(|admin| Command::new(&forms::COUNT, admin, Self::count));
        on.command(|admin| Command::new(&forms::COUNT_DISABLED, admin, Self::count_disabled));
        on.command(|admin| Command::new(&forms::LIST, admin, Self::list));
        on.command(|admin| Command::new(&forms::LIST_DISABLED, admin, Self::list_disabled));
        on.command(|admin| Command::new(&forms::KICK, admin, Self::kick));
        on.command(|admin| Command::new(&forms::SESSIONS, admin, Self::sessions));
        on.command(|admin| Command::new(&forms::TRACE, admin, Self::trace));
        on.command(|admin| Command::new(&forms::COUNT_ONLINE, admin, Self::count_online));
        on.command(|admin| Command::new(&forms::COUNT_ACTIVE, admin, Self::count_active));
        on.command(|admin| Command::new(&forms::COUNT_IDLE, admin, Self::count_idle));
        on.command(|admin| Command::new(&forms::LIST_ONLINE, admin, Self::list_online));
        on.command(|admin| Command::new(&forms::LIST_ACTIVE, admin, Self::list_active));
        on.command(|admin| Command::new(&forms::LIST_IDLE, admin, Self::list_idle));
        on.command(|admin| Command::new(&forms::ANNOUNCE, admin, Self::announce));
        on.command(|admin| {
            let edit = Command::new(&appoint::EDIT, Arc::clone(&admin), Self::edit_admins);
            edit.filled(admin, Self::admins_so_far)
        });
        on.command(|admin| Command::new(&appoint::LIST, admin, Self::list_admins));
        on.command(|admin| Command::new(&ending::STOP, admin, Self::stop));
        on.command(|admin| Command::new(&ending::RESTART, admin, Self::restart));
        on.command(|admin| Command::new(&ending::STAY, admin, Self::stay));
    }
}

impl Admin {
    /// Notes when somebody left, for §4.9.
    async fn note(self: Arc<Self>, happening: Happening) -> Effects {
        let now = happening.hub.clock().wall_millis().cast_signed();
        let mut effects = Effects::default();
        effects.append(Accounts::see(happening.account.jid().as_str(), now));
        effects
    }

    /// The accounts in the database.
    fn accounts(&self) -> Accounts {
        Accounts::new(self.hub.db().clone())
    }

    /// The host that this is the admin module of.
    fn site(&self) -> Result<Arc<Site>, Refusal> {
        let site = self.hub.site(self.domain.domain());
        site.ok_or_else(|| Refusal::busy("the server does not serve this domain now"))
    }

    /// The account of this address, named in `field`.
    async fn account(
        &self,
        field: &'static str,
        jid: &BareJid,
    ) -> Result<Arc<Account>, Refusal> {
        self.check_address(field, jid)?;
        let account = self.hub.account(jid).await.map_err(failed)?;
        account.ok_or_else(|| at(field, Refusal::not_found(format!("there is no account {jid}"))))
    }

    /// Whether `jid`, given in `field`, can be an account of this host.
    fn check_address(&self, field: &'static str, jid: &BareJid) -> Result<(), Refusal> {
        if jid.is_domain() {
            let host = &self.domain;
            let text = format!("{jid} is a domain; an account is written like {jid}@{host}");
            return Err(Refusal::invalid(field, text));
        }
        self.check_host(field, Some(jid.domain()))
            .map_err(|refusal| Refusal { text: format!("{jid}: {}", refusal.text), ..refusal })
    }

    /// Whether `domain`, given in `field`, is this host.
    fn check_host(&self, field: &'static str, domain: Option<&str>) -> Result<(), Refusal> {
        let Some(domain) = domain.filter(|domain| *domain != self.domain.domain()) else {
            return Ok(());
        };
        if self.hub.site(domain).is_some() {
            let text = format!("this is {}; give the command to {domain}", self.domain);
            return Err(Refusal::invalid(field, text));
        }
        let sites = self.hub.sites();
        let mut hosts: Vec<&str> = sites.iter().map(|site| site.domain()).collect();
        hosts.sort_unstable();
        let text = format!("{domain} is not served here; there is {}", hosts.join(", "));
        Err(Refusal::invalid(field, text))
    }

    /// Whether a caller means the own account, which others should lock or erase.
    fn check_other(&self, caller: &Caller, jid: &BareJid) -> Result<(), Refusal> {
        match caller {
            Caller::Account(own) if own.bare() == *jid => {
                let text = format!("{jid} is your own account; let another admin do this");
                Err(at("accountjids", Refusal::not_allowed(text)))
            }
            _ => Ok(()),
        }
    }
}

/// Points a refusal at a field.
fn at(field: &'static str, refusal: Refusal) -> Refusal {
    Refusal { field: Some(field), ..refusal }
}

/// What the store could not do.
fn failed(error: StoreError) -> Refusal {
    tracing::error!(%error, "a command could not be carried out");
    match error {
        StoreError::Full | StoreError::Busy => Refusal::busy(error.to_string()),
        other => Refusal::failed(other.to_string()),
    }
}

/// `1 account`, `2 accounts`.
fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
