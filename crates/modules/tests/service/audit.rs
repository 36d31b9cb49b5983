//! What is kept of the deeds of admins.

use waxwing_kernel::command::Caller;

use crate::world::World;

async fn log(world: &World) -> Vec<Vec<String>> {
    let said = world.order("audit list", &[]).await.unwrap();
    let rows = said.table.unwrap().rows;
    rows.into_iter().map(|row| row[2..].to_vec()).collect()
}

#[tokio::test]
async fn deeds_are_kept_without_secrets_and_reads_are_not() {
    let world = World::new().await;
    let nurse = [("accountjid", "nurse@localhost"), ("password", "very secret")];
    world.order("user add", &nurse).await.unwrap();
    world.order("user count", &[]).await.unwrap();
    let admin = Caller::Account("admin@localhost/pc".parse().unwrap());
    let nobody = [("accountjids", "nobody@localhost")];
    world.order_as(admin, "user remove", &nobody).await.unwrap_err();
    let refusal = "accountjids: there is no account nobody@localhost";
    assert_eq!(
        log(&world).await,
        [
            ["admin@localhost/pc", "user remove", "accountjids: nobody@localhost", refusal],
            ["operator", "user add", "accountjid: nurse@localhost", "done"],
        ]
    );
}

#[tokio::test]
async fn what_is_done_in_a_client_is_kept_as_well() {
    let world = World::new().await;
    let admin = world.bind("admin@localhost/pc").await;
    let node = "http://jabber.org/protocol/admin#announce";
    let form = admin.command(&format!("node='{node}'"), "").await;
    let id = crate::world::attribute(&form, "sessionid").to_owned();
    let filled = "<x xmlns='jabber:x:data' type='submit'><field var='announcement'>\
                  <value>Hear!</value></field></x>";
    admin.command(&format!("node='{node}' sessionid='{id}'"), filled).await;
    let deeds = log(&world).await;
    assert_eq!(deeds, [["admin@localhost/pc", "server announce", "announcement: Hear!", "done"]]);
}
