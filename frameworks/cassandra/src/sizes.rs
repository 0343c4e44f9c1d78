//! How a node's memory and disk are divided: the heap by Cassandra's own rule, within what a small node has.
//!
//! Pure. It never gives out more than the task has: a node that is killed for its memory is worse than one that is refused.

use holdfast_sdk::model::Scalar;

/// The least memory of a node, in megabytes.
pub const MEM_MIN_MB: i64 = 512;
/// The least disk of a node, in megabytes.
pub const DISK_MIN_MB: i64 = 256;
/// The least heap that Cassandra starts with, in megabytes.
const HEAP_MIN_MB: i64 = 128;
/// What the JVM needs beside heap and buffers (classes, compiled code, stacks), together with the executor, in megabytes.
const BESIDE_MB: i64 = 192;

/// What a node may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The JVM's heap, in megabytes.
    pub heap_mb: i64,
    /// The most that buffers outside of the heap may use, in megabytes.
    pub direct_mb: i64,
    /// The processors that the JVM counts on.
    pub processors: i64,
    /// The size of one file of the commit log, in megabytes. A mutation may have half of it.
    pub commitlog_segment_mb: i64,
    /// The most that the commit log may use of the volume, in megabytes.
    pub commitlog_total_mb: i64,
}

/// Why a node of this size is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSize {
    /// Too little memory.
    #[error(
        "--mem-mb {0}: Cassandra does not run in less than {MEM_MIN_MB} MB; give each node more"
    )]
    Memory(i64),
    /// Too little disk.
    #[error("--disk-mb {0}: commit log and system tables alone need {DISK_MIN_MB} MB; give each node more")]
    Disk(i64),
    /// A heap that Cassandra does not start with.
    #[error("--heap-mb {0}: Cassandra does not start with less than {HEAP_MIN_MB} MB")]
    HeapTooSmall(i64),
    /// A heap that does not fit into the memory.
    #[error(
        "--heap-mb {heap_mb}: with half as much for buffers and {BESIDE_MB} MB for the JVM itself it does not fit into --mem-mb {mem_mb}; \
         at most {most_mb} do"
    )]
    HeapTooLarge {
        /// What was asked for.
        heap_mb: i64,
        /// The memory of the node.
        mem_mb: i64,
        /// What would fit.
        most_mb: i64,
    },
}

impl Sizes {
    /// Divides a node's resources; `heap_mb` is taken as it is where it fits.
    ///
    /// # Errors
    /// When the node is too small, or the heap is.
    pub fn of(
        cpus: Scalar,
        mem_mb: i64,
        disk_mb: i64,
        heap_mb: Option<i64>,
    ) -> Result<Sizes, BadSize> {
        if mem_mb < MEM_MIN_MB {
            return Err(BadSize::Memory(mem_mb));
        }
        if disk_mb < DISK_MIN_MB {
            return Err(BadSize::Disk(disk_mb));
        }
        let most_mb = (mem_mb - BESIDE_MB) * 2 / 3;
        let heap_mb = match heap_mb {
            None => usual_heap_mb(mem_mb).min(most_mb),
            Some(heap_mb) if heap_mb < HEAP_MIN_MB => return Err(BadSize::HeapTooSmall(heap_mb)),
            Some(heap_mb) if most_mb < heap_mb => {
                return Err(BadSize::HeapTooLarge { heap_mb, mem_mb, most_mb })
            }
            Some(heap_mb) => heap_mb,
        };
        let large = 8192 <= disk_mb;
        Ok(Sizes {
            heap_mb,
            direct_mb: heap_mb / 2,
            processors: ((cpus.as_thousandths() + 999) / 1000).max(1),
            commitlog_segment_mb: if large { 32 } else { 8 },
            commitlog_total_mb: (disk_mb / 8).clamp(64, 8192),
        })
    }

    /// Whether this is a node for trying things out: it starts faster with less of the compiler, and has fewer threads.
    pub fn is_small(&self) -> bool {
        self.heap_mb < 512
    }
}

/// The heap as `cassandra-env.sh` works it out: half of the memory up to 1 GB, or a quarter of it up to 8 GB, whichever is more.
fn usual_heap_mb(mem_mb: i64) -> i64 {
    (mem_mb / 2).min(1024).max((mem_mb / 4).min(8192))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(mem_mb: i64, heap_mb: Option<i64>) -> Result<Sizes, BadSize> {
        Sizes::of(Scalar::whole(2), mem_mb, 20_000, heap_mb)
    }

    #[test]
    fn the_heap_follows_cassandras_own_rule_where_there_is_room() {
        for (mem_mb, heap_mb) in
            [(1024, 512), (2048, 1024), (4096, 1024), (8192, 2048), (32_768, 8192), (131_072, 8192)]
        {
            assert_eq!(sizes(mem_mb, None).unwrap().heap_mb, heap_mb, "{mem_mb} MB");
        }
        assert_eq!(sizes(512, None).unwrap().heap_mb, 213, "a small node keeps room for the JVM");
    }

    #[test]
    fn all_that_a_node_may_use_is_within_its_memory() {
        for mem_mb in MEM_MIN_MB..5000 {
            let it = sizes(mem_mb, None).unwrap();
            assert!(it.heap_mb + it.direct_mb + BESIDE_MB <= mem_mb, "{mem_mb} MB: {it:?}");
            assert!(HEAP_MIN_MB <= it.heap_mb);
        }
    }

    #[test]
    fn what_cannot_run_is_refused_with_what_would() {
        assert_eq!(sizes(511, None), Err(BadSize::Memory(511)));
        assert_eq!(sizes(1024, Some(127)), Err(BadSize::HeapTooSmall(127)));
        assert_eq!(sizes(1024, Some(554)).unwrap().heap_mb, 554);
        let error = sizes(1024, Some(555)).unwrap_err();
        assert!(error.to_string().ends_with("at most 554 do"), "{error}");
        assert_eq!(Sizes::of(Scalar::whole(1), 1024, 255, None), Err(BadSize::Disk(255)));
    }

    #[test]
    fn processors_are_rounded_up_and_the_commit_log_follows_the_disk() {
        let of = |thousandths, disk_mb| {
            let it = Sizes::of(Scalar::thousandths(thousandths), 1024, disk_mb, None).unwrap();
            (it.processors, it.commitlog_segment_mb, it.commitlog_total_mb)
        };
        assert_eq!(of(100, 256), (1, 8, 64));
        assert_eq!(of(1001, 8192), (2, 32, 1024));
        assert_eq!(of(64_000, 1_000_000), (64, 32, 8192));
    }
}
