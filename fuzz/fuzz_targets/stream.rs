//! A conversation in one piece beside the same in other pieces. The first byte says where it
//! begins, the next four where it is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/stream/tests/stage/cuts.rs"]
mod cuts;
#[path = "../../crates/stream/tests/stage/mod.rs"]
mod stage;

fuzz_target!(|input: (u8, [u16; 2], &[u8])| {
    let (start, cuts, bytes) = input;
    let start = cuts::Start {
        is_clear: start & 1 != 0,
        is_signed_in: start & 2 != 0,
        is_component: start & 4 != 0,
    };
    cuts::check(start, bytes, &cuts.map(usize::from));
});
