//! The loop that ties one core to its drivers: take all that waits, let the core handle it, write once, publish what is to be seen, then
//! carry out the rest. One fsync serves a whole batch.
//!
//! It runs on a thread of its own, so that a slow disk stops nobody else, and nobody who reads stops it: they read the view that it
//! published last (`views`). A view is never newer than the disk, and whoever was answered finds in it what the answer tells. The loop dies
//! rather than go on after a failed commit.

use std::future::Future;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use holdfast_model::{IdSource, Instant, StepContext};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::views::{drop_elsewhere, Views};

/// How many inputs one batch takes at most; what waits beyond it comes with the next.
const BATCH_MAX: usize = 256;
/// How long the core handles inputs of one batch at most, before what the first of them wants is carried out, unless a sync takes longer
/// anyway. The rest is the next batch.
const BATCH_TIME_MAX: Duration = Duration::from_millis(2);
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

/// A core with its drivers, as the loop sees them.
pub trait Shell: Send + 'static {
    /// What the core is told.
    type Input: Send + 'static;
    /// What the core wants done.
    type Effect;
    /// What everybody else may see of the core.
    type View: Send + Sync + 'static;
    /// Lets the core handle one input.
    fn handle(&mut self, ctx: &mut StepContext<'_>, input: Self::Input) -> Vec<Self::Effect>;
    /// The core as it is now. It is asked for after each batch, so it must cost little.
    fn view(&self) -> Self::View;
    /// Whether `former` holds a large state that `next` shares nothing of, such as what a leader believed that stepped down. It is dropped on
    /// another thread then; any other is dropped by the loop, since that costs less than to wake a thread.
    fn is_replaced(_former: &Self::View, _next: &Self::View) -> bool {
        false
    }
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
    /// Whether an effect that comes before the first commit of its batch may also be carried out before it. It tells nobody anything that
    /// they might look up at once: the view that shows it comes after the commit.
    fn may_precede_commit(_effect: &Self::Effect) -> bool {
        false
    }
    /// Writes all commits among `effects`, in order, as one batch.
    ///
    /// # Errors
    /// Why nothing may be said any more.
    fn commit(&mut self, effects: &[Self::Effect]) -> anyhow::Result<()>;
    /// Carries out one effect; commits are done already. Must not wait for anything.
    fn carry_out(&mut self, effect: Self::Effect);
    /// Nothing follows. What is kept beside the ledger, for the day it is damaged, may be brought up to date; nothing that was promised
    /// depends on it, and the process may end before it is done.
    fn close(&mut self) {}
}

/// The way to a running loop, for whoever has something to tell its core. Cheap to clone.
pub struct Inbox<I>(mpsc::Sender<I>);

impl<I> Clone for Inbox<I> {
    fn clone(&self) -> Self {
        Inbox(self.0.clone())
    }
}

impl<I> Inbox<I> {
    /// An inbox, and what empties it.
    pub fn new() -> (Inbox<I>, mpsc::Receiver<I>) {
        let (sender, receiver) = mpsc::channel(INBOX_MAX);
        (Inbox(sender), receiver)
    }

    /// Tells the core; waits while too much waits already. After the loop's end it does nothing.
    pub async fn tell(&self, input: I) {
        // The loop ends only with the process.
        let _ = self.0.send(input).await;
    }

    /// How much waits to be told.
    pub fn waiting(&self) -> usize {
        self.0.max_capacity() - self.0.capacity()
    }

    /// Tells the core from a thread that may wait.
    pub fn tell_blocking(&self, input: I) {
        let _ = self.0.blocking_send(input);
    }
}

/// A loop that runs. It goes on when this is dropped.
#[derive(Debug)]
pub struct Running {
    what: &'static str,
    end: CancellationToken,
    ended: oneshot::Receiver<()>,
}

impl Running {
    /// Ends the loop in order: what it has taken is done, what waits is not, and the shell is closed. Waits for that, but not for long: a
    /// disk that hangs must not keep a process that was told to stop.
    pub async fn end(self, patience: Duration) {
        self.end.cancel();
        if tokio::time::timeout(patience, self.ended).await.is_err() {
            tracing::warn!(
                "{}: the second copy of its ledger is not up to date yet; it is brought up by the next start",
                self.what
            );
        }
    }
}

