//! The description of everything that can be asked for (OpenAPI 3.1.0), made from the declarations.

use serde_json::{Map, Value, json};
use waxwing_kernel::Site;
use waxwing_kernel::command::{CommandAbout, FieldAbout, FieldKind};
use waxwing_kernel::events::EventAbout;

use super::ask::EVENTS;
use super::scope::Scope;
use super::values::fields;

/// What can go wrong anywhere: the status, and when.
const PROBLEMS: [(&str, &str, &str); 11] = [
    ("400", "Bad", "The request is wrong; `field` says where."),
    ("401", "Unauthorized", "There is no token, or it is not good (any more)."),
    ("403", "Forbidden", "The token does not reach so far, or nobody may do this."),
    ("404", "NotFound", "What it is about does not exist."),
    ("408", "TooLate", "The request did not come in time."),
    ("409", "Conflict", "It exists already."),
    ("413", "TooLarge", "The request is too large."),
    ("415", "WrongType", "The request is no JSON."),
    ("429", "TooMany", "Too much was asked, or too many wrong tokens were shown."),
    ("500", "Failed", "The server failed; its log says why."),
    ("503", "Busy", "The server has no room for this now; try again."),
];

/// The document for one host, whose commands stand below `address`.
pub(super) fn document(site: &Site, address: &str) -> Value {
    let mut commands: Vec<&CommandAbout> =
        site.router.commands().map(|command| command.about()).collect();
    commands.sort_by_key(|about| about.words);
    let mut paths = Map::new();
    for about in &commands {
        let method = if about.is_read { "get" } else { "post" };
        let path = format!("/{}", about.words.join("/"));
        paths.insert(path, json!({ method: operation(about, site.domain()) }));
    }
    let events: Vec<&EventAbout> = site.router.events().collect();
    paths.insert(format!("/{EVENTS}"), json!({ "get": stream(&events) }));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": format!("Administration of {}", site.domain()),
            "description": "The commands of the server, as `waxwing` has them on its command line \
                and XMPP clients have them as ad-hoc commands (XEP-0050). What only tells is asked \
                for by GET, everything else is a POST with the fields as JSON.",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "servers": [{ "url": address.trim_end_matches('/') }],
        "tags": tags(&commands),
        "security": [{ "token": [] }],
        "paths": paths,
        "components": components(&events),
    })
}

/// One for each group of commands.
fn tags(commands: &[&CommandAbout]) -> Vec<Value> {
    let mut groups: Vec<&str> = commands.iter().map(|about| group(about)).collect();
    groups.dedup();
    groups.push(EVENTS);
    groups.into_iter().map(|group| json!({ "name": group })).collect()
}

fn group(about: &CommandAbout) -> &'static str {
    about.words.first().copied().unwrap_or_default()
}

fn operation(about: &CommandAbout, domain: &str) -> Value {
    let mut operation = json!({
        "operationId": about.words.join("_").replace('-', "_"),
        "summary": about.title(),
        "description": about.text(),
        "tags": [group(about)],
        "security": [{ "token": [Scope::of(about).to_string()] }],
        "responses": responses(about.is_read),
    });
    if about.is_read {
        operation["parameters"] = fields(about).map(|it| parameter(it, domain)).collect();
    } else {
        operation["requestBody"] = body(about, domain);
    }
    operation
}

fn responses(is_read: bool) -> Value {
    let answer = json!({ "application/json": { "schema": reference("schemas", "Answer") } });
    let done = json!({ "description": "It was done.", "content": answer });
    let mut responses = Map::from_iter([("200".to_owned(), done)]);
    for (status, name, _) in PROBLEMS {
        if !(is_read && matches!(status, "408" | "413" | "415")) {
            responses.insert(status.to_owned(), reference("responses", name));
        }
    }
    Value::Object(responses)
}

fn parameter(field: &FieldAbout, domain: &str) -> Value {
    let mut parameter = json!({
        "name": field.var,
        "in": "query",
        "description": field.text(),
        "required": field.is_required,
        "schema": schema(field),
        "example": example(field, domain),
    });
    if field.kind.is_many() {
        parameter["style"] = "form".into();
        parameter["explode"] = true.into();
    }
    parameter
}

fn body(about: &CommandAbout, domain: &str) -> Value {
    let (mut properties, mut filled) = (Map::new(), Map::new());
    for field in fields(about) {
        let mut schema = schema(field);
        schema["description"] = field.text().into();
        properties.insert(field.var.to_owned(), schema);
        if field.is_required {
            filled.insert(field.var.to_owned(), example(field, domain));
        }
    }
    let required: Vec<&str> =
        fields(about).filter(|field| field.is_required).map(|field| field.var).collect();
    let schema = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    json!({
        "required": !required.is_empty(),
        "content": { "application/json": { "schema": schema, "example": filled } },
    })
}

