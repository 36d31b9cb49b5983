//! The features of this server.

pub(crate) use waxwing_modules::MODULES;
