//! The addresses that connections come from: each has some ten thousands of ports, and no more.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{Outcome, limits};

/// Local addresses, taken in turn.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    named: Vec<IpAddr>,
    /// More of them on loopback, where one is too few.
    more: OnceLock<Vec<IpAddr>>,
    next: AtomicUsize,
}

impl Sources {
    /// Those that were named on the command line; without any, the system chooses.
    pub(crate) fn new(named: Vec<IpAddr>) -> Self {
        Self { named, ..Self::default() }
    }

    /// Sees to it that there are ports for so many connections to `target` at once.
    pub(crate) fn suffice(&self, connections: usize, target: IpAddr) -> Outcome<()> {
        let Some(ports) = limits::ports() else { return Ok(()) };
        self.share(connections as u64, ports, target)
    }

    fn share(&self, connections: u64, ports: u64, target: IpAddr) -> Outcome<()> {
        let addresses = self.named.len().max(1) as u64;
        if connections <= ports * addresses {
            return Ok(());
        }
        if let Some(all) = on_loopback(connections, ports, target).filter(|_| self.named.is_empty())
        {
            let _ = self.more.set(all);
            return Ok(());
        }
        let needed = connections.div_ceil(ports.max(1));
        Err(format!(
            "{connections} connections need as many ports, and {addresses} local address has \
             {ports}: name {needed} addresses of this machine, each with --source; widen the range \
             (`sysctl -w net.ipv4.ip_local_port_range='1024 65535'` as root); or use fewer clients"
        ))
    }

    /// Where the next connection comes from; none when the system is to choose.
    pub(crate) fn next(&self) -> Option<IpAddr> {
        let all = self.more.get().unwrap_or(&self.named);
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        (!all.is_empty()).then(|| all[turn % all.len()])
    }
}

/// As many addresses of loopback as it takes: the whole of 127.0.0.0/8 is this machine.
fn on_loopback(connections: u64, ports: u64, target: IpAddr) -> Option<Vec<IpAddr>> {
    let is_loopback = target.is_ipv4() && target.is_loopback();
    // Half of the ports stay free: some are still closing, others belong to somebody else.
    let count = u8::try_from(connections.div_ceil((ports / 2).max(1))).ok()?;
    let address = |last| IpAddr::from(Ipv4Addr::new(127, 0, 0, last));
    (is_loopback && count < u8::MAX).then(|| (1..=count).map(address).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn one_address_does_while_its_ports_last() {
        let sources = Sources::default();
        sources.share(28_232, 28_232, ELSEWHERE).expect("just enough");
        assert_eq!(sources.next(), None);
        let refused = sources.share(28_233, 28_232, ELSEWHERE);
        assert!(refused.is_err_and(|reason| reason.contains("name 2 addresses")));
    }

    #[test]
    fn named_addresses_take_turns() {
        let sources = Sources::new(vec![LOOPBACK, ELSEWHERE]);
        sources.share(200, 100, ELSEWHERE).expect("twice as many");
        let turns = [(); 3].map(|()| sources.next());
        assert_eq!(turns, [Some(LOOPBACK), Some(ELSEWHERE), Some(LOOPBACK)]);
        assert!(sources.share(201, 100, LOOPBACK).is_err(), "who names some means those");
    }

    #[test]
    fn loopback_has_more_addresses() {
        let sources = Sources::default();
        sources.share(30_000, 20_000, LOOPBACK).expect("three of them");
        let turns = [(); 4].map(|()| sources.next().map(|address| address.to_string()));
        let turns = turns.map(Option::unwrap_or_default);
        assert_eq!(turns, ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.1"]);
        assert!(Sources::default().share(1_000_000, 1_000, LOOPBACK).is_err());
    }
}
