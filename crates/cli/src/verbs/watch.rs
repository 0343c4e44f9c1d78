//! What changed between two looks at a list.
//!
//! Relies on each row having an id. Never calls a row changed that says the same.

use std::collections::BTreeMap;

use serde_json::{json, Map, Value};

use crate::output::{Format, Row};

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

/// All changes from `old` to `new`: first what went, then the rest in the order of `new`. `id` is the field that tells rows apart.
pub fn changes(old: &[Value], new: &[Value], id: &str) -> Vec<Change> {
    let before: BTreeMap<String, &Value> = old.iter().map(|it| (key(it, id), it)).collect();
    let after: BTreeMap<String, &Value> = new.iter().map(|it| (key(it, id), it)).collect();
    let gone = old
        .iter()
        .filter(|it| !after.contains_key(&key(it, id)))
        .map(|it| Change::Removed(it.clone()));
    let rest = new.iter().filter_map(|row| match before.get(&key(row, id)) {
        None => Some(Change::Added(row.clone())),
        Some(was) if **was == *row => None,
        Some(was) => Some(Change::Changed(row.clone(), fields(was, row))),
    });
    gone.chain(rest).collect()
}

/// What tells a row from others: its id, and of tasks the framework too.
fn key(row: &Value, id: &str) -> String {
    let row = Row(row);
    format!("{}\n{}\n{}", row.text(id), row.text("framework"), row.text("agent"))
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
            return format!("{sign} {}\n", Row(row).text(id));
        }
        match format {
            Format::Table | Format::Wide => {
                format!("{sign} {}{}\n", Row(row).text(id), self.words(id))
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

    #[test]
    fn only_what_changed_is_told() {
        let old = [
            json!({ "id": "a", "state": "making" }),
            json!({ "id": "b", "state": "ready" }),
            json!({ "id": "c" }),
        ];
        let new = [
            json!({ "id": "a", "state": "ready", "why": "it is so" }),
            json!({ "id": "b", "state": "ready" }),
            json!({ "id": "d", "n": 1 }),
        ];
        let changes = changes(&old, &new, "id");
        let lines: Vec<String> =
            changes.iter().map(|it| it.line("id", Format::Table, false)).collect();
        assert_eq!(lines, ["- c\n", "~ a state:making->ready why:-->\"it is so\"\n", "+ d n:1\n"]);
        let lines: Vec<String> =
            changes.iter().map(|it| it.line("id", Format::Json, false)).collect();
        assert_eq!(lines[2], "{\"change\":\"added\",\"row\":{\"id\":\"d\",\"n\":1}}\n");
        assert_eq!(changes[0].line("id", Format::Table, true), "- c\n");
    }

    #[test]
    fn tasks_of_two_frameworks_may_share_an_id() {
        let rows = [json!({ "id": "t", "framework": "f" }), json!({ "id": "t", "framework": "g" })];
        assert_eq!(changes(&rows, &rows, "id"), []);
        assert_eq!(changes(&rows, &rows[..1], "id"), [Change::Removed(rows[1].clone())]);
    }
}
