//! What changed between two looks at a list.
//!
//! Relies on each row having an id. Never calls a row changed that says the same.

use std::collections::BTreeMap;

use serde_json::{json, Map, Value};

use super::rows::{Listed, Received};
use crate::output::Format;

/// A change of one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is new.
    Added(Value),
    /// It says something else: each field as it was and as it is.
    Changed(Value, Vec<(String, Value, Value)>),
    /// It is gone.
    Removed(Value),
}

/// All changes from `old` to `new`: first what went, then the rest in the order of `new`.
pub fn changes<T: Listed>(old: &[Received<T>], new: &[Received<T>]) -> Vec<Change> {
    let keyed = |rows: &'_ [Received<T>]| -> BTreeMap<String, Value> {
        rows.iter().map(|it| (key(it), it.raw.clone())).collect()
    };
    let (before, after) = (keyed(old), keyed(new));
    let gone = old
        .iter()
        .filter(|it| !after.contains_key(&key(it)))
        .map(|it| Change::Removed(it.raw.clone()));
    let rest = new.iter().filter_map(|row| match before.get(&key(row)) {
        None => Some(Change::Added(row.raw.clone())),
        Some(was) if *was == row.raw => None,
        Some(was) => Some(Change::Changed(row.raw.clone(), fields(was, &row.raw))),
    });
    gone.chain(rest).collect()
}

/// What tells a row from others: its id, and of tasks the framework too.
fn key<T: Listed>(row: &Received<T>) -> String {
    format!("{}\n{}\n{}", row.id(), text(&row.raw, "framework"), text(&row.raw, "agent"))
}

/// A text of a row, whatever kind of row it is.
fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}

fn fields(was: &Value, is: &Value) -> Vec<(String, Value, Value)> {
    let none = Map::new();
    let (was, is) = (was.as_object().unwrap_or(&none), is.as_object().unwrap_or(&none));
    let absent = Value::Null;
    let names = was.keys().chain(is.keys().filter(|it| !was.contains_key(*it)));
    let value = |of: &Map<String, Value>, name: &String| of.get(name).unwrap_or(&absent).clone();
    names
        .map(|name| (name.clone(), value(was, name), value(is, name)))
        .filter(|(_, was, is)| was != is)
        .collect()
}

impl Change {
    /// One line, ended by a line feed.
    pub fn line(&self, id: &str, format: Format, quiet: bool) -> String {
        let row = match self {
            Change::Added(row) | Change::Changed(row, _) | Change::Removed(row) => row,
        };
        let (sign, word) = match self {
            Change::Added(_) => ('+', "added"),
            Change::Changed(..) => ('~', "changed"),
            Change::Removed(_) => ('-', "removed"),
        };
        if quiet {
            return format!("{sign} {}\n", text(row, id));
        }
        match format {
            Format::Table | Format::Wide => {
                format!("{sign} {}{}\n", text(row, id), self.words(id))
            }
            Format::Json => format!("{}\n", json!({ "change": word, "row": row })),
            Format::Yaml => format!("---\n{}", format.text(&json!({ "change": word, "row": row }))),
        }
    }

    fn words(&self, id: &str) -> String {
        match self {
            Change::Removed(_) => String::new(),
            Change::Changed(_, fields) => fields
                .iter()
                .map(|(name, was, is)| format!(" {name}:{}->{}", plain(was), plain(is)))
                .collect(),
            Change::Added(row) => {
                let all = row.as_object().into_iter().flatten();
                let said = all.filter(|(name, value)| {
                    name.as_str() != id && !value.is_null() && !value.is_array()
                });
                said.map(|(name, value)| format!(" {name}:{}", plain(value))).collect()
            }
        }
    }
}

/// A value on one line; texts with blanks in quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text)
            if !text.is_empty()
                && !text.contains(|c: char| c.is_whitespace() || c.is_control()) =>
        {
            text.clone()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;
    use holdfast_api::rows::{ClaimRow, TaskRow};

    fn claims(rows: &[Value]) -> Vec<Received<ClaimRow>> {
        rows.iter().map(|it| testbed::received(it.clone())).collect()
    }

    #[test]
    fn only_what_changed_is_told() {
        let old = claims(&[
            json!({ "id": "a", "state": "making" }),
            json!({ "id": "b", "state": "ready" }),
            json!({ "id": "c" }),
        ]);
        let new = claims(&[
            json!({ "id": "a", "state": "ready", "fault": "it is so" }),
            json!({ "id": "b", "state": "ready" }),
            json!({ "id": "d", "generation": 7 }),
        ]);
        let changes = changes(&old, &new);
        let lines: Vec<String> =
            changes.iter().map(|it| it.line("id", Format::Table, false)).collect();
        assert_eq!(lines[0], "- c\n");
        assert_eq!(lines[1], "~ a fault:-->\"it is so\" state:making->ready\n");
        assert!(lines[2].starts_with("+ d ") && lines[2].contains(" generation:7 "), "{lines:?}");
        let json = changes[2].line("id", Format::Json, false);
        assert!(
            json.starts_with("{\"change\":\"added\",\"row\":{") && json.ends_with("}}\n"),
            "{json}"
        );
        assert_eq!(changes[0].line("id", Format::Table, true), "- c\n");
    }

    #[test]
    fn tasks_of_two_frameworks_may_share_an_id() {
        let row = |framework: &str| -> Received<TaskRow> {
            testbed::received(json!({ "id": "t", "framework": framework }))
        };
        let rows = [row("f"), row("g")];
        assert_eq!(changes(&rows, &rows), []);
        assert_eq!(changes(&rows, &rows[..1]), [Change::Removed(rows[1].raw.clone())]);
    }
}
