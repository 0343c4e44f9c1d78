//! A Rust file as items: its types with their fields, its functions with their owners, its imports.
//!
//! Relies on `proc_macro2` as a lexer, so that code inside a macro call is seen like any other. Never resolves a name, and leaves out what
//! only tests compile: the rules that read items judge what is shipped.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::gates::{self, Gate};

/// What one file declares.
#[derive(Debug, Default)]
pub struct Items {
    /// Structs, enums, unions and traits.
    pub types: Vec<Type>,
    /// Functions with a body, and the initial values of constants and statics.
    pub bodies: Vec<Body>,
    /// What `use` brings in.
    pub imports: Vec<Import>,
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
    /// Reads a file that [`super::lexed`] could read; one that is no Rust has no items.
    pub fn of(text: &str) -> Items {
        let mut items = Items::default();
        let tokens: TokenStream = text.parse().unwrap_or_default();
        items.block(&tokens.into_iter().collect::<Vec<_>>(), None);
        items
    }

    fn block(&mut self, tokens: &[TokenTree], owner: Option<&str>) {
        let mut at = 0;
        while at < tokens.len() {
            let (head, gate) = attributes(&tokens[at..]);
            at += head;
            let length = item_length(&tokens[at..]);
            if !gate.test {
                self.item(&tokens[at..at + length], owner);
            }
            at += length;
        }
    }

    /// Reads one item, whose attributes are off.
    fn item(&mut self, tokens: &[TokenTree], owner: Option<&str>) {
        for (at, token) in tokens.iter().enumerate() {
            let TokenTree::Ident(word) = token else { continue };
            let rest = &tokens[at + 1..];
            match word.to_string().as_str() {
                "use" => return self.import(rest, &[]),
                "impl" => return self.block(&body_of(rest), implemented(rest).as_deref()),
                "trait" => {
                    let name = self.declare(rest, false);
                    return self.block(&body_of(rest), name.as_deref());
                }
                "mod" => return self.block(&body_of(rest), None),
                "struct" | "union" => {
                    self.declare(rest, true);
                    return;
                }
                "enum" => {
                    self.declare(rest, false);
                    return;
                }
                "fn" => return self.function(rest, owner),
                "const" | "static" if !is_word(rest.first(), "fn") => {
                    let tokens = rest.to_vec();
                    let owner = owner.map(str::to_owned);
                    let (name, receiver) = (String::new(), Receiver::None);
                    let parameters = Vec::new();
                    return self.bodies.push(Body { owner, name, receiver, parameters, tokens });
                }
                "macro_rules" | "type" => return,
                _ => (),
            }
        }
    }

    fn declare(&mut self, rest: &[TokenTree], with_fields: bool) -> Option<String> {
        let Some(TokenTree::Ident(name)) = rest.first() else { return None };
        let fields = if with_fields { fields(&body_of(rest)) } else { Vec::new() };
        let line = name.span().start().line;
        self.types.push(Type { name: name.to_string(), line, fields });
        Some(name.to_string())
    }

    fn function(&mut self, rest: &[TokenTree], owner: Option<&str>) {
        let Some(TokenTree::Ident(name)) = rest.first() else { return };
        let Some(TokenTree::Group(body)) = rest.last() else { return };
        let parameters = rest.iter().find_map(|token| match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => {
                Some(group.stream().into_iter().collect::<Vec<_>>())
            }
            _ => None,
        });
        let parameters = parameters.unwrap_or_default();
        let tokens: Vec<TokenTree> = body.stream().into_iter().collect();
        self.bodies.push(Body {
            owner: owner.map(str::to_owned),
            name: name.to_string(),
            receiver: receiver(&parameters),
            parameters: split(&parameters).filter_map(named).map(|it| (it.0, it.2)).collect(),
            tokens: tokens.clone(),
        });
        // Functions, types and imports may stand inside a function as well.
        self.nested(&tokens);
    }

    /// Items among the statements of a body.
    fn nested(&mut self, tokens: &[TokenTree]) {
        let mut at = 0;
        while at < tokens.len() {
            let starts = at == 0 || is_punct(tokens.get(at - 1), ';') || is_brace(&tokens[at - 1]);
            let is_item = ["use", "fn", "struct", "enum", "impl"]
                .iter()
                .any(|word| is_word(tokens.get(at), word));
            if starts && is_item {
                let length = item_length(&tokens[at..]);
                self.item(&tokens[at..at + length], None);
                at += length;
            } else {
                at += 1;
            }
        }
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

/// How many tokens the attributes at the head are, and what they gate.
fn attributes(tokens: &[TokenTree]) -> (usize, Gate) {
    let (mut at, mut gate) = (0, Gate::default());
    while is_punct(tokens.get(at), '#') {
        let inner = is_punct(tokens.get(at + 1), '!');
        let Some(TokenTree::Group(group)) = tokens.get(at + 1 + usize::from(inner)) else { break };
        gate = gate.and(gates::of(&group.stream()));
        at += 2 + usize::from(inner);
    }
    (at, gate)
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

fn fields(tokens: &[TokenTree]) -> Vec<Field> {
    let mut found = Vec::new();
    for part in split(tokens) {
        let (head, gate) = attributes(part);
        let part = &part[head..];
        let Some((name, line, of)) = named(part) else { continue };
        let public =
            is_word(part.first(), "pub") && !matches!(part.get(1), Some(TokenTree::Group(_)));
        if !gate.test {
            found.push(Field { name, line, public, of });
        }
    }
    found
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
        let items = Items::of(text);
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
        let items = Items::of(text);
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
        let items = Items::of("use super::{a::{self, b as c}, d};\npub(crate) use e::f;");
        let seen: Vec<_> =
            items.imports.iter().map(|it| format!("{}={}", it.name, it.path.join("::"))).collect();
        assert_eq!(seen, ["a=super::a", "c=super::a::b", "d=super::d", "f=e::f"]);
    }
}
