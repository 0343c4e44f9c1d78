//! The executor of one member: prepares it, runs Hadoop's program as a child process, of a name node with its failover controller beside,
//! looks at it by its own pages, and tells the agent and the scheduler what it sees.
//!
//! A task is RUNNING once its program runs, and healthy once the member serves. It never starts what `prepare` refuses. A name node that
//! is stopped hands over first: its controller ends, the other name node becomes the active one, and then it ends itself.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use holdfast_sdk::model::{CommandInfo, Reason, TaskId, TaskState, TaskStatus};
use holdfast_sdk::net::executor::{
    notices, ChildPlan, ChildTasks, Environment, Event, Executor, Happened, Next, Notifier, Output,
    Reporter,
};
use holdfast_sdk::net::{Context as _, Result};

use crate::controller::{hand_over, Controller};
use crate::identity::Kind;
use crate::jmx;
use crate::jvm::{arguments, Program};
use crate::leaving::Leaving;
use crate::log_tail::LogTail;
use crate::looks::{Change, Look, Readiness, Said};
use crate::marker::{Marker, Note, Stage};
use crate::order::{Order, Told, Words, ORDER_VARIABLE};
use crate::prepare::{ids, prepare, Prepared};
use crate::volumes;

/// The pause between two looks at a member that does not serve yet.
const LOOK_SOON: Duration = Duration::from_millis(500);
/// The pause between two looks at a member that serves.
const LOOK: Duration = Duration::from_secs(2);
/// How often the scheduler is told what it was told before: nobody acknowledges messages.
const SAY_AGAIN: Duration = Duration::from_secs(10);
/// How long a program may take to end.
pub const GRACE: Duration = Duration::from_secs(20);
/// What an executor needs to end after its member has, within the time that both have.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Why a member ends.
const STOPPED: &str = "stopped as asked";

/// What the threads beside the loop tell it.
enum Notice {
    /// The member may be started, or why not.
    Prepared(std::result::Result<Prepared, String>),
    /// What was seen of it.
    Looked(std::result::Result<Look, String>),
    /// Its controller has ended, and the other name node has taken over if it can.
    HandedOver,
}

/// Runs until the member has ended and the agent knows it, or until the agent says so.
///
/// # Errors
/// When this is no executor's environment.
pub async fn run() -> Result<()> {
    let environment = Environment::from_env()?;
    let mut executor = Executor::start(environment.clone());
    let mut children = ChildTasks::new(executor.reporter());
    let (teller, mut noticed) = notices();
    let mut node = Node {
        order: Order::read(&std::env::var(ORDER_VARIABLE).unwrap_or_default()),
        sandbox: environment.sandbox.clone(),
        reporter: executor.reporter(),
        teller,
        task: None,
        is_over: Arc::default(),
        leaving: Arc::default(),
        course: None,
    };
    loop {
        let happened = match executor.next_of(&mut children, &mut noticed).await {
            Next::Happened(happened) => happened,
            Next::Noticed(notice) => {
                if node.noticed(notice, &mut children) == Step::Ends {
                    break;
                }
                continue;
            }
        };
        match happened {
            Happened::Event(Event::Launch(task)) => node.launch(&task.id, &mut children),
            Happened::Event(Event::Kill(_, grace)) => node.stop(grace, &mut children),
            Happened::Event(Event::Shutdown(_)) | Happened::Ended(_) | Happened::Lost => break,
            Happened::Event(Event::Message(words)) => node.spoken_to(&words),
            Happened::Event(Event::Subscribed(_) | Event::LaunchGroup(_)) => {}
        }
    }
    node.is_over.store(true, Ordering::Relaxed);
    node.course = None;
    let longest = environment.shutdown_grace.saturating_sub(LAST_WORDS);
    children.end_all_within(longest, "its executor ends").await;
    executor.reporter().settled_within(LAST_WORDS).await;
    Ok(())
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Goes,
    Ends,
}

/// A member from the start of its program to its end.
struct Course {
    prepared: Prepared,
    controller: Option<Controller>,
    readiness: Readiness,
    said: Option<(Said, Instant)>,
}

