//! Numbers read from a view, under Mesos's names where Mesos has one.
//!
//! Never keeps a number: each is read when somebody asks.

mod agent;
mod master;

use std::borrow::Cow;

use holdfast_model::Quantities;

pub use agent::agent;
pub use master::master;

/// One number, which can fall.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// As Mesos writes it, such as `master/elected`; unit last.
    pub name: Cow<'static, str>,
    /// What it means, in one sentence.
    pub help: &'static str,
    /// Names and values that tell it from others of the same name.
    pub labels: Vec<(&'static str, Cow<'static, str>)>,
    /// The number.
    pub value: f64,
}

impl Sample {
    fn gauge(name: impl Into<Cow<'static, str>>, help: &'static str, value: f64) -> Sample {
        Sample { name: name.into(), help, labels: Vec::new(), value }
    }

    fn count(name: impl Into<Cow<'static, str>>, help: &'static str, count: usize) -> Sample {
        Sample::gauge(name, help, count as f64)
    }

    fn label(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Sample {
        self.labels.push((name, value.into()));
        self
    }
}

/// How much there is of some resources, how much of it is used, and the share, under Mesos's names. What may be taken back at any time is
/// counted apart.
fn amounts(process: &str, total: &Quantities, used: &Quantities, samples: &mut Vec<Sample>) {
    for kind in ["", "_revocable"] {
        for name in ["cpus", "mem", "disk", "gpus"] {
            let of = |all: &Quantities| match kind {
                "" => all.get(name).map_or(0.0, |it| it.to_f64()),
                _ => 0.0, // No agent offers such resources yet.
            };
            let (total, used) = (of(total), of(used));
            let share = if total > 0.0 { used / total } else { 0.0 };
            let named = |what: &str| format!("{process}/{name}{kind}_{what}");
            samples.extend([
                Sample::gauge(named("total"), "What there is.", total),
                Sample::gauge(named("used"), "What tasks and executors use.", used),
                Sample::gauge(named("percent"), "The share that is used, from 0 to 1.", share),
            ]);
        }
    }
}

#[cfg(test)]
mod tests;
