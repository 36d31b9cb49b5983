//! How a module says where it wants to be asked.

mod backends;
mod components;
mod crowds;
mod drawers;
mod interests;
mod nodes;
mod tones;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use waxwing_stanza::payload::dataform::DataForm;
use waxwing_stanza::payload::disco::Identity;
use waxwing_stanza::{Payload, Reply, Stanza, StanzaError};
use waxwing_store::StoreError;
use waxwing_stream::{AuthFailure, TokenKey};
use waxwing_xml::Child;

use crate::account::Account;
use crate::admission::{Admission, AdmissionRoute, Admitted, BoundRoute, TokenAsk};
use crate::command::{Command, Deed};
use crate::disco::{DiscoAnswer, DiscoAsk};
use crate::events::EventAbout;
use crate::http::{HttpReply, HttpRequest};
use crate::hub::Hub;
use crate::mailbox::Delivery;
use crate::module::{Module, StartError};
use crate::request::{
    Asleep, AsleepRoute, Beginning, Call, EgressRoute, Happening, InlineRoute, IqRoute, Leaving,
    NonzaRoute, Request, Scope, Signal, SignalRoute,
};
use crate::rounds::RoundRoute;
use crate::router::{DeedRoute, Filter, PresenceRoute, Service, Spool, Table};
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

    /// The same to keep, for a module whose filters start tasks.
    pub fn shared(&self) -> Arc<M> {
        Arc::clone(&self.module)
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

    /// Requests of anybody to a service with an address of its own: `label.domain`, which the
    /// server names among its items (XEP-0030 §4) by its `name` for people. The module answers
    /// there for itself, also what the service is and can do. A host of that name comes first; a
    /// component of that name is refused, because the list of modules says `label` as well
    /// ([`Mount::serving`](crate::module::Mount::serving)).
    pub fn service(&mut self, label: &'static str, name: &'static str) -> At<'_, 'a, M> {
        let module = M::ABOUT.name;
        self.table.services.push(Service { module, label, name });
        At { on: self, scope: Scope::Service(module) }
    }

    /// What is asked for over HTTP in the module's folder ([`Site::url_of`]). The handler may be
    /// dropped when the client goes away.
    pub fn http<F>(&mut self, handler: fn(Arc<M>, HttpRequest) -> F)
    where
        F: Future<Output = HttpReply> + Send + 'static,
    {
        let module = Arc::clone(&self.module);
        let route = move |request| Box::pin(handler(Arc::clone(&module), request)) as _;
        self.table.https.push((M::ABOUT.name, Arc::new(route)));
    }

    /// Something that it tells those who watch ([`Hub::tell`]).
    pub fn event(&mut self, about: &'static EventAbout) {
        self.table.events.push((M::ABOUT.name, about));
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

    /// Something that a client may have from the beginning of a session that it binds along with
    /// its authentication (XEP-0386 §3): an element of that request, announced by its namespace.
    pub fn inline(
        &mut self,
        name: &'static str,
        ns: &'static str,
        handler: fn(&M, &mut Beginning<'_>),
    ) {
        let module = Arc::clone(&self.module);
        let run: InlineRoute = Box::new(move |beginning| handler(&module, beginning));
        if let Err(other) = self.table.inlines.claim((name, ns), M::ABOUT.name, run) {
            self.conflict(format!("module {other} enables <{name} xmlns='{ns}'/> already"));
        }
    }

    /// Hears of every command of admins that changes something, once it is done or refused. Whoever
    /// gave it is answered afterwards.
    pub fn deed<F>(&mut self, handler: fn(Arc<M>, Deed) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let module = Arc::clone(&self.module);
        let run: DeedRoute = Box::new(move |deed| Box::pin(handler(Arc::clone(&module), deed)));
        self.table.deeds.push((M::ABOUT.name, run));
    }

    /// Amends what a session tells of its presence, once, before it goes to everybody or to
    /// somebody in particular.
    pub fn presence(&mut self, amend: fn(&M, &Account, &mut Stanza)) {
        let module = Arc::clone(&self.module);
        let run: PresenceRoute = Box::new(move |account, stanza| amend(&module, account, stanza));
        self.table.presences.push((M::ABOUT.name, run));
    }

    /// Has something to write or to say when a client signs in that tells which installation it
    /// is (XEP-0388 §2.3).
    pub fn admission<F>(&mut self, handler: fn(Arc<M>, Arc<Admission>) -> F)
    where
        F: Future<Output = Result<Admitted, AuthFailure>> + Send + 'static,
    {
        let module = Arc::clone(&self.module);
        let run: AdmissionRoute =
            Box::new(move |admission| Box::pin(handler(Arc::clone(&module), admission)));
        self.table.admissions.push((M::ABOUT.name, run));
    }

    /// Tells a client something of its account when a session begins along with the authentication
    /// (XEP-0386 §4): whole elements for `<bound/>`, or nothing.
    pub fn bound<F>(&mut self, handler: fn(Arc<M>, Hub, Arc<Account>) -> F)
    where
        F: Future<Output = String> + Send + 'static,
    {
        let module = Arc::clone(&self.module);
        let run: BoundRoute =
            Box::new(move |hub, account| Box::pin(handler(Arc::clone(&module), hub, account)));
        self.table.bounds.push((M::ABOUT.name, run));
    }

    /// Knows the tokens that clients sign in with (XEP-0484).
    pub fn tokens<F>(&mut self, handler: fn(Arc<M>, TokenAsk) -> F)
    where
        F: Future<Output = Result<Vec<TokenKey>, StoreError>> + Send + 'static,
    {
        if self.table.tokens.is_some() {
            return self.conflict("another module keeps the tokens already".into());
        }
        let module = Arc::clone(&self.module);
        self.table.tokens = Some(Box::new(move |ask| Box::pin(handler(Arc::clone(&module), ask))));
    }

    /// Sees every stanza on its way to a client's wire and decides when it leaves.
    pub fn egress(&mut self, filter: fn(&M, &mut Leaving<'_>, Delivery)) {
        let module = Arc::clone(&self.module);
        let run: EgressRoute =
            Box::new(move |leaving, delivery| filter(&module, leaving, delivery));
        self.table.egress.push((M::ABOUT.name, run));
    }

    /// Gives up what it held back from a client whose connection is lost: it goes into the queue
    /// that the client gets when it resumes its session, in front of what comes meanwhile.
    pub fn loss(&mut self, handler: fn(&M, &mut Leaving<'_>)) {
        let module = Arc::clone(&self.module);
        let run: NonzaRoute = Box::new(move |leaving| handler(&module, leaving));
        self.table.losses.push((M::ABOUT.name, run));
    }

    /// Hears of a session that begins to wait for its client to come back.
    pub fn asleep(&mut self, handler: fn(&M, &Asleep<'_>)) {
        let module = Arc::clone(&self.module);
        let run: AsleepRoute = Box::new(move |asleep| handler(&module, asleep));
        self.table.asleep.push((M::ABOUT.name, run));
    }

    /// Something to do every `period`, unasked, for as long as the site is served.
    pub fn every<F>(&mut self, period: Duration, handler: fn(Arc<M>, Hub, Arc<Site>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let module = Arc::clone(&self.module);
        let run: RoundRoute =
            Box::new(move |hub, site| Box::pin(handler(Arc::clone(&module), hub, site)));
        self.table.rounds.push((M::ABOUT.name, period, run));
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

    /// A stream feature shown before authentication: a whole element.
    pub fn early_feature(&mut self, feature: &str) {
        self.table.early_features.push(feature.into());
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
                let Request { hub, site, from, account, stanza, peer, pass, payload: () } = call;
                let payload = payload?;
                let request = Request { hub, site, from, account, stanza, peer, pass, payload };
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
