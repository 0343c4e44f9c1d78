//! The executor of one node: prepares it, runs Cassandra as a child process, looks at it by CQL, and tells the agent and the scheduler
//! what it sees.
//!
//! A task is RUNNING once the process runs, and healthy once the node is a whole member of its ring and takes queries. It never starts
//! what `prepare` refuses, and never lets a node go on that turns out to be another one than its marker says.

use std::io::Write;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use holdfast_sdk::model::{CommandInfo, Reason, TaskId, TaskState, TaskStatus};
use holdfast_sdk::net::executor::{
    notices, ChildPlan, ChildTasks, Environment, Event, Executor, Happened, Next, Notifier, Output,
    Reporter, Welcome,
};
use holdfast_sdk::net::{Context, Result};

use crate::jobs::{Beside, Job, Tool};
use crate::log_tail::{jvm_error, LogTail};
use crate::marker::{Joined, Marker};
use crate::orders::{to_text, Act, Order, Progress, Report};
use crate::prepare::{now_ms, prepare, Arguments, Prepared};
use crate::readiness::{Change, Readiness};
use crate::ring::{Facts, Session};

/// The variable in which the scheduler says what it remembers.
pub const NOTE_VARIABLE: &str = "HOLDFAST_CASSANDRA_NOTE";
/// The pause between two looks at a node that does not serve yet. One costs two short queries.
const LOOK_SOON: Duration = Duration::from_millis(500);
/// The pause between two looks at a node that serves.
const LOOK: Duration = Duration::from_secs(5);
/// How often it is noted on the volume that the node lives.
const NOTE_ALIVE: Duration = Duration::from_secs(600);
/// What an executor needs to end after its node has, within the time that both have.
const LAST_WORDS: Duration = Duration::from_secs(3);

type Look = std::result::Result<Facts, String>;

/// What a thread beside the loop has to say.
enum Seen {
    /// The node was looked at.
    Look(Look),
    /// An order was carried out, or was not.
    Done(String, std::result::Result<(), String>),
}

/// Runs until the node has ended and the agent knows it, or until the agent says so.
///
/// # Errors
/// When this is no executor's environment.
pub async fn run(arguments: Arguments) -> Result<()> {
    let environment = Environment::from_env()?;
    let mut executor = Executor::start(environment.clone());
    let mut children = ChildTasks::new(executor.reporter());
    let (looker, mut looks) = notices();
    let mut node = Node {
        arguments,
        note: std::env::var(NOTE_VARIABLE).unwrap_or_default(),
        reporter: executor.reporter(),
        looker,
        welcome: None,
        course: None,
        job: None,
    };
    loop {
        let happened = match executor.next_of(&mut children, &mut looks).await {
            Next::Happened(happened) => happened,
            Next::Noticed(Seen::Look(look)) => {
                node.looked(look, &mut children);
                continue;
            }
            Next::Noticed(Seen::Done(order, outcome)) => {
                node.done(&order, outcome);
                continue;
            }
        };
        match happened {
            Happened::Event(Event::Subscribed(welcome)) => node.welcome = Some(welcome),
            Happened::Event(Event::Launch(task)) => {
                node.launch(&task.id, &environment, &mut children);
            }
            Happened::Event(Event::Kill(task, grace)) => {
                children.kill(&task, grace, "stopped as asked");
            }
            Happened::Event(Event::Shutdown(_)) | Happened::Ended(_) | Happened::Lost => break,
            Happened::Event(Event::Message(words)) => node.told(&words),
            Happened::Event(Event::LaunchGroup(_)) => {}
        }
    }
    let longest = environment.shutdown_grace.saturating_sub(LAST_WORDS);
    children.end_all_within(longest, "its executor ends").await;
    executor.reporter().settled_within(LAST_WORDS).await;
    Ok(())
}

/// A node from its start to its end.
struct Course {
    task: TaskId,
    prepared: Prepared,
    readiness: Readiness,
    noted_alive: Option<Instant>,
    /// Whether the thread that looks at it shall end.
    is_over: Arc<AtomicBool>,
}

