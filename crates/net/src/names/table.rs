//! Names from memory: what tests give in the place of DNS and of web servers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::source::{Data, Kind, Reply};
use super::target::{Posh, Target, Tlsa};
use super::trouble::NameTrouble;

/// How long its answers may be kept.
const TTL: Duration = Duration::from_secs(300);

/// Everything that is known of names. Addresses of all networks count as public.
#[derive(Clone, Debug, Default)]
pub struct Table {
    records: HashMap<(Arc<str>, Kind), Vec<Data>>,
    troubles: HashMap<Arc<str>, NameTrouble>,
    pub(super) poshes: HashMap<Arc<str>, Arc<Posh>>,
    pub(super) others: HashMap<Arc<str>, Vec<Target>>,
    is_signed: bool,
}

impl Table {
    /// DNSSEC proves everything in it.
    #[must_use]
    pub fn signed(mut self) -> Self {
        self.is_signed = true;
        self
    }

    /// A server of `domain`, all of one priority: `(host, port, is_direct)`. The host `.` says that
    /// there is none.
    #[must_use]
    pub fn srv(self, domain: &str, servers: &[(&str, u16, bool)]) -> Self {
        servers.iter().fold(self, |table, (host, port, is_direct)| {
            table.srv_at(domain, (0, host, *port, *is_direct))
        })
    }

    /// A server of `domain`: `(priority, host, port, is_direct)`.
    #[must_use]
    pub fn srv_at(mut self, domain: &str, server: (u16, &str, u16, bool)) -> Self {
        let (priority, host, port, is_direct) = server;
        let target = host.trim_end_matches('.').into();
        let name = super::service_of(domain, is_direct);
        self.add(&name, Kind::Srv, Data::Srv { priority, weight: 0, port, target });
        self
    }

    /// An address of `host`.
    ///
    /// # Panics
    /// If `address` is none.
    #[must_use]
    pub fn ip(mut self, host: &str, address: &str) -> Self {
        let address: IpAddr = address.parse().expect("an address");
        let kind = if address.is_ipv4() { Kind::V4 } else { Kind::V6 };
        self.add(host, kind, Data::Address(address));
        self
    }

    /// A TLSA record of `_port._tcp.host`.
    #[must_use]
    pub fn tlsa(mut self, host: &str, port: u16, tlsa: Tlsa) -> Self {
        self.add(&format!("_{port}._tcp.{host}"), Kind::Tlsa, Data::Tlsa(tlsa));
        self
    }

    /// What the POSH file of `domain` says.
    #[must_use]
    pub fn posh(mut self, domain: &str, posh: Posh) -> Self {
        self.poshes.insert(domain.into(), Arc::new(posh));
        self
    }

    /// What the host-meta of `domain` says.
    #[must_use]
    pub fn other(mut self, domain: &str, target: Target) -> Self {
        self.others.entry(domain.into()).or_default().push(target);
        self
    }

    /// Every question about `name` fails.
    #[must_use]
    pub fn trouble(mut self, name: &str, trouble: NameTrouble) -> Self {
        self.troubles.insert(name.into(), trouble);
        self
    }

    fn add(&mut self, name: &str, kind: Kind, data: Data) {
        self.records.entry((name.into(), kind)).or_default().push(data);
    }

    pub(super) fn ask(&self, name: &Arc<str>, kind: Kind) -> Result<Reply, NameTrouble> {
        if let Some(trouble) = self.troubles.get(name) {
            return Err(trouble.clone());
        }
        match self.records.get(&(name.clone(), kind)) {
            Some(records) => Ok(Reply {
                records: records.as_slice().into(),
                is_signed: self.is_signed,
                exists: true,
                ttl: TTL,
            }),
            None => {
                let exists = self.records.keys().any(|(known, _)| known == name);
                Ok(Reply::none(exists, self.is_signed, TTL))
            }
        }
    }
}
