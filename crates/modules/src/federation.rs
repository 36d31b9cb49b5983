#![cfg_attr(not(doctest), doc = include_str!("federation.md"))]

mod orders;
mod shown;
mod test;

use std::sync::Arc;

use tokio::sync::Mutex;
use waxwing_jid::BareJid;
use waxwing_kernel::command::{Caller, Command, CommandAbout, Order, Refusal, Said};
use waxwing_kernel::config::{DomainName, NoConfig};
use waxwing_kernel::module::{About, Module, StartError};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{Hub, Site, SiteBuilder, blocklist, choice, form};

choice! {
    /// Which domains are listed.
    pub enum Which {
        /// Those with an open stream.
        Open = "open",
        /// Those that cannot be reached, or were refused.
        Trouble = "trouble",
        /// Those that an admin or the configuration file blocked or allowed.
        Said = "said",
    }
}

form! {
    /// List the other servers, and how it stands with each.
    pub struct ListPeers {
        /// Which of them. All if nothing is said.
        pub which: Option<Which>,
    }
}
static LIST: CommandAbout =
    CommandAbout::of::<ListPeers>("urn:waxwing:federation#list", &["federation", "list"]).reads();

form! {
    /// Show all that is known of another server: its streams, what went wrong, and what to do.
    pub struct ShowPeer {
        /// The domain.
        pub domain: String,
    }
}
static SHOW: CommandAbout =
    CommandAbout::of::<ShowPeer>("urn:waxwing:federation#show", &["federation", "show"]).reads();

form! {
    /// Find out step by step whether this server and another can talk. It is connected to for that.
    pub struct TestPeer {
        /// The domain.
        pub domain: String,
        /// The domain here that asks. The first one if nothing is said.
        pub host: Option<String>,
    }
}
static TEST: CommandAbout =
    CommandAbout::of::<TestPeer>("urn:waxwing:federation#test", &["federation", "test"]);

form! {
    /// Exchange nothing with a domain, and all below it, from now on. What waits for it goes back
    /// to its senders.
    pub struct BlockPeer {
        /// The domain.
        pub domain: String,
        /// Why, for other admins.
        pub reason: Option<String>,
    }
}
static BLOCK: CommandAbout =
    CommandAbout::of::<BlockPeer>("urn:waxwing:federation#block", &["federation", "block"]);

form! {
    /// Talk with a domain, and all below it, whatever lists say of it, and also where only chosen
    /// domains may talk with this server.
    pub struct AllowPeer {
        /// The domain.
        pub domain: String,
        /// Why, for other admins.
        pub reason: Option<String>,
    }
}
static ALLOW: CommandAbout =
    CommandAbout::of::<AllowPeer>("urn:waxwing:federation#allow", &["federation", "allow"]);

form! {
    /// Take back that a domain was blocked or allowed by a command.
    pub struct ForgetPeer {
        /// The domain.
        pub domain: String,
    }
}
static FORGET: CommandAbout =
    CommandAbout::of::<ForgetPeer>("urn:waxwing:federation#forget", &["federation", "forget"]);

/// Held by whoever changes what was said of a domain.
#[derive(Default)]
struct Turn(Mutex<()>);

/// Tells admins how it stands with other servers, and carries out what they say of them.
pub struct Federation {
    hub: Hub,
    domain: BareJid,
    turn: Arc<Turn>,
}

impl Module for Federation {
    const ABOUT: &'static About = &About {
        name: "federation",
        summary: "Shows how it stands with other servers, and blocks or allows them.",
        is_on: true,
        xeps: &[],
        server_features: &[],
        account_features: &[],
        manual: include_str!("federation.md"),
    };
    type Config = NoConfig;

    fn start(site: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        let hub = site.hub();
        // One for all domains: what is said holds for all of them.
        let turn = hub.lasting("");
        Ok(Self { hub, domain: site.jid().clone(), turn })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.every(blocklist::ROUND, Self::read_lists);
        on.command(|it| Command::new(&LIST, it, Self::list));
        on.command(|it| Command::new(&SHOW, it, Self::show));
        on.command(|it| Command::new(&TEST, it, Self::test));
        on.command(|it| Command::new(&BLOCK, it, Self::block));
        on.command(|it| Command::new(&ALLOW, it, Self::allow));
        on.command(|it| Command::new(&FORGET, it, Self::forget));
    }
}

impl Federation {
    /// The first domain follows the lists for all of them.
    async fn read_lists(self: Arc<Self>, hub: Hub, site: Arc<Site>) {
        let is_first = hub.sites().first().is_some_and(|first| Arc::ptr_eq(first, &site));
        let rules = hub.policy().rules();
        let lists = hub.blocklists(site.domain());
        let followed = if is_first { rules.lists().to_vec() } else { Vec::new() };
        lists.follow(Self::ABOUT.name, followed, rules.list_entries());
        if is_first {
            hub.policy().consult(lists);
            hub.read_blocklists(&site).await;
            hub.enforce_policy();
        }
    }

    async fn list(self: Arc<Self>, order: Order<ListPeers>) -> Result<Said, Refusal> {
        self.check_reach(&order.caller)?;
        Ok(shown::list(&self.hub, order.form.which))
    }

    async fn show(self: Arc<Self>, order: Order<ShowPeer>) -> Result<Said, Refusal> {
        self.check_reach(&order.caller)?;
        let domain = self.read_domain(&order.form.domain)?;
        shown::show(&self.hub, domain.as_str()).await
    }

    /// Whom the people of other domains talk with is not for the admins of one to know, nor is it
    /// theirs to decide for all.
    fn check_reach(&self, caller: &Caller) -> Result<(), Refusal> {
        let sites = self.hub.sites();
        let reaches_all = match caller {
            Caller::Operator | Caller::Token { everywhere: true, .. } => true,
            Caller::Account(jid) => sites.iter().all(|site| site.is_admin(&jid.bare())),
            Caller::Token { .. } => sites.iter().count() == 1,
        };
        if reaches_all {
            return Ok(());
        }
        let text = "this is about other domains of this server as well; only an admin of all of \
                    them may ask it";
        Err(Refusal { text: text.to_owned(), ..Refusal::forbidden() })
    }

    /// The name of another domain.
    fn read_domain(&self, text: &str) -> Result<DomainName, Refusal> {
        let domain = DomainName::new(text.trim()).map_err(|reason| {
            Refusal::invalid("domain", format!("{text:?} is no domain: {reason}"))
        })?;
        match !self.hub.is_elsewhere(domain.as_str()) {
            true => Err(Refusal::invalid("domain", format!("{domain} is served here"))),
            false => Ok(domain),
        }
    }
}
