//! Numbers as people read them: `10 GiB`, `3m ago`, `7d`.
//!
//! Never used in JSON, where numbers stay numbers.

/// A size in MB (2^20 bytes).
pub fn size_mb(size_mb: u64) -> String {
    let units = ["MiB", "GiB", "TiB", "PiB"];
    let (mut amount, mut unit) = (size_mb as f64, 0);
    while 1024.0 <= amount && unit + 1 < units.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{} {}", one_digit(amount), units[unit])
}

/// A size in bytes.
pub fn size_bytes(bytes: u64) -> String {
    match bytes {
        0 => "0 MiB".to_owned(),
        1..1_048_576 => format!("{} KiB", one_digit(bytes as f64 / 1024.0)),
        _ => size_mb(bytes >> 20),
    }
}

/// With one digit behind the point where it says something.
fn one_digit(amount: f64) -> String {
    let text = format!("{amount:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// How long ago something was; both in milliseconds since 1970, 0 = never.
pub fn ago(now_ms: u64, at_ms: u64) -> String {
    match at_ms {
        0 => "-".to_owned(),
        _ => format!("{} ago", span(now_ms.saturating_sub(at_ms))),
    }
}

/// A length of time in milliseconds, in its largest unit.
pub fn span(ms: u64) -> String {
    const SECOND: u64 = 1_000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match ms {
        0 => "0s".to_owned(),
        1..SECOND => format!("{ms}ms"),
        SECOND..MINUTE => format!("{}s", ms / SECOND),
        MINUTE..HOUR => format!("{}m", ms / MINUTE),
        HOUR..172_800_000 => format!("{}h", ms / HOUR),
        _ => format!("{}d", ms / DAY),
    }
}

/// A moment in milliseconds since 1970, as `2026-11-20 13:04:05Z`.
pub fn ctx(at_ms: u64) -> String {
    let (days, rest_s) = (at_ms / 86_400_000, at_ms / 1_000 % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}Z",
        rest_s / 3_600,
        rest_s / 60 % 60,
        rest_s % 60
    )
}

/// Year, month and day of a day since 1970; years begin in March here, so that the leap day is the last.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// A text; a dash when there is none.
pub fn or_dash(text: Option<&str>) -> &str {
    text.filter(|it| !it.is_empty()).unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let texts = [0, 1, 1023, 1024, 1536, 10 * 1024, 1 << 20, (1 << 20) + (1 << 19), u64::MAX]
            .map(size_mb);
        assert_eq!(
            texts[..8],
            ["0 MiB", "1 MiB", "1023 MiB", "1 GiB", "1.5 GiB", "10 GiB", "1 TiB", "1.5 TiB"]
        );
        assert!(texts[8].ends_with("PiB"));
    }

    #[test]
    fn sizes_in_bytes_are_as_short() {
        let texts = [0, 4096, 1 << 20, 3 << 29].map(size_bytes);
        assert_eq!(texts, ["0 MiB", "4 KiB", "1 MiB", "1.5 GiB"]);
    }

    #[test]
    fn times_are_relative() {
        let now = 1_000_000_000_000;
        let texts = [
            0,
            now,
            now - 999,
            now - 59_999,
            now - 180_000,
            now - 86_400_000,
            now - 172_800_000,
            now + 5,
        ]
        .map(|at| ago(now, at));
        assert_eq!(
            texts,
            ["-", "0s ago", "999ms ago", "59s ago", "3m ago", "24h ago", "2d ago", "0s ago"]
        );
        assert_eq!(span(604_800_000), "7d");
    }

    #[test]
    fn moments_are_of_the_calendar() {
        assert_eq!(ctx(0), "1970-01-01 00:00:00Z");
        assert_eq!(ctx(951_782_400_000), "2000-02-29 00:00:00Z");
        assert_eq!(ctx(1_709_251_199_999), "2024-02-29 23:59:59Z");
        assert_eq!(ctx(4_107_542_400_000), "2100-03-01 00:00:00Z");
    }
}
