//! On a store in memory, as the module uses it.

use object_store::memory::InMemory;

use super::*;
use crate::upload::places::PATIENCE;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const ROMEO: &str = "romeo@localhost";

fn objects() -> (Arc<InMemory>, Objects) {
    let store = Arc::new(InMemory::new());
    let objects = Objects::new(Arc::clone(&store) as _, "/files/", Clock::simulated(0, 1), (4, 2));
    (store, objects)
}

async fn put(objects: &Objects, bytes: &[u8], piece: usize) {
    let mut draft = objects.begin(TOKEN, ROMEO, bytes.len() as u64).await.unwrap();
    for piece in bytes.chunks(piece) {
        draft.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    draft.keep().await.unwrap();
}

async fn read(objects: &Objects, part: Range<u64>) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    match objects.content(TOKEN, part, true).await? {
        Content::Stream(mut pieces) => {
            while let Some(piece) = pieces.recv().await {
                all.extend_from_slice(&piece);
            }
        }
        content => assert_eq!(format!("{content:?}"), "Bytes(b\"\")"),
    }
    Ok(all)
}

#[tokio::test]
async fn files_of_every_size_come_back_whole_and_in_parts() {
    for size in [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 7] {
        let (store, objects) = objects();
        let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        put(&objects, &bytes, 100_001).await;
        let path = Path::from(format!("files/01/{TOKEN}"));
        assert_eq!(store.head(&path).await.unwrap().size, size as u64);
        assert!(read(&objects, 0..size as u64).await.unwrap() == bytes, "{size}");
        if size > 10 {
            let part = size as u64 / 3..size as u64 - 3;
            let expected = &bytes[size / 3..size - 3];
            assert!(read(&objects, part).await.unwrap() == expected, "{size}");
        }
        let kept = objects.kept("01").await.unwrap();
        assert_eq!(kept.iter().map(|kept| kept.token.as_str()).collect::<Vec<_>>(), [TOKEN]);
        assert_eq!(objects.kept("02").await.unwrap(), []);
        objects.remove(TOKEN).await.unwrap();
        objects.remove(TOKEN).await.unwrap();
        let gone = objects.content(TOKEN, 0..1, true).await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn nothing_is_seen_of_a_file_that_was_given_up() {
    let (_, objects) = objects();
    let mut draft = objects.begin(TOKEN, ROMEO, 9 << 20).await.unwrap();
    draft.write(Bytes::from(vec![1; 6 << 20])).await.unwrap();
    drop(draft);
    assert_eq!(objects.kept("01").await.unwrap(), []);
    objects.probe().await.unwrap();
    // One may be written at a time by one account, and that place is free again.
    let _place = objects.begin(TOKEN, ROMEO, 1).await.unwrap();
}

/// The kind of error of what waits until its time is over.
async fn in_vain<T>(objects: &Objects, wanted: impl Future<Output = io::Result<T>>) -> ErrorKind {
    let over = async {
        objects.clock.advance(PATIENCE);
        std::future::pending().await
    };
    tokio::select! {
        biased;
        got = wanted => got.map(drop).unwrap_err().kind(),
        () = over => unreachable!("it has no end"),
    }
}

#[tokio::test]
async fn one_slow_account_keeps_nobody_else_from_writing() {
    let (_, objects) = objects();
    let slow = objects.begin(TOKEN, ROMEO, 9).await.unwrap();
    assert_eq!(in_vain(&objects, objects.begin(TOKEN, ROMEO, 9)).await, ErrorKind::ResourceBusy);
    let others = ["juliet@localhost", "nurse@localhost", "tybalt@localhost"];
    let mut drafts = Vec::new();
    for owner in others {
        drafts.push(objects.begin(TOKEN, owner, 9).await.unwrap());
    }
    let late = objects.begin(TOKEN, "paris@localhost", 9);
    assert_eq!(in_vain(&objects, late).await, ErrorKind::ResourceBusy);
    drop(slow);
    objects.begin(TOKEN, ROMEO, 9).await.unwrap();
}

#[tokio::test]
async fn so_many_are_read_at_a_time_and_one_that_is_taken_makes_room() {
    let (_, objects) = objects();
    put(&objects, b"0123456789", 10).await;
    let Content::Stream(mut one) = objects.content(TOKEN, 0..10, true).await.unwrap() else {
        panic!("a stream");
    };
    let other = objects.content(TOKEN, 0..10, true).await.unwrap();
    let third = objects.content(TOKEN, 0..10, true);
    assert_eq!(in_vain(&objects, third).await, ErrorKind::ResourceBusy);
    // What brings no bytes needs no place.
    objects.content(TOKEN, 0..10, false).await.unwrap();
    assert_eq!(one.recv().await.unwrap(), "0123456789");
    assert_eq!(one.recv().await, None);
    assert_eq!(read(&objects, 0..10).await.unwrap(), b"0123456789");
    drop(other);
    assert_eq!(read(&objects, 0..10).await.unwrap(), b"0123456789");
}

#[test]
fn a_slow_storage_is_not_taken_for_a_client_that_left() {
    assert_eq!(lost(Duration::from_secs(3)).kind(), ErrorKind::BrokenPipe);
    let error = lost(Duration::from_secs(31));
    assert_eq!(error.to_string(), "the storage gave nothing for 31 seconds");
}

#[tokio::test]
async fn only_tokens_become_names() {
    let (_, objects) = objects();
    for text in ["", "../4567890123456789012345678901", &TOKEN.to_uppercase()] {
        assert!(objects.begin(text, ROMEO, 1).await.is_err(), "{text}");
        assert!(objects.remove(text).await.is_err(), "{text}");
    }
}
