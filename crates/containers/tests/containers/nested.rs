//! Containers inside others: what they see, whom they die with, and how one speaks with them.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use holdfast_containers::{
    AttachError, Attachment, Command, ContainerSpec, FoundState, Inside, LaunchError, Piece,
    WindowSize,
};

use crate::stage::{at, both, isolated, kill_9, new_id, until, Stage};

/// A shell line inside `around`, as a session or with a sandbox of its own.
fn inside(stage: &Stage, around: &ContainerSpec, line: &str, is_session: bool) -> ContainerSpec {
    let id = new_id();
    let beneath =
        around.inside.as_ref().map_or_else(|| around.sandbox.clone(), |it| it.beneath.clone());
    let sandbox = match is_session {
        true => around.sandbox.clone(),
        false => {
            let own = around.sandbox.strip_prefix(&beneath).unwrap().join("containers").join(&id);
            stage.launcher().make_sandbox_beneath(&beneath, &own, None).unwrap()
        }
    };
    let around = around.id.clone();
    let inside = Inside {
        container: around.clone(),
        names: vec![around, "inner".into()],
        beneath,
        is_session,
        terminal: None,
    };
    ContainerSpec {
        id,
        command: Command::Shell(line.into()),
        sandbox,
        inside: Some(inside),
        ..stage.spec("true")
    }
}

fn running(stage: &Stage, line: &str, volumes: &[(PathBuf, &str)]) -> ContainerSpec {
    let mut spec = stage.spec(line);
    spec.volumes = volumes.iter().map(|(source, path)| at(source, path)).collect();
    stage.launcher().start(&spec).unwrap();
    spec
}

/// All that is heard until the end, by stream.
fn heard(mut stream: UnixStream) -> (String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut head = [0; 5];
    while stream.read_exact(&mut head).is_ok() {
        let (piece, length) = Piece::of_head(head).unwrap();
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).unwrap();
        match piece {
            Piece::Stdout => out.extend(bytes),
            Piece::Stderr => err.extend(bytes),
            other => panic!("{other:?}"),
        }
    }
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

fn say(stream: &mut UnixStream, piece: Piece, bytes: &[u8]) {
    stream.write_all(&piece.head(bytes.len())).unwrap();
    stream.write_all(bytes).unwrap();
}

fn printed(spec: &ContainerSpec) -> String {
    fs::read_to_string(spec.sandbox.join("stdout")).unwrap_or_default()
}

#[test]
fn it_sees_what_the_one_around_it_sees_and_has_a_sandbox_of_its_own() {
    isolated(|stage| {
        let volume = stage.volume("v");
        let outer = running(stage, "sleep 1000 & echo $! > pid; wait", &[(volume, "data")]);
        until("the outer payload", || outer.sandbox.join("pid").exists());
        let line = "pwd; cat ../../data/kept; kill -0 $(cat ../../pid) && echo ' sees it'; cat /proc/self/cgroup";
        let inner = inside(stage, &outer, line, false);
        stage.launcher().start(&inner).unwrap();
        assert!(stage.launcher().wait(&inner.id).unwrap().succeeded());
        let text = printed(&inner);
        let expected = format!("{}\nv sees it\n", inner.sandbox.display());
        assert!(text.starts_with(&expected), "{text}");
        assert!(text.contains(&outer.id), "its limits are those of the one around it: {text}");
        assert_eq!(stage.launcher().inside(&inner.id).unwrap().names[1], "inner");
        assert!(stage.launcher().inside(&outer.id).is_none());
    });
}

#[test]
fn what_it_leaves_behind_dies_before_it_has_ended() {
    isolated(|stage| {
        let outer = running(stage, "exec sleep 1000", &[]);
        let line = "env -i setsid sleep 1000.77123 &";
        let inner = inside(stage, &outer, line, false);
        stage.launcher().start(&inner).unwrap();
        assert!(stage.launcher().wait(&inner.id).unwrap().succeeded());
        assert!(
            !carries("sleep\x001000.77123\0"),
            "it has no mark in its environment and is found all the same"
        );
        assert!(matches!(stage.state(&outer.id), Some(FoundState::Running { .. })));
        stage.launcher().forget(&inner.id).unwrap();
    });
}

/// Whether a process runs that was started by these words.
fn carries(words: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut lines = processes.filter_map(|it| fs::read(it.path().join("cmdline")).ok());
    lines.any(|it| it == words.as_bytes())
}

