//! LDAP (RFC 4511): the other side of [`waxwing_kernel::ldap`], a few connections to each server
//! that are kept and used again.

use std::sync::Arc;
use std::time::Duration;

use ldap3::{LdapConnAsync, LdapConnSettings, Scope, SearchEntry, SearchOptions};
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Semaphore;
use waxwing_kernel::clock::Clock;
use waxwing_kernel::ldap::{Ldap, LdapBind, LdapClient, LdapError, LdapSearch, LdapServer};
use waxwing_kernel::request::Answer;

/// RFC 4511 §4.1.9: results that say that the password, the name or both are wrong, or that this
/// name may not sign in: constraintViolation (an account that is locked), noSuchObject,
/// invalidDNSyntax, inappropriateAuthentication, invalidCredentials, insufficientAccessRights,
/// unwillingToPerform.
const REFUSALS: [u32; 7] = [19, 32, 34, 48, 49, 50, 53];
const NO_SUCH_OBJECT: u32 = 32;
/// There are more entries than were asked for.
const SIZE_LIMIT_EXCEEDED: u32 = 4;
/// Entries that are told.
const ENTRIES: i32 = 2;
/// "No attributes" (RFC 4511 §4.5.1.8).
const NOTHING: [&str; 1] = ["1.1"];

/// Speaks LDAP over sockets of its own.
#[derive(Clone)]
pub struct LdapDialer {
    clock: Clock,
}

impl LdapDialer {
    /// Tasks are started by this clock.
    pub fn new(clock: Clock) -> Self {
        Self { clock }
    }
}

impl Ldap for LdapDialer {
    fn client(&self, server: LdapServer) -> Result<Arc<dyn LdapClient>, String> {
        Ok(Arc::new(Client(Arc::new(Pool::new(server, self.clock.clone())?))))
    }
}

struct Client(Arc<Pool>);

struct Pool {
    url: String,
    settings: LdapConnSettings,
    time: Duration,
    clock: Clock,
    free: Semaphore,
    idle: Mutex<Vec<ldap3::Ldap>>,
}

/// What is asked.
enum Question {
    Bind(LdapBind),
    Search(LdapSearch),
}

/// What was answered.
enum Reply {
    Bound(ldap3::LdapResult),
    /// The server does not let us look.
    Unbound(ldap3::LdapResult),
    Found(ldap3::SearchResult),
}

impl LdapClient for Client {
    fn bind(&self, bind: LdapBind) -> Answer<'static, Result<bool, LdapError>> {
        let pool = Arc::clone(&self.0);
        Box::pin(async move {
            // RFC 4513 §5.1.2: "Clients SHOULD … disallow an empty password".
            if bind.password.is_empty() || bind.dn.is_empty() {
                return Ok(false);
            }
            let what = "the bind of a user";
            match pool.ask(&Question::Bind(bind)).await? {
                Reply::Bound(result) if result.rc == 0 => Ok(true),
                Reply::Bound(result) if REFUSALS.contains(&result.rc) => Ok(false),
                Reply::Bound(result) | Reply::Unbound(result) => Err(failed(what, &result)),
                Reply::Found(found) => Err(failed(what, &found.1)),
            }
        })
    }

    fn search(&self, search: LdapSearch) -> Answer<'static, Result<Vec<String>, LdapError>> {
        let pool = Arc::clone(&self.0);
        Box::pin(async move {
            let found = match pool.ask(&Question::Search(search)).await? {
                Reply::Found(found) => found,
                Reply::Unbound(result) | Reply::Bound(result) => {
                    return Err(failed("the bind before a search", &result));
                }
            };
            let ldap3::SearchResult(entries, result) = found;
            match result.rc {
                0 | SIZE_LIMIT_EXCEEDED => {}
                NO_SUCH_OBJECT => return Err(failed("a search (is `base` right?)", &result)),
                _ => return Err(failed("a search", &result)),
            }
            let entries = entries.into_iter().filter(|entry| !entry.is_ref());
            Ok(entries.map(|entry| SearchEntry::construct(entry).dn).collect())
        })
    }
}

/// Asks by a connection that may have been bound to any name before.
async fn ask(ldap: &mut ldap3::Ldap, question: &Question) -> ldap3::result::Result<Reply> {
    let search = match question {
        Question::Bind(bind) => {
            let bound = ldap.simple_bind(&bind.dn, &bind.password).await?;
            return Ok(Reply::Bound(bound));
        }
        Question::Search(search) => search,
    };
    let (dn, password) = match &search.by {
        Some(bind) => (bind.dn.as_str(), bind.password.as_str()),
        None => ("", ""),
    };
    let bound = ldap.simple_bind(dn, password).await?;
    if bound.rc != 0 {
        return Ok(Reply::Unbound(bound));
    }
    ldap.with_search_options(SearchOptions::new().sizelimit(ENTRIES));
    let found = ldap.search(&search.base, Scope::Subtree, &search.filter, NOTHING).await?;
    Ok(Reply::Found(found))
}

fn failed(what: &str, result: &ldap3::LdapResult) -> LdapError {
    LdapError(format!("{what} failed: {result}"))
}

impl Pool {
    fn new(server: LdapServer, clock: Clock) -> Result<Self, String> {
        let LdapServer { url, start_tls, authorities, connections, time } = server;
        let settings = LdapConnSettings::new()
            .set_conn_timeout(time)
            .set_starttls(start_tls)
            .set_config(Arc::new(trusting(authorities.as_deref())?));
        let (free, idle) = (Semaphore::new(connections), Mutex::default());
        Ok(Self { url, settings, time, clock, free, idle })
    }

    /// Asks within the time. A connection that was kept may have been closed meanwhile; then it is
    /// done again with a new one.
    async fn ask(&self, question: &Question) -> Result<Reply, LdapError> {
        let asked = async {
            let _permit =
                self.free.acquire().await.map_err(|error| LdapError(error.to_string()))?;
            let kept = self.idle.lock().pop();
            if let Some(mut ldap) = kept
                && !ldap.is_closed()
                && let Ok(reply) = ask(&mut ldap, question).await
            {
                self.idle.lock().push(ldap);
                return Ok(reply);
            }
            let mut ldap = Box::pin(self.connect()).await?;
            let reply = ask(&mut ldap, question).await;
            let reply = reply.map_err(|error| LdapError(error.to_string()))?;
            self.idle.lock().push(ldap);
            Ok(reply)
        };
        // A connection that is dropped half-way is closed with its handle.
        let asked = tokio::time::timeout(self.time, asked).await;
        asked.unwrap_or_else(|_| Err(LdapError("no answer came in time".to_owned())))
    }

    async fn connect(&self) -> Result<ldap3::Ldap, LdapError> {
        let connected = LdapConnAsync::with_settings(self.settings.clone(), &self.url);
        let connected = Box::pin(connected).await;
        let (connection, ldap) = connected.map_err(|error| LdapError(error.to_string()))?;
        let drive = async move {
            if let Err(error) = Box::pin(connection.drive()).await {
                tracing::debug!(%error, "a connection to an LDAP server broke");
            }
        };
        self.clock.spawn(Box::pin(drive));
        Ok(ldap)
    }
}

fn trusting(authorities: Option<&[u8]>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(pem) => {
            let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
            for certificate in found.map_err(|error| error.to_string())? {
                roots.add(certificate).map_err(|error| error.to_string())?;
            }
            if roots.is_empty() {
                return Err("the file of authorities holds no certificate in PEM".to_owned());
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
