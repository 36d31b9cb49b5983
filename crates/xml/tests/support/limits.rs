//! What the tests and the fuzz targets share; each takes the parts that it needs.

use waxwing_xml::Limits;

pub(crate) const CONTENT: &str = "jabber:client";

/// Limits that no test document reaches.
pub(crate) const WIDE: Limits = Limits {
    element_bytes: 1 << 20,
    depth: 1000,
    attributes: 1000,
    name_bytes: 1 << 16,
    namespace_bytes: 1 << 16,
    namespaces: 1000,
    children: 10_000,
};
