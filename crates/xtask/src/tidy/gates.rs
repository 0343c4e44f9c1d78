//! What an attribute says about when an item is compiled: only for tests, only with the feature `net`.
//!
//! Relies on the tokens between an attribute's brackets. Never guesses: what it cannot read gates nothing, so the rules apply in full.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Under which conditions something is compiled at all.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    /// Only for tests.
    pub test: bool,
    /// Only with the feature `net`.
    pub net: bool,
}

impl Gate {
    /// Behind both.
    pub fn and(self, other: Gate) -> Gate {
        Gate { test: self.test || other.test, net: self.net || other.net }
    }

    /// What holds whichever of both is open.
    fn or(self, other: Gate) -> Gate {
        Gate { test: self.test && other.test, net: self.net && other.net }
    }
}

/// The gate that an attribute's content (`cfg(test)`, `tokio::test`) makes.
pub fn of(content: &TokenStream) -> Gate {
    let tokens: Vec<TokenTree> = content.clone().into_iter().collect();
    match &tokens[..] {
        [TokenTree::Ident(name), TokenTree::Group(group)] if name == "cfg" => {
            required(&group.stream())
        }
        tokens => {
            let name =
                tokens.iter().take_while(|token| !matches!(token, TokenTree::Group(_))).last();
            Gate {
                test: matches!(name, Some(TokenTree::Ident(name)) if name == "test"),
                net: false,
            }
        }
    }
}

/// The file that `path = "..."` names.
pub fn path(content: &TokenStream) -> Option<String> {
    let tokens: Vec<TokenTree> = content.clone().into_iter().collect();
    match &tokens[..] {
        [TokenTree::Ident(name), TokenTree::Punct(is), TokenTree::Literal(file)]
            if name == "path" && is.as_char() == '=' =>
        {
            Some(file.to_string().trim_matches('"').to_owned())
        }
        _ => None,
    }
}

/// What one condition requires.
fn required(condition: &TokenStream) -> Gate {
    let tokens: Vec<TokenTree> = condition.clone().into_iter().collect();
    match &tokens[..] {
        [TokenTree::Ident(name)] => Gate { test: name == "test", net: false },
        [TokenTree::Ident(name), TokenTree::Punct(_), TokenTree::Literal(value)] => {
            Gate { test: false, net: name == "feature" && value.to_string() == "\"net\"" }
        }
        [TokenTree::Ident(name), TokenTree::Group(group)]
            if group.delimiter() == Delimiter::Parenthesis =>
        {
            let parts: Vec<Gate> = split(group.stream()).iter().map(required).collect();
            match name.to_string().as_str() {
                "all" => parts.into_iter().fold(Gate::default(), Gate::and),
                "any" => parts.into_iter().reduce(Gate::or).unwrap_or_default(),
                _ => Gate::default(),
            }
        }
        _ => Gate::default(),
    }
}

/// The parts between commas.
fn split(list: TokenStream) -> Vec<TokenStream> {
    let mut parts = vec![TokenStream::new()];
    for token in list {
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == ',' => parts.push(TokenStream::new()),
            _ => parts.last_mut().expect("there is always a last part").extend([token]),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(content: &str) -> (bool, bool) {
        let gate = of(&content.parse().unwrap());
        (gate.test, gate.net)
    }

    #[test]
    fn conditions_gate_what_they_require() {
        for (content, test, net) in [
            ("cfg(test)", true, false),
            ("test", true, false),
            ("tokio::test(flavor = \"multi_thread\")", true, false),
            ("cfg(feature = \"net\")", false, true),
            ("cfg(all(test, feature = \"net\"))", true, true),
            ("cfg(all(unix, all(test)))", true, false),
            ("cfg(any(test, feature = \"net\"))", false, false),
            ("cfg(any(test, all(test, unix)))", true, false),
            ("cfg(not(test))", false, false),
            ("cfg(feature = \"planted\")", false, false),
            ("cfg_attr(test, derive(Debug))", false, false),
            ("derive(Debug)", false, false),
        ] {
            assert_eq!(gate(content), (test, net), "{content}");
        }
    }

    #[test]
    fn a_path_attribute_names_its_file() {
        assert_eq!(path(&"path = \"other.rs\"".parse().unwrap()), Some("other.rs".to_owned()));
        assert_eq!(path(&"doc = \"other.rs\"".parse().unwrap()), None);
    }
}
