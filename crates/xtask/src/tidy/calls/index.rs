//! Which file of a crate holds which function, and which function a call means.
//!
//! Relies on [`items`] alone: names as they are written. Never guesses between two files: a call whose receiver is not known counts only
//! where one file alone has a method of that name, and where no type of the standard library has one.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenTree};

use crate::tidy::items::{self, is_punct, is_word, Body, Items, Receiver};

/// Methods of the standard library: on a receiver of unknown type they mean those.
const STANDARD: &str = "\
    all and any apply as_ref as_str chain clear clone cmp collect contains contains_key count \
    default drain end entry enumerate eq expect extend filter find first flatten fold from get \
    get_mut get_or_insert_with index insert into is_empty is_none is_some iter iter_mut join keys \
    last len lines map max min next or or_default or_insert parse peek pop position push range \
    remove replace retain rev skip sort split start step sum swap take then trim unwrap values \
    values_mut write zip";

/// Some files of a crate.
type Files<'a> = BTreeSet<&'a str>;

/// Every function of a crate by its names.
pub struct Index<'a> {
    /// Files that have a function of this owner and name.
    owned: BTreeMap<&'a str, BTreeMap<&'a str, Files<'a>>>,
    /// Files that have a free function of this name.
    free: BTreeMap<&'a str, Files<'a>>,
    /// Files in which a type has a method of this name.
    methods: BTreeMap<&'a str, Files<'a>>,
    /// The outermost type of each field, by its struct and name.
    fields: BTreeMap<&'a str, BTreeMap<&'a str, &'a str>>,
    /// All types that the crate declares.
    types: BTreeSet<&'a str>,
}

impl<'a> Index<'a> {
    /// Reads the files of a crate, each with its path.
    pub fn of(files: &'a BTreeMap<String, &'a Items>) -> Index<'a> {
        let mut index = Index {
            owned: BTreeMap::new(),
            free: BTreeMap::new(),
            methods: BTreeMap::new(),
            fields: BTreeMap::new(),
            types: BTreeSet::new(),
        };
        for (path, items) in files {
            for it in &items.types {
                index.types.insert(&it.name);
                let fields = it.fields.iter();
                let fields = fields.map(|field| (&*field.name, &*field.of));
                index.fields.entry(&it.name).or_default().extend(fields);
            }
            for body in &items.bodies {
                let (Some(owner), name) = (&body.owner, &*body.name) else {
                    index.free.entry(&body.name).or_default().insert(path);
                    continue;
                };
                index.owned.entry(owner).or_default().entry(name).or_default().insert(path);
                if body.receiver != Receiver::None {
                    index.methods.entry(name).or_default().insert(path);
                }
            }
        }
        index
    }

    /// Files that have this function of a type.
    fn owned(&self, of: &str, name: &str) -> Vec<&'a str> {
        let files = self.owned.get(of).and_then(|names| names.get(name));
        files.into_iter().flatten().copied().collect()
    }

    /// Every call in a body of `file`.
    pub fn calls(
        &self,
        file: &'a str,
        items: &'a Items,
        body: &'a Body,
    ) -> BTreeSet<(String, &'a str)> {
        let mut reader = Reader {
            index: self,
            file,
            items,
            owner: body.owner.as_deref(),
            locals: BTreeMap::new(),
            found: BTreeSet::new(),
        };
        for (name, of) in &body.parameters {
            reader.locals.insert(name.clone(), of.clone());
        }
        reader.read(&body.tokens);
        reader.found
    }
}

