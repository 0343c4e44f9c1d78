//! Who calls whom inside a pure crate: files that call each other in a circle are one file in many pieces.
//!
//! Relies on names as they are written ([`index`] says how a call finds its function). Never sees a call through a trait object or a
//! function value that is not imported; what it takes for a call and is none stands in [`FALSE_CALLS`].

mod index;

use std::collections::{BTreeMap, BTreeSet};

use self::index::Index;
use super::house::{House, Kind, Package};
use super::items::Items;
use super::limits;
use super::purity::PURE;
use super::Complaint;

/// Something that looks like a call.
struct FalseCall {
    /// The crate and file that seems to call, as the picture shows it.
    caller: (&'static str, &'static str),
    /// The file that seems to be called.
    called: &'static str,
    name: &'static str,
    /// What it really is.
    why: &'static str,
}

/// What the measure takes for a call by its name alone. An entry that nothing needs any more is refused.
const FALSE_CALLS: &[FalseCall] = &[FalseCall {
    caller: ("model", "shared_map"),
    called: "resources",
    name: "entries",
    why: "the standard library's `DebugMap::entries`",
}];

/// How a README asks for the picture of a crate: the next fenced block is kept equal to what `--calls` prints.
const MARK: &str = "<!-- calls: ";

/// The files of a crate, each with those that it calls and the names by which it does.
type Graph = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// No pure crate has a circle of too many files, and the pictures in the READMEs are true.
pub fn check(house: &House) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for package in &house.packages {
        if package.kind == Kind::Crate && PURE.contains(&package.name.as_str()) {
            let (graph, unused) = graph(package);
            complaints.extend(too_large(package, &graph));
            complaints.extend(unused.into_iter().map(|call| {
                let (name, says) = (&package.name, "is not needed any more; take it out");
                let at = format!(
                    "FALSE_CALLS: {name}/{} `{}` {says} ({})",
                    call.caller.1, call.name, call.why
                );
                Complaint::at("crates/xtask/src/tidy/calls.rs", 0, at)
            }));
        }
    }
    complaints
        .extend(house.texts.iter().flat_map(|(path, text)| false_pictures(house, path, text)));
    complaints
}

fn too_large(package: &Package, graph: &Graph) -> Vec<Complaint> {
    let most = limits::of(&package.name).cycle_files;
    let circles = groups(graph).into_iter().filter(|group| most < group.len());
    let says = circles.map(|circle| {
        format!(
            "{} files call each other in a circle, the limit is {most}; let calls go one way (cargo xtask tidy --calls {}): {}",
            circle.len(),
            package.name,
            circle.join(", ")
        )
    });
    says.map(|says| Complaint::at(&format!("{}/src", package.folder), 0, says)).collect()
}

/// The picture of a crate: each file with those that it calls, callers first; a circle of files is announced.
pub fn picture(house: &House, name: &str) -> Option<String> {
    let package = house.packages.iter().find(|it| it.kind == Kind::Crate && it.name == name)?;
    let (graph, _) = graph(package);
    let wide = graph.keys().map(String::len).max().unwrap_or(0);
    let mut text = String::new();
    for group in groups(&graph) {
        if 1 < group.len() {
            text.push_str(&format!("# the next {} call each other in a circle\n", group.len()));
        }
        for file in group.iter().filter(|file| is_related(&graph, file)) {
            let called: Vec<&str> = graph[file].keys().map(String::as_str).collect();
            text.push_str(&drawn(file, wide, &called));
        }
    }
    Some(text)
}

/// Whether a file calls another or is called by one; plain data are in no picture.
fn is_related(graph: &Graph, file: &str) -> bool {
    !graph[file].is_empty() || graph.values().any(|called| called.contains_key(file))
}

/// One file of a picture, its line broken where it gets long.
fn drawn(file: &str, wide: usize, called: &[&str]) -> String {
    let mut lines = vec![format!("{file:<wide$} ->")];
    for (at, name) in called.iter().enumerate() {
        let comma = if at + 1 < called.len() { "," } else { "" };
        if 100 < lines.last().map_or(0, String::len) + name.len() + 2 {
            lines.push(" ".repeat(wide + 3));
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(&format!(" {name}{comma}"));
        }
    }
    lines.join("\n").trim_end_matches(" ->").trim_end().to_owned() + "\n"
}

