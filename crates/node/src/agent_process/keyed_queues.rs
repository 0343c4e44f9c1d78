//! Lanes: what is asked about one thing is done one after the other, in the order asked; what is asked about different things does not
//! wait for one another.
//!
//! A lane has a thread while it has work, so a job may wait for as long as it must. Never does two jobs of one lane at once, and never
//! outlives a job that panicked: the core would wait for its answer for ever.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::core_loop::or_die_loudly;

type Job = Box<dyn FnOnce() + Send>;
type Waiting<K> = BTreeMap<K, VecDeque<Job>>;

/// The lanes, by what they are about. Cheap to clone.
pub struct KeyedQueues<K>(Arc<Mutex<Waiting<K>>>);

impl<K> Clone for KeyedQueues<K> {
    fn clone(&self) -> Self {
        KeyedQueues(self.0.clone())
    }
}

impl<K> Default for KeyedQueues<K> {
    fn default() -> Self {
        KeyedQueues(Arc::default())
    }
}

impl<K: Ord + Clone + Send + 'static> KeyedQueues<K> {
    /// Has a job done after those that were asked before it about the same thing.
    pub fn push(&self, about: K, job: impl FnOnce() + Send + 'static) {
        let mut keyed_queues = self.lock();
        if let Some(waiting) = keyed_queues.get_mut(&about) {
            return waiting.push_back(Box::new(job));
        }
        keyed_queues.insert(about.clone(), VecDeque::from([Box::new(job) as Job]));
        drop(keyed_queues);
        let this = self.clone();
        spawn("container-lane", move || {
            while let Some(job) = this.next(&about) {
                job();
            }
        });
    }

    /// The next job of a lane; one that has none is forgotten.
    fn next(&self, about: &K) -> Option<Job> {
        let mut keyed_queues = self.lock();
        let job = keyed_queues.get_mut(about).and_then(VecDeque::pop_front);
        if job.is_none() {
            keyed_queues.remove(about);
        }
        job
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread for a call that may wait. Without threads nothing can be answered any more. A panic in it ends the process: what it owes
/// the core will never come, while containers live on and a restart finds them.
pub fn spawn(name: &'static str, work: impl FnOnce() + Send + 'static) {
    let built = std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(256 * 1024)
        .spawn(move || or_die_loudly(name, work));
    built.expect("a machine that runs containers has threads");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn jobs_of_one_lane_are_done_in_order_and_others_do_not_wait_for_them() {
        let keyed_queues = KeyedQueues::default();
        let ((said, heard), (go, wait)) = (channel(), channel::<()>());
        keyed_queues.push("slow", move || wait.recv().unwrap());
        for number in 0..100 {
            let said = said.clone();
            keyed_queues.push("slow", move || said.send(number).unwrap());
        }
        keyed_queues.push("quick", move || said.send(1_000).unwrap());
        assert_eq!(heard.recv().unwrap(), 1_000, "it does not wait for the other lane");
        go.send(()).unwrap();
        assert_eq!(heard.iter().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_job_that_panics_ends_the_process_and_none_is_done_after_it() {
        const INSIDE: &str = "HOLDFAST_TEST_OF_A_PANIC";
        if std::env::var_os(INSIDE).is_some() {
            let keyed_queues = KeyedQueues::default();
            let (said, heard) = channel();
            keyed_queues.push(1, || panic!("on purpose"));
            keyed_queues.push(1, move || said.send(()).unwrap());
            return heard.recv().unwrap(); // It is heard of only if the process goes on.
        }
        let module = module_path!().split_once("::").unwrap().1;
        let name =
            format!("{module}::a_job_that_panics_ends_the_process_and_none_is_done_after_it");
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        let done = again.args(["--exact", &name, "--nocapture"]).env(INSIDE, "1").output().unwrap();
        let words = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(crate::exit_codes::EXIT_BUG), "{words}");
        assert!(
            words.contains("on purpose")
                && words.contains("container-lane: a rule of the house was broken"),
            "{words}"
        );
    }
}
