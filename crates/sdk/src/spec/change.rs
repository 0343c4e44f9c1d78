//! What a change of a spec means: what becomes a plan, and what is refused with the reason.

use std::collections::BTreeSet;
use std::fmt;

use holdfast_model::FetchUri;

use super::words::Time;
use super::{ConfigFile, PodSpec, PortSpec, ServiceSpec, TaskSpec};

/// What follows from a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// The pod is new: its members are deployed.
    NewPod,
    /// So many members are added.
    NewMembers(u32),
    /// The members of the pod are started anew, by its strategy.
    Roll,
    /// It holds from now on, and nobody is started anew for it.
    Nothing,
}

/// One difference between two specs that can be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What differs: the path of [`super::SpecError`], with tasks by their names.
    pub path: String,
    /// The pod that it concerns; `None` = all.
    pub pod: Option<String>,
    /// What it was.
    pub from: String,
    /// What it shall be.
    pub to: String,
    /// What follows.
    pub consequence: Consequence,
}

/// One difference between two specs that is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What differs.
    pub path: String,
    /// Why it is refused.
    pub why: String,
    /// What to do instead.
    pub instead: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} becomes {}", self.path, self.from, self.to)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.path, self.why, self.instead)
    }
}

/// Compares the spec in force with another one.
///
/// # Errors
/// Everything that is unsafe: then nothing of it is carried out.
pub fn change(old: &ServiceSpec, new: &ServiceSpec) -> Result<Vec<Difference>, Vec<Refusal>> {
    let mut found = Found::default();
    found.frozen("name", &old.name, &new.name, "the volumes bear it", "start another service");
    found.frozen(
        "role",
        old.role.as_str(),
        new.role.as_str(),
        "the claims are reserved for it",
        "start another service under that role",
    );
    let (was, is) = (option(old.principal.as_deref()), option(new.principal.as_deref()));
    found.frozen("principal", &was, &is, "the claims bear it", "start another service");
    for pod in &old.pods {
        if new.pod(&pod.name).is_none() {
            found.refuse(
                format!("pods.{}", pod.name),
                format!("it is gone, and its {} members have their volumes", pod.count),
                "scale it in member by member, and release their claims, or uninstall the service",
            );
        }
    }
    for pod in &new.pods {
        let at = format!("pods.{}", pod.name);
        match old.pod(&pod.name) {
            Some(was) => {
                let same = (old.user.as_deref(), new.user.as_deref());
                found.pod(&at, was, pod, same);
            }
            None => found.differ(
                &at,
                &pod.name,
                "nothing".into(),
                format!("{} members", pod.count),
                Consequence::NewPod,
            ),
        }
    }
    match found.refused.is_empty() {
        true => Ok(found.differs),
        false => Err(found.refused),
    }
}

#[derive(Default)]
struct Found {
    differs: Vec<Difference>,
    refused: Vec<Refusal>,
}

impl Found {
    fn refuse(&mut self, path: String, why: String, instead: &str) {
        self.refused.push(Refusal { path, why, instead: instead.to_owned() });
    }

    fn frozen(&mut self, path: &str, was: &str, is: &str, why: &str, instead: &str) {
        if was != is {
            let why = format!("`{was}` cannot become `{is}`: {why}");
            self.refuse(path.to_owned(), why, instead);
        }
    }

    fn differ(&mut self, path: &str, pod: &str, from: String, to: String, then: Consequence) {
        let (path, pod) = (path.to_owned(), Some(pod.to_owned()));
        self.differs.push(Difference { path, pod, from, to, consequence: then });
    }

    fn plain<T: fmt::Display + PartialEq>(
        &mut self,
        path: String,
        pod: &str,
        was: &T,
        is: &T,
        then: Consequence,
    ) {
        if was != is {
            self.differ(&path, pod, was.to_string(), is.to_string(), then);
        }
    }

    fn pod(&mut self, at: &str, was: &PodSpec, is: &PodSpec, user: (Option<&str>, Option<&str>)) {
        let pod = is.name.as_str();
        if is.count < was.count {
            self.refuse(
                format!("{at}.count"),
                format!("{} members cannot become {} by a change of the spec: nothing says whose data are not needed any more", was.count, is.count),
                "scale in, which stops the last members and keeps their claims until you release them",
            );
        }
        if was.count < is.count {
            let added = Consequence::NewMembers(is.count - was.count);
            let (from, to) = (was.count.to_string(), is.count.to_string());
            self.differ(&format!("{at}.count"), pod, from, to, added);
        }
        self.volumes(at, was, is);
        self.ports(at, was, is);
        let then = Consequence::Nothing;
        self.plain(format!("{at}.placement"), pod, &was.placement, &is.placement, then.clone());
        self.plain(format!("{at}.recovery"), pod, &was.recovery, &is.recovery, then.clone());
        self.plain(format!("{at}.strategy"), pod, &was.strategy, &is.strategy, then);
        if user.0 != user.1 {
            let (from, to) = (option(user.0), option(user.1));
            self.differ("user", pod, from, to, Consequence::Roll);
        }
        self.tasks(at, was, is);
    }

