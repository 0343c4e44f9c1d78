//! JSON laid out over lines, with its fields in the order and its numbers in the form in which they came.
//!
//! Relies on the text being JSON. Never changes what is said: only white space is added, and lists whose order is that of random ids are
//! sorted by what their elements say apart from those ids.

use super::normal;

/// A part of a JSON text. Leaves are kept as they were written.
#[derive(Clone, Debug)]
enum Node {
    Leaf(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// The text over several lines; none when it is no JSON.
pub fn laid_out(text: &str) -> Option<String> {
    serde_json::from_str::<serde_json::Value>(text).ok()?;
    let mut node = Reader { rest: text }.node();
    sort(&mut node, "");
    let mut out = String::new();
    write(&node, 0, &mut out);
    Some(out)
}

/// Reads text that is known to be JSON.
struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip(&mut self) -> char {
        self.rest = self.rest.trim_start();
        self.rest.chars().next().unwrap_or(' ')
    }

    fn eat(&mut self, what: char) -> bool {
        let found = self.skip() == what;
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn node(&mut self) -> Node {
        match self.skip() {
            '{' => {
                self.eat('{');
                let mut fields = Vec::new();
                while !self.eat('}') {
                    let name = self.leaf();
                    self.eat(':');
                    fields.push((name, self.node()));
                    self.eat(',');
                }
                Node::Map(fields)
            }
            '[' => {
                self.eat('[');
                let mut items = Vec::new();
                while !self.eat(']') {
                    items.push(self.node());
                    self.eat(',');
                }
                Node::List(items)
            }
            _ => Node::Leaf(self.leaf()),
        }
    }

    fn leaf(&mut self) -> String {
        let text = if self.skip() == '"' {
            self.text_end()
        } else {
            self.rest.find([',', '}', ']', ' ', '\n']).unwrap_or(self.rest.len())
        };
        let (leaf, rest) = self.rest.split_at(text);
        self.rest = rest;
        leaf.to_owned()
    }

    fn text_end(&self) -> usize {
        let mut escaped = false;
        for (at, letter) in self.rest.char_indices().skip(1) {
            match letter {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => return at + 1,
                _ => {}
            }
        }
        self.rest.len()
    }
}

/// Sorts lists of things that are kept by a random id: their order is not defined.
fn sort(node: &mut Node, field: &str) {
    match node {
        Node::Leaf(_) => {}
        Node::Map(fields) => fields.iter_mut().for_each(|(name, value)| sort(value, name)),
        Node::List(items) => {
            items.iter_mut().for_each(|it| sort(it, ""));
            let is_free = |it: &Node| field == "\"operations\"" || is_random(it);
            items
                .chunk_by_mut(|one, next| is_free(one) == is_free(next))
                .filter(|run| is_free(&run[0]))
                .for_each(sort_run);
        }
    }
}

/// Neighbours whose order is not defined.
fn sort_run(items: &mut [Node]) {
    items.sort_by_cached_key(|it| {
        let mut text = String::new();
        write(it, 0, &mut text);
        normal::mask(&text)
    });
}

/// Whether the thing is known by a random id: it is one, or has one.
fn is_random(node: &Node) -> bool {
    match node {
        Node::Leaf(text) => normal::is_random_id(text.trim_matches('"')),
        Node::Map(fields) => {
            let id = |(name, value): &(String, Node)| {
                ["\"id\"", "\"value\"", "\"key\""].contains(&name.as_str()) && is_random(value)
            };
            fields.iter().any(id)
        }
        Node::List(_) => false,
    }
}

fn write(node: &Node, depth: usize, out: &mut String) {
    let (inner, outer) = ("  ".repeat(depth + 1), "  ".repeat(depth));
    match node {
        Node::Leaf(text) => out.push_str(text),
        Node::List(items) if items.is_empty() => out.push_str("[]"),
        Node::Map(fields) if fields.is_empty() => out.push_str("{}"),
        // What holds one plain thing is easier to read on one line.
        Node::Map(fields) if fields.len() == 1 && is_flat(&fields[0].1) => {
            out.push_str(&format!("{{ {}: ", fields[0].0));
            write(&fields[0].1, depth, out);
            out.push_str(" }");
        }
        Node::List(items) => {
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "[\n" } else { ",\n" });
                out.push_str(&inner);
                write(item, depth + 1, out);
            }
            out.push_str(&format!("\n{outer}]"));
        }
        Node::Map(fields) => {
            for (index, (name, value)) in fields.iter().enumerate() {
                out.push_str(if index == 0 { "{\n" } else { ",\n" });
                out.push_str(&format!("{inner}{name}: "));
                write(value, depth + 1, out);
            }
            out.push_str(&format!("\n{outer}}}"));
        }
    }
}

fn is_flat(node: &Node) -> bool {
    match node {
        Node::Leaf(_) => true,
        Node::Map(fields) => fields.len() == 1 && is_flat(&fields[0].1),
        Node::List(items) => items.is_empty(),
    }
}

#[test]
fn json_is_laid_out_and_not_changed() {
    let uuid = |last: u8| format!("00000000-0000-4000-8000-00000000000{last}");
    let text = format!(
        r#"{{"b":1.0,"a":[{{"id":"{}","x":"z \" ,"}},{{"id":"{}","x":"a"}}],"e":[],"f":{{"value":2}}}}"#,
        uuid(1),
        uuid(2)
    );
    let laid = laid_out(&text).unwrap();
    assert!(
        laid.starts_with("{\n  \"b\": 1.0,\n  \"a\": [\n    {\n")
            && laid.ends_with("  \"f\": { \"value\": 2 }\n}"),
        "{laid}"
    );
    assert!(laid.find("\"a\",").or(laid.find("\"a\"\n")) < laid.find("z \\\""), "{laid}");
    assert_eq!(laid_out("no JSON"), None);
}
