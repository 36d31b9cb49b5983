//! Every row of the eight tables of RFC 6121 Appendix A, and the pre-approval of §3.4.

use waxwing_kernel::presence::rules::{State, Subscription, inbound, outbound};
use waxwing_stanza::PresenceType::{self, Subscribe, Subscribed, Unsubscribe, Unsubscribed};

/// Reads a state as Appendix A.1 names it, with "approved" for §3.4.
fn state(name: &str) -> State {
    let mut words = name.split(" + ");
    let subscription = match words.next() {
        Some("None") => Subscription::None,
        Some("To") => Subscription::To,
        Some("From") => Subscription::From,
        Some("Both") => Subscription::Both,
        other => panic!("{other:?} is no state"),
    };
    let mut state = State { subscription, ..State::default() };
    for word in words {
        match word {
            "Pending Out" => state.is_asking = true,
            "Pending In" => state.is_asked = true,
            "Pending Out+In" => (state.is_asking, state.is_asked) = (true, true),
            "approved" => state.is_approved = true,
            other => panic!("{other:?} is no state"),
        }
    }
    state
}

/// Rows are: existing state | route or deliver? | new state, as the RFC prints them; a fourth
/// column holds what the server answers by itself.
fn check(title: &str, kind: PresenceType, table: &str) {
    let is_outbound = title.starts_with("A.2") || title.starts_with("outbound");
    let rule = if is_outbound { outbound } else { inbound };
    for row in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [before, passes, after] = cells[..3] else { panic!("{title}: {row}") };
        let after = if after == "no state change" { before } else { after };
        let ruling = rule(state(before), kind);
        assert_eq!(ruling.state, state(after), "{title}: {row}");
        assert_eq!(ruling.passes, passes == "MUST", "{title}: {row}");
        let reply = cells.get(3).map(|_| Subscribed);
        assert_eq!(ruling.reply, reply, "{title}: {row}");
    }
}

#[test]
fn a_2_1_outbound_subscribe() {
    check(
        "A.2.1",
        Subscribe,
        "None                  | MUST | None + Pending Out
         None + Pending Out    | MUST | no state change
         None + Pending In     | MUST | None + Pending Out+In
         None + Pending Out+In | MUST | no state change
         To                    | MUST | no state change
         To + Pending In       | MUST | no state change
         From                  | MUST | From + Pending Out
         From + Pending Out    | MUST | no state change
         Both                  | MUST | no state change",
    );
}

#[test]
fn a_2_2_outbound_unsubscribe() {
    check(
        "A.2.2",
        Unsubscribe,
        "None                  | MUST | no state change
         None + Pending Out    | MUST | None
         None + Pending In     | MUST | no state change
         None + Pending Out+In | MUST | None + Pending In
         To                    | MUST | None
         To + Pending In       | MUST | None + Pending In
         From                  | MUST | no state change
         From + Pending Out    | MUST | From
         Both                  | MUST | From",
    );
}

#[test]
fn a_2_3_outbound_subscribed() {
    check(
        "A.2.3",
        Subscribed,
        "None                  | MUST NOT | None + approved
         None + Pending Out    | MUST NOT | None + Pending Out + approved
         None + Pending In     | MUST     | From
         None + Pending Out+In | MUST     | From + Pending Out
         To                    | MUST NOT | To + approved
         To + Pending In       | MUST     | Both
         From                  | MUST NOT | no state change
         From + Pending Out    | MUST NOT | no state change
         Both                  | MUST NOT | no state change",
    );
}

#[test]
fn a_2_4_outbound_unsubscribed() {
    check(
        "A.2.4",
        Unsubscribed,
        "None                  | MUST NOT | no state change
         None + Pending Out    | MUST NOT | no state change
         None + Pending In     | MUST     | None
         None + Pending Out+In | MUST     | None + Pending Out
         To                    | MUST NOT | no state change
         To + Pending In       | MUST     | To
         From                  | MUST     | None
         From + Pending Out    | MUST     | None + Pending Out
         Both                  | MUST     | To",
    );
}

