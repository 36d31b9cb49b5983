//! The tables of docs/performance.md.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::cases::{ARCHIVED, CASES, Case, Figure, PLAIN};
use super::plot::Picture;
use super::results::{Results, Spread, brief};

const PAGE: &str = "docs/performance.md";
const BEGIN: &str = "<!-- cargo xtask compare --write: begin -->\n";
const END: &str = "<!-- cargo xtask compare --write: end -->";
/// What Waxwing is compared with, and how the page calls it.
const OTHERS: [&str; 2] = ["ejabberd", "prosody"];
/// Every server, in the order of the columns.
const ALL: [&str; 4] = ["waxwing", "floor", "ejabberd", "prosody"];
/// What stands for a run that came to nothing.
const FAILED: &str = "failed";

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
    archiving(&mut out, results);
    latencies(&mut out, results);
    fairness(&mut out, results);
    table(&mut out, results, "Resident memory of a session", &[Figure::Memory]);
    starts(&mut out, results);
    for failure in results.failures() {
        put(&mut out, format_args!("\nFailed: {}\n", failure.lines().next().unwrap_or_default()));
    }
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
         sessions, and {} where they are many; load average at the beginning {}.\n",
        text("date"),
        text("processor"),
        text("processors"),
        text("system"),
        text("kernel"),
        text("packages"),
        text("rounds"),
        text("seconds"),
        text("sessions"),
        text("many"),
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

/// One case: what each server costs, and how many times that is what another costs.
fn row(results: &Results, case: &Case) -> Option<String> {
    let (key, unit) = (case.figure.key(), case.figure.unit());
    let own = plain(results, case, "waxwing")?;
    let floor = results.spread(case.name, "floor", key);
    let above = results.ratio(case.name, ("waxwing", "floor"), key);
    // Less than a tenth of a KiB is noise, and no measure for anything.
    let above = above.filter(|_| floor.is_some_and(|floor| floor.median > 0.1));
    let mut text = format!(
        "| {} | {own} | {} | {} |",
        title(results, case),
        plain(results, case, "floor").unwrap_or_default(),
        above.map_or(String::new(), Spread::text),
    );
    for name in OTHERS {
        let ratio = results.ratio(case.name, (name, "waxwing"), key);
        let other = results.spread(case.name, name, key);
        let cell = ratio
            .zip(other)
            .map(|(ratio, other)| format!("{}: {} {unit}", ratio.text(), brief(other.median)))
            .or_else(|| plain(results, case, name));
        put(&mut text, format_args!(" {} |", cell.unwrap_or_default()));
    }
    Some(text)
}

/// What an archive costs: a message with one, less the same message without.
fn archiving(out: &mut String, results: &Results) {
    let more = |server| results.more((ARCHIVED, PLAIN), server, Figure::Cpu.key());
    let own = more("waxwing");
    let Some(spread) = Spread::of(own.iter().copied().flatten().collect()) else { return };
    let ratios = OTHERS.map(|name| {
        let pairs = more(name).into_iter().zip(&own);
        let ratio = Spread::of(pairs.filter_map(|(other, own)| Some(other? / (*own)?)).collect());
        let other = Spread::of(more(name).into_iter().flatten().collect());
        ratio.zip(other).map_or(String::new(), |(ratio, other)| {
            format!("{}: {} µs", ratio.text(), brief(other.median))
        })
    });
    put(
        out,
        format_args!(
            "\n**What archiving adds to a message (two archives), processor time**\n\n\
             | Waxwing | ejabberd is … times Waxwing | Prosody is … times Waxwing |\n\
             |---|---|---|\n\
             | {} | {} | {} |\n",
            with_unit(spread, Figure::Cpu.unit()),
            ratios[0],
            ratios[1],
        ),
    );
}

/// A server's figure of this case; none when it was not to be measured.
fn plain(results: &Results, case: &Case, server: &str) -> Option<String> {
    match results.spread(case.name, server, case.figure.key()) {
        Some(spread) => Some(with_unit(spread, case.figure.unit())),
        None => results.has_failed(case.name, server).then(|| FAILED.into()),
    }
}

fn title(results: &Results, case: &Case) -> String {
    let many = results.about().get("many").map_or(String::new(), Value::to_string);
    case.title(&many)
}

fn latencies(out: &mut String, results: &Results) {
    let mut rows = String::new();
    for case in CASES.iter().filter(|case| case.figure == Figure::Latency) {
        let cells = ALL.map(|server| two(results, case, server, ("p50", "p99")));
        let above = results.ratio(case.name, ("waxwing", "floor"), "p50");
        let above = above.map_or(String::new(), Spread::text);
        if !cells[0].is_empty() {
            let [own, floor, ejabberd, prosody] = cells;
            let title = title(results, case);
            put(
                &mut rows,
                format_args!("| {title} | {own} | {floor} | {above} | {ejabberd} | {prosody} |\n"),
            );
        }
    }
    if !rows.is_empty() {
        put(
            out,
            format_args!(
                "\n**Latency, median / 99th percentile in µs, from the moment a message was due**\
                 \n\n| | Waxwing | floor | Waxwing's median is … times the floor's | ejabberd \
                 | Prosody |\n|---|---|---|---|---|---|\n{rows}"
            ),
        );
    }
}

