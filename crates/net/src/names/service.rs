//! SRV records as places, and the domain itself where there are none.

use std::sync::Arc;

use super::Answer;
use super::order::Ranked;
use super::source::{Data, Reply};
use super::target::{FoundBy, PORT, Places, Target, Way};
use super::trouble::NameTrouble;

/// What an SRV record names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Service {
    pub(super) host: Arc<str>,
    pub(super) port: u16,
    pub(super) is_direct: bool,
    pub(super) is_signed: bool,
}

impl Service {
    pub(super) fn target(ranked: Ranked<Self>) -> Target {
        let Self { host, port, is_direct, is_signed } = ranked.item;
        Target {
            host,
            port,
            priority: ranked.priority,
            way: if is_direct { Way::DirectTls } else { Way::StartTls },
            found_by: if is_direct { FoundBy::SrvTls } else { FoundBy::Srv },
            is_signed,
            meta: None,
        }
    }
}

pub(super) fn services(reply: &Reply, is_direct: bool) -> Vec<Ranked<Service>> {
    let is_signed = reply.is_signed;
    let service = |data: &Data| match data {
        Data::Srv { priority, weight, port, target } => {
            let item = Service { host: target.clone(), port: *port, is_direct, is_signed };
            Some(Ranked { priority: *priority, weight: *weight, item })
        }
        _ => None,
    };
    reply.records.iter().filter_map(service).collect()
}

/// The name whose SRV records tell of the servers of `domain` (A-labels).
pub(super) fn service_of(domain: &str, is_direct: bool) -> Arc<str> {
    let service = if is_direct { "xmpps" } else { "xmpp" };
    format!("_{service}-server._tcp.{domain}").into()
}

/// RFC 6120 §3.2.1: "If the initiating entity does not receive a response to its SRV query, it
/// SHOULD attempt the fallback process". A broken or forged answer is none that says so.
pub(super) fn without_services(
    name: &Arc<str>,
    direct: &Answer,
    plain: Answer,
) -> Result<Places, NameTrouble> {
    if let Err(NameTrouble::Bogus(_)) = direct {
        return Err(NameTrouble::Bogus(name.clone()));
    }
    match plain {
        Ok(reply) => Ok(alone(name.clone(), reply.is_signed)),
        Err(NameTrouble::NoAnswer(_)) => Ok(alone(name.clone(), false)),
        Err(NameTrouble::Bogus(_)) => Err(NameTrouble::Bogus(name.clone())),
        Err(NameTrouble::Failed { why, .. }) => {
            Err(NameTrouble::Failed { name: name.clone(), why })
        }
        Err(other) => Err(other),
    }
}

/// The domain as its own server (RFC 6120 §3.2.2).
pub(super) fn alone(host: Arc<str>, is_signed: bool) -> Places {
    let target = Target {
        host,
        port: PORT,
        priority: 0,
        way: Way::StartTls,
        found_by: FoundBy::Fallback,
        is_signed,
        meta: None,
    };
    Places { targets: vec![target], is_signed }
}
