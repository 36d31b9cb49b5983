#![cfg_attr(not(doctest), doc = include_str!("ldap.md"))]

mod escape;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use waxwing_jid::BareJid;
use waxwing_kernel::backend::{LookUp, PasswordAsk};
use waxwing_kernel::config::{Flaw, Template};
use waxwing_kernel::ldap::{LdapBind, LdapClient, LdapError, LdapSearch, LdapServer};
use waxwing_kernel::module::{About, Module, StartError};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{Hub, SiteBuilder, section};
use waxwing_stream::AuthFailure;

section! {
    /// Accounts and passwords of a directory (LDAP). Names of entries come from `dn`, or are
    /// searched for below `base` with `filter`.
    pub struct LdapConfig("ldap", check = LdapConfig::check) {
        /// The server: `ldaps://ldap.example.org`, `ldap://…`, or `ldapi://%2Frun%2Fslapd%2Fldapi` for
        /// a socket on this machine.
        pub url: Option<String> = None,
        /// Whether to encrypt by StartTLS on `ldap://`. Without it only servers on this machine are
        /// asked, since passwords are sent there.
        pub start_tls: bool = true,
        /// Certificates (PEM) of the authorities that vouch for the server; those that this machine
        /// trusts if absent. A relative path begins at the data folder.
        pub authorities: Option<PathBuf> = None,
        /// The name of an account's entry, such as `uid={user},ou=people,dc=example,dc=org`. The
        /// gaps are `{user}` and `{domain}`.
        pub dn: Option<Template> = None,
        /// Where entries are searched for, such as `ou=people,dc=example,dc=org`.
        pub base: Option<Template> = None,
        /// What the entry of an account has; exactly one must.
        pub filter: Template = "(&(objectClass=person)(uid={user}))",
        /// The name that searches; nobody in particular if absent.
        pub bind_dn: Option<String> = None,
        /// Its password.
        pub bind_password: Option<String> = None,
        /// A file with the same; line breaks at its end do not count.
        pub bind_password_file: Option<PathBuf> = None,
        /// Connections to the server at a time; more questions wait.
        pub connections: u32 = 8 in 1..=64,
        /// How long a sign-in may take there (seconds).
        pub seconds: u32 = 5 in 1..=30,
        /// Whether people who never signed in are searched for when somebody writes to them, and
        /// those who sign in with a token of this server, which is refused to who is there no more.
        /// Needs `base`.
        pub lookup: bool = false,
    }
}

impl LdapConfig {
    fn check(&self) -> Result<(), Flaw> {
        let flaw = |key, problem: &str| Err(Flaw { key, problem: problem.to_owned() });
        let templates = [("dn", self.dn.as_ref()), ("base", self.base.as_ref())];
        let templates = templates.into_iter().filter_map(|(key, it)| Some((key, it?)));
        for (key, template) in templates.chain([("filter", &self.filter)]) {
            if template.gaps().any(|gap| !matches!(gap, "user" | "domain")) {
                return flaw(key, "the gaps are {user} and {domain}");
            }
        }
        let names_user = |template: &Template| template.gaps().any(|gap| gap == "user");
        if self.dn.as_ref().is_some_and(|dn| !names_user(dn)) || !names_user(&self.filter) {
            let key = if names_user(&self.filter) { "dn" } else { "filter" };
            return flaw(key, "without {user} everybody would have the same entry");
        }
        if let Some(url) = &self.url {
            check_url(url, self.start_tls)?;
        }
        match (&self.dn, &self.base) {
            (Some(_), Some(_)) => return flaw("base", "either `dn`, or `base` and `filter`"),
            (_, None) if self.lookup => return flaw("lookup", "it needs `base` to search in"),
            _ => {}
        }
        match (&self.bind_dn, &self.bind_password, &self.bind_password_file) {
            (_, Some(_), Some(_)) => {
                flaw("bind_password_file", "either `bind_password` or `bind_password_file`")
            }
            (Some(_), None, None) => {
                flaw("bind_dn", "it needs `bind_password` or `bind_password_file` beside it")
            }
            (None, Some(_), _) => flaw("bind_password", "it needs `bind_dn` beside it"),
            (None, _, Some(_)) => flaw("bind_password_file", "it needs `bind_dn` beside it"),
            (_, Some(password), _) if password.is_empty() => {
                flaw("bind_password", "it is empty, and a bind without a password proves nothing")
            }
            _ => Ok(()),
        }
    }
}

