#![cfg_attr(not(doctest), doc = include_str!("component.md"))]

mod delegation;
mod privilege;

use std::sync::Arc;

use waxwing_kernel::account::Slot;
use waxwing_kernel::clock::stamp_of;
use waxwing_kernel::command::{Command, CommandAbout, Grid, Order, Refusal, Said};
use waxwing_kernel::component::Greeting;
use waxwing_kernel::config::NoConfig;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::Signal;
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::Stage;
use waxwing_kernel::{Hub, Roster, SiteBuilder, form};

form! {
    /// List the components and where they are connected from.
    pub struct ListComponents {}
}
static LIST: CommandAbout =
    CommandAbout::of::<ListComponents>("urn:waxwing:component#list", &["component", "list"])
        .reads();

/// Tells admins about the services in programs of their own, and lets these do what they may.
pub struct Component {
    hub: Hub,
    roster: Slot<Roster>,
    seen: privilege::Seen,
}

impl Module for Component {
    const ABOUT: &'static About = &About {
        name: "component",
        summary: "Connects gateways and other services in programs of their own.",
        is_on: true,
        xeps: &[
            Xep(114, "1.6").lacks("connections that the server makes (jabber:component:connect)"),
            Xep(355, "0.5").lacks("delegation by people themselves (client mode)"),
            Xep(356, "0.4.1"),
        ],
        server_features: &[delegation::NS],
        account_features: &[],
        manual: include_str!("component.md"),
    };
    type Config = NoConfig;

    fn start(site: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        let (hub, roster) = (site.hub(), site.roster());
        Ok(Self { hub, roster, seen: privilege::Seen::default() })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.attached(Self::greet);
        on.signal(Signal::Appeared, Self::tell_presence);
        on.signal(Signal::Unavailable, Self::tell_presence);
        on.inbound(Stage::Check, Self::watch).after("blocking");
        on.letter("privilege", privilege::NS, Self::send);
        on.intercept(Self::take_question);
        on.intercept(Self::delegate);
        on.command(|component| Command::new(&LIST, component, Self::list));
    }
}

impl Component {
    async fn greet(self: Arc<Self>, greeting: Greeting) {
        Arc::clone(&self).advertise(&greeting).await;
        self.hand_over(greeting).await;
    }

    async fn list(self: Arc<Self>, _: Order<ListComponents>) -> Result<Said, Refusal> {
        let mut grid = Grid::new(&[
            ("domain", "Domain"),
            ("name", "Name"),
            ("state", "State"),
            ("peer", "From"),
            ("since", "Since"),
        ]);
        let all = self.hub.components().list();
        for (component, link) in &all {
            let (peer, since) = match link {
                Some(link) => (link.peer.to_string(), stamp_of(link.since_millis)),
                None => (String::new(), String::new()),
            };
            grid.row([
                component.domain().to_owned(),
                component.name().unwrap_or_default().to_owned(),
                if link.is_some() { "connected" } else { "absent" }.to_owned(),
                peer,
                since,
            ]);
        }
        let note = match all.len() {
            1 => "1 component.".to_owned(),
            number => format!("{number} components."),
        };
        Ok(Said::note(note).table(grid))
    }
}
