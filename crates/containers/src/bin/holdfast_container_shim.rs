//! The shim as a program of its own: `holdfast-container-shim DIR`.
//!
//! It relies on `holdfast_containers::shim_main` for everything and never does anything before it,
//! so that the process is still single-threaded and owns no files when the shim takes over.

fn main() {
    let code = match std::env::args_os().nth(1) {
        Some(dir) => holdfast_containers::shim_main(std::path::Path::new(&dir)),
        None => {
            eprintln!("no directory given: this program is started by an agent's launcher, as `holdfast-container-shim DIR`");
            64
        }
    };
    std::process::exit(code);
}
