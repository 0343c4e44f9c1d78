//! One row of the masters' own API, field by field.
//!
//! Relies on field names being a promise. A field that is not there reads as empty: an older master may not know it.

use serde_json::Value;

/// A row.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a>(pub &'a Value);

impl<'a> Row<'a> {
    /// A text; empty when there is none.
    pub fn text(&self, field: &str) -> &'a str {
        self.0[field].as_str().unwrap_or_default()
    }

    /// A text; a dash when there is none.
    pub fn text_or_dash(&self, field: &str) -> &'a str {
        Some(self.text(field)).filter(|it| !it.is_empty()).unwrap_or("-")
    }

    /// A count.
    pub fn count(&self, field: &str) -> u64 {
        let value = &self.0[field];
        value.as_u64().or_else(|| value.as_f64().map(|it| it.max(0.0) as u64)).unwrap_or(0)
    }

    /// A number.
    pub fn number(&self, field: &str) -> f64 {
        self.0[field].as_f64().unwrap_or(0.0)
    }

    /// Whether something is so.
    pub fn is(&self, field: &str) -> bool {
        self.0[field].as_bool().unwrap_or(false)
    }

    /// Texts, joined by commas.
    pub fn joined(&self, field: &str) -> String {
        let list = self.0[field].as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
    }

    /// Rows within the row.
    pub fn rows(&self, field: &str) -> &'a [Value] {
        self.0[field].as_array().map(Vec::as_slice).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_empty() {
        let value = serde_json::json!({ "id": "a", "n": 3, "half": 0.5, "big": -1, "yes": true, "list": ["x", "y"], "none": null });
        let row = Row(&value);
        assert_eq!(
            (row.text("id"), row.text("none"), row.text_or_dash("none"), row.text("absent")),
            ("a", "", "-", "")
        );
        assert_eq!(
            (row.count("n"), row.count("half"), row.count("big"), row.count("id")),
            (3, 0, 0, 0)
        );
        assert_eq!(
            (row.is("yes"), row.is("n"), row.joined("list"), row.rows("list").len()),
            (true, false, "x,y".to_owned(), 2)
        );
        assert_eq!(Row(&Value::Null).text("id"), "");
    }
}