    fn volumes(&mut self, at: &str, was: &PodSpec, is: &PodSpec) {
        let instead = "keep the volumes as they are, or make a pod of another name with the new ones and move the data";
        for (index, old) in was.volumes.iter().enumerate() {
            let at = format!("{at}.volumes[{index}]");
            let Some(new) = is.volumes.iter().find(|it| it.path == old.path) else {
                let why = format!("the volume `{}` is gone, and members have data there", old.path);
                self.refuse(at, why, instead);
                continue;
            };
            if new.size_mb < old.size_mb {
                let why = format!("a volume of {} MB does not shrink", old.size_mb);
                self.refuse(format!("{at}.size_mb"), why, instead);
            } else if old.size_mb < new.size_mb {
                let why =
                    format!("volumes of {} MB exist, and are not grown by a plan", old.size_mb);
                self.refuse(format!("{at}.size_mb"), why, instead);
            }
            if new.class != old.class {
                let why = format!(
                    "volumes lie on disks of class {}, and do not move by themselves",
                    old.class
                );
                self.refuse(format!("{at}.class"), why, instead);
            }
        }
        for (index, new) in is.volumes.iter().enumerate() {
            if was.volumes.iter().all(|it| it.path != new.path) {
                let why = format!("members exist without the volume `{}`", new.path);
                self.refuse(format!("{at}.volumes[{index}]"), why, instead);
            }
        }
    }

    fn ports(&mut self, at: &str, was: &PodSpec, is: &PodSpec) {
        let reserved = |it: &PodSpec| {
            let mut all: Vec<_> = it.ports.iter().map(|it| (it.name.clone(), it.number)).collect();
            all.sort_by(|one, other| one.0.cmp(&other.0));
            all
        };
        if reserved(was) != reserved(is) {
            self.refuse(
                format!("{at}.ports"),
                "the ports of members are reserved with their volumes, for life".into(),
                "keep names and numbers, or make a pod of another name",
            );
        }
        let published = |it: &PortSpec| is.port(&it.name).is_some_and(|is| is.publish);
        for it in was.ports.iter().filter(|it| published(it) != it.publish) {
            let path = format!("{at}.ports.{}.publish", it.name);
            let now = published(it);
            self.plain(path, &is.name, &it.publish, &now, Consequence::Nothing);
        }
    }

    fn tasks(&mut self, at: &str, was: &PodSpec, is: &PodSpec) {
        for new in &is.tasks {
            let at = format!("{at}.tasks.{}", new.name);
            match was.task(&new.name) {
                Some(old) => self.task(&at, &is.name, old, new),
                None => {
                    let to = format!("the task `{}`", new.name);
                    self.differ(&at, &is.name, "nothing".into(), to, Consequence::Roll);
                }
            }
        }
        for old in was.tasks.iter().filter(|it| is.task(&it.name).is_none()) {
            let from = format!("the task `{}`", old.name);
            let path = format!("{at}.tasks.{}", old.name);
            self.differ(&path, &is.name, from, "nothing".into(), Consequence::Roll);
        }
        let order = |it: &PodSpec| it.once().map(|it| it.name.clone()).collect::<Vec<_>>();
        let (before, after) = (order(was), order(is));
        let kept = |of: &[String], other: &[String]| -> Vec<String> {
            of.iter().filter(|it| other.contains(it)).cloned().collect()
        };
        if kept(&before, &after) != kept(&after, &before) {
            let (from, to) = (before.join(", "), after.join(", "));
            self.differ(&format!("{at}.tasks"), &is.name, from, to, Consequence::Nothing);
        }
    }

    fn task(&mut self, at: &str, pod: &str, was: &TaskSpec, is: &TaskSpec) {
        if was.goal != is.goal {
            self.refuse(
                format!("{at}.goal"),
                format!("the task `{}` would be another one under the same name", is.name),
                "give the task another name",
            );
        }
        // What ran once is not repeated: it holds for members that come later.
        let then = match is.goal {
            super::Goal::Once => Consequence::Nothing,
            super::Goal::Running => Consequence::Roll,
        };
        let mut field = |name: &str, was: String, is: String| {
            if was != is {
                self.differ(&format!("{at}.{name}"), pod, was, is, then.clone());
            }
        };
        field("command", was.command.clone(), is.command.clone());
        field("cpus", was.cpus.to_string(), is.cpus.to_string());
        field("memory", format!("{} MB", was.mem_mb), format!("{} MB", is.mem_mb));
        for (name, was, is) in by_name(&was.environment, &is.environment) {
            field(&format!("environment.{name}"), option(was), option(is));
        }
        let (were, are) = (texts(&was.files), texts(&is.files));
        for (path, was, is) in by_name(&were, &are).into_iter().filter(|it| it.1 != it.2) {
            let bytes = |text: &str| format!("another text, of {} bytes", text.len());
            let from = shown(&was.map(|_| "its text"));
            field(&format!("files.{path}"), from, shown(&is.map(bytes)));
        }
        field("uris", list(&was.uris), list(&is.uris));
        field("user", option(was.user.as_deref()), option(is.user.as_deref()));
        let grace = |it: &TaskSpec| shown(&it.kill_grace_ms.map(Time));
        field("kill_grace", grace(was), grace(is));
        field("health", shown(&was.health), shown(&is.health));
        field("readiness", shown(&was.readiness), shown(&is.readiness));
    }
}

