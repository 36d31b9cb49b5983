//! What the server holds of a person, written to a file.

use waxwing_kernel::command::RefusalKind;
use waxwing_store::domains::accounts::Credential;

use crate::world::World;

#[tokio::test]
async fn an_export_holds_all_that_an_account_owns_but_no_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::keeping("", Some(folder.path())).await;
    let key = |byte| Credential {
        hash: "SHA-256".into(),
        salt: vec![byte; 4],
        iterations: 1,
        stored_key: vec![byte; 4],
        server_key: vec![byte; 4],
    };
    world.accounts().set_credentials("romeo@localhost", &[key(7)]).await.unwrap();
    let romeo = world.bind("romeo@localhost/orchard").await;
    for id in ["m1", "m2"] {
        let body = format!("<body>It is the \"east\" {id}</body>");
        romeo
            .say(&format!(
                "<message xmlns='jabber:client' type='chat' to='juliet@localhost' id='{id}'>\
                 {body}</message>"
            ))
            .await;
    }
    romeo
        .say(
            "<iq xmlns='jabber:client' type='set' id='1'><query xmlns='jabber:iq:private'>\
             <note xmlns='urn:note'>ladder</note></query></iq>",
        )
        .await;
    let said = world.order("user export", &[("accountjid", "romeo@localhost")]).await.unwrap();
    let path = std::path::PathBuf::from(&said.facts[0].values[0]);
    assert!(path.starts_with(folder.path().join("export")), "{}", path.display());
    let text = std::fs::read_to_string(&path).unwrap();
    let rows: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |table: &str| {
        rows.iter().filter(|row| row["table"] == table).map(|row| &row["row"]).collect::<Vec<_>>()
    };
    assert_eq!(of("account")[0]["jid"], "romeo@localhost");
    assert!(of("private")[0]["data"].as_str().unwrap().contains("ladder"));
    let messages = of("archive");
    assert_eq!(messages.len(), 2);
    assert!(messages[1]["stanza"].as_str().unwrap().contains("\"east\" m2"));
    assert!(world.hub.names().number(messages[0]["id"].as_str().unwrap()).is_some());
    assert!(of("credential").is_empty());
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[tokio::test]
async fn only_accounts_of_the_host_are_exported() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::keeping("", Some(folder.path())).await;
    for jid in ["nobody@localhost", "romeo@verona.example", "localhost"] {
        let refused = world.order("user export", &[("accountjid", jid)]).await.unwrap_err();
        assert_eq!(refused.kind, RefusalKind::NotFound, "{jid}");
    }
    let nowhere = World::new().await;
    let refused = nowhere.order("user export", &[("accountjid", "romeo@localhost")]).await;
    assert_eq!(refused.unwrap_err().kind, RefusalKind::Failed);
}
