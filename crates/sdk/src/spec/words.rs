//! Parts of a spec in the words of a spec file, for people who are shown a difference.
//!
//! It relies on nothing. What it writes is read by people; the file itself is written by whoever knows the whole form.

use std::fmt::{self, Display, Formatter};

use super::{CheckSpec, Condition, DiskClass, Placement, ProbeSpec, Recovery, Strategy};

impl Display for DiskClass {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DiskClass::Any => "any",
            DiskClass::Root => "root",
            DiskClass::Path => "path",
            DiskClass::Mount => "mount",
            DiskClass::Profile(name) => return write!(f, "profile {name}"),
        })
    }
}

impl Display for Recovery {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Recovery::Wait => f.write_str("wait"),
            Recovery::ReplaceAfter(ms) => write!(f, "replace_after {}", Time(*ms)),
            Recovery::Ask => f.write_str("ask"),
        }
    }
}

impl Display for Strategy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Strategy::Serial => f.write_str("serial"),
            Strategy::Parallel => f.write_str("parallel"),
            Strategy::Canary(count) => write!(f, "canary {count}"),
            Strategy::ByAttribute(name) => write!(f, "by_attribute {name}"),
        }
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.attribute, self.values.join(" or "))
    }
}

impl Display for Placement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        parts.extend(self.max_per_agent.map(|it| format!("max_per_agent {it}")));
        parts.extend(self.spread_over.as_ref().map(|it| format!("spread_over {it}")));
        parts.extend(self.include.iter().map(|it| format!("include {it}")));
        parts.extend(self.exclude.iter().map(|it| format!("exclude {it}")));
        parts.extend(self.near.iter().map(|it| format!("near {it}")));
        parts.extend(self.not_near.iter().map(|it| format!("not_near {it}")));
        f.write_str(&if parts.is_empty() { "anywhere".to_owned() } else { parts.join(", ") })
    }
}

impl Display for CheckSpec {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.probe {
            ProbeSpec::Command(line) => write!(f, "command `{line}`")?,
            ProbeSpec::Http { port, path } => write!(f, "http {path} at port {port}")?,
            ProbeSpec::Tcp { port } => write!(f, "tcp at port {port}")?,
        }
        let (delay, every) = (Time(self.delay_ms), Time(self.interval_ms));
        let (timeout, grace) = (Time(self.timeout_ms), Time(self.grace_ms));
        let failures = self.failures_max;
        write!(
            f,
            ", delay {delay}, every {every}, timeout {timeout}, grace {grace}, failures {failures}"
        )
    }
}

/// So many milliseconds, as a person writes them.
pub(super) struct Time(pub u64);

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms if !ms.is_multiple_of(1_000) => write!(f, "{ms}ms"),
            ms if ms == 0 || !ms.is_multiple_of(60_000) => write!(f, "{}s", ms / 1_000),
            ms => write!(f, "{}m", ms / 60_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Attribute;

    #[test]
    fn parts_read_as_in_the_file() {
        let rack = Attribute::Named("rack".to_owned());
        let placement = Placement {
            max_per_agent: Some(1),
            spread_over: Some(rack.clone()),
            include: vec![Condition { attribute: rack, values: vec!["a".into(), "b".into()] }],
            ..Placement::default()
        };
        assert_eq!(placement.to_string(), "max_per_agent 1, spread_over rack, include rack a or b");
        assert_eq!(Placement::default().to_string(), "anywhere");
        assert_eq!(Recovery::ReplaceAfter(1_800_000).to_string(), "replace_after 30m");
        assert_eq!((Time(0).to_string(), Time(1_500).to_string()), ("0s".into(), "1500ms".into()));
        assert_eq!(Strategy::Canary(2).to_string(), "canary 2");
    }
}
