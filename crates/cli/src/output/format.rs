//! How data are written: tables for people, JSON and YAML for programs.
//!
//! JSON and YAML say exactly what the masters' own API says. Never rounds, never leaves anything out.

use serde_json::Value;

/// How data are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table with the most important columns.
    #[default]
    Table,
    /// A table with all columns, ids and resources whole.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

impl Format {
    /// Whether people read it.
    pub fn is_table(self) -> bool {
        matches!(self, Format::Table | Format::Wide)
    }

    /// A value for programs, ended by a line feed; tables are made by whoever knows the columns, so here they are JSON too.
    pub fn text(self, value: &Value) -> String {
        let text = match self {
            Format::Yaml => serde_yaml_ng::to_string(value).ok(),
            _ => serde_json::to_string_pretty(value).ok(),
        };
        // Both can write every value there is; should one of them ever not, the plain text is as true.
        let text = text.unwrap_or_else(|| value.to_string());
        format!("{}\n", text.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_forms_say_the_same() {
        let value = json!([{ "id": "a: b", "size_mb": 18446744073709551615u64, "fault": null, "list": ["x", "no"], "share": 0.25 }]);
        assert_eq!(serde_json::from_str::<Value>(&Format::Json.text(&value)).unwrap(), value);
        assert_eq!(serde_yaml_ng::from_str::<Value>(&Format::Yaml.text(&value)).unwrap(), value);
        assert_eq!(Format::Json.text(&json!([])), "[]\n");
        assert_eq!(Format::Yaml.text(&json!([])), "[]\n");
    }
}
