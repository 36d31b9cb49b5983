//! The frozen table of routes: what a module declared is found here, in an order that is printed.

mod describe;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use waxwing_jid::Jid;
use waxwing_stanza::Stanza;
use waxwing_stanza::payload::dataform::{DataForm, FORM_TYPE, Field};
use waxwing_stanza::payload::disco::Identity;
use waxwing_store::{Statement, StoreError};
use waxwing_stream::Tag;
use waxwing_xml::Child;

use crate::account::Account;
use crate::admission::{AdmissionRoute, BoundRoute, TokenRoute};
use crate::backend::{Backend, Bearer, Lookups, PasswordRoute};
use crate::command::{Command, Deed};
use crate::component::{AttachedRoute, InterceptRoute, LetterRoute};
use crate::disco::{AccountRoutes, DiscoAnswer, DiscoAsk, FormRoute, IdentityRoute, NodeRoute};
use crate::drain::EndingRoute;
use crate::drawer::DrawerRoute;
use crate::events::{self, EventAbout};
use crate::http::HttpRoute;
use crate::hub::Hub;
use crate::interests::InterestedRoute;
use crate::mailbox::Delivery;
use crate::module::{About, StartError};
use crate::nodes::NodeRoutes;
use crate::request::{
    Answer, AsleepRoute, EgressRoute, Happening, InlineRoute, IqRoute, NonzaRoute, Scope, Signal,
    SignalRoute,
};
use crate::rounds::RoundRoute;
use crate::routes::Ask;
use crate::shelf::ShelfRoute;
use crate::site::Site;
use crate::stage::{Effects, Side, Stage, Transit, Verdict};
use crate::tone::ToneRoute;
use crate::visit::VisitRoute;

pub(crate) type FilterRoute = Box<dyn Fn(&mut Transit<'_>) -> Verdict + Send + Sync>;
pub(crate) type DeedRoute = Box<dyn Fn(Deed) -> Answer<'static, ()> + Send + Sync>;
pub(crate) type PresenceRoute = Box<dyn Fn(&Account, &mut Stanza) + Send + Sync>;
pub(crate) type WelcomeRoute = Box<dyn Fn(&Account, &Jid) -> bool + Send + Sync>;
pub(crate) type FeatureRoute = Box<dyn Fn(&Site) -> Option<String> + Send + Sync>;

/// Routes by the namespace and name of an element, with the module that claimed each.
pub(crate) struct ByElement<R>(HashMap<&'static str, Vec<(&'static str, &'static str, R)>>);

impl<R> Default for ByElement<R> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<R> ByElement<R> {
    /// Adds a route; names the module that has it already, if one does.
    pub(crate) fn claim(
        &mut self,
        (name, ns): (&'static str, &'static str),
        module: &'static str,
        route: R,
    ) -> Result<(), &'static str> {
        let routes = self.0.entry(ns).or_default();
        if let Some((_, other, _)) = routes.iter().find(|(claimed, _, _)| *claimed == name) {
            return Err(other);
        }
        routes.push((name, module, route));
        Ok(())
    }

    fn find(&self, name: &str, ns: &str) -> Option<&R> {
        let mut routes = self.0.get(ns)?.iter();
        routes.find(|(claimed, _, _)| *claimed == name).map(|(_, _, route)| route)
    }

    pub(crate) fn namespaces(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// The name and the namespace of each.
    fn elements(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.0.iter().flat_map(|(ns, routes)| routes.iter().map(|(name, ..)| (*name, *ns)))
    }

    /// `<name xmlns='ns'/> · module` for each.
    fn describe(&self) -> impl Iterator<Item = String> {
        self.0.iter().flat_map(|(ns, routes)| {
            routes.iter().map(move |(name, module, _)| format!("<{name} xmlns='{ns}'/> · {module}"))
        })
    }
}

pub(crate) struct Filter {
    pub(crate) module: &'static str,
    pub(crate) after: Option<&'static str>,
    pub(crate) side: Side,
    pub(crate) stage: Stage,
    pub(crate) run: FilterRoute,
}

/// Stages of both sides.
const STATIONS: usize = 2 * Stage::ALL.len();

fn station(side: Side, stage: Stage) -> usize {
    side as usize * Stage::ALL.len() + stage as usize
}

/// The keeper of stanzas that must not be lost, under a [`Tag`] each: rows that stand until a
/// client has confirmed them, and stanzas for several sessions that are watched without a row.
/// Each is on its way to at most one set of sessions at a time, and every session of the set
/// either confirms or releases it.
pub trait Spool: Send + Sync {
    /// Reads some of what waits for an account behind `after`, oldest first, and claims it for
    /// one session.
    fn page<'a>(
        &'a self,
        hub: &'a Hub,
        account: &'a Account,
        after: Tag,
    ) -> Answer<'a, Result<Page, StoreError>>;
    /// A client has begun a session that reads what it missed from the archive (XEP-0386 §4):
    /// forgets what waits and is there.
    fn clear<'a>(&'a self, hub: &'a Hub, account: &'a Account) -> Answer<'a, ()>;
    /// Claims a row that waits, for handing it to so many sessions now; false when somebody else
    /// has it.
    fn claim(&self, account: &Account, tag: Tag, sessions: usize) -> bool;
    /// One session could not take a stanza, or ended without confirming it.
    fn release(&self, account: &Account, tag: Tag) -> Released;
    /// Forgets rows that a client has confirmed, with these statements.
    fn confirm(&self, account: &Account, tags: &[Tag]) -> Vec<Statement>;
    /// The statements of [`Spool::confirm`] have been carried out, or could not be.
    fn forgotten(&self, account: &Account, tags: &[Tag]);
    /// The row of a stanza could not be written: it was never kept.
    fn abandon(&self, account: &Account, tag: Tag);
}

