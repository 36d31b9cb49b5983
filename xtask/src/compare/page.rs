//! The tables of docs/performance.md.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::cases::{CASES, Case, Figure};
use super::plot::Picture;
use super::results::{Results, Spread, brief};

const PAGE: &str = "docs/performance.md";
const BEGIN: &str = "<!-- cargo xtask compare --write: begin -->\n";
const END: &str = "<!-- cargo xtask compare --write: end -->";
/// What Waxwing is compared with, and how the page calls it.
const OTHERS: [(&str, &str); 2] = [("ejabberd", "ejabberd"), ("prosody", "Prosody")];

/// Puts the tables, and the pictures below them, where the page has its place for them.
pub(super) fn write(root: &Path, results: &Results, pictures: &[Picture]) -> Result<(), String> {
    let path = root.join(PAGE);
    let failed = |error: std::io::Error| format!("{PAGE}: {error}");
    let page = fs::read_to_string(&path).map_err(failed)?;
    let mut text = tables(results);
    for Picture { file, title, .. } in pictures {
        put(&mut text, format_args!("\n![{title}](images/{file})\n"));
    }
    fs::write(&path, replace(&page, &text)?).map_err(failed)
}

fn replace(page: &str, tables: &str) -> Result<String, String> {
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| {
        rest.split_once(END).map(|(_, after)| format!("{before}{BEGIN}{tables}{END}{after}"))
    });
    parts.ok_or_else(|| format!("{PAGE} has lost its marks: {BEGIN}{END}"))
}

/// Everything that was measured, as Markdown.
pub(super) fn tables(results: &Results) -> String {
    let mut out = about(results);
    table(&mut out, results, "Processor time of the server", &[Figure::Cpu, Figure::Latency]);
    latencies(&mut out, results);
    table(&mut out, results, "Resident memory of a session", &[Figure::Memory]);
    table(&mut out, results, "Start", &[Figure::Start]);
    out
}

fn about(results: &Results) -> String {
    let about = results.about();
    let text = |key: &str| match about.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => "unknown".to_owned(),
    };
    let mut out = format!(
        "{}: {}, {} processors, {}, Linux {}; {}; rounds: {}, of {} s in each case; {} idle \
         sessions; load average at the beginning {}.\n",
        text("date"),
        text("processor"),
        text("processors"),
        text("system"),
        text("kernel"),
        text("packages"),
        text("rounds"),
        text("seconds"),
        text("sessions"),
        text("load_average"),
    );
    if let Some(bytes) = about.get("program_bytes").and_then(Value::as_f64) {
        put(&mut out, format_args!("The program has {:.1} MiB.\n", bytes / 1_048_576.0));
    }
    out
}

fn table(out: &mut String, results: &Results, title: &str, figures: &[Figure]) {
    let cases = CASES.iter().filter(|case| figures.contains(&case.figure));
    let rows: Vec<String> = cases.filter_map(|case| row(results, case)).collect();
    if rows.is_empty() {
        return;
    }
    put(
        out,
        format_args!(
            "\n**{title}**\n\n| | Waxwing | floor | Waxwing is … times the floor \
             | ejabberd is … times Waxwing | Prosody is … times Waxwing |\n\
             |---|---|---|---|---|---|\n{}\n",
            rows.join("\n")
        ),
    );
}

fn row(results: &Results, case: &Case) -> Option<String> {
    let (key, unit) = (case.figure.key(), case.figure.unit());
    let own = results.spread(case.name, "waxwing", key)?;
    let floor = results.spread(case.name, "floor", key);
    let above = results.ratio(case.name, ("waxwing", "floor"), key);
    // Less than a tenth of a KiB is noise, and no measure for anything.
    let above = above.filter(|_| floor.is_some_and(|floor| floor.median > 0.1));
    let mut text = format!(
        "| {} | {} | {} | {} |",
        case.title,
        with_unit(own, unit),
        floor.map_or(String::new(), |floor| with_unit(floor, unit)),
        above.map_or(String::new(), Spread::text),
    );
    for (name, _) in OTHERS {
        let ratio = results.ratio(case.name, (name, "waxwing"), key);
        let other = results.spread(case.name, name, key);
        let cell = ratio
            .zip(other)
            .map(|(ratio, other)| format!("{}: {} {unit}", ratio.text(), brief(other.median)));
        put(&mut text, format_args!(" {} |", cell.unwrap_or_default()));
    }
    Some(text)
}

fn latencies(out: &mut String, results: &Results) {
    let cases = CASES.iter().filter(|case| case.figure == Figure::Latency);
    let mut rows = String::new();
    for case in cases {
        let cell = |server: &str| {
            let at = |key| results.spread(case.name, server, key).map(|spread| spread.median);
            let both = at("p50").zip(at("p99"));
            both.map_or(String::new(), |(p50, p99)| format!("{} / {}", brief(p50), brief(p99)))
        };
        let cells = ["waxwing", "floor", "ejabberd", "prosody"].map(cell);
        if !cells[0].is_empty() {
            put(&mut rows, format_args!("| {} | {} |\n", case.title, cells.join(" | ")));
        }
    }
    if !rows.is_empty() {
        put(
            out,
            format_args!(
                "\n**Latency, median / 99th percentile in µs, from the moment a message was due**\
                 \n\n| | Waxwing | floor | ejabberd | Prosody |\n|---|---|---|---|---|\n{rows}"
            ),
        );
    }
}

fn with_unit(spread: Spread, unit: &str) -> String {
    let text = spread.text();
    match text.split_once(' ') {
        Some((median, rest)) => format!("{median} {unit} {rest}"),
        None => format!("{text} {unit}"),
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("strings take every write");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_has_figures_and_ratios() {
        let mut results = Results::new(json!({ "date": "2026-01-02", "rounds": 1 }));
        for (server, cpu) in [("waxwing", 10.0), ("floor", 5.0), ("ejabberd", 80.0)] {
            results.add("chat-tcp-1", server, json!({ "cpu_micros": cpu }));
        }
        let text = tables(&results);
        let row = "| chat, TCP, 1 in flight | 10.0 µs | 5.00 µs | 2.00 | 8.00: 80.0 µs |  |";
        assert!(text.contains(row), "{text}");
        assert!(text.starts_with("2026-01-02: unknown"), "{text}");
    }

    #[test]
    fn the_page_keeps_what_people_wrote() {
        let page = format!("before\n{BEGIN}old{END}\nafter\n");
        assert_eq!(replace(&page, "new\n"), Ok(format!("before\n{BEGIN}new\n{END}\nafter\n")));
        assert!(replace("no marks", "new").is_err());
    }
}