/// What a field may be.
fn schema(field: &FieldAbout) -> Value {
    let words: Vec<&str> = field.options.iter().map(|(word, _)| *word).collect();
    let one = match field.kind {
        FieldKind::Boolean => json!({ "type": "boolean", "default": false }),
        FieldKind::Private => json!({ "type": "string", "format": "password", "writeOnly": true }),
        _ if !words.is_empty() => json!({ "type": "string", "enum": words }),
        _ if field.is_number => json!({ "type": "integer", "minimum": 0 }),
        _ => json!({ "type": "string" }),
    };
    match field.kind.is_many() {
        true => json!({ "type": "array", "items": one, "minItems": 1 }),
        false => one,
    }
}

/// Something that a field could be.
fn example(field: &FieldAbout, domain: &str) -> Value {
    let one = match (field.options, field.kind) {
        ([(word, _), ..], _) => Value::from(*word),
        (_, FieldKind::Boolean) => Value::from(true),
        (_, FieldKind::Jid | FieldKind::Jids) => Value::from(format!("juliet@{domain}")),
        (_, FieldKind::Private) => Value::from("correct horse battery staple"),
        _ if field.is_number => Value::from(1),
        _ if field.var == "host" => Value::from(domain),
        _ => Value::from("text"),
    };
    if field.kind.is_many() { json!([one]) } else { one }
}

fn stream(events: &[&EventAbout]) -> Value {
    let names: Vec<&str> = events.iter().map(|about| about.name).collect();
    let mut description = String::from(
        "Server-sent events. Each has an id, a type and an object as its data. An `open` comes \
         first, a `gap` where events between the last one known and the next are lost, and an \
         `end` with its `reason` before the server closes the stream. The types:\n",
    );
    for EventAbout { name, about, .. } in events {
        description += &format!("\n- `{name}`: {about}");
    }
    let mut responses = responses(true);
    responses["200"] = json!({
        "description": "What happens, until one of both ends it.",
        "content": { "text/event-stream": { "schema": { "type": "string" } } },
    });
    json!({
        "operationId": EVENTS,
        "summary": "What happens, as it happens",
        "description": description,
        "tags": [EVENTS],
        "security": [{ "token": [Scope::Events.to_string()] }],
        "parameters": [
            {
                "name": "types",
                "in": "query",
                "description": "Only events of these types; all if nothing is said.",
                "required": false,
                "style": "form",
                "explode": false,
                "schema": { "type": "array", "items": { "type": "string", "enum": names } },
            },
            {
                "name": "Last-Event-ID",
                "in": "header",
                "description": "The id of the last event that is known; what came since follows.",
                "required": false,
                "schema": { "type": "string", "pattern": "^[0-9]+$" },
            },
        ],
        "responses": responses,
    })
}

fn components(events: &[&EventAbout]) -> Value {
    let mut schemas = Map::new();
    schemas.insert("Answer".to_owned(), answer());
    schemas.insert("Problem".to_owned(), problem());
    for about in events {
        schemas.insert(format!("event.{}", about.name), event(about));
    }
    let content =
        json!({ "application/problem+json": { "schema": reference("schemas", "Problem") } });
    let responses = PROBLEMS.map(|(_, name, about)| {
        (name.to_owned(), json!({ "description": about, "content": content }))
    });
    json!({
        "schemas": schemas,
        "responses": Map::from_iter(responses),
        "securitySchemes": {
            "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "A token of `waxwing token create`, with the scope that is named.",
            },
        },
    })
}

fn answer() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "object",
        "description": "What the command says; what there is nothing of is left out.",
        "properties": {
            "note": { "type": "string", "description": "One or two sentences for people." },
            "facts": {
                "type": "object",
                "description": "Single values by their names.",
                "additionalProperties": { "oneOf": [text, { "type": "array", "items": text }] },
            },
            "rows": {
                "type": "array",
                "description": "Many things of one kind.",
                "items": { "type": "object", "additionalProperties": text },
            },
        },
    })
}

fn problem() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "object",
        "description": "Why it was not done (RFC 9457).",
        "properties": {
            "title": text,
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "Why, and what to do." },
            "condition": {
                "type": "string",
                "description": "The same as a condition of XMPP (RFC 6120 §8.3.3).",
            },
            "field": { "type": "string", "description": "The field at fault." },
        },
        "required": ["title", "status", "detail", "condition"],
    })
}

fn event(about: &EventAbout) -> Value {
    let field = |(name, doc): &(&'static str, &'static str)| {
        ((*name).to_owned(), json!({ "description": doc }))
    };
    let mut properties = Map::from_iter(about.fields.iter().map(field));
    properties.insert("type".to_owned(), json!({ "const": about.name }));
    properties.insert("at".to_owned(), json!({ "type": "string", "format": "date-time" }));
    properties.insert("host".to_owned(), json!({ "type": "string" }));
    json!({
        "type": "object",
        "description": about.about,
        "properties": properties,
        "required": ["type", "at", "host"],
    })
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}
