//! Bars as SVG, fit for light pages and dark ones.

use std::fmt::Write;

use super::cases::{CASES, Case, Figure};
use super::results::{Results, brief};

/// Servers in the order of their bars, what they are called, and their colours by day and night.
const SERVERS: [(&str, &str, &str, &str); 4] = [
    ("floor", "floor", "#8c959f", "#8b949e"),
    ("waxwing", "Waxwing", "#0969da", "#58a6ff"),
    ("ejabberd", "ejabberd", "#bf8700", "#d29922"),
    ("prosody", "Prosody", "#8250df", "#bc8cff"),
];
const WIDTH: f64 = 760.0;
const LABELS: f64 = 230.0;
/// Room for the figure behind the longest bar.
const FIGURES: f64 = 70.0;
const BAR: f64 = 14.0;
const GAP: f64 = 12.0;
const TOP: f64 = 64.0;

/// A picture below `docs/images`.
pub(super) struct Picture {
    pub(super) file: &'static str,
    pub(super) title: &'static str,
    pub(super) svg: String,
}

/// One picture for each kind of figure.
pub(super) fn all(results: &Results) -> Vec<Picture> {
    let chat = |case: &Case| case.name.starts_with("chat") || case.name.starts_with("presence");
    let login = |case: &Case| case.name.starts_with("login");
    let idle = |case: &Case| case.figure == Figure::Memory && !case.has_many;
    [
        ("performance-messages.svg", "Processor time of a message, µs", pick(chat)),
        ("performance-logins.svg", "Processor time of a sign-in, µs", pick(login)),
        ("performance-memory.svg", "Resident memory of an idle session, KiB", pick(idle)),
    ]
    .into_iter()
    .filter_map(|(file, title, cases)| {
        Some(Picture { file, title, svg: draw(results, title, &cases)? })
    })
    .collect()
}

fn pick(is_wanted: impl Fn(&Case) -> bool) -> Vec<&'static Case> {
    CASES.iter().filter(|case| is_wanted(case)).collect()
}

/// The bars of these cases; none when nothing was measured.
fn draw(results: &Results, title: &str, cases: &[&Case]) -> Option<String> {
    let bars = |case: &Case| -> Vec<(usize, f64)> {
        let servers = SERVERS.iter().enumerate();
        let median = |name| results.spread(case.name, name, case.figure.key());
        servers.filter_map(|(index, server)| Some((index, median(server.0)?.median))).collect()
    };
    let groups: Vec<_> = cases.iter().map(|case| (case.title(""), bars(case))).collect();
    let figures = groups.iter().flat_map(|(_, bars)| bars).map(|(_, figure)| *figure);
    let longest = figures.fold(0.0, f64::max);
    if longest <= 0.0 {
        return None;
    }
    let scale = (WIDTH - LABELS - FIGURES) / longest;
    let mut body = String::new();
    let mut y = TOP;
    for (title, bars) in groups.iter().filter(|(_, bars)| !bars.is_empty()) {
        let middle = y + BAR * bars.len() as f64 / 2.0 + 4.0;
        let x = LABELS - 10.0;
        put(&mut body, format_args!("<text x='{x}' y='{middle:.1}' class='l'>{title}</text>\n"));
        for (index, figure) in bars {
            let (length, height) = ((figure * scale).max(1.0), BAR - 2.0);
            let (after, base) = (LABELS + length + 5.0, y + BAR - 4.0);
            put(
                &mut body,
                format_args!(
                    "<rect x='{LABELS}' y='{y:.1}' width='{length:.1}' height='{height}' \
                     class='s{index}'/><text x='{after:.1}' y='{base:.1}' class='f'>{}</text>\n",
                    brief(*figure)
                ),
            );
            y += BAR;
        }
        y += GAP;
    }
    Some(format!("{}{body}</svg>\n", head(title, y)))
}

/// The frame: style, title and legend.
fn head(title: &str, height: f64) -> String {
    let mut day = String::new();
    let mut night = String::new();
    let mut legend = String::new();
    for (index, (_, name, light, dark)) in SERVERS.iter().enumerate() {
        put(&mut day, format_args!(".s{index}{{fill:{light}}}"));
        put(&mut night, format_args!(".s{index}{{fill:{dark}}}"));
        let x = LABELS + 110.0 * index as f64;
        let text = x + 18.0;
        put(
            &mut legend,
            format_args!(
                "<rect x='{x}' y='36' width='12' height='12' class='s{index}'/>\
                 <text x='{text}' y='46' class='f'>{name}</text>\n"
            ),
        );
    }
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height:.0}' role='img' \
         aria-label='{title}'>\n<style>text{{font:12px system-ui,sans-serif;fill:#1f2328}}\
         .t{{font-size:15px;font-weight:600}}.l{{text-anchor:end}}{day}\
         @media(prefers-color-scheme:dark){{text{{fill:#e6edf3}}{night}}}</style>\n\
         <text x='{LABELS}' y='22' class='t'>{title}</text>\n{legend}"
    )
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("strings take every write");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_longest_bar_fills_the_room_and_no_more() {
        let mut results = Results::new(json!({}));
        results.add("idle-tcp", "waxwing", json!({ "session_kib": 5.0 }));
        results.add("idle-tcp", "prosody", json!({ "session_kib": 50.0 }));
        let pictures = all(&results);
        assert_eq!(pictures.len(), 1, "what was not measured has no picture");
        let Picture { file, svg: picture, .. } = &pictures[0];
        assert_eq!(*file, "performance-memory.svg");
        assert!(picture.contains("width='460.0'") && picture.contains("width='46.0'"), "{picture}");
        assert!(picture.contains("prefers-color-scheme:dark"));
        assert_eq!(picture.matches("class='s").count(), 4 + 2);
    }
}
