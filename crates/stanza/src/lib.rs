//! Waxwing: stanza.
