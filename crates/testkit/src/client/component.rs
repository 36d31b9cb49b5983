//! A component: it proves its secret instead of signing in (XEP-0114), and speaks for a domain.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::Client;
use super::connection::Connection;
use crate::link::Link;
use crate::node::Node;
use crate::script::Name;
use crate::world::PASSWORD;

/// The content namespace of a component's stream.
pub(super) const COMPONENT: &str = "jabber:component:accept";

impl Client {
    /// Connects the component whose domain is the word that it is called by.
    ///
    /// # Errors
    /// What the server answered instead.
    pub async fn component(name: Name, link: Link) -> Result<Self, String> {
        let mut component = Self::new(name);
        let domain = component.name.local.clone();
        let mut connection = Connection::of_component(link);
        connection.open(&domain).await?;
        component.connection = Some(connection);
        while component.stream_id().is_none() {
            component.wait().await?;
        }
        let id = component.stream_id().unwrap_or_default();
        let mut proof = String::new();
        for byte in digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{id}{PASSWORD}").as_bytes()).as_ref()
        {
            let _ = write!(proof, "{byte:02x}");
        }
        component.write(&format!("<handshake>{proof}</handshake>")).await?;
        Ok(component)
    }

    /// What the server called the stream.
    fn stream_id(&self) -> Option<String> {
        self.connection.as_ref()?.id.clone()
    }
}

/// What comes to a component, as it would come to a client.
pub(super) fn as_client(mut node: Node) -> Node {
    if node.namespace == COMPONENT {
        node.namespace = crate::node::CLIENT.to_owned();
    }
    node.children = node.children.into_iter().map(as_client).collect();
    node
}
