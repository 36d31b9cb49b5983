use super::*;
use waxwing_stanza::MessageType;

fn acks(received: u64) -> Acks {
    let limits = Limits { sm_queue_stanzas: 3, ..Limits::default() };
    Acks::new(Jid::new("a@b/c").unwrap(), received, &limits)
}

fn push(acks: &mut Acks, tag: u64) -> Result<(), Full> {
    acks.push(&Stanza::message(MessageType::Chat), Tag(tag))
}

#[test]
fn inbound_counting_starts_at_enable() {
    let mut acks = acks(4);
    assert_eq!(acks.h(), 0);
    acks.handled(4);
    assert_eq!(acks.h(), 0);
    acks.received(6);
    acks.handled(5);
    assert_eq!(acks.h(), 1);
    acks.handled(99);
    assert_eq!(acks.h(), 2, "what never came cannot be handled");
}

#[test]
fn stanzas_answered_by_the_stream_wait_for_their_turn() {
    let mut acks = acks(0);
    acks.received(4);
    acks.settle(2);
    acks.settle(4);
    assert_eq!(acks.h(), 0);
    acks.handled(1);
    assert_eq!(acks.h(), 2);
    acks.handled(3);
    assert_eq!(acks.h(), 4);
    assert!(acks.is_settled());
}

#[test]
fn an_answer_is_owed_once_all_that_was_asked_for_is_handled() {
    let mut acks = acks(0);
    acks.received(2);
    assert_eq!(acks.asked(), 0);
    acks.handled(1);
    assert!(!acks.owes_answer());
    acks.handled(2);
    assert!(acks.owes_answer());
    assert_eq!(acks.tell(), 2);
    assert!(!acks.owes_answer());
}

#[test]
fn both_counters_wrap() {
    let mut acks = acks(0);
    acks.received(u64::from(u32::MAX) + 2);
    acks.handled(u64::from(u32::MAX));
    assert_eq!(acks.h(), u32::MAX);
    acks.handled(u64::from(u32::MAX) + 2);
    assert_eq!(acks.h(), 1);

    acks.confirmed = u64::from(u32::MAX) - 1;
    for tag in 1..=3 {
        push(&mut acks, tag).unwrap();
    }
    assert_eq!(acks.confirm(0), Ok(vec![Tag(1), Tag(2)]));
    assert_eq!(acks.confirm(2), Err(TooHigh { h: 2, sent: 1 }));
    assert_eq!(acks.confirm(1), Ok(vec![Tag(3)]));
    assert_eq!(acks.bytes(), 0);
}

#[test]
fn an_old_h_changes_nothing() {
    let mut acks = acks(0);
    push(&mut acks, 1).unwrap();
    push(&mut acks, 0).unwrap();
    assert_eq!(acks.confirm(2), Ok(vec![Tag(1)]));
    push(&mut acks, 3).unwrap();
    assert_eq!(acks.confirm(1), Ok(vec![]));
    assert_eq!(acks.len(), 1);
}

#[test]
fn an_h_below_zero_is_too_high() {
    let mut acks = acks(0);
    push(&mut acks, 1).unwrap();
    assert_eq!(acks.confirm(u32::MAX), Err(TooHigh { h: u32::MAX, sent: 1 }));
    assert_eq!(acks.confirm(1), Ok(vec![Tag(1)]));
    assert_eq!(acks.confirm(u32::MAX), Err(TooHigh { h: u32::MAX, sent: 1 }));
    assert_eq!(acks.confirm(0), Ok(vec![]));
}

#[test]
fn a_full_queue_keeps_the_stanza_that_filled_it() {
    let mut acks = acks(0);
    for tag in 1..=3 {
        push(&mut acks, tag).unwrap();
    }
    assert_eq!(push(&mut acks, 4), Err(Full));
    let tags: Vec<Tag> = acks.into_unacked().map(|(_, tag)| tag).collect();
    assert_eq!(tags, [Tag(1), Tag(2), Tag(3), Tag(4)]);
}

#[test]
fn resuming_forgets_what_was_received_but_not_handled() {
    let mut acks = acks(0);
    acks.received(5);
    acks.handled(3);
    assert_eq!(acks.resume(), 5);
    assert_eq!(acks.h(), 3);
    acks.handled(4); // late news about the old stream
    assert_eq!(acks.h(), 3);
    acks.received(6);
    acks.handled(6);
    assert_eq!(acks.h(), 4);
}

#[test]
fn requests_are_batched() {
    let mut acks = acks(0);
    push(&mut acks, 1).unwrap();
    assert!(acks.wants_request(1));
    assert!(!acks.wants_request(2));
    push(&mut acks, 2).unwrap();
    assert!(acks.wants_request(2));
    acks.requested();
    push(&mut acks, 3).unwrap();
    assert!(!acks.wants_request(1), "one request at a time");
    acks.confirm(2).unwrap();
    assert!(acks.wants_request(1));
}
