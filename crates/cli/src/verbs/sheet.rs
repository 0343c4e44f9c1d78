//! One thing with all that is known of it: a name and a value a line, then tables under headings.

use crate::output::Table;

/// See the module.
#[derive(Debug, Default)]
pub struct Sheet {
    lines: Vec<(&'static str, String)>,
    tables: Vec<(&'static str, String)>,
}

impl Sheet {
    /// Adds a line, unless there is nothing to say.
    pub fn line(&mut self, name: &'static str, value: impl ToString) -> &mut Sheet {
        let value = value.to_string();
        if !value.is_empty() {
            self.lines.push((name, value));
        }
        self
    }

    /// Adds a table under a heading, unless it has no rows.
    pub fn table(
        &mut self,
        heading: &'static str,
        table: &Table,
        wide: bool,
        colours: bool,
    ) -> &mut Sheet {
        if !table.is_empty() {
            self.tables.push((heading, table.render(wide, colours)));
        }
        self
    }

    /// As text.
    pub fn text(&self) -> String {
        let width = self.lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let mut text: String =
            self.lines.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect();
        for (heading, table) in &self.tables {
            text.push_str(&format!("\n{heading}\n"));
            text.extend(table.lines().map(|line| format!("  {line}\n")));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Column;

    #[test]
    fn lines_and_tables() {
        let mut table = Table::new(&[Column::left("A"), Column::right("B")]);
        let empty = table.clone();
        table.push(vec!["x".into(), 1.into()]);
        let mut sheet = Sheet::default();
        sheet
            .line("id", "one")
            .line("nothing", "")
            .line("state", "well")
            .table("None", &empty, false, false)
            .table("Disks", &table, false, false);
        assert_eq!(sheet.text(), "id     one\nstate  well\n\nDisks\n  A  B\n  x  1\n");
    }
}