/// Runs a shell on a thread of its own until every inbox is gone or it is told to end; what may be seen of its core is published in
/// `views`. `what` names it in the last words of a process that cannot go on.
pub fn spawn<S: Shell>(
    what: &'static str,
    mut shell: S,
    mut inputs: mpsc::Receiver<S::Input>,
    views: Views<S::View>,
) -> std::io::Result<Running> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (end, (tell_end, ended)) = (CancellationToken::new(), oneshot::channel());
    let told = end.clone();
    let body = move || {
        let done = runtime.block_on(Loop::new(views).run(&mut shell, &mut inputs, &told));
        if let Err(error) = done {
            tracing::error!("{what}: {error:#}; stopping, since nothing may be promised that is not written down");
            std::process::exit(crate::exit_codes::EXIT_STORE);
        }
        shell.close();
        // Nobody listens when the process ends otherwise.
        let _ = tell_end.send(());
    };
    std::thread::Builder::new().name(what.to_owned()).spawn(move || or_die_loudly(what, body))?;
    Ok(Running { what, end, ended })
}

/// Does a thread's work. A core that panicked has found a bug in itself, and what drivers that panicked owe to a core never comes: the
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
    /// Where views are published.
    views: Views<S::View>,
    /// Commits that only forget, not written yet.
    held: Vec<S::Effect>,
    /// How many inputs of the last batches had something to write that could not wait: so many callers are about. It is forgotten by halves.
    callers: usize,
    /// How long a sync takes, as the last ones did.
    sync: Duration,
    /// Inputs of the last batch that its time was too short for.
    left: Vec<S::Input>,
    /// [`BATCH_TIME_MAX`], but for tests.
    time_max: Duration,
}

impl<S: Shell> Loop<S> {
    fn new(views: Views<S::View>) -> Loop<S> {
        Loop {
            views,
            held: Vec::new(),
            callers: 0,
            sync: Duration::ZERO,
            left: Vec::new(),
            time_max: BATCH_TIME_MAX,
        }
    }

    async fn run(
        mut self,
        shell: &mut S,
        inputs: &mut mpsc::Receiver<S::Input>,
        end: &CancellationToken,
    ) -> anyhow::Result<()> {
        while let Some(Some(batch)) = end.run_until_cancelled(self.next_batch(shell, inputs)).await
        {
            self.run_batch(shell, batch)?;
        }
        shell.commit(&self.held)
    }

    /// What waits, or what comes next; nothing but a tick when time has passed.
    async fn next_batch(
        &mut self,
        shell: &S,
        inputs: &mut mpsc::Receiver<S::Input>,
    ) -> Option<Vec<S::Input>> {
        if !self.left.is_empty() {
            return Some(std::mem::take(&mut self.left));
        }
        let mut batch = Vec::new();
        let due = shell.next_deadline().map(|at| Duration::from_millis(at.since_ms(now())));
        let hold = (!self.held.is_empty()).then_some(HOLD);
        let wait = due.into_iter().chain(hold).min();
        match within(wait, inputs.recv_many(&mut batch, BATCH_MAX)).await {
            Some(0) => return None,
            Some(_) if 1 < self.callers && BATCH_DELAY_MIN <= self.sync => {
                self.gather(&mut batch, inputs).await
            }
            Some(_) => {}
            None => batch.push(S::tick()),
        }
        Some(batch)
    }

