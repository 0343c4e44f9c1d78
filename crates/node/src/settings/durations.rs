//! Durations as people write them: `500ms`, `15s`, `5m`, `2h`, `7d`, `0`.

use std::time::Duration;

/// Reads a duration.
///
/// # Errors
/// A sentence with examples.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration; write for instance 500ms, 15s, 5m, 2h or 7d");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let count: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let unit_ms: u64 = match &text[digits..] {
        "ms" => 1,
        "s" | "secs" => 1_000,
        "m" | "mins" => 60_000,
        "h" | "hrs" => 3_600_000,
        "d" | "days" => 86_400_000,
        _ => return Err(wrong()),
    };
    count.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(wrong)
}

/// A duration as Mesos writes it, in the largest unit that leaves no rest; [`parse_duration`] reads it again.
pub fn duration_text(duration: Duration) -> String {
    const UNITS: [(u128, &str); 4] =
        [(86_400_000, "days"), (3_600_000, "hrs"), (60_000, "mins"), (1_000, "secs")];
    let ms = duration.as_millis();
    if ms == 0 {
        return "0secs".to_owned();
    }
    let unit = UNITS.iter().find(|(unit_ms, _)| ms.is_multiple_of(*unit_ms));
    unit.map_or_else(|| format!("{ms}ms"), |(unit_ms, name)| format!("{}{name}", ms / unit_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_durations() {
        assert_eq!(parse_duration("15s"), Ok(Duration::from_secs(15)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        for (ms, text) in
            [(0, "0secs"), (1500, "1500ms"), (75_000, "75secs"), (604_800_000, "7days")]
        {
            let duration = Duration::from_millis(ms);
            assert_eq!(duration_text(duration), text);
            assert_eq!(parse_duration(text), Ok(duration));
        }
        for wrong in ["", "5", "s", "-1s", "5 s", "99999999999999999999d", "18446744073709551615d"]
        {
            assert!(parse_duration(wrong).is_err(), "{wrong:?}");
        }
    }
}