struct Node {
    order: std::result::Result<Order, String>,
    sandbox: PathBuf,
    reporter: Reporter,
    teller: Notifier<Notice>,
    task: Option<TaskId>,
    /// Set when the member shall not run any more; threads beside the loop look at it.
    is_over: Arc<AtomicBool>,
    /// Of a name node: the data nodes that it is to empty.
    leaving: Arc<Mutex<Vec<String>>>,
    course: Option<Course>,
}

impl Node {
    /// Begins to prepare, beside the loop: to format or to copy takes its time.
    fn launch(&mut self, task: &TaskId, children: &mut ChildTasks) {
        self.task = Some(task.clone());
        self.reporter.state_because(task, TaskState::Starting, "its volumes are looked at");
        let order = match &self.order {
            Ok(order) => order.clone(),
            Err(why) => return children.fail(task, why),
        };
        let (sandbox, teller, is_over) =
            (self.sandbox.clone(), self.teller.clone(), self.is_over.clone());
        std::thread::spawn(move || {
            let prepared = prepare(&order, &sandbox, &is_over);
            teller.tell(Notice::Prepared(prepared.map_err(|why| format!("{why:#}"))));
        });
    }

    /// Takes what the scheduler says while the member runs.
    fn spoken_to(&mut self, words: &[u8]) {
        match serde_json::from_slice::<Words>(words) {
            Ok(words) => {
                *self.leaving.lock().unwrap_or_else(PoisonError::into_inner) = words.leaving;
            }
            Err(error) => tracing::warn!("what the scheduler says cannot be read: {error}"),
        }
    }

    /// Ends the member in order, or as fast as it is asked to.
    fn stop(&mut self, grace: Option<Duration>, children: &mut ChildTasks) {
        let Some(task) = self.task.clone() else { return };
        if self.is_over.swap(true, Ordering::Relaxed) {
            return;
        }
        let (Some(course), Ok(order)) = (&mut self.course, &self.order) else { return };
        let Some(mut controller) = course.controller.take() else {
            return children.kill(&task, grace, STOPPED);
        };
        if grace.is_some_and(|it| it < GRACE) {
            std::thread::spawn(move || controller.end());
            return children.kill(&task, grace, STOPPED);
        }
        let (order, teller) = (order.clone(), self.teller.clone());
        std::thread::spawn(move || {
            controller.end();
            hand_over(&order.here, order.other_name());
            teller.tell(Notice::HandedOver);
        });
    }

    fn noticed(&mut self, notice: Notice, children: &mut ChildTasks) -> Step {
        let (Some(task), Ok(order)) = (self.task.clone(), self.order.clone()) else {
            return Step::Goes;
        };
        match notice {
            Notice::Prepared(_) if self.is_over.load(Ordering::Relaxed) => {
                self.reporter.state_because(&task, TaskState::Killed, STOPPED);
                return Step::Ends;
            }
            Notice::Prepared(Err(why)) => children.fail(&task, &format!("refused: {why}")),
            Notice::Prepared(Ok(prepared)) => self.start(&task, &order, prepared, children),
            Notice::Looked(look) => self.looked(&task, &order, look, children),
            Notice::HandedOver => children.kill(&task, None, STOPPED),
        }
        Step::Goes
    }

    fn start(
        &mut self,
        task: &TaskId,
        order: &Order,
        prepared: Prepared,
        children: &mut ChildTasks,
    ) {
        let starts = prepared.markers.first().map_or(0, |it| it.starts);
        tracing::info!("{}, start {starts} on its volumes: {}", order.who, prepared.words);
        children.launch(task, self.plan(order));
        let is_name = order.who.kind == Kind::Name;
        let controller = is_name.then(|| Controller::start(order.clone(), self.sandbox.clone()));
        let mut eye = Eye {
            order: order.clone(),
            volumes: prepared.volumes.clone(),
            leaving: Leaving::new(order, self.sandbox.clone()),
            told: self.leaving.clone(),
            is_over: self.is_over.clone(),
            well: None,
        };
        // What it was told at its start holds until it is told otherwise.
        *eye.told.lock().unwrap_or_else(PoisonError::into_inner) = order.known.leaving.clone();
        let teller = self.teller.clone();
        std::thread::spawn(move || eye.look_on(&teller));
        let readiness = Readiness::default();
        self.course = Some(Course { prepared, controller, readiness, said: None });
    }

