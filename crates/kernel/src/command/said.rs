//! What a command answers, for people and for programs.

use serde_json::{Map, Value, json};

use super::field::FieldKind;

/// What a command answers: a sentence, perhaps some facts, perhaps a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// One or two sentences; may be empty where facts or a table say everything.
    pub note: String,
    /// Single values.
    pub facts: Vec<Fact>,
    /// Many things of one kind.
    pub table: Option<Grid>,
    /// The FORM_TYPE of the answer where it is not that of the question (XEP-0068).
    pub form: Option<&'static str>,
}

/// One thing to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its name on the wire and in JSON; XEP-0133 has names for many.
    pub var: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// What kind of field it is.
    pub kind: FieldKind,
    /// Its values: one, unless the kind takes many.
    pub values: Vec<String>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, each with one text for every column.
    pub rows: Vec<Vec<String>>,
}

/// The head of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name on the wire and in JSON.
    pub var: &'static str,
    /// Its name for people.
    pub label: &'static str,
}

impl Grid {
    /// A table without rows, from `(var, label)`.
    pub fn new(columns: &[(&'static str, &'static str)]) -> Self {
        let columns = columns.iter().map(|(var, label)| Column { var, label }).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row, which must have a text for every column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        assert_eq!(cells.len(), self.columns.len(), "a row has a text for every column");
        self.rows.push(cells);
    }
}

impl Said {
    /// Answers with a sentence.
    pub fn note(note: impl Into<String>) -> Self {
        Self { note: note.into(), ..Self::default() }
    }

    /// Answers with a page of what is kept, the newest first. There may be one row more than `most`
    /// which only tells that there are more; they are asked for by the first column of the last.
    pub fn page(mut table: Grid, most: usize, nothing: &str) -> Self {
        let has_more = table.rows.len() > most;
        table.rows.truncate(most);
        let note = match table.rows.last() {
            Some(last) if has_more => format!("There are more; ask for those before {}.", last[0]),
            Some(_) => String::new(),
            None => nothing.to_owned(),
        };
        Self::note(note).table(table)
    }

    /// Says what the answer is about, as XEP-0068 registers it.
    pub fn about(mut self, form: &'static str) -> Self {
        self.form = Some(form);
        self
    }

    /// Adds a single value.
    pub fn fact(self, var: &'static str, label: &'static str, value: impl Into<String>) -> Self {
        self.facts(var, label, FieldKind::Text, vec![value.into()])
    }

    /// Adds values of some kind.
    pub fn facts(
        mut self,
        var: &'static str,
        label: &'static str,
        kind: FieldKind,
        values: Vec<String>,
    ) -> Self {
        self.facts.push(Fact { var, label, kind, values });
        self
    }

    /// Adds a table.
    pub fn table(mut self, table: Grid) -> Self {
        self.table = Some(table);
        self
    }

    /// For a terminal; ends with a newline unless there is nothing to say. Control characters
    /// are left out, so that no name can move the cursor.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        if !self.note.is_empty() {
            self.note.lines().for_each(|text| line(&mut out, &printable(text)));
        }
        for fact in &self.facts {
            let indent = if fact.kind.is_many() { "\n  " } else { " " };
            let values: String =
                fact.values.iter().map(|value| format!("{indent}{}", printable(value))).collect();
            line(&mut out, &format!("{}:{values}", fact.label));
        }
        if let Some(table) = &self.table {
            table.write(&mut out);
        }
        out
    }

    /// For programs: `{"note": …, "facts": {var: text or list}, "rows": [{var: text}]}`; what
    /// there is nothing of is left out.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        if !self.note.is_empty() {
            object.insert("note".to_owned(), json!(self.note));
        }
        if !self.facts.is_empty() {
            let value = |fact: &Fact| match fact.values.as_slice() {
                [single] if !fact.kind.is_many() => json!(single),
                list => json!(list),
            };
            let facts = self.facts.iter().map(|fact| (fact.var.to_owned(), value(fact)));
            object.insert("facts".to_owned(), Value::Object(facts.collect()));
        }
        if let Some(table) = &self.table {
            let row = |cells: &Vec<String>| -> Value {
                let pairs = table.columns.iter().zip(cells);
                pairs.map(|(column, cell)| (column.var.to_owned(), json!(cell))).collect()
            };
            object.insert("rows".to_owned(), table.rows.iter().map(row).collect());
        }
        Value::Object(object)
    }
}

impl Grid {
    fn write(&self, out: &mut String) {
        let heads = self.columns.iter().map(|column| column.label.to_uppercase()).collect();
        let lines: Vec<Vec<String>> = std::iter::once(heads)
            .chain(self.rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()))
            .collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
        let widths: Vec<usize> = (0..self.columns.len()).filter_map(width).collect();
        for cells in &lines {
            let padded: Vec<String> =
                cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            line(out, padded.join("  ").trim_end());
        }
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_page_tells_how_to_go_on() {
        let page = |count: usize| {
            let mut grid = Grid::new(&[("number", "Number")]);
            (0..count).rev().for_each(|number| grid.row([number.to_string()]));
            Said::page(grid, 2, "There is none.")
        };
        let full = page(3);
        assert_eq!(full.note, "There are more; ask for those before 1.");
        assert_eq!(full.table.map(|table| table.rows.len()), Some(2));
        assert_eq!(page(2).note, "");
        assert_eq!(page(0).note, "There is none.");
    }
}
