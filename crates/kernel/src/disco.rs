//! What modules may add to service discovery (XEP-0030).

use crate::site::Site;
use crate::stage::Party;

/// A question about one node of the server.
pub struct DiscoAsk<'a> {
    /// The virtual host.
    pub site: &'a Site,
    /// Who asks.
    pub from: &'a Party,
    /// The node.
    pub node: &'a str,
}

/// What a node is and holds.
#[derive(Clone, Debug, Default)]
pub struct DiscoNode {
    /// `(category, type, name)`.
    pub identities: Vec<(String, String, Option<String>)>,
    /// Feature namespaces.
    pub features: Vec<String>,
    /// Data forms, as XML (XEP-0128).
    pub forms: Vec<String>,
    /// `(jid, node, name)`.
    pub items: Vec<(String, Option<String>, Option<String>)>,
}
