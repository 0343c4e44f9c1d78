//! The loop that ties one mind to its hands: take all that waits, let the mind handle it, write once,
//! then carry out the rest. One fsync serves a whole batch.
//!
//! It runs on a thread of its own, so that a slow disk stops nobody else. It never carries an effect out
//! before the commits that precede it are durable, and it dies rather than go on after a failed commit.

use std::future::Future;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use holdfast_model::{IdSource, Instant, StepContext};
use tokio::sync::mpsc;
use uuid::Uuid;

/// How many inputs one batch takes at most; what waits beyond it comes with the next.
const BATCH_MAX: usize = 256;
/// How long one batch waits for more at most, when the last one was of several callers.
const BATCH_DELAY_MAX: Duration = Duration::from_millis(20);
/// A disk that syncs faster than this is not worth waiting for: it would be waiting for a timer.
const BATCH_DELAY_MIN: Duration = Duration::from_micros(500);
/// How long commits that only forget may wait for another commit to go with.
const HOLD: Duration = Duration::from_millis(100);
/// How many inputs may wait before senders have to.
pub const INBOX_MAX: usize = 4096;

/// Random uuids.
pub struct RandomIds;

impl IdSource for RandomIds {
    fn fresh(&mut self) -> Uuid {
        Uuid::new_v4()
    }
}

/// The wall clock when it was first asked, and the steady clock at that moment.
static DAWN: LazyLock<(u64, std::time::Instant)> = LazyLock::new(|| {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (u64::try_from(since.as_millis()).unwrap_or(u64::MAX), std::time::Instant::now())
});

/// The time, in milliseconds since 1970. It is read off the wall once and then runs by the steady clock: a wall clock that is set
/// forward must not expire every deadline at once, nor one that is set back stop them.
pub fn now() -> Instant {
    let elapsed = u64::try_from(DAWN.1.elapsed().as_millis()).unwrap_or(u64::MAX);
    Instant(DAWN.0.saturating_add(elapsed))
}

/// A mind with its hands, as the loop sees them.
pub trait Shell: Send + 'static {
    /// What the mind is told.
    type Input: Send + 'static;
    /// What the mind wants done.
    type Effect;
    /// Lets the mind handle one input.
    fn handle(&mut self, ctx: &mut StepContext<'_>, input: Self::Input) -> Vec<Self::Effect>;
    /// The input that says that time has passed.
    fn tick() -> Self::Input;
    /// When that is wanted next.
    fn next_deadline(&self) -> Option<Instant>;
    /// Whether an effect is a commit.
    fn is_commit(effect: &Self::Effect) -> bool;
    /// Whether an effect is a commit that only forgets: it may be written with the next one, as long as nothing else is done before.
    fn may_wait(_effect: &Self::Effect) -> bool {
        false
    }
    /// Writes all commits among `effects`, in order, as one batch.
    ///
    /// # Errors
    /// Why nothing may be said any more.
    fn commit(&mut self, effects: &[Self::Effect]) -> anyhow::Result<()>;
    /// Carries out one effect; commits are done already. Must not wait for anything.
    fn carry_out(&mut self, effect: Self::Effect);
}

/// What the loop is sent: inputs for the mind, and questions that read it.
pub enum Work<S: Shell> {
    /// For the mind.
    Input(S::Input),
    /// A look at the mind, answered through whatever the closure holds.
    Look(Box<dyn FnOnce(&S) + Send>),
}

/// The way to a running loop. Cheap to clone.
pub struct Inbox<S: Shell>(mpsc::Sender<Work<S>>);

impl<S: Shell> Clone for Inbox<S> {
    fn clone(&self) -> Self {
        Inbox(self.0.clone())
    }
}

impl<S: Shell> Inbox<S> {
    /// An inbox, and what empties it.
    pub fn new() -> (Inbox<S>, mpsc::Receiver<Work<S>>) {
        let (sender, receiver) = mpsc::channel(INBOX_MAX);
        (Inbox(sender), receiver)
    }

    /// Tells the mind; waits while too much waits already. After the loop's end it does nothing.
    pub async fn tell(&self, input: S::Input) {
        // The loop ends only with the process.
        let _ = self.0.send(Work::Input(input)).await;
    }

    /// Tells the mind from a thread that may wait.
    pub fn tell_blocking(&self, input: S::Input) {
        let _ = self.0.blocking_send(Work::Input(input));
    }

    /// Looks at the mind; `None` when the loop has ended.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&S) -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let look = Box::new(move |shell: &S| drop(sender.send(look(shell))));
        self.0.send(Work::Look(look)).await.ok()?;
        receiver.await.ok()
    }
}

/// Runs a shell on a thread of its own until every inbox is gone. `what` names it in the last words of a process that cannot go on.
pub fn spawn<S: Shell>(
    what: &'static str,
    mut shell: S,
    mut work: mpsc::Receiver<Work<S>>,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let body = move || {
        let done = runtime.block_on(Loop::new().run(&mut shell, &mut work));
        if let Err(error) = done {
            tracing::error!("{what}: {error:#}; stopping, since nothing may be promised that is not written down");
            std::process::exit(crate::exit_codes::EXIT_STORE);
        }
    };
    std::thread::Builder::new().name(what.to_owned()).spawn(move || or_die_loudly(what, body))
}

