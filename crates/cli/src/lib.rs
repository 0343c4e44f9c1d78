//! What a person types: the command line, its verbs and tables, completion, and the clusters of `dev`, `demo` and `drill`.
//!
//! Relies on clap for the grammar, and on `holdfast-node` for the processes. Here it is only chosen which verb was meant: verbs live in
//! modules of their own, processes in another crate.

mod advice;
mod demo;
mod dev;
mod drill;
mod failure;
mod globals;
mod moments;
mod nouns;
mod output;
mod settings_demo;
mod settings_dev;
mod settings_drill;
mod settings_scratch;
mod sizes;
mod verbs;

use std::ffi::OsString;
use std::io::{self, IsTerminal};

use anyhow::Context as _;
use clap::{CommandFactory, Parser};
use holdfast_node::signals::Signals;
use holdfast_sdk::net::tether_ends;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use self::globals::Globals;
use self::nouns::Verb;
use crate::advice::advised;
use crate::failure::{Failure, EXIT_CODES, EXIT_PIPE_CLOSED, EXIT_USAGE};
use crate::output::console::{wants_no_colours, Console};
use crate::verbs::Context;

/// How long the end of a process waits for what its threads have begun.
const END_WAIT: std::time::Duration = std::time::Duration::from_secs(2);

/// Everything that can be typed.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, about = "A cluster scheduler for services that own disks.", after_help = EXIT_CODES)]
struct Line {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    verb: Verb,
}

/// Runs what was typed; returns the exit code.
pub fn main(arguments: Vec<OsString>) -> i32 {
    let line = match Line::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) => {
            // Help is no failure; a broken pipe while printing it neither.
            let _ = error.print();
            return if error.use_stderr() { EXIT_USAGE } else { 0 };
        }
    };
    log(&line);
    run(line).unwrap_or_else(|error| code(&error))
}

/// Sends the log to standard error; `RUST_LOG` says how much.
fn log(line: &Line) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| line.verb.log_level().into());
    let colours = io::stderr().is_terminal() && !wants_no_colours();
    let as_started = filter.to_string();
    let log = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_env_filter(filter)
        .with_ansi(colours);
    // Somebody else's log is as good.
    if line.globals.log_json {
        let log = log.json().with_filter_reloading();
        let handle = log.reload_handle();
        let _ = log.try_init();
        let_operators_change(as_started, move |filter| handle.reload(filter).is_ok());
    } else {
        let log = log.with_filter_reloading();
        let handle = log.reload_handle();
        let _ = log.try_init();
        let_operators_change(as_started, move |filter| handle.reload(filter).is_ok());
    }
}

/// What the log was started with is level 0; 1 tells what `debug` says besides, and 2 all.
fn let_operators_change(
    as_started: String,
    reload: impl Fn(EnvFilter) -> bool + Send + Sync + 'static,
) {
    holdfast_node::logging::install(Box::new(move |level| {
        let filter = match level {
            0 => as_started.clone(),
            1 => format!("{as_started},debug"),
            _ => format!("{as_started},trace"),
        };
        if !reload(filter.into()) {
            tracing::warn!(level, "the log cannot be changed");
        }
    }));
}

/// Sends the log to standard error for a parent that puts it into its own log: without times and colours.
pub fn log_for_parent() {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing::Level::WARN.to_string().into());
    let log = tracing_subscriber::fmt().with_writer(io::stderr).with_env_filter(filter);
    // Somebody else's log is as good.
    let _ = log.with_ansi(false).without_time().with_target(false).try_init();
}

/// Tells what went wrong; the exit code.
fn code(error: &anyhow::Error) -> i32 {
    if error.downcast_ref::<io::Error>().is_some_and(|it| it.kind() == io::ErrorKind::BrokenPipe) {
        return EXIT_PIPE_CLOSED;
    }
    let advised = match error.downcast_ref::<Failure>() {
        Some(failure) => failure,
        None => &advised(error),
    };
    eprintln!("{advised}");
    advised.code
}

