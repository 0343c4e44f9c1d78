//! Which containers are inside others, and what may be done with them.
//!
//! They are no part of the ledger: what runs is known from the containers themselves, and they die with the executor's container around
//! them, so that a claim is never held by one alone. Pure: it is told what was started and what ended, and says what is allowed. It never
//! forgets one that may run.

use std::collections::BTreeMap;

use holdfast_model::ContainerId;

/// How deep containers may lie in each other, the executor's included.
const DEPTH_MAX: usize = 8;
/// How many may lie in one executor's container, those that have ended and were not removed included.
const WITHIN_MAX: usize = 256;
/// The longest name, in bytes: it names a folder.
const NAME_BYTES_MAX: usize = 255;

/// A container inside another: its own name, and those of the ones around it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NestedPath {
    /// The executor's container.
    pub root: ContainerId,
    /// Names below it, the outermost first; never empty.
    names: Vec<String>,
}

/// How one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NestedState {
    /// It is started, or runs.
    Runs,
    /// Nothing of it runs any more.
    Ended(NestedExit),
}

/// How one ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NestedExit {
    /// As wait(2) gives it; `None` when it is not known.
    pub status: Option<i32>,
    /// What happened, for people.
    pub message: String,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nested {
    /// The name that the driver of processes has for it.
    pub unit: String,
    /// How it is.
    pub state: NestedState,
    /// Whether it hangs on the connection of whoever started it.
    pub is_session: bool,
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NestedRefusal {
    /// The id is not acceptable.
    BadId(String),
    /// There is no such container.
    Unknown(String),
    /// It, or the one around it, has ended.
    Ended(String),
    /// There is one of that id, and it is not what was asked for.
    Taken(String),
    /// It runs, and should not.
    Runs(String),
    /// There are too many.
    TooMany(String),
}

impl std::fmt::Display for NestedRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NestedRefusal::BadId(why) => write!(f, "container_id: {why}"),
            NestedRefusal::Unknown(id) => write!(f, "container {id} cannot be found; GET_CONTAINERS with show_nested lists those that run"),
            NestedRefusal::Ended(id) => write!(f, "container {id} does not run, or has ended"),
            NestedRefusal::Taken(id) => write!(f, "container {id} is there already; choose another id, or remove that one once it has ended"),
            NestedRefusal::Runs(id) => write!(f, "container {id} still runs; kill it first, and wait for its end"),
            NestedRefusal::TooMany(id) => write!(f, "there are {WITHIN_MAX} containers inside {id}; remove some that have ended"),
        }
    }
}

/// What a launch comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is to be started inside the container that the driver calls so.
    New {
        /// The driver's name of the container around it.
        around: String,
    },
    /// It runs already.
    Already,
}

impl NestedPath {
    /// Reads a path: the executor's container, then each name.
    ///
    /// # Errors
    /// [`NestedRefusal::BadId`] for a name that could be no folder, or for too many.
    pub fn parse(names: &[String]) -> Result<NestedPath, NestedRefusal> {
        let [root, names @ ..] = names else {
            return Err(NestedRefusal::BadId("it is empty".to_owned()));
        };
        for name in std::iter::once(root).chain(names) {
            check_name(name).map_err(NestedRefusal::BadId)?;
        }
        if names.is_empty() {
            let why = "it has no parent, and only containers inside others are served here; set `parent` to an executor's container";
            return Err(NestedRefusal::BadId(why.to_owned()));
        }
        if names.len() >= DEPTH_MAX {
            let why = format!("containers lie at most {DEPTH_MAX} deep in each other");
            return Err(NestedRefusal::BadId(why));
        }
        // What is no id of ours is the id of nothing that is here.
        let root = ContainerId::parse(root).map_err(|_| NestedRefusal::Unknown(root.clone()))?;
        Ok(NestedPath { root, names: names.to_vec() })
    }

    /// All names, that of the executor's container first.
    pub fn names(&self) -> Vec<String> {
        std::iter::once(self.root.to_string()).chain(self.names.iter().cloned()).collect()
    }

    /// Its sandbox, below that of the executor's container.
    pub fn sandbox(&self) -> std::path::PathBuf {
        self.names.iter().flat_map(|name| ["containers", name]).collect()
    }

    /// The one around it; `None` when that is the executor's.
    fn around(&self) -> Option<NestedPath> {
        let (_, above) = self.names.split_last()?;
        (!above.is_empty()).then(|| NestedPath { root: self.root, names: above.to_vec() })
    }

    fn is_in(&self, other: &NestedPath) -> bool {
        self.root == other.root
            && self.names.len() > other.names.len()
            && self.names.starts_with(&other.names)
    }
}

impl std::fmt::Display for NestedPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.names().join("."))
    }
}

