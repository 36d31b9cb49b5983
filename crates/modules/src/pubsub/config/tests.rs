use waxwing_stanza::payload::dataform::{Field, FieldType, FormType};

use super::*;

const BOUNDS: Bounds = Bounds { items: 100, payload_bytes: 10_000 };

fn form(about: &str, fields: &[(&str, &[&str])]) -> DataForm {
    let form = DataForm::new(FormType::Submit).about(about);
    fields.iter().fold(form, |form, (var, values)| {
        let field = Field::new(FieldType::TextSingle, *var);
        form.with(values.iter().fold(field, |field, value| field.value(*value)))
    })
}

fn submitted_with(fields: &[(&str, &[&str])]) -> Result<Config, StanzaError> {
    let form = form("http://jabber.org/protocol/pubsub#node_config", fields);
    Config::of_service(BOUNDS).with(&form, BOUNDS)
}

#[test]
fn every_field_is_stored_and_read_again() {
    let mut config = Config::of_account(BOUNDS);
    assert_eq!(*Config::from_text(&config.to_text()), config);
    for about in FIELDS {
        let values: Vec<String> = match about.choices.last() {
            Some((value, _)) => vec![(*value).to_owned()],
            None => match about.kind {
                FieldType::Boolean => {
                    vec![if (about.show)(&config)[0] == "true" { "false" } else { "true" }.into()]
                }
                FieldType::JidMulti => vec!["a@b".into(), "c@d/e".into()],
                _ => vec!["7".into()],
            },
        };
        config.set(about, &values).unwrap();
        assert_eq!((about.show)(&config), values, "{}", about.var);
        assert_eq!(*Config::from_text(&config.to_text()), config, "{}", about.var);
    }
}

#[test]
fn what_a_newer_release_wrote_is_passed_over() {
    let text = r#"{"pubsub#title":["A"],"pubsub#access_model":["lottery"],"pubsub#new":["1"]}"#;
    let config = Config::from_text(text);
    assert_eq!((config.title.as_str(), config.access), ("A", Access::Open));
    assert_eq!(*Config::from_text("no object"), Config::base());
}

/// "malformed forms get the field named in the error text".
#[test]
fn what_is_wrong_is_said_with_the_name_of_the_field() {
    let cases: [(&str, &str); 8] = [
        ("pubsub#access_model", "lottery"),
        ("pubsub#max_items", "many"),
        ("pubsub#max_items", "0"),
        ("pubsub#item_expire", "-1"),
        ("pubsub#persist_items", "perhaps"),
        ("pubsub#contact", "@"),
        ("pubsub#node_type", "collection"),
        ("pubsub#send_last_published_item", ""),
    ];
    for (var, value) in cases {
        let error = submitted_with(&[(var, &[value])]).unwrap_err();
        assert_eq!(error.condition.name(), "not-acceptable", "{var}");
        assert!(error.text.as_deref().unwrap().starts_with(&format!("{var}: ")), "{error}");
        let is_access = error.app.is_some_and(|app| app.contains("unsupported-access-model"));
        assert_eq!(is_access, var == "pubsub#access_model");
    }
    let long = "x".repeat(2000);
    assert!(submitted_with(&[("pubsub#title", &[&long])]).is_err());
    let many = vec!["a@b"; 200];
    assert!(submitted_with(&[("pubsub#contact", &many)]).is_err());
}

#[test]
fn a_form_says_what_changes_and_no_more() {
    let config = submitted_with(&[
        ("pubsub#title", &["Musings"]),
        ("pubsub#body_xslt", &["http://example.org/a.xslt"]),
        ("pubsub#roster_groups_allowed", &["Friends", "Servants"]),
        ("pubsub#max_items", &["50"]),
        ("pubsub#persist_items", &[]),
    ]);
    let wanted = Config {
        title: "Musings".into(),
        groups: vec!["Friends".into(), "Servants".into()],
        max_items: Count::Number(50),
        ..Config::of_service(BOUNDS)
    };
    assert_eq!(config.unwrap(), wanted);
}

#[test]
fn nothing_goes_beyond_what_the_service_allows() {
    let config = submitted_with(&[
        ("pubsub#max_items", &["4294967296000"]),
        ("pubsub#max_payload_size", &["99999999"]),
    ]);
    let config = config.unwrap();
    assert_eq!((config.max_items, config.items_max(BOUNDS)), (Count::Max, 100));
    assert_eq!(config.payload_bytes, 10_000);
    assert_eq!(submitted_with(&[("pubsub#max_items", &["max"])]).unwrap().max_items, Count::Max);
}

#[test]
fn items_end_when_a_number_says_so() {
    let millis = |values: &[&str]| {
        submitted_with(&[("pubsub#item_expire", values)]).unwrap().lifetime_millis()
    };
    assert_eq!(millis(&["60"]), Some(60_000));
    assert_eq!((millis(&["max"]), millis(&["0"]), millis(&[])), (None, None, None));
}

const OPTIONS: &str = "http://jabber.org/protocol/pubsub#publish-options";

#[test]
fn preconditions_hold_however_they_are_written() {
    let config = Config::of_account(BOUNDS);
    let met = form(OPTIONS, &[("pubsub#persist_items", &["1"]), ("pubsub#max_items", &["1"])]);
    assert_eq!(config.met_by(&met, BOUNDS), Ok(None));
    let unmet = form(OPTIONS, &[("pubsub#access_model", &["open"])]);
    let wanted = config.met_by(&unmet, BOUNDS).unwrap().unwrap();
    assert_eq!(wanted, Config { access: Access::Open, ..config.clone() });
    let error = differs(&config, &wanted);
    assert_eq!(error.condition.name(), "conflict");
    assert!(error.app.as_deref().unwrap().contains("precondition-not-met"));
    assert_eq!(error.text.unwrap(), "pubsub#access_model: it is `presence` at this node.");
}

/// §7.1.5: "it MUST reject the publication upon encountering unknown fields."
#[test]
fn unknown_preconditions_are_refused() {
    let config = Config::of_account(BOUNDS);
    let unknown = form(OPTIONS, &[("pubsub#colour", &["red"])]);
    let error = config.met_by(&unknown, BOUNDS).unwrap_err();
    assert!(error.text.unwrap().contains("pubsub#colour"));
    let other = form("http://jabber.org/protocol/pubsub#node_config", &[]);
    assert_eq!(config.met_by(&other, BOUNDS).unwrap_err().condition.name(), "bad-request");
}

/// Thousands of configurations are in memory.
#[test]
fn all_texts_of_a_configuration_have_an_end_together() {
    let bounds = Bounds { items: 10, payload_bytes: 1000 };
    let form = |count: usize| DataForm {
        fields: vec![Field {
            var: Some("pubsub#roster_groups_allowed".to_owned()),
            values: (0..count).map(|_| "g".repeat(1024)).collect(),
            ..Field::default()
        }],
        ..DataForm::new(FormType::Submit)
    };
    let config = Config::of_service(bounds);
    assert!(config.with(&form(16), bounds).is_ok());
    let error = config.with(&form(17), bounds).unwrap_err();
    assert_eq!(error.condition, waxwing_stanza::Condition::NotAcceptable);
}
