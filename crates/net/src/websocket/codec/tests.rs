//! Tables of RFC 6455's rules, and properties of the codec under every cut.

use proptest::prelude::*;

use super::*;

/// What a decoder said, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Text(Vec<u8>),
    Fragment,
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
    Fault(Fault),
}

fn said(piece: Piece<'_>) -> Said {
    match piece {
        Piece::Text(text) => Said::Text(text.to_vec()),
        Piece::Fragment => Said::Fragment,
        Piece::Ping(payload) => Said::Ping(payload.to_vec()),
        Piece::Pong => Said::Pong,
        Piece::Close(code) => Said::Close(code),
        // The wording of a fault is not part of what is compared.
        Piece::Fault(Fault::Protocol(_)) => Said::Fault(Fault::Protocol("")),
        Piece::Fault(fault) => Said::Fault(fault),
    }
}

/// A client's frame: first byte as given, masked.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out, Opcode::Text, payload);
    out[0] = first;
    out[1] |= 0x80;
    let at = out.len() - payload.len();
    let mask = [0xA1, 0x05, 0x7F, 0xFE];
    out.splice(at..at, mask);
    for (byte, key) in out[at + 4..].iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
    out
}

fn run(limit: usize, chunks: &[&[u8]]) -> (Vec<Said>, Decoder) {
    let mut decoder = Decoder::new(limit);
    let mut heard = Vec::new();
    for chunk in chunks {
        decoder.decode(&mut chunk.to_vec(), &mut |piece| heard.push(said(piece)));
    }
    (heard, decoder)
}

/// What a decoder says that takes compressed messages.
fn run_inflating(limit: usize, chunks: &[&[u8]]) -> Vec<Said> {
    let mut decoder = Decoder::new(limit);
    decoder.inflate(Arc::default());
    let mut heard = Vec::new();
    for chunk in chunks {
        decoder.decode(&mut chunk.to_vec(), &mut |piece| heard.push(said(piece)));
        assert!(decoder.held() <= deflate::compressed_max(limit) + 2 * CONTROL_BYTES_MAX);
    }
    heard
}

/// The payload of a compressed message.
fn small(text: &str) -> Vec<u8> {
    deflate::deflate(text.as_bytes(), <[u8]>::to_vec).unwrap()
}

fn whole(bytes: &[u8]) -> Vec<Said> {
    run(1000, &[bytes]).0
}

const PROTOCOL: Said = Said::Fault(Fault::Protocol(""));

