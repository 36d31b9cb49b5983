//! The test kit: servers in memory, clients that speak to them, and scenarios in the protocol's
//! own words (`docs/scenarios.md`).

pub mod bosh;
pub mod client;
pub mod compare;
pub mod link;
pub mod node;
pub mod outside;
pub mod peer;
pub mod pipe;
pub mod play;
pub mod roads;
pub mod script;
pub mod sockets;
mod values;
pub mod websocket;
pub mod world;

pub use link::Way;
pub use play::play;
pub use roads::Roads;
pub use script::{Scenario, read};
pub use sockets::Certificates;
pub use world::{Plan, World};