fn false_pictures(house: &House, path: &str, text: &str) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let lines: Vec<&str> = if path.ends_with(".md") { text.lines().collect() } else { Vec::new() };
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = line.strip_prefix(MARK).and_then(|it| it.strip_suffix(" -->")) else {
            continue;
        };
        let block = lines[at + 1..].iter().skip_while(|it| !it.starts_with("```")).skip(1);
        let shown: String =
            block.take_while(|it| !it.starts_with("```")).map(|it| format!("{it}\n")).collect();
        if picture(house, name).is_none_or(|picture| picture != shown) {
            let says = format!("the picture is not true any more; put there what `cargo xtask tidy --calls {name}` prints");
            complaints.push(Complaint::at(path, at + 1, says));
        }
    }
    complaints
}

/// Who calls whom, and the false calls of this crate that were not met.
fn graph(package: &Package) -> (Graph, Vec<&'static FalseCall>) {
    let source = format!("{}/src/", package.folder);
    let shipped = package.sources.iter().filter(|it| {
        !it.standing.test
            && !it.standing.outside
            && !it.standing.net
            && it.path.starts_with(&source)
    });
    let files: BTreeMap<String, &Items> =
        shipped.map(|it| (short(&it.path[source.len()..]), &it.items)).collect();
    let index = Index::of(&files);
    let mut graph = Graph::new();
    let mut unused: Vec<&FalseCall> =
        FALSE_CALLS.iter().filter(|it| it.caller.0 == package.name).collect();
    for (file, items) in &files {
        let called = graph.entry(file.clone()).or_default();
        for (name, other) in items.bodies.iter().flat_map(|body| index.calls(file, items, body)) {
            let is_it =
                |it: &FalseCall| it.caller.1 == file && it.name == name && it.called == other;
            let is_false = FALSE_CALLS.iter().any(|it| it.caller.0 == package.name && is_it(it));
            unused.retain(|it| !is_it(it));
            if !is_false {
                called.entry(other.to_owned()).or_default().insert(name);
            }
        }
    }
    (graph, unused)
}

/// A file as pictures show it: `resource/read`; `rules` for `rules/mod.rs`.
fn short(path: &str) -> String {
    path.trim_end_matches(".rs").trim_end_matches("/mod").to_owned()
}

/// Files in groups that call each other (most are alone), callers first: Tarjan's search.
fn groups(graph: &Graph) -> Vec<Vec<String>> {
    let mut search = Search { graph, met: BTreeMap::new(), stack: Vec::new(), groups: Vec::new() };
    for file in graph.keys() {
        search.visit(file);
    }
    search.groups.reverse();
    search.groups
}

struct Search<'a> {
    graph: &'a Graph,
    /// When a file was met, for as long as its group is not whole; then the largest number.
    met: BTreeMap<&'a str, usize>,
    stack: Vec<&'a str>,
    groups: Vec<Vec<String>>,
}

