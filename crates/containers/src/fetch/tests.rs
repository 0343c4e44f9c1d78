//! Fetching into a sandbox that is a plain directory: real files, real archives, a real server.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;

struct Stage {
    dir: tempfile::TempDir,
}

impl Stage {
    fn new() -> Stage {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sandbox")).unwrap();
        Stage { dir }
    }

    fn sandbox(&self) -> PathBuf {
        self.dir.path().join("sandbox")
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.sandbox().join(name)).unwrap()
    }

    /// A file beside the sandbox.
    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_string_lossy().into_owned()
    }

    fn place(
        &self,
        address: &str,
        change: impl FnOnce(&mut FetchSource),
    ) -> Result<(), FetchError> {
        self.place_as(address, address.rsplit('/').next().unwrap(), false, change)
    }

    fn place_as(
        &self,
        address: &str,
        name: &str,
        executable: bool,
        change: impl FnOnce(&mut FetchSource),
    ) -> Result<(), FetchError> {
        let kind = if address.contains("://") { FetchKind::Net } else { FetchKind::File };
        let mut source = FetchSource { address: address.to_string(), kind, sha256: None };
        change(&mut source);
        let (cached, name) = (None, name.to_string());
        let step = FetchStep::Place { source, cached, name, executable, extract: true };
        self.run(vec![step], 0)
    }

    fn run(&self, steps: Vec<FetchStep>, keep_free_bytes: u64) -> Result<(), FetchError> {
        let plan = FetchPlan { steps, result: None, keep_free_bytes, stall_s: 1 };
        run(&plan, &self.sandbox())
    }

    fn tar(&self, fill: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        fill(&mut builder);
        builder.into_inner().unwrap()
    }
}

fn header(kind: tar::EntryType, size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(1_000_000_000);
    header
}

/// Sets a name as it is, which the builder would refuse.
fn named(mut header: tar::Header, name: &str, target: &str) -> tar::Header {
    let gnu = header.as_gnu_mut().unwrap();
    gnu.name[..name.len()].copy_from_slice(name.as_bytes());
    gnu.linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_cksum();
    header
}

fn good_tar(stage: &Stage) -> Vec<u8> {
    stage.tar(|it| {
        it.append(&named(header(tar::EntryType::Directory, 0, 0o555), "./top/", ""), &[][..])
            .unwrap();
        it.append(&named(header(tar::EntryType::Regular, 5, 0o4755), "top/run", ""), &b"hello"[..])
            .unwrap();
        it.append(
            &named(header(tar::EntryType::Symlink, 0, 0o777), "top/link", "../top/run"),
            &[][..],
        )
        .unwrap();
        it.append(&named(header(tar::EntryType::Link, 0, 0o644), "hard", "top/run"), &[][..])
            .unwrap();
    })
}

fn packed(program: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let (stdin, mut writer) = std::io::pipe().unwrap();
    let child = std::process::Command::new(program)
        .arg("-c")
        .stdin(stdin)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .ok()?;
    writer.write_all(bytes).unwrap();
    drop(writer);
    Some(child.wait_with_output().unwrap().stdout)
}

#[test]
fn i1_archives_are_unpacked_by_their_names() {
    let tar = good_tar(&Stage::new());
    for (name, packer) in [
        ("x.tar", None),
        ("x.tar.gz", Some("gzip")),
        ("x.tgz", Some("gzip")),
        ("x.tar.bz2", Some("bzip2")),
        ("x.tar.xz", Some("xz")),
    ] {
        let stage = Stage::new();
        let Some(bytes) = packer.map_or(Some(tar.clone()), |it| packed(it, &tar)) else { continue };
        let archive = stage.file(name, &bytes);
        stage.place(&archive, |_| ()).unwrap();
        assert_eq!(
            (stage.read("top/link"), stage.read("hard")),
            ("hello".into(), "hello".into()),
            "{name}"
        );
        let found = std::fs::metadata(stage.sandbox().join("top/run")).unwrap();
        assert_eq!(
            found.permissions().mode() & 0o7777,
            0o755,
            "the right to become its owner is not unpacked"
        );
        assert_eq!(
            found.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(),
            1_000_000_000
        );
        assert!(stage.sandbox().join(name).is_file(), "the archive itself stays, as in Mesos");
        stage.place(&archive, |_| ()).unwrap();
    }
}

