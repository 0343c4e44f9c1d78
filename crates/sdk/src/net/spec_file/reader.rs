//! Reads values of a TOML document one by one, and keeps what is wrong with each and where it stands.
//!
//! It relies on the spans of the `toml` crate. It never stops at the first thing that is wrong, and
//! never takes a value of another type for what was meant.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use holdfast_model::Scalar;
use toml::de::{DeString, DeTable, DeValue};
use toml::Spanned;

use super::nearest::nearest;
use super::problem::Problem;
use super::units::{self, SIZE_EXAMPLES, TIME_EXAMPLES};

/// How many problems are kept; a file with more is not read to its end by a person.
const PROBLEMS_MAX: usize = 100;

/// A document while it is read.
pub(super) struct Reader<'t> {
    text: &'t str,
    problems: Vec<Problem>,
    /// Where each field of the spec stands, by its path.
    places: BTreeMap<String, Range<usize>>,
}

/// A value with the path of the field that it is for.
#[derive(Clone)]
pub(super) struct Item<'r, 't> {
    pub path: String,
    pub range: Range<usize>,
    value: &'r DeValue<'t>,
}

/// A table while its keys are read.
pub(super) struct Table<'r, 't> {
    path: String,
    range: Range<usize>,
    /// What it describes, in a sentence: `a pod`.
    noun: &'static str,
    entries: &'r DeTable<'t>,
    known: Vec<&'static str>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Reader<'t> {
        Reader { text, problems: Vec::new(), places: BTreeMap::new() }
    }

