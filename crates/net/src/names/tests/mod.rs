//! Names against a DNS server and web servers of the tests' own.

mod dns;
mod files;
mod lookups;
mod signed;
mod surveyed;

use std::sync::Arc;

use waxwing_kernel::clock::Clock;
use waxwing_kernel::outgoing::{Fetch, FetchError, FetchReply, FetchRequest};
use waxwing_kernel::request::Answer;

use self::dns::{Server, Zone};
use super::{Dnssec, Names, NamesOptions, Places};
use crate::limits::Limits;

/// A web that has nothing.
struct NoWeb;

impl Fetch for NoWeb {
    fn fetch(&self, _: FetchRequest) -> Answer<'static, Result<FetchReply, FetchError>> {
        Box::pin(async { Err(FetchError::Unavailable) })
    }
}

/// Names by `zone`, which is not signed.
async fn plain(zone: Zone) -> (Names, Server) {
    let server = Server::start(zone).await;
    let options = NamesOptions {
        servers: vec![server.address],
        dnssec: Dnssec::Off,
        private_addresses: true,
        ..NamesOptions::default()
    };
    (names(&options, &quick(), Clock::system()), server)
}

fn names(options: &NamesOptions, limits: &Limits, clock: Clock) -> Names {
    Names::new(options, limits, Arc::new(NoWeb), clock).unwrap()
}

/// Who is silent is not waited for long.
fn quick() -> Limits {
    Limits { dns_seconds: 1, dns_try_seconds: 1, ..Limits::default() }
}

/// The places in short: `host:port`, and whether TLS comes first.
fn short(places: &Places) -> Vec<(String, bool)> {
    let short =
        |target: &super::Target| (format!("{}:{}", target.host, target.port), target.is_direct());
    places.targets.iter().map(short).collect()
}
