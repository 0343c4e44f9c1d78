//! A Rust file as items: its types with their fields, its functions with their owners, its modules and imports, and what gates them.
//!
//! Relies on `proc_macro2` as a lexer, so that code inside a macro call is seen like any other. Never resolves a name. Of what only tests
//! compile it gives the lines and the modules, but neither types nor functions: the rules that read those judge what is shipped.

use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::gates::{self, Gate};
use super::paths::{self, PathUse};

/// What one file declares.
#[derive(Debug, Default)]
pub struct Items {
    /// Structs, enums, unions and traits.
    pub types: Vec<Type>,
    /// Functions with a body, and the initial values of constants and statics.
    pub bodies: Vec<Body>,
    /// What `use` brings in.
    pub imports: Vec<Import>,
    /// Declared modules.
    pub modules: Vec<Module>,
    /// Every path and name, in tests as well.
    pub paths: Vec<PathUse>,
    /// Lines of items that only tests compile.
    pub tests: Vec<RangeInclusive<usize>>,
    /// Lines of items that only the feature `net` compiles.
    pub nets: Vec<RangeInclusive<usize>>,
    /// What gates the whole file by an inner attribute.
    pub gate: Gate,
}

/// A declared module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Its name.
    pub name: String,
    /// Of its name.
    pub line: usize,
    /// The inline modules around it, outermost first.
    pub within: Vec<String>,
    /// Whether its body stands here.
    pub inline: bool,
    /// What gates it, with what stands around it.
    pub gate: Gate,
    /// Another file, by `#[path = "..."]`.
    pub file: Option<String>,
}

/// What stands around an item.
#[derive(Debug, Default, Clone)]
struct Around {
    gate: Gate,
    within: Vec<String>,
    owner: Option<String>,
    /// What `#[path = "..."]` of the item itself says.
    file: Option<String>,
}

/// A declared type or trait.
#[derive(Debug)]
pub struct Type {
    /// Its name.
    pub name: String,
    /// Of its name.
    pub line: usize,
    /// Its named fields; empty for enums, traits and tuples.
    pub fields: Vec<Field>,
}

/// A named field of a struct.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Of its name.
    pub line: usize,
    /// Whether code of another crate may touch it.
    pub public: bool,
    /// The outermost type that is no pointer: `Offers` of `&mut Box<Offers>`.
    pub of: String,
}

/// A function, or the value of a constant.
#[derive(Debug)]
pub struct Body {
    /// The type or trait that it belongs to.
    pub owner: Option<String>,
    /// Its name; empty for a constant's value.
    pub name: String,
    /// How it takes `self`.
    pub receiver: Receiver,
    /// Each named parameter with its outermost type.
    pub parameters: Vec<(String, String)>,
    /// From `fn` to its closing brace.
    pub lines: RangeInclusive<usize>,
    /// What stands between its braces.
    pub tokens: Vec<TokenTree>,
}

/// How a function takes `self`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    /// It does not.
    None,
    /// By value or shared reference.
    Shared,
    /// By mutable reference.
    Mutable,
}

/// One name that `use` brings in.
#[derive(Debug, PartialEq, Eq)]
pub struct Import {
    /// The whole path.
    pub path: Vec<String>,
    /// The name that it has here.
    pub name: String,
}

/// Types that stand for what they hold, as far as a method call is concerned.
const POINTERS: &[&str] = &["Box", "Rc", "Arc", "Cow", "Ref", "RefMut"];

impl Items {
    /// Reads a file.
    ///
    /// # Errors
    /// Says why if the text is no sequence of Rust tokens.
    pub fn of(text: &str) -> Result<Items, String> {
        let tokens: TokenStream =
            text.parse().map_err(|error| format!("cannot be read as Rust: {error}"))?;
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let (_, gate) = attributes(&tokens, true);
        let mut items = Items { paths: paths::of(&tokens), gate: gate.gate, ..Items::default() };
        items.block(&tokens, &Around { gate: items.gate, ..Around::default() });
        Ok(items)
    }

    fn block(&mut self, tokens: &[TokenTree], around: &Around) {
        let mut at = 0;
        while at < tokens.len() {
            at += self.gated(&tokens[at..], around);
        }
    }

