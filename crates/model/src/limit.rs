//! What keeps the volumes of a disk to their sizes.
//!
//! A *soft* limit is measured use and what follows from it: it prevents no write, and is found out at the next measurement. It is never called
//! anything else. A limit that this program cannot hold is refused where it is asked for.

use std::fmt;
use std::str::FromStr;

/// What happens to a volume that was found to use more than its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OverSize {
    /// It is told, logged and counted.
    #[default]
    Report,
    /// No task that would write to it is launched until it is within its size.
    Refuse,
    /// The same, and containers that may write to it are ended.
    Stop,
}

/// What keeps the volumes of a disk to their sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumeLimit {
    /// Nothing: what they use is shown, and nothing follows from it.
    None,
    /// Their use is measured.
    Soft(OverSize),
}

impl Default for VolumeLimit {
    fn default() -> VolumeLimit {
        VolumeLimit::Soft(OverSize::Report)
    }
}

/// As settings write it.
impl fmt::Display for VolumeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            VolumeLimit::None => "none",
            VolumeLimit::Soft(OverSize::Report) => "soft:report",
            VolumeLimit::Soft(OverSize::Refuse) => "soft:refuse",
            VolumeLimit::Soft(OverSize::Stop) => "soft:stop",
        })
    }
}

impl FromStr for VolumeLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<VolumeLimit, String> {
        let kinds = "write none, soft:report, soft:refuse or soft:stop";
        match text {
            "none" => Ok(VolumeLimit::None),
            "soft" | "soft:report" => Ok(VolumeLimit::Soft(OverSize::Report)),
            "soft:refuse" => Ok(VolumeLimit::Soft(OverSize::Refuse)),
            "soft:stop" => Ok(VolumeLimit::Soft(OverSize::Stop)),
            "quota" | "image" => Err(format!(
                "`{text}`: this version of Holdfast has soft limits only, which are measured and prevent no write; {kinds}"
            )),
            _ => Err(format!("`{text}` is no limit; {kinds}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_as_it_is_written_and_one_that_cannot_be_held_is_refused() {
        let over = [OverSize::Report, OverSize::Refuse, OverSize::Stop];
        for limit in over.map(VolumeLimit::Soft).into_iter().chain([VolumeLimit::None]) {
            assert_eq!(limit.to_string().parse(), Ok(limit));
        }
        assert_eq!("soft".parse(), Ok(VolumeLimit::default()));
        for hard in ["quota", "image"] {
            let why = hard.parse::<VolumeLimit>().unwrap_err();
            assert!(why.contains("soft limits only") && why.contains("soft:stop"), "{why}");
        }
        assert!("hard".parse::<VolumeLimit>().unwrap_err().contains("is no limit"));
    }
}
