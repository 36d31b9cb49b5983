//! Who is connected: counts connections in all and by address, and slows down who comes too often.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::limits::Limits;

/// When the table of addresses has doubled to this size, those at rest are forgotten.
const SWEEP_AT_LEAST: usize = 1024;

/// Counts connections. Cheap to clone; all clones count together.
#[derive(Clone)]
pub(crate) struct Census(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    limits: Limits,
    counts: Counts,
    addresses: HashMap<IpAddr, Address>,
    sweep_at: usize,
}

/// What has happened to connections, on all listeners together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Open now.
    pub open: usize,
    /// Accepted since the start.
    pub accepted: u64,
    /// Refused because the server had its most connections.
    pub refused_total: u64,
    /// Refused because their address had its most connections.
    pub refused_address: u64,
    /// Refused because their address came too often.
    pub refused_rate: u64,
    /// Ended by a TLS handshake that failed or took too long.
    pub tls_failed: u64,
}

/// One client address (one /64 in IPv6): its open connections, and a token bucket of new ones.
struct Address {
    open: u32,
    tokens: f64,
    filled_at: Instant,
}

/// Why a connection is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Total,
    Address,
    Rate,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Total => "the server has its most connections",
            Self::Address => "the address has its most connections",
            Self::Rate => "the address connects too often",
        })
    }
}

/// Counts one connection for as long as it lives.
pub(crate) struct Permit {
    census: Census,
    address: Option<IpAddr>,
    is_counted: bool,
}

impl Census {
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Arc::new(Mutex::new(State { limits, ..State::default() })))
    }

    /// Changes the bounds for those who come from now on.
    pub(crate) fn set_limits(&self, limits: Limits) {
        self.0.lock().limits = limits;
    }

    pub(crate) fn counts(&self) -> Counts {
        self.0.lock().counts
    }

    pub(crate) fn note_failure(&self) {
        self.0.lock().counts.tls_failed += 1;
    }

    /// Lets a connection of `ip` in. An exempt one counts only in the total.
    pub(crate) fn admit(&self, ip: IpAddr, is_exempt: bool, now: Instant) -> Result<Permit, Full> {
        let mut state = self.0.lock();
        if state.counts.open >= state.limits.connections_max {
            return Err(state.refuse(Full::Total));
        }
        let address = if is_exempt { None } else { Some(state.enter(ip, now)?) };
        state.counts.open += 1;
        state.counts.accepted += 1;
        Ok(Permit { census: self.clone(), address, is_counted: true })
    }

    /// Counts a connection that is open already for the address a proxy names.
    pub(crate) fn admit_behind(&self, ip: IpAddr, now: Instant) -> Result<Permit, Full> {
        let address = match ip.is_loopback() {
            true => None,
            false => Some(self.0.lock().enter(ip, now)?),
        };
        Ok(Permit { census: self.clone(), address, is_counted: false })
    }
}

impl State {
    /// Counts a connection of `ip` in its bucket, whose name is returned.
    fn enter(&mut self, ip: IpAddr, now: Instant) -> Result<IpAddr, Full> {
        self.sweep(now);
        let limits = &self.limits;
        let key = bucket(ip);
        let fresh = || Address { open: 0, tokens: f64::from(limits.address_burst), filled_at: now };
        let address = self.addresses.entry(key).or_insert_with(fresh);
        if address.open >= limits.address_connections_max {
            return Err(self.refuse(Full::Address));
        }
        address.fill(limits, now);
        if address.tokens < 1.0 {
            return Err(self.refuse(Full::Rate));
        }
        address.tokens -= 1.0;
        address.open += 1;
        Ok(key)
    }

    fn refuse(&mut self, why: Full) -> Full {
        match why {
            Full::Total => self.counts.refused_total += 1,
            Full::Address => self.counts.refused_address += 1,
            Full::Rate => self.counts.refused_rate += 1,
        }
        why
    }