    /// Reads one item with its attributes, and returns how many tokens it has.
    fn gated(&mut self, tokens: &[TokenTree], around: &Around) -> usize {
        let (head, own) = attributes(tokens, false);
        let length = head + item_length(&tokens[head..]);
        self.note(&tokens[..length], own.gate);
        let around = Around { gate: around.gate.and(own.gate), file: own.file, ..around.clone() };
        self.item(&tokens[head..length], &around);
        length
    }

    /// Notes the lines of what has a gate.
    fn note(&mut self, tokens: &[TokenTree], gate: Gate) {
        let [first, .., last] = tokens else { return };
        let lines = first.span().start().line..=last.span().end().line;
        if gate.test {
            self.tests.push(lines.clone());
        }
        if gate.net {
            self.nets.push(lines);
        }
    }

    /// Reads one item, whose attributes are off.
    fn item(&mut self, tokens: &[TokenTree], around: &Around) {
        let owned = |owner| Around { owner, ..around.clone() };
        for (at, token) in tokens.iter().enumerate() {
            let TokenTree::Ident(word) = token else { continue };
            let rest = &tokens[at + 1..];
            match word.to_string().as_str() {
                "use" if around.gate.test => return,
                "use" => return self.import(rest, &[]),
                "impl" => return self.block(&body_of(rest), &owned(implemented(rest))),
                "trait" => {
                    let owner = self.declare(rest, around);
                    return self.block(&body_of(rest), &owned(owner));
                }
                "mod" => return self.module(rest, around),
                "struct" | "union" | "enum" => {
                    self.declare(rest, around);
                    return;
                }
                "fn" => return self.function(token, rest, around),
                "const" | "static" if !is_word(rest.first(), "fn") => {
                    return self.body(token, rest, rest, around);
                }
                "macro_rules" | "type" => return,
                _ => (),
            }
        }
    }

    fn module(&mut self, rest: &[TokenTree], around: &Around) {
        let Some(TokenTree::Ident(name)) = rest.first() else { return };
        let (body, inline) = (body_of(rest), rest.last().is_some_and(is_brace));
        self.modules.push(Module {
            name: name.to_string(),
            line: name.span().start().line,
            within: around.within.clone(),
            inline,
            gate: around.gate,
            file: around.file.clone(),
        });
        let mut within = around.within.clone();
        within.push(name.to_string());
        self.block(&body, &Around { gate: around.gate, within, ..Around::default() });
    }

    fn declare(&mut self, rest: &[TokenTree], around: &Around) -> Option<String> {
        let Some(TokenTree::Ident(name)) = rest.first() else { return None };
        let fields = self.fields(&body_of(rest));
        if !around.gate.test {
            let line = name.span().start().line;
            self.types.push(Type { name: name.to_string(), line, fields });
        }
        Some(name.to_string())
    }

    fn fields(&mut self, tokens: &[TokenTree]) -> Vec<Field> {
        let mut found = Vec::new();
        for part in split(tokens) {
            let (head, own) = attributes(part, false);
            self.note(part, own.gate);
            let rest = &part[head..];
            let Some((name, line, of)) = named(rest) else { continue };
            let public =
                is_word(rest.first(), "pub") && !matches!(rest.get(1), Some(TokenTree::Group(_)));
            if !own.gate.test {
                found.push(Field { name, line, public, of });
            }
        }
        found
    }

    fn function(&mut self, word: &TokenTree, rest: &[TokenTree], around: &Around) {
        let body = body_of(rest);
        if rest.last().is_some_and(is_brace) {
            self.body(word, rest, &body, around);
        }
        // Functions, types and imports may stand inside a function as well.
        let inside = Around { owner: None, ..around.clone() };
        let mut at = 0;
        while at < body.len() {
            let starts = at == 0 || is_punct(body.get(at - 1), ';') || is_brace(&body[at - 1]);
            let is_item = ["use", "fn", "struct", "enum", "impl"]
                .iter()
                .any(|word| is_word(body.get(at), word));
            at += match starts && (is_item || is_punct(body.get(at), '#')) {
                true => self.gated(&body[at..], &inside),
                false => 1,
            };
        }
    }

