//! The reference page and the example file, written from the declarations.

use std::fmt::Write;

use super::section::{FieldDoc, SectionAbout};
use super::sections::SECTIONS;

const INTRO: &str = "\
# Configuration

Waxwing runs without a configuration file. To change something, write a TOML file and start with
`waxwing serve --config waxwing.toml`; `waxwing check` judges it first, and `waxwing reload` makes a
running server read it again. A setting marked *restart* waits for the next start; a reload that
changes one is refused as a whole. `waxwing config example` prints a file with every setting.
";

const MODULES: &str = "\
Each module has a section `[modules.NAME]` for all domains; `[host.modules.NAME]` below a `[[host]]`
wins for that domain, setting by setting. Every one of them also takes `enabled`.
";

/// The reference of every section, in Markdown.
pub fn reference(modules: &[&'static SectionAbout]) -> String {
    let mut out = INTRO.to_owned();
    for section in SECTIONS {
        markdown(&mut out, "##", &section.header(), section);
    }
    push(&mut out, format_args!("\n## Modules\n\n{MODULES}"));
    for module in modules {
        let header = format!("[modules.{}]", module.name);
        markdown(&mut out, "###", &header, module);
    }
    out
}

/// A file that changes nothing: every setting as a comment with its default.
pub fn example(modules: &[&'static SectionAbout]) -> String {
    let mut out =
        "# Waxwing: every setting with its default. To change one, take away its `#`.\n".to_owned();
    for section in SECTIONS {
        toml(&mut out, &section.header(), section);
    }
    for module in modules {
        toml(&mut out, &format!("[modules.{}]", module.name), module);
        let (value, other) = if module.is_on { ("true", "off") } else { ("false", "on") };
        push(&mut out, format_args!("\n# Switches the module {other}.\n#enabled = {value}\n"));
    }
    out
}

fn markdown(out: &mut String, level: &str, header: &str, section: &SectionAbout) {
    push(out, format_args!("\n{level} `{header}`\n\n{}\n", paragraph(section.about)));
    if !section.is_on {
        out.push_str("\nOff unless `enabled = true`.\n");
    }
    for field in (section.fields)() {
        let facts = facts(field).join("; ");
        push(out, format_args!("\n- **`{}`** ({facts})\n", field.key));
        push(out, format_args!("  {}\n", paragraph(field.doc)));
        for (word, doc) in (field.choices)() {
            push(out, format_args!("  - `\"{word}\"`: {}\n", paragraph(doc)));
        }
    }
}

fn toml(out: &mut String, header: &str, section: &SectionAbout) {
    out.push('\n');
    comment(out, section.about);
    let is_repeated = header.starts_with("[[");
    push(out, format_args!("{}{header}\n", if is_repeated { "#" } else { "" }));
    for field in (section.fields)() {
        out.push('\n');
        comment(out, field.doc);
        for (word, doc) in (field.choices)() {
            push(out, format_args!("#   \"{word}\": {}\n", paragraph(doc)));
        }
        let mut notes = Vec::new();
        notes.extend(field.range.map(|range| range()));
        notes.extend((!field.is_reloadable).then(|| "needs a restart".to_owned()));
        if !notes.is_empty() {
            push(out, format_args!("# ({})\n", notes.join("; ")));
        }
        let value = (field.default)().unwrap_or_else(|| sample(field));
        push(out, format_args!("#{} = {value}\n", field.key));
    }
}

/// What the reference says in parentheses behind the name of a setting.
fn facts(field: &FieldDoc) -> Vec<String> {
    let is_choice = !(field.choices)().is_empty();
    let mut facts = vec![if is_choice { "one of the words".to_owned() } else { (field.kind)() }];
    facts.extend(field.range.map(|range| range()));
    facts.push(match (field.default)() {
        Some(value) => format!("default `{value}`"),
        None if field.is_required => "required".to_owned(),
        None => "no default".to_owned(),
    });
    facts.extend((!field.is_reloadable).then(|| "restart".to_owned()));
    facts
}

/// A value to start from, for a setting without a default: the one its doc comment writes as
/// `key = value`, or what its kind gives as an example.
fn sample(field: &FieldDoc) -> String {
    let written = format!("`{} = ", field.key);
    if let Some((value, _)) = field.doc.split_once(&written).and_then(|(_, s)| s.split_once('`')) {
        return value.to_owned();
    }
    let kind = (field.kind)();
    let example = kind.split('"').nth(1).unwrap_or_default();
    if kind.starts_with("a list") { format!("[\"{example}\"]") } else { format!("\"{example}\"") }
}

/// A doc comment as one line of prose.
pub(crate) fn paragraph(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn comment(out: &mut String, doc: &str) {
    for line in doc.lines() {
        push(out, format_args!("# {}\n", line.trim()));
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes everything");
}