impl Drop for Course {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

struct Node {
    arguments: Arguments,
    note: String,
    reporter: Reporter,
    looker: Notifier<Seen>,
    welcome: Option<Box<Welcome>>,
    course: Option<Course>,
    /// The last order.
    job: Option<Job>,
}

impl Node {
    fn launch(&mut self, task: &TaskId, environment: &Environment, children: &mut ChildTasks) {
        self.reporter.state_because(task, TaskState::Starting, "its directory is looked at");
        let prepared =
            self.welcome.as_ref().context("the agent did not say who it is").and_then(|it| {
                prepare(&self.arguments, self.note.as_bytes(), it, &environment.sandbox)
            });
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(why) => return children.fail(task, &format!("refused: {why:#}")),
        };
        tracing::info!("start {} on this volume: {}", prepared.marker.starts, prepared.words);
        children.launch(task, self.plan(&prepared, environment));
        let port = self.arguments.settings.native_transport_port;
        let is_over = Arc::new(AtomicBool::new(false));
        let (address, looker, stop) = (prepared.address, self.looker.clone(), is_over.clone());
        std::thread::spawn(move || look_on(address, port, &looker, &stop));
        self.course = Some(Course {
            task: task.clone(),
            prepared,
            readiness: Readiness::default(),
            noted_alive: None,
            is_over,
        });
    }

    /// Cassandra as a child: its log is this process's output, and its end is remembered.
    fn plan(&self, prepared: &Prepared, environment: &Environment) -> ChildPlan {
        let settings = &self.arguments.settings;
        let java = settings.java.to_string_lossy().into_owned();
        let words = std::iter::once(java.clone()).chain(prepared.arguments.iter().cloned());
        let command =
            CommandInfo { value: Some(java), arguments: words.collect(), ..CommandInfo::default() };
        let tail = Arc::new(Mutex::new(LogTail::default()));
        let seen = tail.clone();
        let output = Output::Lines(Box::new(move |line| {
            // A log that nobody takes must not stop the database.
            let _ = writeln!(std::io::stdout(), "{line}");
            seen.lock().unwrap_or_else(PoisonError::into_inner).see(line);
        }));
        let stderr = environment.sandbox.join("stderr");
        let last_words = move || {
            let words = tail.lock().unwrap_or_else(PoisonError::into_inner).words();
            // This process's own log is in there, too, and short.
            words.or_else(|| jvm_error(&std::fs::read_to_string(&stderr).ok()?))
        };
        let mut plan = ChildPlan::new(command, &environment.sandbox).output(output);
        plan.grace = Duration::from_secs(settings.drain_timeout_s);
        plan.last_words = Some(Box::new(last_words));
        plan
    }

    /// Takes what was seen of the node.
    fn looked(&mut self, look: Look, children: &mut ChildTasks) {
        let Some(course) = &mut self.course else { return };
        if let Err(why) = look.as_ref().map_or(Ok(()), |facts| course.recognise(facts)) {
            tracing::error!("{why}");
            // It must not answer for data that it does not have.
            return children.kill(&course.task, Some(Duration::ZERO), &why);
        }
        match course.readiness.looked(look.as_ref().map_err(String::as_str)) {
            Some(Change::Serving) => course.tell(&self.reporter, Some(true), course.description()),
            Some(Change::Lost(why)) => {
                course.tell(&self.reporter, Some(false), format!("it does not serve: {why}"));
            }
            Some(Change::NotYet(why)) => {
                course.tell(&self.reporter, None, format!("it does not serve yet: {why}"));
            }
            None => {}
        }
        self.say_who();
    }

    /// Says who it is. Nobody acknowledges messages, and one that says nothing new costs next to nothing.
    fn say_who(&self) {
        let Some(course) = &self.course else { return };
        let address = course.prepared.address.to_string();
        if let Some(note) = course.prepared.marker.note(&address, &self.arguments.claim) {
            self.reporter.message(note.to_text());
        }
    }

