//! Medians and ratios, as a page of Markdown.

use std::fmt;

/// What all measurements say.
#[derive(Default)]
pub(super) struct Report {
    notes: Vec<String>,
    tables: Vec<Table>,
}

struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<Row>,
}

/// One server's runs: in each, one figure per column.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) runs: Vec<Vec<f64>>,
}

impl Report {
    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    pub(super) fn add(&mut self, title: &str, columns: &[&str], rows: Vec<Row>) {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        self.tables.push(Table { title: title.to_owned(), columns, rows });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            writeln!(f, "{note}\n")?;
        }
        self.tables.iter().try_for_each(|table| table.fmt(f))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.title)?;
        let columns = self.columns.join(" | ");
        writeln!(f, "| server | times waxwing's | {columns} | {}, all runs |", self.columns[0])?;
        writeln!(f, "|---|{}", "---|".repeat(self.columns.len() + 2))?;
        let first = self.rows.first().map_or(f64::NAN, |row| row.median(0));
        for row in &self.rows {
            let medians = (0..self.columns.len()).map(|column| brief(row.median(column)));
            let medians: Vec<String> = medians.collect();
            let all: Vec<String> = row.runs.iter().map(|run| brief(run[0])).collect();
            let (ratio, medians, all) =
                (row.median(0) / first, medians.join(" | "), all.join(", "));
            writeln!(f, "| {} | {ratio:.1} | {medians} | {all} |", row.name)?;
        }
        writeln!(f)
    }
}

impl Row {
    fn median(&self, column: usize) -> f64 {
        let mut figures: Vec<f64> = self.runs.iter().map(|run| run[column]).collect();
        figures.sort_by(f64::total_cmp);
        let middle = figures.len() / 2;
        match figures.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => figures[middle],
            _ => (figures[middle - 1] + figures[middle]) / 2.0,
        }
    }
}

/// Three digits are as much as such figures are worth.
fn brief(figure: f64) -> String {
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
    fn the_first_server_is_the_measure() {
        let mut report = Report::default();
        let row = |name, runs: &[f64]| Row { name, runs: runs.iter().map(|r| vec![*r]).collect() };
        report.add("Chat", &["µs"], vec![row("a", &[9.0, 2.0, 3.0]), row("b", &[30.0, 24.0])]);
        let text = report.to_string();
        assert!(text.contains("| a | 1.0 | 3.00 | 9.00, 2.00, 3.00 |"), "{text}");
        assert!(text.contains("| b | 9.0 | 27.0 | 30.0, 24.0 |"), "{text}");
    }
}
