//! Waxwing: store.