    /// All that was found wrong, in the order of the lines.
    pub(super) fn problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|it| (it.line, it.column));
        self.problems
    }

    pub(super) fn is_well(&self) -> bool {
        self.problems.is_empty()
    }

    /// Something is wrong at a range of the text.
    pub(super) fn wrong(&mut self, range: &Range<usize>, what: String, hint: &str) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem::at(self.text, range, what, hint.to_owned()));
        }
    }

    /// Something is wrong with the field of that path, or with the nearest that stands in the file.
    pub(super) fn wrong_field(&mut self, path: &str, what: String, hint: &str) {
        let range = self.place(path);
        self.wrong(&range, what, hint);
    }

    fn place(&self, path: &str) -> Range<usize> {
        let mut path = path;
        loop {
            if let Some(range) = self.places.get(path) {
                return range.clone();
            }
            match path.rfind(['.', '[']) {
                Some(at) => path = &path[..at],
                None => return 0..0,
            }
        }
    }

    /// The value of a table.
    pub(super) fn table<'r>(
        &mut self,
        item: &Item<'r, 't>,
        noun: &'static str,
    ) -> Option<Table<'r, 't>> {
        match item.value {
            DeValue::Table(entries) => Some(Table {
                path: item.path.clone(),
                range: item.range.clone(),
                noun,
                entries,
                known: Vec::new(),
            }),
            _ => self.mistyped(item, "a table"),
        }
    }

    /// The root of the document.
    pub(super) fn root<'r>(
        &mut self,
        entries: &'r DeTable<'t>,
        noun: &'static str,
    ) -> Table<'r, 't> {
        let range = 0..self.text.find('\n').unwrap_or(self.text.len());
        Table { path: String::new(), range, noun, entries, known: Vec::new() }
    }

    /// The values of a list.
    pub(super) fn list<'r>(&mut self, item: &Item<'r, 't>) -> Vec<Item<'r, 't>> {
        let DeValue::Array(values) = item.value else {
            self.mistyped::<()>(item, "a list, such as [...]");
            return Vec::new();
        };
        let each = values.iter().enumerate().map(|(index, value)| Item {
            path: format!("{}[{index}]", item.path),
            range: value.span(),
            value: value.get_ref(),
        });
        let items: Vec<Item> = each.collect();
        for it in &items {
            self.places.insert(it.path.clone(), it.range.clone());
        }
        items
    }

    pub(super) fn text(&mut self, item: &Item<'_, 't>) -> Option<String> {
        match item.value {
            DeValue::String(text) => Some(text.to_string()),
            _ => self.mistyped(item, "a text in quotes"),
        }
    }

    /// A text, or a list of texts.
    pub(super) fn texts(&mut self, item: &Item<'_, 't>) -> Vec<String> {
        match item.value {
            DeValue::Array(_) => {
                let items = self.list(item);
                items.iter().filter_map(|it| self.text(it)).collect()
            }
            _ => self.text(item).into_iter().collect(),
        }
    }

    pub(super) fn truth(&mut self, item: &Item<'_, 't>) -> Option<bool> {
        match item.value {
            DeValue::Boolean(truth) => Some(*truth),
            _ => self.mistyped(item, "true or false"),
        }
    }

    /// A whole number within bounds.
    pub(super) fn whole(
        &mut self,
        item: &Item<'_, 't>,
        allowed: RangeInclusive<u64>,
    ) -> Option<u64> {
        let DeValue::Integer(number) = item.value else {
            return self.mistyped(item, "a whole number");
        };
        let read = i128::from_str_radix(number.as_str(), number.radix()).ok();
        let read = read.and_then(|it| u64::try_from(it).ok()).filter(|it| allowed.contains(it));
        if read.is_none() {
            let (least, most) = allowed.into_inner();
            let what = format!("{} is not between {least} and {most}", self.written(item));
            self.wrong(&item.range, what, &format!("write a number from {least} to {most}"));
        }
        read
    }

    /// A size in MB.
    pub(super) fn size_mb(&mut self, item: &Item<'_, 't>) -> Option<u64> {
        let read = match item.value {
            DeValue::Integer(number) => {
                let size = u64::from_str_radix(number.as_str(), number.radix());
                size.map_err(|_| format!("{} is no size", self.written(item)))
                    .and_then(|it| units::size_mb(&it.to_string()))
            }
            DeValue::String(text) => units::size_mb(text),
            _ => return self.mistyped(item, "a size"),
        };
        match read {
            Ok(size) => u64::try_from(size).ok(),
            Err(what) => {
                self.wrong(&item.range, what, SIZE_EXAMPLES);
                None
            }
        }
    }

    /// A time in milliseconds.
    pub(super) fn time_ms(&mut self, item: &Item<'_, 't>) -> Option<u64> {
        let DeValue::String(text) = item.value else {
            let what = format!("{} is no length of time: its unit is missing", self.written(item));
            self.wrong(&item.range, what, TIME_EXAMPLES);
            return None;
        };
        match units::time_ms(text) {
            Ok(time) => Some(time),
            Err(what) => {
                self.wrong(&item.range, what, TIME_EXAMPLES);
                None
            }
        }
    }

    /// A number with at most three digits behind the point.
    pub(super) fn scalar(&mut self, item: &Item<'_, 't>) -> Option<Scalar> {
        let read = match item.value {
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).ok().map(|it| it as f64)
            }
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            _ => return self.mistyped(item, "a number"),
        };
        let read = read.filter(|it| it.is_finite() && 0.0 < *it && *it < 1.0e6);
        let scalar = read.and_then(Scalar::from_f64).filter(|it| Scalar::ZERO < *it);
        if scalar.is_none() {
            let what = format!("{} is no number of processors", self.written(item));
            self.wrong(&item.range, what, "write a number such as 0.5 or 4");
        }
        scalar
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(
        &mut self,
        item: &Item<'_, 't>,
        noun: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(item)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let hint = match nearest(&known, &text) {
                Some(meant) => format!("did you mean \"{meant}\"? there are {}", known.join(", ")),
                None => format!("write one of {}", known.join(", ")),
            };
            self.wrong(&item.range, format!("there is no {noun} `{text}`"), &hint);
        }
        found
    }

    /// The same value under another path, too: that by which the rules name it.
    pub(super) fn alias<'r>(&mut self, item: Item<'r, 't>, path: String) -> Item<'r, 't> {
        self.places.insert(path.clone(), item.range.clone());
        Item { path, ..item }
    }

    /// Whether the value is a text.
    pub(super) fn is_text(item: &Item<'_, 't>) -> bool {
        item.value.is_str()
    }

    /// Says that a value is of another type.
    pub(super) fn mistyped<T>(&mut self, item: &Item<'_, 't>, wanted: &str) -> Option<T> {
        let name = item.path.rsplit('.').next().unwrap_or_default();
        let found = match item.value.type_str() {
            "array" => "a list",
            "integer" => "a whole number",
            "table" => "a table",
            "float" => "a number",
            "boolean" => "true or false",
            "datetime" => "a date",
            _ => "a text",
        };
        let what = format!("`{name}` is {wanted}, and this is {found}");
        self.wrong(&item.range, what, &format!("write {wanted}"));
        None
    }

    fn written(&self, item: &Item<'_, 't>) -> String {
        let text = self.text.get(item.range.clone()).unwrap_or_default();
        format!("`{}`", text.chars().take(40).collect::<String>())
    }
}

