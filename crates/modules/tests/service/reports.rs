//! What becomes of reports that come with a block (XEP-0377).

use crate::world::World;

const BLOCK: &str = "<block xmlns='urn:xmpp:blocking'><item jid='tybalt@evil.example'>\
                     <report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'>\
                     <text>Buy\nnow</text></report></item></block>";

#[tokio::test]
async fn a_report_is_shown_until_it_is_removed() {
    let world = World::new().await;
    let romeo = world.bind("romeo@localhost/orchard").await;
    let block = BLOCK.to_owned();
    let xml = format!("<iq xmlns='jabber:client' type='set' id='1'>{block}</iq>");
    romeo.say(&xml).await;
    let said = world.order("report list", &[]).await.unwrap();
    let table = said.table.unwrap();
    let row = &table.rows[0];
    assert_eq!(row[2..6], ["romeo@localhost", "tybalt@evil.example", "spam", "Buy · now"]);
    let number = [("number", row[0].as_str())];
    let elsewhere = [("before", row[0].as_str())];
    assert!(world.order("report list", &elsewhere).await.unwrap().table.unwrap().rows.is_empty());
    world.order("report remove", &number).await.unwrap();
    let refusal = world.order("report remove", &number).await.unwrap_err();
    assert_eq!(refusal.field, Some("number"));
    assert_eq!(world.order("report list", &[]).await.unwrap().note, "There is none.");
}

#[tokio::test]
async fn reports_go_with_their_account() {
    let world = World::new().await;
    let romeo = world.bind("romeo@localhost/orchard").await;
    romeo.say(&format!("<iq xmlns='jabber:client' type='set' id='1'>{BLOCK}</iq>")).await;
    world.order("user remove", &[("accountjids", "romeo@localhost")]).await.unwrap();
    assert_eq!(world.order("report list", &[]).await.unwrap().note, "There is none.");
}
