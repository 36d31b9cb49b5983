//! What is known of other servers and of those who are at home there.

use super::Hub;
use crate::links::Links;
use crate::outsiders::Outsiders;

impl Hub {
    /// Other servers.
    pub fn links(&self) -> &Links {
        &self.0.links
    }

    /// Sessions on other servers that accounts of ours know of.
    pub fn outsiders(&self) -> &Outsiders {
        &self.0.outsiders
    }
}
