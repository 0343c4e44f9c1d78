//! Notices from an executor's own threads to its loop: somebody looks at a task beside it, and the loop, which owns the children, acts.
//!
//! It never blocks the loop. Who tells waits while the loop has not taken the notice before, so nothing piles up.

use tokio::sync::mpsc;

/// Makes both ends.
pub fn notices<T>() -> (Notifier<T>, Notices<T>) {
    let (sender, receiver) = mpsc::channel(1);
    (Notifier(sender.clone()), Notices { receiver, _sender: sender })
}

/// The end of a thread that tells.
#[derive(Debug)]
pub struct Notifier<T>(mpsc::Sender<T>);

impl<T> Clone for Notifier<T> {
    fn clone(&self) -> Notifier<T> {
        Notifier(self.0.clone())
    }
}

impl<T> Notifier<T> {
    /// Tells the loop, and waits until there is room for the next notice; `false` when the loop has ended. Must be called on a thread
    /// outside of the runtime.
    pub fn tell(&self, notice: T) -> bool {
        self.0.blocking_send(notice).is_ok()
    }
}

/// The end of the loop. Dropping it ends all who tell.
#[derive(Debug)]
pub struct Notices<T> {
    receiver: mpsc::Receiver<T>,
    /// So that the channel stays open while nobody tells.
    _sender: mpsc::Sender<T>,
}

impl<T> Notices<T> {
    /// The next notice; waits for ever while nobody tells. May be dropped while it waits.
    pub async fn next(&mut self) -> T {
        self.receiver.recv().await.expect("this struct holds a sender")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_tells_the_loop_until_it_has_ended() {
        let (notifier, mut notices) = notices();
        let teller = std::thread::spawn(move || {
            let mut told = 0;
            while notifier.tell(told) {
                told += 1;
            }
            told
        });
        for expected in 0..3 {
            assert_eq!(notices.next().await, expected);
        }
        drop(notices);
        assert!(3 <= teller.join().unwrap());
    }
}
