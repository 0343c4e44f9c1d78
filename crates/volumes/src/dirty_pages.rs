//! How much of what was written anywhere on this machine is not on a disk yet.
//!
//! What it is for: a sync of a whole file system is the cheapest way to sync hundreds of new files,
//! and waits for everybody's pages: for a database's gigabytes, too. What the machine has in all
//! bounds that wait. What it relies on: `/proc/meminfo`. What it never does: guess; where it cannot
//! be read, there is no bound.

/// The bytes that wait to be written, of all file systems together; `None` where the kernel does
/// not say.
#[cfg(not(test))]
pub(crate) fn dirty_bytes() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

#[cfg(test)]
pub(crate) use told::{dirty_bytes, with_dirty_bytes};

/// Reads the two lines that count.
fn parse(meminfo: &str) -> Option<u64> {
    let kib = |name: &str| -> Option<u64> {
        let rest = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        rest.split_whitespace().next()?.parse().ok()
    };
    let all = kib("Dirty:")?.checked_add(kib("Writeback:")?)?;
    all.checked_mul(1024)
}

/// In tests a thread says how much there is: what this machine has changes all the time.
#[cfg(test)]
mod told {
    use std::cell::Cell;

    thread_local! {
        static DIRTY_BYTES: Cell<Option<u64>> = const { Cell::new(None) };
    }

    pub(crate) fn dirty_bytes() -> Option<u64> {
        DIRTY_BYTES.get()
    }

    /// Runs `work` as on a machine with so many bytes to write.
    pub(crate) fn with_dirty_bytes<T>(bytes: u64, work: impl FnOnce() -> T) -> T {
        DIRTY_BYTES.set(Some(bytes));
        let result = work();
        DIRTY_BYTES.set(None);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lines_count_and_neither_may_be_missing() {
        let meminfo =
            "MemTotal:  8034324 kB\nDirty:    12 kB\nWriteback:    3 kB\nWritebackTmp: 9 kB\n";
        assert_eq!(parse(meminfo), Some(15 * 1024));
        assert_eq!(parse("Dirty: 12 kB\n"), None);
        assert_eq!(parse("Dirty: x kB\nWriteback: 3 kB\n"), None);
    }

    #[test]
    fn this_machine_says() {
        assert!(parse(&std::fs::read_to_string("/proc/meminfo").unwrap()).is_some());
    }
}
