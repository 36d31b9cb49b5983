//! Other servers: how they are found, called and let in.

use std::sync::Arc;

use waxwing_kernel::Hub;
use waxwing_kernel::config::Config;
use waxwing_kernel::config::sections::Dnssec as Wish;
use waxwing_net::names::{Dnssec, Names, NamesOptions};
use waxwing_net::{Authorities, Fetcher, PeerDialer, PeerOptions, Tls};

use crate::wiring;

/// The way to other servers, where this one talks with them.
pub(crate) struct Peers {
    names: Names,
    dialer: Arc<PeerDialer>,
}

impl Peers {
    /// Gives the kernel the way to other servers.
    ///
    /// # Errors
    /// A sentence for the operator: a file that cannot be read.
    pub(crate) fn open(hub: &Hub, tls: &Arc<Tls>, config: &Config) -> Result<Option<Self>, String> {
        if !config.federates() {
            return Ok(None);
        }
        let (limits, clock) = (wiring::net_limits(config), hub.clock().clone());
        let fetcher = Arc::new(Fetcher::new(&limits));
        let names = Names::new(&names(config), &limits, fetcher, clock.clone())?;
        let options = options(config);
        let dialer = PeerDialer::new(&options, Arc::clone(tls), names.clone(), &limits, clock);
        let dialer = Arc::new(dialer.map_err(|error| error.to_string())?);
        hub.dial_with(Arc::clone(&dialer) as _);
        Ok(Some(Self { names, dialer }))
    }

    /// Reads what a reload may change and can fail.
    ///
    /// # Errors
    /// As [`Peers::open`].
    pub(crate) fn read(&self, config: &Config) -> Result<Authorities, String> {
        let authorities = Authorities::read(options(config).authorities.as_deref());
        let authorities = authorities.map_err(|error| error.to_string())?;
        self.names.configure(&names(config))?;
        Ok(authorities)
    }

    /// Judges by these from now on.
    pub(crate) fn trust(&self, authorities: Authorities) {
        self.dialer.trust(authorities);
    }
}

fn options(config: &Config) -> PeerOptions {
    PeerOptions { authorities: config.federation.authorities.clone() }
}

/// How names are looked up.
pub(crate) fn names(config: &Config) -> NamesOptions {
    let federation = &config.federation;
    NamesOptions {
        servers: federation.dns.iter().map(|server| server.0).collect(),
        dnssec: match federation.dnssec {
            Wish::Auto => Dnssec::Auto,
            Wish::Off => Dnssec::Off,
        },
        anchors: federation.anchors.clone(),
        // A server for a network of one's own has its peers there.
        private_addresses: federation.private_addresses.unwrap_or(!config.server.public),
    }
}