/// Passwords go where nobody can read along.
fn check_url(url: &str, is_encrypted: bool) -> Result<(), Flaw> {
    let flaw = |problem: &str| Err(Flaw { key: "url", problem: problem.to_owned() });
    let has_host = |rest: &str| !rest.is_empty() && !rest.starts_with(['/', ':', '?']);
    if let Some(rest) = url.strip_prefix("ldaps://").or_else(|| url.strip_prefix("ldapi://")) {
        return if has_host(rest) { Ok(()) } else { flaw("behind // stands the server") };
    }
    let Some(rest) = url.strip_prefix("ldap://") else {
        return flaw("it must begin with ldaps://, ldap:// or ldapi://");
    };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    match (has_host(rest), is_encrypted || matches!(name, "127.0.0.1" | "localhost")) {
        (false, _) => flaw("behind // stands the server"),
        (_, true) => Ok(()),
        (_, false) => {
            flaw("without StartTLS only 127.0.0.1 and localhost are asked; or use ldaps://")
        }
    }
}

/// Asks a directory.
pub struct Ldap {
    config: LdapConfig,
    client: Arc<dyn LdapClient>,
    /// Who searches.
    searcher: Option<LdapBind>,
}

impl Module for Ldap {
    const ABOUT: &'static About = &About {
        name: "ldap",
        summary: "Lets people in with the passwords of a directory (LDAP).",
        is_on: false,
        xeps: &[],
        server_features: &[],
        account_features: &[],
        manual: include_str!("ldap.md"),
    };
    type Config = LdapConfig;

    fn start(site: &mut SiteBuilder<'_>, config: LdapConfig) -> Result<Self, StartError> {
        let made = Self::new(&site.hub(), config);
        made.map_err(|reason| StartError { module: "ldap", reason })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        let running = on.module().config.connections as usize;
        on.passwords(running, Self::verify);
        if on.module().config.lookup {
            on.lookup(Self::find);
        }
    }
}

impl Ldap {
    /// Reads what the settings name; dials nothing.
    fn new(hub: &Hub, config: LdapConfig) -> Result<Self, String> {
        let read = |file: &Path| {
            let file = hub.folder().map_or_else(|| file.to_owned(), |data| data.join(file));
            let content = std::fs::read(&file);
            content.map_err(|error| format!("{} cannot be read: {error}", file.display()))
        };
        let url = config.url.clone().ok_or("it needs `url`")?;
        if config.dn.is_none() && config.base.is_none() {
            return Err("it needs `dn`, or `base` to search in".to_owned());
        }
        let password = match (&config.bind_password, &config.bind_password_file) {
            (Some(password), _) => password.clone(),
            (None, Some(file)) => {
                let content = String::from_utf8(read(file)?).map_err(|error| error.to_string())?;
                content.trim_end_matches(['\r', '\n']).to_owned()
            }
            (None, None) => String::new(),
        };
        let searcher = config.bind_dn.clone().map(|dn| {
            let password = Arc::new(password.into());
            LdapBind { dn, password }
        });
        if searcher.as_ref().is_some_and(|searcher| searcher.password.is_empty()) {
            return Err("the password of `bind_dn` is empty".to_owned());
        }
        let authorities = config.authorities.as_deref().map(read).transpose()?;
        let server = LdapServer {
            start_tls: config.start_tls && url.starts_with("ldap://"),
            url,
            authorities,
            connections: config.connections as usize,
            time: Duration::from_secs(config.seconds.into()),
        };
        let client = hub.ldap(server)?;
        Ok(Self { config, client, searcher })
    }

    /// Asks the directory for an account that hardly exists: for `waxwing check`.
    ///
    /// # Errors
    /// Why people could not sign in, for the operator.
    pub async fn probe(hub: &Hub, config: LdapConfig, domain: &BareJid) -> Result<(), String> {
        let ldap = Self::new(hub, config)?;
        let account = BareJid::from_parts(Some("waxwing-check"), domain.domain());
        let account = account.map_err(|error| error.to_string())?;
        let asked = async {
            let Some(dn) = ldap.entry(&account).await? else { return Ok(()) };
            let password = Arc::new("waxwing-check".to_owned().into());
            ldap.client.bind(LdapBind { dn, password }).await.map(drop)
        };
        asked.await.map_err(|error: LdapError| error.to_string())
    }

