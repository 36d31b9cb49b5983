//! What the operator is told about another server: what its names say, and how each of its places
//! answers. What comes after STARTTLS shows in a real link.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use waxwing_kernel::links::dial::DialAsk;
use waxwing_kernel::links::policy::PeerPlace;
use waxwing_kernel::links::survey::{Step, Survey, Verdict};
use waxwing_stream::{Demand, PeerTrust, Security};

use super::call::{Call, Candidate, Setback};
use super::dialer::{Dialer, configured};
use super::race::{self, Search};
use super::tried::transport;
use crate::names::Target;

/// More than this nobody waits for an answer on a terminal.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn survey(
    dialer: Arc<Dialer>,
    domain: Arc<str>,
    place: Option<PeerPlace>,
) -> Survey {
    let mut survey = match &place {
        Some(place) => told(&domain, place),
        None => dialer.names.survey(&domain).await,
    };
    let candidates = match &place {
        Some(place) => visitable(&dialer, [configured(place)], Some(&mut survey)).await,
        None => found(&dialer, &domain).await,
    };
    let deadline = dialer.clock.now() + PATIENCE;
    let ask = Arc::new(DialAsk {
        // Nobody in particular calls; the server's first certificate is shown.
        from: Arc::from(""),
        to: domain,
        skip: Vec::new(),
        demand: Demand::default(),
        place: None,
        deadline,
    });
    let mut visits: JoinSet<(usize, Step)> = JoinSet::new();
    for (number, candidate) in candidates.into_iter().enumerate() {
        let (dialer, ask) = (dialer.clone(), ask.clone());
        visits.spawn(async move { (number, visit(dialer, ask, candidate, deadline).await) });
    }
    let mut steps = visits.join_all().await;
    steps.sort_by_key(|(number, _)| *number);
    steps.into_iter().for_each(|(_, step)| survey.add(step));
    survey
}

/// The operator has said where the server is.
fn told(domain: &str, place: &PeerPlace) -> Survey {
    let mut survey = Survey::default();
    let found = format!("{} port {}, so no records are looked up", place.host, place.port);
    survey.add(Step::new(format!("[[peer]] of {domain}"), found, Verdict::Note));
    survey
}

/// Where names say that the server is.
async fn found(dialer: &Arc<Dialer>, domain: &str) -> Vec<Candidate> {
    let targets = match dialer.names.places(domain).await {
        Ok(places) => places.targets,
        Err(_) => dialer.names.others(domain).await,
    };
    // That a host has no address is told by the names already.
    visitable(dialer, targets, None).await
}

/// Every address of every target, as far as they would be tried.
async fn visitable(
    dialer: &Arc<Dialer>,
    targets: impl IntoIterator<Item = Target>,
    mut survey: Option<&mut Survey>,
) -> Vec<Candidate> {
    let mut found = Vec::new();
    for target in targets {
        match (dialer.addresses(&target).await, &mut survey) {
            (Ok(addresses), _) => found.extend(Search::candidates(&target, &addresses)),
            (Err(trouble), Some(survey)) => {
                let what = format!("addresses of {}", target.host);
                let step = Step::new(what, trouble.to_string(), Verdict::Bad);
                survey.add(step.remedy(trouble.advice()));
            }
            (Err(_), None) => {}
        }
    }
    found.truncate(dialer.limits.peer_tries_max);
    found
}

/// Connects to one address and hangs up.
async fn visit(
    dialer: Arc<Dialer>,
    ask: Arc<DialAsk>,
    candidate: Candidate,
    deadline: Instant,
) -> Step {
    let Candidate { target, address, .. } = &candidate;
    let what = format!("{} ({address}), {}", target.host, transport(&target.way));
    let (clock, began) = (dialer.clock.clone(), dialer.clock.now());
    let call = Arc::new(Call { dialer, ask, candidate });
    let connected = tokio::select! {
        connected = race::connect(&call) => connected,
        () = clock.until(Some(deadline)) => {
            return Step::new(what, "no answer in time", Verdict::Bad);
        }
    };
    let millis = clock.now().saturating_duration_since(began).as_millis();
    match connected {
        Ok(dialled) => reached(what, millis, &dialled.security),
        Err(Setback { words, advice, .. }) => {
            let step = Step::new(what, words, Verdict::Bad);
            match advice {
                Some(advice) => step.remedy(advice),
                None => step,
            }
        }
    }
}

fn reached(what: String, millis: u128, security: &Security) -> Step {
    if !security.tls {
        return Step::new(what, format!("answers after {millis} ms"), Verdict::Good);
    }
    let cipher = security.cipher.as_deref().unwrap_or("TLS");
    let answers = format!("answers after {millis} ms with {cipher}");
    match &security.peer_trust {
        Some(PeerTrust::Untrusted(words)) => {
            Step::new(what, format!("{answers}. {words}"), Verdict::Poor)
        }
        Some(PeerTrust::Dane) => {
            Step::new(what, format!("{answers}; DANE proves its certificate"), Verdict::Good)
        }
        Some(PeerTrust::Posh) => {
            Step::new(what, format!("{answers}; POSH proves its certificate"), Verdict::Good)
        }
        _ => Step::new(what, format!("{answers}; its certificate is valid"), Verdict::Good),
    }
}
