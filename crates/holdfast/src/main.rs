//! The process's entrance. The keeper of a container must begin before there is any other thread.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    let code = match (arguments.get(1).and_then(|it| it.to_str()), arguments.get(2)) {
        (Some("container-shim"), Some(directory)) => {
            holdfast_node::container_shim::main(Path::new(directory))
        }
        _ => holdfast_cli::main(arguments),
    };
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