    async fn verify(self: Arc<Self>, ask: PasswordAsk) -> Result<bool, AuthFailure> {
        let Some(dn) = self.entry(&ask.account).await.map_err(|error| failed(&error))? else {
            return Ok(false);
        };
        let bind = LdapBind { dn, password: ask.password };
        self.client.bind(bind).await.map_err(|error| failed(&error))
    }

    async fn find(self: Arc<Self>, ask: LookUp) -> Result<bool, AuthFailure> {
        let entry = self.entry(&ask.account).await.map_err(|error| failed(&error))?;
        Ok(entry.is_some())
    }

    /// The name of an account's entry; none where there is no such entry, or more than one.
    async fn entry(&self, account: &BareJid) -> Result<Option<String>, LdapError> {
        if let Some(dn) = &self.config.dn {
            return Ok(fill(dn, account, escape::of_dn));
        }
        let Some(base) = &self.config.base else { return Ok(None) };
        let base = fill(base, account, escape::of_dn);
        let filter = fill(&self.config.filter, account, escape::of_filter);
        let (Some(base), Some(filter)) = (base, filter) else { return Ok(None) };
        let search = LdapSearch { by: self.searcher.clone(), base, filter };
        let mut found = self.client.search(search).await?;
        if found.len() > 1 {
            tracing::warn!(%account, "several entries have this name; see `filter`");
            return Ok(None);
        }
        Ok(found.pop())
    }
}

fn fill(template: &Template, account: &BareJid, escape: fn(&str) -> String) -> Option<String> {
    template.fill(|gap| match gap {
        "user" => account.local().map(escape),
        _ => Some(escape(account.domain())),
    })
}

fn failed(error: &LdapError) -> AuthFailure {
    tracing::error!(%error, "the directory cannot be asked");
    let text = "The server cannot check passwords at the moment; try again.";
    AuthFailure::Temporary(Some(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_would_let_somebody_read_along_are_refused() {
        for fine in [
            ("ldaps://ldap.example.org", false),
            ("ldap://ldap.example.org:389", true),
            ("ldap://127.0.0.1:1389", false),
            ("ldap://localhost/", false),
            ("ldapi://%2Frun%2Fslapd%2Fldapi", false),
        ] {
            assert!(check_url(fine.0, fine.1).is_ok(), "{fine:?}");
        }
        for wrong in [
            ("ldap://ldap.example.org", false),
            ("ldap://127.0.0.1.example:1", false),
            ("http://ldap.example.org", true),
            ("ldap://", true),
            ("ldaps:///x", true),
            ("", true),
        ] {
            assert!(check_url(wrong.0, wrong.1).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn templates_are_judged() {
        let template = |text: &str| Some(Template::new(text).unwrap());
        let flaw = |config: LdapConfig| config.check().map_err(|flaw| flaw.key);
        let dn = || template("uid={user},dc=example");
        assert_eq!(flaw(LdapConfig::default()), Ok(()));
        assert_eq!(flaw(LdapConfig { dn: dn(), ..LdapConfig::default() }), Ok(()));
        for (key, wrong) in [
            ("dn", LdapConfig { dn: template("uid={name}"), ..LdapConfig::default() }),
            ("dn", LdapConfig { dn: template("uid=root"), ..LdapConfig::default() }),
            ("base", LdapConfig { dn: dn(), base: template("dc=x"), ..LdapConfig::default() }),
            ("lookup", LdapConfig { dn: dn(), lookup: true, ..LdapConfig::default() }),
            ("bind_dn", LdapConfig { bind_dn: Some("cn=x".into()), ..LdapConfig::default() }),
            (
                "bind_password",
                LdapConfig {
                    bind_dn: Some("cn=x".into()),
                    bind_password: Some(String::new()),
                    ..LdapConfig::default()
                },
            ),
        ] {
            assert_eq!(flaw(wrong), Err(key));
        }
    }

    #[test]
    fn names_are_escaped_where_they_stand() {
        let account = BareJid::from_parts(Some("o=x,y(*)"), "example.org").unwrap();
        let dn = Template::new("uid={user},dc={domain}").unwrap();
        let filled = fill(&dn, &account, escape::of_dn);
        assert_eq!(filled.as_deref(), Some(r"uid=o\=x\,y(*),dc=example.org"));
        let filled = fill(&LdapConfig::default().filter, &account, escape::of_filter);
        let wanted = r"(&(objectClass=person)(uid=o=x,y\28\2a\29))";
        assert_eq!(filled.as_deref(), Some(wanted));
    }
}