/// Reads one body.
struct Reader<'r, 'a> {
    index: &'r Index<'a>,
    file: &'a str,
    items: &'a Items,
    owner: Option<&'a str>,
    /// Types of parameters and of locals, as far as they are written; an empty one is not known.
    locals: BTreeMap<String, String>,
    found: BTreeSet<(String, &'a str)>,
}

impl<'a> Reader<'_, 'a> {
    fn read(&mut self, tokens: &[TokenTree]) {
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Ident(word) if word == "let" => self.bind(&tokens[at + 1..]),
                TokenTree::Ident(word) if word == "use" => {
                    at += tokens[at..].iter().take_while(|it| !is_punct(Some(it), ';')).count();
                }
                TokenTree::Ident(_) => at += self.word(tokens, at),
                TokenTree::Group(group) => {
                    self.read(&group.stream().into_iter().collect::<Vec<_>>());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => (),
            }
            at += 1;
        }
    }

    /// A `let`: its names have another type now, known only where it is written or read off a field.
    fn bind(&mut self, rest: &[TokenTree]) {
        let equals = rest.iter().position(|it| is_punct(Some(it), '=')).unwrap_or(rest.len());
        for token in &rest[..equals] {
            self.forget(token);
        }
        let pattern = &rest[..equals];
        let pattern = &pattern[usize::from(is_word(pattern.first(), "mut"))..];
        let Some(TokenTree::Ident(name)) = pattern.first() else { return };
        let of = match pattern.get(1) {
            Some(colon) if is_punct(Some(colon), ':') => items::outermost(&pattern[2..]),
            None => {
                let value = rest.get(equals + 1..).unwrap_or_default();
                let end =
                    value.iter().position(|it| is_punct(Some(it), ';')).unwrap_or(value.len());
                let skip = |it: &&TokenTree| is_punct(Some(it), '&') || is_word(Some(it), "mut");
                let head = value[..end].iter().take_while(skip).count();
                self.type_of(&value[head..end])
            }
            Some(_) => None,
        };
        self.locals.insert(name.to_string(), of.unwrap_or_default());
    }

    fn forget(&mut self, token: &TokenTree) {
        match token {
            TokenTree::Ident(name) => {
                if let Some(of) = self.locals.get_mut(&name.to_string()) {
                    of.clear();
                }
            }
            TokenTree::Group(group) => group.stream().into_iter().for_each(|it| self.forget(&it)),
            TokenTree::Punct(_) | TokenTree::Literal(_) => (),
        }
    }

    /// A word that may begin a path or be a method; returns how many more tokens it takes.
    fn word(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        let (path, length) = path(&tokens[at..]);
        let after = &tokens[at + length..];
        let generics =
            if is_turbofish(after) { 2 + items::generics_length(&after[2..]) } else { 0 };
        let is_call = matches!(after.get(generics), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis);
        let is_macro = is_punct(after.first(), '!');
        let name = path.last().expect("a path has a word").clone();
        let dotted = 0 < at
            && is_punct(tokens.get(at - 1), '.')
            && !(1 < at && is_punct(tokens.get(at - 2), '.'));
        let files = match (dotted, &path[..]) {
            (true, _) if is_call => self.method(&tokens[..at - 1], &name),
            (false, [_]) if !is_macro && (is_call || self.imported(&name).is_some()) => {
                self.free(&path)
            }
            (false, [_, ..]) if 1 < path.len() => self.of_path(&path),
            _ => Vec::new(),
        };
        let others = files.into_iter().filter(|file| *file != self.file);
        self.found.extend(others.map(|file| (name.clone(), file)));
        length - 1
    }

    /// A method: of the receiver's type, or, where that is not known, of the one file that has it.
    fn method(&self, before: &[TokenTree], name: &str) -> Vec<&'a str> {
        let chain = before.len() - receiver_length(before);
        let of = self.type_of(&before[chain..]).unwrap_or_default();
        if self.index.types.contains(&*of) {
            return self.index.owned(&of, name);
        }
        let files = self.index.methods.get(name).filter(|files| files.len() == 1);
        let is_known = !of.is_empty() || STANDARD.split(' ').any(|it| it == name);
        files.filter(|_| !is_known).into_iter().flatten().copied().collect()
    }

    /// A path to a function of a type, or to one in a module.
    fn of_path(&self, path: &[String]) -> Vec<&'a str> {
        let [.., of, name] = path else { return Vec::new() };
        let of = match (&**of, self.owner) {
            ("Self", Some(owner)) => owner,
            (of, _) => self.imported(of).and_then(<[String]>::last).map_or(of, String::as_str),
        };
        let owned = self.index.owned(of, name);
        if owned.is_empty() {
            self.free(path)
        } else {
            owned
        }
    }

    /// A free function: of this file, of the module that is named or imported from, or of the only file that has one.
    fn free(&self, path: &[String]) -> Vec<&'a str> {
        let path = match path {
            [name] => self.imported(name).unwrap_or(path),
            _ => path,
        };
        let Some((name, module)) = path.split_last() else { return Vec::new() };
        let files = self.index.free.get(&**name).into_iter().flatten().copied();
        let found: Vec<&str> = match module.last().map(String::as_str) {
            None if self.is_own(name) => Vec::new(),
            None | Some("crate" | "self" | "super") => files.collect(),
            Some(module) => files.filter(|file| file.split('/').any(|it| it == module)).collect(),
        };
        if found.len() == 1 {
            found
        } else {
            Vec::new()
        }
    }

    /// Whether this file has a free function of its own of this name.
    fn is_own(&self, name: &str) -> bool {
        self.index.free.get(name).is_some_and(|files| files.contains(self.file))
    }

    fn imported(&self, name: &str) -> Option<&[String]> {
        self.items.imports.iter().find(|it| it.name == name).map(|it| &*it.path)
    }

    /// The type of `self.a.b`, `local.c` or `Type::new(...)`; `None` if it cannot be read off.
    fn type_of(&self, tokens: &[TokenTree]) -> Option<String> {
        let TokenTree::Ident(head) = tokens.first()? else { return None };
        let head = head.to_string();
        if let [_, first, second, TokenTree::Ident(name), TokenTree::Group(_)] = tokens {
            let makes = name == "new" || name == "default";
            return (is_punct(Some(first), ':') && is_punct(Some(second), ':') && makes)
                .then_some(head);
        }
        let mut of = match (head.as_str(), self.owner) {
            ("self", Some(owner)) => owner.to_owned(),
            _ => self.locals.get(&head)?.clone(),
        };
        for pair in tokens[1..].chunks(2) {
            let [dot, TokenTree::Ident(field)] = pair else { return None };
            if !is_punct(Some(dot), '.') {
                return None;
            }
            of = self.index.fields.get(&*of)?.get(&*field.to_string())?.to_string();
        }
        Some(of)
    }
}

/// The path at the head, with how many tokens it has.
fn path(tokens: &[TokenTree]) -> (Vec<String>, usize) {
    let (mut path, mut at) = (vec![tokens[0].to_string()], 1);
    while let [a, b, TokenTree::Ident(word), ..] = &tokens[at..] {
        if !is_punct(Some(a), ':') || !is_punct(Some(b), ':') {
            break;
        }
        path.push(word.to_string());
        at += 3;
    }
    (path, at)
}

fn is_turbofish(tokens: &[TokenTree]) -> bool {
    is_punct(tokens.first(), ':') && is_punct(tokens.get(1), ':') && is_punct(tokens.get(2), '<')
}

/// How many tokens the chain of words and dots at the end has; all but nothing, if it begins with a call.
fn receiver_length(tokens: &[TokenTree]) -> usize {
    let mut length = 0;
    while let Some(TokenTree::Ident(_)) = tokens.len().checked_sub(length + 1).map(|at| &tokens[at])
    {
        length += 1;
        let dot = tokens.len().checked_sub(length + 1).and_then(|at| tokens.get(at));
        if !is_punct(dot, '.') {
            return length;
        }
        length += 1;
    }
    0
}
