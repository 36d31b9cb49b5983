//! Who answers questions about names: DNS, or a table in a test.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::resolver::Resolver;
use super::table::Table;
use super::target::Tlsa;
use super::trouble::NameTrouble;

/// What is asked of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Srv,
    V4,
    V6,
    Tlsa,
}

/// An answer; without records there are none of this kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) records: Arc<[Data]>,
    /// DNSSEC proves it, also that there is nothing.
    pub(super) is_signed: bool,
    /// The name exists, though maybe with records of other kinds only.
    pub(super) exists: bool,
    /// How long it may be kept, as the zone has it.
    pub(super) ttl: Duration,
}

/// What a record holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    Srv {
        priority: u16,
        weight: u16,
        port: u16,
        /// In lower case, without a dot at the end; empty where it is the root: no service.
        target: Arc<str>,
    },
    Address(IpAddr),
    Alias(Arc<str>),
    Tlsa(Tlsa),
}

/// Who answers.
pub(super) enum Source {
    Dns(Box<Resolver>),
    Table(Table),
}

impl Source {
    /// Asks. The name is in A-labels, without a dot at the end.
    pub(super) async fn ask(&self, name: &Arc<str>, kind: Kind) -> Result<Reply, NameTrouble> {
        match self {
            Self::Dns(resolver) => resolver.ask(name, kind).await,
            Self::Table(table) => table.ask(name, kind),
        }
    }
}

impl Reply {
    /// There is nothing of this kind.
    pub(super) fn none(exists: bool, is_signed: bool, ttl: Duration) -> Self {
        Self { records: Arc::default(), is_signed, exists, ttl }
    }

    /// The addresses among the records.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.records.iter().filter_map(|data| match data {
            Data::Address(address) => Some(*address),
            _ => None,
        })
    }
}