    /// A body, unless only tests compile it.
    fn body(
        &mut self,
        word: &TokenTree,
        rest: &[TokenTree],
        tokens: &[TokenTree],
        around: &Around,
    ) {
        let (Some(last), false) = (rest.last(), around.gate.test) else { return };
        let parameters = if is_word(Some(word), "fn") { parameters(rest) } else { Vec::new() };
        let name = if is_word(Some(word), "fn") { rest[0].to_string() } else { String::new() };
        self.bodies.push(Body {
            owner: around.owner.clone(),
            name,
            receiver: receiver(&parameters),
            parameters: split(&parameters).filter_map(named).map(|it| (it.0, it.2)).collect(),
            lines: word.span().start().line..=last.span().end().line,
            tokens: tokens.to_vec(),
        });
    }

    fn import(&mut self, tokens: &[TokenTree], prefix: &[String]) {
        for part in split(tokens) {
            let mut path = prefix.to_vec();
            let mut at = 0;
            while let Some(token) = part.get(at) {
                match token {
                    TokenTree::Ident(word) if word == "as" => break,
                    TokenTree::Ident(word) => path.push(word.to_string()),
                    TokenTree::Group(list) => {
                        self.import(&list.stream().into_iter().collect::<Vec<_>>(), &path);
                        path.clear();
                    }
                    TokenTree::Punct(_) | TokenTree::Literal(_) => (),
                }
                at += 1;
            }
            if path.last().is_some_and(|last| last == "self") {
                path.pop();
            }
            let renamed = part.get(at + 1).map(ToString::to_string);
            if let Some(name) = renamed.or_else(|| path.last().cloned()) {
                if !path.is_empty() {
                    self.imports.push(Import { path, name });
                }
            }
        }
    }
}

/// What an item's own attributes say.
#[derive(Debug, Default)]
struct Own {
    gate: Gate,
    file: Option<String>,
}

/// How many tokens the attributes at the head are, and what those say that speak of the item, or of what is around it.
fn attributes(tokens: &[TokenTree], of_around: bool) -> (usize, Own) {
    let (mut at, mut own) = (0, Own::default());
    while is_punct(tokens.get(at), '#') {
        let inner = is_punct(tokens.get(at + 1), '!');
        let Some(TokenTree::Group(group)) = tokens.get(at + 1 + usize::from(inner)) else { break };
        if inner == of_around {
            own.gate = own.gate.and(gates::of(&group.stream()));
            own.file = own.file.or(gates::path(&group.stream()));
        }
        at += 2 + usize::from(inner);
    }
    (at, own)
}

/// How many tokens the item at the head has.
fn item_length(tokens: &[TokenTree]) -> usize {
    let by_semicolon = ["use", "const", "static", "type"];
    let mut head = tokens.iter().filter_map(|token| match token {
        TokenTree::Ident(word) if word != "pub" => Some(word.to_string()),
        _ => None,
    });
    let (first, second) = (head.next().unwrap_or_default(), head.next().unwrap_or_default());
    let is_value = by_semicolon.contains(&first.as_str())
        && !["fn", "unsafe", "async", "extern"].contains(&second.as_str());
    let ends = |token: &TokenTree| is_punct(Some(token), ';') || (!is_value && is_brace(token));
    tokens.iter().position(ends).map_or(tokens.len(), |at| at + 1).max(1).min(tokens.len())
}

/// What stands in the braces at the end of an item.
fn body_of(rest: &[TokenTree]) -> Vec<TokenTree> {
    match rest.last() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            group.stream().into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// The type that `impl` is for: the last word of the path after `for`, or of the first path.
fn implemented(rest: &[TokenTree]) -> Option<String> {
    let generics = if is_punct(rest.first(), '<') { generics_length(rest) } else { 0 };
    let head = &rest[generics..];
    let is_for = |at: &usize| is_word(head.get(*at), "for") && !is_punct(head.get(*at + 1), '<');
    let after = (0..head.len()).find(is_for).map_or(0, |at| at + 1);
    outermost(&head[after..])
}

/// How many tokens `<...>` at the head has; the `>` of `->` closes nothing.
pub fn generics_length(tokens: &[TokenTree]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        if is_punct(Some(token), '<') {
            depth += 1;
        } else if is_punct(Some(token), '>') && !(0 < at && is_punct(tokens.get(at - 1), '-')) {
            depth -= 1;
            if depth == 0 {
                return at + 1;
            }
        }
    }
    tokens.len()
}

