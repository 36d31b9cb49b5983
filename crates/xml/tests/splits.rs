//! However a stream is cut, the same events and the same error come out of it.

#![allow(clippy::unwrap_used)] // helpers of tests may fail like tests

mod support {
    pub(crate) mod events;
    pub(crate) mod limits;
    pub(crate) mod random;
}

use support::{events::*, limits::WIDE, random::*};
use waxwing_xml::Limits;

fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "xml"))
        .collect();
    files.sort();
    assert!(files.len() >= 10, "the corpus is there");
    files.iter().map(|it| (it.display().to_string(), std::fs::read(it).unwrap())).collect()
}

fn outcome(pieces: &[&[u8]]) -> Vec<String> {
    outcome_within(WIDE, pieces)
}

fn outcome_within(limits: Limits, pieces: &[&[u8]]) -> Vec<String> {
    let (events, error) = events(pieces, limits);
    let mut said: Vec<_> = events.iter().map(describe).collect();
    said.extend(error.map(|error| format!("{error:?}")));
    said
}

#[test]
fn every_cut_gives_the_same_events() {
    for (name, bytes) in corpus() {
        let whole = outcome(&[&bytes]);
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            assert_eq!(outcome(&[head, tail]), whole, "{name} cut at {at}");
        }
        for size in [1, 2, 3, 7] {
            let pieces: Vec<_> = bytes.chunks(size).collect();
            assert_eq!(outcome(&pieces), whole, "{name} in pieces of {size}");
        }
    }
}

/// The first word of a file's name says what becomes of it.
#[test]
fn every_transcript_ends_as_its_name_says() {
    for (name, bytes) in corpus() {
        let file = name.rsplit('/').next().unwrap();
        let expected = file.split(['-', '.']).next().unwrap();
        let (events, error) = events(&[&bytes], WIDE);
        let kind = format!("{error:?}").to_lowercase();
        match expected {
            "good" => assert_eq!(error, None, "{name}"),
            kind_of_error => assert!(kind.contains(kind_of_error), "{name}: {kind}"),
        }
        assert!(expected != "good" || !events.is_empty(), "{name}");
    }
}

#[test]
fn corrupted_transcripts_fail_at_the_same_place_in_any_pieces() {
    let corpus = corpus();
    let mut random = Random(0x5EED_0003);
    for case in 0..20_000 {
        let (name, mut bytes) = corpus[case % corpus.len()].clone();
        bytes.truncate(1200);
        mutate(&mut bytes, &mut random);
        let limits = if case % 2 == 0 { WIDE } else { narrow(&mut random) };
        let whole = outcome_within(limits, &[&bytes]);
        let single: Vec<_> = bytes.chunks(1).collect();
        let shown = || format!("{name}: {}", bytes.escape_ascii());
        assert_eq!(outcome_within(limits, &single), whole, "{}", shown());
        let size = 1 + random.below(64);
        let pieces: Vec<_> = bytes.chunks(size).collect();
        assert_eq!(outcome_within(limits, &pieces), whole, "{size}, {}", shown());
    }
}

/// Limits that a transcript may well pass.
fn narrow(random: &mut Random) -> Limits {
    Limits {
        element_bytes: 100 + random.below(400),
        depth: 2 + random.below(4),
        attributes: 4 + random.below(4),
        name_bytes: 8 + random.below(12),
        namespace_bytes: 30 + random.below(20),
        namespaces: 3 + random.below(4),
        children: 1 + random.below(4),
    }
}
