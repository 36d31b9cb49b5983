//! How a module says where it wants to be asked, and the frozen table that comes of it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use waxwing_stanza::payload::dataform::DataForm;
use waxwing_stanza::payload::disco::Identity;
use waxwing_stanza::{Payload, Reply, StanzaError};
use waxwing_store::Statement;
use waxwing_stream::Tag;
use waxwing_xml::Child;

use crate::account::Account;
use crate::command::Command;
use crate::disco::{DiscoAnswer, DiscoAsk, FormRoute, IdentityRoute, NodeRoute};
use crate::mailbox::Delivery;
use crate::module::{About, Module, StartError};
use crate::request::{
    Call, EgressRoute, Happening, IqRoute, Leaving, NonzaRoute, Request, Scope, Signal, SignalRoute,
};
use crate::site::Site;
use crate::stage::{Effects, Side, Stage, Transit, Verdict};

/// The two kinds of question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    /// `<iq type='get'/>`
    Get,
    /// `<iq type='set'/>`
    Set,
}

pub(crate) type FilterRoute = Box<dyn Fn(&mut Transit<'_>) -> Verdict + Send + Sync>;
type FeatureRoute = Box<dyn Fn(&Site) -> Option<String> + Send + Sync>;

/// Routes by the namespace and name of an element, with the module that claimed each.
pub(crate) struct ByElement<R>(HashMap<&'static str, Vec<(&'static str, &'static str, R)>>);

impl<R> Default for ByElement<R> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<R> ByElement<R> {
    /// Adds a route; names the module that has it already, if one does.
    fn claim(
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

/// The keeper of stanzas that must not be lost: rows under a [`Tag`] that stand until a client
/// has confirmed them. Each row is on its way to at most one set of sessions at a time.
pub trait Spool: Send + Sync {
    /// Claims a row that waits, for handing it over now; false when somebody else has it.
    fn claim(&self, account: &Account, tag: Tag) -> bool;
    /// Gives a claimed row back: it waits again for whoever comes.
    fn release(&self, account: &Account, tag: Tag);
    /// Forgets rows that a client has confirmed, with these statements.
    fn confirm(&self, account: &Account, tags: &[Tag]) -> Vec<Statement>;
}

/// Every route of one site. Filled while modules start, then sorted and frozen.
#[derive(Default)]
pub struct Table {
    pub(crate) abouts: Vec<&'static About>,
    pub(crate) iqs: HashMap<(Scope, Ask), ByElement<IqRoute>>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) signals: Vec<(Signal, &'static str, SignalRoute)>,
    pub(crate) nonzas: ByElement<NonzaRoute>,
    pub(crate) egress: Vec<(&'static str, EgressRoute)>,
    pub(crate) spool: Option<Arc<dyn Spool>>,
    pub(crate) identities: Vec<IdentityRoute>,
    pub(crate) nodes: Vec<NodeRoute>,
    pub(crate) forms: Vec<FormRoute>,
    pub(crate) stream_features: Vec<FeatureRoute>,
    pub(crate) commands: Vec<(&'static str, Command)>,
    pub(crate) conflicts: Vec<StartError>,
}

/// The routes of one module, while it starts.
pub struct Routes<'a, M> {
    module: Arc<M>,
    table: &'a mut Table,
}

impl<'a, M: Module> Routes<'a, M> {
    pub(crate) fn new(module: Arc<M>, table: &'a mut Table) -> Self {
        table.abouts.push(M::ABOUT);
        Self { module, table }
    }

    /// The module itself, where its settings decide about routes.
    pub fn module(&self) -> &M {
        &self.module
    }

    /// Requests of a session to its own account.
    pub fn owner(&mut self) -> At<'_, 'a, M> {
        At { on: self, scope: Scope::Owner }
    }

    /// Requests of anybody to an account.
    pub fn account(&mut self) -> At<'_, 'a, M> {
        At { on: self, scope: Scope::Account }
    }

    /// Requests of anybody to an address under which there is no account.
    pub fn nobody(&mut self) -> At<'_, 'a, M> {
        At { on: self, scope: Scope::Nobody }
    }

    /// Requests to the server's domain.
    pub fn server(&mut self) -> At<'_, 'a, M> {
        At { on: self, scope: Scope::Server }
    }

    /// Requests of those who have not signed in yet.
    pub fn early(&mut self) -> At<'_, 'a, M> {
        At { on: self, scope: Scope::Early }
    }

    /// A filter on the sender's side.
    pub fn outbound(
        &mut self,
        stage: Stage,
        filter: fn(&M, &mut Transit<'_>) -> Verdict,
    ) -> Placed<'_> {
        self.filter(Side::Outbound, stage, filter)
    }

    /// A filter on the recipient's side.
    pub fn inbound(
        &mut self,
        stage: Stage,
        filter: fn(&M, &mut Transit<'_>) -> Verdict,
    ) -> Placed<'_> {
        self.filter(Side::Inbound, stage, filter)
    }

    fn filter(
        &mut self,
        side: Side,
        stage: Stage,
        filter: fn(&M, &mut Transit<'_>) -> Verdict,
    ) -> Placed<'_> {
        let module = Arc::clone(&self.module);
        self.table.filters.push(Filter {
            module: M::ABOUT.name,
            after: None,
            side,
            stage,
            run: Box::new(move |transit| filter(&module, transit)),
        });
        Placed(self.table.filters.last_mut().expect("it was pushed just now"))
    }

    /// Something to do when `signal` happens. Its effects are performed before the session goes on.
    pub fn signal<F>(&mut self, signal: Signal, handler: fn(Arc<M>, Happening) -> F)
    where
        F: Future<Output = Effects> + Send + 'static,
    {
        let module = Arc::clone(&self.module);
        let run: SignalRoute =
            Box::new(move |happening| Box::pin(handler(Arc::clone(&module), happening)));
        self.table.signals.push((signal, M::ABOUT.name, run));
    }

    /// A stream-level element that is no stanza, such as client state.
    pub fn nonza(
        &mut self,
        name: &'static str,
        ns: &'static str,
        handler: fn(&M, &mut Leaving<'_>),
    ) {
        let module = Arc::clone(&self.module);
        let run: NonzaRoute = Box::new(move |leaving| handler(&module, leaving));
        if let Err(other) = self.table.nonzas.claim((name, ns), M::ABOUT.name, run) {
            self.conflict(format!("module {other} takes <{name} xmlns='{ns}'/> already"));
        }
    }

    /// Sees every stanza on its way to a client's wire and decides when it leaves.
    pub fn egress(&mut self, filter: fn(&M, &mut Leaving<'_>, Delivery)) {
        let module = Arc::clone(&self.module);
        let run: EgressRoute =
            Box::new(move |leaving, delivery| filter(&module, leaving, delivery));
        self.table.egress.push((M::ABOUT.name, run));
    }

    /// Makes this module the keeper of stanzas that must not be lost.
    pub fn spool(&mut self)
    where
        M: Spool,
    {
        if self.table.spool.is_some() {
            return self.conflict("another module keeps the spool already".into());
        }
        let module: Arc<dyn Spool> = Arc::<M>::clone(&self.module);
        self.table.spool = Some(module);
    }

    /// Says what the server is (XEP-0030 §3.1).
    pub fn server_identity(&mut self, identity: fn(&M) -> Identity) {
        let module = Arc::clone(&self.module);
        self.table.identities.push(Box::new(move || identity(&module)));
    }

    /// Disco nodes of the server (XEP-0030 §3.2, §4.2). The handler is asked for every node.
    pub fn disco_nodes(&mut self, handler: fn(&M, &DiscoAsk<'_>) -> DiscoAnswer) {
        let module = Arc::clone(&self.module);
        self.table.nodes.push(Box::new(move |ask| handler(&module, ask)));
    }

    /// A data form in the server's disco#info (XEP-0128).
    pub fn server_form(&mut self, form: fn(&M) -> Option<DataForm>) {
        let module = Arc::clone(&self.module);
        self.table.forms.push(Box::new(move || form(&module)));
    }

    /// A stream feature shown after authentication, made when the table is complete.
    pub fn stream_feature(&mut self, feature: fn(&M, &Site) -> Option<String>) {
        let module = Arc::clone(&self.module);
        self.table.stream_features.push(Box::new(move |site| feature(&module, site)));
    }

    /// An administrative command, given the module it works on.
    pub fn command(&mut self, make: fn(Arc<M>) -> Command) {
        let command = make(Arc::clone(&self.module));
        self.table.commands.push((M::ABOUT.name, command));
    }

    fn conflict(&mut self, reason: String) {
        self.table.conflicts.push(StartError { module: M::ABOUT.name, reason });
    }
}

/// One place in the order, which may be moved behind another module.
pub struct Placed<'a>(&'a mut Filter);

impl Placed<'_> {
    /// Runs after the filters of `module` in the same stage; the only way to speak about order.
    pub fn after(self, module: &'static str) {
        self.0.after = Some(module);
    }
}

/// IQ routes of one scope.
pub struct At<'r, 'a, M> {
    on: &'r mut Routes<'a, M>,
    scope: Scope,
}

impl<M: Module> At<'_, '_, M> {
    /// Answers `<iq type='get'>` carrying a `P`, which is known from the handler's signature.
    pub fn get<P, R, F>(self, handler: fn(Arc<M>, Request<P>) -> F) -> Self
    where
        P: Payload + Send + 'static,
        R: Reply,
        F: Future<Output = Result<R, StanzaError>> + Send + 'static,
    {
        self.iq(Ask::Get, handler)
    }

    /// Answers `<iq type='set'>` carrying a `P`.
    pub fn set<P, R, F>(self, handler: fn(Arc<M>, Request<P>) -> F) -> Self
    where
        P: Payload + Send + 'static,
        R: Reply,
        F: Future<Output = Result<R, StanzaError>> + Send + 'static,
    {
        self.iq(Ask::Set, handler)
    }

    fn iq<P, R, F>(self, ask: Ask, handler: fn(Arc<M>, Request<P>) -> F) -> Self
    where
        P: Payload + Send + 'static,
        R: Reply,
        F: Future<Output = Result<R, StanzaError>> + Send + 'static,
    {
        let module = Arc::clone(&self.on.module);
        let run: IqRoute = Box::new(move |call: Call, child: Child<'_>| {
            let payload = P::read(child);
            let module = Arc::clone(&module);
            Box::pin(async move {
                let Request { hub, site, from, account, stanza, peer, payload: () } = call;
                let payload = payload?;
                let request = Request { hub, site, from, account, stanza, peer, payload };
                handler(module, request).await.map(Reply::into_xml)
            })
        });
        let routes = self.on.table.iqs.entry((self.scope, ask)).or_default();
        if let Err(other) = routes.claim((P::NAME, P::NS), M::ABOUT.name, run) {
            let reason = format!("module {other} answers <{} xmlns='{}'/> already", P::NAME, P::NS);
            self.on.conflict(reason);
        }
        self
    }
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
        for filter in &self.0.filters {
            if filter.side == side && filter.stage == stage {
                match (filter.run)(transit) {
                    Verdict::Pass => {}
                    verdict => return verdict,
                }
            }
        }
        Verdict::Pass
    }

    pub(crate) fn iq(&self, scope: Scope, ask: Ask, child: Child<'_>) -> Option<&IqRoute> {
        self.0.iqs.get(&(scope, ask))?.find(child.name(), child.namespace())
    }

    pub(crate) fn nonza(&self, name: &str, ns: &str) -> Option<&NonzaRoute> {
        self.0.nonzas.find(name, ns)
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

    /// The forms of the server's disco#info.
    pub(crate) fn server_forms(&self) -> impl Iterator<Item = DataForm> {
        self.0.forms.iter().filter_map(|form| form())
    }

    /// The table in words, one line each, for `waxwing routes` and the golden file.
    pub fn describe(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for ((scope, ask), routes) in &self.0.iqs {
            lines.extend(routes.describe().map(|route| format!("iq {scope:?} {ask:?} {route}")));
        }
        lines.extend(self.0.nonzas.describe().map(|route| format!("nonza {route}")));
        lines.extend(
            self.0.signals.iter().map(|(of, module, _)| format!("signal {of:?} · {module}")),
        );
        lines.extend(self.0.egress.iter().map(|(module, _)| format!("egress · {module}")));
        lines.extend(self.0.commands.iter().map(|(module, command)| {
            let about = command.about();
            format!("command {} {} · {module}", about.words.join(" "), about.node)
        }));
        lines.sort();
        for side in [Side::Outbound, Side::Inbound] {
            let stages = Stage::ALL.map(|stage| {
                let of = |filter: &&Filter| filter.side == side && filter.stage == stage;
                let names: Vec<_> = self.0.filters.iter().filter(of).map(|f| f.module).collect();
                format!(
                    "{stage:?} {}",
                    if names.is_empty() { "–".into() } else { names.join(", ") }
                )
            });
            lines.push(format!("{side:?}: {}", stages.join(" · ")));
        }
        lines.join("\n") + "\n"
    }
}