fn option(text: Option<&str>) -> String {
    text.unwrap_or("none").to_owned()
}

fn shown<T: fmt::Display>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)
}

fn list(uris: &[FetchUri]) -> String {
    let words = |it: &FetchUri| {
        let flags =
            [(it.executable, " executable"), (!it.extract, " not unpacked"), (it.cache, " cached")];
        let flags: String = flags.iter().filter(|it| it.0).map(|it| it.1).collect();
        let path = it.output_file.as_ref().map(|it| format!(" as {it}")).unwrap_or_default();
        format!("{}{path}{flags}", it.value)
    };
    let all: Vec<String> = uris.iter().map(words).collect();
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(", ")
    }
}

fn texts(files: &[ConfigFile]) -> Vec<(String, String)> {
    files.iter().map(|it| (it.path.clone(), it.template.clone())).collect()
}

/// Both values of each name.
fn by_name<'a>(
    was: &'a [(String, String)],
    is: &'a [(String, String)],
) -> Vec<(&'a str, Option<&'a str>, Option<&'a str>)> {
    let of = |all: &'a [(String, String)], name: &str| {
        all.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
    };
    let names: BTreeSet<&str> = was.iter().chain(is).map(|it| it.0.as_str()).collect();
    names.into_iter().map(|name| (name, of(was, name), of(is, name))).collect()
}

#[cfg(test)]
mod tests {
    use holdfast_model::Role;

    use super::super::testbed::{ring, two_pods};
    use super::super::{DiskClass, PortNumber, Strategy};
    use super::*;

    fn changed(edit: impl FnOnce(&mut ServiceSpec)) -> Result<Vec<Difference>, Vec<Refusal>> {
        let mut new = ring();
        edit(&mut new);
        change(&ring(), &new)
    }

    #[test]
    fn what_is_the_same_needs_nothing() {
        assert_eq!(changed(|_| {}), Ok(Vec::new()));
    }

    #[test]
    fn what_is_safe_has_a_consequence() {
        type Edit = fn(&mut ServiceSpec);
        let cases: &[(Edit, &str, Consequence)] = &[
            (|it| it.pods[0].count = 5, "pods.node.count", Consequence::NewMembers(2)),
            (
                |it| it.pods[0].tasks[1].command.push_str(" -v"),
                "pods.node.tasks.server.command",
                Consequence::Roll,
            ),
            (
                |it| it.pods[0].tasks[0].command.push_str(" -v"),
                "pods.node.tasks.format.command",
                Consequence::Nothing,
            ),
            (|it| it.user = Some("db".into()), "user", Consequence::Roll),
            (
                |it| it.pods[0].strategy = Strategy::Canary(1),
                "pods.node.strategy",
                Consequence::Nothing,
            ),
            (
                |it| it.pods[0].ports[0].publish = false,
                "pods.node.ports.cql.publish",
                Consequence::Nothing,
            ),
            (|it| *it = two_pods(), "pods.proxy", Consequence::NewPod),
        ];
        for (edit, path, consequence) in cases {
            let found = changed(*edit).unwrap();
            let found: Vec<_> =
                found.iter().map(|it| (it.path.as_str(), &it.consequence)).collect();
            assert_eq!(found, [(*path, consequence)]);
        }
    }

    #[test]
    fn what_is_unsafe_is_refused_with_what_to_do() {
        type Edit = fn(&mut ServiceSpec);
        let cases: &[(Edit, &str)] = &[
            (|it| it.name = "other".into(), "name"),
            (|it| it.role = Role::parse("x").unwrap(), "role"),
            (|it| it.principal = Some("x".into()), "principal"),
            (|it| it.pods[0].count = 2, "pods.node.count"),
            (|it| it.pods[0].volumes[0].size_mb = 99, "pods.node.volumes[0].size_mb"),
            (|it| it.pods[0].volumes[0].size_mb = 101, "pods.node.volumes[0].size_mb"),
            (|it| it.pods[0].volumes[0].class = DiskClass::Mount, "pods.node.volumes[0].class"),
            (|it| drop(it.pods[0].volumes.pop()), "pods.node.volumes[1]"),
            (|it| it.pods[0].ports[1].number = PortNumber::Fixed(1), "pods.node.ports"),
            (
                |it| it.pods[0].tasks[0].goal = super::super::Goal::Running,
                "pods.node.tasks.format.goal",
            ),
        ];
        for (edit, path) in cases {
            let refused = changed(*edit).unwrap_err();
            assert_eq!(refused.iter().map(|it| it.path.as_str()).collect::<Vec<_>>(), [*path]);
            assert!(!refused[0].instead.is_empty());
        }
        assert_eq!(change(&two_pods(), &ring()).unwrap_err()[0].path, "pods.proxy");
    }
}
