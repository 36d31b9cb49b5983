#![cfg_attr(not(doctest), doc = include_str!("csi.md"))]

use waxwing_kernel::config::NoConfig;
use waxwing_kernel::mailbox::Delivery;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::{Beginning, Leaving};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{SessionSlot, Site, SiteBuilder};
use waxwing_stanza::{Kind, PresenceType, Stanza};
use waxwing_stream::Tag;

const NS: &str = "urn:xmpp:csi:0";
const CHAT_STATES: &str = "http://jabber.org/protocol/chatstates";
const HINTS: &str = "urn:xmpp:hints";

/// What is held back for one session at most; one more sends everything.
const HELD: usize = 500;

/// Holds back what an inactive client need not wake up for.
pub struct Csi {
    state: SessionSlot<State>,
}

/// One session's wish and what waits for it.
#[derive(Default)]
pub struct State {
    is_inactive: bool,
    held: Vec<Delivery>,
}

impl Module for Csi {
    const ABOUT: &'static About = &About {
        name: "csi",
        summary: "Lets phones sleep: presence and typing notices wait until they are looked at.",
        is_on: true,
        xeps: &[Xep(352, "1.0.0")],
        server_features: &[],
        account_features: &[],
        manual: include_str!("csi.md"),
    };
    type Config = NoConfig;

    fn start(site: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        Ok(Self { state: site.session_slot() })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.stream_feature(Self::feature);
        on.nonza("inactive", NS, Self::rest);
        on.nonza("active", NS, Self::wake);
        on.inline("inactive", NS, Self::begin_resting);
        on.inline("active", NS, Self::begin_awake);
        on.egress(Self::hold);
        // §5.2: "the CSI state is not restored" by resumption.
        on.loss(Self::wake);
    }
}

impl Csi {
    fn feature(&self, _: &Site) -> Option<String> {
        Some(format!("<csi xmlns='{NS}'/>"))
    }

    fn rest(&self, leaving: &mut Leaving<'_>) {
        leaving.slots.of(self.state).is_inactive = true;
    }

    /// XEP-0386 §4: "If the client included a XEP-0352 <active/> or <inactive/> element, the
    /// session must begin in that state."
    fn begin_resting(&self, beginning: &mut Beginning<'_>) {
        beginning.slots.of(self.state).is_inactive = true;
    }

    fn begin_awake(&self, beginning: &mut Beginning<'_>) {
        beginning.slots.of(self.state).is_inactive = false;
    }

    fn wake(&self, leaving: &mut Leaving<'_>) {
        let state = leaving.slots.of(self.state);
        state.is_inactive = false;
        leaving.out.extend(std::mem::take(&mut state.held));
    }

    /// Presence and chat states wait; anything else takes what waits along, so that order holds.
    fn hold(&self, leaving: &mut Leaving<'_>, delivery: Delivery) {
        let state = match leaving.slots.peek(self.state) {
            Some(state) if state.is_inactive => state,
            _ => return leaving.out.push(delivery),
        };
        // What is kept in the spool is there to be confirmed soon.
        if delivery.tag != Tag(0) || !can_wait(&delivery.stanza) {
            leaving.out.extend(state.held.drain(..));
            return leaving.out.push(delivery);
        }
        if let Kind::Presence(_) = delivery.stanza.head.kind {
            // Only the last word of each contact counts.
            let is_newer = |held: &Delivery| {
                matches!(held.stanza.head.kind, Kind::Presence(_))
                    && held.stanza.head.from == delivery.stanza.head.from
            };
            state.held.retain(|held| !is_newer(held));
        }
        state.held.push(delivery);
        if state.held.len() > HELD {
            leaving.out.extend(state.held.drain(..));
        }
    }
}

/// Whether nobody misses this while a screen is dark: presence that comes and goes (but no
/// subscription), and messages that hold a chat state and nothing else of note.
fn can_wait(stanza: &Stanza) -> bool {
    match stanza.head.kind {
        Kind::Presence(PresenceType::Available | PresenceType::Unavailable) => {
            // A room's presence carries state (XEP-0045 §7.2): joins, kicks, its own echo.
            !stanza.body.has("x", "http://jabber.org/protocol/muc#user")
        }
        Kind::Message(_) => {
            stanza.body.children().any(|child| child.namespace() == CHAT_STATES)
                && stanza.body.children().all(|child| {
                    [CHAT_STATES, HINTS].contains(&child.namespace()) || child.name() == "thread"
                })
        }
        _ => false,
    }
}
