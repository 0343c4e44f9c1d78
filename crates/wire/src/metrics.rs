//! Metrics, in their two formats: Mesos's flat JSON and Prometheus's text.
//!
//! It never keeps a metric: the API is asked each time.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::answer::JsonText;

/// Whether a metric can fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// The value can fall.
    Gauge,
    /// The value only grows while the process lives.
    Counter,
}

/// One metric: a name, labels and a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// As Mesos writes it, such as `master/elected`; unit last.
    pub name: String,
    /// One sentence that says what it means.
    pub help: String,
    /// Whether the value can fall.
    pub kind: MetricKind,
    /// Names and values that tell it from others of the same name.
    pub labels: Vec<(String, String)>,
    /// The value of the metric.
    pub value: f64,
}

impl Metric {
    /// Makes a gauge.
    pub fn gauge(name: impl Into<String>, help: impl Into<String>, value: f64) -> Self {
        Self {
            name: name.into(),
            help: help.into(),
            kind: MetricKind::Gauge,
            labels: Vec::new(),
            value,
        }
    }

    /// Makes a counter.
    pub fn counter(name: impl Into<String>, help: impl Into<String>, value: f64) -> Self {
        Self { kind: MetricKind::Counter, ..Self::gauge(name, help, value) }
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }

    /// Its name in the flat form, where values of labels become parts of the name.
    pub(crate) fn flat_name(&self) -> String {
        let parts: Vec<&str> = std::iter::once(self.name.as_str())
            .chain(self.labels.iter().map(|(_, value)| value.as_str()))
            .collect();
        parts.join("/")
    }
}

/// Mesos's form: one object, name to number. What is not finite has no place in JSON and is left
/// out.
pub(crate) fn snapshot(metrics: &[Metric]) -> JsonText {
    let finite = metrics.iter().filter(|metric| metric.value.is_finite());
    JsonText::of(
        &finite.map(|metric| (metric.flat_name(), metric.value)).collect::<BTreeMap<_, _>>(),
    )
}

/// Prometheus's form, version 0.0.4.
pub(crate) fn exposition(metrics: &[Metric]) -> String {
    let mut families: BTreeMap<String, Vec<&Metric>> = BTreeMap::new();
    for metric in metrics {
        families.entry(allowed_name(&metric.name)).or_default().push(metric);
    }
    let mut text = String::new();
    for (name, members) in families {
        let kind = match members[0].kind {
            MetricKind::Gauge => "gauge",
            MetricKind::Counter => "counter",
        };
        let help = members[0].help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for metric in members {
            let _ = writeln!(text, "{name}{} {}", labels(metric), number(metric.value));
        }
    }
    text
}

fn labels(metric: &Metric) -> String {
    if metric.labels.is_empty() {
        return String::new();
    }
    let escape =
        |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs: Vec<String> = metric
        .labels
        .iter()
        .map(|(name, value)| format!("{}=\"{}\"", allowed_name(name), escape(value)))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

/// Prometheus allows letters, digits and `_`, and no digit first.
fn allowed_name(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' })
        .collect();
    if plain.starts_with(|letter: char| letter.is_ascii_digit()) || plain.is_empty() {
        format!("_{plain}")
    } else {
        plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> Vec<Metric> {
        vec![
            Metric::gauge("master/elected", "Whether it leads.", 1.0),
            Metric::counter("wire/calls", "Calls.", 3.0).label("type", "AC\"CEPT"),
            Metric::counter("wire/calls", "Calls.", 4.0).label("type", "KILL"),
            Metric::gauge("odd/9", "a\nb", f64::NAN),
        ]
    }

    #[test]
    fn h47_snapshot_is_flat() {
        let text = String::from_utf8(snapshot(&metrics()).as_bytes().to_vec()).unwrap();
        assert_eq!(
            text,
            r#"{"master/elected":1.0,"wire/calls/AC\"CEPT":3.0,"wire/calls/KILL":4.0}"#
        );
    }

    #[test]
    fn prometheus_reads_it() {
        let expected = "# HELP master_elected Whether it leads.\n# TYPE master_elected gauge\nmaster_elected 1\n\
            # HELP odd_9 a\\nb\n# TYPE odd_9 gauge\nodd_9 NaN\n\
            # HELP wire_calls Calls.\n# TYPE wire_calls counter\nwire_calls{type=\"AC\\\"CEPT\"} 3\nwire_calls{type=\"KILL\"} 4\n";
        assert_eq!(exposition(&metrics()), expected);
    }
}
