//! The way to LDAP servers (RFC 4511). Sockets and the protocol belong to the network layer; here
//! are the words that both sides speak.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::hub::Hub;
use crate::request::Answer;

/// Whoever speaks LDAP.
pub trait Ldap: Send + Sync {
    /// A way to one server. Nothing is dialled yet.
    ///
    /// # Errors
    /// What is wrong with the description, for the operator.
    fn client(&self, server: LdapServer) -> Result<Arc<dyn LdapClient>, String>;
}

/// One server, and how much it may be asked.
#[derive(Clone, Debug)]
pub struct LdapServer {
    /// `ldaps://…`, `ldap://…` or `ldapi://…`.
    pub url: String,
    /// Encrypt by StartTLS (RFC 4511 §4.14) before anything else is said, on `ldap://`.
    pub start_tls: bool,
    /// PEM: who vouches for the server; whom this machine trusts if absent.
    pub authorities: Option<Vec<u8>>,
    /// Connections at a time; who finds them all busy waits.
    pub connections: usize,
    /// How long one question may take, waiting and connecting included.
    pub time: Duration,
}

/// A name with its password.
#[derive(Clone)]
pub struct LdapBind {
    /// The distinguished name (RFC 4514).
    pub dn: String,
    /// Never empty: a bind with a name and no password proves nothing and succeeds (RFC 4513
    /// §5.1.2).
    pub password: Arc<Zeroizing<String>>,
}

/// The password stays out of logs.
impl fmt::Debug for LdapBind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LdapBind").field("dn", &self.dn).finish_non_exhaustive()
    }
}

/// Which entries are looked for.
#[derive(Clone, Debug)]
pub struct LdapSearch {
    /// Who looks; nobody in particular if absent.
    pub by: Option<LdapBind>,
    /// Below which name; it and all that is there.
    pub base: String,
    /// What they must have (RFC 4515).
    pub filter: String,
}

/// One server.
pub trait LdapClient: Send + Sync {
    /// Whether the password is that of the name.
    fn bind(&self, bind: LdapBind) -> Answer<'static, Result<bool, LdapError>>;
    /// The names of the first two entries found.
    fn search(&self, search: LdapSearch) -> Answer<'static, Result<Vec<String>, LdapError>>;
}

/// Why a server could not answer, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LdapError(pub String);

impl fmt::Display for LdapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LdapError {}

impl Hub {
    /// A way to an LDAP server.
    ///
    /// # Errors
    /// What is wrong with its description, or that this server speaks no LDAP.
    pub fn ldap(&self, server: LdapServer) -> Result<Arc<dyn LdapClient>, String> {
        match self.ldap_speaker() {
            Some(ldap) => ldap.client(server),
            None => Err("this server speaks no LDAP".to_owned()),
        }
    }
}
