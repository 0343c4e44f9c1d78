//! A Rust file as words: paths, attributes, functions, modules and gated stretches, each with its lines.
//!
//! Relies on `proc_macro2` as a lexer, so strings and comments are never taken for code, and what stands inside a macro call is seen like
//! anything else. Never resolves names: a path is what is written, with `use a::{b, c}` spread into `a::b` and `a::c`.

use std::ops::RangeInclusive;
use std::str::FromStr as _;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::gates::{self, Gate};

/// What was found in one file.
#[derive(Debug, Default)]
pub struct Lexed {
    /// Paths and plain names in use, in their order.
    pub paths: Vec<PathUse>,
    /// Attributes, doc comments left out.
    pub attributes: Vec<Attribute>,
    /// Functions with a body.
    pub functions: Vec<Function>,
    /// Declared modules.
    pub modules: Vec<Module>,
    /// Lines of items that only tests compile.
    pub tests: Vec<RangeInclusive<usize>>,
    /// Lines of items that only the feature `net` compiles.
    pub nets: Vec<RangeInclusive<usize>>,
    /// What gates the whole file by an inner attribute.
    pub gate: Gate,
}

/// A path or name where it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathUse {
    /// `["std", "fs", "read"]`; a glob ends in `*`.
    pub segments: Vec<String>,
    /// Of its first word.
    pub line: usize,
    /// Whether it is a method or field: a dot stands before it.
    pub after_dot: bool,
    /// What follows it.
    pub followed: Followed,
}

/// What follows a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// `()`: a call without arguments.
    EmptyCall,
    /// `!` and a group: a macro call.
    Macro,
    /// Anything else.
    Other,
}

/// An attribute.
#[derive(Debug, Clone)]
pub struct Attribute {
    /// Of its `#`.
    pub line: usize,
    /// Its first word: `cfg`.
    pub name: String,
    /// What stands between its brackets.
    pub content: TokenStream,
}

/// A function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// From `fn` to its closing brace.
    pub lines: RangeInclusive<usize>,
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

impl Lexed {
    /// Reads a file.
    ///
    /// # Errors
    /// Says why if the text is no sequence of Rust tokens.
    pub fn of(text: &str) -> Result<Lexed, String> {
        let tokens = TokenStream::from_str(text)
            .map_err(|error| format!("cannot be read as Rust: {error}"))?;
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut lexed = Lexed::default();
        lexed.items(&tokens, &[], Gate::default());
        lexed.words(&tokens, &[]);
        Ok(lexed)
    }

    /// Attributes, functions, modules and gates, from the outside in. Statements, fields and match arms count as items, too.
    fn items(&mut self, tokens: &[TokenTree], within: &[String], around: Gate) {
        let mut at = 0;
        while at < tokens.len() {
            at += self.item(&tokens[at..], within, around);
        }
    }

