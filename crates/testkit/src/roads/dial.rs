//! How a server of ours calls others on the simulated roads.

use std::sync::{Arc, Weak};

use waxwing_kernel::Hub;
use waxwing_kernel::clock::Clock;
use waxwing_kernel::links;
use waxwing_kernel::links::dial::{
    Attempt, Dial, DialAsk, Dialled, FoundBy, Place, Unreached, UnreachedKind,
};
use waxwing_kernel::links::policy::PeerPlace;
use waxwing_kernel::links::survey::Survey;
use waxwing_kernel::request::Answer;
use waxwing_kernel::wire::{Transport, Wire};
use waxwing_stream::{Framing, Security};

use super::{CableEnd, Door, Map, Resident, State, judge};

/// Calls others for one server.
pub struct Dialer {
    map: Weak<Map>,
    clock: Clock,
}

impl Dialer {
    pub(super) fn new(map: Weak<Map>, clock: Clock) -> Self {
        Self { map, clock }
    }
}

/// The end of somebody who is called, in the hands of the server.
pub(super) fn hand_in(hub: &Hub, end: CableEnd, is_secure: bool) {
    let (end, security) = match is_secure {
        true => {
            let end = end.direct();
            let security = end.security();
            (end, security)
        }
        false => (end, Security::default()),
    };
    links::accept_server_framed(hub, Box::new(end), security, Framing::Tcp);
}

impl Dial for Dialer {
    fn dial(&self, ask: DialAsk) -> Answer<'static, Result<Dialled, Unreached>> {
        let (map, clock) = (self.map.clone(), self.clock.clone());
        Box::pin(async move {
            let Some(map) = map.upgrade() else { return Err(nowhere(&ask.to)) };
            map.note();
            let deadline = ask.deadline;
            tokio::select! {
                reached = reach(&map, &clock, &ask) => reached,
                () = clock.until(Some(deadline)) => {
                    let words = format!("The server of {} does not answer.", ask.to);
                    Err(unreached(&ask.to, UnreachedKind::Timeout, &words))
                }
            }
        })
    }

    fn judge(
        &self,
        chain: Vec<Vec<u8>>,
        domain: Arc<str>,
    ) -> Answer<'static, Result<(), Arc<str>>> {
        let verdict = judge(&chain, &domain).map_err(Arc::from);
        Box::pin(async move { verdict })
    }

    fn survey(&self, _: Arc<str>, _: Option<PeerPlace>) -> Answer<'static, Survey> {
        Box::pin(async { Survey::default() })
    }
}

async fn reach(map: &Arc<Map>, clock: &Clock, ask: &DialAsk) -> Result<Dialled, Unreached> {
    let (from, to) = (&*ask.from, &*ask.to);
    if !ask.skip.is_empty() {
        let words = format!("The server of {to} has no other address.");
        return Err(unreached(to, UnreachedKind::Exhausted, &words));
    }
    loop {
        let changed = map.changed.notified();
        let state = map.plan().road(from, to).map(|road| road.state);
        match state {
            None => return Err(nowhere(to)),
            Some(State::Cut) => {
                let words = format!("The server of {to} cannot be reached.");
                return Err(unreached(to, UnreachedKind::NoAnswer, &words));
            }
            Some(State::Silent) => changed.await,
            Some(State::Open) => break,
        }
    }
    let (near, far, hub, door) = {
        let mut plan = map.plan();
        let laid = plan.lay(clock, (from, to), map);
        let (near, far) = laid.ok_or_else(|| nowhere(to))?;
        let home = plan.home(to).and_then(|home| plan.homes.get_mut(&home));
        let home = home.ok_or_else(|| nowhere(to))?;
        match &mut home.resident {
            Resident::Server(hub) => (near, Some(far), Some(hub.clone()), home.door),
            Resident::Peer(calls) => {
                calls.push_back(if home.door == Door::Tls { far.direct() } else { far });
                (near, None, None, home.door)
            }
        }
    };
    map.note();
    let is_secure = door == Door::Tls;
    if let (Some(hub), Some(far)) = (hub, far) {
        hand_in(&hub, far, is_secure);
    }
    // A connection is there when both sides know of it.
    clock.until(Some(near.ready())).await;
    Ok(dialled(near, to, is_secure))
}

fn dialled(near: CableEnd, to: &str, is_secure: bool) -> Dialled {
    let (near, security, transport) = match is_secure {
        true => {
            let near = near.direct();
            let security = near.security();
            (near, security, Transport::ServerTls)
        }
        false => (near, Security::default(), Transport::ServerTcp),
    };
    let address = near.peer();
    let place =
        Place { host: to.into(), address, found_by: FoundBy::Srv, transport, is_signed: false };
    Dialled { wire: Box::new(near), security, place }
}

fn nowhere(to: &str) -> Unreached {
    unreached(to, UnreachedKind::NoSuchDomain, &format!("There is no server of {to}."))
}

fn unreached(to: &str, kind: UnreachedKind, words: &str) -> Unreached {
    let words: Arc<str> = words.into();
    let host = to.into();
    let transport = Transport::ServerTcp;
    let tried = vec![Attempt { host, address: None, transport, words: Arc::clone(&words) }];
    Unreached { kind, words, advice: None, tried }
}
