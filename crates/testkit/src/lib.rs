//! Waxwing: testkit.
