//! Single fields: ids, uuids, labels, times, and where an error lies.
//!
//! Relies on the ids' own rules. Never guesses: what is out of range is refused, with the field's name.

use std::fmt::Display;

use holdfast_proto::mesos::v1;
use uuid::Uuid;

use crate::id::{AgentId, ExecutorId, FrameworkId, Instant, OfferId, TaskId};
use crate::labels::Labels;
use crate::validate::Invalid;

const NANOS_PER_MS: i64 = 1_000_000;

/// The greatest time that a double of seconds carries to the millisecond (about the year 140,000).
const TIME_MS_MAX: f64 = 4.0e15;

/// Says where an error lies.
pub(crate) trait Place<T> {
    /// It lies inside `outer`.
    fn under(self, outer: impl Display) -> Result<T, Invalid>;
    /// It lies exactly at `field`.
    fn at(self, field: impl Display) -> Result<T, Invalid>;
}

impl<T> Place<T> for Result<T, Invalid> {
    fn under(self, outer: impl Display) -> Result<T, Invalid> {
        self.map_err(|it| it.within(outer))
    }

    fn at(self, field: impl Display) -> Result<T, Invalid> {
        self.map_err(|it| Invalid::new(field.to_string(), it.why))
    }
}

/// Reads each member of a list.
pub(crate) fn each<A, B>(
    field: &str,
    list: Vec<A>,
    read: impl Fn(A) -> Result<B, Invalid>,
) -> Result<Vec<B>, Invalid> {
    list.into_iter()
        .enumerate()
        .map(|(index, it)| read(it).under(format_args!("{field}[{index}]")))
        .collect()
}

/// What must be there.
pub(crate) fn needed<T>(field: &str, given: Option<T>) -> Result<T, Invalid> {
    given.ok_or_else(|| Invalid::new(field, "is missing; set it"))
}

/// The part of a call or operation that its type asks for.
pub(crate) fn part<T>(kind: &str, field: &str, given: Option<T>) -> Result<T, Invalid> {
    given.ok_or_else(|| {
        Invalid::new(field, format!("is missing; a message of type {kind} needs it"))
    })
}

/// proto3 texts: the empty one is none.
pub(crate) fn some_text(text: String) -> Option<String> {
    Some(text).filter(|it| !it.is_empty())
}

macro_rules! ids {
    ($($read:ident, $write:ident, $name:ident = $field:literal;)+) => {$(
        #[doc = concat!("Reads `", $field, "`.")]
        pub(crate) fn $read(id: &v1::$name) -> Result<$name, Invalid> {
            $name::parse(&id.value)
        }

        #[doc = concat!("Writes `", $field, "`.")]
        pub(crate) fn $write(id: &$name) -> v1::$name {
            v1::$name { value: id.as_str().to_owned() }
        }
    )+};
}

ids! {
    agent_id, agent_id_out, AgentId = "agent_id";
    executor_id, executor_id_out, ExecutorId = "executor_id";
    framework_id, framework_id_out, FrameworkId = "framework_id";
    offer_id, offer_id_out, OfferId = "offer_id";
    task_id, task_id_out, TaskId = "task_id";
}

/// Reads an agent's id that may be absent.
pub(crate) fn some_agent(id: Option<v1::AgentId>) -> Result<Option<AgentId>, Invalid> {
    id.map(|it| agent_id(&it)).transpose()
}

/// Reads a framework's id; an empty one is none.
pub(crate) fn some_framework(id: Option<v1::FrameworkId>) -> Result<Option<FrameworkId>, Invalid> {
    id.filter(|it| !it.value.is_empty()).map(|it| framework_id(&it)).transpose()
}

/// Reads the 16 bytes of a uuid.
pub(crate) fn uuid_bytes(field: &str, bytes: &[u8]) -> Result<Uuid, Invalid> {
    Uuid::from_slice(bytes).map_err(|_| {
        Invalid::new(field, format!("{} bytes are no uuid; send its 16 bytes", bytes.len()))
    })
}

/// Reads labels.
pub(crate) fn labels(labels: Option<v1::Labels>) -> Labels {
    labels.into_iter().flat_map(|it| it.labels).map(|it| (it.key, it.value)).collect()
}

/// Writes labels; none when there are none.
pub(crate) fn labels_out(labels: &Labels) -> Option<v1::Labels> {
    let list: Vec<v1::Label> = labels
        .iter()
        .map(|(key, value)| v1::Label { key: key.clone(), value: value.clone() })
        .collect();
    Some(v1::Labels { labels: list }).filter(|it| !it.labels.is_empty())
}

