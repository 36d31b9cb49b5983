//! The rules of a session, without sockets and tasks.

use waxwing_stream::MarkKind;

use super::*;
use crate::bosh::body::NS;

/// A session and what the test holds of it.
struct Talk {
    state: State,
    now: Instant,
    next: u64,
}

/// What a request is answered, if it is.
struct Waiting(Turn);

impl Waiting {
    fn answer(&mut self) -> Option<String> {
        match &mut self.0 {
            Turn::Now(answer) => Some(text(answer)),
            Turn::Later(answer) => answer.try_recv().ok().map(|answer| text(&answer)),
        }
    }
}

fn text(answer: &Answer) -> String {
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    text.replace(&format!("<body xmlns='{NS}'"), "<body")
}

fn request(attributes: &str, payload: &str) -> Request {
    let text =
        format!("<body xmlns='{NS}' xmlns:xmpp='urn:xmpp:xbosh' {attributes}>{payload}</body>");
    Request::read(text.as_bytes(), 10_000).unwrap()
}

fn outbox(pieces: &[(&str, MarkKind)]) -> Outbox {
    let mut out = Outbox::default();
    for (text, kind) in pieces {
        out.text += text;
        out.marks.push(waxwing_stream::Mark { end: out.text.len(), kind: *kind });
    }
    out
}

fn words(texts: &[&str]) -> Outbox {
    outbox(&texts.iter().map(|text| (*text, MarkKind::Text)).collect::<Vec<_>>())
}

impl Talk {
    /// An open session with nothing held; the first request had number 100.
    fn new(terms: &str) -> Self {
        let now = start();
        let first = request(&format!("rid='100' to='localhost' ver='1.6' {terms}"), "");
        let (mut state, turn) = State::new(now, "SID", &first, &Limits::default());
        assert!(matches!(state.hear(now).pop_front(), Some(Piece::Message(_))));
        let open = "<open xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" from=\"localhost\" \
                    id=\"i\" version=\"1.0\" />";
        assert!(state.say(now, &words(&[open, "<stream:features/>"])));
        let greeting = Waiting(turn).answer().unwrap();
        assert!(greeting.contains("<stream:features/>"), "{greeting}");
        Self { state, now, next: 101 }
    }

    fn send(&mut self, rid: u64, attributes: &str, payload: &str) -> Waiting {
        let request = request(&format!("sid='SID' rid='{rid}' {attributes}"), payload);
        Waiting(self.state.take(self.now, request))
    }

