//! `completion`: what a shell needs to complete our verbs and flags.

use clap_complete::{generate, Shell};

use super::Context;

/// For which shell.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct CompletionArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: CompletedShell,
}

/// Shells that are completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum CompletedShell {
    /// `source <(holdfast completion bash)`
    Bash,
    /// `holdfast completion zsh > "${fpath[1]}/_holdfast"`
    Zsh,
    /// `holdfast completion fish > ~/.config/fish/completions/holdfast.fish`
    Fish,
}

/// Runs the verb.
///
/// # Errors
/// When nobody reads it.
pub fn run(context: &Context, args: CompletionArgs, mut command: clap::Command) -> anyhow::Result<i32> {
    let shell = match args.shell {
        CompletedShell::Bash => Shell::Bash,
        CompletedShell::Zsh => Shell::Zsh,
        CompletedShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    generate(shell, &mut command, "holdfast", &mut script);
    context.console.put_bytes(&script)?;
    Ok(0)
}
