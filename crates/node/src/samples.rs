//! Numbers of a core, as the wire serves them.

use holdfast_api::metrics::Sample;
use holdfast_wire::Metric;

/// A number with its name and labels.
pub fn metric(sample: Sample) -> Metric {
    let metric = Metric::gauge(sample.name, sample.help, sample.value);
    sample.labels.into_iter().fold(metric, |it, (name, value)| it.label(name, value))
}