/// Reads a span in nanoseconds as milliseconds, rounded up, so that a short span does not become none.
pub(crate) fn span_ms(field: &str, span: Option<v1::DurationInfo>) -> Result<Option<u64>, Invalid> {
    let Some(span) = span else { return Ok(None) };
    match u64::try_from(span.nanoseconds) {
        Ok(nanos) => Ok(Some(nanos.div_ceil(NANOS_PER_MS as u64))),
        Err(_) => Err(Invalid::new(
            format!("{field}.nanoseconds"),
            format!("{} is negative; give 0 or more", span.nanoseconds),
        )),
    }
}

/// Writes a span.
pub(crate) fn span_out(ms: u64) -> v1::DurationInfo {
    v1::DurationInfo {
        nanoseconds: i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(NANOS_PER_MS),
    }
}

/// Reads a kill policy.
pub(crate) fn grace_ms(policy: Option<v1::KillPolicy>) -> Result<Option<u64>, Invalid> {
    span_ms("kill_policy.grace_period", policy.and_then(|it| it.grace_period))
}

/// Writes a kill policy.
pub(crate) fn grace_out(ms: Option<u64>) -> Option<v1::KillPolicy> {
    ms.map(|ms| v1::KillPolicy { grace_period: Some(span_out(ms)) })
}

/// Reads a time in seconds since 1970; absent is 0.
pub(crate) fn time(field: &str, seconds: Option<f64>) -> Result<Instant, Invalid> {
    let ms = (seconds.unwrap_or(0.0) * 1000.0).round();
    if (0.0..=TIME_MS_MAX).contains(&ms) {
        Ok(Instant(ms as u64))
    } else {
        Err(Invalid::new(
            field,
            format!("{} is no time; give seconds since 1970", seconds.unwrap_or(0.0)),
        ))
    }
}

/// Writes a time in seconds since 1970; 0 is absent.
pub(crate) fn time_out(at: Instant) -> Option<f64> {
    (at != Instant::default()).then(|| at.0 as f64 / 1000.0)
}

/// Reads a time in nanoseconds since 1970.
pub(crate) fn nanos(field: &str, time: Option<v1::TimeInfo>) -> Result<Option<Instant>, Invalid> {
    let Some(time) = time else { return Ok(None) };
    match u64::try_from(time.nanoseconds) {
        Ok(nanos) => Ok(Some(Instant(nanos / NANOS_PER_MS as u64))),
        Err(_) => Err(Invalid::new(
            format!("{field}.nanoseconds"),
            format!("{} is before 1970", time.nanoseconds),
        )),
    }
}

/// Writes a time in nanoseconds since 1970.
pub(crate) fn nanos_out(at: Instant) -> v1::TimeInfo {
    v1::TimeInfo {
        nanoseconds: i64::try_from(at.0).unwrap_or(i64::MAX).saturating_mul(NANOS_PER_MS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_not_negative_and_never_vanish() {
        let span = |nanoseconds| span_ms("grace_period", Some(v1::DurationInfo { nanoseconds }));
        assert_eq!(span(1), Ok(Some(1)));
        assert_eq!(span(0), Ok(Some(0)));
        assert_eq!(span(i64::MAX), Ok(Some(9_223_372_036_855)));
        assert_eq!(span(-1).unwrap_err().path, "grace_period.nanoseconds");
        assert_eq!(span_out(u64::MAX).nanoseconds, i64::MAX);
    }

    #[test]
    fn times_that_are_none_are_refused() {
        for bad in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            assert_eq!(time("timestamp", Some(bad)).unwrap_err().path, "timestamp", "{bad}");
        }
        assert_eq!(time("timestamp", Some(1.5)), Ok(Instant(1500)));
        assert_eq!(time("timestamp", None), Ok(Instant(0)));
        assert_eq!(
            nanos("t", Some(v1::TimeInfo { nanoseconds: -1 })).unwrap_err().path,
            "t.nanoseconds"
        );
    }

    #[test]
    fn a_uuid_has_16_bytes() {
        assert_eq!(uuid_bytes("uuid", &[1; 15]).unwrap_err().path, "uuid");
        assert!(uuid_bytes("uuid", &[1; 16]).is_ok());
    }
}
