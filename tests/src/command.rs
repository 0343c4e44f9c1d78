//! What a person types, and what is said to it.
//!
//! Relies on the cluster for the master that is asked. It never judges what is said.

use std::process::{Command, Output};

use crate::daemon::binary;
use crate::Cluster;

/// Runs `holdfast` on a cluster's master.
pub fn holdfast(cluster: &Cluster, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.args(arguments).args(["--master", &cluster.master.address().to_string()]);
    command.output().expect("the binary runs")
}

/// All that it says.
pub fn words(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

/// What it says when it works.
pub fn done(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = holdfast(cluster, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", words(&output));
    words(&output)
}

/// What it says when it does not.
pub fn refused(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = holdfast(cluster, arguments);
    assert!(!output.status.success(), "{arguments:?}: {}", words(&output));
    words(&output)
}