#[test]
fn everything_in_a_container_ends_before_it_has_ended() {
    isolated(|stage| {
        let outer = running(stage, "exec sleep 1000", &[]);
        let inner = inside(stage, &outer, "exec sleep 1000.88123", false);
        stage.launcher().start(&inner).unwrap();
        let deeper = inside(stage, &inner, "exec sleep 1000.88124", false);
        stage.launcher().start(&deeper).unwrap();
        until("both run", || carries("sleep\x001000.88123\0") && carries("sleep\x001000.88124\0"));
        stage.launcher().destroy(&outer.id).unwrap();
        assert!(!carries("sleep\x001000.88123\0") && !carries("sleep\x001000.88124\0"));
        for id in [&inner.id, &deeper.id] {
            assert_eq!(stage.launcher().wait(id).unwrap().signal, Some(9));
        }
        let late = inside(stage, &outer, "true", true);
        let refused = stage.launcher().start(&late).unwrap_err();
        assert!(matches!(&refused, LaunchError::InvalidField { field, .. } if field == "inside"));
        for id in [&deeper.id, &inner.id, &outer.id] {
            stage.launcher().forget(id).unwrap();
        }
        assert_eq!(stage.cgroups(), [] as [PathBuf; 0]);
    });
}

#[test]
fn one_inside_another_that_is_inside_ends_with_it_alone() {
    isolated(|stage| {
        let outer = running(stage, "exec sleep 1000", &[]);
        let inner = inside(stage, &outer, "exec sleep 1000", false);
        stage.launcher().start(&inner).unwrap();
        let deeper = inside(stage, &inner, "exec sleep 1000", false);
        stage.launcher().start(&deeper).unwrap();
        stage.launcher().destroy(&inner.id).unwrap();
        assert_eq!(stage.launcher().wait(&deeper.id).unwrap().signal, Some(9));
        assert!(matches!(stage.state(&outer.id), Some(FoundState::Running { .. })));
    });
}

#[test]
fn it_lives_on_without_its_agent_and_a_killed_keeper_takes_it_along() {
    isolated(|stage| {
        let outer = running(stage, "exec sleep 1000", &[]);
        let inner = inside(stage, &outer, "echo up; exec sleep 1000.99123", false);
        stage.launcher().start(&inner).unwrap();
        until("it runs", || printed(&inner).contains("up"));
        stage.restart();
        let found = stage.launcher().recover().unwrap();
        let state = |id: &str| found.iter().find(|it| it.id == id).unwrap().state.clone();
        assert!(matches!(state(&inner.id), FoundState::Running { .. }));
        kill_9(stage.shim_pid(&inner.id));
        assert!(stage.launcher().wait(&inner.id).is_err(), "lost, and empty");
        assert!(!carries("sleep\x001000.99123\0"));
        assert!(matches!(stage.state(&outer.id), Some(FoundState::Running { .. })));
    });
}

#[test]
fn a_session_hears_all_and_its_input_comes_to_its_end() {
    isolated(|stage| {
        let outer = running(stage, "exec sleep 1000", &[]);
        let mut inner = inside(stage, &outer, "echo oops >&2; wc -c; exit 3", true);
        inner.environment.insert("A".into(), "b".into());
        stage.launcher().start(&inner).unwrap();
        let session = stage.launcher().attach(&inner.id, Attachment::Session).unwrap();
        let taken = stage.launcher().attach(&inner.id, Attachment::Session).unwrap_err();
        assert!(matches!(taken, AttachError::Taken { .. }), "{taken}");
        let mut input = stage.launcher().attach(&inner.id, Attachment::Input).unwrap();
        let second = stage.launcher().attach(&inner.id, Attachment::Input).unwrap_err();
        assert!(matches!(second, AttachError::Taken { .. }), "{second}");
        for _ in 0..50 {
            say(&mut input, Piece::Stdin, &[b'x'; 20_000]);
        }
        say(&mut input, Piece::Stdin, b"");
        assert_eq!(heard(session), ("1000000\n".to_owned(), "oops\n".to_owned()));
        assert_eq!(stage.launcher().wait(&inner.id).unwrap().code, Some(3));
    });
}

