use super::world::World;

#[tokio::test]
async fn section_4_3_2_who_may_not_know_is_told_the_same_as_of_nobody() {
    let world = World::new(&["romeo", "juliet"]).await;
    let mut romeo = world.sign_in("romeo@localhost/orchard").await;
    let _juliet = world.sign_in("juliet@localhost/balcony").await;
    for to in ["juliet@localhost", "juliet@localhost/balcony", "nobody@localhost"] {
        // The answer changes nothing in Romeo's roster, so his client does not hear of it.
        romeo.presence("probe", to).await;
        romeo.gets([]);
    }
    // With a subscription that the other side has lost, the answer mends it.
    romeo.presence("subscribe", "nobody@localhost").await;
    romeo.received();
    romeo.presence("probe", "nobody@localhost").await;
    romeo.gets([
        "<presence from='nobody@localhost' to='romeo@localhost' type='unsubscribed'/>",
        "push <item jid='nobody@localhost' subscription='none'/>",
    ]);
}

#[tokio::test]
async fn section_4_3_2_subscribers_get_the_last_presence_of_each_resource() {
    let world = World::new(&["romeo", "juliet"]).await;
    let mut romeo = world.sign_in("romeo@localhost/orchard").await;
    let mut juliet = world.sign_in("juliet@localhost/balcony").await;
    romeo.presence("subscribe", "juliet@localhost").await;
    juliet.presence("subscribed", "romeo@localhost").await;
    juliet.send("<presence xmlns='jabber:client'><show>away</show></presence>").await;
    romeo.received();

    let away = "<presence from='juliet@localhost/balcony' \
                to='romeo@localhost/orchard'><show>away</show></presence>";
    romeo.presence("probe", "juliet@localhost").await;
    romeo.gets([away]);
    // A full address tells no more than that the resource is there, or not.
    romeo.presence("probe", "juliet@localhost/balcony").await;
    romeo.gets(["<presence from='juliet@localhost/balcony' to='romeo@localhost/orchard'/>"]);
    romeo.presence("probe", "juliet@localhost/cellar").await;
    romeo.gets(["<presence from='juliet@localhost/cellar' to='romeo@localhost/orchard' \
         type='unavailable'/>"]);
    juliet.presence("unavailable", "").await;
    romeo.received();
    romeo.presence("probe", "juliet@localhost").await;
    romeo.gets([
        "<presence from='juliet@localhost' to='romeo@localhost/orchard' type='unavailable'/>",
    ]);
}

#[tokio::test]
async fn own_presence_can_be_asked_for() {
    let world = World::new(&["romeo"]).await;
    let mut romeo = world.sign_in("romeo@localhost/orchard").await;
    let expected = "<presence from='romeo@localhost/orchard' to='romeo@localhost/orchard'/>";
    romeo.presence("probe", "").await;
    romeo.gets([expected]);
    romeo.presence("probe", "romeo@localhost").await;
    romeo.gets([expected]);
}

/// RFC 6121 §8.5.4, Table 1, "ACCOUNT DOES NOT EXIST".
#[tokio::test]
async fn table_1_account_does_not_exist() {
    let world = World::new(&["romeo"]).await;
    let mut romeo = world.sign_in("romeo@localhost/orchard").await;
    let rows = [
        ("bare", "nobody@localhost", ["E", "E", "E", "S", "S"]),
        ("full", "nobody@localhost/here", ["E", "E", "E", "S", "S"]),
    ];
    for (form, to, expected) in rows {
        let kinds = ["normal", "chat", "groupchat", "headline", "error"];
        for (kind, expected) in kinds.into_iter().zip(expected) {
            let xml = format!("<message xmlns='jabber:client' to='{to}' type='{kind}'/>");
            romeo.send(&xml).await;
            let answers = romeo.received();
            match expected {
                "S" => assert!(answers.is_empty(), "{form} {kind}: {answers:?}"),
                _ => assert!(answers[0].contains("<service-unavailable"), "{form} {kind}"),
            }
        }
    }
}
