//! What can be set about the processes, as flags and as environment variables; the command line takes the grammar from here.
//!
//! Relies on clap for the grammar. Never checks what only a process can know, such as whether a disk is there.

pub mod agent;
pub mod durations;
pub mod master;

use std::collections::BTreeMap;
use std::path::Path;

use holdfast_quorum::ZooKeeperAddress;
use holdfast_wire::BrowserPolicy;

/// What web browsers may do on a process of this machine that is known by this name, or HOST:PORT.
fn browsers(origins: &[String], name: Option<&str>, strict_host: bool) -> BrowserPolicy {
    let advertised = name.map(|it| it.rsplit_once(':').map_or(it, |(host, _)| host).to_owned());
    let names = advertised.into_iter().chain(sysinfo::System::host_name()).collect();
    BrowserPolicy { origins: origins.to_vec(), names, strict_host }
}

/// Settings by their names; `None` for one that is not set.
type Values = Vec<(&'static str, Option<String>)>;

/// Settings by their names, without those that are not set.
fn named(values: Values) -> BTreeMap<String, String> {
    values.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn text_of(path: Option<&Path>) -> Option<String> {
    path.map(|it| it.to_string_lossy().into_owned())
}

/// The address of masters or of an ensemble as it may be shown.
fn without_password(given: &str) -> String {
    if !given.starts_with(ZooKeeperAddress::SCHEME) {
        return given.to_owned();
    }
    let shown = given.parse().map(|it: ZooKeeperAddress| it.to_string());
    shown.unwrap_or_else(|wrong| format!("no address: {wrong}"))
}

/// Each flag of the command line is among the values, so that nobody forgets to show a new one.
#[cfg(test)]
fn check_values<S: clap::Args>(values: fn(&S) -> Values) {
    let command = S::augment_args(clap::Command::new("test"));
    let flags: Vec<String> = command
        .get_arguments()
        .filter_map(|it| it.get_long())
        .map(|it| it.replace('-', "_"))
        .collect();
    let settings = S::from_arg_matches(&command.get_matches_from(["test"])).unwrap();
    let names: Vec<&str> = values(&settings).into_iter().map(|(name, _)| name).collect();
    for flag in flags {
        assert!(names.contains(&flag.as_str()), "`{flag}` has no line in `values`: {names:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        let shown = without_password("zk://ops:secret@a:1,b:2/m");
        assert_eq!(shown, "zk://ops:***@a:1,b:2/m");
        assert!(!without_password("zk://secret@a:1").contains("secret"));
        for text in ["file:///etc/holdfast/zk", "h:5050"] {
            assert_eq!(without_password(text), text);
        }
    }
}
