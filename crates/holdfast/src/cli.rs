//! The command line: what is typed, and which verb it means.

pub mod durations;
pub mod settings_agent;
pub mod settings_demo;
pub mod settings_dev;
pub mod settings_master;

use std::ffi::OsString;

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, EXIT_CODES, EXIT_ERROR};

/// Everything that can be typed.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, about = "A cluster scheduler for services that own disks.", after_help = EXIT_CODES)]
struct Line {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a master.
    Master(settings_master::MasterSettings),
    /// Run an agent.
    Agent(settings_agent::AgentSettings),
    /// Run a whole cluster on this machine until Ctrl-C.
    Dev(settings_dev::DevSettings),
    /// Show what this is for: a service, its volumes, and five kinds of kill -9.
    Demo(settings_demo::DemoSettings),
    #[command(hide = true)]
    CommandExecutor,
    #[command(hide = true)]
    DefaultExecutor,
}

/// Runs what was typed; returns the exit code.
pub fn main(arguments: Vec<OsString>) -> i32 {
    let line = match Line::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) => {
            // Help is no failure; a broken pipe while printing it neither.
            let _ = error.print();
            return if error.use_stderr() { 64 } else { 0 };
        }
    };
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into())).init();
    match run(line) {
        Ok(code) => code,
        Err(error) => match error.downcast::<Failure>() {
            Ok(failure) => {
                eprintln!("{failure}");
                failure.code
            }
            Err(error) => {
                eprintln!("error: {error:#}");
                EXIT_ERROR
            }
        },
    }
}

fn run(line: Line) -> anyhow::Result<i32> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(crate::signals::stop_on_signal(stop.clone()));
        match line.verb {
            Verb::Master(settings) => crate::master_process::run(settings, stop).await.map(|()| 0),
            Verb::Agent(settings) => crate::agent_process::run(settings, stop).await.map(|()| 0),
            Verb::Dev(settings) => crate::dev::run(settings, stop).await.map(|()| 0),
            Verb::Demo(settings) => crate::demo::run(settings, stop).await,
            Verb::CommandExecutor => crate::executor_process::run_command_executor().await,
            Verb::DefaultExecutor => crate::executor_process::run_default_executor().await,
        }
    })
}
