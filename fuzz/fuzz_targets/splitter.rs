//! The splitter beside rxml, and a stream in one piece beside the same stream in single bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/xml/tests/support"]
mod support {
    pub(crate) mod compare;
    pub(crate) mod events;
    pub(crate) mod limits;
    pub(crate) mod oracle;
}

use support::{compare::compare, events::*, limits::WIDE};

fuzz_target!(|bytes: &[u8]| {
    compare(bytes);
    let (whole, whole_error) = events(&[bytes], WIDE);
    let single: Vec<_> = bytes.chunks(1).collect();
    let (pieces, error) = events(&single, WIDE);
    assert_eq!(error, whole_error);
    assert!(pieces.iter().map(describe).eq(whole.iter().map(describe)));
});
