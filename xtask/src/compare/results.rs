//! The figures of all runs, and what they come to.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::cases::Figure;

/// All figures: by case, by server, by round.
pub(super) struct Results(Value);

/// The smallest, the middle and the largest of some figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) least: f64,
    pub(super) median: f64,
    pub(super) most: f64,
}

impl Results {
    /// Nothing measured yet.
    pub(super) fn new(about: Value) -> Self {
        Self(json!({ "about": about, "cases": {}, "failures": [] }))
    }

    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let failed = |error: String| format!("{}: {error}", path.display());
        let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        serde_json::from_str(&text).map(Self).map_err(|error| failed(error.to_string()))
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), String> {
        fs::write(path, format!("{:#}\n", self.0))
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Adds one run.
    pub(super) fn add(&mut self, case: &str, server: &str, run: Value) {
        let place = &mut self.0["cases"][case][server];
        match place.as_array_mut() {
            Some(runs) => runs.push(run),
            None => *place = json!([run]),
        }
    }

    /// Notes a run that came to nothing.
    pub(super) fn fail(&mut self, failure: String) {
        if let Some(failures) = self.0["failures"].as_array_mut() {
            failures.push(failure.into());
        }
    }

    pub(super) fn failures(&self) -> Vec<&str> {
        self.0["failures"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Date, machine, programs, times.
    pub(super) fn about(&self) -> Map<String, Value> {
        self.0["about"].as_object().cloned().unwrap_or_default()
    }

    /// One kind of figure of a server, over all rounds.
    pub(super) fn spread(&self, case: &str, server: &str, key: &str) -> Option<Spread> {
        Spread::of(self.figures(case, server, key).into_iter().flatten().collect())
    }

    /// How many times the other's figure one server's is, round by round.
    pub(super) fn ratio(
        &self,
        case: &str,
        (one, other): (&str, &str),
        key: &str,
    ) -> Option<Spread> {
        let (ones, others) = (self.figures(case, one, key), self.figures(case, other, key));
        let pairs = ones.into_iter().zip(others);
        Spread::of(pairs.filter_map(|(one, other)| Some(one? / other?)).collect())
    }

    /// How much more this figure of a server is in one case than in another, round by round.
    pub(super) fn more(
        &self,
        (one, other): (&str, &str),
        server: &str,
        key: &str,
    ) -> Vec<Option<f64>> {
        let (ones, others) = (self.figures(one, server, key), self.figures(other, server, key));
        ones.into_iter().zip(others).map(|(one, other)| Some(one? - other?)).collect()
    }

    /// Whether a server was to be measured, and never came to a result.
    pub(super) fn has_failed(&self, case: &str, server: &str) -> bool {
        let runs = self.0["cases"][case][server].as_array();
        runs.is_some_and(|runs| runs.iter().all(Value::is_null))
    }

    fn figures(&self, case: &str, server: &str, key: &str) -> Vec<Option<f64>> {
        let runs = self.0["cases"][case][server].as_array();
        runs.into_iter().flatten().map(|run| run[key].as_f64()).collect()
    }
}

impl Spread {
    pub(super) fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.retain(|figure| figure.is_finite());
        figures.sort_by(f64::total_cmp);
        let (least, most) = (*figures.first()?, *figures.last()?);
        let middle = figures.len() / 2;
        let median = match figures.len() % 2 {
            1 => figures[middle],
            _ => f64::midpoint(figures[middle - 1], figures[middle]),
        };
        Some(Self { least, median, most })
    }

    /// The median, and where there are several, the extremes.
    pub(super) fn text(self) -> String {
        let Self { least, median, most } = self;
        let (median, least, most) = (brief(median), brief(least), brief(most));
        if least == most { median } else { format!("{median} ({least} to {most})") }
    }
}

impl Figure {
    /// Where the figure stands in a run.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Start => "start_ms",
            Self::Cpu | Self::Latency => "cpu_micros",
            Self::Memory => "session_kib",
            Self::Fairness => "ratio_p99",
        }
    }

    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Start => "ms",
            Self::Cpu | Self::Latency => "µs",
            Self::Memory => "KiB",
            Self::Fairness => "times",
        }
    }
}

/// Three digits are as much as such figures are worth.
pub(super) fn brief(figure: f64) -> String {
    match figure.abs() {
        0.0..10.0 => format!("{figure:.2}"),
        10.0..100.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_round_by_round() {
        let mut results = Results::new(json!({}));
        for (one, other) in [(2.0, 10.0), (4.0, 12.0), (3.0, 30.0)] {
            results.add("chat", "waxwing", json!({ "cpu_micros": one }));
            results.add("chat", "ejabberd", json!({ "cpu_micros": other }));
        }
        results.add("chat", "waxwing", json!({ "cpu_micros": 3.5 }));
        results.add("chat", "ejabberd", Value::Null);
        let ratio = results.ratio("chat", ("ejabberd", "waxwing"), "cpu_micros").expect("three");
        assert_eq!(ratio, Spread { least: 3.0, median: 5.0, most: 10.0 });
        assert_eq!(ratio.text(), "5.00 (3.00 to 10.0)");
        let spread = results.spread("chat", "waxwing", "cpu_micros").expect("four");
        assert_eq!(spread.median, 3.25);
        assert_eq!(results.spread("chat", "prosody", "cpu_micros"), None);
        results.add("chat", "prosody", Value::Null);
        assert!(results.has_failed("chat", "prosody"));
        assert!(!results.has_failed("chat", "ejabberd") && !results.has_failed("chat", "floor"));
    }
}
