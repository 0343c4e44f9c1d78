//! Turns every `.proto` file under `/proto` into Rust: messages, gRPC clients and servers, the JSON mapping, and the tables
//! that know which fields are required.
//!
//! Relies on protox (no system `protoc`), prost-build and tonic-prost-build. Never names a file or a message: adding a
//! `.proto` file needs no edit here.

mod attributes;
mod oneofs;
mod rust_path;
mod schema;
mod shapes;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message as _;
use prost_types::FileDescriptorSet;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    println!("cargo:rerun-if-changed=build");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);

    let mut files = Vec::new();
    find_protos(&root, &mut files)?;
    files.sort();
    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_imports(true).include_source_info(true).open_files(files)?;
    let set = compiler.file_descriptor_set();
    fs::write(out.join("descriptors.bin"), without_comments(&set).encode_to_vec())?;

    let schema = schema::Schema::of(&set);
    let mut config = prost_build::Config::new();
    config
        .btree_map(["."])
        .prost_path("crate::whole_maps")
        .enable_type_names()
        .compile_well_known_types();
    let mut json = attributes::write(&schema, &mut config);
    json.push_str(&oneofs::write(&schema));
    fs::write(out.join("json_glue.rs"), json)?;
    fs::write(out.join("shapes.rs"), shapes::write(&schema))?;

    tonic_prost_build::configure()
        .codec_path("crate::rpc::CheckedCodec")
        .compile_well_known_types(true)
        // Its `Client::connect` would clash with our method of that name; `wire` builds channels itself.
        .build_transport(false)
        .include_file("all.rs")
        .emit_rerun_if_changed(false)
        .compile_fds_with_config(set, config)?;
    oneofs::take_derives_away(&out)?;
    Ok(())
}

/// Collects the `.proto` files below `dir`; a missing directory holds none.
fn find_protos(dir: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !dir.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            find_protos(&path, found)?;
        } else if path.extension().is_some_and(|ext| ext == "proto") {
            found.push(path);
        }
    }
    Ok(())
}

/// What other programs may ask for at run time does not carry our comments.
fn without_comments(set: &FileDescriptorSet) -> FileDescriptorSet {
    let mut bare = set.clone();
    for file in &mut bare.file {
        file.source_code_info = None;
    }
    bare
}
