//! Commands, administration and discovery on a whole server in memory.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod admin;
mod api;
mod audit;
mod bookmarks;
mod commands;
mod declared;
mod discovery;
mod elsewhere;
mod export;
mod invites;
mod reports;
mod subscribers;
mod upload;
mod world;
