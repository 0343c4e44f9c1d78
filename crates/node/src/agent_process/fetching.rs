//! Has everything fetched that a container's command wants, before it starts: in containers of their own, with the same sandbox, user and
//! limits, so that a server or a disk that hangs holds up nothing but the task that wants something of it, and a kill ends it.
//!
//! Relies on the launcher for these containers, and on the cache. What an agent leaves behind when it dies is found by its successor as a
//! container that nobody knows, and ended. Never reads from an address itself: the agent may read more than the task's user.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use holdfast_agent::{ContainerPlan, Payload};
use holdfast_containers::{
    CacheHold, CacheSlot, Cached, Command, ContainerSpec, FetchCache, FetchPlan, FetchStep,
    Launcher, VolumeMount, FETCH_PLAN_VARIABLE,
};
use holdfast_model::convert::uris;
use holdfast_model::{ContainerId, FetchUri};

use crate::fetch_worker::source_of;

/// Where a fetching container sees what is not its sandbox, relative to that; taken away afterwards.
const PLACE: &str = ".holdfast-fetch";
/// The name of the file that says what failed.
const RESULT: &str = "failed";
/// The most of it that is read, in bytes.
const RESULT_BYTES_MAX: u64 = 4096;
/// The least memory of a fetching container: unpacking takes some, however little the task has.
const MEM_BYTES_MIN: u64 = 192 << 20;

/// See the module.
pub struct Fetcher {
    cache: FetchCache,
    /// Where fetching containers say what failed.
    results: PathBuf,
    program: PathBuf,
    stall: Duration,
    /// The containers that fetch, by those for which they do.
    running: Mutex<BTreeMap<ContainerId, String>>,
}

/// One container's wishes.
struct Wish<'a> {
    launcher: &'a Launcher,
    /// For which.
    container: ContainerId,
    /// As it will be.
    spec: &'a ContainerSpec,
    wanted: &'a dyn Fn() -> bool,
}

