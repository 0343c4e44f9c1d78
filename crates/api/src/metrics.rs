//! Numbers read from a view, under Mesos's names where Mesos has one.
//!
//! Never keeps a number: each is read when somebody asks.

mod agent;
mod master;

use std::borrow::Cow;

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

#[cfg(test)]
mod tests;
