//! Waxwing: xml.