    /// Hadoop's program as a child: its log is this process's output, and its end is remembered.
    fn plan(&self, order: &Order) -> ChildPlan {
        let settings = &order.settings;
        let program = match order.who.kind {
            Kind::Journal => Program::JournalNode,
            Kind::Name => Program::NameNode,
            Kind::Data => Program::DataNode,
        };
        let java = settings.java.to_string_lossy().into_owned();
        let rest = arguments(settings, program, settings.heap_mb, &self.sandbox, &[]);
        let words = std::iter::once(java.clone()).chain(rest);
        let command =
            CommandInfo { value: Some(java), arguments: words.collect(), ..CommandInfo::default() };
        let tail = Arc::new(Mutex::new(LogTail::default()));
        let seen = tail.clone();
        let output = Output::Lines(Box::new(move |line| {
            // A log that nobody takes must not stop the member.
            let _ = writeln!(std::io::stdout(), "{line}");
            seen.lock().unwrap_or_else(PoisonError::into_inner).see(line);
        }));
        let last_words = move || tail.lock().unwrap_or_else(PoisonError::into_inner).words();
        let mut plan = ChildPlan::new(command, &self.sandbox).output(output);
        plan.grace = GRACE;
        plan.last_words = Some(Box::new(last_words));
        plan
    }

    /// Takes what was seen of the member.
    fn looked(
        &mut self,
        task: &TaskId,
        order: &Order,
        look: std::result::Result<Look, String>,
        children: &mut ChildTasks,
    ) {
        let Some(course) = &mut self.course else { return };
        if let Some(change) = course.readiness.looked(look.as_ref().map_err(String::as_str)) {
            let (healthy, words) = match change {
                Change::Serving(words) => (Some(true), words),
                Change::Lost(why) => (Some(false), format!("it does not serve: {why}")),
                Change::NotYet(why) => (None, format!("it does not serve yet: {why}")),
            };
            tell(&self.reporter, task, healthy, words);
        }
        let Ok(look) = look else { return };
        if let Err(why) = course.take_up(order) {
            tracing::error!("{why}");
            // It must not serve another file system, and what it is must be known.
            return children.kill(task, None, &why);
        }
        let note = Note::of(&course.prepared.markers, &order.volume_ids());
        let told = Told::of(&order.journals, &order.names);
        let said = Said { note, look, told };
        let is_known = |(old, at): &(Said, Instant)| *old == said && at.elapsed() < SAY_AGAIN;
        if !course.said.as_ref().is_some_and(is_known) {
            let words = serde_json::to_vec(&said).expect("texts and numbers are always written");
            self.reporter.message(words);
            course.said = Some((said, Instant::now()));
        }
    }
}

impl Course {
    /// Marks volumes as a part of the file system once Hadoop has written that they are.
    ///
    /// # Errors
    /// When they are another's.
    fn take_up(&mut self, order: &Order) -> std::result::Result<(), String> {
        let all = self.prepared.markers.iter_mut().zip(&self.prepared.volumes);
        for (marker, volume) in all {
            let is_known = marker.identity().is_some()
                && (marker.data_node.is_some() || order.who.kind != Kind::Data);
            if is_known {
                continue;
            }
            let found = volumes::look(&order.who, volume)
                .map_err(|error| format!("its volume cannot be looked at any more: {error}"))?;
            let Some(version) = found.version.clone()? else { continue };
            if order.who.kind == Kind::Data && version.identity.block_pool.is_none() {
                continue;
            }
            if let Some((what, is, wanted)) =
                order.known.identity.as_ref().and_then(|it| version.identity.contradiction(it))
            {
                return Err(format!(
                    "it has become a part of another file system: its {what} is `{is}`, and not `{wanted}`; it is stopped"
                ));
            }
            let new = Marker {
                stage: Stage::Whole(version.identity),
                data_node: ids(&found),
                ..marker.clone()
            };
            match new.write(volume) {
                Ok(()) => *marker = new,
                // The scheduler is told once that succeeds.
                Err(error) => {
                    tracing::error!("the marker on its volume cannot be written: {error}")
                }
            }
        }
        Ok(())
    }
}

