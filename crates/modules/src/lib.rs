//! Waxwing: modules.
