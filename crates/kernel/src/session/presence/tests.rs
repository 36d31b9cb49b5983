//! Two families and their presence, from what a session sends to what the others' mailboxes hold.

mod binds;
mod broadcasts;
mod probes;
mod subscriptions;
mod world;

use super::*;

fn read(children: &str) -> Result<i8, StanzaError> {
    let text = format!("<presence xmlns='jabber:client'>{children}</presence>");
    priority(&Stanza::parse(&text).unwrap().body)
}

#[test]
fn priorities_are_bytes() {
    assert_eq!(read(""), Ok(0));
    assert_eq!(read("<priority> -128 </priority>"), Ok(-128));
    assert_eq!(read("<priority>+127</priority>"), Ok(127));
    assert_eq!(read("<priority xmlns='x'>999</priority>"), Ok(0));
    for wrong in ["128", "-129", "", "high", "1.5"] {
        read(&format!("<priority>{wrong}</priority>")).unwrap_err();
    }
    read("<priority>1</priority><priority>2</priority>").unwrap_err();
}