/// Does a thread's work. A mind that panicked has found a bug in itself, and what hands that panicked owe to a mind never comes: the
/// process must not go on without them.
pub(crate) fn or_die_loudly(what: &'static str, work: impl FnOnce()) {
    let guard = DieLoudly(what);
    work();
    std::mem::forget(guard);
}

/// Ends the process when it is dropped.
struct DieLoudly(&'static str);

impl Drop for DieLoudly {
    fn drop(&mut self) {
        eprintln!("{}: a rule of the house was broken (see above); stopping. What was promised is on disk; restart to recover.", self.0);
        std::process::exit(crate::exit_codes::EXIT_BUG);
    }
}

/// What the loop remembers from batch to batch.
struct Loop<S: Shell> {
    /// Commits that only forget, not written yet.
    held: Vec<S::Effect>,
    /// How many inputs of the last batches had something to write that could not wait: so many callers are about. It is forgotten by halves.
    callers: usize,
    /// How long a sync takes, as the last ones did.
    sync: Duration,
}

impl<S: Shell> Loop<S> {
    fn new() -> Loop<S> {
        Loop { held: Vec::new(), callers: 0, sync: Duration::ZERO }
    }

    async fn run(
        mut self,
        shell: &mut S,
        work: &mut mpsc::Receiver<Work<S>>,
    ) -> anyhow::Result<()> {
        while let Some(batch) = self.next_batch(shell, work).await {
            self.run_batch(shell, batch)?;
        }
        shell.commit(&self.held)
    }

    /// What waits, or what comes next; nothing but a tick when time has passed.
    async fn next_batch(
        &mut self,
        shell: &S,
        work: &mut mpsc::Receiver<Work<S>>,
    ) -> Option<Vec<Work<S>>> {
        let mut batch = Vec::new();
        let due = shell.next_deadline().map(|at| Duration::from_millis(at.since_ms(now())));
        let hold = (!self.held.is_empty()).then_some(HOLD);
        let wait = due.into_iter().chain(hold).min();
        match within(wait, work.recv_many(&mut batch, BATCH_MAX)).await {
            Some(0) => return None,
            Some(_) if 1 < self.callers && BATCH_DELAY_MIN <= self.sync => {
                self.gather(&mut batch, work).await
            }
            Some(_) => {}
            None => batch.push(Work::Input(S::tick())),
        }
        Some(batch)
    }

    /// Several callers are about, and whoever comes now shares a sync: as long as one comes after another within the time of a sync, the
    /// next is waited for, but for nobody long.
    async fn gather(&self, batch: &mut Vec<Work<S>>, work: &mut mpsc::Receiver<Work<S>>) {
        let end = tokio::time::Instant::now() + BATCH_DELAY_MAX;
        while batch.len() < BATCH_MAX {
            let room = BATCH_MAX - batch.len();
            let until = end.min(tokio::time::Instant::now() + self.sync);
            match tokio::time::timeout_at(until, work.recv_many(batch, room)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        }
    }

    fn run_batch(&mut self, shell: &mut S, batch: Vec<Work<S>>) -> anyhow::Result<()> {
        let mut effects = std::mem::take(&mut self.held);
        let held = effects.len();
        let mut looks = Vec::new();
        let mut callers = 0;
        for work in batch {
            match work {
                Work::Input(input) => {
                    let wanted =
                        shell.handle(&mut StepContext { now: now(), ids: &mut RandomIds }, input);
                    callers +=
                        usize::from(wanted.iter().any(|it| S::is_commit(it) && !S::may_wait(it)));
                    effects.extend(wanted);
                }
                Work::Look(look) => looks.push(look),
            }
        }
        if shell.next_deadline().is_some_and(|at| at <= now()) {
            effects.extend(
                shell.handle(&mut StepContext { now: now(), ids: &mut RandomIds }, S::tick()),
            );
        }
        if held < effects.len() && effects.iter().all(S::may_wait) {
            self.held = effects;
        } else {
            self.callers = callers.max(self.callers / 2);
            self.carry_out_all(shell, effects)?;
        }
        // A look shows only what is durable, or what is about to be forgotten.
        looks.into_iter().for_each(|look| look(shell));
        Ok(())
    }

    /// Carries out effects in order, with one sync for all commits among them.
    fn carry_out_all(&mut self, shell: &mut S, mut effects: Vec<S::Effect>) -> anyhow::Result<()> {
        // What comes before the first commit depends on none, and need not wait for the disk.
        let first = effects.iter().position(S::is_commit).unwrap_or(effects.len());
        let rest = effects.split_off(first);
        effects.into_iter().for_each(|effect| shell.carry_out(effect));
        if !rest.is_empty() {
            let began = std::time::Instant::now();
            shell.commit(&rest)?;
            self.sync = (self.sync + began.elapsed()) / 2;
            rest.into_iter()
                .filter(|effect| !S::is_commit(effect))
                .for_each(|effect| shell.carry_out(effect));
        }
        Ok(())
    }
}

async fn within<T>(wait: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    match wait {
        Some(wait) => tokio::time::timeout(wait, future).await.ok(),
        None => Some(future.await),
    }
}
