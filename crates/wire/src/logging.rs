//! How much a process logs: GET_LOGGING_LEVEL and SET_LOGGING_LEVEL, and `/logging/toggle` from before them, alike on every process.
//!
//! It relies on the API traits for carrying a wish out. Level 0 is what the process was started with, 1 tells more, 2 and above tell all.

use std::time::Duration;

use holdfast_proto::mesos::v1::DurationInfo;
use http::StatusCode;

use crate::answer::{self, Answer};
use crate::query::Query;
use crate::refusal::Refusal;

/// How much is to be logged, and for how long; afterwards it is as it was at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogWish {
    /// The level.
    pub level: u32,
    /// For how long.
    pub lasts: Duration,
}

/// What SET_LOGGING_LEVEL asks for.
pub(crate) fn wish(asked: Option<(u32, DurationInfo)>) -> Result<LogWish, Refusal> {
    let (level, duration) = asked.ok_or_else(|| {
        Refusal::bad_request(
            "set_logging_level: required for a call of type SET_LOGGING_LEVEL; set it, with a level and a duration",
        )
    })?;
    let nanoseconds = u64::try_from(duration.nanoseconds).map_err(|_| {
        Refusal::bad_request("set_logging_level.duration: must not be less than nothing")
    })?;
    Ok(LogWish { level, lasts: Duration::from_nanos(nanoseconds) })
}

/// Answers `/logging/toggle`: the level, or nothing once it was set.
pub(crate) fn toggle(
    query: &Query,
    carry_out: impl FnOnce(Option<LogWish>) -> Result<u32, Refusal>,
) -> Answer {
    let answered = match (query.get("level"), query.get("duration")) {
        (None, None) => carry_out(None).map(|level| format!("{level}\n")),
        (Some(_), None) => Err(Refusal::bad_request("Expecting 'duration=value' in query")),
        (None, Some(_)) => Err(Refusal::bad_request("Expecting 'level=value' in query")),
        (Some(level), Some(lasts)) => {
            toggled(level, lasts).and_then(|it| carry_out(Some(it))).map(|_| String::new())
        }
    };
    match answered {
        Ok(text) => answer::text(StatusCode::OK, "text/plain; charset=utf-8", text),
        Err(refusal) => answer::refusal(&refusal),
    }
}

fn toggled(level: &str, lasts: &str) -> Result<LogWish, Refusal> {
    let level = level.parse().map_err(|_| {
        Refusal::bad_request(format!("level: `{level}` is no level; give 0 or more"))
    })?;
    let lasts = duration(lasts).ok_or_else(|| {
        Refusal::bad_request(format!("duration: `{lasts}` is no time; give for instance 15mins"))
    })?;
    Ok(LogWish { level, lasts })
}

/// A time as Mesos writes it: a number and a unit.
fn duration(text: &str) -> Option<Duration> {
    let at = text.find(|it: char| !it.is_ascii_digit() && it != '.')?;
    let (number, unit) = text.split_at(at);
    let seconds = match unit.trim() {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "secs" | "s" => 1.0,
        "mins" | "m" => 60.0,
        "hrs" | "h" => 3_600.0,
        "days" | "d" => 86_400.0,
        "weeks" | "w" => 604_800.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_mesos_writes_them() {
        for (text, ms) in
            [("15mins", 900_000), ("10secs", 10_000), ("1.5hrs", 5_400_000), ("20ms", 20)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "15", "mins", "-1secs", "1 fortnight", "1.2.3s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_wish_has_a_level_and_a_time_that_is_one() {
        let asked = |nanoseconds| wish(Some((1, DurationInfo { nanoseconds })));
        assert_eq!(asked(5).unwrap(), LogWish { level: 1, lasts: Duration::from_nanos(5) });
        assert_eq!((asked(-1).unwrap_err().status, wish(None).unwrap_err().status), (400, 400));
    }
}
