//! Any text as an address and as each of its parts: prepared twice, written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/jid/tests/support/check.rs"]
mod check;

fuzz_target!(|text: &str| check::check(text));
