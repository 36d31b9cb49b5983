//! Waiting for the component to say who it is.

use waxwing_jid::BareJid;
use waxwing_xml::Element;

use crate::COMPONENT;
use crate::chassis::Chassis;
use crate::error::StreamError;
use crate::framing::tcp;
use crate::role::client::State;
use crate::role::component::{Component, ExpectHandshake};

/// §3: "the value of the 'to' address is the component name, not the server name; this enables the
/// server to determine whether it will service a component of that name". "For all errors related
/// to the stream header, the server MUST follow the rules in Section 4.7.1 of XMPP Core by
/// returning an opening stream tag, stream error element, and closing stream tag".
pub(super) fn header(io: &mut Chassis, header: &Element) -> State {
    let to = header.attribute("to").and_then(|to| BareJid::new(&to).ok());
    let name = to.filter(BareJid::is_domain);
    let id = io.open(name.as_ref().map(BareJid::domain), None);
    // "If the server does not recognize or support the namespace specified in the stream header …,
    // it MUST return an <invalid-namespace/> stream error."
    if let Err(error) = tcp::check(header, COMPONENT) {
        return io.fail(error);
    }
    let known = name.ok_or_else(StreamError::host_unknown);
    match known.and_then(|name| io.hosts.component(name.domain())) {
        Ok(component) => {
            Component::ExpectHandshake(ExpectHandshake { component, id, is_proven: false }).into()
        }
        Err(error) => io.fail(error),
    }
}
