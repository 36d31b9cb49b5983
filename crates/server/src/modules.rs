//! The features of this server, one line each.

use waxwing_kernel::module::Mount;
use waxwing_modules::{offline, ping, roster};

/// Every module, in no particular order: what order matters is said in the modules.
pub(crate) static MODULES: &[Mount] = &[
    Mount::of::<offline::Offline>(),
    Mount::of::<ping::Ping>(),
    Mount::of::<roster::Roster>(),
];
