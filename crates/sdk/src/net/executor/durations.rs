//! Durations as Mesos writes them in an executor's environment: `15mins`, `2.5secs`, `100ms`.
//!
//! It never guesses a unit.

use std::time::Duration;

/// Nanoseconds of each unit.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("ms", 1e6),
    ("secs", 1e9),
    ("mins", 60e9),
    ("hrs", 3600e9),
    ("days", 86_400e9),
    ("weeks", 604_800e9),
];

/// The error of a text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no duration; write a number and ns, us, ms, secs, mins, hrs, days or weeks")]
pub struct BadDuration {
    /// The text that was given.
    pub text: String,
}

/// Reads a duration.
///
/// # Errors
/// When it is none, or negative, or longer than a machine can wait.
pub fn parse_duration(text: &str) -> Result<Duration, BadDuration> {
    let bad = || BadDuration { text: text.to_owned() };
    let trimmed = text.trim();
    let split = trimmed.find(|it: char| it.is_ascii_alphabetic()).ok_or_else(bad)?;
    let (number, unit) = trimmed.split_at(split);
    let (_, nanos) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
    let number: f64 = number.trim().parse().map_err(|_| bad())?;
    Duration::try_from_secs_f64(number * nanos / 1e9).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_mesos_writes_them() {
        for (text, ms) in [
            ("15mins", 900_000),
            ("2secs", 2_000),
            ("1.5secs", 1_500),
            ("100ms", 100),
            ("1weeks", 604_800_000),
            ("0ns", 0),
        ] {
            assert_eq!(parse_duration(text).unwrap().as_millis(), ms, "{text}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", "15", "secs", "-1secs", "1 fortnight", "NaNsecs", "1e300weeks", "1sec s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
