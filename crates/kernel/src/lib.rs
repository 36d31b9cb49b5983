//! The kernel: what every feature stands on. Routing, sessions, accounts, presence, the module
//! API. It knows no XEP beyond what routing itself needs, and no socket.

pub mod account;
mod accounts;
pub mod admission;
pub mod auth;
mod bind;
mod certificate;
pub mod clock;
pub mod command;
pub mod config;
pub mod connection;
pub mod directory;
pub mod disco;
mod drain;
mod erase;
mod filing;
mod gate;
pub mod http;
mod hub;
mod lapsed;
mod limits;
pub mod mailbox;
pub mod metrics;
pub mod module;
mod names;
pub mod presence;
mod push;
mod rate;
pub mod request;
pub mod roster;
mod rounds;
pub mod route;
pub mod router;
pub mod routes;
mod session;
mod site;
pub mod stage;
pub mod trace;
pub mod wire;

pub use filing::Filed;
pub use hub::{Hub, Sites};
pub use limits::Limits;
pub use names::{Name, Names};
pub use rate::{Flow, Rate};
pub use roster::Roster;
pub use site::{SessionSlot, Site, SiteBuilder, Slots};