    fn send_next(&mut self, payload: &str) -> Waiting {
        self.next += 1;
        self.send(self.next - 1, "", payload)
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn hear(&mut self) -> Vec<Piece> {
        self.state.hear(self.now).into()
    }

    fn say(&mut self, texts: &[&str]) -> bool {
        self.state.say(self.now, &words(texts))
    }
}

#[allow(clippy::disallowed_methods, reason = "any instant will do")]
fn start() -> Instant {
    Instant::now()
}

fn message(text: &str) -> Piece {
    Piece::Message(text.to_owned())
}

const ITEM_NOT_FOUND: &str = "<body type='terminate' condition='item-not-found'/>";
const POLICY_VIOLATION: &str = "<body type='terminate' condition='policy-violation'/>";

fn same(answer: Option<String>, expected: &str) {
    assert_eq!(answer.map(|answer| answer.replace('"', "'")).as_deref(), Some(expected));
}

#[test]
fn the_first_answer_says_what_holds() {
    let first = request("rid='7' to='localhost' wait='30' hold='1' ver='1.6' ack='1'", "");
    let now = start();
    let (mut state, turn) = State::new(now, "SID", &first, &Limits::default());
    let mut turn = Waiting(turn);
    assert_eq!(turn.answer(), None);
    state.hear(now);
    let open = "<open xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" from=\"localhost\" id=\"i\" />";
    assert!(state.say(now, &words(&[open, "<stream:features/>"])));
    let answer = turn.answer().unwrap().replace('"', "'");
    for part in [
        "sid='SID'",
        "wait='30'",
        "hold='1'",
        "requests='2'",
        "inactivity='60'",
        "maxpause='120'",
        "ver='1.6'",
        "ack='7'",
        "from='localhost'",
        "authid='i'",
        "xmlns:xmpp='urn:xmpp:xbosh'",
        "xmpp:version='1.0'",
        "xmpp:restartlogic='true'",
        "xmlns:stream='http://etherx.jabber.org/streams'",
        "<stream:features/>",
    ] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
}

#[test]
fn a_request_is_held_until_there_is_something_to_say() {
    let mut talk = Talk::new("hold='1'");
    let mut held = talk.send_next("<iq xmlns='jabber:client'/>");
    assert_eq!(talk.hear(), [message("<iq xmlns='jabber:client'/>")]);
    assert_eq!(held.answer(), None);
    assert!(talk.say(&["<iq/>", "<message/>"]));
    same(held.answer(), "<body><iq/><message/></body>");
    // Nobody is there to hear: the stream keeps its words.
    assert!(!talk.say(&["<presence/>"]));
    let mut held = talk.send_next("");
    assert!(talk.say(&["<presence/>"]));
    same(held.answer(), "<body><presence/></body>");
}

#[test]
fn one_more_request_frees_the_one_that_was_held() {
    let mut talk = Talk::new("hold='1'");
    let mut first = talk.send_next("");
    assert_eq!(talk.hear(), [Piece::Alive]);
    let mut second = talk.send_next("<a xmlns='b'/>");
    // Not before the stream has taken what came.
    assert_eq!(first.answer(), None);
    assert_eq!(talk.hear(), [message("<a xmlns='b'/>")]);
    same(first.answer(), "<body/>");
    assert_eq!(second.answer(), None);
}

#[test]
fn requests_are_taken_and_answered_in_order() {
    let mut talk = Talk::new("hold='1'");
    let mut later = talk.send(102, "", "<b xmlns='x'/>");
    assert_eq!(talk.hear(), []);
    let mut sooner = talk.send(101, "", "<a xmlns='x'/>");
    assert_eq!(talk.hear(), [message("<a xmlns='x'/>"), message("<b xmlns='x'/>")]);
    same(sooner.answer(), "<body/>");
    assert_eq!(later.answer(), None);
    assert!(talk.say(&["<c/>"]));
    same(later.answer(), "<body><c/></body>");
}

#[test]
fn numbers_outside_the_window_end_the_session() {
    for rid in [103, 1, 99, 9_007_199_254_740_991] {
        let mut talk = Talk::new("hold='1'");
        same(talk.send(rid, "", "<a xmlns='x'/>").answer(), ITEM_NOT_FOUND);
        assert_eq!(talk.hear(), [Piece::End], "{rid}");
        same(talk.send(101, "", "").answer(), ITEM_NOT_FOUND);
    }
}

#[test]
fn an_answer_that_was_lost_is_given_again() {
    let mut talk = Talk::new("hold='1'");
    drop(talk.send(101, "", "<a xmlns='x'/>"));
    talk.hear();
    assert!(talk.say(&["<b/>"]));
    same(talk.send(101, "", "<a xmlns='x'/>").answer(), "<body><b/></body>");
    assert_eq!(talk.hear(), [], "nothing is taken twice");
    // While it is held, the latest gets the answer.
    let mut before = talk.send(102, "", "<a xmlns='x'/>");
    let mut after = talk.send(102, "", "<a xmlns='x'/>");
    same(before.answer(), "<body type='error'/>");
    assert_eq!(talk.hear().len(), 1);
    assert!(talk.say(&["<c/>"]));
    same(after.answer(), "<body><c/></body>");
}

#[test]
fn too_many_requests_at_a_time_end_the_session() {
    let mut talk = Talk::new("hold='1'");
    let mut all: Vec<_> = (0..3).map(|_| talk.send_next("<a xmlns='x'/>")).collect();
    same(all[0].answer(), POLICY_VIOLATION);
    same(all[1].answer(), "<body/>");
    same(all[2].answer(), "<body/>");
    assert_eq!(talk.hear().pop(), Some(Piece::End));
}

#[test]
fn who_polls_gets_answers_soon_and_may_not_hurry() {
    let mut talk = Talk::new("wait='0' hold='0'");
    assert!(talk.state.wait() < Duration::from_secs(1));
    let mut first = talk.send_next("");
    talk.hear();
    talk.state.time_out(talk.now, 101);
    same(first.answer(), "<body/>");
    talk.pass(2);
    let mut second = talk.send_next("");
    talk.hear();
    talk.state.time_out(talk.now, 102);
    same(second.answer(), "<body/>");
    talk.pass(1);
    same(talk.send_next("").answer(), POLICY_VIOLATION);
}

#[test]
fn who_polls_and_gets_something_may_come_at_once() {
    let mut talk = Talk::new("wait='0' hold='0'");
    let mut first = talk.send_next("");
    talk.hear();
    assert!(talk.say(&["<a/>"]));
    same(first.answer(), "<body><a/></body>");
    let mut second = talk.send_next("");
    assert_eq!(talk.hear(), [Piece::Alive]);
    assert_eq!(second.answer(), None);
}

#[test]
fn who_is_silent_for_too_long_is_gone() {
    let mut talk = Talk::new("hold='1'");
    assert_eq!(talk.state.expire(talk.now), Some(talk.now + Duration::from_secs(60)));
    talk.pass(59);
    assert!(talk.state.expire(talk.now).is_some());
    let held = talk.send_next("");
    talk.hear();
    talk.pass(600);
    assert!(talk.state.expire(talk.now).is_some(), "a request is held");
    talk.state.time_out(talk.now, 101);
    drop(held);
    talk.pass(60);
    assert_eq!(talk.state.expire(talk.now), None);
    assert_eq!(talk.hear(), [Piece::End]);
    same(talk.send_next("").answer(), ITEM_NOT_FOUND);
}

#[test]
fn a_pause_answers_everybody_and_lets_the_client_be_silent() {
    let mut talk = Talk::new("hold='1'");
    let mut held = talk.send_next("");
    talk.hear();
    let mut pause = talk.send(102, "pause='100'", "");
    same(held.answer(), "<body/>");
    same(pause.answer(), "<body/>");
    talk.pass(99);
    assert!(talk.state.expire(talk.now).is_some());
    talk.send(103, "", "");
    talk.hear();
    talk.state.time_out(talk.now, 103);
    talk.pass(60);
    assert_eq!(talk.state.expire(talk.now), None, "the pause ended with the next request");
}

#[test]
fn the_last_request_ends_the_stream_and_the_session() {
    let mut talk = Talk::new("hold='1'");
    let mut held = talk.send_next("");
    talk.hear();
    let mut last = talk.send(102, "type='terminate'", "<presence xmlns='jabber:client'/>");
    let pieces = talk.state.hear(talk.now);
    assert_eq!(pieces, [message("<presence xmlns='jabber:client'/>"), message(CLOSE)]);
    same(held.answer(), "<body/>");
    let close = "<close xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" />";
    assert!(
        talk.state.say(talk.now, &outbox(&[(close, MarkKind::Text), ("", MarkKind::Close(1000))]))
    );
    same(last.answer(), "<body type='terminate'/>");
    assert!(talk.state.is_over());
}

#[test]
fn a_stream_that_is_closed_here_is_closed_there() {
    let mut talk = Talk::new("hold='1'");
    let mut held = talk.send_next("");
    talk.hear();
    assert!(talk.say(&["<close xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" />"]));
    same(held.answer(), "<body type='terminate'/>");
    assert_eq!(talk.hear(), [message(CLOSE)]);
}

#[test]
fn a_stream_error_is_told_with_what_was_said_before() {
    let mut talk = Talk::new("hold='1'");
    let mut held = talk.send_next("");
    talk.hear();
    let error = "<stream:error xmlns:stream='http://etherx.jabber.org/streams'/>";
    let close = "<close xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" />";
    assert!(talk.say(&["<a/>", error, close]));
    let answer = held.answer().unwrap().replace('"', "'");
    assert!(
        answer.starts_with("<body type='terminate' condition='remote-stream-error'"),
        "{answer}"
    );
    assert!(answer.contains(&format!("<a/>{error}</body>")), "{answer}");
}

#[test]
fn a_restart_opens_another_stream_and_ignores_the_rest() {
    let mut talk = Talk::new("hold='1'");
    talk.send(101, "xmpp:restart='true' to='localhost'", "<a xmlns='x'/>");
    let pieces = talk.hear();
    let [Piece::Message(open)] = pieces.as_slice() else { panic!("{pieces:?}") };
    assert!(open.starts_with("<open ") && open.contains("localhost"), "{open}");
}

#[test]
fn acknowledgements_tell_of_later_requests() {
    let mut talk = Talk::new("hold='1' ack='1'");
    let mut first = talk.send_next("");
    talk.hear();
    let mut second = talk.send_next("<a xmlns='x'/>");
    talk.hear();
    same(first.answer(), "<body ack='102'/>");
    assert!(talk.say(&["<b/>"]));
    same(second.answer(), "<body><b/></body>");
}

#[test]
fn a_wish_to_hear_from_the_client_sends_it_back() {
    let mut talk = Talk::new("hold='1'");
    let mut held = talk.send_next("");
    talk.hear();
    assert!(talk.state.say(talk.now, &outbox(&[("", MarkKind::Ping)])));
    same(held.answer(), "<body/>");
}

#[test]
fn clients_of_old_hear_statuses() {
    let now = start();
    let first = request("rid='100' to='localhost'", "");
    let (mut state, _turn) = State::new(now, "SID", &first, &Limits::default());
    let Turn::Now(answer) = state.take(now, request("sid='SID' rid='500'", "")) else {
        panic!("a request outside the window waits")
    };
    assert_eq!(answer.status, 404);
}
