//! Whether the device under a disk completes writes: one that does is slow, with much before what was asked of it, and does not hang.
//!
//! Relies on the kernel's counters, which are read without touching the device. Where a file system has no device of its own (tmpfs, a
//! network's), nothing is known, and nothing is taken for progress.

use std::path::PathBuf;

/// The place of a write counter and of the flush counter among the words of a device's `stat`.
const COUNTERS: [usize; 2] = [4, 15];

/// A device, and how much it had done when it was looked at last.
#[derive(Debug, Default)]
pub struct Device {
    stat: Option<PathBuf>,
    done: Option<u64>,
}

impl Device {
    /// The device with this number, as `stat` calls it.
    pub fn numbered(number: u64) -> Device {
        let name = holdfast_volumes::device_name(number);
        Device { stat: Some(format!("/sys/dev/block/{name}/stat").into()), done: None }
    }

    /// Whether it has completed a write since this was asked last; `false` the first time.
    pub fn has_moved(&mut self) -> bool {
        let text = self.stat.as_ref().and_then(|it| std::fs::read_to_string(it).ok());
        let now = text.as_deref().and_then(completed);
        let before = std::mem::replace(&mut self.done, now);
        before.is_some() && now.is_some() && before != now
    }
}

/// The writes and flushes that were completed, from the text of a device's `stat`.
fn completed(stat: &str) -> Option<u64> {
    let words: Vec<&str> = stat.split_whitespace().collect();
    let writes = words.get(COUNTERS[0])?.parse::<u64>().ok()?;
    // Older kernels do not count flushes.
    let flushes = words.get(COUNTERS[1]).and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
    Some(writes.wrapping_add(flushes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_flushes_are_progress_and_reads_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let stat = dir.path().join("stat");
        let mut device = Device { stat: Some(stat.clone()), done: None };
        let mut moves = |text: &str| {
            std::fs::write(&stat, text).unwrap();
            device.has_moved()
        };
        let line = |reads: u64, writes: u64, flushes: u64| {
            format!("{reads} 0 0 0 {writes} 0 0 0 0 0 0 0 0 0 0 {flushes} 0\n")
        };
        assert!(!moves(&line(1, 1, 1)), "the first time nothing is known");
        assert!(!moves(&line(9, 1, 1)));
        assert!(moves(&line(9, 2, 1)) && moves(&line(9, 2, 2)));
        assert!(!moves("nonsense") && !moves(&line(9, 3, 2)));
        assert!(moves("1 2 3 4 6 6 7 8 9 10 11"), "an older kernel's");
    }

    #[test]
    fn a_device_that_is_not_there_does_not_move() {
        let mut none = Device::default();
        let mut strange = Device::numbered(u64::MAX);
        assert!(!none.has_moved() && !none.has_moved());
        assert!(!strange.has_moved() && !strange.has_moved());
        assert_eq!(
            Device::numbered(0x0801).stat.unwrap().to_str(),
            Some("/sys/dev/block/8:1/stat")
        );
        assert_eq!(
            Device::numbered(7 << 8 | 3).stat.unwrap().to_str(),
            Some("/sys/dev/block/7:3/stat")
        );
    }
}