/// A page of the spool.
pub struct Page {
    /// What the session gets.
    pub deliveries: Vec<Delivery>,
    /// Behind which more may wait; none at the end.
    pub next: Option<Tag>,
}

/// Where a released stanza is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// Another session has it, or has confirmed it.
    Elsewhere,
    /// In its row, for whoever comes.
    Waits,
    /// Nowhere: it had no row, and whoever gives it back has it alone.
    Nowhere,
}

/// A service with an address of its own.
pub(crate) struct Service {
    pub(crate) module: &'static str,
    /// What stands in front of the domain.
    pub(crate) label: &'static str,
    /// What it is called for people.
    pub(crate) name: &'static str,
}

/// Every route of one site. Filled while modules start, then sorted and frozen.
#[derive(Default)]
pub struct Table {
    pub(crate) abouts: Vec<&'static About>,
    pub(crate) iqs: HashMap<(Scope, Ask), ByElement<IqRoute>>,
    pub(crate) filters: Vec<Filter>,
    /// Which of them belong to each side and stage, once they are in order.
    spans: [Range<usize>; STATIONS],
    pub(crate) deeds: Vec<(&'static str, DeedRoute)>,
    pub(crate) presences: Vec<(&'static str, PresenceRoute)>,
    pub(crate) signals: Vec<(Signal, &'static str, SignalRoute)>,
    pub(crate) nonzas: ByElement<NonzaRoute>,
    pub(crate) letters: ByElement<LetterRoute>,
    pub(crate) drawers: ByElement<DrawerRoute>,
    pub(crate) attached: Vec<(&'static str, AttachedRoute)>,
    pub(crate) intercepts: Vec<(&'static str, InterceptRoute)>,
    pub(crate) inlines: ByElement<InlineRoute>,
    pub(crate) admissions: Vec<(&'static str, AdmissionRoute)>,
    pub(crate) bounds: Vec<(&'static str, BoundRoute)>,
    pub(crate) tokens: Option<TokenRoute>,
    pub(crate) passwords: Vec<Backend<PasswordRoute>>,
    pub(crate) bearer: Option<Bearer>,
    pub(crate) lookups: Lookups,
    pub(crate) egress: Vec<(&'static str, EgressRoute)>,
    pub(crate) losses: Vec<(&'static str, NonzaRoute)>,
    pub(crate) asleep: Vec<(&'static str, AsleepRoute)>,
    pub(crate) rounds: Vec<(&'static str, Duration, RoundRoute)>,
    pub(crate) spool: Option<Arc<dyn Spool>>,
    pub(crate) identities: Vec<IdentityRoute>,
    pub(crate) nodes: Vec<NodeRoute>,
    pub(crate) forms: Vec<FormRoute>,
    pub(crate) stream_features: Vec<FeatureRoute>,
    pub(crate) early_features: Vec<Arc<str>>,
    pub(crate) commands: Vec<(&'static str, Command)>,
    pub(crate) services: Vec<Service>,
    /// What takes visits at the service of each module.
    pub(crate) visits: HashMap<&'static str, VisitRoute>,
    pub(crate) endings: Vec<(&'static str, EndingRoute)>,
    pub(crate) welcomes: Vec<(&'static str, WelcomeRoute)>,
    pub(crate) tones: Vec<(&'static str, ToneRoute)>,
    pub(crate) shelves: Vec<(&'static str, ShelfRoute)>,
    pub(crate) interested: Vec<(&'static str, InterestedRoute)>,
    pub(crate) node_routes: NodeRoutes,
    pub(crate) account_routes: AccountRoutes,
    pub(crate) https: Vec<(&'static str, HttpRoute)>,
    pub(crate) events: Vec<(&'static str, &'static EventAbout)>,
    pub(crate) conflicts: Vec<StartError>,
}

impl Table {
    /// Puts the filters in order: side, stage, `after`, then name.
    ///
    /// # Errors
    /// Routes claimed twice, and circles of `after`.
    pub(crate) fn freeze(mut self) -> Result<Router, StartError> {
        if let Some(conflict) = self.conflicts.pop() {
            return Err(conflict);
        }
        self.filters.sort_by_key(|filter| (filter.side, filter.stage, filter.module));
        let mut ordered: Vec<Filter> = Vec::with_capacity(self.filters.len());
        let mut waiting = std::mem::take(&mut self.filters);
        while !waiting.is_empty() {
            let ready = waiting.iter().position(|filter| {
                !waiting.iter().any(|other| {
                    (other.side, other.stage) < (filter.side, filter.stage)
                        || (other.side, other.stage) == (filter.side, filter.stage)
                            && filter.after == Some(other.module)
                })
            });
            let Some(ready) = ready else {
                let module = waiting[0].module;
                let reason = "its filters wait for each other in a circle of `after`".into();
                return Err(StartError { module, reason });
            };
            ordered.push(waiting.remove(ready));
        }
        self.filters = ordered;
        for (at, filter) in self.filters.iter().enumerate() {
            let span = &mut self.spans[station(filter.side, filter.stage)];
            *span = if span.end == 0 { at..at + 1 } else { span.start..at + 1 };
        }
        Ok(Router(self))
    }
}

/// The frozen routes of one site.
pub struct Router(pub(crate) Table);

impl Router {
    /// What the modules say of themselves, in the order of the list.
    pub fn abouts(&self) -> &[&'static About] {
        &self.0.abouts
    }

    /// Runs the filters of one stage until one of them stops.
    pub(crate) fn judge(&self, side: Side, stage: Stage, transit: &mut Transit<'_>) -> Verdict {
        for filter in &self.0.filters[self.0.spans[station(side, stage)].clone()] {
            match (filter.run)(transit) {
                Verdict::Pass => {}
                verdict => return verdict,
            }
        }
        Verdict::Pass
    }

    pub(crate) fn iq(&self, scope: Scope, ask: Ask, child: Child<'_>) -> Option<&IqRoute> {
        self.0.iqs.get(&(scope, ask))?.find(child.name(), child.namespace())
    }

    pub(crate) fn visit(&self, module: &str) -> Option<&VisitRoute> {
        self.0.visits.get(module)
    }

    /// Whether an account wants to hear from `from` what many hear.
    pub(crate) fn welcomes(&self, account: &Account, from: &Jid) -> bool {
        self.0.welcomes.iter().all(|(_, check)| check(account, from))
    }

    pub(crate) fn nonza(&self, name: &str, ns: &str) -> Option<&NonzaRoute> {
        self.0.nonzas.find(name, ns)
    }

    pub(crate) fn letter(&self, name: &str, ns: &str) -> Option<&LetterRoute> {
        self.0.letters.find(name, ns)
    }

    /// Who keeps this piece of private storage in a way of its own, if anybody does.
    pub fn drawer(&self, name: &str, ns: &str) -> Option<&DrawerRoute> {
        self.0.drawers.find(name, ns)
    }

    /// The pieces of private storage that somebody keeps in a way of its own: name and namespace.
    pub fn drawers(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.0.drawers.elements()
    }

    pub(crate) fn inline(&self, name: &str, ns: &str) -> Option<&InlineRoute> {
        self.0.inlines.find(name, ns)
    }

    /// Lets the modules note what an admin did.
    pub(crate) async fn note(&self, deed: Deed) {
        for (_, run) in &self.0.deeds {
            run(deed.clone()).await;
        }
    }

    /// Lets the modules amend what a session tells of its presence.
    pub(crate) fn amend_presence(&self, account: &Account, stanza: &mut Stanza) {
        self.0.presences.iter().for_each(|(_, run)| run(account, stanza));
    }

    /// Calls the handlers of `signal` and gathers their effects.
    pub async fn signal(&self, signal: Signal, happening: impl Fn() -> Happening) -> Effects {
        let mut all = Effects::default();
        for (_, _, run) in self.0.signals.iter().filter(|(of, _, _)| *of == signal) {
            all.merge(run(happening()).await);
        }
        all
    }

    /// The keeper of stanzas, if there is one.
    pub(crate) fn spool(&self) -> Option<&dyn Spool> {
        self.0.spool.as_deref()
    }

    /// The declared commands.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        self.0.commands.iter().map(|(_, command)| command)
    }

    /// The folders that modules serve over HTTP: the module, and how it is asked.
    pub fn https(&self) -> impl Iterator<Item = (&'static str, HttpRoute)> {
        self.0.https.iter().map(|(module, route)| (*module, Arc::clone(route)))
    }

    /// What is told to those who watch: by the kernel, and by each module.
    pub fn events(&self) -> impl Iterator<Item = &'static EventAbout> {
        events::OWN.into_iter().chain(self.0.events.iter().map(|(_, about)| *about))
    }

    /// What the server is.
    pub(crate) fn identities(&self) -> impl Iterator<Item = Identity> {
        self.0.identities.iter().map(|identity| identity())
    }

    /// One disco node of the server; nothing when no module knows it.
    ///
    /// # Errors
    /// The module's that knows it but does not tell this asker.
    pub fn disco_node(&self, ask: &DiscoAsk<'_>) -> DiscoAnswer {
        self.0.nodes.iter().find_map(|run| run(ask).transpose()).transpose()
    }

    /// The forms of the server's disco#info. XEP-0128 §3: there is one of each FORM_TYPE, to which
    /// several modules may add.
    pub(crate) fn server_forms(&self) -> Vec<DataForm> {
        let mut all: Vec<DataForm> = Vec::new();
        for form in self.0.forms.iter().filter_map(|form| form()) {
            match all.iter_mut().find(|other| other.form_type() == form.form_type()) {
                Some(other) => {
                    let is_new = |field: &Field| field.var.as_deref() != Some(FORM_TYPE);
                    other.fields.extend(form.fields.into_iter().filter(is_new));
                }
                None => all.push(form),
            }
        }
        all
    }
}
