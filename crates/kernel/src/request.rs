//! What a handler is given, and the shape that every handler is erased to.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use parking_lot::Mutex;
use waxwing_jid::Jid;
use waxwing_stanza::{Stanza, StanzaError};
use waxwing_store::StoreError;
use waxwing_xml::Child;

use crate::account::Account;
use crate::directory::Flags;
use crate::hub::Hub;
use crate::site::{Site, Slots};
use crate::stage::{Effects, Party};

/// A boxed future, as erased handlers return it.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where an IQ must be addressed for a handler to see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// A session asks its own account: no `to`, or its own bare address.
    Owner,
    /// Anybody asks an account, also its owner.
    Account,
    /// Anybody asks an address, bare or full, under which there is no account. What is not
    /// answered here gets the same error that an account gives to strangers.
    Nobody,
    /// Anybody asks the server: the domain itself.
    Server,
    /// Anybody asks the service of the module with this name, at an address of its own below the
    /// domain.
    Service(&'static str),
    /// Anybody asks an address at a service of ours, or such a service where its module has no
    /// answer of its own.
    Inner,
    /// Somebody who has not signed in asks the server, in order to register (XEP-0077 §3.1).
    Early,
}

/// A request with its payload read.
pub struct Request<P> {
    /// The server.
    pub hub: Hub,
    /// The virtual host that was asked.
    pub site: Arc<Site>,
    /// Who asks.
    pub from: Party,
    /// The account that is asked; only in [`Scope::Owner`] and [`Scope::Account`].
    pub account: Option<Arc<Account>>,
    /// The whole stanza, for its id and language.
    pub stanza: Stanza,
    /// Where a connection that has not signed in comes from; only in [`Scope::Early`].
    pub peer: Option<IpAddr>,
    /// What the client of that connection has shown; empty in the other scopes.
    pub pass: Pass,
    /// What is asked.
    pub payload: P,
}

impl<P> Request<P> {
    /// The account that is asked, in the scopes where there is one.
    pub fn account(&self) -> &Arc<Account> {
        self.account.as_ref().expect("Owner and Account scopes carry the account")
    }
}

/// What a client has shown to be let in before it signs in, such as the token of an invitation
/// (XEP-0445 §4). It ends with the connection.
#[derive(Clone, Default)]
pub struct Pass(Arc<Mutex<Option<String>>>);

impl Pass {
    /// Keeps what was shown last.
    pub fn show(&self, token: String) {
        *self.0.lock() = Some(token);
    }

    /// What was shown last.
    pub fn shown(&self) -> Option<String> {
        self.0.lock().clone()
    }
}

/// A request before its payload is read.
pub(crate) type Call = Request<()>;

pub(crate) type IqRoute = Box<
    dyn Fn(Call, Child<'_>) -> Answer<'static, Result<Option<String>, StanzaError>> + Send + Sync,
>;

/// Something that happened to a session or an account.
pub struct Happening {
    /// The server.
    pub hub: Hub,
    /// The virtual host.
    pub site: Arc<Site>,
    /// The session; a bare address when the account itself is concerned.
    pub party: Party,
    /// The account.
    pub account: Arc<Account>,
    /// The presence that came or went.
    pub presence: Option<Stanza>,
}

/// When a signal handler is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// A session sent presence with a priority of zero or more, having had none such before.
    Available,
    /// A session sent its initial presence, of whatever priority.
    Appeared,
    /// A session told everybody its presence, for the first time or again.
    Shown,
    /// An available session became unavailable.
    Unavailable,
    /// Somebody asks to see the presence of an account, which has not been told yet. The party is
    /// who asks, the presence the request.
    Asked,
    /// An account lets somebody see its presence from now on. The party is who may see it.
    Shared,
    /// An account lets somebody see its presence no longer. The party is who saw it.
    Withheld,
    /// An account has put a contact that sees its presence into other groups. The party is the
    /// contact.
    Regrouped,
    /// An account is about to be erased.
    Removed,
}

pub(crate) type SignalRoute = Box<dyn Fn(Happening) -> Answer<'static, Effects> + Send + Sync>;

/// A session's own view, for what only concerns the wire: client state.
pub struct Leaving<'a> {
    /// The session's slots.
    pub slots: &'a mut Slots,
    /// What leaves for the client, in order. A filter puts the delivery here, now or later.
    pub out: &'a mut Departures,
}

/// Deliveries that leave together, nearly always one.
pub type Departures = smallvec::SmallVec<[crate::mailbox::Delivery; 1]>;

/// A session whose client is lost and may come back (XEP-0198 §5).
pub struct Asleep<'a> {
    /// The server.
    pub hub: &'a Hub,
    /// The account.
    pub account: &'a Arc<Account>,
    /// The session's full address.
    pub session: &'a Jid,
    /// What its client has not confirmed, oldest first.
    pub unconfirmed: &'a [&'a Stanza],
}

pub(crate) type AsleepRoute = Box<dyn Fn(&Asleep<'_>) + Send + Sync>;

/// A session that begins along with the authentication (XEP-0386); nobody can see it yet.
pub struct Beginning<'a> {
    /// The session's slots.
    pub slots: &'a mut Slots,
    /// Its public flags.
    pub flags: &'a mut Flags,
}

pub(crate) type InlineRoute = Box<dyn Fn(&mut Beginning<'_>) + Send + Sync>;

pub(crate) type EgressRoute = Box<dyn Fn(&mut Leaving<'_>, crate::mailbox::Delivery) + Send + Sync>;
pub(crate) type NonzaRoute = Box<dyn Fn(&mut Leaving<'_>) + Send + Sync>;

/// The database refused: whoever asked hears why, and may try again.
pub fn unstored(error: &StoreError) -> StanzaError {
    tracing::error!(%error, "a stanza could not be stored");
    match error {
        StoreError::Full | StoreError::Busy => StanzaError::resource_constraint()
            .text("The server cannot store this at the moment; try again later."),
        _ => StanzaError::internal_server_error()
            .text("The server could not store this; nothing was delivered."),
    }
}
