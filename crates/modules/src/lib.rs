//! The features of Waxwing: one module, one manual page, one line in the list below.
//!
//! Modules never see each other, and never a socket. What two of them share lives in `stanza`
//! (payloads), `kernel` (rules) or `store` (rows).

// The manual pages are the documentation of their modules; they quote XML and conversations, which
// are played by the scenario tests and are no Rust for doctests.
#![allow(rustdoc::invalid_html_tags, rustdoc::invalid_rust_codeblocks, rustdoc::bare_urls)]

use waxwing_kernel::module::Mount;

/// Makes the modules of this crate and the list of them from one line each, with the label of its
/// service behind a module that has one.
macro_rules! modules {
    ($($file:ident::$Module:ident $(at $label:literal)?,)*) => {
        $(pub mod $file;)*

        /// Every feature, in no particular order: what order matters is said in the modules.
        pub static MODULES: &[Mount] = &[
            $(Mount::of::<$file::$Module>()$(.serving($label))?,)*
        ];
    };
}

modules! {
    access::Access,
    admin::Admin,
    api::Api,
    archive::Archive,
    audit::Audit,
    authhook::AuthHook,
    blocking::Blocking,
    bookmarks::Bookmarks,
    border::Border,
    caps::Caps,
    carbons::Carbons,
    certificates::Certificates,
    commands::Commands,
    component::Component,
    contact::Contact,
    csi::Csi,
    disco::Disco,
    export::Export,
    fast::Fast,
    federation::Federation,
    feeds::Feeds,
    hosts::Hosts,
    ids::Ids,
    jwt::Jwt,
    last::Last,
    ldap::Ldap,
    mds::Mds,
    notices::Notices,
    offline::Offline,
    omemo::Omemo,
    outage::Outage,
    ping::Ping,
    policy::Policy,
    private::Private,
    pubsub::Pubsub at "pubsub",
    push::Push at "push",
    register::Register,
    rooms::Rooms at "rooms",
    roster::Roster,
    serverinfo::ServerInfo,
    services::Services,
    strangers::Strangers,
    time::Time,
    upload::Upload at "upload",
    vcard::Vcard,
    version::Version,
}