fn run(line: Line) -> anyhow::Result<i32> {
    let stop = CancellationToken::new();
    let mut builder = match line.verb.wants_threads() {
        true => tokio::runtime::Builder::new_multi_thread(),
        false => tokio::runtime::Builder::new_current_thread(),
    };
    let context = Context::new(&line.globals, Console::of_process(), stop.clone());
    let runtime = builder.enable_all().build()?;
    let code = runtime.block_on(async {
        if line.verb.stops_in_order() {
            let signals = Signals::listen(line.verb.keeps_others())
                .context("the signals that ask a process to stop cannot be heard")?;
            tokio::spawn(signals.cancel(stop.clone()));
            let stop = stop.clone();
            tokio::spawn(async move {
                tether_ends().await;
                stop.cancel();
            });
        }
        line.verb.run(&line.globals, &context, stop, Line::command).await
    });
    // What is still to be printed is; a read of a file on a disk that hangs keeps no process.
    runtime.shutdown_timeout(END_WAIT);
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::EXIT_ERROR;
    use crate::output::Format;

    fn parse(text: &str) -> Result<Line, clap::Error> {
        Line::try_parse_from(text.split(' '))
    }

    #[test]
    fn the_grammar_is_sound() {
        Line::command().debug_assert();
    }

    #[test]
    fn what_is_said_everywhere_may_stand_anywhere() {
        for text in [
            "holdfast --master h:1 -o json agent list",
            "holdfast agent list --master h:1 -o json",
            "holdfast -o json agent list --master h:1",
        ] {
            let line = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(
                (line.globals.masters(), line.globals.output),
                (vec!["h:1".to_owned()], Format::Json),
                "{text}"
            );
        }
        assert_eq!(
            parse("holdfast task list --master zk://a:1,b:2/m,c:3").unwrap().globals.masters(),
            ["zk://a:1,b:2/m", "c:3"]
        );
        assert_eq!(
            parse("holdfast task list --master a:1,b:2 -q").unwrap().globals.masters(),
            ["a:1", "b:2"]
        );
        assert_eq!(
            parse("holdfast role list --timeout 3s").unwrap().globals.answer_timeout(),
            std::time::Duration::from_secs(3)
        );
    }

    #[test]
    fn an_executor_makes_do_with_one_thread() {
        for (text, threads) in [
            ("holdfast command-executor", false),
            ("holdfast default-executor", false),
            ("holdfast agent list", false),
            ("holdfast master", true),
            ("holdfast agent --master h:1", true),
        ] {
            assert_eq!(parse(text).unwrap().verb.wants_threads(), threads, "{text}");
        }
    }

    #[test]
    fn an_agent_is_run_or_shown() {
        let Verb::Agent(agent) =
            parse("holdfast agent --port 0 --dir /tmp/a --master h:1").unwrap().verb
        else {
            panic!("no agent")
        };
        assert!(agent.verb.is_none() && agent.settings.port == 0);
        let Verb::Agent(agent) = parse("holdfast agent show S0").unwrap().verb else {
            panic!("no agent")
        };
        assert!(agent.verb.is_some());
        assert!(
            parse("holdfast agent --port 1 list").is_err(),
            "what runs an agent does not list agents"
        );
    }

    #[test]
    fn every_verb_of_the_promise_is_there() {
        for text in [
            "agent list",
            "agent show a",
            "disk list",
            "disk show /mnt/d1",
            "disk add --agent a --path /mnt/d1 --type mount --plan",
            "disk adopt /mnt/d1 --path /mnt/d2 --plan",
            "disk remove /mnt/d1 --agent a",
            "claim list --unclaimed",
            "claim show c",
            "reservation create --agent a --role r cpus:1",
            "reservation remove c -y",
            "volume create v --agent a --role r --size 1GiB --plan",
            "volume destroy v --plan",
            "volume undelete v --plan",
            "trash list --role db",
            "trash restore v",
            "trash purge v -y",
            "framework list --watch",
            "framework teardown f -y",
            "task list --live",
            "task logs t -f --only stderr",
            "task kill t",
            "role list",
            "offer list",
            "run --cpus 1 --mem 1GiB -- sh -c true",
            "explain f --resources cpus:1",
            "ledger show --dir d",
            "ledger check --dir d",
            "ledger export --dir d --to f",
            "ledger import --dir d --from f",
            "doctor --disk path=/d",
            "completion bash",
            "completion zsh",
            "completion fish",
            "complete-words -- agent show S",
            "agent show a --watch",
            "claim show c -w -o json",
            "master --port 0",
            "agent",
            "dev",
            "demo",
            "drill --fault kill,pause --target leader,agent --kills 3 --seed 7 --plan",
            "drill --minutes 2 --junit f.xml --cluster d",
            "dev --masters 3 --zk zk://h:1/m --keep-alive",
            "command-executor",
            "default-executor",
            "container-shim /x",
        ] {
            let line = parse(&format!("holdfast {text}"));
            assert!(line.is_ok(), "{text}: {}", line.unwrap_err());
        }
        for wrong in [
            "",
            "agent lst",
            "run sleep",
            "volume create v",
            "task kill",
            "claim list --watch=x",
            "role list -o xml",
            "role list --timeout 5",
            "drill --kills 3 --minutes 2",
            "drill --cluster d --masters 5",
            "drill --fault burn",
        ] {
            assert!(parse(&format!("holdfast {wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_service_has_verbs_for_its_whole_life() {
        for text in [
            "service init canary",
            "service check s.toml",
            "service plan s.toml -o json",
            "service run s.toml --ledger d --listen 127.0.0.1:0 --adopt",
            "service update s.toml --plan",
            "service list --watch",
            "service show s -w",
            "service pods s",
            "service endpoints s --port http",
            "service plans s deploy",
            "service pause s",
            "service resume s update",
            "service retry s node-0:launch --plan deploy",
            "service force-complete s node-0:launch",
            "service restart s node-0",
            "service replace s node-0 -y",
            "service release s node-0 -y",
            "service scale s node 4 --plan",
            "service offers s",
            "service repair s",
            "service backup s",
            "service restore s",
            "service uninstall s -y",
            "service logs s node-0 -f",
        ] {
            let line = parse(&format!("holdfast {text}"));
            assert!(line.is_ok(), "{text}: {}", line.unwrap_err());
        }
        for wrong in ["service", "service run", "service replace s", "service scale s node"] {
            assert!(parse(&format!("holdfast {wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn failures_have_codes_and_help_names_them() {
        assert_eq!(code(&anyhow::anyhow!("x")), EXIT_ERROR);
        assert_eq!(code(&Failure::not_found("x", "y").into()), 3);
        assert_eq!(code(&io::Error::from(io::ErrorKind::BrokenPipe).into()), EXIT_PIPE_CLOSED);
        assert!(Line::command()
            .render_help()
            .to_string()
            .contains("2 accepted but not (all) placed"));
        assert_eq!(main(vec!["holdfast".into(), "nonsense".into()]), EXIT_USAGE);
    }
}
