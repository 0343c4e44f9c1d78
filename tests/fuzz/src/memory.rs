//! How much memory a call holds at most: an allocator that counts, by thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What an input may cost for each of its bytes.
const FOR_EACH_BYTE: usize = 64;
/// What any input may cost.
const FOR_ANY: usize = 64 * 1024;

thread_local! {
    /// Bytes that this thread allocated and did not free.
    static HELD: Cell<isize> = const { Cell::new(0) };
    /// The most of it since it was last asked about.
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, which counts.
struct Counting;

// SAFETY: every call goes to the system's allocator as it is.
#[allow(unsafe_code, reason = "a global allocator is unsafe by its trait")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.get() + layout.size() as isize;
        HELD.set(held);
        MOST.set(MOST.get().max(held));
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.set(HELD.get() - layout.size() as isize);
        System.dealloc(at, layout);
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that a call holds at any moment, beyond what was held before; and what it returns.
pub fn most_bytes_held<T>(call: impl FnOnce() -> T) -> (usize, T) {
    let before = HELD.get();
    MOST.set(before);
    let returned = call();
    (usize::try_from(MOST.get() - before).unwrap_or(0), returned)
}

/// The most bytes that the reader of so many bytes may hold.
pub fn allowed_bytes(input_bytes: usize) -> usize {
    FOR_ANY + FOR_EACH_BYTE * input_bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_for_a_moment_counts() {
        let (held, length) = most_bytes_held(|| {
            drop(vec![0_u8; 5_000]);
            vec![0_u8; 300].len()
        });
        assert_eq!((held, length), (5_000, 300));
    }
}