    /// Several callers are about, and whoever comes now shares a sync: as long as one comes after another within the time of a sync, the
    /// next is waited for, but for nobody long.
    async fn gather(&self, batch: &mut Vec<S::Input>, inputs: &mut mpsc::Receiver<S::Input>) {
        let end = tokio::time::Instant::now() + BATCH_DELAY_MAX;
        while batch.len() < BATCH_MAX {
            let room = BATCH_MAX - batch.len();
            let until = end.min(tokio::time::Instant::now() + self.sync);
            match tokio::time::timeout_at(until, inputs.recv_many(batch, room)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        }
    }

    fn run_batch(&mut self, shell: &mut S, batch: Vec<S::Input>) -> anyhow::Result<()> {
        let mut effects = std::mem::take(&mut self.held);
        let held = effects.len();
        let mut callers = 0;
        let (began, mut batch) = (std::time::Instant::now(), batch.into_iter());
        let time_max = self.time_max.max(self.sync);
        for input in batch.by_ref() {
            let wanted = shell.handle(&mut StepContext { now: now(), ids: &mut RandomIds }, input);
            callers += usize::from(wanted.iter().any(|it| S::is_commit(it) && !S::may_wait(it)));
            effects.extend(wanted);
            if time_max <= began.elapsed() {
                break;
            }
        }
        self.left = batch.collect();
        if shell.next_deadline().is_some_and(|at| at <= now()) {
            effects.extend(
                shell.handle(&mut StepContext { now: now(), ids: &mut RandomIds }, S::tick()),
            );
        }
        if held < effects.len() && effects.iter().all(S::may_wait) {
            self.held = effects;
            // A view shows only what is durable, or lacks what is about to be forgotten.
            self.publish(shell);
            return Ok(());
        }
        self.callers = callers.max(self.callers / 2);
        self.carry_out_all(shell, effects)
    }

    fn publish(&self, shell: &S) {
        let former = self.views.publish(shell.view());
        if S::is_replaced(&former, &self.views.latest()) {
            drop_elsewhere(former);
        }
    }

    /// Carries out effects in order, with one sync for all commits among them, and publishes the view between that and whatever tells
    /// somebody to look.
    fn carry_out_all(&mut self, shell: &mut S, mut effects: Vec<S::Effect>) -> anyhow::Result<()> {
        // What comes before the first commit depends on none, and need not wait for the disk unless it makes somebody look.
        let waits = |it: &S::Effect| S::is_commit(it) || !S::may_precede_commit(it);
        let rest = effects.split_off(effects.iter().position(waits).unwrap_or(effects.len()));
        effects.into_iter().for_each(|effect| shell.carry_out(effect));
        if rest.iter().any(S::is_commit) {
            let began = std::time::Instant::now();
            shell.commit(&rest)?;
            self.sync = (self.sync + began.elapsed()) / 2;
        }
        self.publish(shell);
        rest.into_iter()
            .filter(|effect| !S::is_commit(effect))
            .for_each(|effect| shell.carry_out(effect));
        Ok(())
    }
}

async fn within<T>(wait: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    match wait {
        Some(wait) => tokio::time::timeout(wait, future).await.ok(),
        None => Some(future.await),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{channel, Receiver, Sender};
    use std::thread::ThreadId;

    /// A shell whose core is a number, and whose disk waits to be told to go on.
    struct Counter {
        value: u64,
        /// What happens, in order.
        said: Sender<Happened>,
        /// A commit returns once it is let go on.
        go: Receiver<()>,
        views: Views<Number>,
        dropped: Sender<(u64, ThreadId)>,
    }

    /// A view, which tells where it is dropped.
    struct Number(u64, Sender<(u64, ThreadId)>);

    impl Drop for Number {
        fn drop(&mut self) {
            // Most tests do not listen.
            let _ = self.1.send((self.0, std::thread::current().id()));
        }
    }

    #[derive(Debug, PartialEq, Eq)]
    enum Happened {
        /// A commit of these values began.
        Writes(Vec<u64>),
        /// An order was carried out.
        Ordered,
        /// The shell is closed.
        Closed,
        /// This was answered; whoever hears it sees this.
        Answered { told: u64, seen: u64 },
    }

    enum Input {
        /// An order, an answer from what is there, and then a change.
        Mixed(u64),
        /// A change, and its answer.
        Set(u64),
        /// A change that only forgets.
        Forget(u64),
        /// An answer from what is there.
        Ask,
        Tick,
    }

    enum Effect {
        Commit(u64),
        Forgotten(u64),
        Order,
        Answer(u64),
    }

    impl Shell for Counter {
        type Input = Input;
        type Effect = Effect;
        type View = Number;

        fn handle(&mut self, _ctx: &mut StepContext<'_>, input: Input) -> Vec<Effect> {
            match input {
                Input::Mixed(to) => {
                    let was = std::mem::replace(&mut self.value, to);
                    vec![Effect::Order, Effect::Answer(was), Effect::Commit(to)]
                }
                Input::Set(to) => {
                    self.value = to;
                    vec![Effect::Commit(to), Effect::Answer(to)]
                }
                Input::Forget(to) => {
                    self.value = to;
                    vec![Effect::Forgotten(to)]
                }
                Input::Ask => vec![Effect::Answer(self.value)],
                Input::Tick => Vec::new(),
            }
        }

        fn view(&self) -> Number {
            Number(self.value, self.dropped.clone())
        }

        fn is_replaced(former: &Number, next: &Number) -> bool {
            next.0 < former.0
        }

        fn tick() -> Input {
            Input::Tick
        }

        fn next_deadline(&self) -> Option<Instant> {
            None
        }

        fn is_commit(effect: &Effect) -> bool {
            matches!(effect, Effect::Commit(_) | Effect::Forgotten(_))
        }

        fn may_wait(effect: &Effect) -> bool {
            matches!(effect, Effect::Forgotten(_))
        }

        fn may_precede_commit(effect: &Effect) -> bool {
            matches!(effect, Effect::Order)
        }

        fn commit(&mut self, effects: &[Effect]) -> anyhow::Result<()> {
            let written = effects.iter().filter_map(|it| match it {
                Effect::Commit(value) | Effect::Forgotten(value) => Some(*value),
                Effect::Order | Effect::Answer(_) => None,
            });
            let written: Vec<u64> = written.collect();
            if !written.is_empty() {
                self.said.send(Happened::Writes(written))?;
                self.go.recv()?;
            }
            Ok(())
        }

        fn carry_out(&mut self, effect: Effect) {
            let happened = match effect {
                Effect::Commit(_) | Effect::Forgotten(_) => return,
                Effect::Order => Happened::Ordered,
                Effect::Answer(told) => Happened::Answered { told, seen: self.views.latest().0 },
            };
            self.said.send(happened).unwrap();
        }

        fn close(&mut self) {
            // A test that has ended listens no more.
            let _ = self.said.send(Happened::Closed);
            // Stands for a second copy that takes long.
            let _ = self.go.recv();
        }
    }

    /// A shell that does not run yet, what happens to it, and what lets its disk go on.
    fn counter() -> (Counter, Receiver<Happened>, Sender<()>, Views<Number>) {
        let ((said, heard), (go, gate)) = (channel(), channel());
        let dropped = channel().0;
        let views = Views::new(Number(0, dropped.clone()));
        let shell = Counter { value: 0, said, go: gate, views: views.clone(), dropped };
        (shell, heard, go, views)
    }

    #[test]
    fn a_view_is_never_newer_than_the_disk() {
        let (shell, heard, go, views) = counter();
        let (inbox, inputs) = Inbox::new();
        inbox.tell_blocking(Input::Mixed(7));
        spawn("counter", shell, inputs, views.clone()).unwrap();
        assert_eq!(heard.recv(), Ok(Happened::Ordered), "an order need not wait for the disk");
        assert_eq!(heard.recv(), Ok(Happened::Writes(vec![7])));
        assert_eq!(views.latest().0, 0, "the disk is still writing");
        assert!(heard.try_recv().is_err(), "and nobody is told anything");
        go.send(()).unwrap();
        assert_eq!(heard.recv(), Ok(Happened::Answered { told: 0, seen: 7 }));
    }

    #[test]
    fn a_reader_after_its_answer_sees_its_command() {
        let (mut shell, heard, go, views) = counter();
        let mut looped = Loop::new(views);
        for (batch, written) in [
            (vec![Input::Set(1), Input::Set(2)], Some(vec![1, 2])),
            (vec![Input::Ask], None),
            (vec![Input::Ask, Input::Set(3), Input::Ask], Some(vec![3])),
        ] {
            go.send(()).unwrap();
            looped.run_batch(&mut shell, batch).unwrap();
            let mut happened: Vec<Happened> = heard.try_iter().collect();
            if let Some(written) = written {
                assert_eq!(happened.remove(0), Happened::Writes(written));
            }
            assert!(!happened.is_empty());
            for it in happened {
                assert!(matches!(it, Happened::Answered { told, seen } if told <= seen), "{it:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_the_first_of_many_wants_does_not_wait_for_all_others() {
        let (mut shell, heard, go, views) = counter();
        let mut looped = Loop::new(views);
        looped.time_max = Duration::ZERO;
        let (_inbox, mut inputs) = Inbox::new();
        let mut next = vec![Input::Set(1), Input::Set(2), Input::Ask];
        for (written, told) in [(Some(1), 1), (Some(2), 2), (None, 2)] {
            looped.sync = Duration::ZERO; // However long the last one took.
            go.send(()).unwrap();
            looped.run_batch(&mut shell, next).unwrap();
            let expected = written.map(|it| Happened::Writes(vec![it]));
            let expected = expected.into_iter().chain([Happened::Answered { told, seen: told }]);
            assert_eq!(heard.try_iter().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
            next = match looped.left.is_empty() {
                true => Vec::new(),
                false => looped.next_batch(&shell, &mut inputs).await.unwrap(),
            };
        }
        assert!(next.is_empty());
    }

    #[test]
    fn a_core_that_changes_only_in_its_memory_is_seen_at_once() {
        let (mut shell, heard, _go, views) = counter();
        shell.value = 5;
        Loop::new(views).run_batch(&mut shell, vec![Input::Ask]).unwrap();
        assert_eq!(heard.recv(), Ok(Happened::Answered { told: 5, seen: 5 }));
    }

    #[test]
    fn what_only_forgets_is_written_with_the_next_commit_but_seen_before() {
        let (mut shell, heard, go, views) = counter();
        let mut looped = Loop::new(views.clone());
        looped.run_batch(&mut shell, vec![Input::Forget(4)]).unwrap();
        assert!(heard.try_recv().is_err(), "nothing is written");
        assert_eq!(views.latest().0, 4);
        go.send(()).unwrap();
        looped.run_batch(&mut shell, vec![Input::Ask]).unwrap();
        assert_eq!(heard.recv(), Ok(Happened::Writes(vec![4])), "it goes before whatever is told");
        assert_eq!(heard.recv(), Ok(Happened::Answered { told: 4, seen: 4 }));
    }

    #[test]
    fn what_is_replaced_is_dropped_on_another_thread() {
        let (mut shell, _heard, go, views) = counter();
        let (dropped, was_dropped) = channel();
        shell.dropped = dropped;
        let mut looped = Loop::new(views);
        let here = std::thread::current().id();
        for (value, dropped_here) in [(5, None), (8, Some((5, true))), (1, Some((8, false)))] {
            go.send(()).unwrap();
            looped.run_batch(&mut shell, vec![Input::Set(value)]).unwrap();
            if let Some(expected) = dropped_here {
                let (former, thread) = was_dropped.recv().unwrap();
                assert_eq!((former, thread == here), expected);
            }
        }
    }

    #[tokio::test]
    async fn it_ends_in_order_and_writes_what_it_held_and_waits_for_the_second_copy() {
        let (shell, heard, go, views) = counter();
        let (inbox, inputs) = Inbox::new();
        let running = spawn("counter", shell, inputs, views).unwrap();
        inbox.tell(Input::Forget(4)).await;
        let ended = tokio::spawn(running.end(Duration::from_secs(30)));
        let told = move || {
            let mut told = vec![heard.recv().unwrap()];
            if told[0] == Happened::Writes(vec![4]) {
                go.send(()).unwrap();
                told.push(heard.recv().unwrap());
            }
            go.send(()).unwrap();
            told
        };
        let told = tokio::task::spawn_blocking(told).await.unwrap();
        assert_eq!(told.last(), Some(&Happened::Closed));
        ended.await.unwrap();
        inbox.tell(Input::Ask).await; // Nobody is there any more, and nobody is kept waiting.
    }

    #[tokio::test]
    async fn a_second_copy_that_hangs_does_not_keep_a_process_that_was_told_to_stop() {
        let (shell, heard, _go, views) = counter();
        let (_inbox, inputs) = Inbox::new();
        spawn("counter", shell, inputs, views).unwrap().end(Duration::ZERO).await;
        assert_eq!(heard.recv(), Ok(Happened::Closed), "it is still at it");
    }

    #[tokio::test]
    async fn a_long_render_does_not_stop_the_loop() {
        let (shell, heard, go, views) = counter();
        let (inbox, inputs) = Inbox::new();
        spawn("counter", shell, inputs, views.clone()).unwrap();
        let ((begun, has_begun), (end, may_end)) = (channel(), channel());
        let render = tokio::spawn({
            let views = views.clone();
            async move {
                let slow = move |view: &Number| {
                    begun.send(()).unwrap();
                    may_end.recv().unwrap();
                    view.0
                };
                views.read(slow).await
            }
        });
        tokio::task::spawn_blocking(move || has_begun.recv()).await.unwrap().unwrap();
        inbox.tell(Input::Set(9)).await;
        go.send(()).unwrap();
        let told = tokio::task::spawn_blocking(move || [heard.recv(), heard.recv()]).await.unwrap();
        let answered = Happened::Answered { told: 9, seen: 9 };
        assert_eq!(told, [Ok(Happened::Writes(vec![9])), Ok(answered)]);
        end.send(()).unwrap();
        assert_eq!(render.await.unwrap(), Ok(0), "it shows the view with which it began");
    }
}
