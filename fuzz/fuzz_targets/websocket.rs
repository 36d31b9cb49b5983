//! Frames of a client in one piece beside the same in other pieces, within the limits.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/net/tests/frames/check.rs"]
mod check;

fuzz_target!(|input: ([u16; 2], &[u8])| {
    let (cuts, bytes) = input;
    check::check(bytes, &cuts.map(usize::from));
});