    /// Takes an order. One that it knows is answered; while it does another one, the scheduler says it again.
    fn told(&mut self, words: &[u8]) {
        let Ok(order) = serde_json::from_slice::<Order>(words) else {
            return tracing::warn!(
                "a message of the scheduler's makes no sense, and is left alone"
            );
        };
        if let Some(job) = &self.job {
            if job.order == order {
                return self.say_how(job);
            }
            if job.progress == Progress::Running {
                return;
            }
        }
        let Some(course) = &self.course else { return };
        tracing::info!("order {}: it begins", order.order);
        let tool = Tool {
            java: self.arguments.settings.java.clone(),
            words: course.prepared.tool.clone(),
        };
        let settings = &self.arguments.settings;
        let beside = Beside {
            tool,
            marker: course.prepared.marker.clone(),
            volume: course.prepared.volume.clone(),
            address: course.prepared.address,
            port: settings.native_transport_port,
            backup_dir: settings.backup_dir.clone(),
        };
        let (given, looker) = (order.clone(), self.looker.clone());
        std::thread::spawn(move || {
            let outcome = beside.carry_out(&given);
            looker.tell(Seen::Done(given.order, outcome))
        });
        let job = Job { order, progress: Progress::Running };
        self.say_how(&job);
        self.job = Some(job);
    }

    fn say_how(&self, job: &Job) {
        let (order, progress) = (job.order.order.clone(), job.progress.clone());
        self.reporter.message(to_text(&Report { order, progress }));
    }

    /// Takes the end of an order. That a node has left is on its volume before it is said.
    fn done(&mut self, order: &str, outcome: std::result::Result<(), String>) {
        let Some(mut job) = self.job.take().filter(|it| it.order.order == order) else { return };
        let outcome =
            match (outcome, &mut self.course) {
                (Ok(()), Some(course)) if job.order.act == Act::Leave => {
                    course.mark(course.prepared.marker.clone().having_left());
                    match course.prepared.marker.left {
                        true => Ok(()),
                        false => Err("it has left, and the marker on its volume cannot be written"
                            .to_owned()),
                    }
                }
                (outcome, _) => outcome,
            };
        match &outcome {
            Ok(()) => tracing::info!("order {order}: it is done"),
            Err(why) => tracing::error!("order {order}: {why}"),
        }
        job.progress = outcome.map_or_else(Progress::Failed, |()| Progress::Done);
        self.say_who();
        self.say_how(&job);
        self.job = Some(job);
    }
}

impl Course {
    /// Holds what the node says against its marker, and notes what it did not know yet.
    fn recognise(&mut self, facts: &Facts) -> std::result::Result<(), String> {
        let marker = &self.prepared.marker;
        let places = [
            ("cluster_name", &marker.frozen.cluster_name, &facts.cluster_name),
            ("dc", &marker.frozen.dc, &facts.dc),
            ("rack", &marker.frozen.rack, &facts.rack),
        ];
        if let Some((what, wanted, is)) = places.iter().find(|(_, wanted, is)| wanted != is) {
            return Err(format!("it came up with {what} `{is}` and not `{wanted}`; it is stopped"));
        }
        if !facts.is_normal() {
            return Ok(());
        }
        if let Some(joined) = marker.joined.as_ref().filter(|it| it.host_id != facts.host_id) {
            return Err(format!(
                "it came up as host {}, and its volume is that of host {}; it is stopped before it answers for data that it does not have",
                facts.host_id, joined.host_id
            ));
        }
        let is_known = marker.joined.is_some();
        if !is_known || self.noted_alive.is_none_or(|it| NOTE_ALIVE <= it.elapsed()) {
            let (host_id, tokens) = (facts.host_id.clone(), facts.tokens.clone());
            let joined = marker.joined.clone().unwrap_or(Joined { host_id, tokens });
            let mut marker = marker.clone();
            (marker.joined, marker.alive_at_ms) = (Some(joined), now_ms());
            self.mark(marker);
        }
        Ok(())
    }

    /// Writes the marker. While that does not succeed, nobody is told that the node has joined, so that no other joins; it is tried again
    /// at the next look.
    fn mark(&mut self, marker: Marker) {
        match marker.write(&self.prepared.volume) {
            Ok(()) => {
                self.prepared.marker = marker;
                self.noted_alive = Some(Instant::now());
            }
            Err(error) => tracing::error!("the marker on its volume cannot be written: {error}"),
        }
    }

    fn description(&self) -> String {
        let marker = &self.prepared.marker;
        let host = marker.joined.as_ref().map(|it| it.host_id.as_str()).unwrap_or_default();
        let frozen = &marker.frozen;
        format!("UN in {}/{} of `{}` as host {host}", frozen.dc, frozen.rack, frozen.cluster_name)
    }