/// Two figures of a server, such as median and 99th percentile.
fn two(results: &Results, case: &Case, server: &str, keys: (&str, &str)) -> String {
    let at = |key| results.spread(case.name, server, key).map(|spread| brief(spread.median));
    match at(keys.0).zip(at(keys.1)) {
        Some((one, other)) => format!("{one} / {other}"),
        None if results.has_failed(case.name, server) => FAILED.into(),
        None => String::new(),
    }
}

fn fairness(out: &mut String, results: &Results) {
    for case in CASES.iter().filter(|case| case.figure == Figure::Fairness) {
        let mut rows = String::new();
        for server in ["waxwing", "ejabberd", "prosody"] {
            let alone = two(results, case, server, ("alone_p50", "alone_p99"));
            let beside = two(results, case, server, ("beside_p50", "beside_p99"));
            let one = |key| results.spread(case.name, server, key);
            let ratio = one("ratio_p99").map_or(String::new(), Spread::text);
            let more = one("more_kib").map_or(String::new(), |more| brief(more.median / 1024.0));
            if !alone.is_empty() {
                put(
                    &mut rows,
                    format_args!("| {server} | {alone} | {beside} | {ratio} | {more} |\n"),
                );
            }
        }
        if !rows.is_empty() {
            let title = title(results, case);
            put(
                out,
                format_args!(
                    "\n**Latency {title}, median / 99th percentile in µs**\n\n| | without them \
                     | beside them | 99th percentile, times | memory they cost, MiB |\n\
                     |---|---|---|---|---|\n{rows}"
                ),
            );
        }
    }
}

fn starts(out: &mut String, results: &Results) {
    for case in CASES.iter().filter(|case| case.figure == Figure::Start) {
        let cells = |key: &str, scale: f64| {
            let cell = |server| match results.spread(case.name, server, key) {
                Some(Spread { least, median, most }) => {
                    Spread { least: least / scale, median: median / scale, most: most / scale }
                        .text()
                }
                None if results.has_failed(case.name, server) => FAILED.into(),
                None => String::new(),
            };
            ALL.map(cell).join(" | ")
        };
        if results.spread(case.name, "waxwing", "start_ms").is_some() {
            put(
                out,
                format_args!(
                    "\n**Start**\n\n| | Waxwing | floor | ejabberd | Prosody |\n\
                     |---|---|---|---|---|\n| {}, ms | {} |\n| resident memory then, MiB | {} |\n",
                    title(results, case),
                    cells("start_ms", 1.0),
                    cells("resident_kib", 1024.0),
                ),
            );
        }
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
        assert!(!text.contains("Prosody | failed"), "who took no part has not failed: {text}");
    }

    #[test]
    fn an_archive_costs_what_is_added() {
        let mut results = Results::new(json!({}));
        for (server, without, with) in [("waxwing", 10.0, 30.0), ("ejabberd", 50.0, 250.0)] {
            results.add(PLAIN, server, json!({ "cpu_micros": without }));
            results.add(ARCHIVED, server, json!({ "cpu_micros": with }));
        }
        let text = tables(&results);
        assert!(text.contains("\n| 20.0 µs | 10.0: 200 µs |  |\n"), "{text}");
    }

    #[test]
    fn what_failed_is_told_and_the_rest_stands() {
        let mut results = Results::new(json!({ "many": 19_700 }));
        results.add("many-tls", "waxwing", json!({ "session_kib": 7.0 }));
        results.add("idle-tcp", "waxwing", json!({ "session_kib": 4.0 }));
        results.add("idle-tcp", "ejabberd", Value::Null);
        results.add("open-5000", "waxwing", json!({ "p50": 50.0, "p99": 900.0 }));
        results.add("open-5000", "floor", json!({ "p50": 40.0, "p99": 800.0 }));
        results.add("start", "waxwing", json!({ "start_ms": 50.0, "resident_kib": 15_360 }));
        let fair = json!({ "alone_p50": 60.0, "alone_p99": 1e3, "beside_p50": 70.0,
            "beside_p99": 1.5e3, "ratio_p99": 1.5, "more_kib": 9216 });
        results.add("fairness-tcp", "waxwing", fair);
        results.fail("idle-tcp on ejabberd: gone\nwith a long log".into());
        let text = tables(&results);
        for part in [
            "| idle session of 19700, TLS | 7.00 KiB |  |  |  |  |",
            "| idle session, TCP | 4.00 KiB |  |  | failed |  |",
            "| chat at 5,000 messages a second | 50.0 / 900 | 40.0 / 800 | 1.25 |  |  |",
            "| resident memory then, MiB | 15.0 |",
            "| waxwing | 60.0 / 1000 | 70.0 / 1500 | 1.50 | 9.00 |",
            "\nFailed: idle-tcp on ejabberd: gone\n",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn the_page_keeps_what_people_wrote() {
        let page = format!("before\n{BEGIN}old{END}\nafter\n");
        assert_eq!(replace(&page, "new\n"), Ok(format!("before\n{BEGIN}new\n{END}\nafter\n")));
        assert!(replace("no marks", "new").is_err());
    }
}