    /// Reads one item and returns how many tokens it has.
    fn item(&mut self, tokens: &[TokenTree], within: &[String], around: Gate) -> usize {
        let (length, own) = self.attributes(tokens, within.is_empty());
        let gate = around.and(own.gate);
        let body = &tokens[length..];
        let ending = Ending::of(body);
        let (mut function, mut module) = (None, None);
        let mut at = 0;
        while at < body.len() {
            let token = &body[at];
            match token {
                TokenTree::Ident(word) if word == "fn" || word == "mod" => {
                    if let Some(TokenTree::Ident(name)) = body.get(at + 1) {
                        let found = Some((name.to_string(), token.span().start().line));
                        *(if word == "fn" { &mut function } else { &mut module }) = found;
                    }
                }
                // An attribute in the midst of an item: on an argument of a macro, an expression, a parameter.
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    at += self.attributes(&body[at..], false).0.saturating_sub(1);
                }
                TokenTree::Group(group) => {
                    self.group(group, (&mut function, &mut module), within, gate)
                }
                _ => (),
            }
            at += 1;
            if ending.is(token) {
                break;
            }
        }
        if let Some((name, line)) = module {
            self.modules.push(Module {
                name,
                line,
                within: within.to_vec(),
                inline: false,
                gate,
                file: own.file,
            });
        }
        let length = length + at;
        let lines = tokens[0].span().start().line..=tokens[length - 1].span().end().line;
        if own.gate.test {
            self.tests.push(lines.clone());
        }
        if own.gate.net {
            self.nets.push(lines);
        }
        length
    }

    /// Reads the attributes at the head of `tokens`, and returns how many tokens they are, with what they say together.
    fn attributes(&mut self, tokens: &[TokenTree], top: bool) -> (usize, Own) {
        let (mut at, mut own) = (0, Own::default());
        while let Some(TokenTree::Punct(hash)) = tokens.get(at) {
            let inner =
                matches!(tokens.get(at + 1), Some(TokenTree::Punct(mark)) if mark.as_char() == '!');
            let Some(TokenTree::Group(group)) = tokens.get(at + 1 + usize::from(inner)) else {
                break;
            };
            if hash.as_char() != '#' || group.delimiter() != Delimiter::Bracket {
                break;
            }
            let content = group.stream();
            let name = content
                .clone()
                .into_iter()
                .next()
                .map(|token| token.to_string())
                .unwrap_or_default();
            let gate = gates::of(&content);
            match (inner, top) {
                (false, _) => own.gate = own.gate.and(gate),
                (true, true) => self.gate = self.gate.and(gate),
                (true, false) => (),
            }
            own.file = own.file.or(gates::path(&content));
            if name != "doc" {
                self.attributes.push(Attribute { line: hash.span().start().line, name, content });
            }
            at += 2 + usize::from(inner);
        }
        (at, own)
    }

    /// Looks into a group: the body of the function or module that was just named, or anything else.
    fn group(
        &mut self,
        group: &Group,
        named: (&mut Option<Named>, &mut Option<Named>),
        within: &[String],
        gate: Gate,
    ) {
        let (function, module) = named;
        let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
        if group.delimiter() != Delimiter::Brace {
            return self.items(&tokens, within, gate);
        }
        if let Some((name, line)) = function.take() {
            self.functions.push(Function { name, lines: line..=group.span_close().end().line });
        }
        let mut inside = within.to_vec();
        if let Some((name, line)) = module.take() {
            inside.push(name.clone());
            self.modules.push(Module {
                name,
                line,
                within: within.to_vec(),
                inline: true,
                gate,
                file: None,
            });
        }
        self.items(&tokens, &inside, gate);
    }

    /// Every path and name, use lists spread out.
    fn words(&mut self, tokens: &[TokenTree], prefix: &[String]) {
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                // The new name in `use a::{b as c}` is no path of its own.
                TokenTree::Ident(word) if word == "as" && !prefix.is_empty() => at += 1,
                TokenTree::Ident(word) => {
                    let mut segments = prefix.to_vec();
                    segments.push(word.to_string());
                    let after_dot = 0 < at
                        && is_punct(tokens.get(at - 1), '.')
                        && !(1 < at && is_punct(tokens.get(at - 2), '.'));
                    while let Some((separator, next)) =
                        tokens.get(at + 1..at + 3).zip(tokens.get(at + 3))
                    {
                        if !separator.iter().all(|token| is_punct(Some(token), ':')) {
                            break;
                        }
                        match next {
                            TokenTree::Ident(word) => segments.push(word.to_string()),
                            TokenTree::Punct(star) if star.as_char() == '*' => {
                                segments.push("*".to_owned())
                            }
                            TokenTree::Group(list) if list.delimiter() == Delimiter::Brace => {
                                let list: Vec<TokenTree> = list.stream().into_iter().collect();
                                self.words(&list, &segments);
                            }
                            _ => break,
                        }
                        at += 3;
                    }
                    let followed = Followed::by(&tokens[at + 1..]);
                    self.paths.push(PathUse {
                        segments,
                        line: word.span().start().line,
                        after_dot,
                        followed,
                    });
                }
                TokenTree::Group(group) => {
                    let inside: Vec<TokenTree> = group.stream().into_iter().collect();
                    self.words(&inside, &[]);
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => (),
            }
            at += 1;
        }
    }
}

/// A name with its line.
type Named = (String, usize);

/// What an item's own attributes say.
#[derive(Debug, Default)]
struct Own {
    gate: Gate,
    file: Option<String>,
}

impl Followed {
    fn by(tokens: &[TokenTree]) -> Followed {
        match tokens {
            [TokenTree::Group(group), ..]
                if group.delimiter() == Delimiter::Parenthesis && group.stream().is_empty() =>
            {
                Followed::EmptyCall
            }
            [TokenTree::Punct(mark), TokenTree::Group(_), ..] if mark.as_char() == '!' => {
                Followed::Macro
            }
            _ => Followed::Other,
        }
    }
}

/// With which token an item ends.
#[derive(Debug, Clone, Copy)]
struct Ending {
    brace: bool,
    comma: bool,
}

impl Ending {
    fn of(body: &[TokenTree]) -> Ending {
        let mut words = body.iter().filter_map(|token| match token {
            TokenTree::Ident(word) if word != "pub" => Some(word.to_string()),
            _ => None,
        });
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let starts_with_word = body
            .iter()
            .find(|token| !matches!(token, TokenTree::Group(_)))
            .is_some_and(|it| matches!(it, TokenTree::Ident(_)));
        match first.as_str() {
            _ if !starts_with_word => Ending { brace: true, comma: true },
            "const" if ["fn", "unsafe", "async", "extern"].contains(&second.as_str()) => {
                Ending { brace: true, comma: false }
            }
            "use" | "const" | "static" | "let" | "type" => Ending { brace: false, comma: false },
            "fn" | "mod" | "impl" | "struct" | "enum" | "trait" | "union" | "unsafe" | "async"
            | "extern" | "default" => Ending { brace: true, comma: false },
            _ => Ending { brace: true, comma: true },
        }
    }

