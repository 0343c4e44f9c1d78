//! Health checks and checks of tasks: what is looked at, how often, and what was seen (I11).
//!
//! Plain values, read by [`crate::convert::check`]. Never looks at anything itself: that is an executor's business.

use std::time::Duration;

use crate::task::CommandInfo;

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A command that is run beside the task; 0 is well.
    Command(CommandInfo),
    /// An HTTP GET of the machine's own address.
    Http(HttpProbe),
    /// A connection to a port of the machine's own address.
    Tcp {
        /// The port.
        port: u16,
        /// Whether `::1` is meant instead of `127.0.0.1`.
        is_ipv6: bool,
    },
}

/// An HTTP GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpProbe {
    /// Whether it is asked by TLS; the certificate is not looked at.
    pub is_tls: bool,
    /// Whether `::1` is meant instead of `127.0.0.1`.
    pub is_ipv6: bool,
    /// The port.
    pub port: u16,
    /// The path with its query, which begins with `/`.
    pub path: String,
    /// The statuses that are well; empty = 200 to 399.
    pub statuses: Vec<u16>,
}

/// When something is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From the task's start to the first look.
    pub delay: Duration,
    /// From the end of a look to the next.
    pub interval: Duration,
    /// How long a look may take; `None` = as long as it likes.
    pub timeout: Option<Duration>,
}

/// A health check: too many failures in a row end the task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is looked at.
    pub probe: Probe,
    /// When.
    pub timing: Timing,
    /// This many failures in a row end the task; 0 is as 1.
    pub failures_max: u32,
    /// Failures in this time after the start do not count, until the first success.
    pub grace: Duration,
}

/// A check: what is seen is told when it changes, and ends nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is looked at.
    pub probe: Probe,
    /// When.
    pub timing: Timing,
}

/// What a task's executor shall look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskChecks {
    /// The health check, if the task has one.
    pub health: Option<HealthCheck>,
    /// The check, if the task has one.
    pub check: Option<Check>,
}

/// What a look has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The command ended with this status.
    ExitCode(i32),
    /// This status was answered.
    HttpStatus(u16),
    /// Whether there was a connection.
    Connected(bool),
}

impl Probe {
    /// Whether what was seen is what a healthy task shows.
    pub fn is_well(&self, seen: Seen) -> bool {
        match (self, seen) {
            (_, Seen::ExitCode(code)) => code == 0,
            (Probe::Http(http), Seen::HttpStatus(status)) if !http.statuses.is_empty() => {
                http.statuses.contains(&status)
            }
            (_, Seen::HttpStatus(status)) => (200..400).contains(&status),
            (_, Seen::Connected(connected)) => connected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(statuses: &[u16]) -> Probe {
        Probe::Http(HttpProbe {
            is_tls: false,
            is_ipv6: false,
            port: 80,
            path: "/".to_owned(),
            statuses: statuses.to_vec(),
        })
    }

    #[test]
    fn i11_what_counts_as_well() {
        let tcp = Probe::Tcp { port: 1, is_ipv6: false };
        let command = Probe::Command(CommandInfo::default());
        for (probe, seen, well) in [
            (&command, Seen::ExitCode(0), true),
            (&command, Seen::ExitCode(1), false),
            (&http(&[]), Seen::HttpStatus(200), true),
            (&http(&[]), Seen::HttpStatus(302), true),
            (&http(&[]), Seen::HttpStatus(199), false),
            (&http(&[]), Seen::HttpStatus(400), false),
            (&http(&[404, 200]), Seen::HttpStatus(404), true),
            (&http(&[404]), Seen::HttpStatus(200), false),
            (&tcp, Seen::Connected(true), true),
            (&tcp, Seen::Connected(false), false),
        ] {
            assert_eq!(probe.is_well(seen), well, "{probe:?} {seen:?}");
        }
    }
}
