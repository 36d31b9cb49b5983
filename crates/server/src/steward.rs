//! Carries out what commands say about the domains that are served.

use std::io;
use std::sync::{Arc, Weak};

use waxwing_kernel::command::{Refusal, RefusalKind};
use waxwing_kernel::config::DomainName;
use waxwing_kernel::request::Answer;
use waxwing_kernel::steward::{HostDraft, HostEntry, Steward};

use crate::estate::{Edit, Estate};
use crate::server::Server;

/// The server, as commands see it.
pub(crate) struct Stewards(pub(crate) Weak<Server>);

impl Steward for Stewards {
    fn hosts(&self) -> Vec<HostEntry> {
        let Some(server) = self.0.upgrade() else { return Vec::new() };
        let estate = Estate::of(server.data());
        let entry = |host: waxwing_kernel::config::Host| HostEntry {
            settings: host.file.as_ref().and_then(|_| estate.settings(&host.config.domain)),
            domain: host.config.domain,
        };
        server.config().hosts.into_iter().map(entry).collect()
    }

    fn put(&self, draft: HostDraft) -> Answer<'static, Result<String, Refusal>> {
        let server = self.0.upgrade();
        Box::pin(async move { put(&server.ok_or_else(ending)?, &draft).await })
    }

    fn remove(&self, domain: DomainName) -> Answer<'static, Result<String, Refusal>> {
        let server = self.0.upgrade();
        Box::pin(async move { remove(&server.ok_or_else(ending)?, &domain).await })
    }
}

fn ending() -> Refusal {
    Refusal::busy("the server is about to end")
}

async fn put(server: &Arc<Server>, draft: &HostDraft) -> Result<String, Refusal> {
    let (estate, domain) = (Estate::of(server.data()), &draft.domain);
    let _turn = server.turn().await;
    check(server, &estate, draft)?;
    let done = prepare(server, &estate, draft).await;
    // Whatever came of it, nothing is left lying about.
    estate.tidy(domain);
    done?;
    let verb = if draft.is_new { "is served" } else { "has these settings" };
    tracing::info!(%domain, is_new = draft.is_new, "a domain was changed by a command");
    Ok(format!("{domain} {verb} from now on."))
}

/// First it is tried, then it is kept: a file that the server cannot take must not meet the next
/// start.
async fn prepare(server: &Arc<Server>, estate: &Estate, draft: &HostDraft) -> Result<(), Refusal> {
    let domain = &draft.domain;
    let pem = estate.keep_pem(draft, server.hub().next_id()).map_err(unwritten)?;
    let text = estate.compose(draft, pem.as_deref())?;
    let config = server.reread(Edit::Put(domain, &text)).map_err(wrong)?;
    estate.prepare(domain, &text).map_err(unwritten)?;
    server.take(config).await.map_err(wrong)?;
    match estate.commit(domain) {
        Ok(()) => Ok(()),
        Err(error) => Err(Box::pin(undo(server, error)).await),
    }
}

/// What is not kept does not hold either: the server is again as the files say.
async fn undo(server: &Arc<Server>, error: io::Error) -> Refusal {
    let undone = match server.reread(Edit::None) {
        Ok(config) => server.take(config).await.map(drop),
        Err(reason) => Err(reason),
    };
    let refusal = unwritten(error);
    match undone {
        Ok(()) => refusal,
        Err(reason) => {
            tracing::error!(%reason, "what could not be written could not be undone either");
            let text = format!("{}; it holds until the next start or reload", refusal.text);
            Refusal { text, ..refusal }
        }
    }
}

/// Whether this draft is for this domain at all.
fn check(server: &Server, estate: &Estate, draft: &HostDraft) -> Result<(), Refusal> {
    let domain = &draft.domain;
    let config = server.config();
    match (config.host(domain.as_str()), draft.is_new) {
        (Some(_), true) => {
            let text = format!("{domain} is served already; `waxwing host change` changes it");
            Err(at_domain(Refusal::conflict(text)))
        }
        (None, true) if !estate.has_room() => {
            Err(Refusal::busy("no more domains can be added by commands; write some into the file"))
        }
        (None, true) => Ok(()),
        (Some(host), false) if host.file.is_some() => Ok(()),
        (Some(_), false) => Err(at_domain(Refusal::not_allowed(in_file(domain)))),
        (None, false) => Err(at_domain(Refusal::not_found(format!("{domain} is not served here")))),
    }
}

async fn remove(server: &Arc<Server>, domain: &DomainName) -> Result<String, Refusal> {
    let estate = Estate::of(server.data());
    let _turn = server.turn().await;
    match server.config().host(domain.as_str()) {
        None => {
            return Err(at_domain(Refusal::not_found(format!("{domain} is not served here"))));
        }
        Some(host) if host.file.is_none() => {
            return Err(at_domain(Refusal::not_allowed(in_file(domain))));
        }
        Some(_) => {}
    }
    let config = server.reread(Edit::Drop(domain)).map_err(wrong)?;
    server.take(config).await.map_err(wrong)?;
    if let Err(error) = estate.discard(domain) {
        return Err(Box::pin(undo(server, error)).await);
    }
    estate.tidy(domain);
    tracing::info!(%domain, "a domain was removed by a command");
    Ok(format!("{domain} is served no more. Its accounts and rooms stay in the database."))
}

fn in_file(domain: &DomainName) -> String {
    format!("{domain} stands in the configuration file; change it there, then `waxwing reload`")
}

fn at_domain(refusal: Refusal) -> Refusal {
    Refusal { field: Some("domain"), ..refusal }
}

fn wrong(reason: String) -> Refusal {
    Refusal { kind: RefusalKind::Invalid, field: Some("settings"), text: reason }
}

fn unwritten(error: io::Error) -> Refusal {
    tracing::error!(%error, "the file of a domain could not be written");
    Refusal::failed(format!("the data folder could not be written: {error}"))
}
