//! Pieces of private storage (XEP-0049) that are kept in another way as well: who keeps them so
//! says what stands there and what is seen of it.

use std::sync::Arc;

use waxwing_stanza::StanzaError;

use crate::account::Account;
use crate::hub::Hub;
use crate::request::Answer;
use crate::site::Site;

/// A piece of private storage that its owner looks at or replaces.
pub struct Drawer {
    /// The server.
    pub hub: Hub,
    /// The virtual host.
    pub site: Arc<Site>,
    /// The owner.
    pub account: Arc<Account>,
    /// What stands in private storage; an element that declares its namespace.
    pub stored: Option<String>,
    /// What the owner puts there; none when the owner looks.
    pub put: Option<String>,
}

/// What becomes of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Drawn {
    /// What stands in private storage from now on.
    pub stored: Option<String>,
    /// What the owner sees.
    pub shown: Option<String>,
}

/// How a drawer is opened.
pub type DrawerRoute =
    Box<dyn Fn(Drawer) -> Answer<'static, Result<Drawn, StanzaError>> + Send + Sync>;