/// The outermost type that is no pointer or reference.
pub fn outermost(tokens: &[TokenTree]) -> Option<String> {
    let mut last: Option<String> = None;
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token {
            TokenTree::Ident(word) if ["mut", "dyn", "impl"].iter().any(|it| word == it) => (),
            TokenTree::Ident(word) => last = Some(word.to_string()),
            // A lifetime is a tick and a word.
            TokenTree::Punct(tick) if tick.as_char() == '\'' => at += 1,
            TokenTree::Punct(mark) if mark.as_char() == '<' => {
                if last.as_ref().is_some_and(|name| POINTERS.contains(&name.as_str())) {
                    return outermost(&tokens[at + 1..]);
                }
                break;
            }
            TokenTree::Punct(mark) if mark.as_char() == '&' || mark.as_char() == ':' => (),
            _ => break,
        }
        at += 1;
    }
    last
}

/// The parts between commas, of which none stands between angle brackets.
fn split(tokens: &[TokenTree]) -> impl Iterator<Item = &[TokenTree]> {
    let mut depth = 0i32;
    let mut before = None;
    tokens
        .split(move |token| {
            let is_arrow = before == Some('-');
            before = match token {
                TokenTree::Punct(punct) => Some(punct.as_char()),
                _ => None,
            };
            match before {
                Some('<') => depth += 1,
                Some('>') if !is_arrow => depth -= 1,
                Some(',') => return depth == 0,
                _ => (),
            }
            false
        })
        .filter(|part| !part.is_empty())
}

/// A name with its line and outermost type: `a: &mut T`. Patterns have no name.
fn named(part: &[TokenTree]) -> Option<(String, usize, String)> {
    let colon = (0..part.len()).find(|at| {
        is_punct(part.get(*at), ':')
            && !is_punct(part.get(at + 1), ':')
            && !(0 < *at && is_punct(part.get(at - 1), ':'))
    })?;
    let Some(TokenTree::Ident(name)) = part[..colon].last() else { return None };
    let of = outermost(&part[colon + 1..]).unwrap_or_default();
    Some((name.to_string(), name.span().start().line, of))
}

/// What stands between the parentheses of a function.
fn parameters(rest: &[TokenTree]) -> Vec<TokenTree> {
    let found = rest.iter().find_map(|token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => {
            Some(group.stream().into_iter().collect())
        }
        _ => None,
    });
    found.unwrap_or_default()
}

fn receiver(parameters: &[TokenTree]) -> Receiver {
    let first = split(parameters).next().unwrap_or_default();
    let ahead = first.iter().take_while(|token| !is_punct(Some(token), ':'));
    if !ahead.clone().any(|token| is_word(Some(token), "self")) {
        return Receiver::None;
    }
    let has = |word: &str| first.iter().any(|token| is_word(Some(token), word));
    match first.iter().any(|token| is_punct(Some(token), '&')) && has("mut") {
        true => Receiver::Mutable,
        false => Receiver::Shared,
    }
}

/// Whether a token is this word.
pub fn is_word(token: Option<&TokenTree>, word: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == word)
}

/// Whether a token is this mark.
pub fn is_punct(token: Option<&TokenTree>, mark: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == mark)
}

