//! Happy eyeballs (RFC 8305, XEP-0495): connections to several addresses are begun one shortly
//! after the other, and the first that works is taken.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use waxwing_kernel::links::dial::{DialAsk, Dialled, FoundBy, Place, UnreachedKind};
use waxwing_kernel::request::Answer;
use waxwing_kernel::wire::Wire;
use waxwing_stream::Security;

use super::call::{Call, Candidate, Setback};
use super::dialer::Dialer;
use super::tried::{Tried, transport};
use super::websocket;
use crate::names::{Addresses, NameTrouble, Target, Way};
use crate::socket::Socket;
use crate::tcp::TcpWire;
use crate::tls::XMPP_SERVER;

/// RFC 8305 §5: "Connection Attempt Delay … a recommended value for a default delay is 250
/// milliseconds."
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The tries of one dial.
pub(super) struct Race<'a> {
    dialer: Arc<Dialer>,
    ask: Arc<DialAsk>,
    tried: &'a mut Tried,
    /// So many addresses may still be tried.
    left: usize,
}

/// Finds addresses for the targets of a group, one target after the other.
pub(super) struct Search {
    dialer: Arc<Dialer>,
    ask: Arc<DialAsk>,
    targets: std::vec::IntoIter<Target>,
    ready: VecDeque<Candidate>,
    /// Targets without an address.
    failed: Vec<(Target, NameTrouble)>,
}

type Found = (Search, Option<Candidate>);
type Ended = Result<Dialled, (Candidate, Setback)>;

impl<'a> Race<'a> {
    pub(super) fn new(dialer: Arc<Dialer>, ask: Arc<DialAsk>, tried: &'a mut Tried) -> Self {
        let left = dialer.limits.peer_tries_max;
        Self { dialer, ask, tried, left }
    }

    pub(super) fn note_trouble(&mut self, trouble: &NameTrouble) {
        self.tried.note_trouble(trouble);
    }

    /// Tries the addresses of targets of one priority. None when all have failed.
    pub(super) async fn run(&mut self, targets: Vec<Target>) -> Option<Dialled> {
        let search = Search {
            dialer: self.dialer.clone(),
            ask: self.ask.clone(),
            targets: targets.into_iter(),
            ready: VecDeque::new(),
            failed: Vec::new(),
        };
        let mut finding: Option<Answer<'static, Found>> = Some(Box::pin(search.next()));
        let mut next: Option<Candidate> = None;
        let mut attempts: JoinSet<Ended> = JoinSet::new();
        let mut delay = Box::pin(sleep(Duration::ZERO));
        let mut may_begin = true;
        loop {
            if let Some(candidate) = next.take_if(|_| may_begin && self.left > 0) {
                self.left -= 1;
                attempts.spawn(attempt(self.dialer.clone(), self.ask.clone(), candidate));
                may_begin = false;
                delay.set(sleep(ATTEMPT_DELAY));
            }
            let is_over = self.left == 0 || (next.is_none() && finding.is_none());
            if is_over && attempts.is_empty() {
                return None;
            }
            tokio::select! {
                (search, found) = async { finding.as_mut().expect("guarded").await },
                    if finding.is_some() && next.is_none() && self.left > 0 =>
                {
                    finding = self.take_in(search, found.is_some());
                    next = found;
                }
                Some(ended) = attempts.join_next(), if !attempts.is_empty() => match ended {
                    Ok(Ok(dialled)) => return Some(dialled),
                    Ok(Err((candidate, setback))) => {
                        self.tried.note_call(&candidate, &setback);
                        may_begin = true;
                    }
                    Err(_) => may_begin = true,
                },
                () = &mut delay, if !may_begin && next.is_some() => may_begin = true,
            }
        }
    }

    /// Remembers which targets have no address, and goes on looking unless that was all.
    fn take_in(&mut self, mut search: Search, goes_on: bool) -> Option<Answer<'static, Found>> {
        for (target, trouble) in search.failed.drain(..) {
            self.tried.note_host(&target, &trouble);
        }
        goes_on.then(|| Box::pin(search.next()) as Answer<'static, Found>)
    }
}

impl Search {
    async fn next(mut self) -> Found {
        loop {
            if let Some(candidate) = self.ready.pop_front() {
                return (self, Some(candidate));
            }
            let Some(target) = self.targets.next() else { return (self, None) };
            match self.dialer.addresses(&target).await {
                Ok(addresses) => self.line_up(&target, &addresses),
                Err(trouble) => self.failed.push((target, trouble)),
            }
        }
    }

    fn line_up(&mut self, target: &Target, addresses: &Addresses) {
        let found = Self::candidates(target, addresses);
        let skip = &self.ask.skip;
        self.ready.extend(found.filter(|candidate| !skip.contains(&candidate.address)));
    }

