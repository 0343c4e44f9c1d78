//! Sizes as people write them: `512` (MB), `512M`, `10GiB`, `1.5 TiB`. All units are powers of 1024, as in the Mesos API.

/// Reads a size; in MB (2^20 bytes).
///
/// # Errors
/// A sentence with examples.
pub fn parse_size_mb(text: &str) -> Result<u64, String> {
    let wrong =
        || format!("`{text}` is no size; write for instance 512 (MB), 512MiB, 10GiB or 1.5TiB");
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "m" | "mb" | "mib" => 1.0,
        "g" | "gb" | "gib" => 1024.0,
        "t" | "tb" | "tib" => 1024.0 * 1024.0,
        _ => return Err(wrong()),
    };
    let size_mb = number.parse::<f64>().map_err(|_| wrong())? * factor;
    if size_mb.fract() != 0.0 {
        return Err(format!("`{text}` is no whole number of MB (2^20 bytes)"));
    }
    if !(0.0..=9.0e12).contains(&size_mb) {
        return Err(format!("`{text}` is too much"));
    }
    Ok(size_mb as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_sizes() {
        let sizes = ["0", "512", "512M", "512 mib", "10GiB", "1.5 TiB", "0.5G"].map(parse_size_mb);
        assert_eq!(sizes, [0, 512, 512, 512, 10_240, 1_572_864, 512].map(Ok));
        for wrong in ["", "GiB", "-1", "1.2.3", "1K", "1.5", "0.0001G", "99999999T", "1e3", "1 000"]
        {
            assert!(parse_size_mb(wrong).is_err(), "{wrong:?}");
        }
    }
}