    fn tell(&self, reporter: &Reporter, healthy: Option<bool>, words: String) {
        tracing::info!("{words}");
        let status = TaskStatus::new(self.task.clone(), TaskState::Running, now());
        let reason = Some(Reason::TaskHealthCheckStatusUpdated as i32);
        reporter.report(TaskStatus { healthy, message: Some(words), reason, ..status });
    }
}

fn now() -> holdfast_sdk::model::Instant {
    holdfast_sdk::model::Instant(now_ms())
}

/// Looks at a node until nobody wants to know any more.
fn look_on(address: IpAddr, port: u16, looker: &Notifier<Seen>, is_over: &AtomicBool) {
    let mut session = None;
    while !is_over.load(Ordering::Relaxed) {
        let look = look(&mut session, address, port).map_err(|error| format!("{error:#}"));
        let pause = if look.is_ok() { LOOK } else { LOOK_SOON };
        if !looker.tell(Seen::Look(look)) {
            return;
        }
        // tidy: sleep is the point: a node is looked at now and then
        std::thread::sleep(pause);
    }
}

/// Looks once, by the connection of the last time if that still stands.
fn look(session: &mut Option<Session>, address: IpAddr, port: u16) -> Result<Facts> {
    let mut open = session.take().map_or_else(|| Session::connect(address, port), Ok)?;
    let facts = open.facts()?;
    *session = Some(open);
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marker::tests::{frozen, joined_marker};

    fn course(volume: &std::path::Path, marker: Marker) -> Course {
        let address = std::net::IpAddr::from([127, 0, 0, 1]);
        let volume = volume.to_owned();
        Course {
            task: TaskId::parse("t").unwrap(),
            prepared: Prepared {
                marker,
                volume,
                address,
                arguments: Vec::new(),
                tool: Vec::new(),
                words: String::new(),
            },
            readiness: Readiness::default(),
            noted_alive: None,
            is_over: Arc::default(),
        }
    }

    fn facts(host: &str) -> Facts {
        Facts {
            cluster_name: frozen().cluster_name,
            dc: frozen().dc,
            rack: frozen().rack,
            host_id: host.to_owned(),
            tokens: vec!["5".to_owned()],
            release: "5.0.9".to_owned(),
            is_bootstrapped: true,
            status: "NORMAL".to_owned(),
        }
    }

    #[test]
    fn who_has_joined_is_marked_once_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let mut course = course(dir.path(), Marker::about_to_join(0, frozen()));
        course.recognise(&Facts { status: "BOOT".to_owned(), ..facts("h") }).unwrap();
        assert_eq!(Marker::read(dir.path()), Ok(None));
        course.recognise(&facts("h")).unwrap();
        let marker = Marker::read(dir.path()).unwrap().unwrap();
        let joined = Joined { host_id: "h".to_owned(), tokens: vec!["5".to_owned()] };
        assert_eq!(marker.joined, Some(joined));
        assert!(0 < marker.alive_at_ms);
    }

    #[test]
    fn another_node_than_the_marked_one_is_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let mut course = course(dir.path(), joined_marker(0, 1));
        let why = course.recognise(&facts("other")).unwrap_err();
        assert!(why.contains("came up as host other"), "{why}");
        let why =
            course.recognise(&Facts { rack: "r2".to_owned(), ..facts("host-0") }).unwrap_err();
        assert!(why.contains("rack `r2` and not `r1`"), "{why}");
        assert_eq!(Marker::read(dir.path()), Ok(None), "nothing was marked");
        course.recognise(&facts("host-0")).unwrap();
        assert!(Marker::read(dir.path()).unwrap().is_some());
    }

    #[test]
    fn who_cannot_be_marked_is_not_said_to_have_joined_and_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let volume = dir.path().join("volume");
        let mut course = course(&volume, Marker::about_to_join(0, frozen()));
        course.recognise(&facts("h")).unwrap();
        assert_eq!(course.prepared.marker.note("10.0.0.1", "v"), None);
        std::fs::create_dir(&volume).unwrap();
        course.recognise(&facts("h")).unwrap();
        assert_eq!(course.prepared.marker.note("10.0.0.1", "v").unwrap().joined.host_id, "h");
    }
}