fn tell(reporter: &Reporter, task: &TaskId, healthy: Option<bool>, words: String) {
    tracing::info!("{words}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let ms = now.map_or(0, |it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
    let now = holdfast_sdk::model::Instant(ms);
    let status = TaskStatus::new(task.clone(), TaskState::Running, now);
    let reason = Some(Reason::TaskHealthCheckStatusUpdated as i32);
    reporter.report(TaskStatus { healthy, message: Some(words), reason, ..status });
}

/// What looks at a member.
struct Eye {
    order: Order,
    volumes: Vec<PathBuf>,
    leaving: Leaving,
    told: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
    /// Of a name node: how many data nodes it heard of at the last look, if every block had all of its copies then.
    well: Option<u64>,
}

impl Eye {
    /// Looks at it until nobody wants to know any more.
    fn look_on(&mut self, teller: &Notifier<Notice>) {
        while !self.is_over.load(Ordering::Relaxed) {
            let look = self.look();
            let serves = look.as_ref().is_ok_and(|it| it.serves().is_ok());
            if !teller.tell(Notice::Looked(look.map_err(|error| format!("{error:#}")))) {
                return;
            }
            // tidy: sleep is the point: a member is looked at now and then
            std::thread::sleep(if serves { LOOK } else { LOOK_SOON });
        }
    }

    fn look(&mut self) -> Result<Look> {
        let who = &self.order.who;
        let mut look = jmx::look(who.kind, &who.service, &self.order.here)?;
        match &mut look {
            Look::Journal(it) => {
                let volume = self.volumes.first().context("it has no volume")?;
                it.edits = volumes::edits(who, volume).context("its edits cannot be listed")?;
            }
            Look::Name(it) => {
                let is_well = it.missing == 0 && it.low == 0 && !it.is_safe;
                let well = is_well.then_some(it.live);
                it.is_settled = well.is_some() && well == self.well;
                self.well = well;
                let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
                match self.leaving.keep(&told, &self.is_over) {
                    Ok(states) => it.leaving = states,
                    // It serves all the same; the scheduler says again what is not known.
                    Err(error) => tracing::error!("{error:#}"),
                }
            }
            Look::Data(_) => {}
        }
        Ok(look)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::identity::tests::identity;
    use crate::order::tests::order;

    fn course(dir: &std::path::Path, order: &Order) -> Course {
        let markers = vec![Marker::new(&order.who, 0, Stage::Begun)];
        let prepared = Prepared { markers, volumes: vec![dir.to_owned()], words: String::new() };
        Course { prepared, controller: None, readiness: Readiness::default(), said: None }
    }

    #[test]
    fn a_data_node_is_marked_once_its_block_pool_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let mut order = order(Kind::Data, 0);
        order.known.identity = Some(identity("c"));
        let mut course = course(dir.path(), &order);
        course.take_up(&order).unwrap();
        let current = dir.path().join("data/current");
        fs::create_dir_all(&current).unwrap();
        fs::write(current.join("VERSION"), "clusterID=c\ndatanodeUuid=u\nstorageID=DS\n").unwrap();
        course.take_up(&order).unwrap();
        assert_eq!(Marker::read(dir.path()), Ok(None), "it is not a part of the file system yet");
        fs::create_dir(current.join("BP-1")).unwrap();
        course.take_up(&order).unwrap();
        let marker = Marker::read(dir.path()).unwrap().unwrap();
        assert_eq!(marker.data_node, Some(("u".to_owned(), "DS".to_owned())));
        let note = Note::of(&course.prepared.markers, &order.volume_ids()).unwrap();
        assert_eq!(note.data_node.as_deref(), Some("u"));
    }

    #[test]
    fn who_becomes_a_part_of_another_file_system_is_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let mut order = order(Kind::Journal, 0);
        order.known.identity = Some(identity("c"));
        let mut course = course(dir.path(), &order);
        let current = dir.path().join("journal/files/current");
        fs::create_dir_all(&current).unwrap();
        fs::write(current.join("VERSION"), "clusterID=d\nnamespaceID=7\n").unwrap();
        let why = course.take_up(&order).unwrap_err();
        assert!(why.contains("its clusterID is `d`, and not `c`"), "{why}");
        assert_eq!(Marker::read(dir.path()), Ok(None));
    }
}
