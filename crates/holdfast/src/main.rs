//! The process's entrance. The keeper of a container and the helper of a disk must begin before there is any other thread.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    let code = match (arguments.get(1).and_then(|it| it.to_str()), arguments.get(2)) {
        (Some("container-shim"), Some(directory)) => {
            holdfast_node::container_shim::main(Path::new(directory))
        }
        (Some("disk-worker"), None) => {
            holdfast_cli::log_for_parent();
            holdfast_node::disk_worker::main()
        }
        (Some("fetch-worker"), None) => holdfast_node::fetch_worker::main(),
        _ => holdfast_cli::main(arguments),
    };
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
