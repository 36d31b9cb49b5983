//! XEP-0050, step by step.

use crate::world::{Client, World, attribute};

const ADD: &str = "node='http://jabber.org/protocol/admin#add-user'";
const NS: &str = "http://jabber.org/protocol/commands";

fn form(fields: &[(&str, &str)]) -> String {
    let field =
        |(var, value): &(&str, &str)| format!("<field var='{var}'><value>{value}</value></field>");
    let fields: String = fields.iter().map(field).collect();
    format!("<x xmlns='jabber:x:data' type='submit'>{fields}</x>")
}

async fn open(client: &Client) -> String {
    let shown = client.command(ADD, "").await;
    assert_eq!(attribute(&shown, "status"), "executing", "{shown}");
    attribute(&shown, "sessionid").to_owned()
}

#[tokio::test]
async fn a_form_is_filled_in_and_the_command_runs() {
    let world = World::new().await;
    let admin = world.bind("admin@localhost/desk").await;
    let id = open(&admin).await;
    let filled = form(&[
        ("FORM_TYPE", "http://jabber.org/protocol/admin"),
        ("accountjid", "Mercutio@localhost"),
        ("password", "a plague"),
        ("password-verify", "a plague"),
    ]);
    let step = format!("{ADD} sessionid='{id}'");
    let said = admin.command(&step, &filled).await;
    assert_eq!(
        said,
        format!(
            "<command xmlns='{NS}' {ADD} sessionid='{id}' status='completed' xml:lang='en'>\
             <note type='info'>The account mercutio@localhost was added.</note></command>"
        )
    );
    assert_eq!(world.accounts().credentials("mercutio@localhost").await.unwrap().len(), 3);
    // §4.4: "a sessionid that is no longer active".
    let again = admin.command(&step, &filled).await;
    assert_eq!(again, "cancel not-allowed session-expired");
}

#[tokio::test]
async fn what_was_filled_in_wrongly_can_be_mended() {
    let world = World::new().await;
    let admin = world.bind("admin@localhost/desk").await;
    let step = format!("{ADD} sessionid='{}' action='complete'", open(&admin).await);
    let bad = "modify bad-request bad-payload";
    assert_eq!(admin.command(&step, "").await, bad);
    assert_eq!(admin.command(&step, "<x xmlns='jabber:x:data' type='result'/>").await, bad);
    assert_eq!(admin.command(&step, &form(&[("accountjid", "romeo@localhost")])).await, bad);
    let taken = form(&[("accountjid", "romeo@localhost"), ("password", "x")]);
    assert_eq!(admin.command(&step, &taken).await, "cancel conflict");
    let free = form(&[("accountjid", "tybalt@localhost"), ("password", "x")]);
    assert_eq!(attribute(&admin.command(&step, &free).await, "status"), "completed");
}

#[tokio::test]
async fn actions_are_those_of_one_stage() {
    let world = World::new().await;
    let admin = world.bind("admin@localhost/desk").await;
    let id = open(&admin).await;
    for (step, expected) in [
        (format!("{ADD} sessionid='{id}' action='next'"), "modify bad-request bad-action"),
        (format!("{ADD} sessionid='{id}' action='prev'"), "modify bad-request bad-action"),
        (format!("{ADD} action='complete'"), "modify bad-request bad-action"),
        (format!("{ADD} action='destroy'"), "modify bad-request malformed-action"),
        (format!("{ADD} xml:lang='fr-ca'"), "modify bad-request bad-locale"),
        (format!("{ADD} sessionid='none'"), "modify bad-request bad-sessionid"),
        ("node='none'".to_owned(), "cancel item-not-found"),
    ] {
        assert_eq!(admin.command(&step, "").await, expected, "{step}");
    }
    let canceled = admin.command(&format!("{ADD} sessionid='{id}' action='cancel'"), "").await;
    assert_eq!(attribute(&canceled, "status"), "canceled");
}

#[tokio::test]
async fn a_session_belongs_to_the_resource_that_began_it() {
    let world = World::new().await;
    let admin = world.bind("admin@localhost/desk").await;
    let other = world.bind("admin@localhost/phone").await;
    let step = format!("{ADD} sessionid='{}'", open(&admin).await);
    assert_eq!(other.command(&step, &form(&[])).await, "modify bad-request bad-sessionid");
}

#[tokio::test]
async fn only_those_see_commands_who_may_run_them() {
    let world = World::new().await;
    let list = format!("<query xmlns='http://jabber.org/protocol/disco#items' node='{NS}'/>");
    let romeo = world.bind("romeo@localhost/orchard").await;
    let shown = romeo.ask("get", &list).await;
    assert!(shown.contains("strangers#who") && !shown.contains(ADD), "{shown}");
    assert_eq!(romeo.command(ADD, "").await, "cancel forbidden");
    let admin = world.bind("admin@localhost/desk").await;
    let shown = admin.ask("get", &list).await;
    let item = format!("<item jid='localhost' {ADD} name='Add an account'/>");
    assert!(shown.contains(&item), "{shown}");
    let node = format!("<query xmlns='http://jabber.org/protocol/disco#info' {ADD}/>");
    let info = admin.ask("get", &node).await;
    let identity = "<identity category='automation' type='command-node' name='Add an account'/>";
    assert!(info.contains(identity) && info.contains("jabber:x:data"), "{info}");
}

#[tokio::test]
async fn a_table_has_reported_columns() {
    let world = World::new().await;
    let admin = world.bind("admin@localhost/desk").await;
    let node = "node='urn:waxwing:admin#sessions'";
    let shown = admin.command(node, "").await;
    let step = format!("{node} sessionid='{}'", attribute(&shown, "sessionid"));
    let said = admin.command(&step, &form(&[])).await;
    assert!(said.contains("<note type='info'>1 session on localhost.</note>"), "{said}");
    assert!(said.contains("<reported><field var='jid' type='text-single' label='Session'/>"));
    assert!(said.contains("<item><field var='jid'><value>admin@localhost/desk</value></field>"));
}
