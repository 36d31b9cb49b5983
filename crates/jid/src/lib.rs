//! Waxwing: jid.
