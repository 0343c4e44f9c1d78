//! How long something took that is done again and again, in the form that Mesos's tools read: the last time, and how the newest thousand were spread.
//!
//! What it costs to note one follows nothing; the spread is made when somebody reads it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use holdfast_wire::Metric;

/// How many are kept, as in Mesos.
const KEPT_MAX: usize = 1000;
/// The parts of the whole that are told, by name.
const PARTS: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999), ("p9999", 0.9999)];

/// See the module. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Timings(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    times: u64,
    newest: VecDeque<Duration>,
}

impl Timings {
    /// It took so long once more.
    pub fn note(&self, took: Duration) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.times += 1;
        if seen.newest.len() == KEPT_MAX {
            seen.newest.pop_front();
        }
        seen.newest.push_back(took);
    }

    /// How often it was done.
    pub fn times(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).times
    }

    /// All numbers under this name, in milliseconds; what was never done has no times.
    pub fn metrics(&self, name: &str, help: &str) -> Vec<Metric> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gauge = |part: &str, value| Metric::gauge(format!("{name}{part}"), help, value);
        let mut metrics = vec![gauge("/count", seen.newest.len() as f64)];
        let ms = |it: &Duration| it.as_secs_f64() * 1000.0;
        let mut sorted: Vec<f64> = seen.newest.iter().map(ms).collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(last), Some(min), Some(max)) =
            (seen.newest.back(), sorted.first(), sorted.last())
        else {
            return metrics;
        };
        metrics.extend([gauge("", ms(last)), gauge("/min", *min), gauge("/max", *max)]);
        metrics.extend(PARTS.map(|(part, of)| gauge(&format!("/{part}"), quantile(&sorted, of))));
        metrics
    }
}

/// The value below which this part of them lies, between the two nearest.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = part * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(timings: &Timings) -> Vec<(String, f64)> {
        timings.metrics("x_ms", "Help.").into_iter().map(|it| (it.name, it.value)).collect()
    }

    #[test]
    fn what_was_never_done_has_no_times() {
        assert_eq!(told(&Timings::default()), [("x_ms/count".to_owned(), 0.0)]);
    }

    #[test]
    fn the_newest_thousand_are_spread() {
        let timings = Timings::default();
        for ms in (0..1001).rev() {
            timings.note(Duration::from_millis(ms)); // 1000 is forgotten again.
        }
        let expected = [
            ("x_ms/count", 1000.0),
            ("x_ms", 0.0),
            ("x_ms/min", 0.0),
            ("x_ms/max", 999.0),
            ("x_ms/p50", 499.5),
            ("x_ms/p90", 899.1),
            ("x_ms/p95", 949.05),
            ("x_ms/p99", 989.01),
            ("x_ms/p999", 998.001),
            ("x_ms/p9999", 998.9001),
        ];
        let told = told(&timings);
        assert_eq!(told.len(), expected.len());
        for ((name, value), (expected_name, expected_value)) in told.iter().zip(expected) {
            assert_eq!(name, expected_name);
            assert!((value - expected_value).abs() < 1e-6, "{name} is {value}");
        }
        assert_eq!(timings.times(), 1001);
    }
}
