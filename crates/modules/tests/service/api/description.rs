//! The description of everything: it says what there is, and what it says is so.

use serde_json::{Value, json};

use super::Program;

/// Every reference leads somewhere.
fn check_references(document: &Value, part: &Value) {
    match part {
        Value::Object(object) => {
            if let Some(target) = object.get("$ref") {
                let pointer = target.as_str().unwrap().strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{target}");
            }
            object.values().for_each(|inner| check_references(document, inner));
        }
        Value::Array(list) => list.iter().for_each(|inner| check_references(document, inner)),
        _ => {}
    }
}

#[tokio::test]
async fn every_command_is_described_as_it_is_declared() {
    let program = Program::new("", &["read"]).await;
    let (status, document) = program.get("openapi.json").await;
    assert_eq!(status, 200);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"][0]["url"], "https://localhost/api/localhost/v1");
    check_references(&document, &document);
    let mut count = 0;
    for command in program.world.site.router.commands() {
        let path = format!("/{}", command.words.join("/"));
        let method = if command.is_read { "get" } else { "post" };
        let operation = &document["paths"][&path][method];
        assert_eq!(operation["summary"], command.title(), "{path}");
        let asked = command.fields.iter().filter(|field| !field.is_dialogue);
        for field in asked {
            let parameters = operation["parameters"].as_array();
            let schema = match parameters {
                Some(list) => {
                    let found = list.iter().find(|it| it["name"] == field.var).unwrap();
                    assert_eq!(found["required"], field.is_required);
                    &found["schema"]
                }
                None => {
                    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
                    let required = body["required"].as_array().unwrap();
                    assert_eq!(required.contains(&json!(field.var)), field.is_required);
                    &body["properties"][field.var]
                }
            };
            assert_eq!(schema["type"] == "array", field.kind.is_many(), "{path} {}", field.var);
        }
        count += 1;
    }
    // Beside the commands there is the stream of events.
    assert_eq!(document["paths"].as_object().unwrap().len(), count + 1);
    let add = &document["paths"]["/user/add"]["post"];
    assert_eq!(add["security"], json!([{ "token": ["user:write"] }]));
    let body = &add["requestBody"]["content"]["application/json"];
    assert_eq!(body["schema"]["required"], json!(["accountjid", "password"]));
    assert_eq!(body["example"]["accountjid"], "juliet@localhost");
    let invite = &document["paths"]["/invite/account"]["post"]["requestBody"];
    let days = &invite["content"]["application/json"]["schema"]["properties"]["days"];
    assert_eq!(days["type"], "integer");
}

#[tokio::test]
async fn every_event_is_described() {
    let program = Program::new("", &["read"]).await;
    let (_, document) = program.get("openapi.json").await;
    let types = &document["paths"]["/events"]["get"]["parameters"][0]["schema"]["items"]["enum"];
    let names: Vec<&str> = types.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for name in ["account.created", "audit.entry", "messages.counted", "upload.stored"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for name in names {
        let schema = &document["components"]["schemas"][format!("event.{name}")];
        assert_eq!(schema["properties"]["type"]["const"], name);
    }
}
