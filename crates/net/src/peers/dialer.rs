//! The kernel's way to other servers: names, then connections, then what to think of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::Semaphore;
use waxwing_kernel::clock::Clock;
use waxwing_kernel::links::dial::{Dial, DialAsk, Dialled, FoundBy, Unreached, UnreachedKind};
use waxwing_kernel::links::policy::PeerPlace;
use waxwing_kernel::links::survey::Survey;
use waxwing_kernel::request::Answer;

use super::authorities::Authorities;
use super::judge::Judge;
use super::race::Race;
use super::survey;
use super::tried::Tried;
use crate::limits::Limits;
use crate::names::{self, Names, Target, Way};
use crate::tls::{Tls, TlsError};

/// Connects to other servers, and judges their certificates.
pub struct PeerDialer(Arc<Dialer>);

/// What the operator decides about connections to other servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerOptions {
    /// PEM: authorities that are trusted beyond those of the system, or certificates of single
    /// servers.
    pub authorities: Option<PathBuf>,
}

/// The same inside.
pub(super) struct Dialer {
    pub(super) tls: Arc<Tls>,
    pub(super) names: Names,
    pub(super) limits: Limits,
    pub(super) clock: Clock,
    authorities: RwLock<Arc<Authorities>>,
    turns: Semaphore,
    pub(super) vouching: Semaphore,
}

impl PeerDialer {
    /// A dialer that shows the certificates of `tls` and asks `names`.
    ///
    /// # Errors
    /// The file with authorities cannot be read.
    pub fn new(
        options: &PeerOptions,
        tls: Arc<Tls>,
        names: Names,
        limits: &Limits,
        clock: Clock,
    ) -> Result<Self, TlsError> {
        let authorities = Authorities::read(options.authorities.as_deref())?;
        Ok(Self::with(authorities, tls, names, (limits, clock)))
    }

    pub(super) fn with(
        authorities: Authorities,
        tls: Arc<Tls>,
        names: Names,
        (limits, clock): (&Limits, Clock),
    ) -> Self {
        Self(Arc::new(Dialer {
            tls,
            names,
            limits: limits.clone(),
            clock,
            authorities: RwLock::new(Arc::new(authorities)),
            turns: Semaphore::new(limits.peer_dials_max),
            vouching: Semaphore::new(limits.peer_vouching_max),
        }))
    }

    /// Judges by these authorities from now on.
    pub fn trust(&self, authorities: Authorities) {
        *self.0.authorities.write() = Arc::new(authorities);
    }
}

impl Dial for PeerDialer {
    fn dial(&self, ask: DialAsk) -> Answer<'static, Result<Dialled, Unreached>> {
        let dialer = self.0.clone();
        Box::pin(async move { dialer.dial(Arc::new(ask)).await })
    }

    fn judge(
        &self,
        chain: Vec<Vec<u8>>,
        domain: Arc<str>,
    ) -> Answer<'static, Result<(), Arc<str>>> {
        let dialer = self.0.clone();
        Box::pin(async move {
            let vouched = dialer.vouch(&chain, &domain).await;
            vouched.map_err(|reproach| reproach.words(&domain).into())
        })
    }

    fn survey(&self, domain: Arc<str>, place: Option<PeerPlace>) -> Answer<'static, Survey> {
        Box::pin(survey::survey(self.0.clone(), domain, place))
    }
}

impl Dialer {
    async fn dial(self: Arc<Self>, ask: Arc<DialAsk>) -> Result<Dialled, Unreached> {
        let mut tried = Tried::new(ask.to.clone());
        let found = {
            let mut dialling = Box::pin(self.clone().try_all(ask.clone(), &mut tried));
            tokio::select! {
                found = &mut dialling => found,
                () = self.clock.until(Some(ask.deadline)) => None,
            }
        };
        let is_late = self.clock.now() >= ask.deadline;
        found.ok_or_else(|| tried.into_unreached(is_late, !ask.skip.is_empty()))
    }

    /// One place after the other, until one works.
    async fn try_all(self: Arc<Self>, ask: Arc<DialAsk>, tried: &mut Tried) -> Option<Dialled> {
        let _turn = self.turns.acquire().await.ok()?;
        let mut race = Race::new(self.clone(), ask.clone(), tried);
        if let Some(place) = &ask.place {
            return race.run(vec![configured(place)]).await;
        }
        match self.names.places(&ask.to).await {
            Ok(places) => {
                for targets in by_priority(places.targets) {
                    let dialled = race.run(targets).await;
                    if dialled.is_some() {
                        return dialled;
                    }
                }
            }
            Err(trouble) => race.note_trouble(&trouble),
        }
        for targets in by_priority(self.names.others(&ask.to).await) {
            let dialled = race.run(targets).await;
            if dialled.is_some() {
                return dialled;
            }
        }
        None
    }

    /// Who judges certificates now.
    pub(super) async fn judge(&self) -> Arc<Judge> {
        let authorities = self.authorities.read().clone();
        authorities.judge().await
    }

    pub(super) fn handshake_time(&self) -> Duration {
        self.limits.handshake()
    }
}

/// Where the operator says that the server is.
pub(super) fn configured(place: &PeerPlace) -> Target {
    Target {
        host: place.host.clone(),
        port: place.port,
        priority: 0,
        way: if place.direct_tls { Way::DirectTls } else { Way::StartTls },
        found_by: FoundBy::Configured,
        is_signed: false,
        meta: None,
    }
}

/// XEP-0495 §4.1: targets of one priority race, and those of the next one wait until all have
/// failed.
fn by_priority(targets: Vec<Target>) -> Vec<Vec<Target>> {
    let mut groups: Vec<Vec<Target>> = Vec::new();
    for target in targets {
        match groups.last_mut().filter(|group| group[0].priority == target.priority) {
            Some(group) => group.push(target),
            None => groups.push(vec![target]),
        }
    }
    groups
}

/// What names say, in the kernel's kinds.
pub(super) fn kind_of(trouble: &names::NameTrouble) -> UnreachedKind {
    use names::NameTrouble::{
        BadDomain, Bogus, Declined, Failed, NoAddress, NoAnswer, NoSuchName, NotPublic,
    };
    match trouble {
        BadDomain(_) | NoSuchName(_) | NoAddress(_) => UnreachedKind::NoSuchDomain,
        Declined(_) => UnreachedKind::NotXmpp,
        Bogus(_) => UnreachedKind::Bogus,
        NotPublic(_) | NoAnswer(_) | Failed { .. } => UnreachedKind::NoAnswer,
    }
}
