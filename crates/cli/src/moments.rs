//! Moments as people write them: `2026-11-30T04:00:00Z`, `2026-11-30 04:00:00+01:00`, `2026-11-30`, `2h ago`, `2h`.
//!
//! Relies on the reader's clock for what is said relative to now. Never guesses a time zone: what names none is UTC, as everything that is
//! shown.

use holdfast_node::settings::durations::parse_duration;

/// Reads a moment, in milliseconds since 1970.
///
/// # Errors
/// A sentence with examples.
pub fn parse_moment(text: &str, now_ms: u64) -> Result<u64, String> {
    let text = text.trim();
    let ago = text.strip_suffix("ago").map_or(text, str::trim_end);
    if let Ok(ago) = parse_duration(ago) {
        let ago_ms = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        return Ok(now_ms.saturating_sub(ago_ms));
    }
    let moment = calendar(text).ok_or_else(|| {
        format!(
            "`{text}` is no time; write for instance 2026-11-30T04:00:00Z, 2026-11-30, or `2h ago`"
        )
    })?;
    match moment <= now_ms {
        true => Ok(moment),
        false => Err(format!("`{text}` lies in the future")),
    }
}

/// A day, and if it is there a time of the day and a time zone.
fn calendar(text: &str) -> Option<u64> {
    let (day, rest) = match text.split_once(['T', 't', ' ']) {
        Some((day, rest)) => (day, rest),
        None => (text, "00:00:00Z"),
    };
    let mut parts = day.split('-');
    let year = number(parts.next()?, 4)?;
    let (month, day) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let is_day = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day);
    if parts.next().is_some() || !is_day {
        return None;
    }
    let at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(at);
    let midnight_ms = days_since_1970(year, month, day) * 86_400_000;
    let local_ms = midnight_ms + clock_ms(clock)?;
    u64::try_from(local_ms - zone_ms(zone)?).ok()
}

/// `04:00`, `04:00:00` or `04:00:00.123`.
fn clock_ms(clock: &str) -> Option<i64> {
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = whole.split(':');
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let second = parts.next().map_or(Some(0), |it| number(it, 2))?;
    let is_time = hour < 24 && minute < 60 && second < 60;
    if parts.next().is_some() || !is_time || !fraction.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let ms: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    Some(((hour * 60 + minute) * 60 + second) * 1_000 + ms)
}

/// `Z`, `+01:00` or nothing, which is UTC.
fn zone_ms(zone: &str) -> Option<i64> {
    let sign = match zone.chars().next() {
        None => return Some(0),
        Some('Z' | 'z') => return (zone.len() == 1).then_some(0),
        Some('+') => 1,
        Some('-') => -1,
        Some(_) => return None,
    };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
}

/// A number of exactly so many digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    let is_right = text.len() == digits && text.bytes().all(|it| it.is_ascii_digit());
    is_right.then(|| text.parse().ok()).flatten()
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let years: i64 = (1970..year).map(|it| if is_leap(it) { 366 } else { 365 }).sum();
    let months: i64 = (1..month).map(|it| days_of(year, it)).sum();
    years + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::human;

    const NOW: u64 = 1_796_000_000_000;

    #[test]
    fn people_write_moments() {
        for (text, ms) in [
            ("2000-02-29T00:00:00Z", 951_782_400_000),
            ("2000-02-29", 951_782_400_000),
            ("2000-02-29 01:00:00.5+01:00", 951_782_400_500),
            ("2000-02-28T23:30-00:30", 951_782_400_000),
            ("1970-01-01 00:00:00Z", 0),
            ("2h ago", NOW - 7_200_000),
            ("2h", NOW - 7_200_000),
            ("0", NOW),
        ] {
            assert_eq!(parse_moment(text, NOW), Ok(ms), "{text}");
        }
        let shown = human::ctx(1_709_251_199_000);
        assert_eq!(parse_moment(&shown, NOW), Ok(1_709_251_199_000), "what is shown is read");
    }

    #[test]
    fn what_is_no_moment_or_is_still_to_come_is_refused() {
        for text in [
            "",
            "ago",
            "yesterday",
            "2000-02-30",
            "2000-13-01",
            "2000-1-1",
            "2001-02-29T00:00Z",
            "2000-01-01T24:00Z",
            "2000-01-01T00:00:00+1:00",
            "2000-01-01T00:00:00Zx",
            "2000-01-01T",
            "1969-12-31",
            "1970-01-01T00:00+01:00",
        ] {
            let why = parse_moment(text, NOW).unwrap_err();
            assert!(why.contains("is no time"), "{text}: {why}");
        }
        assert!(parse_moment("2099-01-01", NOW).unwrap_err().contains("future"));
    }
}
