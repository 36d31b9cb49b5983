//! Waxwing: net.
