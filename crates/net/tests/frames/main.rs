//! Frames with small changes: the comparison of `fuzz/fuzz_targets/websocket.rs` over fixed seeds.

mod check;
#[path = "../../../xml/tests/support/random.rs"]
mod random;

use check::check;
use random::{Random, mutate};
use waxwing_net::websocket::codec::{Opcode, encode};

const ROUNDS: usize = 20_000;
const OPCODES: [Opcode; 6] =
    [Opcode::Text, Opcode::Continuation, Opcode::Ping, Opcode::Pong, Opcode::Close, Opcode::Binary];

/// One masked frame, mostly in order.
fn frame(random: &mut Random, out: &mut Vec<u8>) {
    let opcode = OPCODES[random.below(9) % OPCODES.len()];
    let length = [0, 2, 5, 125, 126, 200, 257, 300][random.below(8)];
    let payload: Vec<u8> = (0..length).map(|at| b"<a>\xC3\xA9</a> "[at % 10]).collect();
    let mut frame = Vec::new();
    encode(&mut frame, opcode, &payload);
    if random.below(3) == 0 {
        frame[0] &= 0x7F;
    }
    frame[1] |= 0x80;
    let mask: [u8; 4] = std::array::from_fn(|_| random.below(256) as u8);
    let at = frame.len() - payload.len();
    frame.splice(at..at, mask);
    let masked = frame[at + 4..].iter_mut().zip(mask.iter().cycle());
    masked.for_each(|(byte, key)| *byte ^= key);
    out.extend(frame);
}

#[test]
fn changed_frames_do_not_depend_on_cuts() {
    let mut random = Random(0x5EED_0003);
    for _ in 0..ROUNDS {
        let mut bytes = Vec::new();
        for _ in 0..1 + random.below(6) {
            frame(&mut random, &mut bytes);
        }
        if random.below(2) == 0 {
            mutate(&mut bytes, &mut random);
        }
        let cuts: Vec<usize> = (0..random.below(8)).map(|_| random.below(1 << 20)).collect();
        check(&bytes, &cuts);
    }
}
