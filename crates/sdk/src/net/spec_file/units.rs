//! Sizes and times as people write them in a spec file.
//!
//! It relies on the units of the Mesos API: MB is 2^20 bytes, as MiB is. It never rounds.

/// What a size looks like.
pub(super) const SIZE_EXAMPLES: &str =
    "write a number of MB (2^20 bytes), or \"512MB\", \"10GB\", \"1.5TiB\"";
/// What a time looks like.
pub(super) const TIME_EXAMPLES: &str =
    "write a number with a unit: \"500ms\", \"10s\", \"5m\", \"2h\" or \"1d\"";

/// The largest size that is read, in MB: what an `i64` of thousandths holds.
const SIZE_MAX_MB: f64 = 9.0e12;
/// The longest time that is read: a hundred years, in milliseconds.
const TIME_MAX_MS: u64 = 100 * 365 * 86_400_000;

/// Reads a size, in MB.
///
/// # Errors
/// What is wrong with it.
pub(super) fn size_mb(text: &str) -> Result<i64, String> {
    let (number, unit) = split(text);
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "m" | "mb" | "mib" => 1.0,
        "g" | "gb" | "gib" => 1024.0,
        "t" | "tb" | "tib" => 1024.0 * 1024.0,
        "k" | "kb" | "kib" => 1.0 / 1024.0,
        _ => return Err(format!("`{text}` is no size")),
    };
    let size = number.parse::<f64>().map_err(|_| format!("`{text}` is no size"))? * factor;
    if size.fract() != 0.0 {
        return Err(format!("`{text}` is no whole number of MB (2^20 bytes)"));
    }
    match (0.0..=SIZE_MAX_MB).contains(&size) {
        true => Ok(size as i64),
        false => Err(format!("`{text}` is more than any disk has")),
    }
}

/// Reads a time, in milliseconds.
///
/// # Errors
/// What is wrong with it.
pub(super) fn time_ms(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no length of time");
    let (number, unit) = split(text);
    let factor = match unit {
        "ms" => 1,
        "s" | "secs" => 1_000,
        "m" | "min" | "mins" => 60_000,
        "h" | "hrs" => 3_600_000,
        "d" | "days" => 86_400_000,
        _ => return Err(wrong()),
    };
    let time = number.parse::<u64>().ok().and_then(|it| it.checked_mul(factor));
    let time = time.ok_or_else(wrong)?;
    match time <= TIME_MAX_MS {
        true => Ok(time),
        false => Err(format!("`{text}` is more than a hundred years")),
    }
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let digits = text.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    (number, unit.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        let sizes = ["64MB", "64 mib", "1GiB", "1.5g", "2TB", "512", "2048kb"].map(size_mb);
        assert_eq!(sizes, [64, 64, 1024, 1536, 2 << 20, 512, 2].map(Ok));
        for wrong in ["", "MB", "-1", "1.5MB", "1e3", "99999999999TB", "64 parsecs", "1.2.3g"] {
            assert!(size_mb(wrong).is_err(), "{wrong}");
        }
        let times = ["0s", "500ms", "10s", "5m", "2h", "1d"].map(time_ms);
        assert_eq!(times, [0, 500, 10_000, 300_000, 7_200_000, 86_400_000].map(Ok));
        for wrong in ["", "10", "s", "-1s", "1.5s", "99999999999999999999s", "40000d", "1w"] {
            assert!(time_ms(wrong).is_err(), "{wrong}");
        }
    }
}