#[test]
fn a_3_1_inbound_subscribe() {
    check(
        "A.3.1",
        Subscribe,
        "None                  | MUST     | None + Pending In
         None + Pending Out    | MUST     | None + Pending Out+In
         None + Pending In     | MUST NOT | no state change
         None + Pending Out+In | MUST NOT | no state change
         To                    | MUST     | To + Pending In
         To + Pending In       | MUST NOT | no state change
         From                  | MUST NOT | no state change | auto-reply with subscribed
         From + Pending Out    | MUST NOT | no state change | auto-reply with subscribed
         Both                  | MUST NOT | no state change | auto-reply with subscribed",
    );
}

#[test]
fn a_3_2_inbound_unsubscribe() {
    check(
        "A.3.2",
        Unsubscribe,
        "None                  | MUST NOT | no state change
         None + Pending Out    | MUST NOT | no state change
         None + Pending In     | MUST     | None
         None + Pending Out+In | MUST     | None + Pending Out
         To                    | MUST NOT | no state change
         To + Pending In       | MUST     | To
         From                  | MUST     | None
         From + Pending Out    | MUST     | None + Pending Out
         Both                  | MUST     | To",
    );
}

#[test]
fn a_3_3_inbound_subscribed() {
    check(
        "A.3.3",
        Subscribed,
        "None                  | MUST NOT | no state change
         None + Pending Out    | MUST     | To
         None + Pending In     | MUST NOT | no state change
         None + Pending Out+In | MUST     | To + Pending In
         To                    | MUST NOT | no state change
         To + Pending In       | MUST NOT | no state change
         From                  | MUST NOT | no state change
         From + Pending Out    | MUST     | Both
         Both                  | MUST NOT | no state change",
    );
}

#[test]
fn a_3_4_inbound_unsubscribed() {
    check(
        "A.3.4",
        Unsubscribed,
        "None                  | MUST NOT | no state change
         None + Pending Out    | MUST     | None
         None + Pending In     | MUST NOT | no state change
         None + Pending Out+In | MUST     | None + Pending In
         To                    | MUST     | None
         To + Pending In       | MUST     | None + Pending In
         From                  | MUST NOT | no state change
         From + Pending Out    | MUST     | From
         Both                  | MUST     | From",
    );
}

#[test]
fn section_3_4_pre_approval_answers_once_and_can_be_taken_back() {
    check(
        "inbound subscribe, approved",
        Subscribe,
        "None + approved               | MUST NOT | From               | subscribed
         None + Pending Out + approved | MUST NOT | From + Pending Out | subscribed
         To + approved                 | MUST NOT | Both               | subscribed",
    );
    check(
        "outbound unsubscribed, approved",
        Unsubscribed,
        "None + approved               | MUST NOT | None
         None + Pending Out + approved | MUST NOT | None + Pending Out
         To + approved                 | MUST NOT | To",
    );
    check(
        "outbound subscribed, approved",
        Subscribed,
        "None + approved | MUST NOT | no state change
         To + approved   | MUST NOT | no state change",
    );
}

#[test]
fn the_contacts_answers_leave_a_pre_approval_alone() {
    check(
        "inbound subscribed, approved",
        Subscribed,
        "None + Pending Out + approved | MUST | To + approved",
    );
    check(
        "inbound unsubscribed, approved",
        Unsubscribed,
        "None + Pending Out + approved | MUST | None + approved
         To + approved                 | MUST | None + approved",
    );
}

#[test]
fn other_presence_changes_nothing() {
    for kind in [PresenceType::Available, PresenceType::Unavailable, PresenceType::Probe] {
        for rule in [outbound, inbound] {
            let ruling = rule(state("Both"), kind);
            assert_eq!((ruling.state, ruling.passes), (state("Both"), false));
        }
    }
}

#[test]
fn subscriptions_are_named_as_in_the_roster() {
    for name in ["none", "to", "from", "both"] {
        assert_eq!(Subscription::read(name).map(Subscription::name), Some(name));
    }
    assert_eq!(Subscription::read("remove"), None);
}