/// Mesos forbids in names of containers what separates them when they are written in a row.
fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("a value is empty; give it one, such as a uuid".to_owned());
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("a value has more than {NAME_BYTES_MAX} bytes; use a uuid"));
    }
    let bad = |letter: &char| letter.is_control() || "/\\. ".contains(*letter);
    match name.chars().find(bad) {
        Some(letter) => Err(format!("`{}` has the letter {letter:?}, which no value may have; use letters, digits, `-` and `_`", name.escape_debug())),
        None => Ok(()),
    }
}

/// All containers inside others on this agent.
#[derive(Clone, Debug, Default)]
pub struct NestedContainers {
    all: BTreeMap<NestedPath, Nested>,
}

impl NestedContainers {
    /// Whether a launch is allowed; a new one is noted. `root` says whether the executor's container runs; `None` for one that is not
    /// known.
    ///
    /// # Errors
    /// A refusal.
    pub fn begin(
        &mut self,
        path: &NestedPath,
        nested: Nested,
        root: Option<bool>,
    ) -> Result<Begun, NestedRefusal> {
        match root {
            None => return Err(NestedRefusal::Unknown(path.root.to_string())),
            Some(false) => return Err(NestedRefusal::Ended(path.root.to_string())),
            Some(true) => {}
        }
        match self.all.get(path) {
            Some(known)
                if known.state != NestedState::Runs || nested.is_session || known.is_session =>
            {
                return Err(NestedRefusal::Taken(path.to_string()))
            }
            Some(_) => return Ok(Begun::Already),
            None => {}
        }
        let around = match path.around() {
            None => path.root.to_string(),
            Some(around) => self.running(&around)?.unit.clone(),
        };
        if self.within(path.root).count() >= WITHIN_MAX {
            return Err(NestedRefusal::TooMany(path.root.to_string()));
        }
        self.all.insert(path.clone(), nested);
        Ok(Begun::New { around })
    }

    /// Notes one that was found running or ended when the agent was started.
    pub fn found(&mut self, path: NestedPath, nested: Nested) {
        self.all.insert(path, nested);
    }

    /// Forgets one that was not started.
    pub fn not_started(&mut self, path: &NestedPath) {
        self.all.remove(path);
    }

    /// Notes the end of one. `false` when it was forgotten before.
    pub fn ended(&mut self, path: &NestedPath, exit: NestedExit) -> bool {
        let known = self.all.get_mut(path);
        known.map(|it| it.state = NestedState::Ended(exit)).is_some()
    }

    /// One of them.
    ///
    /// # Errors
    /// [`NestedRefusal::Unknown`].
    pub fn find(&self, path: &NestedPath) -> Result<&Nested, NestedRefusal> {
        self.all.get(path).ok_or_else(|| NestedRefusal::Unknown(path.to_string()))
    }

    /// One that runs.
    ///
    /// # Errors
    /// [`NestedRefusal::Unknown`], [`NestedRefusal::Ended`].
    pub fn running(&self, path: &NestedPath) -> Result<&Nested, NestedRefusal> {
        let found = self.find(path)?;
        match found.state {
            NestedState::Runs => Ok(found),
            NestedState::Ended(_) => Err(NestedRefusal::Ended(path.to_string())),
        }
    }

    /// Removes one that has ended, with all that were in it, which have ended, too. Returns the driver's names, the innermost first.
    ///
    /// # Errors
    /// [`NestedRefusal::Unknown`], [`NestedRefusal::Runs`].
    pub fn remove(&mut self, path: &NestedPath) -> Result<Vec<String>, NestedRefusal> {
        self.find(path)?;
        let within: Vec<NestedPath> = self
            .within(path.root)
            .map(|it| it.0)
            .filter(|it| *it == path || it.is_in(path))
            .cloned()
            .collect();
        let runs = |it: &&NestedPath| self.all[*it].state == NestedState::Runs;
        if let Some(running) = within.iter().find(runs) {
            return Err(NestedRefusal::Runs(running.to_string()));
        }
        let removed = within.iter().rev().filter_map(|it| self.all.remove(it));
        Ok(removed.map(|it| it.unit).collect())
    }

    /// Forgets all that were in an executor's container that is no more. Returns the driver's names, the innermost first.
    pub fn remove_root(&mut self, root: ContainerId) -> Vec<String> {
        let within: Vec<NestedPath> = self.within(root).map(|it| it.0.clone()).collect();
        within.iter().rev().filter_map(|it| self.all.remove(it)).map(|it| it.unit).collect()
    }

    /// All that run, for those who list them.
    pub fn all_running(&self) -> impl Iterator<Item = (&NestedPath, &Nested)> {
        self.all.iter().filter(|(_, it)| it.state == NestedState::Runs)
    }