impl<'r, 't> Table<'r, 't> {
    /// The value of a key, which is for `field` of the spec.
    pub(super) fn get(
        &mut self,
        reader: &mut Reader<'t>,
        key: &'static str,
        field: &str,
    ) -> Option<Item<'r, 't>> {
        self.known.push(key);
        let value = self.entries.get(key)?;
        let path = self.path_of(field);
        // A table that stands under a heading has its place there.
        let range = self.range_of(key, value);
        reader.places.insert(path.clone(), range.clone());
        Some(Item { path, range, value: value.get_ref() })
    }

    /// The same, of a key that must be there.
    pub(super) fn need(
        &mut self,
        reader: &mut Reader<'t>,
        key: &'static str,
        field: &str,
        example: &str,
    ) -> Option<Item<'r, 't>> {
        let found = self.get(reader, key, field);
        if found.is_none() {
            let what = format!("{} needs `{key}`", self.noun);
            reader.wrong(&self.range, what, &format!("add it: {example}"));
        }
        found
    }

    /// All entries of a table whose keys are names, in the order of the file.
    pub(super) fn named(&self, reader: &mut Reader<'t>) -> Vec<(String, Item<'r, 't>)> {
        let mut entries: Vec<(&Spanned<DeString<'t>>, &Spanned<DeValue<'t>>)> =
            self.entries.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut named = Vec::new();
        for (key, value) in entries {
            let name = key.get_ref().to_string();
            let path = self.path_of(&name);
            let range = if value.get_ref().is_table() { key.span() } else { value.span() };
            reader.places.insert(path.clone(), range.clone());
            named.push((name, Item { path, range, value: value.get_ref() }));
        }
        named
    }

    /// Ends the table: keys that nobody asked for are wrong.
    pub(super) fn close(self, reader: &mut Reader<'t>) {
        for key in self.entries.keys() {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let mut known = self.known.clone();
            known.sort_unstable();
            known.dedup();
            let hint = match nearest(&known, name) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("{} has {}", self.noun, known.join(", ")),
            };
            let shown: String = name.chars().take(40).collect();
            reader.wrong(&key.span(), format!("{} has no `{shown}`", self.noun), &hint);
        }
    }

    /// Where the table stands.
    pub(super) fn range(&self) -> &Range<usize> {
        &self.range
    }

    fn path_of(&self, field: &str) -> String {
        match self.path.is_empty() {
            true => field.to_owned(),
            false => format!("{}.{field}", self.path),
        }
    }

    fn range_of(&self, key: &str, value: &Spanned<DeValue<'t>>) -> Range<usize> {
        let is_table = value.get_ref().is_table();
        match self.entries.get_key_value(key).filter(|_| is_table) {
            Some((key, _)) => key.span(),
            None => value.span(),
        }
    }
}
