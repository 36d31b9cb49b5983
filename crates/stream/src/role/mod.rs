//! What a stream is for. One folder per role, one file per state, named by what it expects.

pub(crate) mod client;
