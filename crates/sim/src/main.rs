//! `holdfast-sim`: storms over the simulated cluster. What it can do is in the library; this reads
//! the words and exits.

fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    holdfast_sim::cli::run(&words)
}
