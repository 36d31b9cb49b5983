//! Stream features between servers: ours written, the peer's read.

use waxwing_xml::{Child, Element, write};

use crate::chassis::Chassis;
use crate::features::{starttls, write_limits};
use crate::{DIALBACK, SASL, SM, STREAM, TLS};

/// XEP-0288 §2.1.
pub(super) const BIDI_FEATURE: &str = "urn:xmpp:features:bidi";
/// XEP-0288 §2.2.
pub(super) const BIDI: &str = "urn:xmpp:bidi";
/// XEP-0220 §2.4.2.
const DIALBACK_FEATURE: &str = "urn:xmpp:features:dialback";
/// XEP-0478.
const LIMITS: &str = "urn:xmpp:stream-limits:0";

pub(super) fn is_dialback(element: &Element, name: &str) -> bool {
    element.is(name, DIALBACK)
}

/// What a calling server may do next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Offer {
    /// STARTTLS; `true` when nothing else is possible.
    pub(super) starttls: Option<bool>,
    pub(super) external: bool,
    pub(super) dialback: bool,
    pub(super) bidi: bool,
    pub(super) acks: bool,
}

impl Offer {
    /// Writes `<stream:features/>`. The limits are those of after authentication from the start:
    /// before it there is nothing large to send, and after dialback nothing is announced again.
    pub(super) fn write(self, io: &mut Chassis) {
        let declare = io.is_websocket();
        let (max_bytes, idle) = (io.limits().after_auth.element_bytes, io.limits().idle_seconds);
        io.write(|out| {
            out.push_str("<stream:features");
            if declare {
                write::attribute(out, "xmlns:stream", STREAM);
            }
            out.push('>');
            if let Some(required) = self.starttls {
                starttls(required, out);
            }
            if self.external {
                out.push_str("<mechanisms");
                write::attribute(out, "xmlns", SASL);
                out.push_str("><mechanism>EXTERNAL</mechanism></mechanisms>");
            }
            if self.dialback {
                out.push_str("<dialback");
                write::attribute(out, "xmlns", DIALBACK_FEATURE);
                out.push_str("><errors/></dialback>");
            }
            for (offered, name, namespace) in
                [(self.bidi, "bidi", BIDI_FEATURE), (self.acks, "sm", SM)]
            {
                if offered {
                    out.push('<');
                    out.push_str(name);
                    write::attribute(out, "xmlns", namespace);
                    out.push_str("/>");
                }
            }
            write_limits(max_bytes, idle, out);
            out.push_str("</stream:features>");
        });
    }
}

/// Writes `<bidi/>`, with our limits: "Servers using XEP-0288 … do not get an opportunity to send
/// <stream:features/> to the responding entity" (XEP-0478 §3.2).
pub(super) fn write_bidi(io: &mut Chassis) {
    let (max_bytes, idle) = (io.limits().after_auth.element_bytes, io.limits().idle_seconds);
    io.write(|out| {
        out.push_str("<bidi");
        write::attribute(out, "xmlns", BIDI);
        out.push('>');
        write_limits(max_bytes, idle, out);
        out.push_str("</bidi>");
    });
}

/// What the server that we have called offers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Offered {
    pub(super) starttls: bool,
    pub(super) external: bool,
    pub(super) dialback: bool,
    pub(super) bidi: bool,
    pub(super) acks: bool,
    pub(super) limits: Announced,
}

/// What a peer takes (XEP-0478); what it does not say is not known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Announced {
    pub(super) max_bytes: Option<u64>,
    pub(super) idle_seconds: Option<u32>,
}

impl Offered {
    pub(super) fn read(features: &Element) -> Offered {
        let mut offered = Offered::default();
        for feature in features.children() {
            match (feature.name(), feature.namespace()) {
                ("starttls", TLS) => offered.starttls = true,
                ("mechanisms", SASL) => {
                    let is_external =
                        |it: Child<'_>| it.is("mechanism", SASL) && it.text().trim() == "EXTERNAL";
                    offered.external = feature.children().any(is_external);
                }
                ("dialback", DIALBACK_FEATURE) => offered.dialback = true,
                ("bidi", BIDI_FEATURE) => offered.bidi = true,
                ("sm", SM) => offered.acks = true,
                ("limits", LIMITS) => offered.limits = announced(feature),
                _ => {}
            }
        }
        offered
    }
}

/// The `<limits/>` in an element.
pub(super) fn limits_of(element: &Element) -> Announced {
    element.child("limits", LIMITS).map(announced).unwrap_or_default()
}

/// Nothing, zero and what is no number mean that nothing is known.
fn announced(limits: Child<'_>) -> Announced {
    let number = |name| limits.child(name, LIMITS)?.text().trim().parse::<u64>().ok();
    let known = |name| number(name).filter(|number| *number > 0);
    let idle_seconds = known("idle-seconds").and_then(|number| u32::try_from(number).ok());
    Announced { max_bytes: known("max-bytes"), idle_seconds }
}
