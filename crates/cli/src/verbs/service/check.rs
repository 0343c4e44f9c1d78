//! `service check`: whether a spec file can be run, and where it is wrong.

use std::path::PathBuf;

use holdfast_sdk::net::{read_spec_file, SpecFileError};
use serde_json::json;

use crate::failure::{Failure, EXIT_ERROR};
use crate::verbs::Context;

/// Which file.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// The spec file.
    pub spec: PathBuf,
}

/// Runs the verb.
///
/// # Errors
/// Everything that is wrong with the file, each thing at its place.
pub fn run(context: &Context, args: &CheckArgs) -> anyhow::Result<i32> {
    let spec = read_spec_file(&args.spec).map_err(spec_failure)?;
    let members: u32 = spec.pods.iter().map(|it| it.count).sum();
    if context.format.is_table() {
        let pods: Vec<String> =
            spec.pods.iter().map(|it| format!("{} of pod {}", it.count, it.name)).collect();
        context.remark(&format!(
            "{}: service `{}` of role {} can be run; it has {members} members: {}. See what it would claim: `holdfast service plan {0}`",
            args.spec.display(),
            spec.name,
            spec.role,
            pods.join(", ")
        ));
    } else {
        let pods: Vec<_> =
            spec.pods.iter().map(|it| json!({ "name": it.name, "count": it.count })).collect();
        let role = spec.role.as_str();
        context.put_value(&json!({ "name": spec.name, "role": role, "pods": pods }))?;
    }
    Ok(0)
}

/// What is wrong with a spec file, as a failure.
pub fn spec_failure(error: SpecFileError) -> Failure {
    let count = error.problems.len();
    let things = if count == 1 { "1 thing is".to_owned() } else { format!("{count} things are") };
    let hint = "mend what is marked, and look again: `holdfast service check FILE`";
    Failure::new(EXIT_ERROR, format!("{things} wrong with the spec\n{error}"), hint)
}
