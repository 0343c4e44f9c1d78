//! The settings that an agent passes to its executors in their environment (H28).
//!
//! It relies on names and forms that Mesos agents use too. It never guesses the identity of the
//! executor.

use std::path::PathBuf;
use std::time::Duration;

use holdfast_model::{ExecutorId, FrameworkId, Invalid};

use super::durations::{parse_duration, BadDuration};

/// The default time for which an executor looks for its agent.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// The default of the longest wait between two attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// The default time that an executor may take to end.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Why the environment is not that of an executor.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// A variable is missing.
    #[error(
        "{name} is not set; an agent sets it: this program is started by a cluster, not by hand"
    )]
    Missing {
        /// The name of the variable.
        name: &'static str,
    },
    /// A variable is not a valid id.
    #[error("{name}: {source}")]
    Name {
        /// The name of the variable.
        name: &'static str,
        /// What is wrong with its value.
        #[source]
        source: Invalid,
    },
    /// A variable is not a duration.
    #[error("{name}: {source}")]
    Duration {
        /// The name of the variable.
        name: &'static str,
        /// What is wrong with its value.
        #[source]
        source: BadDuration,
    },
}

/// The identity of an executor, and how it finds its agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// The address of the agent, as `host:port`.
    pub agent: String,
    /// The framework that owns the executor.
    pub framework: FrameworkId,
    /// The id of the executor.
    pub executor: ExecutorId,
    /// The working directory of the executor.
    pub sandbox: PathBuf,
    /// Whether it outlives its agent.
    pub checkpoint: bool,
    /// The time for which it looks for its agent.
    pub recovery_timeout: Duration,
    /// The longest wait between two attempts.
    pub backoff_max: Duration,
    /// The time that it may take to end when it is asked to.
    pub shutdown_grace: Duration,
}

impl Environment {
    /// Reads the environment of this process.
    ///
    /// # Errors
    /// When a variable is missing or makes no sense.
    pub fn from_env() -> Result<Environment, EnvironmentError> {
        Environment::read(|name| std::env::var(name).ok())
    }

    /// Reads an environment through `variable`.
    ///
    /// # Errors
    /// When a variable is missing or makes no sense.
    pub fn read(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Environment, EnvironmentError> {
        let needed = |name| {
            variable(name).filter(|it| !it.is_empty()).ok_or(EnvironmentError::Missing { name })
        };
        let time = |name, default| match variable(name).filter(|it| !it.is_empty()) {
            Some(text) => {
                parse_duration(&text).map_err(|source| EnvironmentError::Duration { name, source })
            }
            None => Ok(default),
        };
        let (framework, executor) = ("MESOS_FRAMEWORK_ID", "MESOS_EXECUTOR_ID");
        let sandbox = variable("MESOS_SANDBOX").filter(|it| !it.is_empty());
        Ok(Environment {
            agent: needed("MESOS_AGENT_ENDPOINT")?,
            framework: FrameworkId::parse(&needed(framework)?)
                .map_err(|source| EnvironmentError::Name { name: framework, source })?,
            executor: ExecutorId::parse(&needed(executor)?)
                .map_err(|source| EnvironmentError::Name { name: executor, source })?,
            sandbox: PathBuf::from(sandbox.map_or_else(|| needed("MESOS_DIRECTORY"), Ok)?),
            checkpoint: variable("MESOS_CHECKPOINT").is_some_and(|it| it == "1" || it == "true"),
            recovery_timeout: time("MESOS_RECOVERY_TIMEOUT", RECOVERY_TIMEOUT)?,
            backoff_max: time("MESOS_SUBSCRIPTION_BACKOFF_MAX", BACKOFF_MAX)?,
            shutdown_grace: time("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", SHUTDOWN_GRACE)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(extra: &[(&str, &str)]) -> Result<Environment, EnvironmentError> {
        let least = [
            ("MESOS_AGENT_ENDPOINT", "127.0.0.1:5051"),
            ("MESOS_FRAMEWORK_ID", "f"),
            ("MESOS_EXECUTOR_ID", "e"),
            ("MESOS_DIRECTORY", "/sandbox"),
        ];
        let all: Vec<(&str, &str)> = extra.iter().chain(&least).copied().collect();
        Environment::read(|name| {
            all.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn h28_the_environment_of_an_executor() {
        let least = read(&[]).unwrap();
        assert_eq!(
            (least.checkpoint, least.recovery_timeout, least.sandbox),
            (false, RECOVERY_TIMEOUT, PathBuf::from("/sandbox"))
        );
        let all = read(&[
            ("MESOS_CHECKPOINT", "1"),
            ("MESOS_RECOVERY_TIMEOUT", "3secs"),
            ("MESOS_SANDBOX", "/s"),
            ("MESOS_SUBSCRIPTION_BACKOFF_MAX", ""),
        ]);
        let all = all.unwrap();
        assert_eq!(
            (all.checkpoint, all.recovery_timeout.as_secs(), all.sandbox),
            (true, 3, PathBuf::from("/s"))
        );
        assert_eq!(all.backoff_max, BACKOFF_MAX);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (name, value) in [
            ("MESOS_EXECUTOR_ID", ""),
            ("MESOS_FRAMEWORK_ID", "a/b"),
            ("MESOS_RECOVERY_TIMEOUT", "soon"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