#[test]
fn i1_zip_gzip_and_what_is_no_archive() {
    let stage = Stage::new();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
    zip.start_file("a/b", options).unwrap();
    zip.write_all(b"zipped").unwrap();
    zip.add_symlink("a/link", "b", options).unwrap();
    let archive = stage.file("x.zip", &zip.finish().unwrap().into_inner());
    stage.place(&archive, |_| ()).unwrap();
    assert_eq!(stage.read("a/link"), "zipped");
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(b"plain").unwrap();
    let single = stage.file("log.gz", &packer.finish().unwrap());
    stage.place(&single, |_| ()).unwrap();
    assert_eq!(stage.read("log"), "plain");
    let script = stage.file("run.tar", b"#!/bin/sh\n");
    stage.place_as(&script, "bin/run", true, |_| ()).unwrap();
    let mode = std::fs::metadata(stage.sandbox().join("bin/run")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    let error = stage.place(&script, |_| ()).unwrap_err().to_string();
    assert!(error.starts_with("cannot unpack `run.tar`: "), "{error}");
}

#[test]
fn no_archive_gets_out_of_the_sandbox() {
    use tar::EntryType::{Block, Char, Fifo, Link, Regular, Symlink};
    for (kind, name, target) in [
        (Regular, "../out", ""),
        (Regular, "a/../../out", ""),
        (Regular, "/tmp/holdfast-fetch-out", ""),
        (Symlink, "link", "/etc/passwd"),
        (Symlink, "link", "../out"),
        (Symlink, "a/link", "../../out"),
        (Link, "link", "../secret"),
        (Link, "link", "/etc/passwd"),
        (Char, "null", ""),
        (Block, "disk", ""),
        (Fifo, "pipe", ""),
    ] {
        let stage = Stage::new();
        stage.file("secret", b"secret");
        let bytes = stage
            .tar(|it| it.append(&named(header(kind, 0, 0o644), name, target), &[][..]).unwrap());
        let archive = stage.file("x.tar", &bytes);
        let error = stage.place(&archive, |_| ()).unwrap_err();
        assert!(matches!(error, FetchError::Archive { .. }), "{name} {target}: {error}");
        assert!(!stage.dir.path().join("out").exists(), "{name} {target}");
        assert!(!stage.sandbox().join("link").exists(), "{name} {target}");
    }
}

#[test]
fn links_that_are_in_the_way_are_not_followed() {
    let stage = Stage::new();
    let outside = stage.file("outside", b"kept");
    std::os::unix::fs::symlink(&outside, stage.sandbox().join("file")).unwrap();
    std::os::unix::fs::symlink(stage.dir.path(), stage.sandbox().join("up")).unwrap();
    let source = stage.file("source", b"new");
    stage.place_as(&source, "file", false, |_| ()).unwrap();
    assert_eq!(
        (stage.read("file").as_str(), std::fs::read_to_string(&outside).unwrap().as_str()),
        ("new", "kept")
    );
    stage.place_as(&source, "up/outside", false, |_| ()).unwrap_err();
    let bytes = stage.tar(|it| {
        it.append(&named(header(tar::EntryType::Symlink, 0, 0o777), "down", "."), &[][..]).unwrap();
        it.append(&named(header(tar::EntryType::Regular, 1, 0o644), "down/x", ""), &b"x"[..])
            .unwrap();
    });
    let archive = stage.file("x.tar", &bytes);
    stage.place(&archive, |_| ()).unwrap_err();
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "kept");
}

#[test]
fn room_is_left_and_a_size_is_kept_to() {
    let stage = Stage::new();
    let bomb = stage.file("bomb.gz", &{
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        for _ in 0..64 {
            packer.write_all(&[0; 1 << 20]).unwrap();
        }
        packer.finish().unwrap()
    });
    let source = FetchSource { address: bomb, kind: FetchKind::File, sha256: None };
    let place = FetchStep::Place {
        source: source.clone(),
        cached: None,
        name: "bomb.gz".into(),
        executable: false,
        extract: true,
    };
    let found = rustix::fs::statvfs(stage.dir.path()).unwrap();
    // All but a little is to stay free.
    let keep = (found.f_bavail * found.f_frsize).saturating_sub(16 << 20);
    let error = stage.run(vec![place], keep).unwrap_err().to_string();
    assert!(error.contains("no room left"), "{error}");
    let into = "download".to_string();
    let error =
        stage.run(vec![FetchStep::Download { source, into, max_bytes: 10 }], 0).unwrap_err();
    assert!(error.to_string().contains("longer than its source said"), "{error}");
}

#[test]
fn a_checksum_is_compared_and_a_size_is_known() {
    let stage = Stage::new();
    let address = stage.file("x", b"abc");
    let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    stage.place(&address, |it| it.sha256 = Some(sum.to_uppercase())).unwrap();
    let error = stage.place(&address, |it| it.sha256 = Some("0".repeat(64))).unwrap_err();
    assert!(error.to_string().contains(&format!("its SHA-256 is {sum}")), "{error}");
    let source = FetchSource { address, kind: FetchKind::File, sha256: None };
    stage.run(vec![FetchStep::Size { source, into: "size".into() }], 0).unwrap();
    assert_eq!(stage.read("size"), "3");
}

/// A server that answers each request with what `answer` says of its first line; `None` says nothing
/// and keeps the connection.
fn server(answer: impl Fn(&str) -> Option<String> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines =
                BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            for line in lines {
                if line.is_empty() {
                    break;
                }
            }
            match answer(&first) {
                Some(text) => drop(stream.write_all(text.as_bytes())),
                None => kept.push(stream),
            }
        }
    });
    format!("http://{address}")
}

#[test]
fn i3_http_is_fetched_by_way_of_redirects_and_what_stalls_is_cut() {
    let stage = Stage::new();
    let url = server(|line| {
        Some(match line.split(' ').nth(1).unwrap_or_default() {
            "/old" => "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_string(),
            "/x" if line.starts_with("HEAD") => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n".to_string(),
            "/x" => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello".to_string(),
            "/hangs" => return None,
            _ => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_string(),
        })
    });
    stage.place_as(&format!("{url}/old"), "x", false, |_| ()).unwrap();
    assert_eq!(stage.read("x"), "hello");
    let source = FetchSource { address: format!("{url}/old"), kind: FetchKind::Net, sha256: None };
    stage.run(vec![FetchStep::Size { source, into: "size".into() }], 0).unwrap();
    assert_eq!(stage.read("size"), "5");
    let error = stage.place(&format!("{url}/none?token=secret"), |_| ()).unwrap_err().to_string();
    assert!(
        error.contains("/none: curl: ") && error.contains("404") && !error.contains("secret"),
        "{error}"
    );
    let error = stage.place(&format!("{url}/hangs"), |_| ()).unwrap_err().to_string();
    assert!(error.contains("curl: "), "{error}");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    stage.place(&format!("http://{nobody}/x"), |_| ()).unwrap_err();
}