#[test]
fn every_rule_of_framing_has_its_answer() {
    let text = |text: &str| Said::Text(text.as_bytes().to_vec());
    let table: Vec<(&str, Vec<u8>, Vec<Said>)> = vec![
        ("text", frame(0x81, b"<a/>"), vec![text("<a/>")]),
        ("empty text", frame(0x81, b""), vec![text("")]),
        ("binary", frame(0x82, b"x"), vec![Said::Fault(Fault::Binary)]),
        ("unmasked", vec![0x81, 0x01, b'x'], vec![PROTOCOL]),
        ("rsv1", frame(0xC1, b"x"), vec![PROTOCOL]),
        ("rsv2", frame(0xA1, b"x"), vec![PROTOCOL]),
        ("rsv3", frame(0x91, b"x"), vec![PROTOCOL]),
        ("reserved data opcode", frame(0x83, b"x"), vec![PROTOCOL]),
        ("reserved control opcode", frame(0x8B, b"x"), vec![PROTOCOL]),
        ("fragmented ping", frame(0x09, b"x"), vec![PROTOCOL]),
        ("long ping", frame(0x89, &[b'x'; 126]), vec![PROTOCOL]),
        ("longest ping", frame(0x89, &[b'x'; 125]), vec![Said::Ping(vec![b'x'; 125])]),
        ("pong unasked", frame(0x8A, b"x"), vec![Said::Pong]),
        ("stray continuation", frame(0x80, b"x"), vec![PROTOCOL]),
        ("close", frame(0x88, b""), vec![Said::Close(None)]),
        ("close 1000", frame(0x88, b"\x03\xE8bye"), vec![Said::Close(Some(1000))]),
        ("close 4999", frame(0x88, &4999u16.to_be_bytes()), vec![Said::Close(Some(4999))]),
        ("close half code", frame(0x88, b"\x03"), vec![PROTOCOL]),
        ("close bad reason", frame(0x88, b"\x03\xE8\xC3\x28"), vec![Said::Fault(Fault::NotUtf8)]),
        ("text not UTF-8", frame(0x81, b"<\xC3\x28"), vec![Said::Fault(Fault::NotUtf8)]),
        ("long form of 16", vec![0x81, 0xFE, 0, 125, 0, 0, 0, 0], vec![PROTOCOL]),
        (
            "long form of 64",
            [&[0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF][..], &[0; 4]].concat(),
            vec![PROTOCOL],
        ),
        ("negative length", [&[0x81][..], &[0xFF; 9], &[0; 4]].concat(), vec![PROTOCOL]),
        (
            "nothing after close",
            [frame(0x88, b""), frame(0x81, b"x")].concat(),
            vec![Said::Close(None)],
        ),
        (
            "ping between fragments",
            [frame(0x01, b"ab"), frame(0x89, b"p"), frame(0x00, b"c"), frame(0x80, b"d")].concat(),
            vec![Said::Fragment, Said::Ping(b"p".to_vec()), Said::Fragment, text("abcd")],
        ),
        (
            "text inside a message",
            [frame(0x01, b"ab"), frame(0x81, b"c")].concat(),
            vec![Said::Fragment, PROTOCOL],
        ),
        (
            "character cut by fragments",
            [frame(0x01, b"\xC3"), frame(0x80, b"\xA9")].concat(),
            vec![Said::Fragment, text("é")],
        ),
    ];
    for (name, bytes, expected) in table {
        assert_eq!(whole(&bytes), expected, "{name}");
    }
}

#[test]
fn status_codes_that_must_not_be_sent_are_refused() {
    for code in [0u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
        assert_eq!(whole(&frame(0x88, &code.to_be_bytes())), [PROTOCOL], "{code}");
    }
    for code in [1000u16, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 4000, 4999] {
        assert_eq!(whole(&frame(0x88, &code.to_be_bytes())), [Said::Close(Some(code))], "{code}");
    }
}

#[test]
fn the_limit_is_on_the_reassembled_message() {
    let exact = vec![b'x'; 100];
    assert_eq!(run(100, &[&frame(0x81, &exact)]).0, [Said::Text(exact.clone())]);
    assert_eq!(run(99, &[&frame(0x81, &exact)]).0, [Said::Fault(Fault::TooBig)]);
    let first = frame(0x01, &exact);
    let (over, decoder) = run(100, &[&first, &frame(0x00, b""), &frame(0x80, b"x")]);
    assert_eq!(over, [Said::Fragment, Said::Fragment, Said::Fault(Fault::TooBig)]);
    assert_eq!(decoder.held(), 0);
}

#[test]
fn a_header_of_one_gibibyte_costs_no_memory() {
    let header = [&[0x81, 0xFF, 0, 0, 0, 0, 0x40, 0, 0, 0][..], &[0; 4]].concat();
    assert_eq!(run(1 << 18, &[&header]).0, [Said::Fault(Fault::TooBig)]);
    let (said, decoder) = run(1 << 31, &[&header]);
    assert_eq!((said, decoder.held()), (vec![], 0));
}

#[test]
fn a_million_tiny_fragments_stay_below_the_limit() {
    let mut decoder = Decoder::new(1 << 16);
    let mut last = None;
    decoder.decode(&mut frame(0x01, b"x"), &mut |_| {});
    for _ in 0..1_000_000 {
        decoder.decode(&mut frame(0x00, b"x"), &mut |piece| last = Some(said(piece)));
        assert!(decoder.held() <= 1 << 16);
    }
    assert_eq!(last, Some(Said::Fault(Fault::TooBig)));
}

