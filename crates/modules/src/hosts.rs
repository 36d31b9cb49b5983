#![cfg_attr(not(doctest), doc = include_str!("hosts.md"))]

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::command::{
    Caller, Command, CommandAbout, Field, FieldKind, Grid, Lines, Order, Refusal, Said, Secret,
};
use waxwing_kernel::config::{DomainName, NoConfig};
use waxwing_kernel::module::{About, Module, StartError};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::steward::{HostDraft, Steward};
use waxwing_kernel::{Hub, SiteBuilder, form};
use waxwing_store::domains::accounts::Accounts;

form! {
    /// List the domains that this server answers for.
    pub struct ListHosts {}
}
static LIST: CommandAbout =
    CommandAbout::of::<ListHosts>("urn:waxwing:host#list", &["host", "list"]).reads();

form! {
    /// Show the settings of a domain that was added by a command.
    pub struct ShowHost {
        /// The domain.
        pub domain: String,
    }
}
static SHOW: CommandAbout =
    CommandAbout::of::<ShowHost>("urn:waxwing:host#show", &["host", "show"]).reads();

form! {
    /// Serve another domain from now on. Everything else goes on meanwhile.
    pub struct AddHost {
        /// The domain.
        pub domain: String,
        /// Who administers it.
        pub admins: Option<Vec<BareJid>>,
        /// Settings in TOML, as they would stand below `[[host]]` in the configuration file.
        [unnoted] pub settings: Option<Lines>,
        /// A certificate with its chain and its private key in PEM, one behind the other. Without
        /// it, and without `certificate` among the settings, the domain gets one as others do.
        [unnoted] pub pem: Option<Pem>,
    }
}
static ADD: CommandAbout = CommandAbout::of::<AddHost>("urn:waxwing:host#add", &["host", "add"]);

form! {
    /// Change the settings of a domain that was added by a command. What is not mentioned stays.
    pub struct ChangeHost {
        /// The domain.
        pub domain: String,
        /// Who administers it from now on.
        pub admins: Option<Vec<BareJid>>,
        /// Settings in TOML, as they would stand below `[[host]]`; they are put over those that
        /// hold.
        [unnoted] pub settings: Option<Lines>,
        /// Settings that shall be as usual again, such as `modules.register.open`.
        pub unset: Option<Vec<String>>,
        /// A certificate with its chain and its private key in PEM, one behind the other.
        [unnoted] pub pem: Option<Pem>,
    }
}
static CHANGE: CommandAbout =
    CommandAbout::of::<ChangeHost>("urn:waxwing:host#change", &["host", "change"]);

form! {
    /// Serve a domain no more. Who is signed in there is sent away; what is stored stays, and is
    /// there again when the domain is added again.
    pub struct RemoveHost {
        /// The domain.
        pub domain: String,
    }
}
static REMOVE: CommandAbout =
    CommandAbout::of::<RemoveHost>("urn:waxwing:host#remove", &["host", "remove"]).danger();

/// A certificate and its key.
#[derive(Clone, Debug)]
pub struct Pem(Secret);

impl Pem {
    /// The longest chain with its key, in bytes.
    const BYTES: usize = 64 * 1024;
}

impl Field for Pem {
    const KIND: FieldKind = FieldKind::Texts;

    fn read(values: &[&str]) -> Result<Self, String> {
        let text = values.join("\n") + "\n";
        match text.len() {
            0..=Self::BYTES => Ok(Self(Secret::new(text))),
            _ => Err(format!("takes {} bytes at most", Self::BYTES)),
        }
    }
}

/// Lets the operator add, change and remove domains.
pub struct Hosts {
    hub: Hub,
}

impl Module for Hosts {
    const ABOUT: &'static About = &About {
        name: "hosts",
        summary: "Lets the operator add, change and remove domains while the server runs.",
        is_on: true,
        xeps: &[],
        server_features: &[],
        account_features: &[],
        manual: include_str!("hosts.md"),
    };
    type Config = NoConfig;

    fn start(site: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        Ok(Self { hub: site.hub().clone() })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.command(|hosts| Command::new(&LIST, hosts, Self::list));
        on.command(|hosts| Command::new(&SHOW, hosts, Self::show));
        on.command(|hosts| Command::new(&ADD, hosts, Self::add));
        on.command(|hosts| Command::new(&CHANGE, hosts, Self::change));
        on.command(|hosts| Command::new(&REMOVE, hosts, Self::remove));
    }
}

