//! Tables: columns that line up, some of them only when there is room (`-o wide`), empty ones left out.
//!
//! Relies on each letter being one place wide. Never cuts what it is given.

/// What a cell means; shown as a colour where there are colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// On its way, or waiting.
    Waiting,
    /// Needs somebody's attention.
    Bad,
}

impl Tone {
    /// What a state's word means.
    pub fn of_state(state: &str) -> Tone {
        match state {
            "well" | "ready" | "connected" | "ok" | "running" | "READY" | "COMPLETE"
            | "TASK_RUNNING" | "TASK_FINISHED" => Tone::Good,
            "fenced"
            | "missing"
            | "no"
            | "failed"
            | "stopped"
            | "silent"
            | "ERROR"
            | "UNREACHABLE"
            | "UNKNOWN"
            | "TASK_FAILED"
            | "TASK_ERROR"
            | "TASK_LOST"
            | "TASK_DROPPED"
            | "TASK_GONE"
            | "TASK_GONE_BY_OPERATOR" => Tone::Bad,
            "joining" | "resyncing" | "away" | "deactivated" | "draining" | "drained"
            | "making" | "destroying" | "working" | "waiting" | "paused" | "IN_PROGRESS"
            | "WAITING" | "STARTING" | "RUNNING" | "TASK_STAGING" | "TASK_STARTING"
            | "TASK_KILLING" | "TASK_UNREACHABLE" => Tone::Waiting,
            _ => Tone::Plain,
        }
    }

    fn paint(self, text: &str) -> String {
        let code = match self {
            Tone::Plain => return text.to_owned(),
            Tone::Good => 32,
            Tone::Waiting => 33,
            Tone::Bad => 31,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// One cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A state, in its colour.
    pub fn state(word: &str) -> Cell {
        Cell { tone: Tone::of_state(word), ..Cell::from(word) }
    }

    /// Something wrong.
    pub fn bad(text: impl ToString) -> Cell {
        Cell { tone: Tone::Bad, ..Cell::from(text) }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Cell {
        // A line break in what somebody else wrote must not break the table.
        Cell { text: text.to_string().replace(['\n', '\r', '\t', '\x1b'], " "), tone: Tone::Plain }
    }
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    title: &'static str,
    right: bool,
    wide: bool,
    optional: bool,
}

impl Column {
    /// A column of words.
    pub const fn left(title: &'static str) -> Column {
        Column { title, right: false, wide: false, optional: false }
    }

    /// A column of numbers.
    pub const fn right(title: &'static str) -> Column {
        Column { title, right: true, wide: false, optional: false }
    }

    /// The same, shown only with `-o wide`.
    pub const fn wide(self) -> Column {
        Column { wide: true, ..self }
    }

    /// The same, left out when all its cells are empty.
    pub const fn optional(self) -> Column {
        Column { optional: true, ..self }
    }
}

/// Rows under columns.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    pub fn new(columns: &[Column]) -> Table {
        Table { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row with a cell for each column.
    pub fn push(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(cells);
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// As text, one line for the titles and one for each row, each ended by a line feed.
    pub fn render(&self, wide: bool, colours: bool) -> String {
        let shown = |index: &usize| {
            let column = &self.columns[*index];
            (wide || !column.wide)
                && !(column.optional && self.rows.iter().all(|row| row[*index].text.is_empty()))
        };
        let shown: Vec<usize> = (0..self.columns.len()).filter(shown).collect();
        let width = |index: usize| {
            let cells = self.rows.iter().map(|row| row[index].text.chars().count());
            cells.chain([self.columns[index].title.chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = shown.iter().map(|index| width(*index)).collect();
        let titles: Vec<Cell> = self.columns.iter().map(|it| Cell::from(it.title)).collect();
        let mut text = String::new();
        for row in std::iter::once(&titles).chain(&self.rows) {
            text.push_str(&self.line(row, &shown, &widths, colours));
        }
        text
    }

    fn line(&self, row: &[Cell], shown: &[usize], widths: &[usize], colours: bool) -> String {
        let mut line = String::new();
        for (place, index) in shown.iter().enumerate() {
            let cell = &row[*index];
            let gap = " ".repeat(widths[place].saturating_sub(cell.text.chars().count()));
            let painted = if colours { cell.tone.paint(&cell.text) } else { cell.text.clone() };
            if 0 < place {
                line.push_str("  ");
            }
            match self.columns[*index].right {
                true => line.extend([gap.as_str(), &painted]),
                false => line.extend([painted.as_str(), &gap]),
            }
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let columns = [
            Column::left("ID"),
            Column::left("STATE"),
            Column::right("TASKS"),
            Column::left("WHY").optional(),
            Column::left("PATH").wide(),
        ];
        let mut table = Table::new(&columns);
        table.push(vec!["a".into(), Cell::state("well"), 7.into(), "".into(), "/x".into()]);
        table.push(vec![
            "ünïcode".into(),
            Cell::state("fenced"),
            12345678.into(),
            "".into(),
            "/y".into(),
        ]);
        table
    }

    #[test]
    fn columns_line_up() {
        let text = "\
ID       STATE      TASKS
a        well           7
ünïcode  fenced  12345678
";
        assert_eq!(sample().render(false, false), text);
    }

    #[test]
    fn wide_shows_more_and_optional_columns_come_with_their_first_word() {
        let mut table = sample();
        table.push(vec![
            "b".into(),
            "away".into(),
            0.into(),
            Cell::bad("gone\nfor\x1bgood"),
            "".into(),
        ]);
        let text = "\
ID       STATE      TASKS  WHY            PATH
a        well           7                 /x
ünïcode  fenced  12345678                 /y
b        away           0  gone for good
";
        assert_eq!(table.render(true, false), text, "what others wrote does not break the table");
    }

    #[test]
    fn colours_do_not_move_columns() {
        let painted = sample().render(false, true);
        assert!(painted.contains("\x1b[32mwell\x1b[0m "), "{painted:?}");
        let bare = painted.replace("\x1b[32m", "").replace("\x1b[31m", "").replace("\x1b[0m", "");
        assert_eq!(bare, sample().render(false, false));
    }
}
