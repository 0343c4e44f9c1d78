//! What keeps the volumes of a disk to their sizes.
//!
//! A *soft* limit is measured use and what follows from it: it prevents no write, and is found out at the next measurement. It is never called
//! anything else. An *image* is a file system of fixed size for each volume, whose writer gets "no space left" at its end. A limit that this
//! program cannot hold is refused where it is asked for.

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
    /// Each is made as an image of fixed size. One that was made before as a directory is measured, and told of.
    Image,
}

impl VolumeLimit {
    /// What follows when a volume was found to use more than its size, if anything does.
    pub fn over_size(self) -> Option<OverSize> {
        match self {
            VolumeLimit::None => None,
            VolumeLimit::Soft(over) => Some(over),
            VolumeLimit::Image => Some(OverSize::Report),
        }
    }

    /// What is said of a disk with this limit, on which volumes were found that are images, and some that are not: a limit that was changed
    /// holds for what is made since.
    pub fn of_volumes(self, are_images: bool, are_others: bool) -> String {
        match (self, are_images, are_others) {
            (VolumeLimit::Image, _, true) => {
                format!("{self}+{}", VolumeLimit::Soft(OverSize::Report))
            }
            (VolumeLimit::None | VolumeLimit::Soft(_), true, _) => {
                format!("{self}+{}", VolumeLimit::Image)
            }
            _ => self.to_string(),
        }
    }
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
            VolumeLimit::Image => "image",
        })
    }
}

impl FromStr for VolumeLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<VolumeLimit, String> {
        let kinds = "write none, soft:report, soft:refuse, soft:stop or image";
        match text {
            "none" => Ok(VolumeLimit::None),
            "soft" | "soft:report" => Ok(VolumeLimit::Soft(OverSize::Report)),
            "soft:refuse" => Ok(VolumeLimit::Soft(OverSize::Refuse)),
            "soft:stop" => Ok(VolumeLimit::Soft(OverSize::Stop)),
            "image" => Ok(VolumeLimit::Image),
            "quota" => Err(format!(
                "`{text}`: this version of Holdfast sets no quotas; `image` prevents writes beyond a volume's size, soft limits are measured and do not; {kinds}"
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
        let others = [VolumeLimit::None, VolumeLimit::Image];
        for limit in over.map(VolumeLimit::Soft).into_iter().chain(others) {
            assert_eq!(limit.to_string().parse(), Ok(limit));
        }
        assert_eq!("soft".parse(), Ok(VolumeLimit::default()));
        let why = "quota".parse::<VolumeLimit>().unwrap_err();
        assert!(why.contains("sets no quotas") && why.contains("soft:stop or image"), "{why}");
        assert!("hard".parse::<VolumeLimit>().unwrap_err().contains("is no limit"));
    }

    #[test]
    fn what_was_made_under_another_limit_is_said_beside_it() {
        let (soft, image) = (VolumeLimit::Soft(OverSize::Stop), VolumeLimit::Image);
        let said = |limit: VolumeLimit| {
            [(false, false), (true, false), (false, true), (true, true)]
                .map(|(images, others)| limit.of_volumes(images, others))
        };
        assert_eq!(said(image), ["image", "image", "image+soft:report", "image+soft:report"]);
        assert_eq!(said(soft), ["soft:stop", "soft:stop+image", "soft:stop", "soft:stop+image"]);
    }
}