impl Hosts {
    async fn list(self: Arc<Self>, order: Order<ListHosts>) -> Result<Said, Refusal> {
        let steward = self.steward(&order.caller)?;
        let mut grid = Grid::new(&[
            ("domain", "Domain"),
            ("accounts", "Accounts"),
            ("online", "Online"),
            ("from", "Settings from"),
        ]);
        let accounts = Accounts::new(self.hub.db().clone());
        let everybody = self.hub.directory().everybody();
        for host in steward.hosts() {
            let domain = host.domain.as_str();
            let count = accounts.count(domain).await.map_err(|error| {
                tracing::error!(%error, "accounts could not be counted");
                Refusal::failed("the accounts cannot be counted at the moment")
            })?;
            let online = everybody.iter().filter(|it| it.jid.domain() == domain).count();
            let from = if host.settings.is_some() { "command" } else { "configuration file" };
            grid.row([domain.to_owned(), count.to_string(), online.to_string(), from.to_owned()]);
        }
        Ok(Said::default().table(grid))
    }

    async fn show(self: Arc<Self>, order: Order<ShowHost>) -> Result<Said, Refusal> {
        let steward = self.steward(&order.caller)?;
        let domain = read_domain(&order.form.domain)?;
        let found = steward.hosts().into_iter().find(|host| host.domain == domain);
        let Some(host) = found else { return Err(missing(&domain)) };
        let Some(settings) = host.settings else {
            return Ok(Said::note(format!("{domain} stands in the configuration file.")));
        };
        let lines = settings.lines().map(str::to_owned).collect();
        Ok(Said::default().facts("settings", "Settings", FieldKind::Texts, lines))
    }

    async fn add(self: Arc<Self>, order: Order<AddHost>) -> Result<Said, Refusal> {
        let steward = self.steward(&order.caller)?;
        let AddHost { domain, admins, settings, pem } = order.form;
        let draft = HostDraft {
            domain: read_domain(&domain)?,
            is_new: true,
            settings: settings.map(|Lines(text)| text),
            unset: Vec::new(),
            admins,
            pem: pem.map(|Pem(pem)| pem),
        };
        steward.put(draft).await.map(Said::note)
    }

    async fn change(self: Arc<Self>, order: Order<ChangeHost>) -> Result<Said, Refusal> {
        let steward = self.steward(&order.caller)?;
        let ChangeHost { domain, admins, settings, unset, pem } = order.form;
        let draft = HostDraft {
            domain: read_domain(&domain)?,
            is_new: false,
            settings: settings.map(|Lines(text)| text),
            unset: unset.unwrap_or_default(),
            admins,
            pem: pem.map(|Pem(pem)| pem),
        };
        steward.put(draft).await.map(Said::note)
    }

    async fn remove(self: Arc<Self>, order: Order<RemoveHost>) -> Result<Said, Refusal> {
        let steward = self.steward(&order.caller)?;
        steward.remove(read_domain(&order.form.domain)?).await.map(Said::note)
    }

    /// Who carries it out. An admin administers one domain, and who serves which is not for one
    /// domain to say.
    fn steward(&self, caller: &Caller) -> Result<Arc<dyn Steward>, Refusal> {
        let is_for_all =
            matches!(caller, Caller::Operator | Caller::Token { everywhere: true, .. });
        if !is_for_all {
            let text = "domains are the operator's: give the command on the machine itself, or \
                        with a token that is good everywhere";
            return Err(Refusal::not_allowed(text));
        }
        self.hub.steward().ok_or_else(|| {
            let text = "domains are changed through a server that runs: start it, or write them \
                        into the configuration file";
            Refusal::not_allowed(text)
        })
    }
}

fn read_domain(text: &str) -> Result<DomainName, Refusal> {
    DomainName::new(text.trim())
        .map_err(|reason| Refusal::invalid("domain", format!("{text:?} is no domain: {reason}")))
}

fn missing(domain: &DomainName) -> Refusal {
    let refusal = Refusal::not_found(format!("{domain} is not served here"));
    Refusal { field: Some("domain"), ..refusal }
}