    /// Keeps the table in proportion to the connections that are open.
    fn sweep(&mut self, now: Instant) {
        if self.addresses.len() < self.sweep_at.max(SWEEP_AT_LEAST) {
            return;
        }
        let limits = &self.limits;
        self.addresses.retain(|_, address| {
            address.fill(limits, now);
            address.open > 0 || address.tokens < f64::from(limits.address_burst)
        });
        self.sweep_at = self.addresses.len() * 2;
    }
}

impl Address {
    fn fill(&mut self, limits: &Limits, now: Instant) {
        let seconds = now.saturating_duration_since(self.filled_at).as_secs_f64();
        let tokens = self.tokens + seconds * f64::from(limits.address_rate);
        self.tokens = tokens.min(f64::from(limits.address_burst));
        self.filled_at = now;
    }
}

impl Permit {
    /// Takes over the address that another permit counts.
    pub(crate) fn follow(&mut self, mut other: Permit) {
        std::mem::swap(&mut self.address, &mut other.address);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.census.0.lock();
        state.counts.open -= usize::from(self.is_counted);
        if let Some(address) = self.address.and_then(|key| state.addresses.get_mut(&key)) {
            address.open -= 1;
        }
    }
}

/// An IPv6 client commands a whole /64.
fn bucket(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn census() -> Census {
        Census::new(Limits {
            connections_max: 5,
            address_connections_max: 2,
            address_burst: 3,
            address_rate: 1,
            ..Limits::default()
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[allow(clippy::disallowed_methods, reason = "a test's starting point")]
    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn connections_are_counted_by_address_and_in_all() {
        let (census, now) = (census(), now());
        let admit = |text: &str| census.admit(ip(text), false, now);
        let first = [admit("192.0.2.1").unwrap(), admit("192.0.2.1").unwrap()];
        assert_eq!(admit("192.0.2.1").err(), Some(Full::Address));
        let _six = [admit("2001:db8::1").unwrap(), admit("2001:db8::2").unwrap()];
        assert_eq!(admit("2001:db8::3").err(), Some(Full::Address), "one /64 is one client");
        let _other = admit("2001:db8:0:1::3").unwrap();
        assert_eq!(admit("192.0.2.2").err(), Some(Full::Total));
        drop(first);
        let counts = census.counts();
        assert_eq!((counts.open, counts.accepted), (3, 5));
        assert_eq!((counts.refused_total, counts.refused_address, counts.refused_rate), (1, 2, 0));
        assert!(admit("192.0.2.1").is_ok());
    }

    #[test]
    fn an_address_that_comes_too_often_waits() {
        let (census, now) = (census(), now());
        for _ in 0..3 {
            assert!(census.admit(ip("192.0.2.1"), false, now).is_ok());
        }
        assert_eq!(census.admit(ip("192.0.2.1"), false, now).err(), Some(Full::Rate));
        let later = now + Duration::from_secs(1);
        assert!(census.admit(ip("192.0.2.1"), false, later).is_ok());
    }

    #[test]
    fn exempt_and_forwarded_connections_count_for_their_own() {
        let (census, now) = (census(), now());
        let mut open: Vec<_> =
            (0..3).map(|_| census.admit(ip("192.0.2.9"), true, now).unwrap()).collect();
        for permit in &mut open[..2] {
            permit.follow(census.admit_behind(ip("192.0.2.1"), now).unwrap());
        }
        assert_eq!(census.admit_behind(ip("192.0.2.1"), now).err(), Some(Full::Address));
        open.clear();
        assert_eq!(census.counts().open, 0);
        assert!(census.admit_behind(ip("192.0.2.1"), now).is_ok());
    }

    #[test]
    fn the_table_forgets_who_is_at_rest() {
        let (census, now) = (census(), now());
        for number in 0..SWEEP_AT_LEAST as u32 {
            drop(census.admit(IpAddr::V4(number.into()), false, now));
        }
        drop(census.admit(ip("192.0.2.1"), false, now + Duration::from_secs(9)));
        assert_eq!(census.0.lock().addresses.len(), 1);
    }
}