    fn within(&self, root: ContainerId) -> impl Iterator<Item = (&NestedPath, &Nested)> {
        let first = NestedPath { root, names: Vec::new() };
        self.all.range(first..).take_while(move |(path, _)| path.root == root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "00000000-0000-0000-0000-0000000000c0";

    fn path(names: &[&str]) -> Result<NestedPath, NestedRefusal> {
        let all: Vec<String> =
            std::iter::once(ROOT).chain(names.iter().copied()).map(str::to_owned).collect();
        NestedPath::parse(&all)
    }

    fn nested(unit: &str, is_session: bool) -> Nested {
        Nested { unit: unit.to_owned(), state: NestedState::Runs, is_session }
    }

    fn begun(all: &mut NestedContainers, names: &[&str]) -> Result<Begun, NestedRefusal> {
        all.begin(&path(names).unwrap(), nested(&names.join("+"), false), Some(true))
    }

    #[test]
    fn ids_are_names_of_folders_that_can_be_written_in_a_row() {
        for bad in ["", ".", "a.b", "a b", "a/b", "..", "a\n", "a\\b", &"x".repeat(256)] {
            let refused = path(&[bad]).unwrap_err();
            assert!(matches!(&refused, NestedRefusal::BadId(_)), "{bad:?}: {refused}");
        }
        assert!(matches!(path(&[]), Err(NestedRefusal::BadId(why)) if why.contains("parent")));
        assert!(matches!(path(&["x"; 8]), Err(NestedRefusal::BadId(why)) if why.contains("deep")));
        let deep = path(&["a", "b"]).unwrap();
        assert_eq!(deep.sandbox(), std::path::Path::new("containers/a/containers/b"));
        assert_eq!(deep.to_string(), format!("{ROOT}.a.b"));
        let stranger = NestedPath::parse(&["nobody".to_owned(), "x".to_owned()]);
        assert_eq!(stranger, Err(NestedRefusal::Unknown("nobody".to_owned())));
    }

    #[test]
    fn one_is_launched_once_and_only_where_something_runs() {
        let mut all = NestedContainers::default();
        let a = path(&["a"]).unwrap();
        let stranger = all.begin(&a, nested("u", false), None);
        assert_eq!(stranger, Err(NestedRefusal::Unknown(ROOT.to_owned())));
        let over = all.begin(&a, nested("u", false), Some(false));
        assert_eq!(over, Err(NestedRefusal::Ended(ROOT.to_owned())));
        assert_eq!(begun(&mut all, &["a"]), Ok(Begun::New { around: ROOT.to_owned() }));
        assert_eq!(begun(&mut all, &["a"]), Ok(Begun::Already));
        let session = all.begin(&a, nested("s", true), Some(true));
        assert!(matches!(session, Err(NestedRefusal::Taken(_))), "it is no session of this caller");
        assert_eq!(begun(&mut all, &["a", "b"]), Ok(Begun::New { around: "a".to_owned() }));
        let unknown = begun(&mut all, &["c", "b"]);
        assert_eq!(unknown, Err(NestedRefusal::Unknown(format!("{ROOT}.c"))));
        assert!(all.ended(&a, NestedExit::default()));
        assert_eq!(begun(&mut all, &["a", "d"]), Err(NestedRefusal::Ended(a.to_string())));
        assert_eq!(begun(&mut all, &["a"]), Err(NestedRefusal::Taken(a.to_string())));
        all.not_started(&path(&["a", "b"]).unwrap());
        assert!(all.find(&path(&["a", "b"]).unwrap()).is_err());
        assert_eq!(all.all_running().count(), 0);
    }

    #[test]
    fn what_runs_is_not_removed_and_what_was_in_it_goes_with_it() {
        let mut all = NestedContainers::default();
        for names in [&["a"][..], &["a", "b"], &["ab"]] {
            begun(&mut all, names).unwrap();
        }
        let [a, b] = [path(&["a"]).unwrap(), path(&["a", "b"]).unwrap()];
        all.ended(&a, NestedExit::default());
        assert_eq!(all.remove(&a), Err(NestedRefusal::Runs(b.to_string())));
        all.ended(&b, NestedExit::default());
        assert_eq!(all.remove(&a), Ok(vec!["a+b".to_owned(), "a".to_owned()]));
        assert_eq!(all.remove(&a), Err(NestedRefusal::Unknown(a.to_string())));
        assert_eq!(all.remove_root(a.root), ["ab"]);
        assert!(!all.ended(&b, NestedExit::default()), "it is forgotten");
    }

    #[test]
    fn there_is_an_end_to_how_many_there_are() {
        let mut all = NestedContainers::default();
        for number in 0..WITHIN_MAX {
            begun(&mut all, &[&number.to_string()]).unwrap();
        }
        assert_eq!(begun(&mut all, &["x"]), Err(NestedRefusal::TooMany(ROOT.to_owned())));
    }
}