#[test]
fn an_idle_decoder_owns_no_memory() {
    let bytes = [frame(0x01, &[b'x'; 300]), frame(0x80, &[b'y'; 300])].concat();
    let (heard, decoder) = run(1000, &[&bytes[..5], &bytes[5..200], &bytes[200..]]);
    assert_eq!(heard.len(), 2);
    assert_eq!(decoder.held(), 0);
    assert!(size_of::<Decoder>() <= 128, "{}", size_of::<Decoder>());
}

#[test]
fn frames_are_encoded_with_the_shortest_length() {
    for (length, header) in [
        (0, vec![0x81, 0]),
        (125, vec![0x81, 125]),
        (126, vec![0x81, 126, 0, 126]),
        (0xFFFF, vec![0x81, 126, 0xFF, 0xFF]),
        (0x10000, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] {
        let mut out = Vec::new();
        encode(&mut out, Opcode::Text, &vec![b'x'; length]);
        assert_eq!(out[..header.len()], header);
        assert_eq!(out.len(), header.len() + length);
    }
    let mut out = Vec::new();
    encode(&mut out, Opcode::Close, &1000_u16.to_be_bytes());
    encode(&mut out, Opcode::Close, &[]);
    assert_eq!(out, [0x88, 2, 0x03, 0xE8, 0x88, 0]);
}

#[test]
fn the_first_reserved_bit_marks_compressed_messages_where_that_was_agreed_on() {
    let long = "<a>to be or not to be or not to be or not to be</a>";
    let (data, text) = (small(long), Said::Text(long.into()));
    let (left, right) = data.split_at(data.len() / 2);
    let table: Vec<(&str, Vec<u8>, Vec<Said>)> = vec![
        ("whole", frame(0xC1, &data), vec![text.clone()]),
        ("plain", frame(0x81, long.as_bytes()), vec![text.clone()]),
        (
            "in fragments, then plain",
            [
                frame(0x41, left),
                frame(0x89, b"p"),
                frame(0x80, right),
                frame(0x81, b"<b/>"),
                frame(0xC1, &data),
            ]
            .concat(),
            vec![
                Said::Fragment,
                Said::Ping(b"p".to_vec()),
                text.clone(),
                Said::Text(b"<b/>".to_vec()),
                text.clone(),
            ],
        ),
        // RFC 7692 §6.1 "This bit MUST NOT be set on" control frames and on later fragments.
        ("on a ping", frame(0xC9, b"x"), vec![PROTOCOL]),
        ("on a close", frame(0xC8, b""), vec![PROTOCOL]),
        (
            "on a continuation",
            [frame(0x41, left), frame(0xC0, right)].concat(),
            vec![Said::Fragment, PROTOCOL],
        ),
        ("rsv1 and rsv2", frame(0xE1, &data), vec![PROTOCOL]),
        ("rsv3", frame(0x91, b"x"), vec![PROTOCOL]),
        ("broken", frame(0xC1, b"<a/>"), vec![PROTOCOL]),
        ("empty", frame(0xC1, b""), vec![PROTOCOL]),
        ("cut short", frame(0xC1, left), vec![PROTOCOL]),
    ];
    for (name, bytes, expected) in table {
        assert_eq!(run_inflating(1000, &[&bytes]), expected, "{name}");
    }
    assert_eq!(whole(&frame(0xC1, &data)), [PROTOCOL], "not agreed on");
}

#[test]
fn the_limit_is_on_the_inflated_message() {
    let text = "x".repeat(5000);
    let data = frame(0xC1, &small(&text));
    assert!(data.len() < 100);
    assert_eq!(run_inflating(5000, &[&data]), [Said::Text(text.into_bytes())]);
    assert_eq!(run_inflating(4999, &[&data]), [Said::Fault(Fault::TooBig)]);
    let endless = frame(0x41, &vec![0; deflate::compressed_max(100) + 1]);
    assert_eq!(run_inflating(100, &[&endless]), [Said::Fault(Fault::TooBig)]);
}

proptest! {
    /// What we compress comes back, whatever the cuts.
    #[test]
    fn compressed_messages_come_back(
        messages in prop::collection::vec("[a-zé€𝄞]{1,20}", 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let texts: Vec<_> = messages.iter().map(|text| text.repeat(30)).collect();
        let mut bytes = Vec::new();
        for text in &texts {
            let mut one = Vec::new();
            prop_assert!(encode_deflated(&mut one, text.as_bytes()).is_some());
            let payload = if one[1] < 126 { &one[2..] } else { &one[4..] };
            let (left, right) = payload.split_at(payload.len() / 2);
            bytes.extend(frame(one[0] & 0x7F, left));
            bytes.extend(frame(0x80, right));
        }
        let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let chunks: Vec<_> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let heard = run_inflating(10_000, &chunks).into_iter();
        let heard: Vec<_> = heard.filter(|said| *said != Said::Fragment).collect();
        let said: Vec<_> = texts.into_iter().map(|text| Said::Text(text.into_bytes())).collect();
        prop_assert_eq!(heard, said);
    }

    /// Any cut of the byte sequence says the same, and arbitrary bytes never panic.
    #[test]
    fn cuts_change_nothing(
        messages in prop::collection::vec((any::<bool>(), "[a-zé€𝄞]{0,200}"), 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut bytes = Vec::new();
        for (is_split, text) in &messages {
            let text = text.as_bytes();
            if *is_split {
                let (left, right) = text.split_at(text.len() / 2);
                bytes.extend(frame(0x01, left));
                bytes.extend(frame(0x89, b"ping"));
                bytes.extend(frame(0x80, right));
            } else {
                bytes.extend(frame(0x81, text));
            }
        }
        let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let chunks: Vec<_> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(run(10_000, &chunks).0, run(10_000, &[&bytes]).0);
        let texts: Vec<_> = run(10_000, &chunks).0.into_iter()
            .filter_map(|said| if let Said::Text(text) = said { Some(text) } else { None })
            .collect();
        let expected: Vec<_> = messages.iter().map(|(_, text)| text.clone().into_bytes()).collect();
        prop_assert_eq!(texts, expected);
    }

    #[test]
    fn arbitrary_bytes_never_panic_nor_outgrow_the_limit(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..16),
    ) {
        let mut decoder = Decoder::new(256);
        for mut chunk in chunks {
            decoder.decode(&mut chunk, &mut |_| {});
            prop_assert!(decoder.held() <= 256 + CONTROL_BYTES_MAX * 2);
        }
    }
}

/// §5.1: a client masks every frame, and a server none.
#[test]
fn each_side_understands_the_other_only() {
    let sides: [fn(usize) -> Decoder; 2] = [Decoder::new, Decoder::of_client];
    for length in [0, 1, 125, 126, 0xFFFF, 0x1_0000] {
        let text = vec![b'x'; length];
        let (mut plain, mut masked) = (Vec::new(), Vec::new());
        encode(&mut plain, Opcode::Text, &text);
        encode_masked(&mut masked, Opcode::Text, &text, [1, 2, 3, 4]);
        assert_eq!(masked.len(), plain.len() + 4);
        assert!(length == 0 || masked[masked.len() - length..] != text);
        for (bytes, right, wrong) in [(masked, sides[0], sides[1]), (plain, sides[1], sides[0])] {
            // Whole, and byte by byte.
            for size in [bytes.len(), 1] {
                let (mut decoder, mut heard) = (right(0x1_0000), Vec::new());
                for chunk in bytes.chunks(size) {
                    decoder.decode(&mut chunk.to_vec(), &mut |piece| heard.push(said(piece)));
                }
                assert_eq!(heard, [Said::Text(text.clone())], "{length} {size}");
            }
            let mut heard = Vec::new();
            wrong(0x1_0000).decode(&mut bytes.clone(), &mut |piece| heard.push(said(piece)));
            assert_eq!(heard, [Said::Fault(Fault::Protocol(""))], "{length}");
        }
    }
}