impl Fetcher {
    /// Wipes what an earlier agent has fetched.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn open(
        dir: &Path,
        cache_bytes: u64,
        stall: Duration,
        program: PathBuf,
    ) -> anyhow::Result<Fetcher> {
        let dir = dir.join("fetch");
        let cannot = || format!("cannot empty the fetcher's cache {}", dir.display());
        let cache = FetchCache::open(&dir.join("cache"), cache_bytes).with_context(cannot)?;
        let results = dir.join("results");
        let _ = std::fs::remove_dir_all(&results);
        std::fs::create_dir_all(&results).with_context(cannot)?;
        holdfast_containers::pass_through(&[&dir, &results]).with_context(cannot)?;
        Ok(Fetcher { cache, results, program, stall, running: Mutex::default() })
    }

    /// Fetches what the command of a container wants; `spec` is how it will be started. Ends early, with an error, when it is not
    /// `wanted` any more.
    ///
    /// # Errors
    /// What failed, for people.
    pub fn fetch(
        &self,
        launcher: &Launcher,
        plan: &ContainerPlan,
        spec: &ContainerSpec,
        wanted: &dyn Fn() -> bool,
    ) -> Result<(), String> {
        let uris = match (&plan.payload, &plan.task) {
            (Payload::CommandExecutor, Some(task)) => uris::of_task_payload(task),
            (Payload::Custom, _) => uris::of_executor(&plan.info),
            _ => Ok(Vec::new()),
        };
        let uris = uris.map_err(|error| error.to_string())?;
        if uris.is_empty() {
            return Ok(());
        }
        let wish = Wish { launcher, container: plan.container, spec, wanted };
        let mut held: BTreeMap<String, CacheHold> = BTreeMap::new();
        for uri in uris.iter().filter(|it| it.cache) {
            if let (false, Some(hold)) = (held.contains_key(&uri.value), self.cached(&wish, uri)?) {
                held.insert(uri.value.clone(), hold);
            }
        }
        let (mut steps, mut mounts) = (Vec::new(), Vec::new());
        for uri in &uris {
            let cached = held.get(&uri.value).map(|hold| {
                let place = format!("{PLACE}/{}", mounts.len());
                mounts.push(VolumeMount::new(hold.dir(), place.clone()).read_only());
                format!("{place}/{}", hold.name())
            });
            steps.push(FetchStep::Place {
                source: source_of(uri),
                cached,
                name: uri.name().to_owned(),
                executable: uri.executable,
                extract: uri.extract,
            });
        }
        self.run(&wish, steps, mounts)
    }

    /// The container that fetches for this one, if one does.
    pub fn running(&self, container: ContainerId) -> Option<String> {
        self.lock().get(&container).cloned()
    }

    /// What the cache has of something, or could fetch; `None` when it is to be fetched past the cache.
    fn cached(&self, wish: &Wish<'_>, uri: &FetchUri) -> Result<Option<CacheHold>, String> {
        let user = wish.spec.user.as_deref().unwrap_or_default();
        match self.cache.claim(user, &uri.value, wish.wanted) {
            Ok(Some(Cached::Here(hold))) => Ok(Some(hold)),
            Ok(Some(Cached::Missing(slot))) => Ok(self.fill(wish, uri, slot)),
            Ok(None) => Err(ended()),
            Err(error) => {
                tracing::warn!("the fetcher's cache is passed by: {error}");
                Ok(None)
            }
        }
    }

    /// Asks how large something is, sets so much aside, fetches it.
    fn fill(&self, wish: &Wish<'_>, uri: &FetchUri, slot: CacheSlot) -> Option<CacheHold> {
        let place = format!("{PLACE}/entry");
        let (data, size) = slot.names();
        let mount = || vec![VolumeMount::new(slot.dir(), place.clone())];
        let ask = FetchStep::Size { source: source_of(uri), into: format!("{place}/{size}") };
        self.run(wish, vec![ask], mount()).ok()?;
        let max_bytes = slot.told_size()?;
        if !slot.reserve(max_bytes) {
            tracing::info!("container {}: what it wants does not fit into the fetcher's cache, which is passed by", wish.container);
            return None;
        }
        let into = format!("{place}/{data}");
        let download = FetchStep::Download { source: source_of(uri), into, max_bytes };
        // What fails here fails once more past the cache, and is told then.
        self.run(wish, vec![download], mount()).ok()?;
        slot.fill()
    }

    /// Runs a fetching container to its end.
    fn run(
        &self,
        wish: &Wish<'_>,
        steps: Vec<FetchStep>,
        mut mounts: Vec<VolumeMount>,
    ) -> Result<(), String> {
        let id = uuid::Uuid::new_v4().to_string();
        let results = self.results.join(&id);
        std::fs::create_dir(&results)
            .map_err(|it| format!("cannot make {}: {it}", results.display()))?;
        let place = format!("{PLACE}/run");
        let places: Vec<String> =
            mounts.iter().map(|it| it.container_path.clone()).chain([place.clone()]).collect();
        mounts.push(VolumeMount::new(&results, place.clone()));
        let plan = FetchPlan {
            steps,
            result: Some(format!("{place}/{RESULT}")),
            keep_free_bytes: wish.spec.output.keep_free_bytes,
            stall_s: self.stall.as_secs(),
        };
        let spec = self.spec(wish, &id, &plan, mounts)?;
        self.lock().insert(wish.container, id.clone());
        let outcome = match (wish.wanted)() {
            true => run_to_its_end(wish.launcher, &spec, &results),
            false => Err(ended()),
        };
        self.lock().remove(&wish.container);
        holdfast_containers::clear_places(&wish.spec.sandbox, &places, PLACE);
        let _ = std::fs::remove_dir_all(&results);
        outcome
    }

    fn spec(
        &self,
        wish: &Wish<'_>,
        id: &str,
        plan: &FetchPlan,
        volumes: Vec<VolumeMount>,
    ) -> Result<ContainerSpec, String> {
        let mut limits = wish.spec.limits;
        if limits.mem_bytes != 0 {
            limits.mem_bytes = limits.mem_bytes.max(MEM_BYTES_MIN);
        }
        let plan = serde_json::to_string(plan).map_err(|error| error.to_string())?;
        Ok(ContainerSpec {
            id: id.to_owned(),
            command: Command::Argv {
                program: self.program.to_string_lossy().into_owned(),
                args: vec!["fetch-worker".to_owned()],
            },
            environment: [(FETCH_PLAN_VARIABLE.to_owned(), plan)].into(),
            volumes,
            limits,
            ..wish.spec.clone()
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ContainerId, String>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run_to_its_end(launcher: &Launcher, spec: &ContainerSpec, results: &Path) -> Result<(), String> {
    launcher.start(spec).map_err(|error| format!("the fetcher did not start: {error}"))?;
    let exit = launcher.wait(&spec.id);
    // Nothing of it may go on writing to the sandbox.
    launcher.destroy(&spec.id).map_err(|error| format!("the fetcher does not end: {error}"))?;
    if let Err(error) = launcher.forget(&spec.id) {
        tracing::warn!("cannot forget the fetching container {}: {error}", spec.id);
    }
    let exit = exit.map_err(|error| format!("the fetcher was lost: {error}"))?;
    if exit.succeeded() {
        return Ok(());
    }
    let told = holdfast_containers::read_told(&results.join(RESULT), RESULT_BYTES_MAX);
    Err(told.unwrap_or_else(|| format!("the fetcher ended early: {}", exit.message)))
}

fn ended() -> String {
    "it was ended while what it wants was fetched".to_owned()
}
