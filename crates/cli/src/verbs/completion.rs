//! `completion`: what a shell needs to complete our verbs and flags, and what is alive in the cluster.
//!
//! The grammar comes from clap. Behind it each script asks `holdfast complete-words` what else the word could be, so that ids are those of this
//! moment. (clap's own way to ask, `CompleteEnv`, is a feature that it calls unstable.)

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

/// Runs the grammar's function, then adds what lives.
const BASH: &str = r#"
_holdfast_live() {
    _holdfast "$@"
    local line
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <(holdfast complete-words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _holdfast_live -o bashdefault -o default holdfast
"#;

/// The same for zsh; it must be known before the last lines of the grammar's script, which are made to call it.
const ZSH: &str = r#"
_holdfast_live() {
    local -a live
    live=(${(f)"$(holdfast complete-words -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    (( $#live )) && compadd -a live
    _holdfast "$@"
}
"#;

/// The same for fish.
const FISH: &str = r#"
complete -c holdfast -a '(holdfast complete-words -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
"#;

/// Runs the verb.
///
/// # Errors
/// When nobody reads it.
pub fn run(context: &Context, args: CompletionArgs, command: clap::Command) -> anyhow::Result<i32> {
    context.console.put(&script(args.shell, command))?;
    Ok(0)
}

fn script(shell: CompletedShell, mut command: clap::Command) -> String {
    let mut grammar = |shell: Shell| {
        let mut script = Vec::new();
        generate(shell, &mut command, "holdfast", &mut script);
        String::from_utf8_lossy(&script).into_owned()
    };
    match shell {
        CompletedShell::Bash => grammar(Shell::Bash) + BASH,
        CompletedShell::Fish => grammar(Shell::Fish) + FISH,
        CompletedShell::Zsh => with_zsh(&grammar(Shell::Zsh)),
    }
}

/// The script whose last lines, which begin the completion, begin ours.
fn with_zsh(grammar: &str) -> String {
    let at = grammar.rfind("\nif [ \"$funcstack[1]\" = \"_holdfast\" ]").unwrap_or(grammar.len());
    let (head, end) = grammar.split_at(at);
    let end = end
        .replace("    _holdfast \"$@\"", "    _holdfast_live \"$@\"")
        .replace("compdef _holdfast holdfast", "compdef _holdfast_live holdfast");
    format!("{head}{ZSH}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nouns::Verb;
    use clap::{CommandFactory, Parser};

    #[derive(Parser)]
    #[command(name = "holdfast")]
    struct Line {
        #[command(subcommand)]
        _verb: Verb,
    }

    #[test]
    fn every_script_asks_for_what_lives() {
        for shell in [CompletedShell::Bash, CompletedShell::Zsh, CompletedShell::Fish] {
            let script = script(shell, Line::command());
            assert_eq!(script.matches("holdfast complete-words -- ").count(), 1, "{shell:?}");
        }
        let zsh = script(CompletedShell::Zsh, Line::command());
        let end = zsh.split(ZSH).nth(1).unwrap();
        assert!(
            end.contains("    _holdfast_live \"$@\"")
                && end.contains("compdef _holdfast_live holdfast"),
            "{end}"
        );
    }

    #[test]
    fn bash_takes_the_script_and_offers_what_was_answered() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("script");
        std::fs::write(&file, script(CompletedShell::Bash, Line::command())).unwrap();
        let typed = |words: &str| {
            // Stands for the program: tells what it was asked, one word a line.
            let text = format!(
                "holdfast() {{ [ \"$1 $2\" = 'complete-words --' ] && shift 2 && printf '<%s>\\n' \"$*\"; }}\n\
                 source {}\nCOMP_WORDS=({words})\nCOMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))\n\
                 _holdfast_live holdfast \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
                file.display()
            );
            let output = std::process::Command::new("bash").args(["-c", &text]).output().unwrap();
            assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        assert!(typed("holdfast agent show S").ends_with("<agent show S>\n"));
        assert!(typed("holdfast agent show ''").ends_with("<agent show >\n"));
        let verbs = typed("holdfast cl");
        assert!(verbs.starts_with("claim\n"), "the grammar is there, too: {verbs}");
    }
}