    fn is(self, token: &TokenTree) -> bool {
        match token {
            TokenTree::Punct(punct) => {
                punct.as_char() == ';' || (self.comma && punct.as_char() == ',')
            }
            TokenTree::Group(group) => self.brace && group.delimiter() == Delimiter::Brace,
            _ => false,
        }
    }
}

fn is_punct(token: Option<&TokenTree>, mark: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        Lexed::of(text).unwrap().paths.iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn paths_are_seen_in_code_but_not_in_strings_or_comments() {
        let text = "// std::fs\nfn f() { let a = \"std::net\"; /* std::env */ std::thread::spawn(r#\"x.unwrap()\"#) }";
        assert_eq!(paths(text), ["fn", "f", "let", "a", "std::thread::spawn"]);
    }

    #[test]
    fn use_lists_are_spread_out() {
        let found = paths("use std::{fs::{self, File as F}, net::*, time};");
        for path in ["std::fs::self", "std::fs::File", "std::net::*", "std::time"] {
            assert!(found.contains(&path.to_owned()), "{path} in {found:?}");
        }
        assert!(!found.iter().any(|path| path.ends_with("::F")), "{found:?}");
    }

    #[test]
    fn methods_macros_and_ranges_are_told_apart() {
        let lexed = Lexed::of("fn f() { todo!(); a.unwrap(); b.unwrap(c); ..unwrap(); if x != (y) {} vec![z.unwrap()]; }").unwrap();
        let unwraps: Vec<_> = lexed
            .paths
            .iter()
            .filter(|it| it.segments == ["unwrap"])
            .map(|it| (it.after_dot, it.followed))
            .collect();
        let (empty, other) = (Followed::EmptyCall, Followed::Other);
        assert_eq!(unwraps, [(true, empty), (true, other), (false, empty), (true, empty)]);
        let todo = lexed.paths.iter().find(|it| it.segments == ["todo"]).unwrap();
        assert_eq!(todo.followed, Followed::Macro);
        assert!(lexed
            .paths
            .iter()
            .any(|it| it.segments == ["x"] && it.followed == Followed::Other));
    }

    #[test]
    fn functions_have_lines_wherever_they_stand() {
        let text = "impl<A, B> X<A, B> {\n    pub const fn one<C, D>(a: [u8; 2]) -> fn(u8)\n    where\n        C: D,\n    {\n    }\n}\n\
                    trait T { fn none(); fn two() {} }\nproptest! {\n  fn three(a in 0..1) {\n  }\n}\n\
                    fn outer() {\n let s = S { a };\n fn inner() {}\n}\n";
        let functions = Lexed::of(text).unwrap().functions;
        let seen: Vec<_> =
            functions.iter().map(|it| (it.name.as_str(), it.lines.clone())).collect();
        assert_eq!(
            seen,
            [
                ("one", 2..=6),
                ("two", 8..=8),
                ("three", 10..=11),
                ("outer", 13..=16),
                ("inner", 15..=15)
            ]
        );
    }

    #[test]
    fn test_code_is_known_by_its_lines() {
        let text = "use a;\n#[cfg(test)]\nuse b::{c};\nfn f<A, B>() {}\n#[cfg(test)]\n/// Doc.\nmod tests {\n  fn g() {}\n}\n\
                    #[tokio::test]\nasync fn h() {\n}\nstruct S {\n  #[cfg(test)]\n  a: u8,\n  b: u8,\n}\n";
        let tests = Lexed::of(text).unwrap().tests;
        assert_eq!(tests, [2..=3, 5..=9, 10..=12, 14..=15]);
    }

    #[test]
    fn gates_reach_modules_and_whole_files() {
        let lexed = Lexed::of("#![cfg(test)]\n#[cfg(feature = \"net\")]\npub mod net;\nmod a { #[path = \"x.rs\"] mod b; }").unwrap();
        assert!(lexed.gate.test && !lexed.gate.net);
        let seen: Vec<_> = lexed
            .modules
            .iter()
            .map(|it| (it.name.as_str(), it.inline, it.gate.net, it.within.join("/")))
            .collect();
        assert_eq!(
            seen,
            [
                ("net", false, true, String::new()),
                ("a", true, false, String::new()),
                ("b", false, false, "a".to_owned())
            ]
        );
        assert_eq!(lexed.modules[2].file.as_deref(), Some("x.rs"));
    }

    #[test]
    fn attributes_are_seen_at_any_depth() {
        let text = "#![allow(a)]\n/// Doc.\n#[derive(X)]\nfn f(#[b] c: u8) {\n  #[allow(d)]\n  let e = x(#[g] 1);\n  m! { #[ignore] fn h() {} }\n}";
        let lexed = Lexed::of(text).unwrap();
        let seen: Vec<_> = lexed.attributes.iter().map(|it| (it.line, it.name.as_str())).collect();
        assert_eq!(
            seen,
            [(1, "allow"), (3, "derive"), (4, "b"), (5, "allow"), (6, "g"), (7, "ignore")]
        );
    }

    #[test]
    fn what_is_not_rust_says_so() {
        assert!(Lexed::of("fn f( {").unwrap_err().contains("cannot be read as Rust"));
    }
}