    /// What there is to try of a target, in order.
    pub(super) fn candidates(
        target: &Target,
        addresses: &Addresses,
    ) -> impl Iterator<Item = Candidate> {
        let is_signed = target.is_signed && addresses.is_signed;
        interleaved(addresses).into_iter().map(move |ip| Candidate {
            is_signed,
            target: target.clone(),
            address: SocketAddr::new(ip, target.port),
        })
    }
}

impl Dialer {
    /// Where a target is.
    pub(super) async fn addresses(&self, target: &Target) -> Result<Addresses, NameTrouble> {
        if target.found_by != FoundBy::Configured {
            return self.names.addresses(target).await;
        }
        // The operator may name a machine of the local network, as this machine knows it.
        let host = target.host.trim_matches(['[', ']']);
        let failed = |why: io::Error| NameTrouble::Failed {
            name: target.host.clone(),
            why: why.to_string().into(),
        };
        let found = tokio::net::lookup_host((host, target.port)).await.map_err(failed)?;
        let mut addresses = Addresses::default();
        for address in found {
            match address.ip() {
                IpAddr::V6(v6) => addresses.v6.push(v6),
                IpAddr::V4(v4) => addresses.v4.push(v4),
            }
        }
        Ok(addresses)
    }
}

/// RFC 8305 §4: "it is RECOMMENDED to … interleave addresses" of both families, IPv6 first.
fn interleaved(addresses: &Addresses) -> Vec<IpAddr> {
    let mut all = Vec::with_capacity(addresses.v6.len() + addresses.v4.len());
    let (mut six, mut four) = (addresses.v6.iter(), addresses.v4.iter());
    loop {
        let (v6, v4) = (six.next(), four.next());
        if v6.is_none() && v4.is_none() {
            return all;
        }
        all.extend(v6.map(|ip| IpAddr::V6(*ip)));
        all.extend(v4.map(|ip| IpAddr::V4(*ip)));
    }
}

/// Calls one address, up to where the stream can begin.
async fn attempt(dialer: Arc<Dialer>, ask: Arc<DialAsk>, candidate: Candidate) -> Ended {
    let call = Arc::new(Call { dialer, ask, candidate });
    // A future of its own, so that the task stays small when it is done.
    let connected = Box::pin(connect(&call)).await;
    connected.map_err(|setback| (call.candidate.clone(), setback))
}

pub(super) async fn connect(call: &Arc<Call>) -> Result<Dialled, Setback> {
    let Candidate { target, address, is_signed } = &call.candidate;
    let (limits, within) = (&call.dialer.limits, call.dialer.limits.peer_connect());
    let late = |_| Setback::new(UnreachedKind::Timeout, "no answer");
    let tcp = timeout(within, TcpStream::connect(address)).await.map_err(late)?;
    let tcp = tcp.map_err(|error| not_connected(&error))?;
    // Stanzas are small and somebody waits for them. Failing is no reason to give up.
    let _ = tcp.set_nodelay(true);
    let socket = Socket::called(tcp, *address);
    let drain = limits.farewell_bytes_max;
    let transport = transport(&target.way);
    let (wire, security): (Box<dyn Wire>, _) = match &target.way {
        Way::DirectTls => {
            let (socket, security) = call.secure_directly(socket, XMPP_SERVER).await?;
            (Box::new(TcpWire::secure(socket, drain, transport)), security)
        }
        Way::WebSocket { path } => {
            let (socket, security) = call.secure_directly(socket, websocket::ALPN).await?;
            let clock = &call.dialer.clock;
            let wire = websocket::open(socket, (target, path), (limits, clock)).await?;
            (Box::new(wire), security)
        }
        Way::StartTls => {
            let wire = TcpWire::plain(socket, drain, transport, Some(call.clone()));
            (Box::new(wire), Security::default())
        }
    };
    let place = Place {
        host: target.host.clone(),
        address: *address,
        found_by: target.found_by,
        transport,
        is_signed: *is_signed,
    };
    Ok(Dialled { wire, security, place })
}

fn not_connected(error: &io::Error) -> Setback {
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            Setback::new(UnreachedKind::Refused, "it refuses connections")
        }
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => {
            Setback::new(UnreachedKind::NoAnswer, "there is no way to that network from here")
        }
        ErrorKind::TimedOut => Setback::new(UnreachedKind::Timeout, "no answer"),
        _ => Setback::new(UnreachedKind::NoAnswer, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let addresses = Addresses {
            v6: vec!["::1".parse().unwrap()],
            v4: vec![[192, 0, 2, 1].into(), [192, 0, 2, 2].into()],
            is_signed: false,
        };
        let expected = ["::1", "192.0.2.1", "192.0.2.2"].map(|ip| ip.parse::<IpAddr>().unwrap());
        assert_eq!(interleaved(&addresses), expected);
    }
}