#[test]
fn much_output_of_a_short_session_is_heard_to_its_end() {
    isolated(|stage| {
        let outer = running(stage, "exec sleep 1000", &[]);
        let inner = inside(stage, &outer, "head -c 3000000 /dev/zero | tr '\\0' x", true);
        stage.launcher().start(&inner).unwrap();
        let session = stage.launcher().attach(&inner.id, Attachment::Session).unwrap();
        assert_eq!(heard(session).0.len(), 3_000_000);
    });
}

#[test]
fn a_session_that_goes_away_takes_its_container_along() {
    isolated(|stage| {
        let outer = running(stage, "exec sleep 1000", &[]);
        let inner = inside(stage, &outer, "sleep 1000.66123 & yes", true);
        stage.launcher().start(&inner).unwrap();
        let session = stage.launcher().attach(&inner.id, Attachment::Session).unwrap();
        until("it runs", || carries("sleep\x001000.66123\0"));
        drop(session);
        assert_eq!(stage.launcher().wait(&inner.id).unwrap().signal, Some(9));
        assert!(!carries("sleep\x001000.66123\0"));
    });
}

#[test]
fn a_terminal_has_a_size_that_changes() {
    isolated(|stage| {
        let outer = running(stage, "exec sleep 1000", &[]);
        let line = "stty size; tty; read line; stty size; echo \"got $line\"; exit 5";
        let mut inner = inside(stage, &outer, line, true);
        let size = WindowSize { rows: 31, columns: 97 };
        inner.inside.as_mut().unwrap().terminal = Some(size);
        stage.launcher().start(&inner).unwrap();
        let session = stage.launcher().attach(&inner.id, Attachment::Session).unwrap();
        let mut input = stage.launcher().attach(&inner.id, Attachment::Input).unwrap();
        say(&mut input, Piece::Window, &WindowSize { rows: 12, columns: 34 }.bytes());
        say(&mut input, Piece::Stdin, b"word\n");
        let (text, _) = heard(session);
        assert!(text.contains("/dev/pts/"), "{text}");
        assert!(text.contains("12 34\r\ngot word\r\n"), "{text}");
        assert_eq!(stage.launcher().wait(&inner.id).unwrap().code, Some(5));
    });
}

#[test]
fn without_a_session_output_goes_to_files_and_to_those_who_listen() {
    isolated(|stage| {
        let outer = running(stage, "exec sleep 1000", &[]);
        let line = "echo first; until [ -e go ]; do sleep 0.01; done; echo second";
        let inner = inside(stage, &outer, line, false);
        stage.launcher().start(&inner).unwrap();
        until("it prints", || printed(&inner).contains("first"));
        let nothing = stage.launcher().attach(&inner.id, Attachment::Input).unwrap_err();
        assert!(matches!(nothing, AttachError::Nothing { .. }), "{nothing}");
        let listener = stage.launcher().attach(&inner.id, Attachment::Output).unwrap();
        fs::write(inner.sandbox.join("go"), "").unwrap();
        assert_eq!(heard(listener).0, "second\n");
        stage.launcher().wait(&inner.id).unwrap();
        assert_eq!(printed(&inner), "first\nsecond\n");
        let gone = stage.launcher().attach(&inner.id, Attachment::Output).unwrap_err();
        assert!(matches!(gone, AttachError::NotRunning { .. }), "{gone}");
    });
}

#[test]
fn a_link_in_the_way_of_its_sandbox_is_followed_nowhere() {
    both(|stage| {
        let outer = running(stage, "exec sleep 1000", &[]);
        let elsewhere = stage.dir.path().join("elsewhere");
        fs::create_dir_all(elsewhere.join("x")).unwrap();
        std::os::unix::fs::symlink(&elsewhere, outer.sandbox.join("containers")).unwrap();
        let own = Path::new("containers/x");
        assert!(stage.launcher().make_sandbox_beneath(&outer.sandbox, own, None).is_err());
        assert!(stage.launcher().remove_sandbox_beneath(&outer.sandbox, own).is_err());
        assert!(elsewhere.join("x").exists());
    });
}

#[test]
fn where_nothing_keeps_containers_apart_none_goes_inside_another() {
    both(|stage| {
        if stage.isolate {
            return;
        }
        let outer = running(stage, "exec sleep 1000", &[]);
        let inner = inside(stage, &outer, "true", true);
        let refused = stage.launcher().start(&inner).unwrap_err().to_string();
        assert!(refused.contains("namespaces"), "{refused}");
    });
}
