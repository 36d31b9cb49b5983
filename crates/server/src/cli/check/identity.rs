//! Who else knows accounts: whether they answer.

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::clock::Clock;
use waxwing_kernel::config::{Config, Host};
use waxwing_kernel::metrics::Metrics;
use waxwing_kernel::{Hub, Limits};
use waxwing_modules::{authhook, jwt, ldap};
use waxwing_net::{Fetcher, LdapDialer};
use waxwing_store::{Db, Location};

use super::{Finding, Trouble, fatal, warning};

/// The modules that ask others, by name.
const ASKING: [&str; 3] = ["ldap", "jwt", "authhook"];

/// Asks everybody outside who knows accounts of a domain. Nothing when nobody does.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    if !config.hosts.iter().any(|host| ASKING.into_iter().any(|module| host.is_on(module))) {
        return Vec::new();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(ask(config)),
        Err(error) => vec![Finding::new("threads", Err(fatal(error.to_string())))],
    }
}

async fn ask(config: &Config) -> Vec<Finding> {
    let hub = match hub(config).await {
        Ok(hub) => hub,
        Err(trouble) => return vec![Finding::new("accounts known elsewhere", Err(trouble))],
    };
    let mut all = Vec::new();
    for host in &config.hosts {
        for module in ASKING.into_iter().filter(|module| host.is_on(module)) {
            let about = format!("{module} of {}", host.config.domain);
            all.push(Finding::new(about, probe(&hub, host, module).await));
        }
    }
    all
}

/// A server of its own that has nothing but the ways out.
async fn hub(config: &Config) -> Result<Hub, Trouble> {
    let db = Db::open(&Location::Memory, waxwing_store::Limits::default()).await;
    let db = db.map_err(|error| fatal(error.to_string()))?;
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), "check"));
    let hub = Hub::new(db, Clock::system(), Limits::default(), metrics);
    hub.keep_files_in(config.server.data.clone());
    hub.fetch_with(Arc::new(Fetcher::new(&waxwing_net::Limits::default())));
    hub.speak_ldap_with(Arc::new(LdapDialer::new(hub.clock().clone())));
    Ok(hub)
}

async fn probe(hub: &Hub, host: &Host, module: &str) -> Result<(), Trouble> {
    let domain = BareJid::new(host.config.domain.as_str());
    let domain = domain.map_err(|error| fatal(error.to_string()))?;
    let asked = match module {
        "ldap" => Box::pin(ldap::Ldap::probe(hub, host.module("ldap"), &domain)).await,
        "jwt" => Box::pin(jwt::Jwt::probe(hub, host.module("jwt"), &domain)).await,
        _ => Box::pin(authhook::AuthHook::probe(hub, host.module("authhook"), &domain)).await,
    };
    asked.map_err(|reason| warning(format!("{reason}\nuntil that is mended nobody signs in by it")))
}