impl<'a> Search<'a> {
    /// The earliest file still without a group that this one leads back to.
    fn visit(&mut self, file: &'a str) -> usize {
        if let Some(met) = self.met.get(file) {
            return *met;
        }
        let own = self.met.len();
        self.met.insert(file, own);
        self.stack.push(file);
        let mut earliest = own;
        for called in self.graph.get(file).into_iter().flat_map(BTreeMap::keys) {
            earliest = earliest.min(self.visit(called));
        }
        if earliest == own {
            let start = self.stack.iter().position(|it| *it == file).unwrap_or(0);
            let mut group: Vec<String> = Vec::new();
            for member in self.stack.split_off(start) {
                self.met.insert(member, usize::MAX);
                group.push(member.to_owned());
            }
            group.sort();
            self.groups.push(group);
        }
        earliest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house(files: &[(&str, &str)]) -> House {
        let manifest = ("crates/master/Cargo.toml", "[package]\nname = \"holdfast-master\"");
        let paths: Vec<(String, &str)> = files
            .iter()
            .map(|(file, text)| (format!("crates/master/src/{file}.rs"), *text))
            .collect();
        let mut all = vec![manifest];
        all.extend(paths.iter().map(|(path, text)| (path.as_str(), *text)));
        House::of(&all)
    }

    fn called(files: &[(&str, &str)], from: &str) -> Vec<String> {
        let house = house(files);
        graph(&house.packages[0]).0[from].keys().cloned().collect()
    }

    const LIB: (&str, &str) = (
        "lib",
        "mod a; mod b; mod c; mod d;\npub struct M { offers: Offers, map: BTreeMap<u8, Offers> }",
    );

    #[test]
    fn a_call_finds_the_function_that_it_means() {
        let b = ("b", "pub struct Offers; impl Offers { pub fn get(&self) {} pub fn rescind(&mut self) {} pub fn new() -> Self {} fn twice(&self) {} }\npub fn free() {}");
        let c = ("c", "pub struct Tasks; impl Tasks { fn twice(&self) {} }\npub fn free() {} pub fn lone() {}");
        for (text, expected) in [
            ("impl M { fn f(&self) { self.offers.get(); } }", "b"),
            ("impl M { fn f(&self) { self.map.get(); } }", ""),
            ("fn f(m: &M) { m.offers.twice(); }", "b"),
            ("fn f(t: &mut Tasks) { assert!(t.twice()); }", "c"),
            ("fn f(t: &mut Tasks) { t.rescind(); }", ""),
            ("fn f(t: &mut Tasks) { let t = other(); t.rescind(); }", "b"),
            ("impl M { fn f(&self) { let o = &mut self.offers; o.get(); } }", "b"),
            ("fn f() { x().rescind(); }", "b"),
            ("fn f() { x().twice(); }", ""),
            ("fn f() { x().get(); }", ""),
            ("fn f() { a.map(Offers::rescind); }", "b"),
            ("use super::b::{Offers as O}; fn f() { O::new(); }", "b"),
            ("fn f() { b::free(); lone(); }", "b c"),
            ("use super::c::free; fn f() { x.map(free); }", "c"),
            ("use super::c::free; fn g() { f(); }", ""),
            ("fn f() { free(); }", ""),
            ("const T: &[R] = &[R { run: c::lone }];", "c"),
            ("fn f() { lone!(); x.lone; // lone()\n }", ""),
            ("#[cfg(test)] mod tests { fn f() { lone(); } }", ""),
        ] {
            assert_eq!(called(&[LIB, ("a", text), b, c], "a").join(" "), expected, "{text}");
        }
    }

    #[test]
    fn a_method_of_the_crates_own_object_is_found_in_its_file() {
        let a = ("a", "impl M { fn one(&mut self) { self.two(); Self::three(); } }");
        let b = ("b", "impl M { fn two(&mut self) { self.one(); } fn three() {} }");
        let c = ("c", "struct Other; impl Other { fn two(&self) {} fn one(&self) {} }");
        assert_eq!(called(&[LIB, a, b, c], "a"), ["b"]);
        assert_eq!(called(&[LIB, a, b, c], "b"), ["a"]);
    }

    /// Four files in a circle, a caller above and a called one below.
    fn circle() -> House {
        house(&[
            ("lib", "mod a; mod b; mod c; mod d; mod e;\npub fn top() { a() }"),
            ("a", "pub fn a() { b() }"),
            ("b", "pub fn b() { c() }"),
            ("c", "pub fn c() { d(); e() }"),
            ("d", "pub fn d() { a() }"),
            ("e", "pub fn e() {}"),
        ])
    }

    #[test]
    fn a_circle_of_more_files_than_the_limit_is_refused() {
        let house = circle();
        let (graph, _) = graph(&house.packages[0]);
        assert_eq!(groups(&graph), [vec!["lib"], vec!["a", "b", "c", "d"], vec!["e"]]);
        let most = limits::of("master").cycle_files;
        assert_eq!(too_large(&house.packages[0], &graph).len(), usize::from(most < 4));
    }

    #[test]
    fn a_picture_in_a_readme_is_kept_true() {
        let house = circle();
        let picture = picture(&house, "master").unwrap();
        assert_eq!(
            picture,
            "lib -> a\n# the next 4 call each other in a circle\na   -> b\nb   -> c\nc   -> d, e\nd   -> a\ne\n"
        );
        let text = |picture: &str| format!("# Master\n{MARK}master -->\n\n```text\n{picture}```\n");
        assert!(false_pictures(&house, "crates/README.md", &text(&picture)).is_empty());
        let found = false_pictures(&house, "crates/README.md", &text("lib -> a\n"));
        assert!(found.len() == 1 && found[0].line == 2, "{found:?}");
        assert_eq!(false_pictures(&house, "a.md", "<!-- calls: nobody -->\n").len(), 1);
    }

    #[test]
    fn long_lines_of_a_picture_are_broken() {
        let names: Vec<String> = (0..30).map(|at| format!("file_{at:02}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let text = drawn("a", 4, &names);
        assert!(text.lines().count() == 3 && text.lines().all(|line| line.len() <= 100), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("        file_")), "{text}");
    }
}
