//! Addresses with small changes: the comparison of `fuzz/fuzz_targets/jid.rs` over fixed seeds.

#[path = "support/check.rs"]
mod check;
#[path = "../../xml/tests/support/random.rs"]
mod random;

use check::check;
use random::{Random, mutate};

const SEEDS: [&str; 22] = [
    "juliet@capulet.example/balcony",
    "foo@example.com/ foo bar ",
    "fußball@example.com",
    "π@example.com/Ⅳ",
    "Σίσυφος@example.com",
    "henryⅣ@example.com",
    "♚@example.com",
    "a.example.com/b@example.net",
    "JULIET@CAPULET.EXAMPLE.",
    "ｊｕｌｉｅｔ@ｅｘａｍｐｌｅ．ｃｏｍ",
    "juliet@xn--nxasmq6b.example",
    "juliet@βόλος.example",
    "juliet@faß.example",
    "juliet@192.0.2.1/x",
    "juliet@[2001:db8::1]/x",
    "א@example.com/ب",
    "ا1٢@example.com",
    "e\u{301}\u{327}@example.com/e\u{327}\u{301}",
    "l·l@example.com",
    "क्\u{200D}ष@example.com",
    "/resource",
    "@/",
];

#[test]
fn changed_addresses_keep_the_rules() {
    let mut random = Random(0x5EED_0001);
    for seed in SEEDS {
        check(seed);
        for _ in 0..400 {
            let mut bytes = seed.as_bytes().to_vec();
            mutate(&mut bytes, &mut random);
            check(&String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn two_addresses_in_one_keep_the_rules() {
    for one in SEEDS {
        for other in SEEDS {
            for at in 0..=one.len() {
                if one.is_char_boundary(at) {
                    check(&[&one[..at], other, &one[at..]].concat());
                }
            }
        }
    }
}