fn is_brace(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_fields_with_their_outermost_type() {
        let text =
            "pub struct A<'a, T: X> where T: Y {\n /// Doc.\n pub one: &'a mut Box<B<C, D>>,\n \
                    pub(crate) two: BTreeMap<K, V>, #[cfg(test)] three: u8, four: model::Id }\n\
                    struct T(pub u8); enum E { V { x: u8 } } struct U;";
        let items = Items::of(text).unwrap();
        let seen: Vec<_> = items.types[0]
            .fields
            .iter()
            .map(|it| (it.name.as_str(), it.line, it.public, it.of.as_str()))
            .collect();
        let expected =
            [("one", 3, true, "B"), ("two", 4, false, "BTreeMap"), ("four", 4, false, "Id")];
        assert_eq!(seen, expected);
        let names: Vec<_> = items.types.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["A", "T", "E", "U"]);
        assert!(items.types[1..].iter().all(|it| it.fields.is_empty()));
    }

    #[test]
    fn functions_have_owner_receiver_and_parameters() {
        let text = "impl<T: Fn(u8) -> u8> Show for a::B<T> { fn one(&mut self, x: &C, (y, z): D) {} }\n\
                    trait T { fn two(&self) {} fn none(&self); }\n impl A { pub(super) const fn three(mut self: Box<Self>) {} }\n\
                    fn four(a: impl Fn(u8, u8) -> E, b: F) { fn five() {} }\n#[cfg(test)] mod tests { fn six() {} }\n\
                    const C: &[R] = &[R { run: a::b }];\nmod m { fn seven() {} }";
        let items = Items::of(text).unwrap();
        let seen: Vec<_> = items
            .bodies
            .iter()
            .map(|it| (it.owner.as_deref().unwrap_or(""), it.name.as_str(), it.receiver))
            .collect();
        let expected = [
            ("B", "one", Receiver::Mutable),
            ("T", "two", Receiver::Shared),
            ("A", "three", Receiver::Shared),
            ("", "four", Receiver::None),
            ("", "five", Receiver::None),
            ("", "", Receiver::None),
            ("", "seven", Receiver::None),
        ];
        assert_eq!(seen, expected);
        assert_eq!(items.bodies[0].parameters, [("x".to_owned(), "C".to_owned())]);
        assert_eq!(items.bodies[3].parameters[1], ("b".to_owned(), "F".to_owned()));
    }

    #[test]
    fn imports_are_spread_out_with_the_names_that_they_have_here() {
        let items = Items::of("use super::{a::{self, b as c}, d};\npub(crate) use e::f;").unwrap();
        let seen: Vec<_> =
            items.imports.iter().map(|it| format!("{}={}", it.name, it.path.join("::"))).collect();
        assert_eq!(seen, ["a=super::a", "c=super::a::b", "d=super::d", "f=e::f"]);
    }

    #[test]
    fn functions_have_lines_wherever_they_stand() {
        let text = "impl<A, B> X<A, B> {\n    pub const fn one<C, D>(a: [u8; 2]) -> fn(u8)\n    where\n        C: D,\n    {\n    }\n}\n\
                    trait T { fn none(); fn two() {} }\nfn outer() {\n let s = S { a };\n fn inner() {}\n}\n";
        let bodies = Items::of(text).unwrap().bodies;
        let seen: Vec<_> = bodies.iter().map(|it| (it.name.as_str(), it.lines.clone())).collect();
        assert_eq!(seen, [("one", 2..=6), ("two", 8..=8), ("outer", 9..=12), ("inner", 11..=11)]);
    }

    #[test]
    fn test_code_is_known_by_its_lines() {
        let text = "use a;\n#[cfg(test)]\nuse b::{c};\nfn f<A, B>() {}\n#[cfg(test)]\n/// Doc.\nmod tests {\n  fn g() {}\n}\n\
                    #[tokio::test]\nasync fn h() {\n}\nstruct S {\n  #[cfg(test)]\n  a: u8,\n  b: u8,\n}\n\
                    fn k() {\n #[cfg(test)]\n probe();\n}\n";
        let tests = Items::of(text).unwrap().tests;
        assert_eq!(tests, [2..=3, 5..=9, 10..=12, 14..=15, 19..=20]);
    }

    #[test]
    fn gates_reach_modules_and_whole_files() {
        let items = Items::of("#![cfg(test)]\n#[cfg(feature = \"net\")]\npub mod net;\nmod a { #[path = \"x.rs\"] mod b; }").unwrap();
        assert!(items.gate.test && !items.gate.net);
        let seen: Vec<_> = items
            .modules
            .iter()
            .map(|it| (it.name.as_str(), it.inline, it.gate.net, it.within.join("/")))
            .collect();
        let expected = [
            ("net", false, true, String::new()),
            ("a", true, false, String::new()),
            ("b", false, false, "a".to_owned()),
        ];
        assert_eq!(seen, expected);
        assert_eq!(items.modules[2].file.as_deref(), Some("x.rs"));
    }

    #[test]
    fn what_is_not_rust_says_so() {
        assert!(Items::of("fn f( {").unwrap_err().contains("cannot be read as Rust"));
    }
}
