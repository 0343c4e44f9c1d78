//! The process that fetches what a task wants, the hidden verb `fetch-worker`. It runs as the task's user: in a container of its own, or, for
//! a task of a group, in that of its executor.
//!
//! Relies on `containers` for all that it does. Never decides what is fetched: the plan in its environment does.

use holdfast_containers::{FetchKind, FetchSource};
use holdfast_model::{FetchUri, Scheme};

/// Fetches; returns the exit code.
pub fn main() -> i32 {
    holdfast_containers::fetch_main()
}

/// Where a uri, which was checked, is fetched from.
pub(crate) fn source_of(uri: &FetchUri) -> FetchSource {
    let (address, sha256) = uri.address();
    let kind = match uri.scheme() {
        Some(Scheme::File) => FetchKind::File,
        Some(Scheme::Hadoop) => FetchKind::Hadoop,
        // There is no other that its check lets pass.
        Some(Scheme::Net) | None => FetchKind::Net,
    };
    FetchSource { address: address.to_owned(), kind, sha256: sha256.map(str::to_owned) }
}
