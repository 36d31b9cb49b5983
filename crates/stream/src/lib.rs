//! Waxwing: stream.
