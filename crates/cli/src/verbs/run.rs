//! `run`: one command as a task of a framework of its own, from the first fitting offer to its end.
//!
//! Relies on the SDK's session, which survives a change of leader. Never leaves its framework behind: whatever happens, it is torn
//! down, and with it the task.

mod fate;
mod placement;
mod runner;

use holdfast_model::{Capability, CommandInfo, FrameworkInfo, Role, Scalar};

use self::placement::Needs;
use self::runner::Runner;
use super::Context;
use crate::failure::Failure;
use crate::sizes::parse_size_mb;

/// How long the framework may be away before it is removed, in milliseconds: time for a new leader, and no more.
const FAILOVER_TIMEOUT_MS: u64 = 60_000;

/// What to run, and with what.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    /// The program and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
    /// Processors.
    #[arg(long, default_value = "0.1", value_parser = parse_cpus)]
    pub cpus: Scalar,
    /// Memory: 32 (MB), 2GiB ...
    #[arg(long, default_value = "32", value_parser = parse_size_mb, value_name = "SIZE")]
    pub mem: u64,
    /// Disk for the sandbox: 100 (MB), 2GiB ...
    #[arg(long, default_value = "0", value_parser = parse_size_mb, value_name = "SIZE")]
    pub disk: u64,
    /// A name for people.
    #[arg(long, default_value = "run")]
    pub name: String,
    /// The role that is offered to.
    #[arg(long, default_value = "*")]
    pub role: String,
    /// The user it runs as, where the agent may choose; you when not given.
    #[arg(long, env = "USER", hide_env_values = true)]
    pub user: Option<String>,
    /// Who asks.
    #[arg(long)]
    pub principal: Option<String>,
    /// A variable for it, NAME=VALUE; repeatable.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_variable)]
    pub env: Vec<(String, String)>,
    /// COMMAND is one line for /bin/sh; so it is anyway when it is one word with spaces in it.
    #[arg(long)]
    pub shell: bool,
}

/// Runs the verb. The exit code is that of the command where it is known.
///
/// # Errors
/// When no master answers or it does not want the framework.
pub async fn run(context: &Context, args: &RunArgs) -> anyhow::Result<i32> {
    let role = Role::parse(&args.role)
        .map_err(|it| Failure::usage(it.to_string(), "name a role such as db or eng/storage"))?;
    let info = FrameworkInfo {
        id: None,
        name: args.name.clone(),
        user: args.user.clone().unwrap_or_default(),
        roles: vec![role],
        failover_timeout_ms: FAILOVER_TIMEOUT_MS,
        checkpoint: true,
        principal: args.principal.clone(),
        hostname: None,
        capabilities: [
            Capability::MultiRole,
            Capability::PartitionAware,
            Capability::ReservationRefinement,
            Capability::TaskKillingState,
        ]
        .into(),
        payload: Default::default(),
        constraints: Default::default(),
    };
    let needs = Needs { cpus: args.cpus, mem_mb: args.mem, disk_mb: args.disk };
    Runner::open(context, info, &args.name, command(args), needs).await?.run().await
}

fn command(args: &RunArgs) -> CommandInfo {
    let environment = args.env.clone();
    // One quoted line is what people mean for a shell: no program has a name with spaces.
    let one_line = matches!(args.command.as_slice(), [line] if line.contains(char::is_whitespace));
    match args.shell || one_line {
        true => CommandInfo {
            shell: true,
            value: Some(args.command.join(" ")),
            environment,
            ..CommandInfo::default()
        },
        false => {
            let value = args.command.first().cloned();
            CommandInfo {
                shell: false,
                value,
                arguments: args.command.clone(),
                environment,
                ..CommandInfo::default()
            }
        }
    }
}

fn parse_cpus(text: &str) -> Result<Scalar, String> {
    let amount =
        text.parse::<f64>().ok().and_then(Scalar::from_f64).filter(|it| Scalar::ZERO < *it);
    amount.ok_or_else(|| format!("`{text}` is no number of processors; write for instance 0.5"))
}

fn parse_variable(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    pair.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("`{text}` is not of the form NAME=VALUE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_variables_are_parsed() {
        assert_eq!(parse_cpus("0.5"), Ok(Scalar::thousandths(500)));
        for wrong in ["", "0", "-1", "x", "NaN", "1e300", "0.0001"] {
            assert!(parse_cpus(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(parse_variable("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert_eq!(parse_variable("A="), Ok(("A".to_owned(), String::new())));
        assert!(parse_variable("A").is_err() && parse_variable("=b").is_err());
    }
}
