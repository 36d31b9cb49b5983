//! What a run says in the end: a table for people, JSON for programs.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::latency::Latencies;
use crate::meter::Usage;
use crate::run::Run;

/// The result of a run.
pub(crate) struct Report {
    title: String,
    base: Map<String, Value>,
    /// What was counted, in the plural.
    operations: &'static str,
    count: u64,
    usage: Usage,
    latencies: Option<Latencies>,
    /// More lines: name, text for people, key and value for programs.
    more: Vec<(&'static str, String, &'static str, Value)>,
    warnings: Vec<String>,
}

impl Report {
    /// A result without anything but its numbers.
    pub(crate) fn new(
        run: &Run,
        scenario: &'static str,
        operations: &'static str,
        (usage, count): (Usage, u64),
    ) -> Self {
        let (address, transport) = (run.target.address, run.target.transport.name());
        let is_interrupted = run.is_interrupted();
        let ended = if is_interrupted { ", interrupted" } else { "" };
        let base = json!({
            "scenario": scenario,
            "transport": transport,
            "address": address.to_string(),
            "operations": operations,
            "interrupted": is_interrupted,
        });
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            title: format!("{scenario} over {transport}, {address}{ended}"),
            base: base.as_object().cloned().unwrap_or_default(),
            operations,
            count,
            warnings: usage.warning(processors).into_iter().collect(),
            usage,
            latencies: None,
            more: Vec::new(),
        }
    }

    /// With latencies.
    pub(crate) fn latencies(mut self, latencies: Latencies) -> Self {
        self.latencies = Some(latencies);
        self
    }

    /// With another line.
    pub(crate) fn line(
        mut self,
        name: &'static str,
        text: String,
        (key, value): (&'static str, Value),
    ) -> Self {
        self.more.push((name, text, key, value));
        self
    }

    /// With a doubt.
    pub(crate) fn warning(mut self, warning: Option<String>) -> Self {
        self.warnings.extend(warning);
        self
    }

    /// What programs read.
    pub(crate) fn json(&self) -> Value {
        let mut all = self.base.clone();
        all.insert("count".into(), self.count.into());
        all.insert("seconds".into(), json!(self.usage.seconds));
        all.insert("per_second".into(), json!(self.per_second()));
        all.insert("latency_micros".into(), json!(self.latencies.as_ref().map(Latencies::json)));
        let usage = self.usage.json(self.count);
        all.extend(usage.as_object().cloned().unwrap_or_default());
        for (_, _, key, value) in &self.more {
            all.insert((*key).into(), value.clone());
        }
        all.insert("warnings".into(), json!(self.warnings));
        Value::Object(all)
    }

    fn per_second(&self) -> f64 {
        self.count as f64 / self.usage.seconds.max(f64::MIN_POSITIVE)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        let mut row = |name: &str, text: String| writeln!(f, "  {name:<14}{text}");
        let (count, seconds) = (thousands(self.count), self.usage.seconds);
        let rate = thousands(self.per_second().round() as u64);
        row(self.operations, format!("{count} in {seconds:.1} s, {rate} a second"))?;
        if let Some(latencies) = self.latencies.as_ref().filter(|some| some.count() > 0) {
            let at = |part| duration(latencies.micros(part));
            let (median, p90, p99) = (at(0.5), at(0.9), at(0.99));
            let rest = format!("99.9 % {}, longest {}", at(0.999), at(1.0));
            row("latency", format!("median {median}, 90 % {p90}, 99 % {p99}, {rest}"))?;
        }
        for (name, text, _, _) in &self.more {
            row(name, text.clone())?;
        }
        if let Some((cpu, resident)) = self.usage.server {
            let each = self.usage.cpu_micros(self.count).map(duration).unwrap_or("-".into());
            let (share, mib) = (cpu / seconds, resident as f64 / 1024.0);
            let each = format!("{each} of processor time each");
            row("server", format!("{each}; {share:.2} processors, {mib:.1} MiB resident"))?;
        }
        row("generator", format!("{:.2} processors", self.usage.own_share()))?;
        self.warnings.iter().try_for_each(|warning| writeln!(f, "  warning: {warning}"))
    }
}

/// Microseconds with a unit that fits.
pub(crate) fn duration(micros: f64) -> String {
    match micros {
        0.0..10.0 => format!("{micros:.2} µs"),
        10.0..1e3 => format!("{micros:.0} µs"),
        1e3..1e6 => format!("{:.1} ms", micros / 1e3),
        _ => format!("{:.1} s", micros / 1e6),
    }
}

/// With a comma before every three digits.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(thousands(7), "7");
        assert_eq!(thousands(123_456), "123,456");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(duration(9.5), "9.50 µs");
        assert_eq!(duration(1_500.0), "1.5 ms");
        assert_eq!(duration(2e6), "2.0 s");
    }
}
